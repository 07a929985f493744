"""``hedui ledger search``: find entries by time, member, grant, purpose, type or receipt.

``hedui ledger show``: the entries as they are, without replay.

``hedui ledger export``: entries as CSV or JSON Lines.

``search`` and ``export`` share their conditions, which must all hold, and print on standard error how many
entries matched. A condition that cannot hold in this log, whatever the others are, is an error: an
index beyond its end, or an id, member, grant or purpose that no entry names.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ledger.audit.search import FORMATS, SearchFilter, SearchHit, json_line, jsonl, matches, moment
from ledger.audit.search import search as search_log
from ledger.audit.source import LogSource, read_checkpoint, read_entries
from ledger.entries.body_schema import SCHEMAS
from ledger.entries.entry import Entry
from ledger.errors import ReceiptError
from ledger.formats.note import MAX_NOTE_BYTES
from ledger.formats.receipt import Receipt
from ledger.formats.tiles import TILE_WIDTH
from node.cli.help import Command
from node.cli.ledger_options import SOURCE, opened, progress_of, quiet_pipe, reporter
from node.cli.output import translated
from node.errors import ConfigurationError, UsageError
from node.home import require_absent
from node.messages.catalogue import mark

TYPES = frozenset(SCHEMAS) | {kind.partition(".")[0] for kind in SCHEMAS}
"""What ``--type`` may say."""


def known_type(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Click's callback of ``--type``.

    Raises:
        UsageError: no entry is of this type.
    """
    del context, option
    if value is not None and value not in TYPES:
        raise UsageError(f"--type {value} is not a type of entry: one of {', '.join(sorted(SCHEMAS))}")
    return value


