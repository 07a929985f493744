"""A digest of the contract's state, kept beside it: a flipped bit on the disk never decides a question.

    term(key, value) = SHA-256(u32 length of key ‖ key ‖ value) as an integer
    sum              = Σ term over every key of the state, mod 2^256

The sum does not depend on the order of the keys, so one changed value costs two terms, whatever the size of
the state. It stands with the tree's size and the contract's time in the state table itself, under a key no
contract uses, and is committed with every change. At a start the whole table is summed again: about a second
for a million keys.

It finds what a disk or a hand has changed, lost or added, and is no proof against an attacker who can write
the database: that is what replay and witnesses are for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

DIGEST_KEY = "state-digest"
"""Its row in the state table; the contract's keys are those of ``ledger.contract.state``."""

_MODULUS = 1 << 256


@dataclass(frozen=True)
class StateDigest:
    """What a state table must sum up to.

    Attributes:
        count: number of keys.
        sum: of their terms, below 2^256.
    """

    count: int
    sum: int

    def changed(self, key: str, old: bytes | None, new: bytes) -> StateDigest:
        """The digest after the value of ``key`` has become ``new``; ``old`` is None where there was none."""
        total = self.sum + _term(key, new)
        if old is None:
            return StateDigest(self.count + 1, total % _MODULUS)
        return StateDigest(self.count, (total - _term(key, old)) % _MODULUS)

    def record(self, size: int, time: str) -> dict[str, Any]:
        """The value kept under ``DIGEST_KEY`` for a tree of ``size`` leaves at the contract's ``time``."""
        return {"count": self.count, "size": size, "sum": f"{self.sum:064x}", "time": time}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> StateDigest:
        """The digest that a record holds; one that cannot be read is that of no state."""
        try:
            return cls(int(record["count"]), int(record["sum"], 16))
        except (KeyError, TypeError, ValueError):
            return cls(-1, -1)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, bytes]]) -> StateDigest:
        """The digest of (key, value) rows; the digest's own row is left out."""
        count = total = 0
        for key, value in rows:
            if key != DIGEST_KEY:
                count += 1
                total += _term(key, value)
        return cls(count, total % _MODULUS)


EMPTY_STATE = StateDigest(0, 0)


def _term(key: str, value: bytes) -> int:
    name = key.encode("utf-8")
    return int.from_bytes(hashlib.sha256(len(name).to_bytes(4, "big") + name + value).digest(), "big")
