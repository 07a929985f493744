"""``hedui ledger chaincode``: the contract as a service for Fabric peers."""

from __future__ import annotations

import logging
import signal
import time
from pathlib import Path

import click
import grpc

from ledger.errors import LogError
from ledger.fabric.chaincode import NAMES, Chaincode
from ledger.fabric.chaincode_server import WORKERS, ChaincodeServer
from ledger.fabric.profile import is_loopback
from node.errors import UsageError

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("chaincode")
@click.option("--listen", metavar="HOST:PORT", required=True, help="Where peers connect.")
@click.option("--id", "package", metavar="PACKAGE-ID", required=True, help="Package id the peers installed.")
@click.option(
    "--name",
    "names",
    multiple=True,
    default=NAMES,
    show_default=True,
    help="Name of the committed chaincode definition; may be given several times.",
)
@click.option("--tls-cert", type=FILE, help="Certificate chain of this server, PEM.")
@click.option("--tls-key", type=FILE, help="Its key, PEM.")
@click.option(
    "--client-ca",
    type=FILE,
    help="Only peers with a certificate of this authority, PEM; needed off the loopback address.",
)
@click.option(
    "--workers", default=WORKERS, show_default=True, help="Transactions of one peer worked on at once."
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
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    _check_reach(listen, client_ca)
    credentials = _credentials(tls_cert, tls_key, client_ca)
    server = ChaincodeServer(Chaincode(lambda: int(time.time()), names=names), package, workers)
    port = server.start(listen, credentials)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.end())
    click.echo(f"the chaincode listens on port {port}{'' if credentials else ' without TLS'}")
    server.wait()
    server.stop()


def _check_reach(listen: str, client_ca: Path | None) -> None:
    """Refuse to answer strangers: whoever connects can take every stream."""
    host = listen.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if client_ca is None and not is_loopback(host):
        raise UsageError(
            f"{listen} can be reached by others than the peer: give --client-ca, the ca.pem of the package "
            "(with --tls-cert and --tls-key), or listen on 127.0.0.1"
        )


def _credentials(cert: Path | None, key: Path | None, ca: Path | None) -> grpc.ServerCredentials | None:
    if cert is None and key is None and ca is None:
        return None
    if cert is None or key is None:
        raise UsageError("give --tls-cert and --tls-key together")
    try:
        pair = (key.read_bytes(), cert.read_bytes())
        root = None if ca is None else ca.read_bytes()
    except OSError as error:
        raise LogError("a TLS file cannot be read: check its path and its permissions") from error
    return grpc.ssl_server_credentials([pair], root, require_client_auth=ca is not None)
