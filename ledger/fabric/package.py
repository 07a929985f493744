"""The chaincode package an organisation installs on its peer: where its chaincode server is reached.

With chaincode as a service nothing is compiled and the package holds no contract: it names the address of the
organisation's own server and the TLS identities of that one connection. So packages, and with them package
ids, differ between organisations; what they agree on is the definition (name, version, sequence, policy).

    <label>.tar.gz = metadata.json {"label", "type": "ccaas"}, code.tar.gz
    code.tar.gz    = connection.json

Files stand in a fixed order, times and owners are zero. Fabric's package id is ``<label>:<SHA-256 of the
package>``; the server is started with it.

``Connection.create`` makes both ends of that connection from an authority of its own, whose key is forgotten
at once: a third identity can never be issued that either end would trust.

Source: Fabric documentation, "Running Chaincode as a Service", "Fabric chaincode lifecycle".
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from dataclasses import dataclass, field

from keys.tls import AUTHORITY_DAYS, Authority, Identity
from ledger.errors import LogError

DIAL_TIMEOUT = "10s"
MAX_PORT = 65535
_LABEL = re.compile(r"[A-Za-z0-9]+(?:[.+_-][A-Za-z0-9]+)*")


@dataclass(frozen=True)
class Service:
    """How a peer reaches the chaincode server of its organisation.

    Attributes:
        address: host:port.
        root_cert: PEM of the authority that issued the server's certificate; empty for no TLS, which is for
            a server in the peer's own network namespace only.
        client_cert: PEM the peer shows; empty where the server asks for none.
        client_key: its key, PEM; a holder of the package has the key.
    """

    address: str
    root_cert: bytes = b""
    client_cert: bytes = b""
    client_key: bytes = field(default=b"", repr=False)

    def connection(self) -> bytes:
        """The content of ``connection.json``."""
        fields: dict[str, object] = {
            "address": self.address,
            "dial_timeout": DIAL_TIMEOUT,
            "tls_required": bool(self.root_cert),
        }
        if self.root_cert:
            fields["root_cert"] = self.root_cert.decode("ascii")
        if self.client_cert:
            fields["client_auth_required"] = True
            fields["client_cert"] = self.client_cert.decode("ascii")
            fields["client_key"] = self.client_key.decode("ascii")
        return json.dumps(fields, sort_keys=True, indent=2).encode("ascii")


@dataclass(frozen=True)
class Connection:
    """Both ends of the connection between a peer and its organisation's chaincode server.

    Attributes:
        service: the peer's end, for the package.
        server: the server's certificate and key.
        ca: PEM of the authority that issued the peer's certificate, which the server asks for.
    """

    service: Service
    server: Identity
    ca: bytes

    @classmethod
    def create(cls, address: str) -> Connection:
        """New identities for a chaincode server at ``host:port``, valid for ten years.

        Raises:
            LogError: no host and port.
            WrongNameError: the host is neither a DNS name in lower case nor an IP address.
        """
        host = _host(address)
        authority = Authority.create("chaincode")
        server = authority.issue("server", [host], AUTHORITY_DAYS)
        peer = authority.issue("peer", (), AUTHORITY_DAYS)
        ca = authority.certificate_pem
        return cls(Service(address, ca, peer.chain_pem, peer.key_pem), server, ca)


def chaincode_package(label: str, service: Service) -> bytes:
    """The bytes of a chaincode package.

    Raises:
        LogError: a label Fabric does not take, no host and port, or a client certificate without TLS or
            without its key.
    """
    _host(service.address)
    if _LABEL.fullmatch(label) is None:
        raise LogError(
            f"{label} is no label of a chaincode package: letters and digits, joined by . + _ or -"
        )
    if bool(service.client_cert) != bool(service.client_key):
        raise LogError("the peer's certificate and its key come together: give both or neither")
    if service.client_cert and not service.root_cert:
        raise LogError("a client certificate needs TLS: name the authority of the server too")
    metadata = json.dumps({"label": label, "type": "ccaas"}, sort_keys=True).encode("ascii")
    code = _archive({"connection.json": service.connection()})
    return _archive({"metadata.json": metadata, "code.tar.gz": code})


def _host(address: str) -> str:
    """The host of ``host:port``."""
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and int(port) <= MAX_PORT):
        raise LogError(f"the address of the chaincode server is written host:port; got {address}")
    return host.strip("[]")


def package_id(label: str, package: bytes) -> str:
    """Fabric's id of a package, which the peer and the server must agree on."""
    return f"{label}:{hashlib.sha256(package).hexdigest()}"


def _archive(files: dict[str, bytes]) -> bytes:
    """A gzipped tar of regular files, without times, owners or file names of the archive."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size, about.mode = len(content), 0o644
            archive.addfile(about, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)