_OPTIONS = (
    click.option("--from", "since", metavar="TIME", help="Not before: YYYY-MM-DD (UTC+8) or RFC 3339 UTC."),
    click.option("--until", metavar="TIME", help="Not after: YYYY-MM-DD, to its end, or RFC 3339 UTC."),
    click.option("--member", help="Signed by this member, or naming it."),
    click.option("--grant", help="About this grant, or about a question under it."),
    click.option("--purpose", help="About a question or grant of this purpose."),
    click.option("--type", "kind", callback=known_type, help="Of this type; query means every query.… type."),
    click.option("--receipt", metavar="FILE|ID|INDEX", help="The entry of a receipt, an id or a place."),
)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets ``wanted`` in their place."""

    @functools.wraps(command)
    def filled(
        *args: Any,
        since: str | None,
        until: str | None,
        member: str | None,
        grant: str | None,
        purpose: str | None,
        kind: str | None,
        receipt: str | None,
        **more: Any,
    ) -> Any:
        begin, end = _bound(since, is_end=False), _bound(until, is_end=True)
        if begin is not None and end is not None and end < begin:
            raise UsageError(f"--until {until} is before --from {since}: no entry can match")
        wanted = SearchFilter(
            since=begin,
            until=end,
            member=member,
            grant=grant,
            purpose=purpose,
            type=kind,
            **_place(receipt),
        )
        return command(*args, wanted=wanted, **more)

    for option in reversed(_OPTIONS):
        filled = option(filled)
    return filled


def _bound(text: str | None, *, is_end: bool) -> str | None:
    try:
        return None if text is None else moment(text, is_end=is_end)
    except ValueError as error:
        raise UsageError(f"{text} is not a time: write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ") from error


def _place(text: str | None) -> dict[str, Any]:
    """What a receipt's file, an entry's id or its index stands for."""
    if text is None:
        return {}
    path = Path(text)
    if path.is_file():
        try:
            with path.open("rb") as file:
                receipt = Receipt.parse(file.read(2 * MAX_NOTE_BYTES + 1))
        except (OSError, ReceiptError) as error:
            raise UsageError(f"{text} is not a receipt: {error}") from error
        return {"receipt": receipt, "index": receipt.index}
    if text.isdecimal() and len(text) < 19:
        return {"index": int(text)}
    return {"id": text}


class _Tally:
    """What replay has seen: how many entries, and whether id, member, grant and purpose exist at all."""

    def __init__(self, wanted: SearchFilter) -> None:
        self.entries = 0
        self._alone = {
            f"--receipt {wanted.id}": None if wanted.id is None else SearchFilter(id=wanted.id),
            f"--member {wanted.member}": None
            if wanted.member is None
            else SearchFilter(member=wanted.member),
            f"--grant {wanted.grant}": None if wanted.grant is None else SearchFilter(grant=wanted.grant),
            f"--purpose {wanted.purpose}": None
            if wanted.purpose is None
            else SearchFilter(purpose=wanted.purpose),
        }

    def see(self, found: SearchHit) -> None:
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


def matching(place: str, wanted: SearchFilter) -> Iterator[SearchHit]:
    """The entries of the log at a folder or URL that match, in order; then their count on standard error.

    Raises:
        UsageError: a condition that cannot hold in this log.
        ReceiptError, TileError, LogUnavailableError: see ``ledger.audit.search.search``.
    """
    log, shown = opened(place), reporter()
    _check_index(log, wanted)
    tally, matched = _Tally(wanted), 0
    progress = progress_of(shown, mark("read"))
    for found in search_log(log, wanted, progress, seen=tally.see):
        matched += 1
        yield found
    if tally.entries % TILE_WIDTH:
        progress(tally.entries, tally.entries)
    tally.check()
    shown.stage("{matched} of {entries} entries match", matched=matched, entries=tally.entries)


def _check_index(log: LogSource, wanted: SearchFilter) -> None:
    if wanted.index is None or wanted.receipt is not None:
        return
    size = read_checkpoint(log).size
    if wanted.index >= size:
        raise UsageError(f"--receipt {wanted.index}: the log has {size} entries, 0 to {size - 1}")


@click.command(cls=Command)
@SOURCE
@filters
@click.option("--json", "as_json", is_flag=True, help="Print whole entries, a line each.")
def search(source: str, wanted: SearchFilter, *, as_json: bool) -> None:
    """Search the public log in a folder or at a URL; every condition given must hold.

    Entries are replayed from the first, so that void ones are marked and each key is known as its member's.
    Verify the log first: a search does not. The number of matches is printed on standard error.
    """
    with quiet_pipe():
        if as_json:
            for line in jsonl(matching(source, wanted)):
                click.echo(line, nl=False)
            return
        for found in matching(source, wanted):
            click.echo(_found_line(found))


def _found_line(found: SearchHit) -> str:
    """An entry for people."""
    entry = found.entry
    head = f"{found.index:6} " + (
        translated("no entry")
        if entry is None
        else f"{entry.time} {entry.type:20} {found.by or '?':12} {entry.id}"
    )
    if found.void is None:
        return head
    void = translated("void: {code}", code=found.void)
    return f"{head}  {void}"


@click.command(cls=Command)
@SOURCE
@click.option("--type", "kind", callback=known_type, help="Of this type; query means every query.… type.")
@click.option("--json", "as_json", is_flag=True, help="Print whole entries, a line each.")
def show(source: str, kind: str | None, *, as_json: bool) -> None:
    """List the entries of the public log in a folder or at a URL."""
    with quiet_pipe():
        for index, entry in read_entries(opened(source)):
            if kind in (None, entry.type, entry.type.partition(".")[0]):
                click.echo(_whole(index, entry) if as_json else _line(index, entry))


def _whole(index: int, entry: Entry) -> str:
    """An entry as JSON."""
    whole = {"index": index, "type": entry.type, "id": entry.id, "time": entry.time, "body": entry.body}
    return json_line(whole)


def _line(index: int, entry: Entry) -> str:
    """An entry for people; of a grant's entries the grant's own id too, which commands ask for."""
    grant = entry.body.get("grant")
    line = f"{index:6} {entry.time} {entry.type:20} {entry.id}"
    if not isinstance(grant, str) or not grant.isascii() or not grant.isprintable():
        return line
    named = translated("grant {grant}", grant=grant)
    return f"{line}  {named}"


@click.command(cls=Command)
@SOURCE
@click.option(
    "--format", "form", required=True, type=click.Choice(sorted(FORMATS)), help="Format of the rows."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File; else standard output.")
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@filters
def export(source: str, form: str, output: Path | None, wanted: SearchFilter, *, force: bool) -> None:
    """Write the entries of the public log in a folder or at a URL as rows.

    The conditions are those of `hedui ledger search`. The columns are listed in ledger/audit/search.py. CSV
    is UTF-8; a cell that a spreadsheet would compute gets an apostrophe before it. The number of rows written
    is printed on standard error.
    """
    if output is not None:
        _check(output, replace=force)
    lines = FORMATS[form](matching(source, wanted))
    if output is None:
        with quiet_pipe():
            for line in lines:
                sys.stdout.buffer.write(line.encode())
        return
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as file:
            for line in lines:
                file.write(line.encode())
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


def _check(output: Path, *, replace: bool) -> None:
    """Refuse a name that a file cannot take: a device or a link would be replaced by one.

    Raises:
        UsageError: something is there already, and is not to be replaced or is no file.
        ConfigurationError: there is no such folder.
    """
    if output.is_symlink() or (output.exists() and not output.is_file()):
        raise UsageError(
            f"{output} is not a regular file: give another name, or redirect standard output instead"
        )
    if not output.absolute().parent.is_dir():
        raise ConfigurationError(f"{output.parent} is not a folder: create it, or choose another")
    if not replace:
        require_absent(output, "give another name, or --force to replace it")
