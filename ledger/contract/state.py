"""The contract's state: a map from text keys to canonical JSON values, with ``get`` and ``put`` only.

That is what a table of one database and Fabric's GetState and PutState both offer: no ranges, no counters, no
deletes. One key stands for one record or one slot, so two entries touch the same key only when they speak of
the same thing. The lists (``members``, ``datasets``, ``grants/…``, ``dataset/…``) change only with the rare
entries that add to them.

| key | value | written by |
|---|---|---|
| ``network`` | {network, pilot, epoch, params} | network.genesis |
| ``id/<entry id>`` | {type} | every accepted entry |
| ``members`` | [member id], sorted, removed ones too | network.genesis, member.admit |
| ``member/<member>`` | member object with version, founder, active | genesis, member.* |
| ``key/<key id>`` | {member, use, active}; once retired it never returns | genesis, member.* |
| ``datasets`` | [dataset], sorted | dataset.publish |
| ``dataset/<dataset>`` | {kind, publications: [label], in order of publishing} | dataset.publish |
| ``publication/<dataset>/<label>`` | record | dataset.publish |
| ``voprf/<K>`` | {dataset, publication} | dataset.publish |
| ``verified/<dataset>/<label>/<member>`` | record | dataset.verified |
| ``audited/<dataset>/<label>`` | {member}: the first auditor who verified | dataset.verified |
| ``retired/<dataset>/<label>`` | record | dataset.retired |
| ``sumkey`` | record | sumkey.publish |
| ``rules/<rules>/<version>`` | record | rules.publish |
| ``approval/<rules>/<version>/<member>`` | record | rules.approve |
| ``audit-approval/<rules>/<version>`` | {member}: the first auditor who approved | rules.approve |
| ``grants/<office>`` | [grant] in order of request | grant.request |
| ``grant/<grant>`` | record | grant.request |
| ``grant-decision/<grant>`` | record | grant.decide |
| ``grant-revoked/<grant>`` | record | grant.revoke |
| ``consent/<commitment>`` | {entry} | consent.commit |
| ``consent-revoked/<commitment>`` | {entry} | consent.revoke |
| ``certificate-revoked/<digest>`` | {entry} | certificate.revoke |
| ``intent/<query>`` | record | query.intent |
| ``slot/<grant>/<period>/<i>`` | {query} | query.intent |
| ``refused/<entry digest>`` | record | query.refused |
| ``answer/<query>/<dataset>`` | record, replaced once at most | query.answer |
| ``close/<query>`` | record | query.close |
| ``release/<query>/<case>/<trustee>`` | record | share.release |
| ``exception/<query>/<case>/<trustee>`` | record | share.exception |

A record is ``{entry, by, at, body}``: entry id, submitting member, contract time, the entry's body as it
stands on the ledger. No part of a key holds a slash, so keys of different records never meet.
"""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from typing import Any, Protocol

_LONG = 1024
"""Bytes from which a packed value is compressed."""
_ZLIB = b"\x78"
"""First byte of what zlib writes; JSON never begins with it."""
_RECENT = 1024
"""Values kept unpacked."""


class State(Protocol):
    """The store of canonical JSON that the contract uses; a value once read is never changed in place."""

    def get(self, key: str) -> Any:
        """The value last put under ``key``, or None."""

    def put(self, key: str, value: Any) -> None:
        """Keep ``value``, a JSON object or list, under ``key``."""


class MemoryState:
    """A state in a dict, for replicas that replay from the start and for tests."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """The value under ``key``, or None."""
        return self.values.get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep ``value`` under ``key``."""
        self.values[key] = value


class PackedState:
    """A state in memory that packs what it keeps, for whole logs: a tenth to a third of the memory.

    Values lie as JSON, long ones compressed; those used last are kept unpacked as well, and ``get`` gives the
    same object as long as they are.
    """

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}
        self._recent: OrderedDict[str, Any] = OrderedDict()

    def get(self, key: str) -> Any:
        """The value under ``key``, or None."""
        if key in self._recent:
            self._recent.move_to_end(key)
            return self._recent[key]
        packed = self._packed.get(key)
        if packed is None:
            return None
        value = json.loads(zlib.decompress(packed) if packed[:1] == _ZLIB else packed)
        self._keep(key, value)
        return value

    @property
    def values(self) -> dict[str, Any]:
        """Every key and value, unpacked."""
        return {key: self.get(key) for key in self._packed}

    def put(self, key: str, value: Any) -> None:
        """Keep ``value`` under ``key``."""
        packed = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        self._packed[key] = packed if len(packed) < _LONG else zlib.compress(packed, 1)
        self._keep(key, value)

    def _keep(self, key: str, value: Any) -> None:
        self._recent[key] = value
        self._recent.move_to_end(key)
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)


class Overlay:
    """Holds writes to another state back until ``commit``."""

    def __init__(self, base: State) -> None:
        self._base = base
        self.changes: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """The value put here, else the one of the state below."""
        if key in self.changes:
            return self.changes[key]
        return self._base.get(key)

    def put(self, key: str, value: Any) -> None:
        """Hold ``value`` back under ``key``."""
        self.changes[key] = value

    def commit(self) -> None:
        """Write every held back value to the state below, in sorted key order, and forget them."""
        for key in sorted(self.changes):
            self._base.put(key, self.changes[key])
        self.changes = {}
