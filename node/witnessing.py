"""This member's witness, whichever edge a request comes in by: gRPC from the log, HTTP from anybody.

Every request goes through one ``Witness`` over one store, so the check of the old size and the durable record
are one step for both edges together. Whatever is cosigned of this network's own log is remembered in
``Cosigned`` before the answer leaves: a node answers no question under a head that contradicts it. A witness
may also cosign logs of others (``[[web.logs]]`` in ``node.toml``); those are no concern of this network.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from keys.signing import SigningKey
from ledger.checkpoint import Checkpoint
from ledger.cosignature import Cosigner
from ledger.errors import NoteError
from ledger.note import TYPE_ED25519, Note, VerifierKey
from ledger.policy import Policy
from ledger.witness import AddCheckpoint, Witness
from ledger.witness_store import SqlWitnessStore
from node.errors import ConfigurationError

REMEMBERED = 4096
OK = 200


class Cosigned:
    """Sizes and roots this node's witness has cosigned, the newest few thousand, for fresh heads."""

    def __init__(self) -> None:
        """Empty; filled from the witness's store and by every cosignature."""
        self._roots: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, checkpoint: Checkpoint) -> None:
        """Remember one cosigned checkpoint."""
        with self._lock:
            self._roots[checkpoint.size] = checkpoint.root
            while len(self._roots) > REMEMBERED:
                self._roots.popitem(last=False)

    def roots(self) -> dict[int, bytes]:
        """Root by size."""
        with self._lock:
            return dict(self._roots)


class WitnessDesk:
    """One witness with the memory of what it has cosigned of this network's own log."""

    def __init__(self, witness: Witness, origin: str, cosigned: Cosigned, clock: Callable[[], int]) -> None:
        """A desk; the last cosigned checkpoint of the log ``origin`` is remembered at once.

        Args:
            witness: knows this network's log, and those of others it cosigns.
            origin: of this network's log.
            cosigned: what ``LedgerClient`` compares heads with.
            clock: POSIX seconds.
        """
        self._witness = witness
        self._origin = origin
        self._cosigned = cosigned
        self._clock = clock
        latest = witness.latest(origin)
        if latest is not None:
            cosigned.add(Checkpoint.parse(Note.parse(latest).text))

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes, str]:
        """Answer one request: (HTTP status, body, content type)."""
        status, answer, content_type = self._witness.add_checkpoint(body, self._clock())
        if status == OK:
            checkpoint = Checkpoint.parse(Note.parse(AddCheckpoint.parse(body).note).text)
            if checkpoint.origin == self._origin:
                self._cosigned.add(checkpoint)
        return status, answer, content_type

    def latest(self, origin: str | None = None) -> bytes | None:
        """The last checkpoint cosigned here, of this network's log where no other is named."""
        return self._witness.latest(self._origin if origin is None else origin)

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins of the logs this witness cosigns."""
        return self._witness.origins


def open_witness(
    member: str, key: SigningKey, policy: Policy, vkeys: Sequence[str], engine: Engine
) -> Witness:
    """A member's witness of the network's own log and of further ones.

    Args:
        member: whose witness it is. key: its cosignature key.
        policy: the network's; names the own log, and this witness where it is a founder's.
        vkeys: further logs, as ``[[web.logs]]`` lists them.
        engine: the member's database.

    Raises:
        ConfigurationError: a vkey is malformed, no log key, or of an origin that is there already.
    """
    name = next(
        (witness.name for witness in policy.witnesses if witness.key.public.raw == key.public.raw),
        f"witness.{member}.hedui/{key.public.id[:16]}",
    )
    logs = [policy.log]
    for vkey in vkeys:
        log = _log_key(vkey)
        if any(log.name == known.name for known in logs):
            raise ConfigurationError(f"[[web.logs]]: the origin {log.name} is listed already: remove one")
        logs.append(log)
    return Witness(Cosigner(name, key), logs, SqlWitnessStore(engine))


def _log_key(vkey: str) -> VerifierKey:
    try:
        log = VerifierKey.parse(vkey)
    except NoteError as error:
        raise ConfigurationError(f"[[web.logs]]: {error}") from error
    if log.kind != TYPE_ED25519:
        raise ConfigurationError(f"[[web.logs]]: {log.name} is a witness's key: give the log's own vkey")
    return log
