"""``hedui consent``: load and withdraw consents, and allow another question in a month."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ledger.entries.times import check_date
from node.cli.help import Group
from node.cli.output import counted, print_message, translated
from node.edges.operator_client import OperatorClient
from node.errors import UsageError
from node.registrar.recent_subjects import QuestionAllowance

EXISTING = click.Path(path_type=Path, exists=True)


@click.group(cls=Group)
def consent() -> None:
    """Consents in the registrar's store."""


@consent.command("load")
@click.argument("home", type=EXISTING)
@click.argument("folder", type=EXISTING)
def load(home: Path, folder: Path) -> None:
    """At the registrar: load the consents of the application files in FOLDER."""
    if not any(folder.glob("*.json")):
        raise UsageError(
            f"{folder} contains no application (*.json): give the folder of the application files"
        )
    client = OperatorClient(home)
    result = client.load_consents(folder)
    client.close()
    click.echo(counted("{count} consent recorded", "{count} consents recorded", result["committed"]))


@consent.command("withdraw")
@click.argument("home", type=EXISTING)
@click.argument("case")
def withdraw(home: Path, case: str) -> None:
    """At the registrar: withdraw the consent of a person of CASE.

    The command asks for the identifier, so that it is never an argument.
    """
    identifier = read_identifier()
    client = OperatorClient(home)
    client.withdraw_consent(case, identifier)
    client.close()
    print_message("{case}: the consent is withdrawn, and the withdrawal is on the ledger", case=case)


def read_identifier() -> str:
    """An identifier, asked for without echo at a terminal and read as one line elsewhere.

    Raises:
        UsageError: the input ends before it.
    """
    if sys.stdin.isatty():
        return str(click.prompt(translated("Identifier"), hide_input=True))
    line = sys.stdin.readline().strip()
    if not line:
        raise UsageError("no identifier was given: give it on standard input")
    return line


def real_month(context: click.Context, option: click.Parameter, value: str) -> str:
    """Click's callback of ``--month``.

    Raises:
        click.BadParameter: no month of the calendar, or not written YYYY-MM.
    """
    try:
        check_date(f"{value}-01")
    except ValueError as error:
        raise click.BadParameter(
            translated("{value} is not a month: write YYYY-MM", value=value), context, option
        ) from error
    return value


@consent.command("allow")
@click.argument("home", type=EXISTING)
@click.argument("case")
@click.option("--month", required=True, callback=real_month, metavar="YYYY-MM", help="The month.")
@click.option("--reason", required=True, help="Why the persons of CASE are asked about again in this month.")
def allow(home: Path, case: str, month: str, reason: str) -> None:
    """At the registrar: let CASE be asked again this month, with the signatures of two people."""
    client = OperatorClient(home)
    client.allow_question(QuestionAllowance(case=case, month=month, reason=reason))
    client.close()
    print_message(
        "{case}: may be asked again in {month}, reason {reason}, signed by two people",
        case=case,
        month=month,
        reason=reason,
    )
