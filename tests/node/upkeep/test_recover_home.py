"""Recovery of a sequencer's home: backup restored, quarantine, `hedui ledger recover`, the log goes on."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from ledger.audit.mirror import update_mirror
from ledger.audit.source import FolderSource, read_leaves
from ledger.audit.verify import verify_folder
from ledger.entries.entry import draft, signed
from ledger.entries.times import parse_time
from ledger.errors import LogError, QuarantineError, TileMissingError
from ledger.formats.checkpoint import Cosigner
from ledger.formats.note import NoteSigner
from ledger.replica.replica import Replica
from ledger.sequencer.final_log import LogParts
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.sequencer.sequencer import Sequencer
from ledger.storage.database import open_database
from ledger.witness import MemoryWitnessStore, Witness
from node.cli.ledger import ledger as command
from node.errors import ConfigurationError
from node.member_keys import open_keys
from node.membership import network
from node.membership.home_setup import init_home
from node.membership.network import NetworkFile
from node.store.opening import migrate
from node.upkeep.recover_log import recover

TIME = "2026-11-22T02:00:00Z"
MOMENT = parse_time(TIME)
FOUNDERS = (("log", "sequencer"), ("office", "office"), ("desk", "registrar"), ("tax", "department"))


class InProcess:
    """A witness in this process."""

    def __init__(self, witness: Witness, origin: str) -> None:
        self._witness = witness
        self._origin = origin

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        return self._witness.add_checkpoint(body, MOMENT)[:2]

    def latest(self) -> bytes | None:
        return self._witness.latest(self._origin)


class RunningNetwork:
    """Four homes of a founded network, with witnesses in memory; the log runs while ``running``."""

    def __init__(self, folder: Path) -> None:
        made = {name: init_home(folder / name, name, name, (role,), "127.0.0.1:1") for name, role in FOUNDERS}
        keys = {name: open_keys(each) for name, each in made.items()}
        cards = [network.read_card(each.home.card) for each in made.values()]
        proposal = network.propose("net", "2026-11", "paillier-3072", cards, pilot=False)
        for card in cards:
            network.sign_proposal(proposal, card, keys[card["id"]].node)
        self.genesis, self.file = network.seal(proposal, keys["log"].node, TIME)
        self.configuration = made["log"]
        network.join(self.configuration.home, self.file, self.genesis)
        self.tax = made["tax"]
        network.join(self.tax.home, self.file)
        self.keys = keys
        self.count = 0
        names = network.witness_names(cards)
        self.witnesses = {
            name: InProcess(
                Witness(
                    Cosigner(name, keys[member].signing("witness")),
                    [self.file.policy.log],
                    MemoryWitnessStore(),
                ),
                self.file.policy.origin,
            )
            for name, member in names.items()
        }

    @property
    def public(self) -> Path:
        return self.configuration.home.public_log

    @property
    def database(self) -> Path:
        return self.configuration.home.root / "node.db"

    def sequencer(self) -> Sequencer:
        engine = open_database(self.configuration.store_url)
        migrate(engine)
        signer = NoteSigner(self.file.policy.origin, self.keys["log"].signing("log"))
        settings = FinalizerSettings(round=2.0, retry=0.05)
        made = Sequencer(
            engine,
            LogParts(signer, self.file.policy, self.witnesses, self.public, settings),
            lambda: MOMENT,
        )
        made.start()
        return made

    def submit(self, count: int) -> None:
        """Run the log for some entries; genesis first."""
        log = self.sequencer()
        log.wait_ready(5)
        if not log.size:
            log.submit(self.genesis)
        for _ in range(count):
            self.count += 1
            body = {"code": f"c{self.count}", "count": 1}
            entry = draft("net", "incident", f"{self.count:032x}", TIME, body)
            log.submit(signed(entry, self.keys["tax"].node).leaf())
        log.stop()


@pytest.fixture
def running_network(tmp_path: Path) -> RunningNetwork:
    made = RunningNetwork(tmp_path)
    made.submit(2)
    shutil.copy(made.database, tmp_path / "backup.db")
    made.submit(3)
    update_mirror(FolderSource(made.public), tmp_path / "mirror")
    shutil.copy(tmp_path / "backup.db", made.database)
    return made


def test_backup_quarantine_recovery_and_the_log_goes_on(
    running_network: RunningNetwork, tmp_path: Path
) -> None:
    log = running_network.sequencer()
    with pytest.raises(QuarantineError):
        log.wait_ready(5)
    log.stop()
    done = CliRunner().invoke(
        command,
        ["recover", str(running_network.configuration.home.root), str(tmp_path / "mirror")],
        env={"HEDUI_LANGUAGE": "en"},
    )
    assert done.exit_code == 0, done.output
    assert (done.stderr, done.stdout[:47]) == ("", "The log holds 6 entries again; it had 3 under a")
    running_network.submit(1)
    pinned = NetworkFile.read(running_network.configuration.home.network).policy.format().encode()
    assert verify_folder(running_network.public, policy=pinned).size == 7


def test_without_any_mirror_a_nodes_replica_serves(running_network: RunningNetwork, tmp_path: Path) -> None:
    engine = open_database(running_network.tax.store_url)
    migrate(engine)
    replica = Replica(engine, "net", running_network.file.genesis, running_network.file.policy)
    source = FolderSource(running_network.public)
    replica.extend(read_leaves(source), source.fetch("checkpoint", 1 << 20))
    engine.dispose()
    shutil.rmtree(running_network.public)
    shutil.rmtree(tmp_path / "mirror")
    done = CliRunner().invoke(command, ["mirror", str(running_network.tax.home.root), str(tmp_path / "copy")])
    assert done.exit_code == 0, done.output
    running_network.database.unlink()
    assert recover(running_network.configuration, FolderSource(tmp_path / "copy")).log.size == 6
    running_network.submit(1)
    assert verify_folder(running_network.public).size == 7
    shown = CliRunner().invoke(command, ["show", str(running_network.tax.home.root)])
    assert len(shown.stdout.splitlines()) == 6
    empty = CliRunner().invoke(command, ["show", str(running_network.configuration.home.root)])
    assert isinstance(empty.exception, TileMissingError)


@pytest.mark.parametrize("how", ["lost", "old", "damaged", "itself"])
def test_the_public_folder_is_made_whole(running_network: RunningNetwork, tmp_path: Path, how: str) -> None:
    if how == "lost":
        shutil.rmtree(running_network.public)
    elif how == "old":
        shutil.rmtree(running_network.public)
        running_network.public.mkdir()
        (running_network.public / "policy").write_bytes((tmp_path / "mirror" / "policy").read_bytes())
    elif how == "damaged":
        next(running_network.public.glob("tile/0/000.p/6")).write_bytes(b"!")
    source = FolderSource(running_network.public if how == "itself" else tmp_path / "mirror")
    done = recover(running_network.configuration, source)
    assert done.log.size == 6
    aside = running_network.configuration.home.root / "evidence" / "ledger-1"
    assert done.set_aside == (None if how in ("lost", "itself") else aside)
    assert verify_folder(running_network.public).size == 6
    assert not running_network.public.with_name("ledger.mirror").exists()
    running_network.submit(1)
    assert verify_folder(running_network.public).size == 7


def test_a_running_node_is_left_alone(running_network: RunningNetwork, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        home = running_network.configuration.home
        text = home.configuration.read_text("utf-8").replace("127.0.0.1:1", address)
        home.configuration.write_text(text)
        done = CliRunner().invoke(command, ["recover", str(home.root), str(tmp_path / "mirror")])
        assert isinstance(done.exception, ConfigurationError)
        assert "stop it first" in str(done.exception)


def test_only_a_sequencer_has_a_log(running_network: RunningNetwork, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["recover", str(tmp_path / "tax"), str(tmp_path / "mirror")])
    assert isinstance(done.exception, ConfigurationError)
    assert "does not run the log" in str(done.exception)


def test_an_older_copy_than_what_is_published_here_is_refused(
    running_network: RunningNetwork, tmp_path: Path
) -> None:
    recover(running_network.configuration, FolderSource(tmp_path / "mirror"))
    running_network.submit(1)
    shutil.copy(tmp_path / "backup.db", running_network.database)
    with pytest.raises(LogError, match="published here has 7"):
        recover(running_network.configuration, FolderSource(tmp_path / "mirror"))
    assert recover(running_network.configuration, FolderSource(running_network.public)).log.size == 7
