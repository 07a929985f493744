"""Connection profiles: strict, and an error says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import ProfileError
from ledger.fabric.profile import ConnectionProfile, Limits
from tests.ledger.fabric.memory_messages import issue

WHOLE = """
channel = "hedui"
chaincode = "ledger"
[organisation]
msp = "Org1MSP"
[peer]
endpoint = "peer0.org1.example:7051"
ca = "tls/ca.pem"
[client]
certificate = "client.pem"
key = "client.key"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    certificate, key = issue("user")
    (tmp_path / "client.pem").write_bytes(certificate)
    (tmp_path / "client.key").write_bytes(key)
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.pem").write_bytes(certificate)
    return tmp_path


def read(folder: Path, text: str) -> ConnectionProfile:
    path = folder / "connection.toml"
    path.write_text(text)
    return ConnectionProfile.read(path)


def test_a_whole_profile(folder: Path) -> None:
    profile = read(folder, WHOLE)
    assert (profile.channel, profile.chaincode, profile.msp) == ("hedui", "ledger", "Org1MSP")
    assert (profile.endpoint, profile.name) == ("peer0.org1.example:7051", "peer0.org1.example")
    assert profile.ca == (folder / "tls" / "ca.pem").read_bytes()
    assert profile.limits == Limits()
    assert "BEGIN" not in repr(profile)


def test_name_and_limits(folder: Path) -> None:
    text = WHOLE.replace('ca = "tls', 'name = "peer0"\nca = "tls') + "[limits]\ncommit = 60\nendorse = 2.5\n"
    profile = read(folder, text)
    assert profile.name == "peer0"
    assert profile.limits == Limits(endorse=2.5, commit=60)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_without_tls_on_a_loopback_address_alone(folder: Path, host: str) -> None:
    plain = WHOLE.replace('ca = "tls/ca.pem"\n', "")
    profile = read(folder, plain.replace("peer0.org1.example", host))
    assert (profile.ca, profile.name) == (None, None)
    with pytest.raises(ProfileError, match="ca is missing"):
        read(folder, plain)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('channel = "hedui"', "", "lacks channel"),
        ('channel = "hedui"', "channel = 3", "lacks channel"),
        ('channel = "hedui"', 'chanel = "hedui"', "no chanel"),
        ('msp = "Org1MSP"', "", "lacks msp"),
        ("[organisation]", "[organization]", "no organization"),
        ('[organisation]\nmsp = "Org1MSP"', "", r"section \[organisation\]"),
        (":7051", "", "host:port"),
        ('endpoint = "peer0', 'endpint = "peer0', "no endpint"),
        ('"client.key"', '"missing.key"', "key names a file"),
        ('"tls/ca.pem"', '"missing.pem"', "ca names a file"),
        ('channel = "hedui"', "channel = ", "TOML"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        read(folder, WHOLE.replace(old, new))


@pytest.mark.parametrize("limits", ["commit = 0", "commit = -1", 'commit = "1"', "commit = 4000", "wait = 1"])
def test_limits_are_seconds(folder: Path, limits: str) -> None:
    with pytest.raises(ProfileError, match="limits"):
        read(folder, f"{WHOLE}[limits]\n{limits}\n")


def test_a_missing_profile(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        ConnectionProfile.read(tmp_path / "none.toml")
