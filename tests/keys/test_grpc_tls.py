"""gRPC between members: mutual TLS with these identities, and TLS 1.3 only.

gRPC reads GRPC_SSL_CIPHER_SUITES when it is imported, once a process, so each case runs in a process of its
own: this file is also the program of that process (``python test_grpc_tls.py CASE``).
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keys.errors import TlsCertificateError
from keys.tls import GRPC_CIPHER_SUITES, Authority, Identity, peer_member, server_name

ROOT = Path(__file__).parents[2]
VARIABLE = "GRPC_SSL_CIPHER_SUITES"
OLD, NEW = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def run(suites: str | None, case: str) -> dict[str, Any]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GRPC_VERBOSITY": "NONE",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop(VARIABLE, None)
    if suites is not None:
        environment[VARIABLE] = suites
    done = subprocess.run(
        [sys.executable, __file__, case],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return run(GRPC_CIPHER_SUITES, "now")


def test_members_call_each_other(result: dict[str, Any]) -> None:
    assert result["call"] == "tax<-bank"


@pytest.mark.parametrize(
    "case", ["no certificate", "stranger's certificate", "another authority", "another name"]
)
def test_calls_that_fail(result: dict[str, Any], case: str) -> None:
    assert result[case] == "UNAVAILABLE"


def test_a_members_authority_naming_another_is_found_out(result: dict[str, Any]) -> None:
    """TLS lets it through, as the server trusts every authority; ``peer_member`` does not."""
    assert result["impostor"] == "WrongIssuerError"


def test_the_server_refuses_tls_1_2(result: dict[str, Any]) -> None:
    assert result["client TLSv1_3"] == "TLSv1.3"
    assert result["client TLSv1_2"] == "refused"


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_the_client_refuses_tls_1_2(result: dict[str, Any], kind: str) -> None:
    assert result[f"server TLSv1_3 {kind}"] == "TLSv1.3"
    assert result[f"server TLSv1_2 {kind}"] == "refused"


def test_without_the_setting_tls_1_2_is_spoken() -> None:
    """The setting is needed; should this fail, a newer gRPC may have made it superfluous."""
    result = run(None, "now")
    assert (result["client TLSv1_2"], result["server TLSv1_2 ec"]) == ("TLSv1.2", "TLSv1.2")


def test_setting_it_after_the_import_does_nothing() -> None:
    """So it belongs in the environment of the process before gRPC is imported."""
    result = run(None, "late")
    assert (result["client TLSv1_2"], result["server TLSv1_2 ec"]) == ("TLSv1.2", "TLSv1.2")


def test_a_suite_of_rsa_certificates_is_not_enough() -> None:
    """It stops P-256 identities from speaking TLS 1.2, not a server whose authority issued an RSA leaf."""
    result = run("ECDHE-RSA-AES256-GCM-SHA384", "now")
    assert (result["client TLSv1_2"], result["server TLSv1_2 ec"]) == ("refused", "refused")
    assert result["server TLSv1_2 rsa"] == "TLSv1.2"


# The program of the process.


def rsa_identity(authority: Authority) -> Identity:
    """A leaf outside the profile, as a member that wants TLS 1.2 could issue it."""
    model = x509.load_pem_x509_certificate(authority.issue("n").chain_pem)
    key = rsa.generate_private_key(65537, 2048)
    builder = x509.CertificateBuilder(
        model.issuer,
        model.subject,
        key.public_key(),
        model.serial_number,
        model.not_valid_before_utc,
        model.not_valid_after_utc,
    )
    names = model.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    leaf = builder.add_extension(names, critical=False).sign(authority._key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity(leaf.public_bytes(Encoding.PEM), private)


def limited(side: int, version: ssl.TLSVersion, identity: Identity, trusts: bytes) -> ssl.SSLContext:
    """Python's own TLS, limited to one version and willing to use any suite."""
    context = ssl.SSLContext(side)
    context.load_verify_locations(cadata=trusts.decode())
    with tempfile.NamedTemporaryFile() as file:
        file.write(identity.key_pem + identity.chain_pem)
        file.flush()
        context.load_cert_chain(file.name)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    return context


