"""``hedui check``: check one household, from its application to its report."""

from __future__ import annotations

import json
from pathlib import Path

import click

from node.cli.help import Command
from node.cli.output import print_message, translated
from node.edges.operator_client import OperatorClient
from node.messages.catalogue import mark
from node.messages.words import word_text

STAGES = {
    "certify": mark("Asking the registrar for a certificate"),
    "intent": mark("Recording the intent on the ledger"),
    "answers": mark("Asking the departments"),
    "lines": mark("Verifying the answers"),
    "total": mark("Opening the total, where the rules need one"),
    "verdict": mark("Applying the rules"),
    "report": mark("Writing the report"),
}
"""What is shown when each stage of a check begins."""
EXISTING = click.Path(path_type=Path, exists=True)


@click.command(cls=Command)
@click.argument("home", type=EXISTING)
@click.argument("application", type=EXISTING)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Folder of the reports.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def check(home: Path, application: Path, out: Path, as_json: bool) -> None:
    """At the office: check the household of APPLICATION and write its report into OUT.

    A check that was interrupted, or in which a department did not answer, continues under the same intent.
    """
    client = OperatorClient(home)
    out.mkdir(parents=True, exist_ok=True)
    result = client.check(
        application.read_bytes(), out, lambda stage, *_: click.echo(stage_text(stage), err=True)
    )
    client.close()
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    print_message(
        "{case}: {outcome} [{code}]",
        case=result["case"],
        outcome=outcome_text(result["outcome"]),
        code=result["outcome"],
    )
    click.echo(f"{out / (result['case'] + '.html')}")


def stage_text(stage: str) -> str:
    """A stage of a check in the user's language; its name where it has no text."""
    return translated(STAGES[stage]) if stage in STAGES else stage


def outcome_text(code: str) -> str:
    """An outcome in the user's language; its code where a region's own rules define it."""
    text = word_text("outcome", code)
    return code if text is None else translated(text)
