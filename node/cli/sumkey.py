"""``hedui sumkey``: the dealer ceremony of the network's sum key.

``hedui share``: the trustee's exceptions.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from ledger.entries import bodies
from ledger.entries.entry import parse_signature
from node.cli.help import Group
from node.cli.output import print_message, translated
from node.config import read_configuration
from node.edges.operator_client import OperatorClient
from node.errors import UsageError
from node.governance.entry_drafts import EntryDraft
from node.home import require_absent, write_file
from node.member_keys import open_keys
from node.membership import sum_key_ceremony
from node.membership.network import read_card
from node.membership.sum_key_ceremony import recorded_modulus
from node.messages.catalogue import mark
from node.trustee.release import exception_salt
from protocols.encoding import commit, from_hex
from protocols.profiles import PAILLIER_3072, PAILLIER_PROFILES

FINGERPRINT = mark("fingerprint of n: {fingerprint}")
EXISTING = click.Path(path_type=Path, exists=True)
FILE = click.Path(path_type=Path)
_DIGEST = re.compile("[0-9a-f]{64}")


@click.group(cls=Group)
def sumkey() -> None:
    """The key under which amounts are added; the office and the trustees hold its shares."""


@sumkey.command("deal")
@click.argument("out", type=FILE)
@click.option("--network", required=True, help="Name of the network.")
@click.option("--office", required=True, type=EXISTING, help="The office's card.json.")
@click.option(
    "--trustee",
    "trustees",
    required=True,
    multiple=True,
    type=EXISTING,
    help="A trustee's card.json; may be repeated.",
)
@click.option(
    "--suite",
    type=click.Choice(list(PAILLIER_PROFILES)),
    default=PAILLIER_3072.name,
    show_default=True,
    help="Suite of the key.",
)
def deal(out: Path, network: str, office: Path, trustees: tuple[Path, ...], suite: str) -> None:
    """Hold the key ceremony on an offline machine; write the public key and the sealed shares to OUT."""
    require_absent(out, "its sealed shares may be the only ones; give another name, or move it away first")
    click.echo(translated("Searching for two safe primes"), err=True)
    result = sum_key_ceremony.run(
        network, suite, read_card(office), [read_card(trustee) for trustee in trustees]
    )
    write_file(out, json.dumps(result, indent=1).encode() + b"\n")
    _print_fingerprint(result["body"])
    print_message(
        "{file}: the holders install it, the trustees sign it, the office publishes it. Wipe this machine",
        file=out,
    )


@sumkey.command("install")
@click.argument("home", type=EXISTING)
@click.argument("file", type=EXISTING)
def install(home: Path, file: Path) -> None:
    """At a holder: open and check this member's share, and keep it in the vault."""
    configuration = read_configuration(home)
    recorded = recorded_modulus(configuration.store_url)
    vault = open_keys(configuration).vault
    shown = sum_key_ceremony.install(sum_key_ceremony.read_file(file), configuration.member, vault, recorded)
    print_message(FINGERPRINT, fingerprint=shown)


@sumkey.command("sign")
@click.argument("home", type=EXISTING)
@click.argument("file", type=EXISTING)
def sign(home: Path, file: Path) -> None:
    """At a trustee: sign the public key for the ledger."""
    found = sum_key_ceremony.read_file(file)
    client = OperatorClient(home)
    sum_key_ceremony.require_trustee(found, client.member)
    signed = client.sign_as_member(_draft(found)).to_json()
    client.close()
    if signed not in found["sigs"]:
        found["sigs"].append(signed)
    _print_fingerprint(found["body"])
    write_file(file, json.dumps(found, indent=1).encode() + b"\n")


def _draft(ceremony: dict[str, Any]) -> EntryDraft:
    """The entry that publishes a ceremony's key; its id is derived from the ceremony's record."""
    return EntryDraft("sumkey.publish", ceremony["record"]["salt"][:32], ceremony["body"])


@sumkey.command("publish")
@click.argument("home", type=EXISTING)
@click.argument("file", type=EXISTING)
def publish(home: Path, file: Path) -> None:
    """At the office: put the key, signed by every trustee, on the ledger."""
    found = sum_key_ceremony.read_file(file)
    client = OperatorClient(home)
    signatures = [parse_signature(item) for item in found["sigs"]]
    client.submit(_draft(found), signatures)
    client.close()
    print_message("The sum key is on the ledger")
    _print_fingerprint(found["body"])


def _print_fingerprint(body: dict[str, Any]) -> None:
    """Print the fingerprint that the holders compare."""
    print_message(FINGERPRINT, fingerprint=sum_key_ceremony.fingerprint(body["modulus"]))


@click.group(cls=Group)
def share() -> None:
    """The trustee's shares of totals."""


@share.command("except")
@click.argument("home", type=EXISTING)
@click.argument("query")
@click.option(
    "--case", "case_index", type=click.IntRange(0), default=0, help="Index of the case; 0 when absent."
)
@click.option("--list", "digest", required=True, metavar="DIGEST", help="The list, as the refusal named it.")
@click.option("--reason", required=True, help="Code of the reason.")
def allow(home: Path, query: str, case_index: int, digest: str, reason: str) -> None:
    """At the trustee: allow rows that were opened before to be opened in one list of QUERY.

    Two people sign.
    """
    if _DIGEST.fullmatch(digest) is None:
        raise UsageError(
            f"--list {digest} is not a digest: give the 64 hex characters that the refusal named"
        )
    client = OperatorClient(home)
    salt = exception_salt(client.keys.vault.get("exceptions"), query, case_index)
    named = commit(salt, b"list", from_hex(digest)).hex()
    body = bodies.share_exception(query, case_index, named, reason)
    client.submit_by_two(EntryDraft.new("share.exception", body))
    client.close()
    print_message(
        "{query}, case {case}: the list may be opened, signed by two people", query=query, case=case_index
    )