def dial(port: int, version: ssl.TLSVersion, identity: Identity, trusts: bytes) -> str:
    """Return the version that a gRPC server speaks with a client limited to ``version``."""
    context = limited(ssl.PROTOCOL_TLS_CLIENT, version, identity, trusts)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname="tax.hedui") as stream,
        ):
            return str(stream.version()) if stream.recv(9) else "refused"
    except (ssl.SSLError, ConnectionError):
        return "refused"


def listen(version: ssl.TLSVersion, server: Identity, client: Identity, trusts: bytes) -> str:
    """Version that a gRPC client speaks with a server limited to ``version``."""
    context = limited(ssl.PROTOCOL_TLS_SERVER, version, server, trusts)
    spoken: list[str] = []

    def serve() -> None:
        raw, _ = listener.accept()
        try:
            with context.wrap_socket(raw, server_side=True) as stream:
                spoken.append(str(stream.version()))
        except (ssl.SSLError, ConnectionError):
            spoken.append("refused")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        call(listener.getsockname()[1], trusts, client, server_name("tax"))
        thread.join(10)
    return spoken[0]


def call(port: int, trusts: bytes, identity: Identity | None, name: str) -> str:
    """Answer of a gRPC server, or the status it failed with."""
    key, chain = (None, None) if identity is None else (identity.key_pem, identity.chain_pem)
    credentials = grpc.ssl_channel_credentials(trusts, key, chain)
    options = [("grpc.ssl_target_name_override", name)]
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        ask = channel.unary_unary("/hedui.Test/Ask", request_serializer=None, response_deserializer=None)
        try:
            reply: bytes = ask(b"tax", timeout=10)
            return reply.decode()
        except grpc.RpcError as error:
            return str(error.code().name)


def start(identity: Identity, members: dict[str, Authority]) -> tuple[grpc.Server, int]:
    """A server that trusts every member's authority and answers with the caller's member id."""
    ledger = {member: authority.certificate_der for member, authority in members.items()}

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        leaf: Any = context.auth_context()["x509_pem_cert"][0]  # bytes; the stubs say otherwise
        try:
            caller = peer_member(leaf, ledger, at=datetime.now(UTC))
        except TlsCertificateError as error:
            return type(error).__name__.encode()
        return request + b"<-" + caller.encode()

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("hedui.Test", {"Ask": handler}),))
    bundle = b"".join(authority.certificate_pem for authority in members.values())
    pair = (identity.key_pem, identity.chain_pem)
    port = server.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([pair], bundle, require_client_auth=True)
    )
    server.start()
    return server, port


def main(case: str) -> dict[str, str]:
    if case == "late":
        os.environ[VARIABLE] = GRPC_CIPHER_SUITES
    tax, bank, stranger = Authority.create("tax"), Authority.create("bank"), Authority.create("stranger")
    ours, theirs = tax.issue("server"), bank.issue("client")
    impostor = Authority("tax", bank._certificate, bank._key).issue("client")  # names tax, issued by bank
    server, port = start(ours, {"tax": tax, "bank": bank})
    trusts, name = tax.certificate_pem, server_name("tax")
    results = {
        "call": call(port, trusts, theirs, name),
        "no certificate": call(port, trusts, None, name),
        "stranger's certificate": call(port, trusts, stranger.issue("n"), name),
        "another authority": call(port, bank.certificate_pem, theirs, name),
        "another name": call(port, trusts, theirs, server_name("bank")),
        "impostor": call(port, trusts, impostor, name),
    }
    for version in (OLD, NEW):
        results[f"client {version.name}"] = dial(port, version, theirs, trusts)
        results[f"server {version.name} ec"] = listen(version, ours, theirs, trusts)
        results[f"server {version.name} rsa"] = listen(version, rsa_identity(tax), theirs, trusts)
    server.stop(None)
    return results


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1])))
