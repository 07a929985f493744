"""A log written and signed by tlog-scales is cosigned by our witness over HTTP, fed as its operator would."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keys.signing import SigningKey
from ledger.formats.note import VerifierKey
from ledger.formats.policy import Policy
from ledger.storage.database import create_tables, open_database
from ledger.storage.witness_store import SqlWitnessStore
from ledger.witness import Witness
from node.tlog.witness import CosignedNotes, WitnessDesk, open_witness
from node.web.app import create_app
from node.web.server import WebServer
from tests.node.web.handwritten_log import Caller, PlainLog

pytestmark = pytest.mark.foreign

ORIGIN = "scales.example/log"
KEY = SigningKey.from_seed(bytes(range(32)))
NOW = 1_795_000_000


class ForeignLog:
    """A tiled log of tlog-scales with its feeder."""

    def __init__(self, root: Path) -> None:
        writing: Any = pytest.importorskip("tlog_scales.writer")
        self.signing: Any = pytest.importorskip("tlog_scales.signing")
        self.tlog: Any = pytest.importorskip("tlog_scales.tlog")
        self.signer = self.signing.PlainEd25519Signer(ORIGIN, bytes(range(1, 33)))
        self.writer = writing.TilesWriter.create(root, ORIGIN)
        self.root = root

    @property
    def vkey(self) -> str:
        return str(self.signer.vkey.serialize())

    def grow(self, count: int) -> None:
        for number in range(count):
            self.writer.add_leaf(b"leaf %d of %d" % (number, self.writer.size))
        self.writer.commit([self.signer])

    def request(self, old: int) -> bytes:
        """add-checkpoint of the present head, with the library's own consistency proof."""
        proof = self.writer.reader.get_consistency_proof(old, self.writer.size) if old else None
        hashes = [] if proof is None else [base64.b64encode(one).decode() for one in proof.node_hashes]
        head = "".join(f"{line}\n" for line in (f"old {old}", *hashes))
        return f"{head}\n{(self.root / 'checkpoint').read_text()}".encode()

    def cosigned(self, body: bytes, vkey: str) -> bool:
        """Whether the library takes the answer for a cosignature of the present head."""
        checkpoint = self.tlog.Checkpoint.from_text((self.root / "checkpoint").read_text())
        lines = [self.signing.NoteSignature.from_line(line) for line in body.decode().splitlines()]
        keys = self.signing.VkeySet(self.signing.Vkey.from_string(vkey))
        return len(keys.verify(lines, checkpoint)) == 1


@pytest.fixture
def log(tmp_path: Path) -> ForeignLog:
    return ForeignLog(tmp_path / "scales")


class Witnessing:
    """Our witness, told to cosign the foreign log."""

    def __init__(self, folder: Path, log: ForeignLog) -> None:
        self.engine = open_database(f"sqlite:///{folder / 'node.db'}")
        create_tables(self.engine)
        own = PlainLog.of("county/log", 1)
        founders = [SigningKey.from_seed(bytes([number] * 32)).public for number in (1, 2)]
        keys = [VerifierKey(f"w{number}", 4, key) for number, key in enumerate([*founders, KEY.public])]
        policy = Policy.create(VerifierKey.parse(own.vkey), keys)
        witness = open_witness("tax", KEY, policy, [log.vkey], Witness, SqlWitnessStore(self.engine))
        self.vkey = witness.verifier.format()
        desk = WitnessDesk(witness, own.origin, CosignedNotes(), lambda: NOW)
        self.server = WebServer(create_app(desk, None), "127.0.0.1:0")
        self.server.start()
        self.caller = Caller(self.server.port)

    def close(self) -> None:
        self.caller.close()
        self.server.stop()
        self.engine.dispose()


@pytest.fixture
def ours(tmp_path: Path, log: ForeignLog) -> Iterator[Witnessing]:
    made = Witnessing(tmp_path, log)
    yield made
    made.close()


def test_a_foreign_log_is_cosigned_as_it_grows(log: ForeignLog, ours: Witnessing) -> None:
    old = 0
    for count in (1, 6, 1, 300, 256):
        log.grow(count)
        answer = ours.caller.post(log.request(old))
        assert (answer.status, log.cosigned(answer.body, ours.vkey)) == (200, True)
        again = ours.caller.post(log.request(old))
        assert (again.status, again.body) == (409, b"%d\n" % log.writer.size)
        old = log.writer.size
    refreshed = ours.caller.post(log.request(old))
    assert refreshed.status == 200
    assert log.cosigned(refreshed.body, ours.vkey)


def test_a_foreign_log_that_forks_is_not(log: ForeignLog, ours: Witnessing, tmp_path: Path) -> None:
    log.grow(8)
    assert ours.caller.post(log.request(0)).status == 200
    fork = ForeignLog(tmp_path / "fork")
    fork.grow(7)
    fork.grow(5)
    answer = ours.caller.post(fork.request(8))
    assert answer.status == 422
    log.grow(4)
    assert ours.caller.post(log.request(8)).status == 200


def test_a_foreign_feeder_keeps_our_witness_up_to_date(
    log: ForeignLog, ours: Witnessing, tmp_path: Path
) -> None:
    """aics-witness has the client's side too, which is strict about status, content type, line and time."""
    feeder: Any = pytest.importorskip(
        "aics_witness.feeder",
        reason="aics-witness is not installed: `make test` installs it, but on Intel Macs",
    )

    def proof(old: int, new: int) -> list[bytes]:
        return list(log.writer.reader.get_consistency_proof(old, new).node_hashes)

    def submit(client: Any) -> bool:
        return log.cosigned(client.submit((log.root / "checkpoint").read_bytes(), proof).encode(), ours.vkey)

    url = f"http://127.0.0.1:{ours.server.port}"
    with feeder.WitnessClient(url, ours.vkey, clock=lambda: NOW) as client:
        for count in (3, 1, 260):
            log.grow(count)
            assert submit(client)
        assert submit(client)
    log.grow(2)
    with feeder.WitnessClient(url, ours.vkey, clock=lambda: NOW) as restarted:
        assert submit(restarted)
        fork = ForeignLog(tmp_path / "fork")
        fork.grow(300)
        with pytest.raises(feeder.WitnessRejected) as refused:
            restarted.submit(
                (fork.root / "checkpoint").read_bytes(),
                lambda old, new: list(fork.writer.reader.get_consistency_proof(old, new).node_hashes),
            )
        assert refused.value.status == 422
