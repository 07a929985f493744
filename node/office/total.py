"""The office's part in opening a total: the signed term list, its own share, every trustee's share, the sum.

Office and trustees each compute C from the proven leaves; the office makes its share while the trustees check
its list and make theirs. Every share's proof is verified before the shares are combined. A total out of range
is an incident.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from node.errors import RefusalError
from node.member_keys import signature
from node.membership.sum_key import own_share, sum_key
from node.office import calls
from node.office.check_state import CheckState, Total
from node.references import rule_datasets
from node.rpc.untrusted_json import read_texts
from node.services import Services
from protocols.check.terms import (
    expected_terms,
    list_digest,
    list_document,
    list_message,
    signed_ciphertexts,
)
from protocols.errors import ProtocolError
from protocols.sums import shareproof
from protocols.sums.shareproof import ListContext
from protocols.sums.sumkey import SumKey
from protocols.sums.threshold import combine, decode, partial

SHARE_FIELDS = {"holder", "list", "proof", "salt", "value"}


def close_without_total(services: Services, finished: CheckState) -> None:
    """Ask every trustee, without a list, to close the case index permanently."""
    for trustee in calls.trustees_of(services.view):
        calls.open_total(services, finished.inquiry, trustee, None)


def open_total(services: Services, finished: CheckState) -> Total:
    """Open the total of a check whose lines are proven.

    Raises:
        ServiceUnavailableError, RefusalError: a trustee is out of reach or refuses.
        ProofError: a share's proof does not hold.
    """
    current = finished.inquiry
    rules = rule_datasets(services.view, current.certificate["rules"])
    terms = expected_terms(list(current.opened().real), rules, finished.evidence.lines)
    document = list_document(current.certificate, 0, terms)
    signed = signature(services.keys.node, list_message(document))
    deciding = {*rules.income, *rules.deduct, *rules.exclude}
    evidence = finished.evidence.for_trustee(finished.answers, deciding)
    rows = signed_ciphertexts(terms, finished.evidence.lines)
    key, digest = sum_key(services.view), list_digest(document)
    ciphertext = key.public.combine([(key.public.from_bytes(data), sign) for data, sign in rows])
    context = ListContext(services.network, current.query, digest)
    request = calls.TotalRequest(evidence, document, signed)

    def theirs(trustee: str) -> dict[str, str]:
        share = read_texts(calls.open_total(services, current, trustee, request))
        if share.keys() != SHARE_FIELDS or share["holder"] != trustee:
            raise RefusalError(
                "malformed", f"{trustee}: its share is malformed, or said to be another holder's"
            )
        return share

    shares = _shares(services, key, ciphertext, context, theirs)
    with services.timings.part("cryptography"):
        values = _verified(key, ciphertext, context, shares, services.member)
        try:
            net = decode(key.public, combine(key, values), len(rows))
        except ProtocolError as error:
            _incident(services, error.code)
            raise RefusalError(error.code, str(error)) from error
    return Total(net, document, signed, shares)


def _shares(
    services: Services,
    key: SumKey,
    ciphertext: int,
    context: ListContext,
    theirs: Callable[[str], dict[str, str]],
) -> list[dict[str, str]]:
    """The own share first, then every trustee's, made at the same time."""
    with ThreadPoolExecutor(len(key.trustees)) as pool:
        waiting = [pool.submit(theirs, trustee) for trustee in key.trustees]
        with services.timings.part("cryptography"):
            share = own_share(key, services.keys.vault, services.member)
            value = partial(key, share, ciphertext)
            proof = shareproof.prove(key, share, ciphertext, value, context)
        own = {
            "holder": share.holder,
            "list": context.list_digest.hex(),
            "proof": proof.hex(),
            "value": key.public.to_bytes(value).hex(),
        }
        return [own, *(future.result() for future in waiting)]


def _verified(
    key: SumKey, ciphertext: int, context: ListContext, shares: list[dict[str, str]], own: str
) -> dict[str, int]:
    """Partial openings by holder, every one but the own verified."""
    values: dict[str, int] = {}
    for share in shares:
        value = key.public.from_bytes(bytes.fromhex(share["value"]))
        if share["holder"] != own:
            proof = bytes.fromhex(share["proof"])
            shareproof.verify(key, share["holder"], ciphertext, value, proof, context)
        values[share["holder"]] = value
    return values


def _incident(services: Services, code: str) -> None:
    """An opened total that cannot be: recorded, never a verdict."""
    body: dict[str, Any] = {"code": code, "count": 1}
    with services.store.writing() as connection:
        name = f"incident/{secrets.token_hex(8)}"
        services.outbox.add(connection, name, "incident", body, services.clock())
    services.outbox.wake()
