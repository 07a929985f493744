"""``hedui check``: one household, from its application to its report."""

from __future__ import annotations

import json
from pathlib import Path

import click

from node.edges.operator_client import OperatorClient

EXISTING = click.Path(path_type=Path, exists=True)


@click.command()
@click.argument("home", type=EXISTING)
@click.argument("application", type=EXISTING)
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def check(home: Path, application: Path, out: Path, as_json: bool) -> None:
    """At the office: check the household of APPLICATION and write its report into OUT.

    A check that was interrupted, or whose source was silent, goes on under the same intent.
    """
    client = OperatorClient(home)
    out.mkdir(parents=True, exist_ok=True)
    result = client.check(application.read_bytes(), out, lambda stage, *_: click.echo(stage, err=True))
    client.close()
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    click.echo(f"{result['case']}: {result['outcome']}")
    click.echo(f"{out / (result['case'] + '.html')}")
