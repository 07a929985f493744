"""A real Fabric network on this machine: two organisations, Raft, TLS everywhere, our contract installed.

``FabricNetwork(folder).up()`` makes the keys, the channel and the processes; it is ready when a
transaction of the contract, endorsed by both organisations, has committed through each peer.
``down()`` ends everything; a killed test does too (``tests.fabric.process_keeper``). Logs stay in
``folder/logs``, connection profiles in ``folder/profiles``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from ledger.errors import LedgerError
from ledger.fabric.gateway import Gateway, connect
from ledger.fabric.package import Connection, chaincode_package, package_id
from ledger.fabric.profile import ConnectionProfile, FabricIdentity
from node.demo.processes import free_ports
from tests.fabric.layout import ROOT, Layout
from tests.fabric.process_keeper import Keeper
from tests.fabric.settings import CHAINCODE, CHANNEL, ORGANISATIONS, TUNED, Tuned, msp, peer_name
from tests.ledger.fabric.gateway_calls import final_outcome

POLICY = "AND({})".format(",".join(f"'{msp(each)}.peer'" for each in ORGANISATIONS))
LOG_FORMAT = "%{time:2006-01-02 15:04:05.000} %{level:.4s} [%{module}] %{message}"
LOG_SPEC = "info:grpc=error:gateway=warn:endorser=warn:comm.grpc.server=warn"
"""Without the three lines a transaction that are on by default."""

LEDGERS = 40
"""Definitions that the chaincode servers work for, besides the first."""

WAIT_SECONDS = 60.0
POLL_SECONDS = 0.1


class NetworkError(Exception):
    """The network did not come up; the message says which step, and where its log is."""


@dataclass(frozen=True)
class Package:
    """An installed chaincode package: Fabric's id of it, where its server listens, the file."""

    id: str
    address: str
    path: Path


def chaincode_name(organisation: str, version: str = "1") -> str:
    """Name of an organisation's chaincode server."""
    return f"chaincode-{organisation}-{version}"


