"""``hedui sumkey``: the dealer ceremony of the network's sum key."""

from __future__ import annotations

import json
from pathlib import Path

import click

from node import ceremony
from node.cli.said import say
from node.config import read_configuration
from node.home import require_absent, write_file
from node.identity import open_keys
from node.network import read_card
from node.operator import OperatorClient
from node.sumkeys import recorded_modulus
from protocols.profiles import PAILLIER_3072, PAILLIER_PROFILES

EXISTING = click.Path(path_type=Path, exists=True)
FILE = click.Path(path_type=Path)


@click.group()
def sumkey() -> None:
    """The key under which amounts are added; office and trustees hold its shares."""


@sumkey.command("deal")
@click.argument("out", type=FILE)
@click.option("--network", required=True, help="Name of the network.")
@click.option("--office", required=True, type=EXISTING, help="The office's card.json.")
@click.option(
    "--trustee", "trustees", required=True, multiple=True, type=EXISTING, help="A trustee's card.json."
)
@click.option(
    "--suite", type=click.Choice(list(PAILLIER_PROFILES)), default=PAILLIER_3072.name, show_default=True
)
def deal(out: Path, network: str, office: Path, trustees: tuple[Path, ...], suite: str) -> None:
    """Hold the ceremony on an offline machine; OUT gets the public key and the sealed shares."""
    require_absent(out, "its sealed shares may be the only ones; give another name, or move it away first")
    click.echo("Searching two safe primes", err=True)
    result = ceremony.run(network, suite, read_card(office), [read_card(trustee) for trustee in trustees])
    write_file(out, json.dumps(result, indent=1).encode() + b"\n")
    click.echo(f"fingerprint of n: {ceremony.fingerprint(result['body']['modulus'])}")
    click.echo(f"{out}: holders install it; trustees sign it; the office publishes it. Wipe this machine")


@sumkey.command("install")
@click.argument("home", type=EXISTING)
@click.argument("file", type=EXISTING)
def install(home: Path, file: Path) -> None:
    """At a holder: open and check the own share, keep it in the vault."""
    configuration = read_configuration(home)
    recorded = recorded_modulus(configuration.store_url)
    vault = open_keys(configuration).vault
    shown = ceremony.install(ceremony.read_file(file), configuration.member, vault, recorded)
    click.echo(f"fingerprint of n: {shown}")


@sumkey.command("sign")
@click.argument("home", type=EXISTING)
@click.argument("file", type=EXISTING)
def sign(home: Path, file: Path) -> None:
    """At a trustee: sign the public key for the ledger."""
    found = ceremony.read_file(file)
    client = OperatorClient(home)
    ceremony.require_trustee(found, client.member)
    signed = client.sign_body("sumkey.publish", found["record"]["salt"][:32], found["body"])
    client.close()
    if signed not in found["sigs"]:
        found["sigs"].append(signed)
    click.echo(f"fingerprint of n: {ceremony.fingerprint(found['body']['modulus'])}")
    write_file(file, json.dumps(found, indent=1).encode() + b"\n")


@sumkey.command("publish")
@click.argument("home", type=EXISTING)
@click.argument("file", type=EXISTING)
def publish(home: Path, file: Path) -> None:
    """At the office: put the key, signed by every trustee, on the ledger."""
    found = ceremony.read_file(file)
    client = OperatorClient(home)
    client.submit("sumkey.publish", found["body"], found["record"]["salt"][:32], found["sigs"])
    client.close()
    say("done.sumkey_publish", fingerprint=ceremony.fingerprint(found["body"]["modulus"]))
