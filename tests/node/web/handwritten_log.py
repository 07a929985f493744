"""A foreign log: C2SP bytes written from the specifications' text, with nothing of this project.

Hashing and proofs follow the recursive definitions of RFC 6962; signing is plain Ed25519; requests are raw
HTTP. What agrees with it agrees with the specifications, not with itself.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def split(count: int) -> int:
    """The largest power of two below ``count``."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def consistency(old: int, leaves: list[bytes]) -> list[bytes]:
    """PROOF(m, D[n]) of RFC 6962, 2.1.2."""

    def subproof(m: int, part: list[bytes], *, whole: bool) -> list[bytes]:
        if m == len(part):
            return [] if whole else [root(part)]
        k = split(len(part))
        if m <= k:
            return [*subproof(m, part[:k], whole=whole), root(part[k:])]
        return [*subproof(m - k, part[k:], whole=False), root(part[:k])]

    return subproof(old, leaves, whole=True) if old > 0 else []


@dataclass(frozen=True)
class PlainLog:
    """An origin with a key and leaves."""

    origin: str
    key: Ed25519PrivateKey
    leaves: tuple[bytes, ...]

    @classmethod
    def of(cls, origin: str, seed: int, count: int = 40) -> PlainLog:
        key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"%d" % seed).digest())
        return cls(origin, key, tuple(b"entry %d" % number for number in range(count)))

    @property
    def typed(self) -> bytes:
        return b"\x01" + self.key.public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.origin.encode() + b"\n" + self.typed).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.origin}+{self.key_id.hex()}+{encoded(self.typed)}"

    def text(self, size: int) -> str:
        return f"{self.origin}\n{size}\n{encoded(root(list(self.leaves[:size])))}\n"

    def line(self, text: str) -> str:
        return f"— {self.origin} {encoded(self.key_id + self.key.sign(text.encode()))}\n"

    def note(self, size: int) -> str:
        text = self.text(size)
        return f"{text}\n{self.line(text)}"

    def request(self, old: int, new: int, note: str | None = None) -> bytes:
        proof = consistency(old, list(self.leaves[:new]))
        return request(old, proof, self.note(new) if note is None else note)

    def forked(self) -> PlainLog:
        """The same log with another first leaf."""
        return PlainLog(self.origin, self.key, (b"another", *self.leaves[1:]))


def request(old: int, proof: list[bytes], note: str) -> bytes:
    hashes = "".join(f"{encoded(one)}\n" for one in proof)
    return f"old {old}\n{hashes}\n{note}".encode()


def cosigned_at(text: str, body: bytes, vkey: str) -> int:
    """The time in a line of an answer, its cosignature verified by the bytes of tlog-cosignature."""
    name, hexed, key = vkey.split("+", 2)
    raw = base64.b64decode(key)
    assert raw[0] == 4
    line = next(one for one in body.decode().splitlines() if one.startswith(f"— {name} "))
    blob = base64.b64decode(line.rsplit(" ", 1)[1])
    assert blob[:4].hex() == hexed == hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8]
    time = int.from_bytes(blob[4:12], "big")
    message = f"cosignature/v1\ntime {time}\n{text}".encode()
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(blob[12:], message)
    return time


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]


class Caller:
    """Raw requests to one port, over one kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body, named)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})

    def post(self, body: bytes, path: str = "/add-checkpoint") -> Answer:
        return self.call("POST", path, body)

    def get(self, path: str) -> Answer:
        return self.call("GET", path)

    def close(self) -> None:
        self._connection.close()
