"""``hedui dataset``: check a source, publish a dataset, fetch and verify publications."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from adapters.dataset import DatasetSpec, check_dataset
from node.cli.help import Group
from node.cli.output import counted, print_message, translated
from node.config import preferred_language
from node.department.declaration import read_dataset_file
from node.edges.operator_client import OperatorClient
from node.errors import UsageError

EXISTING = click.Path(path_type=Path, exists=True)


@click.group(cls=Group)
def dataset() -> None:
    """A department's data."""


@dataset.command("check")
@click.argument("source")
@click.option("--identifier", required=True, metavar="COL", help="Column of the resident identifier.")
@click.option("--amount", metavar="COL", help="Column of the amount; without it a member dataset is checked.")
@click.option("--unit", type=click.Choice(["yuan", "fen", "wan"]), help="Unit of the amounts.")
@click.option("--where", metavar="SQL", help="Condition over the source's columns.")
@click.option(
    "--row-key", multiple=True, metavar="COL", help="Rows with the same key count once; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    source: str,
    identifier: str,
    amount: str | None,
    unit: str | None,
    where: str | None,
    row_key: tuple[str, ...],
    as_json: bool,
) -> None:
    """Read SOURCE and report what would be published: counts and reasons, never a value."""
    kind = "member" if amount is None else "amount"
    spec = DatasetSpec(source, identifier, kind, amount, unit, where, row_key, Path())
    report = check_dataset(spec)
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False))
        return
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415  only this command prints a table

    rows = report.table("zh-CN" if preferred_language() == "zh" else "en")
    width = max(cell_len(label) for label, _ in rows)
    for label, text in rows:  # whole values, also where a terminal or a pipe is narrow
        click.echo(f" {set_cell_size(label, width)}  {text or ''}".rstrip())


@dataset.command("publish")
@click.argument("home", type=EXISTING)
@click.argument("datasets", type=EXISTING)
@click.option("--epoch", required=True, help="Label of the epoch.")
@click.option("--only", metavar="DATASET", help="Publish only this dataset of the file.")
def publish(home: Path, datasets: Path, epoch: str, only: str | None) -> None:
    """Publish this department's datasets, described in the TOML file DATASETS ([[dataset]] tables)."""
    described = read_dataset_file(datasets.read_bytes(), datasets.name)
    wanted = [found for found in described if only in (None, found.id)]
    if not wanted:
        raise UsageError(_nothing(datasets, only, [found.id for found in described]))
    client = OperatorClient(home)
    for found in wanted:
        result = client.publish(found, datasets.parent, epoch, _show)
        click.echo(
            counted(
                "{dataset} {publication}: {count} row with padding",
                "{dataset} {publication}: {count} rows with padding",
                result["count"],
                dataset=found.id,
                publication=result["publication"],
            )
        )
    client.close()


@dataset.command("verify")
@click.argument("home", type=EXISTING)
def verify(home: Path) -> None:
    """At an office or auditor: fetch every new publication, rebuild it and record that it is correct."""
    client = OperatorClient(home)
    verified = client.verify(_show)["verified"]
    for name in verified:
        print_message("{name} verified", name=name)
    client.close()
    if not verified:
        print_message("No new publication to verify")


@dataset.command("retire")
@click.argument("home", type=EXISTING)
@click.argument("name", metavar="DATASET")
@click.argument("publication")
def retire(home: Path, name: str, publication: str) -> None:
    """At the owner: destroy the key of a superseded PUBLICATION and record it."""
    client = OperatorClient(home)
    client.retire(name, publication)
    client.close()
    print_message(
        "{dataset} {publication}: the key is destroyed, and this is on the ledger",
        dataset=name,
        publication=publication,
    )


def _nothing(file: Path, only: str | None, there: list[str]) -> str:
    """Why there is nothing to publish."""
    if only is None or not there:
        return f"{file} describes no dataset: it needs [[dataset]] tables"
    return f"--only {only}: {file} describes no such dataset; there are {', '.join(there)}"


def _show(stage: str, values: dict[str, Any], done: int, total: int) -> None:
    """Progress on standard error."""
    name = values.get("dataset", stage)
    click.echo(translated("{name}: {done} of {total}", name=name, done=done, total=total), err=True)
