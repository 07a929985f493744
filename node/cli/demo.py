"""``hedui demo``: run a whole scenario on one machine."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from node.cli.help import Command
from node.cli.output import user_messages
from node.config import EMBEDDED
from node.demo.run import SummaryRow, prepare
from node.messages.catalogue import Messages, mark
from node.messages.progress import Reporter
from node.messages.words import word_text
from protocols.profiles import PAILLIER_PROFILES

FEN_A_YUAN = 100
PIPE_WIDTH = 160
CASE, NET = mark("Case"), mark("Net income (yuan a year)")
HEADINGS = {
    CASE: False,
    mark("Outcome"): False,
    NET: True,
    mark("Persons"): True,
    mark("Counted members"): True,
    mark("Time (ms)"): True,
    mark("Receipts"): True,
}
"""Columns of the closing table, and whether each holds numbers."""
NEVER_WRAPPED = (CASE, NET)


@click.command(cls=Command)
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("hedui-demo"),
    show_default=True,
    help="Folder of the results.",
)
@click.option(
    "--residents", type=click.IntRange(1), default=2000, show_default=True, help="Residents to generate."
)
@click.option("--cases", type=click.IntRange(1), default=12, show_default=True, help="Cases to generate.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the generator.")
@click.option(
    "--suite",
    type=click.Choice(list(PAILLIER_PROFILES)),
    help="Suite of the totals, in place of the scenario's.",
)
@click.option(
    "--ledger",
    default=EMBEDDED,
    show_default=True,
    metavar="URI",
    help="embedded:, or fabric:FOLDER with one connection profile (*.toml) an organisation.",
)
def demo(
    folder: Path | None,
    out: Path,
    residents: int,
    cases: int,
    seed: int,
    suite: str | None,
    *,
    ledger: str,
) -> int:
    """Run the scenario in FOLDER, or a generated one, with a process for each member; verify every report."""
    signal.signal(signal.SIGTERM, _terminated)
    messages = user_messages()
    reporter = Reporter(sys.stdout, messages)
    began = time.monotonic()
    run = prepare(folder, out, residents, cases, seed, suite, reporter, ledger=ledger)
    rows = run.run()
    _print_table(rows, messages)
    reporter.stage_counted(
        "{count} report and the public log verify. Results: {folder}",
        "{count} reports and the public log verify. Results: {folder}",
        len(rows),
        folder=out,
    )
    reporter.stage(
        "Done in {seconds} s. Reports: {folder}",
        seconds=round(time.monotonic() - began),
        folder=out / "reports",
    )
    report, policy = out / "reports" / f"{rows[0].case}.json", out / "ledger" / "policy"
    words = ["report", "verify", str(report), "--policy", str(policy)]
    reporter.stage("Verify one yourself: {command}", command=shlex.join([*program(), *words]))
    return 0 if all(row.valid for row in rows) else 1


def program() -> list[str]:
    """The words that start this program again from here, as it was started."""
    started, found = Path(sys.argv[0]), shutil.which("hedui")
    if started.name == "__main__.py":
        return [sys.executable, "-m", "node.cli"]
    if found is not None and started.exists() and started.samefile(found):
        return ["hedui"]
    return [str(started)]


def _terminated(*_: object) -> NoReturn:
    """SIGTERM ends the run as Ctrl-C does, so that no process stays behind."""
    raise KeyboardInterrupt


def _print_table(rows: list[SummaryRow], messages: Messages) -> None:
    """Print the closing table, in lines wide enough for it where standard output is no terminal."""
    from rich.console import Console  # noqa: PLC0415  only this command prints a table
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=messages.translate("Summary"))
    for heading, is_number in HEADINGS.items():
        table.add_column(
            messages.translate(heading),
            justify="right" if is_number else "left",
            no_wrap=heading in NEVER_WRAPPED,
        )
    for row in rows:
        outcome = word_text("outcome", row.outcome)
        table.add_row(
            row.case,
            row.outcome if outcome is None else messages.translate(outcome),
            messages.translate("not opened") if row.net_fen is None else yuan(row.net_fen),
            str(row.persons),
            messages.translate("unknown") if row.heads is None else str(row.heads),
            str(row.ms),
            str(row.receipts),
        )
    console = Console()
    (console if console.is_terminal else Console(width=PIPE_WIDTH)).print(table)


def yuan(fen: int) -> str:
    """An amount in yuan with two decimals, from integers."""
    sign = "-" if fen < 0 else ""
    whole, rest = divmod(abs(fen), FEN_A_YUAN)
    return f"{sign}{whole:,}.{rest:02d}"
