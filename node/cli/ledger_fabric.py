"""``hedui ledger chaincode``: run the contract as a service for Fabric peers.

``hedui ledger package``: what an organisation installs on its Fabric peer to reach the contract.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import click

from keys.errors import WrongNameError
from ledger.errors import LogError
from ledger.fabric.chaincode import NAMES, Chaincode
from ledger.fabric.package import Connection, Service, chaincode_package, package_id
from ledger.fabric.profile import is_loopback
from ledger.fabric.shim import WORKERS, ChaincodeServer, ServerCredentials, server_credentials
from node.cli.help import Command
from node.cli.logs import log_to_stderr
from node.cli.output import print_message
from node.errors import UsageError
from node.home import require_absent, write_file

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
PUBLIC = ("ca.pem", "server.pem")


@click.command("chaincode", cls=Command)
@click.option("--listen", metavar="HOST:PORT", required=True, help="Where peers connect.")
@click.option(
    "--id", "package", metavar="PACKAGE-ID", required=True, help="Id of the package that the peers installed."
)
@click.option(
    "--name",
    "names",
    multiple=True,
    default=NAMES,
    show_default=True,
    help="Name of the committed chaincode definition; may be given several times.",
)
@click.option("--tls-cert", type=FILE, help="Certificate chain of this server, PEM.")
@click.option("--tls-key", type=FILE, help="Key of that certificate, PEM.")
@click.option(
    "--client-ca",
    type=FILE,
    help="Accept only peers with a certificate of this authority, PEM; required off the loopback address.",
)
@click.option(
    "--workers",
    default=WORKERS,
    show_default=True,
    help="Transactions of one peer that are worked on at once.",
)
def chaincode(
    listen: str,
    package: str,
    names: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    client_ca: Path | None,
    workers: int,
) -> None:
    """Run the ledger's contract as a Fabric chaincode service."""
    _check_reach(listen, client_ca)
    log_to_stderr()
    credentials = _credentials(tls_cert, tls_key, client_ca)
    server = ChaincodeServer(Chaincode(lambda: int(time.time()), names=names), package, workers)
    port = server.start(listen, credentials)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.end())
    if credentials:
        print_message("the chaincode listens on port {port}", port=port)
    else:
        print_message("the chaincode listens on port {port} without TLS", port=port)
    server.wait()
    server.stop()


def _check_reach(listen: str, client_ca: Path | None) -> None:
    """Refuse to answer strangers: a client that connects can use every stream."""
    host = listen.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if client_ca is None and not is_loopback(host):
        raise UsageError(
            f"{listen} can be reached by others than the peer: give --client-ca, the ca.pem of the package "
            "(with --tls-cert and --tls-key), or listen on 127.0.0.1"
        )


def _credentials(cert: Path | None, key: Path | None, ca: Path | None) -> ServerCredentials | None:
    if cert is None and key is None and ca is None:
        return None
    if cert is None or key is None:
        raise UsageError("give --tls-cert and --tls-key together")
    try:
        pair = (key.read_bytes(), cert.read_bytes())
        root = None if ca is None else ca.read_bytes()
    except OSError as error:
        raise LogError("a TLS file cannot be read: check its path and its permissions") from error
    return server_credentials(*pair, root)


@click.command("package", cls=Command)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--label", required=True, help="Label of the package, such as hedui_1.")
@click.option(
    "--address", required=True, metavar="HOST:PORT", help="Where the peer reaches the chaincode server."
)
@click.option("--no-tls", is_flag=True, help="Only for a server beside the peer, on its loopback address.")
def package(folder: Path, label: str, address: str, no_tls: bool) -> None:
    """Write a Fabric chaincode package into FOLDER, with the server's TLS files; print the package id.

    The package holds the peer's key of that connection: only the administrator of the organisation's own peer
    may have it. Existing files are kept: the package that is installed belongs to them.
    """
    try:
        files, content = _files(label, address, no_tls=no_tls)
    except (LogError, WrongNameError) as error:
        raise UsageError(str(error)) from error
    for name in files:
        require_absent(folder / name, "the package installed with it needs it; name another folder")
    for name, data in files.items():
        write_file(folder / name, data, 0o644 if name in PUBLIC else 0o600)
    click.echo(package_id(label, content))


def _files(label: str, address: str, *, no_tls: bool) -> tuple[dict[str, bytes], bytes]:
    """What is to be written, by name, and the package among it.

    Raises:
        LogError: a label or an address that cannot be used. WrongNameError: no name for a certificate.
    """
    if no_tls:
        content = chaincode_package(label, Service(address))
        return {f"{label}.tar.gz": content}, content
    connection = Connection.create(address)
    content = chaincode_package(label, connection.service)
    server = connection.server
    files = {"ca.pem": connection.ca, "server.pem": server.chain_pem, "server.key": server.key_pem}
    return {**files, f"{label}.tar.gz": content}, content
