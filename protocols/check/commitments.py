"""What the ledger says of a list of terms and of a report: salted digests, opened by who keeps the salt.

``share.release`` carries ``recorded_list``, ``query.close`` both. Where no total was opened there is no list,
and the random salt itself stands in its place: nobody else can tell the two apart.
"""

from __future__ import annotations

import hashlib

from protocols.encoding import commit


def recorded_list(salt: bytes, digest: bytes | None) -> bytes:
    """Salted digest of a list of terms, 32 bytes; the salt where ``digest`` is None."""
    return salt if digest is None else commit(salt, b"list", digest)


def recorded_report(salt: bytes, report: bytes) -> bytes:
    """Salted SHA-256 of a report's bytes, 32 bytes."""
    return commit(salt, b"report", hashlib.sha256(report).digest())


CODE = "refused_without_intent"


def peer_commitment(salt: bytes, peer: str) -> bytes:
    """Salted commitment of an incident's peer, 32 bytes."""
    return commit(salt, b"peer", peer.encode())
