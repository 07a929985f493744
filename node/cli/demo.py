"""``hedui demo``: a whole scenario on one machine."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Table

from node.config import EMBEDDED, preferred_language
from node.demo.run import SummaryRow, prepare
from node.messages import Messages, Reporter
from protocols.profiles import PAILLIER_PROFILES

FEN_A_YUAN = 100
PIPE_WIDTH = 160


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), default=Path("hedui-demo"), show_default=True)
@click.option("--residents", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--cases", type=click.IntRange(1), default=12, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--suite",
    type=click.Choice(list(PAILLIER_PROFILES)),
    help="Suite of totals; goes before the scenario's own.",
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
    """Run the scenario FOLDER, or a generated one: every member its own process, every report verified."""
    signal.signal(signal.SIGTERM, _terminated)
    console, messages = _console(), Messages(preferred_language())
    reporter = Reporter(console, messages)
    began = time.monotonic()
    run = prepare(folder, out, residents, cases, seed, suite, reporter, ledger=ledger)
    rows = run.run()
    console.print(_table(rows, messages))
    reporter.stage("demo.valid", count=len(rows), folder=str(out))
    reporter.stage("demo.done", seconds=round(time.monotonic() - began), folder=str(out / "reports"))
    report, policy = out / "reports" / f"{rows[0].case}.json", out / "ledger" / "policy"
    words = ["report", "verify", str(report), "--policy", str(policy)]
    reporter.stage("demo.next", command=shlex.join([*program(), *words]))
    return 0 if all(row.valid for row in rows) else 1


def program() -> list[str]:
    """The words that start this program again from here, as it was started."""
    started, found = Path(sys.argv[0]), shutil.which("hedui")
    if started.name == "__main__.py":
        return [sys.executable, "-m", "node.cli"]
    if found is not None and started.exists() and started.samefile(found):
        return ["hedui"]
    return [str(started)]


def _console() -> Console:
    """The terminal; where there is none, lines wide enough for the closing table."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)


def _terminated(*_: object) -> NoReturn:
    """SIGTERM ends the run as Ctrl-C does, so that no process stays behind."""
    raise KeyboardInterrupt


def _table(rows: list[SummaryRow], messages: Messages) -> Table:
    """The closing table: case, outcome, net where opened, persons, time, receipts."""
    table = Table(title=messages.text("summary.title"))
    for heading in ("case", "outcome", "net", "persons", "heads", "ms", "receipts"):
        right = heading in ("net", "persons", "heads", "ms", "receipts")
        table.add_column(
            messages.text(f"summary.{heading}"),
            justify="right" if right else "left",
            no_wrap=heading in ("case", "net"),
        )
    for row in rows:
        identifier = f"outcome.{row.outcome}"
        outcome = messages.text(identifier) if messages.has(identifier) else row.outcome
        table.add_row(
            row.case,
            outcome,
            messages.text("summary.not_opened") if row.net_fen is None else yuan(row.net_fen),
            str(row.persons),
            messages.text("summary.unknown") if row.heads is None else str(row.heads),
            str(row.ms),
            str(row.receipts),
        )
    return table


def yuan(fen: int) -> str:
    """An amount in yuan with two decimals, from integers."""
    sign = "-" if fen < 0 else ""
    whole, rest = divmod(abs(fen), FEN_A_YUAN)
    return f"{sign}{whole:,}.{rest:02d}"
