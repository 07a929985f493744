"""Two checkers of a public log that this project did not write, each with the glue its users would write.

| checker | judges |
|---|---|
| tlog-scales | signed note, checkpoint, cosignatures, tiles, root, inclusion of every entry, consistency |
| proofbundle | checkpoint with its quorum, receipts (tlog-proof), leaf and tree hashes, consistency |

The glue reads the policy file and the entry bundles, and counts distinct witnesses where the library gives
valid lines one by one. Whether a signature, a hash or a proof is right is decided by the library alone.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest


class RejectedError(Exception):
    """The checker does not accept the log."""


@dataclass(frozen=True)
class Trust:
    """What a policy file says, read by its words.

    Attributes:
        log: the log's vkey. witnesses: vkeys of the quorum's group, in order. quorum: how many must cosign.
    """

    log: str
    witnesses: tuple[str, ...]
    quorum: int

    @property
    def origin(self) -> str:
        return self.log.split("+", 1)[0]

    @classmethod
    def read(cls, text: str) -> Trust:
        lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        named = {words[1]: words[2] for words in lines if words[0] == "witness"}
        (log,) = (words[1] for words in lines if words[0] == "log")
        (group,) = (words for words in lines if words[0] == "group")
        assert ["quorum", group[1]] in lines
        return cls(log, tuple(named[name] for name in group[3:]), int(group[2]))


@dataclass(frozen=True)
class Seen:
    """A head that a checker has accepted before."""

    size: int
    root: bytes


class Checker(Protocol):
    """A stranger who holds the policy file."""

    def check(self, folder: Path, trust: Trust, before: Seen | None = None) -> Seen:
        """Accept a public folder that extends ``before``, or raise ``RejectedError``."""
        ...

    def receipt(self, text: str, leaf: bytes, trust: Trust) -> None:
        """Accept a receipt of a leaf, or raise ``RejectedError``."""
        ...


def leaves_of(folder: Path, size: int) -> Iterator[bytes]:
    """Entries from the bundles: a big-endian length of two bytes before each."""
    for index in range(-(-size // 256)):
        width = min(256, size - 256 * index)
        suffix = "" if width == 256 else f".p/{width}"
        data = (folder / f"tile/entries/{index:03}{suffix}").read_bytes()
        while data:
            length = int.from_bytes(data[:2], "big")
            yield data[2 : 2 + length]
            data = data[2 + length :]


@contextmanager
def rejecting() -> Iterator[None]:
    """What a library finds wrong is a rejection; it may be any error, IndexError or InvalidSignature."""
    try:
        yield
    except RejectedError:
        raise
    except Exception as error:
        raise RejectedError(repr(error)) from error


class Scales:
    """tlog-scales: reads the folder as a tiled log."""

    def __init__(self) -> None:
        self.reader: Any = pytest.importorskip("tlog_scales.reader")
        self.tlog: Any = pytest.importorskip("tlog_scales.tlog")
        self.signing: Any = pytest.importorskip("tlog_scales.signing")
        self.tiles: Any = pytest.importorskip("tlog_scales.tiles")
        self.backend: Any = pytest.importorskip("tlog_scales.backend")

    def check(self, folder: Path, trust: Trust, before: Seen | None = None) -> Seen:
        with rejecting():
            return self._check(folder, trust, before)

    def _check(self, folder: Path, trust: Trust, before: Seen | None) -> Seen:
        reader = self.reader.TilesReader(self.backend.LocalBackend(folder))
        checkpoint = reader.get_checkpoint()
        self._signed(checkpoint, trust)
        if reader.calculate_root_hash() != checkpoint.root_hash:
            raise RejectedError("the tiles have another root")
        for index in range(checkpoint.size):
            leaf = self.tiles.leaf_hash(reader.get_entry(index))
            reader.get_inclusion_proof(index, checkpoint.size).check(leaf, checkpoint.root_hash)
        if before is not None:
            reader.get_consistency_proof(before.size, checkpoint.size).check(
                before.root, checkpoint.root_hash
            )
        return Seen(checkpoint.size, checkpoint.root_hash)

    def _signed(self, checkpoint: Any, trust: Trust) -> None:
        log = self.signing.Vkey.from_string(trust.log)
        if checkpoint.origin != log.name:
            raise RejectedError("another log")
        checkpoint.verify(log)
        keys = self.signing.VkeySet(*map(self.signing.Vkey.from_string, trust.witnesses))
        valid = keys.verify(checkpoint.signatures, checkpoint)
        if len({vkey.serialize() for vkey, _ in valid}) < trust.quorum:
            raise RejectedError("too few witnesses")

    def receipt(self, text: str, leaf: bytes, trust: Trust) -> None:
        with rejecting():
            self._receipt(text, leaf, trust)

    def _receipt(self, text: str, leaf: bytes, trust: Trust) -> None:
        head, _, note = text.partition("\n\n")
        magic, index, *hashes = head.split("\n")
        if magic != "c2sp.org/tlog-proof@v1":
            raise RejectedError("no tlog-proof")
        checkpoint = self.tlog.Checkpoint.from_text(note)
        self._signed(checkpoint, trust)
        proof = self.tlog.InclusionProof(
            int(index.removeprefix("index ")), checkpoint.size, [base64.b64decode(one) for one in hashes]
        )
        proof.check(self.tiles.leaf_hash(leaf), checkpoint.root_hash)


class Bundle:
    """proofbundle: verifies notes, quorums, receipts and Merkle proofs."""

    def __init__(self) -> None:
        self.checkpoint: Any = pytest.importorskip("proofbundle.checkpoint")
        self.tlogproof: Any = pytest.importorskip("proofbundle.tlogproof")
        self.merkle: Any = pytest.importorskip("proofbundle.merkle")
        self.errors: Any = pytest.importorskip("proofbundle.errors")

    def check(self, folder: Path, trust: Trust, before: Seen | None = None) -> Seen:
        try:
            note = (folder / "checkpoint").read_bytes().decode()
            found = self.checkpoint.verify_witnessed_checkpoint(
                note, trust.log, trust.witnesses, threshold=trust.quorum, expected_origin=trust.origin
            )
        except (self.errors.ProofBundleError, OSError, UnicodeDecodeError) as error:
            raise RejectedError(repr(error)) from error
        if not found["ok"]:
            raise RejectedError(f"log {found['log_ok']}, witnesses {found['witnesses_ok']}")
        try:
            leaves = list(leaves_of(folder, found["tree_size"]))
            self._tiles(folder, leaves)
        except OSError as error:
            raise RejectedError(repr(error)) from error
        if len(leaves) != found["tree_size"] or self.merkle.merkle_tree_hash(leaves) != found["root"]:
            raise RejectedError("the entries have another root")
        if before is not None:
            proof = []
            if 0 < before.size < len(leaves):
                proof = self.merkle.consistency_proof(leaves, before.size)
            if not self.merkle.verify_consistency(
                before.size, len(leaves), proof, before.root, found["root"]
            ):
                raise RejectedError("it does not extend what was seen")
        return Seen(len(leaves), found["root"])

    def _tiles(self, folder: Path, leaves: list[bytes]) -> None:
        """Each hash of each tile is that of the entries below it."""
        level, span = 0, 1
        while span <= len(leaves):
            hashes = [
                self.merkle.merkle_tree_hash(leaves[place : place + span])
                for place in range(0, len(leaves) - span + 1, span)
            ]
            for index in range(-(-len(hashes) // 256)):
                part = hashes[256 * index : 256 * (index + 1)]
                suffix = "" if len(part) == 256 else f".p/{len(part)}"
                if (folder / f"tile/{level}/{index:03}{suffix}").read_bytes() != b"".join(part):
                    raise RejectedError(f"tile {level}/{index} has other hashes")
            level, span = level + 1, span * 256

    def receipt(self, text: str, leaf: bytes, trust: Trust) -> None:
        found = self.tlogproof.verify_tlog_proof(
            text, leaf, trust.log, trust.witnesses, threshold=trust.quorum, expected_origin=trust.origin
        )
        if not found["ok"]:
            raise RejectedError(str(found))


CHECKERS = {"tlog-scales": Scales, "proofbundle": Bundle}
