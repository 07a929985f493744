"""The files of a test network: keys, settings, connection profiles, and the ports they name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from node.demo.processes import free_ports
from tests.fabric.settings import (
    CHAINCODE,
    CHANNEL,
    ORDERERS,
    ORGANISATIONS,
    Ports,
    Tuned,
    channel_config,
    core_config,
    crypto_config,
    msp,
    orderer_config,
    orderer_name,
    peer_name,
)

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "scripts" / "fabric-builder"

PROFILE = """\
channel = "{channel}"
chaincode = "{chaincode}"

[organisation]
msp = "{msp}"

[peer]
endpoint = "127.0.0.1:{port}"
name = "{name}"
ca = "{folder}/peer-tls-ca.pem"

[client]
certificate = "{folder}/client.pem"
key = "{folder}/client.key"
"""


class Layout:
    """Where everything of one network lies.

    Attributes:
        folder, crypto, block: the network's folder, its keys, the channel's first block.
        ports: where everything listens.
    """

    def __init__(self, folder: Path, orderers: int) -> None:
        self.folder = folder.resolve()
        self.crypto = self.folder / "crypto"
        self.block = self.folder / "channel.block"
        self.orderers = orderers
        self.ports = _ports(orderers)

    def write(self, tuned: Tuned) -> None:
        """Make keys, certificates, the channel's first block and all settings."""
        _write_json(self.folder / "crypto.yaml", crypto_config(self.orderers))
        self._run(
            "cryptogen", "generate", f"--config={self.folder / 'crypto.yaml'}", f"--output={self.crypto}"
        )
        _write_json(self.folder / "configtx.yaml", channel_config(self.crypto, self.ports, tuned))
        options = ("-profile", "Hedui", "-channelID", CHANNEL, "-outputBlock", str(self.block))
        self._run("configtxgen", *options)
        for number in range(self.orderers):
            home = self.folder / f"orderer{number}"
            _write_json(home / "orderer.yaml", orderer_config(number, home, self.crypto, self.ports, tuned))
        for each in ORGANISATIONS:
            home = self.folder / f"peer-{each}"
            _write_json(home / "core.yaml", core_config(each, home, self.crypto, self.ports, BUILDER, tuned))

    def profiles(self, ledger: str = CHAINCODE) -> Path:
        """Folder of a ledger's connection profiles."""
        return self.folder / ("profiles" if ledger == CHAINCODE else f"profiles-{ledger}")

    def write_profile(self, ledger: str, organisation: str) -> Path:
        """``profiles/org1.toml`` …, each with the files it names beside it."""
        profiles = self.profiles(ledger)
        folder = profiles / organisation
        folder.mkdir(parents=True, exist_ok=True)
        base = self.crypto / f"peerOrganizations/{organisation}.example"
        user = base / f"users/User1@{organisation}.example/msp"
        shutil.copy(self.peer_tls(organisation) / "ca.crt", folder / "peer-tls-ca.pem")
        shutil.copy(_only(user / "signcerts"), folder / "client.pem")
        shutil.copy(_only(user / "keystore"), folder / "client.key")
        profile = PROFILE.format(
            channel=CHANNEL,
            chaincode=ledger,
            msp=msp(organisation),
            port=self.ports.peer[organisation],
            name=peer_name(organisation),
            folder=organisation,
        )
        path = profiles / f"{organisation}.toml"
        path.write_text(profile)
        return path

    def administrator(self, organisation: str) -> Path:
        """MSP folder of an organisation's administrator."""
        name = f"{organisation}.example"
        return self.crypto / f"peerOrganizations/{name}/users/Admin@{name}/msp"

    def peer_tls(self, organisation: str) -> Path:
        """TLS folder of an organisation's peer."""
        name = f"{organisation}.example"
        return self.crypto / f"peerOrganizations/{name}/peers/{peer_name(organisation)}/tls"

    def orderer_tls(self, number: int) -> Path:
        """TLS folder of an orderer."""
        return self.crypto / f"ordererOrganizations/{ORDERERS}/orderers/{orderer_name(number)}/tls"

    def _run(self, *command: str) -> None:
        env = {"PATH": os.environ["PATH"], "FABRIC_CFG_PATH": str(self.folder)}
        subprocess.run(command, env=env, cwd=self.folder, check=True, capture_output=True)


def _ports(orderers: int) -> Ports:
    take = iter(free_ports(3 * orderers + 3 * len(ORGANISATIONS)))
    lists = [[next(take) for _ in range(orderers)] for _ in range(3)]
    maps = [{each: next(take) for each in ORGANISATIONS} for _ in range(3)]
    return Ports(*lists, *maps)


def _only(folder: Path) -> Path:
    (one,) = folder.iterdir()
    return one


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))
