"""``hedui network``: found a network, invite members, join it, admit members."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import click

from ledger.entries import entry as entries
from ledger.entries.entry import parse_signature
from ledger.entries.times import format_time
from node.cli.help import Group
from node.cli.output import print_message, user_messages
from node.config import read_configuration
from node.edges.operator_client import OperatorClient
from node.errors import ConfigurationError
from node.governance.entry_drafts import EntryDraft
from node.home import Home, require_absent, write_file
from node.member_keys import open_keys
from node.membership.network import (
    NetworkFile,
    check_admission,
    check_card,
    join,
    propose,
    read_card,
    seal,
    sign_proposal,
)
from node.membership.signing_preview import (
    admission_lines,
    admission_signed,
    proposal_lines,
    proposal_signed,
)
from node.times import system_clock
from protocols.profiles import PAILLIER_3072, PAILLIER_PROFILES

FILE = click.Path(path_type=Path)
EXISTING = click.Path(path_type=Path, exists=True)


@click.group(cls=Group)
def network() -> None:
    """A network of members around one ledger."""


@network.command("create")
@click.argument("proposal", type=FILE)
@click.option("--network", "name", required=True, help="Name of the network.")
@click.option("--epoch", required=True, help="Label of the first epoch, such as 2026-11.")
@click.option(
    "--card",
    "cards",
    required=True,
    multiple=True,
    type=EXISTING,
    help="A founder's card.json; may be repeated.",
)
@click.option(
    "--suite",
    type=click.Choice(list(PAILLIER_PROFILES)),
    default=PAILLIER_3072.name,
    show_default=True,
    help="Suite of totals.",
)
@click.option(
    "--foreign-witness",
    "foreign",
    multiple=True,
    metavar="VKEY@URL",
    help="A C2SP witness that no member runs, outside the quorum; may be repeated.",
)
@click.option(
    "--pilot", is_flag=True, help="Allow one member to have roles that are kept apart in production."
)
def create(
    proposal: Path,
    name: str,
    epoch: str,
    cards: tuple[Path, ...],
    suite: str,
    foreign: tuple[str, ...],
    pilot: bool,
) -> None:
    """Write PROPOSAL, the first entry that every founder must sign."""
    require_absent(proposal, "it may hold signatures; give another name, or move it away first")
    read = [read_card(card) for card in cards]
    found = propose(name, epoch, suite, read, pilot=pilot, foreign=foreign)
    _write(proposal, found)
    print_message("{file}: every founder signs it with `hedui network sign HOME {file}`", file=proposal)


@network.command("sign")
@click.argument("home", type=EXISTING)
@click.argument("proposal", type=EXISTING)
def sign(home: Path, proposal: Path) -> None:
    """Show PROPOSAL and sign it as a founder, after comparing the card of HOME with the one in it."""
    configuration = read_configuration(home)
    found = _read(proposal)
    _show(proposal_lines(found, user_messages()))
    sign_proposal(found, read_card(configuration.home.card), open_keys(configuration).node)
    _write(proposal, found)
    click.echo(proposal_signed(found, user_messages()))


@network.command("seal")
@click.argument("home", type=EXISTING)
@click.argument("proposal", type=EXISTING)
@click.argument("out", type=FILE)
def seal_network(home: Path, proposal: Path, out: Path) -> None:
    """At the sequencer, when all have signed: write the network file OUT and join."""
    configuration = read_configuration(home)
    require_absent(out, "the network is sealed once; choose another file")
    moment = format_time(system_clock())
    leaf, found = seal(_read(proposal), open_keys(configuration).node, moment)
    join(configuration.home, found, leaf)
    write_file(out, found.format())
    print_message("{file}: every member joins with `hedui network join HOME {file}`", file=out)


@network.command("invite")
@click.argument("home", type=EXISTING)
@click.argument("out", type=FILE)
def invite(home: Path, out: Path) -> None:
    """Write the invitation OUT for a new member: genesis digest, trust policy, first address."""
    require_absent(out)
    write_file(out, NetworkFile.read(Home(home.resolve()).require().network).format())
    print_message("{file}: the new member joins with `hedui network join HOME {file}`", file=out)


@network.command("join")
@click.argument("home", type=EXISTING)
@click.argument("invitation", type=EXISTING)
def join_network(home: Path, invitation: Path) -> None:
    """Pin the network of INVITATION in HOME."""
    join(Home(home.resolve()).require(), NetworkFile.read(invitation))
    print_message("Joined. Run the node with `hedui node run {home}`", home=home)


@network.command("admit-draft")
@click.argument("home", type=EXISTING)
@click.argument("card", type=EXISTING)
@click.argument("draft", type=FILE)
@click.option("--version", type=int, default=1, show_default=True, help="One above the member's last entry.")
def admit_draft(home: Path, card: Path, draft: Path, version: int) -> None:
    """Write DRAFT, the entry that admits the member of CARD; founders sign it with `admit-sign`."""
    require_absent(draft, "it may hold signatures; give another name, or move it away first")
    name = NetworkFile.read(Home(home.resolve()).require().network).network
    admitted = read_card(card)
    check_admission(read_configuration(home).store_url, admitted)
    body = {"member": admitted, "version": version}
    _write(draft, {"network": name, "id": secrets.token_hex(16), "body": body, "sigs": []})
    print_message("{file}: founders sign it with `hedui network admit-sign HOME {file}`", file=draft)


@network.command("admit-sign")
@click.argument("home", type=EXISTING)
@click.argument("draft", type=EXISTING)
def admit_sign(home: Path, draft: Path) -> None:
    """Show DRAFT and sign it as a founder."""
    found = _read(draft)
    check_card(found["body"]["member"])
    check_admission(read_configuration(home).store_url, found["body"]["member"])
    network_file = NetworkFile.read(Home(home.resolve()).require().network)
    _show(admission_lines(found, user_messages()))
    keys = open_keys(read_configuration(home))
    message = entries.body_message(found["network"], "member.admit", found["id"], found["body"])
    signed = entries.sign_message(keys.node, message).to_json()
    if signed not in found["sigs"]:
        found["sigs"].append(signed)
    _write(draft, found)
    click.echo(admission_signed(found, network_file, user_messages()))


@network.command("admit")
@click.argument("home", type=EXISTING)
@click.argument("draft", type=EXISTING)
def admit(home: Path, draft: Path) -> None:
    """Put DRAFT, signed by more than half of the founders, on the ledger through HOME's running node."""
    found = _read(draft)
    client = OperatorClient(home)
    entry = EntryDraft("member.admit", found["id"], found["body"])
    client.submit(entry, [parse_signature(item) for item in found["sigs"]])
    client.close()
    print_message("{member} is a member now", member=found["body"]["member"]["id"])


def _show(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is not a file of `hedui network create` or `admit-draft`"
        ) from error
    if not isinstance(value, dict) or not {"network", "body", "sigs"} <= value.keys():
        raise ConfigurationError(f"{path} is not a file of `hedui network create` or `admit-draft`")
    return value


def _write(path: Path, value: dict[str, Any]) -> None:
    write_file(path, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n")
