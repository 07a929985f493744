"""The time-stamped checkpoints of a mirror's source, for sources that can be listed: a folder, not a URL.

A note is taken when the policy's log signed it and its name says its size and root; a token with it, when it
is one of exactly that note (``ledger.timestamp.parse_token``). Whether the root is one of this very log is
for ``ledger.mirror`` to say, and whether an authority is trusted for ``ledger.verify``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ledger.errors import LedgerError, TileError
from ledger.policy import Policy
from ledger.public import TIMESTAMPS
from ledger.source import NOTE_LIMIT, Source
from ledger.stamped import NOTE, TOKEN, stamped_head
from ledger.timestamp import MAX_TOKEN_BYTES, parse_token


@dataclass(frozen=True)
class Offered:
    """One stamp that a source has and the mirror has not.

    Attributes:
        stem: name without suffix.
        size, root: of the stamped tree.
        note: the stamped checkpoint.
        token: the authority's answer.
    """

    stem: str
    size: int
    root: bytes
    note: bytes
    token: bytes

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of note and token, in the order in which they are kept."""
        yield self.stem + NOTE, self.note
        yield self.stem + TOKEN, self.token


def new_stamps(source: Source, has: Callable[[str], bool]) -> list[str]:
    """Stems of the finished stamps that a source lists and ``has`` does not know, sorted.

    Raises:
        VerificationError: the source is a folder with a symbolic link.
    """
    return sorted(
        name.removesuffix(TOKEN)
        for name in source.names() or ()
        if name.startswith(f"{TIMESTAMPS}/") and name.endswith(TOKEN) and not has(name)
    )


def read_stamp(source: Source, policy: Policy, stem: str) -> Offered | None:
    """A stamp of a source; None where it is not whole.

    Raises:
        Unavailable: the source is out of reach.
    """
    try:
        note, token = source.fetch(stem + NOTE, NOTE_LIMIT), source.fetch(stem + TOKEN, MAX_TOKEN_BYTES)
    except TileError:
        return None
    try:
        head = stamped_head(note, stem, policy)
        parse_token(token, note)
    except LedgerError:
        return None
    return Offered(stem, head.size, head.root, note, token)
