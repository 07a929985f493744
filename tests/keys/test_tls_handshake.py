"""Real TLS 1.3 handshakes, by Python's own ssl, between the identities of two members."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keys.tls import Authority, Identity, peer_member, server_name


def handshake(
    tmp_path: Path, server: Identity, client: Identity, server_trusts: bytes, client_trusts: bytes, name: str
) -> tuple[str | None, bytes]:
    """TLS version, and the certificate the server saw; raises the ssl.SSLError that either side met."""
    contexts = []
    for side, identity, trusts in (
        (ssl.PROTOCOL_TLS_SERVER, server, server_trusts),
        (ssl.PROTOCOL_TLS_CLIENT, client, client_trusts),
    ):
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=trusts.decode())
        (tmp_path / "identity.pem").write_bytes(identity.key_pem + identity.chain_pem)
        context.load_cert_chain(tmp_path / "identity.pem")
        contexts.append(context)
    left, right = socket.socketpair()
    seen: list[bytes | None] = []
    failures: list[ssl.SSLError] = []

    def serve() -> None:
        try:
            with contexts[0].wrap_socket(left, server_side=True) as stream:
                seen.append(stream.getpeercert(binary_form=True))
                stream.sendall(b"x")
        except ssl.SSLError as error:
            failures.append(error)
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with contexts[1].wrap_socket(right, server_hostname=name) as stream:
            version = stream.version()
            stream.recv(1)
    finally:
        right.close()
        thread.join(10)
    if failures:
        raise failures[0]
    assert seen[0] is not None
    return version, ssl.DER_cert_to_PEM_cert(seen[0]).encode()


def test_handshake_between_two_members(tmp_path: Path) -> None:
    tax, bank = Authority.create("tax"), Authority.create("bank")
    bundle = tax.certificate_pem + bank.certificate_pem
    version, leaf = handshake(
        tmp_path, tax.issue("n"), bank.issue("n"), bundle, tax.certificate_pem, server_name("tax")
    )
    assert version == "TLSv1.3"
    members = {"tax": tax.certificate_der, "bank": bank.certificate_der}
    assert peer_member(leaf, members, at=datetime.now(UTC)) == "bank"


@pytest.mark.parametrize("case", ["another authority", "another name", "expired", "stranger calls"])
def test_handshakes_that_fail(tmp_path: Path, case: str) -> None:
    tax, bank, stranger = Authority.create("tax"), Authority.create("bank"), Authority.create("stranger")
    trusts = bank.certificate_pem if case == "another authority" else tax.certificate_pem
    name = server_name("bank") if case == "another name" else server_name("tax")
    server = tax.issue("n")
    if case == "expired":
        old = Authority.create("tax", now=datetime.now(UTC) - timedelta(days=400))
        server = old.issue("n", now=datetime.now(UTC) - timedelta(days=300))
        trusts = old.certificate_pem
    client = stranger.issue("n") if case == "stranger calls" else bank.issue("n")
    with pytest.raises(ssl.SSLError):
        handshake(tmp_path, server, client, tax.certificate_pem + bank.certificate_pem, trusts, name)
