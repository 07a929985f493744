"""Checks of a leaf that need no contract state: its form, and its signatures under known keys.

A leaf is *proven* under a table of keys (key id → raw Ed25519 key) when

1. ``ledger.entries.entry.parse`` accepts it,
2. its body has the form of its type (``ledger.entries.body_schema``),
3. an intent's digest is that of its certificate,
4. each of its signatures, and the registrar's in an intent, names a key of the table and verifies
   with it over the message that the contract would build.

These are the contract's own steps, by the same functions; none of them reads the state. A proof does
not say whose the keys are and whether they are active at that place of the log: ``contract.apply_proven``
looks there. A leaf that is not proven is not void for that: its key may be younger than the table. It takes
the whole way through ``contract.apply``, which alone says why an entry is void.

A key id always stands for the same key in a network (the contract's ``key_taken``), so a table may be older
than the entry. Leaves are independent of one another here, so other processes may check bundles of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from keys.bulk import is_valid
from keys.signing import ED25519
from ledger.contract.state import State
from ledger.contract.view import View
from ledger.entries.body_schema import check_body
from ledger.entries.entry import (
    NODE_DOMAIN,
    Entry,
    Signature,
    body_message,
    certificate_digest,
    certificate_message,
    parse,
)
from ledger.errors import EntryError, EntryRefusedError
from ledger.merkle import leaf_hash

Keys: TypeAlias = Mapping[str, bytes]
"""Raw Ed25519 public keys by key id."""

_SIGS = b',"sigs":['
_END = b'],"time":"'


@dataclass(frozen=True)
class CheckedLeaves:
    """The result of checking several leaves.

    Attributes:
        hashes: their RFC 6962 leaf hashes, 32 bytes each.
        proven: one byte per leaf, 1 where it is proven.
    """

    hashes: bytes
    proven: bytes


def keys_of(state: State) -> dict[str, bytes]:
    """The Ed25519 keys that are active in a state."""
    members = View(state).members()
    return {key.id: key.raw for member in members for key in member.keys if key.alg == ED25519}


def check_leaves(leaves: Sequence[bytes], keys: Keys) -> CheckedLeaves:
    """Hash the leaves and say which are proven under ``keys``."""
    hashes = b"".join([leaf_hash(leaf) for leaf in leaves])
    return CheckedLeaves(hashes, bytes([is_proven(leaf, keys) for leaf in leaves]))


def is_proven(leaf: bytes, keys: Keys) -> bool:
    """Whether a leaf is proven under ``keys``."""
    try:
        entry = parse(leaf)
        check_body(entry.type, entry.body)
    except (EntryError, EntryRefusedError):
        return False
    if not _verifies(entry.sigs[0], node_message_in(leaf), keys):
        return False
    if len(entry.sigs) > 1:
        message = body_message(entry.network, entry.type, entry.id, entry.body)
        if not all(_verifies(signature, message, keys) for signature in entry.sigs[1:]):
            return False
    return entry.type != "query.intent" or _is_certified(entry, keys)


def node_message_in(leaf: bytes) -> bytes:
    """``ledger.entries.entry.node_message`` of a leaf that ``parse`` has accepted, cut out of its bytes.

    In canonical form ``sigs`` comes fourth; after it stand only texts whose forms have no quotation mark, so
    the last occurrence of its name is the field.
    """
    begin = leaf.rindex(_SIGS)
    return NODE_DOMAIN + leaf[:begin] + leaf[leaf.index(_END, begin) + 1 :]


def _is_certified(entry: Entry, keys: Keys) -> bool:
    certificate, signature = entry.body["certificate"], Signature(**entry.body["signature"])
    is_named = entry.body["digest"] == certificate_digest(certificate)
    return is_named and _verifies(signature, certificate_message(certificate), keys)


def _verifies(signature: Signature, message: bytes, keys: Keys) -> bool:
    raw = keys.get(signature.key)
    return raw is not None and signature.alg == ED25519 and is_valid(raw, message, signature.raw)
