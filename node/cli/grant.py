"""``hedui grant``: request, decide and revoke a grant.

``hedui rules``: publish a rule set, approve one.
"""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.help import Group
from node.cli.output import print_message
from node.edges.operator_client import OperatorClient
from node.governance.grants import REVEALED, Decision, GrantDecision, GrantRequest, GrantRevocation

EXISTING = click.Path(path_type=Path, exists=True)
EXISTING = click.Path(path_type=Path, exists=True)


@click.group(cls=Group)
def grant() -> None:
    """Grants: what an office may ask of an owner, how often and until when."""


@grant.command("request")
@click.argument("home", type=EXISTING)
@click.option("--owner", required=True, help="Member that owns the data.")
@click.option(
    "--dataset", "datasets", required=True, multiple=True, help="A dataset of the owner; may be repeated."
)
@click.option(
    "--protocol",
    type=click.Choice(["sum", "check"]),
    default="sum",
    show_default=True,
    help="sum opens totals; check does not.",
)
@click.option("--purpose", required=True, help="Code of the purpose.")
@click.option("--basis", required=True, help="Legal basis.")
@click.option("--from", "first", required=True, metavar="DATE", help="First day, YYYY-MM-DD.")
@click.option("--until", "last", required=True, metavar="DATE", help="Last day, YYYY-MM-DD.")
@click.option(
    "--period",
    type=click.Choice(["month", "day"]),
    default="month",
    show_default=True,
    help="What slots are counted by.",
)
@click.option("--slots", type=click.IntRange(1), required=True, help="Questions in each period.")
@click.option(
    "--elements", type=click.IntRange(4), default=8, show_default=True, help="Elements in each slot."
)
@click.option(
    "--min-terms",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Smallest number of rows in a total.",
)
def request(  # noqa: PLR0913, PLR0917  one parameter per option
    home: Path,
    owner: str,
    datasets: tuple[str, ...],
    protocol: str,
    purpose: str,
    basis: str,
    first: str,
    last: str,
    period: str,
    slots: int,
    elements: int,
    min_terms: int,
) -> None:
    """At the office: request a grant from an owner; prints its id."""
    client = OperatorClient(home)
    asked = GrantRequest(
        owner=owner,
        datasets=datasets,
        protocol=protocol,
        reveal=REVEALED[protocol],
        purpose=purpose,
        basis=basis,
        first=first,
        last=last,
        period=period,
        slots=slots,
        elements=elements,
        min_terms=min_terms,
    )
    click.echo(client.request_grant(asked))
    client.close()


@grant.command("decide")
@click.argument("home", type=EXISTING)
@click.argument("grant_id", metavar="GRANT")
@click.option("--reject", is_flag=True, help="Reject instead of approving.")
def decide(home: Path, grant_id: str, reject: bool) -> None:
    """At the owner: approve or reject GRANT with the signatures of two people."""
    client = OperatorClient(home)
    client.decide_grant(GrantDecision(grant_id, Decision.REJECT if reject else Decision.APPROVE))
    client.close()
    if reject:
        print_message("{grant}: rejected, with the signatures of two people", grant=grant_id)
    else:
        print_message("{grant}: approved, with the signatures of two people", grant=grant_id)


@grant.command("revoke")
@click.argument("home", type=EXISTING)
@click.argument("grant_id", metavar="GRANT")
@click.option("--reason", required=True, help="Code of the reason.")
def revoke(home: Path, grant_id: str, reason: str) -> None:
    """At the owner: revoke GRANT with the signatures of two people."""
    client = OperatorClient(home)
    client.revoke_grant(GrantRevocation(grant_id, reason))
    client.close()
    print_message("{grant}: revoked, with the signatures of two people", grant=grant_id)


@click.group(cls=Group)
def rules() -> None:
    """Rule sets: published by the office, approved by an auditor and the owners of amount datasets."""


@rules.command("publish")
@click.argument("home", type=EXISTING)
@click.argument("file", type=EXISTING)
def publish(home: Path, file: Path) -> None:
    """At the office: put the rule set FILE on the ledger."""
    _act(home, file, "publish")


@rules.command("approve")
@click.argument("home", type=EXISTING)
@click.argument("file", type=EXISTING)
def approve(home: Path, file: Path) -> None:
    """At an approver: compare FILE with the ledger and approve it."""
    _act(home, file, "approve")


def _act(home: Path, file: Path, action: str) -> None:
    client = OperatorClient(home)
    result = client.rules(file.read_bytes(), action)
    client.close()
    click.echo(f"{result['rules']} {result['digest']}")