class FabricNetwork:
    """One network in one folder.

    Attributes:
        keeper: its processes, named orderer0 …, peer-org1 …, chaincode-org1-<version> ….
        packages: name of a chaincode server → its package.
        profiles: folder of the connection profiles, one an organisation.
    """

    def __init__(self, folder: Path, *, orderers: int = 3, tuned: Tuned = TUNED) -> None:
        self.layout = Layout(folder, orderers)
        self.folder = self.layout.folder
        self.profiles = self.layout.profiles()
        self.orderers = orderers
        self.tuned = tuned
        self.keeper = Keeper(self.folder / "logs")
        self._version = ""
        self._sequence = 0
        self._ledgers = 0
        self.packages: dict[str, Package] = {}

    def __enter__(self) -> FabricNetwork:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> None:
        """Make and start everything; returns when it is ready."""
        self.layout.write(self.tuned)
        for number in range(self.orderers):
            self.start(f"orderer{number}")
        for number in range(self.orderers):
            self._join_orderer(number)
        for organisation in ORGANISATIONS:
            self.start(f"peer-{organisation}")
        for organisation in ORGANISATIONS:
            self.peer(organisation, "channel", "join", "-b", str(self.layout.block))
        self.upgrade("1")

    def down(self) -> None:
        """End every process."""
        self.keeper.stop()

    # Processes.

    def start(self, name: str, contract: str = "node.cli ledger chaincode") -> None:
        """Start, or start again, an orderer, a peer or a chaincode server.

        Args:
            name: orderer0 …, peer-org1 …, chaincode-org1-1 ….
            contract: module and arguments of a chaincode server.
        """
        home = self.folder / name
        home.mkdir(exist_ok=True)
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "FABRIC_CFG_PATH": str(home)}
        env |= {"FABRIC_LOGGING_FORMAT": LOG_FORMAT, "FABRIC_LOGGING_SPEC": LOG_SPEC}
        if name.startswith("orderer"):
            command = ["orderer"]
        elif name.startswith("peer"):
            command = ["peer", "node", "start"]
        else:
            package = self.packages[name]
            command = [sys.executable, "-m", *contract.split(), "--listen", package.address]
            command += ["--id", package.id, "--tls-cert", "server.pem", "--tls-key", "server.key"]
            command += ["--client-ca", "ca.pem"]
            for ledger in (CHAINCODE, *(f"{CHAINCODE}{number}" for number in range(1, LEDGERS + 1))):
                command += ["--name", ledger]
            env |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        self.keeper.start(name, command, env, home)

    def running(self, name: str) -> str:
        """Full name of the running process whose name begins so."""
        (found,) = [each for each in self.keeper.running if each.startswith(name)]
        return found

    def kill(self, name: str) -> None:
        """SIGKILL a process."""
        self.keeper.kill(name)

    @contextmanager
    def dishonestly(self, profiles: Path) -> Iterator[None]:
        """A time in which both organisations' chaincode endorses everything; for one ledger's profiles."""
        servers = [name for name in self.keeper.running if name.startswith("chaincode")]
        for contract in ("tests.fabric.dishonest", "node.cli ledger chaincode"):
            for name in servers:
                self.kill(name)
                self.start(name, contract)
            for path in sorted(profiles.glob("*.toml")):
                self._wait("a transaction of the exchanged contract", partial(self._commits, path))
            if contract == "tests.fabric.dishonest":
                yield

    # The contract.

    def new_ledger(self) -> Path:
        """An empty ledger: the installed contract under a name of its own; the folder of its profiles."""
        self._ledgers += 1
        name = f"{CHAINCODE}{self._ledgers}"
        self._define(name, sequence=1)
        return self.layout.profiles(name)

    def upgrade(self, version: str) -> None:
        """Install a package of this version and make it the contract of the first ledger.

        The servers of the version before run until the new definition has committed.
        """
        old = [name for name in self.keeper.running if name.startswith("chaincode")]
        for organisation in ORGANISATIONS:
            name = self._package(organisation, version)
            self.peer(organisation, "lifecycle", "chaincode", "install", str(self.packages[name].path))
            self.start(name)
        self._version = version
        self._sequence += 1
        self._define(CHAINCODE, self._sequence)
        for name in old:
            self.kill(name)

    def _define(self, name: str, sequence: int) -> None:
        """Approve a definition for both organisations, commit it, and wait until it is in use."""
        definition = [
            *("--channelID", CHANNEL, "--name", name, "--version", self._version),
            *("--sequence", str(sequence), "--signature-policy", POLICY),
        ]
        for organisation in ORGANISATIONS:
            approve = ("lifecycle", "chaincode", "approveformyorg", *definition, *self._orderer_options())
            package = self.packages[chaincode_name(organisation, self._version)]
            self.peer(organisation, *approve, "--package-id", package.id)
        commit = ("lifecycle", "chaincode", "commit", *definition, *self._orderer_options())
        self.peer(ORGANISATIONS[0], *commit, *self.both_peers())
        for each in ORGANISATIONS:
            profile = self.layout.write_profile(name, each)
            self._wait(f"a transaction through {peer_name(each)}", partial(self._commits, profile))

    def _package(self, organisation: str, version: str) -> str:
        """Write the organisation's chaincode package and the server's TLS files; the server's name."""
        name, label = chaincode_name(organisation, version), f"hedui_{version}"
        home = self.folder / name
        home.mkdir(parents=True)
        address = f"127.0.0.1:{free_ports(1)[0]}"
        connection = Connection.create(address)
        (home / "ca.pem").write_bytes(connection.ca)
        (home / "server.pem").write_bytes(connection.server.chain_pem)
        (home / "server.key").touch(mode=0o600)
        (home / "server.key").write_bytes(connection.server.key_pem)
        content = chaincode_package(label, connection.service)
        path = home / f"{label}.tar.gz"
        path.write_bytes(content)
        self.packages[name] = Package(package_id(label, content), address, path)
        return name

    def _commits(self, path: Path) -> bool:
        """Whether a transaction through this profile's peer commits; ``find`` writes nothing.

        An open port is no sign of this: a peer's Gateway endorses once gossip has told it of the others.
        """
        profile = ConnectionProfile.read(path)
        with connect(profile) as channel:
            gateway = Gateway(profile, FabricIdentity.of(profile, lambda: int(time.time())), channel)
            try:
                prepared = gateway.endorse([b"find", b"genesis"])
                gateway.submit(prepared)
                return final_outcome(gateway, prepared.transaction, 5.0).flag == "VALID"
            except LedgerError:
                return False

    # Commands.

    def peer(self, organisation: str, *arguments: str) -> str:
        """Run ``peer …`` as the administrator of an organisation; again while it fails, for a minute."""
        env = self.peer_environment(organisation)
        return self._retry(["peer", *arguments], env)

    def peer_environment(self, organisation: str) -> dict[str, str]:
        """The environment in which ``peer`` acts for an organisation's administrator."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "FABRIC_CFG_PATH": str(self.folder / f"peer-{organisation}"),
            "FABRIC_LOGGING_SPEC": "warning",
            "FABRIC_LOGGING_FORMAT": LOG_FORMAT,
            "CORE_PEER_MSPCONFIGPATH": str(self.layout.administrator(organisation)),
        }

    def both_peers(self) -> list[str]:
        """Options that name both peers, for what both must endorse."""
        options = []
        for each in ORGANISATIONS:
            options += ["--peerAddresses", f"127.0.0.1:{self.layout.ports.peer[each]}"]
            options += ["--tlsRootCertFiles", str(self.layout.peer_tls(each) / "ca.crt")]
        return options

    def _orderer_options(self) -> list[str]:
        ca = self.layout.orderer_tls(0) / "ca.crt"
        return ["--orderer", f"127.0.0.1:{self.layout.ports.orderer[0]}", "--tls", "--cafile", str(ca)]

    def _join_orderer(self, number: int) -> None:
        tls = self.layout.orderer_tls(number)
        command = ["osnadmin", "channel", "join", "--channelID", CHANNEL]
        command += ["--config-block", str(self.layout.block)]
        command += ["-o", f"127.0.0.1:{self.layout.ports.admin[number]}", "--ca-file", str(tls / "ca.crt")]
        command += ["--client-cert", str(tls / "server.crt"), "--client-key", str(tls / "server.key")]
        self._retry(command, {"PATH": os.environ["PATH"]}, good="Status: 201")

    def _retry(self, command: Sequence[str], env: Mapping[str, str], good: str = "") -> str:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            done = self._run(command, env, check=False)
            if done.returncode == 0 and good in done.stdout:
                return done.stdout + done.stderr
            if time.monotonic() > deadline or self.keeper.ended():
                said = (done.stdout + done.stderr).strip()[-2000:]
                raise NetworkError(
                    f"{' '.join(command[:4])}: {said}; ended processes: {self.keeper.ended()};"
                    f" logs in {self.keeper.logs}"
                )
            time.sleep(POLL_SECONDS)

    def _run(
        self, command: Sequence[str], env: Mapping[str, str], *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(command),
            env=dict(env),
            cwd=self.folder,
            check=check,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not ready():
            if time.monotonic() > deadline or self.keeper.ended():
                ended = self.keeper.ended()
                raise NetworkError(f"{what}: not ready; ended: {ended}; logs in {self.keeper.logs}")
            time.sleep(POLL_SECONDS)
