"""``hedui ledger package``: what an organisation installs on its Fabric peer to reach the contract."""

from __future__ import annotations

from pathlib import Path

import click

from keys.errors import WrongName
from ledger.errors import LogError
from ledger.fabric.package import Connection, Service, chaincode_package, package_id
from node.errors import UsageError
from node.home import require_absent, write_file

PUBLIC = ("ca.pem", "server.pem")


@click.command("package")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--label", required=True, help="Label of the package, such as hedui_1.")
@click.option(
    "--address", required=True, metavar="HOST:PORT", help="Where the peer reaches the chaincode server."
)
@click.option("--no-tls", is_flag=True, help="For a server beside the peer, on its loopback address, only.")
def package(folder: Path, label: str, address: str, no_tls: bool) -> None:
    """Write a Fabric chaincode package into FOLDER, with the server's TLS files; print the package id.

    The package holds the peer's key of that connection: only the own peer's administrator may have it. Files
    that are there are kept: the package that is installed belongs to them.
    """
    try:
        files, content = _files(label, address, no_tls=no_tls)
    except (LogError, WrongName) as error:
        raise UsageError(str(error)) from error
    for name in files:
        require_absent(folder / name, "the package installed with it needs it; name another folder")
    for name, data in files.items():
        write_file(folder / name, data, 0o644 if name in PUBLIC else 0o600)
    click.echo(package_id(label, content))


def _files(label: str, address: str, *, no_tls: bool) -> tuple[dict[str, bytes], bytes]:
    """What is to be written, by name, and the package among it.

    Raises:
        LogError: a label or an address that cannot be used. WrongName: no name for a certificate.
    """
    if no_tls:
        content = chaincode_package(label, Service(address))
        return {f"{label}.tar.gz": content}, content
    connection = Connection.create(address)
    content = chaincode_package(label, connection.service)
    server = connection.server
    files = {"ca.pem": connection.ca, "server.pem": server.chain_pem, "server.key": server.key_pem}
    return {**files, f"{label}.tar.gz": content}, content
