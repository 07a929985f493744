"""A Fabric network in this process: real messages over real gRPC, without orderer and peer binaries.

A ``Peer`` serves Gateway and Deliver, runs the chaincode over the Connect stream as a peer does, keeps
versioned keys and validates every transaction of a block: signatures, duplicate ids, endorsements, read
versions (MVCC). One orderer cuts blocks. Faults are set by the tests: a call that fails before or after it
did its work, peers that are down, a flag that one peer sees differently.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from fabric_protos.common import common_pb2

from ledger.fabric.blocks import data_hash, header_hash
from ledger.fabric.profile import ConnectionProfile
from tests.ledger.fabric.memory_messages import (
    BATCH_SECONDS,
    CHAINCODE,
    CHANNEL,
    OFFER,
    OLD_OFFER,
    ORGANISATIONS,
    issue,
)
from tests.ledger.fabric.memory_peer import Peer
from tests.ledger.sequencer.log_cases import MOMENT


class Network:
    """Peers of some organisations and one orderer."""

    def __init__(
        self, clock: Callable[[], int] | None = None, organisations: tuple[str, ...] = ORGANISATIONS
    ) -> None:
        """Start it; its time stands at ``now`` where no clock is given. The second peer is an older one."""
        self._clock = clock
        self.held = False
        self.now = MOMENT
        self.peers: dict[str, Peer] = {}
        for place, name in enumerate(organisations):
            self.peers[name] = Peer(self, name, OLD_OFFER if place == 1 else OFFER)
        self._height = 0
        self._last = b""
        self._waiting: list[bytes] = []
        self._changed = threading.Condition()
        self._open = True
        header = common_pb2.ChannelHeader(type=common_pb2.CONFIG, channel_id=CHANNEL)
        config = common_pb2.Payload(
            header=common_pb2.Header(channel_header=header.SerializeToString())
        ).SerializeToString()
        self._cut([common_pb2.Envelope(payload=config).SerializeToString()])
        self._orderer = threading.Thread(target=self._work, daemon=True)
        self._orderer.start()

    def clock(self) -> int:
        """The clock of every host."""
        return self.now if self._clock is None else self._clock()

    def order(self, envelope: bytes) -> None:
        """Take a transaction."""
        with self._changed:
            self._waiting.append(envelope)
            self._changed.notify_all()

    def hold(self, *, held: bool) -> None:
        """Stop cutting blocks, or go on."""
        with self._changed:
            self.held = held
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify_all()
        self._orderer.join()
        for peer in self.peers.values():
            peer.stop()

    def profile(self, folder: Path, organisation: str = ORGANISATIONS[0]) -> ConnectionProfile:
        """A member's connection profile, read from its file."""
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = issue(f"user@{organisation}")
        (folder / "client.pem").write_bytes(certificate)
        (folder / "client.key").write_bytes(key)
        path = folder / "connection.toml"
        path.write_text(
            f'channel = "{CHANNEL}"\nchaincode = "{CHAINCODE}"\n[organisation]\nmsp = "{organisation}"\n'
            f'[peer]\nendpoint = "{self.peers[organisation].endpoint}"\n'
            '[client]\ncertificate = "client.pem"\nkey = "client.key"\n'
            "[limits]\nendorse = 10\nsubmit = 5\ncommit = 10\n"
        )
        return ConnectionProfile.read(path)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: (self._waiting and not self.held) or not self._open)
                if not self._open:
                    return
                self._changed.wait_for(lambda: not self._open, BATCH_SECONDS)
                batch, self._waiting = self._waiting, []
            self._cut(batch)

    def _cut(self, data: list[bytes]) -> None:
        header = common_pb2.BlockHeader(
            number=self._height, previous_hash=self._last, data_hash=data_hash(data)
        )
        self._height += 1
        self._last = header_hash(header)
        for peer in self.peers.values():
            peer.commit(header, data)
