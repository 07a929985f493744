"""This member's witness, for requests over gRPC from the log and over HTTP from any client.

Every request goes through one ``Witness`` over one store, so the check of the old size and the durable
record are one step for both edges together. Whatever is cosigned of this network's own log is remembered in
``CosignedNotes`` before the answer leaves: a node answers no question under a head that contradicts it. A
witness may also cosign logs of others (``[[web.logs]]`` in ``node.toml``); those are no concern of this
network.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import grpc
from typing_extensions import override

from keys.signing import SigningKey
from ledger.errors import LedgerError, LogError, NoteError
from ledger.formats.checkpoint import Checkpoint, Cosigner
from ledger.formats.note import TYPE_ED25519, Note, VerifierKey
from ledger.formats.policy import Policy
from ledger.sequencer.witness_rounds import WitnessClient
from ledger.wire import log_pb2, log_pb2_grpc
from ledger.witness import AddCheckpoint, Witness, WitnessStore
from node.errors import ConfigurationError, NodeError, ServiceUnavailableError
from node.rpc.channels import Channels

REMEMBERED = 4096
OK = 200
MAY_BE_ANOTHER_TREE = (409, 422)
log = logging.getLogger("hedui.witness")
WITNESS_SECONDS = 5.0
_LOST = (grpc.RpcError, NodeError, ValueError)
"""What a call raises that is not answered; ``ValueError`` where its channel was closed meanwhile."""


class CosignedNotes:
    """Checkpoints this node's witness has cosigned, the newest few thousand: for fresh heads, as evidence."""

    def __init__(self) -> None:
        """Empty; filled from the witness's store and by every cosignature."""
        # Guards `_notes`: the edges' threads add, any thread reads a copy.
        self._lock = threading.Lock()
        self._notes: OrderedDict[int, bytes] = OrderedDict()

    def add(self, note: bytes) -> None:
        """Remember one cosigned checkpoint, its note signed by the log."""
        size = Checkpoint.parse(Note.parse(note).text).size
        with self._lock:
            self._notes[size] = note
            while len(self._notes) > REMEMBERED:
                self._notes.popitem(last=False)

    def notes(self) -> dict[int, bytes]:
        """Note by size."""
        with self._lock:
            return dict(self._notes)


def no_comparison(note: bytes) -> None:
    """Take no notice of a checkpoint."""
    del note


class WitnessDesk:
    """One witness with the memory of what it has cosigned of this network's own log."""

    def __init__(
        self,
        witness: Witness,
        origin: str,
        cosigned: CosignedNotes,
        clock: Callable[[], int],
        compare: Callable[[bytes], None] = no_comparison,
    ) -> None:
        """A desk; the last cosigned checkpoint of the log ``origin`` is remembered at once.

        Args:
            witness: knows this network's log, and those of others it cosigns.
            origin: of this network's log.
            cosigned: what ``LedgerClient`` compares heads with.
            clock: POSIX seconds.
            compare: looks at checkpoints of this network's log that were not cosigned; raises where one is
                that of another tree, and keeps the evidence.
        """
        self._witness = witness
        self._compare = compare
        self._origin = origin
        self._cosigned = cosigned
        self._clock = clock
        with contextlib.suppress(ServiceUnavailableError):  # restored from a backup: it waits
            latest = witness.latest(origin)
            if latest is not None:
                cosigned.add(latest)

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes, str]:
        """Answer one request: (HTTP status, body, content type)."""
        status, answer, content_type = self._witness.add_checkpoint(body, self._clock())
        if status == OK or status in MAY_BE_ANOTHER_TREE:
            note = Note.parse(AddCheckpoint.parse(body).note)
            if Checkpoint.parse(note.text).origin == self._origin:
                self._take_notice(status, self._witness.bare(note))
        return status, answer, content_type

    def _take_notice(self, status: int, note: bytes) -> None:
        """Remember what was cosigned; what was not may be of another tree: then both notes are evidence."""
        if status == OK:
            self._cosigned.add(note)
            return
        try:
            self._compare(note)
        except LedgerError as error:
            log.info("a checkpoint was brought and not cosigned: %s", error)

    def latest(self, origin: str | None = None) -> bytes | None:
        """The last checkpoint cosigned here, of this network's log where no other is named."""
        return self._witness.latest(self._origin if origin is None else origin)

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins of the logs this witness cosigns."""
        return self._witness.origins


def own_cosigner(member: str, key: SigningKey, policy: Policy) -> Cosigner:
    """A member's cosignature key under the name that the policy gives it; under one of its own otherwise."""
    name = next(
        (witness.name for witness in policy.witnesses if witness.key.public.raw == key.public.raw),
        f"witness.{member}.hedui/{key.public.id[:16]}",
    )
    return Cosigner(name, key)


def open_witness(
    member: str,
    key: SigningKey,
    policy: Policy,
    vkeys: Sequence[str],
    make: Callable[[Cosigner, Sequence[VerifierKey], WitnessStore], Witness],
    store: WitnessStore,
) -> Witness:
    """A member's witness of the network's own log and of further ones.

    Args:
        member: whose witness it is. key: its cosignature key.
        policy: the network's; names the own log, and this witness where it is a founder's.
        vkeys: further logs, as ``[[web.logs]]`` lists them.
        make: the witness of the ledger's engine.
        store: what it has cosigned.

    Raises:
        ConfigurationError: a vkey is malformed, no log key, or of an origin that is there already.
    """
    logs = [policy.log]
    for vkey in vkeys:
        further = _log_key(vkey)
        if any(further.name == known.name for known in logs):
            raise ConfigurationError(f"[[web.logs]]: the origin {further.name} is listed already: remove one")
        logs.append(further)
    return make(own_cosigner(member, key, policy), logs, store)


def other_log(vkeys: Sequence[str], origin: str) -> VerifierKey:
    """The key of a log of others that ``[[web.logs]]`` lists.

    Raises:
        ConfigurationError: it lists none with this origin.
    """
    found = [key for key in map(_log_key, vkeys) if key.name == origin]
    if not found:
        raise ConfigurationError(f"[[web.logs]] lists no log {origin}: add its vkey to node.toml first")
    return found[0]


def _log_key(vkey: str) -> VerifierKey:
    try:
        found = VerifierKey.parse(vkey)
    except NoteError as error:
        raise ConfigurationError(f"[[web.logs]]: {error}") from error
    if found.kind != TYPE_ED25519:
        raise ConfigurationError(f"[[web.logs]]: {found.name} is a witness's key: give the log's own vkey")
    return found


class WitnessOverWire(WitnessClient):
    """A member's witness as the log reaches it."""

    def __init__(self, channels: Channels, member: str) -> None:
        """Args: ``member`` runs the witness."""
        self._channels = channels
        self._member = member

    @override
    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        try:
            response = self._stub().AddCheckpoint(
                log_pb2.AddCheckpointRequest(body=body), timeout=WITNESS_SECONDS
            )
        except _LOST as error:
            raise LogError(f"the witness of {self._member} does not answer") from error
        return int(response.status), bytes(response.body)

    @override
    def latest(self) -> bytes | None:
        try:
            response = self._stub().Latest(log_pb2.LatestRequest(), timeout=WITNESS_SECONDS)
        except _LOST as error:
            raise LogError(f"the witness of {self._member} does not answer") from error
        return bytes(response.checkpoint) or None

    def _stub(self) -> log_pb2_grpc.WitnessStub:
        return log_pb2_grpc.WitnessStub(self._channels.to(self._member))
