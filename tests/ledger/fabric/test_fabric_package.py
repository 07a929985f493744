"""The chaincode package, and the external builder that takes it, as a peer calls it."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys.certificate_checks import issued_by
from ledger.errors import LogError
from ledger.fabric.package import Connection, Service, chaincode_package, package_id

BUILDER = Path(__file__).resolve().parents[3] / "scripts" / "fabric-builder" / "bin"
PLAIN = Service("127.0.0.1:9999")


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as opened:
        return {each.name: opened.extractfile(each).read() for each in opened.getmembers()}


def test_a_package_names_its_label_its_type_and_the_server():
    package = chaincode_package("hedui_1.0", PLAIN)
    outer = members(package)
    assert json.loads(outer["metadata.json"]) == {"label": "hedui_1.0", "type": "ccaas"}
    connection = json.loads(members(outer["code.tar.gz"])["connection.json"])
    assert connection == {"address": "127.0.0.1:9999", "dial_timeout": "10s", "tls_required": False}
    assert chaincode_package("hedui_1.0", PLAIN) == package
    assert package_id("hedui_1.0", package).startswith("hedui_1.0:")


def test_both_ends_of_a_connection_trust_one_authority_that_nobody_has():
    made = Connection.create("chaincode.tax.example:9999")
    fields = json.loads(made.service.connection())
    assert fields["tls_required"] is True
    assert fields["client_auth_required"] is True
    assert fields["root_cert"].encode() == made.ca
    authority = x509.load_pem_x509_certificate(made.ca).public_bytes(Encoding.DER)
    for leaf in (made.server.chain_pem, made.service.client_cert):
        issued_by(leaf, authority, member="chaincode", at=datetime.now(UTC))
    assert b"PRIVATE" not in made.ca
    assert "PRIVATE" not in repr(made)
    assert Connection.create("chaincode.tax.example:9999").ca != made.ca


@pytest.mark.parametrize("address", ["", "host", "host:", ":9999", "host:port"])
def test_an_address_without_host_or_port_is_refused(address):
    with pytest.raises(LogError, match="host:port"):
        Connection.create(address)


@pytest.mark.parametrize("label", ["", "a b", "../x", "hedui_", "é"])
def test_a_label_fabric_would_refuse_is_refused_here(label):
    with pytest.raises(LogError, match="label"):
        chaincode_package(label, PLAIN)


@pytest.mark.parametrize(
    "service",
    [Service("h:1", b"ca", b"cert"), Service("h:1", b"ca", b"", b"k"), Service("h:1", b"", b"c", b"k")],
)
def test_half_a_tls_identity_is_refused(service):
    with pytest.raises(LogError):
        chaincode_package("hedui", service)


def run(step: str, *folders: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([BUILDER / step, *folders], capture_output=True, check=False)


def test_the_builder_takes_our_package_to_where_the_peer_looks(tmp_path):
    source, metadata, output, release = folders = [tmp_path / name for name in ("src", "meta", "out", "rel")]
    for folder in folders:
        folder.mkdir()
    outer = members(chaincode_package("hedui_1", PLAIN))
    (metadata / "metadata.json").write_bytes(outer["metadata.json"])
    assert run("detect", source, metadata).returncode == 0
    assert run("build", source, metadata, output).returncode == 1
    (source / "connection.json").write_bytes(members(outer["code.tar.gz"])["connection.json"])
    assert run("build", source, metadata, output).returncode == 0
    assert run("release", output, release).returncode == 0
    found = release / "chaincode" / "server" / "connection.json"
    assert found.read_bytes() == PLAIN.connection()


def test_the_builder_leaves_other_packages_to_others(tmp_path):
    (tmp_path / "metadata.json").write_text('{"type":"golang","label":"ccaas"}')
    assert run("detect", tmp_path, tmp_path).returncode != 0
