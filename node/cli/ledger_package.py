"""``hedui ledger package``: what an organisation installs on its Fabric peer to reach the contract."""

from __future__ import annotations

from pathlib import Path

import click

from ledger.fabric.package import Connection, Service, chaincode_package, package_id
from node.home import write_file


@click.command("package")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--label", required=True, help="Label of the package, such as hedui_1.")
@click.option(
    "--address", required=True, metavar="HOST:PORT", help="Where the peer reaches the chaincode server."
)
@click.option("--no-tls", is_flag=True, help="For a server beside the peer, on its loopback address, only.")
def package(folder: Path, label: str, address: str, no_tls: bool) -> None:
    """Write a Fabric chaincode package into FOLDER, with the server's TLS files; print the package id.

    The package holds the peer's key of that connection: only the own peer's administrator may have it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    service = Service(address)
    if not no_tls:
        connection = Connection.create(address)
        service = connection.service
        write_file(folder / "ca.pem", connection.ca)
        write_file(folder / "server.pem", connection.server.chain_pem)
        write_file(folder / "server.key", connection.server.key_pem, 0o600)
    content = chaincode_package(label, service)
    write_file(folder / f"{label}.tar.gz", content, 0o600)
    click.echo(package_id(label, content))
