"""Receipts: a leaf's place in a cosigned tree, exactly as c2sp.org/tlog-proof says.

    c2sp.org/tlog-proof@v1
    extra <base64>                       optional, not authenticated, not used here
    index <decimal>
    <base64 hash>…                       inclusion proof, from the leaf's sibling upwards
    <empty line>
    <checkpoint note, verbatim>

A receipt needs nothing but the leaf and the network's policy to be verified, offline.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import MerkleError, NoteError, QuorumError, ReceiptError
from ledger.formats.note import MAX_NOTE_BYTES, base64_text, decimal, unbase64
from ledger.formats.policy import Policy, VerifiedCheckpoint
from ledger.merkle import HASH_BYTES, MAX_PATH, leaf_hash, verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Receipt:
    """A tlog-proof.

    Attributes:
        index: place of the leaf, from 0.
        path: inclusion proof, hashes of 32 bytes.
        checkpoint_note: the checkpoint with signatures, verbatim.
        extra: opaque bytes, not authenticated; None in this ledger's own receipts.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint_note: bytes
    extra: bytes | None = None

    @classmethod
    def parse(cls, data: bytes) -> Receipt:
        """Read a receipt; verifies nothing.

        Raises:
            ReceiptError: malformed.
        """
        if len(data) > 2 * MAX_NOTE_BYTES:
            raise ReceiptError("the receipt is too long to be one")
        head, gap, note = data.partition(b"\n\n")
        try:
            if not gap:
                raise NoteError("no empty line before the checkpoint")
            lines = head.decode("utf-8").split("\n")
            return cls._from_lines(lines, note)
        except (NoteError, UnicodeDecodeError) as error:
            raise ReceiptError(f"not a tlog-proof: {error}. Ask for the receipt again") from error

    @classmethod
    def _from_lines(cls, lines: list[str], note: bytes) -> Receipt:
        if lines[0] != HEADER:
            raise NoteError(f"the first line is not {HEADER}")
        extra, place = None, 1
        if len(lines) > 1 and lines[1].startswith("extra "):
            extra, place = unbase64(lines[1].removeprefix("extra ")), 2
        if len(lines) <= place or not lines[place].startswith("index "):
            raise NoteError("no index line")
        index = decimal(lines[place].removeprefix("index "))
        path = tuple(unbase64(line) for line in lines[place + 1 :])
        if len(path) > MAX_PATH or any(len(node) != HASH_BYTES for node in path):
            raise NoteError("the inclusion proof holds up to 63 hashes of 32 bytes")
        return cls(index, path, note, extra)

    def format(self) -> bytes:
        """The receipt's bytes."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {base64_text(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [base64_text(node) for node in self.path]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint_note

    def verify(self, policy: Policy, leaf: bytes) -> VerifiedCheckpoint:
        """Check that ``leaf`` (bytes, not its hash) is entry ``index`` of a tree under the policy's quorum.

        Raises:
            ReceiptError: it is not; the reason is named.
        """
        try:
            verified = policy.verify_checkpoint(self.checkpoint_note)
            head = verified.checkpoint
            verify_inclusion(self.index, head.size, leaf_hash(leaf), self.path, head.root)
        except (NoteError, QuorumError, MerkleError) as error:
            raise ReceiptError(f"the receipt does not prove this entry: {error}") from error
        return verified
