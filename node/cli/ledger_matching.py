"""The entries that `hedui ledger search` and ``export`` found, counted: no search ends in silence.

The count goes to standard error. A condition that cannot hold in this log, whatever the others, is an error:
an index beyond its end, an id that no entry has, a member, grant or purpose that stands in no entry.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger.reading import read_checkpoint
from ledger.search import Found, Wanted, matches
from ledger.search import search as search_log
from ledger.source import Source
from ledger.tiles import TILE_WIDTH
from node.cli.ledger_options import opened, progress_of, reporter
from node.errors import UsageError


class _Tally:
    """What replay has seen: how many entries, and whether id, member, grant and purpose exist at all."""

    def __init__(self, wanted: Wanted) -> None:
        self.entries = 0
        self._alone = {
            f"--receipt {wanted.id}": None if wanted.id is None else Wanted(id=wanted.id),
            f"--member {wanted.member}": None if wanted.member is None else Wanted(member=wanted.member),
            f"--grant {wanted.grant}": None if wanted.grant is None else Wanted(grant=wanted.grant),
            f"--purpose {wanted.purpose}": None if wanted.purpose is None else Wanted(purpose=wanted.purpose),
        }

    def see(self, found: Found) -> None:
        """Take an entry, whether it matches or not."""
        self.entries += 1
        for option, alone in self._alone.items():
            if alone is not None and matches(found, alone):
                self._alone[option] = None

    def check(self) -> None:
        """Every condition can hold.

        Raises:
            UsageError: an id, member, grant or purpose that is nowhere in the log.
        """
        for option, alone in self._alone.items():
            if alone is not None:
                what = "in no entry" if alone.id is None else "no file, and no entry has this id"
                raise UsageError(f"{option}: {what} among {self.entries} entries; see `hedui ledger show`")


def matching(place: str, wanted: Wanted) -> Iterator[Found]:
    """The entries of the log at a folder or URL that match, in order; then their count on standard error.

    Raises:
        UsageError: a condition that cannot hold in this log.
        ReceiptError, TileError, Unavailable: see ``ledger.search.search``.
    """
    log, shown = opened(place), reporter()
    _check_index(log, wanted)
    tally, matched = _Tally(wanted), 0
    progress = progress_of(shown, "ledger.reading")
    for found in search_log(log, wanted, progress, seen=tally.see):
        matched += 1
        yield found
    if tally.entries % TILE_WIDTH:
        progress(tally.entries, tally.entries)
    tally.check()
    shown.stage("ledger.matched", matched=matched, entries=tally.entries)


def _check_index(log: Source, wanted: Wanted) -> None:
    if wanted.index is None or wanted.receipt is not None:
        return
    size = read_checkpoint(log).size
    if wanted.index >= size:
        raise UsageError(f"--receipt {wanted.index}: the log has {size} entries, 0 to {size - 1}")
