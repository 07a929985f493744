"""The state keys that the contract reads for an entry, as far as the entry itself names them.

An engine on which every read is a request to another process asks for them all at once. This module
decides nothing: the contract makes its own reads. **Every key named here is one that the contract reads on
the way to accepting such an entry**, so a transaction that counts has the same read set with this as
without; ``tests/ledger/fabric/test_expected_reads.py`` compares them. A refused entry writes nothing,
whatever was read for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ledger.contract.view import dataset_owner
from ledger.entries.body_schema import check_body
from ledger.entries.entry import Entry
from ledger.errors import EntryRefusedError


def common_keys(entry: Entry) -> tuple[str, ...]:
    """The keys that are read for every entry: the network, and whether the id is used."""
    return "network", f"id/{entry.id}"


def signer_keys(entry: Entry) -> tuple[str, ...]:
    """The keys under which the signers' keys lie, once each."""
    return tuple(dict.fromkeys(f"key/{signature.key}" for signature in entry.sigs))


def body_keys(entry: Entry) -> tuple[str, ...]:
    """The keys that the body names; empty for rare types and malformed bodies."""
    keys = _BODY_KEYS.get(entry.type)
    if keys is None:
        return ()
    try:
        check_body(entry.type, entry.body)
    except EntryRefusedError:
        return ()
    return tuple(keys(entry.body))


def _intent(body: Mapping[str, Any]) -> Iterator[str]:
    certificate = body["certificate"]
    rules = f"{certificate['rules']['id']}/{certificate['rules']['version']}"
    yield f"certificate-revoked/{body['digest']}"
    yield f"rules/{rules}"
    yield f"audit-approval/{rules}"
    yield f"member/{certificate['registrar']}"
    for line in certificate["datasets"]:
        dataset, grant = line["dataset"], line["grant"]
        label = f"{dataset}/{line['publication']}"
        yield f"dataset/{dataset}"
        yield f"verified/{label}/{certificate['office']}"
        yield f"audited/{label}"
        yield f"retired/{label}"
        yield f"publication/{label}"
        yield f"grant/{grant}"
        yield f"grant-decision/{grant}"
        yield f"grant-revoked/{grant}"
        yield f"member/{dataset_owner(dataset)}"
    for slot in body["slots"]:
        yield f"slot/{slot['grant']}/{slot['period']}/{slot['slot']}"


def _answer(body: Mapping[str, Any]) -> Iterator[str]:
    yield f"intent/{body['query']}"
    yield f"answer/{body['query']}/{body['dataset']}"
    yield f"member/{dataset_owner(body['dataset'])}"


def _release(body: Mapping[str, Any]) -> Iterator[str]:
    yield f"intent/{body['query']}"


def _close(body: Mapping[str, Any]) -> Iterator[str]:
    yield f"intent/{body['query']}"
    yield f"close/{body['query']}"


def _consents(body: Mapping[str, Any]) -> Iterator[str]:
    for commitment in body["commitments"]:
        yield f"consent/{commitment}"


_BODY_KEYS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "consent.commit": _consents,
    "query.intent": _intent,
    "query.answer": _answer,
    "query.close": _close,
    "share.release": _release,
}
