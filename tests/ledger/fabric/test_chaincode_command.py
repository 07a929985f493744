"""``hedui ledger chaincode`` as a process, with and without TLS."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2_grpc

from keys.tls import Authority
from node.cli.ledger_fabric import chaincode
from node.errors import UsageError
from tests.ledger.fabric.memory_messages import PACKAGE, Kind

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def running(*options: str) -> Iterator[int]:
    """The command; its port."""
    words = [sys.executable, "-m", "node.cli", "ledger", "chaincode", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*words, "--id", PACKAGE, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().split("port ")[1].split()[0])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def first_message(channel: grpc.Channel) -> Any:
    stream = chaincode_shim_pb2_grpc.ChaincodeStub(channel).Connect(iter([]))
    message = next(stream)
    stream.cancel()
    return message


def registers(channel: grpc.Channel) -> None:
    message = first_message(channel)
    assert message.type == Kind.REGISTER
    assert chaincode_pb2.ChaincodeID.FromString(message.payload).name == PACKAGE


def test_it_listens_registers_and_ends() -> None:
    with running() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        registers(channel)


def test_with_tls_it_takes_only_peers_of_the_authority(tmp_path: Path) -> None:
    authority = Authority.create("peers")
    server = authority.issue("chaincode", ["127.0.0.1", "localhost"])
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    (tmp_path / "cert.pem").write_bytes(server.chain_pem)
    (tmp_path / "key.pem").write_bytes(server.key_pem)
    names = ("--tls-cert", "cert.pem"), ("--tls-key", "key.pem"), ("--client-ca", "ca.pem")
    options = [word for option, file in names for word in (option, str(tmp_path / file))]
    with running(*options) as port:
        address = f"localhost:{port}"
        peer = grpc.ssl_channel_credentials(authority.certificate_pem, server.key_pem, server.chain_pem)
        with grpc.secure_channel(address, peer) as channel:
            registers(channel)
        nobody = grpc.ssl_channel_credentials(authority.certificate_pem)
        with grpc.secure_channel(address, nobody) as channel, pytest.raises(grpc.RpcError):
            first_message(channel)


def test_half_a_tls_identity_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_bytes(b"")
    words = [sys.executable, "-m", "node.cli", "ledger", "chaincode", "--listen", "127.0.0.1:0", "--id", "x"]
    done = subprocess.run(
        [*words, "--tls-cert", str(tmp_path / "cert.pem")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "together" in done.stderr


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", ":0", "chaincode.example:9999"])
def test_strangers_are_not_answered(listen: str, tmp_path: Path) -> None:
    (tmp_path / "pem").write_bytes(b"")
    done = CliRunner().invoke(
        chaincode,
        [
            "--listen",
            listen,
            "--id",
            "x",
            "--tls-cert",
            str(tmp_path / "pem"),
            "--tls-key",
            str(tmp_path / "pem"),
        ],
    )
    assert isinstance(done.exception, UsageError)
    assert "--client-ca" in str(done.exception)
