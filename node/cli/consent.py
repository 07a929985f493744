"""``hedui consent``: the registrar's consents."""

from __future__ import annotations

from pathlib import Path

import click

from ledger.entries.times import check_date
from node.cli.output import print_message
from node.edges.operator_client import OperatorClient
from node.errors import UsageError
from node.registrar.consents import QuestionAllowance

EXISTING = click.Path(path_type=Path, exists=True)


@click.group()
def consent() -> None:
    """Consents in the registrar's own store."""


@consent.command("load")
@click.argument("home", type=EXISTING)
@click.argument("folder", type=EXISTING)
def load(home: Path, folder: Path) -> None:
    """At the registrar: take the consents of the application files in FOLDER."""
    if not any(folder.glob("*.json")):
        raise UsageError(f"{folder} holds no application (*.json): give the folder of the application files")
    client = OperatorClient(home)
    result = client.load_consents(folder)
    client.close()
    click.echo(f"{result['committed']} consents committed")


@consent.command("withdraw")
@click.argument("home", type=EXISTING)
@click.argument("case")
def withdraw(home: Path, case: str) -> None:
    """At the registrar: a person of CASE withdraws; the identifier is asked for, never an argument."""
    identifier = click.prompt("Identifier", hide_input=True)
    client = OperatorClient(home)
    client.withdraw_consent(case, identifier)
    client.close()
    print_message("done.consent_withdraw", case=case)


def real_month(context: click.Context, option: click.Parameter, value: str) -> str:
    """Click's callback of ``--month``.

    Raises:
        click.BadParameter: no month of the calendar, or not written YYYY-MM.
    """
    try:
        check_date(f"{value}-01")
    except ValueError as error:
        raise click.BadParameter(f"{value} is no month: write YYYY-MM", context, option) from error
    return value


@consent.command("allow")
@click.argument("home", type=EXISTING)
@click.argument("case")
@click.option("--month", required=True, callback=real_month, metavar="YYYY-MM")
@click.option("--reason", required=True, help="Why the persons of CASE are asked again in this month.")
def allow(home: Path, case: str, month: str, reason: str) -> None:
    """At the registrar: let CASE be asked again this month, with the signatures of two people."""
    client = OperatorClient(home)
    client.allow_question(QuestionAllowance(case, month, reason))
    client.close()
    print_message("done.consent_allow", case=case, month=month, reason=reason)
