"""``hedui ledger reconcile``: compare node journals, the public log and the office's case files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ledger.audit.search import moment
from ledger.entries.times import parse_time
from node.audit.reconcile import compare
from node.audit.reconcile.difference import DIFFERENCE_TEXTS, SIDE_TEXTS, Difference
from node.audit.reconcile.journal import read_file, read_home
from node.audit.reconcile.sides import read_case_files, read_ledger
from node.cli.help import Command
from node.cli.ledger_options import JSON, SOURCE, opened
from node.cli.output import user_messages
from node.config import Configuration, read_configuration
from node.errors import EXIT_DIFFERENT, EXIT_OK, UsageError
from node.messages.catalogue import LANGUAGES, Messages
from node.times import system_clock

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(cls=Command)
@SOURCE
@click.option(
    "--home", "homes", multiple=True, type=FOLDER, help="A node's home on this machine; may be repeated."
)
@click.option(
    "--journal", "files", multiple=True, type=FILE, help="A journal that a member exported; may be repeated."
)
@click.option("--reports", type=FOLDER, help="The office's reports.")
@click.option("--openings", type=FOLDER, help="The office's openings; else those of a home that is given.")
@click.option(
    "--as-of",
    metavar="TIME",
    help="When ages are counted: the end of YYYY-MM-DD (UTC+8), or RFC 3339 UTC; else now.",
)
@JSON
@click.option("--language", type=click.Choice(LANGUAGES), help="Language; else the environment's.")
def reconcile(
    source: str,
    *,
    homes: tuple[Path, ...],
    files: tuple[Path, ...],
    reports: Path | None,
    openings: Path | None,
    as_of: str | None,
    as_json: bool,
    language: str | None,
) -> int:
    """Compare the public log in a folder or at a URL with journals and case files; name every difference.

    Verify the log first with `hedui ledger verify`. Exit status: 0 if nothing differs, 4 if something
    does, any other value for an error.
    """
    if not (homes or files) and reports is None:
        raise UsageError("give at least one --home, --journal or --reports to compare the log with")
    ledger = read_ledger(opened(source))
    configurations = [read_configuration(home) for home in homes]
    journals = [read_home(configuration) for configuration in configurations]
    journals += [read_file(path, ledger.view) for path in files]
    if openings is not None and not any(openings.glob("*.json")):
        raise UsageError(
            f"{openings} contains no openings (*.json): give the office's own folder of openings"
        )
    case_files = read_case_files(reports, _openings(openings, configurations))
    found = compare.reconcile(ledger, journals, case_files, _moment(as_of))
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        for line in shown(found, user_messages(language)):
            click.echo(line)
    return EXIT_DIFFERENT if found.differences else EXIT_OK


def shown(found: compare.Reconciliation, messages: Messages) -> list[str]:
    """Lines for people."""
    lines = [
        messages.translate(
            "Compared: {entries} entries, journals of {journals}, {reports} reports",
            entries=found.entries,
            journals=", ".join(found.members) or "-",
            reports=found.reports,
        )
    ]
    if found.missing:
        lines.append(
            messages.translate(
                "Not compared, for no journal of them was given: {members}", members=", ".join(found.missing)
            )
        )
    if found.closes:
        lines.append(
            messages.counted(
                "Not compared: query.close of {count} report, because no closings were given (`hedui node "
                "journal "
                "--closings` at the office)",
                "Not compared: query.close of {count} reports, because no closings were given (`hedui node "
                "journal "
                "--closings` at the office)",
                found.closes,
            )
        )
    for one in found.differences:
        lines += _difference(one, messages)
    for slot in found.slots:
        lines.append(
            messages.translate(
                "Slots of {owner}'s grant {grant} in {period}: {taken} taken, {used} used",
                grant=slot.grant,
                owner=slot.owner,
                period=slot.period,
                taken=slot.taken,
                used=slot.used,
            )
        )
    if found.pending:
        lines.append(
            messages.counted(
                "{count} record is too young to be judged: run the command again tomorrow",
                "{count} records are too young to be judged: run the command again tomorrow",
                found.pending,
            )
        )
    count = len(found.differences)
    if count:
        closing = messages.counted(
            "{count} difference: ask the member named", "{count} differences: ask the members named", count
        )
        return [*lines, closing]
    if found.missing or found.closes:
        return [*lines, messages.translate("Nothing differs in what was compared")]
    return [*lines, messages.translate("Nothing differs")]


def _difference(one: Difference, messages: Messages) -> list[str]:
    """A difference and each side's word."""
    place = " ".join(part for part in (one.who, one.query, one.about) if part)
    words = "; ".join(f"{messages.translate(SIDE_TEXTS[side])}: {word}" for side, word in one.sides)
    return [f"{one.code} [{place}]", f"  {messages.translate(DIFFERENCE_TEXTS[one.code])}", f"  {words}"]


def _openings(given: Path | None, configurations: list[Configuration]) -> Path | None:
    """The folder of openings: the one given, else that of the first office among the homes."""
    if given is not None:
        return given
    own = (one.home.openings for one in configurations if "office" in one.roles)
    return next((folder for folder in own if folder.is_dir()), None)


def _moment(text: str | None) -> int:
    """Seconds since 1970 of ``--as-of``, or now.

    Raises:
        UsageError: neither a date nor a UTC time.
    """
    if text is None:
        return system_clock()
    try:
        return parse_time(moment(text, is_end=True))
    except ValueError as error:
        raise UsageError(f"--as-of {text}: write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ") from error
