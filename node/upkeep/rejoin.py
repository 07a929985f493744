"""Rejoining after a restore: how a restored node catches up with the ledger, role by role.

    start → fence into the outbox, gap into the journal → replay → fence final in the local replay
          → witness: its record moves to the quorum's checkpoint under which the fence was replayed
          → department: keys of publications retired meanwhile are destroyed; lost keys are reported
          → registrar: consents revoked meanwhile are withdrawn
          → fence settled: the roles work again

Every step before the last may run again after a kill. ``node.tlog.restore_fence`` explains why this is
enough.

A witness whose record is larger than the checkpoint, or has another root, has seen another history: it stays
silent, and the error is logged as evidence. If so many witnesses were restored at once that no quorum is left
to record the fence, the operator gives the newest checkpoint known anywhere (``load_position``, `hedui node
rejoin`); from then on the node's witness cosigns again, and the fence can become final.

Other logs that the witness cosigns are resumed by hand, each from its newest checkpoint
(``load_other_positions``): this node has no replica of them that would show what it cosigned after the
backup.
"""

from __future__ import annotations

import contextlib
import logging

from sqlalchemy import Engine, insert, select, update

from keys.errors import SecretMissingError
from ledger.contract.records import Publication
from ledger.contract.view import dataset_owner
from ledger.errors import ForkError, LedgerError, QuorumError, RollbackError, VerificationError
from ledger.formats.checkpoint import Checkpoint, Cosigner, cosigned_at, verify_signed
from ledger.formats.note import Note, VerifierKey
from ledger.formats.policy import Policy, VerifiedCheckpoint
from ledger.formats.tiles import CHECKPOINT
from ledger.merkle import root_from
from ledger.storage.database import writing
from ledger.storage.witness_store import SqlWitnessStore
from ledger.witness import WitnessRecord, WitnessStore
from node.case import NO_CONSENT
from node.department.own_publications import LOST, open_secret, secret_name
from node.errors import ConfigurationError, NodeError, StoreError
from node.services import Services
from node.store import tables
from node.store.database import put
from node.tlog.witness import own_cosigner
from protocols.psi.voprf import public_key

NOTHING_WAITS = "this home's witness is not waiting to rejoin that log: nothing was changed"

REJOIN_SECONDS = 0.25
"""Pause between two attempts to rejoin."""

log = logging.getLogger("hedui.rejoin")


def rejoin(services: Services, witness: WitnessStore) -> bool:
    """After a replay, once the fence is final: update this store with what the ledger has recorded meanwhile.

    Args:
        services: the node's services.
        witness: the records of its witness, without the guard of the fence.

    Returns:
        Whether the node has rejoined now.

    Raises:
        ForkError: the witness's record contradicts the ledger: it stays silent.
    """
    fence = services.restore_fence
    fences = fence.found()
    if not fences:
        return False
    _move_up(services, witness)
    if "department" in services.configuration.roles:
        _department(services)
    if "registrar" in services.configuration.roles:
        _registrar(services)
    fence.settle(fences)
    log.warning(
        "this node was restored from a backup and has rejoined at entry %d", services.ledger.replica.size
    )
    web = services.configuration.web
    if web is not None and web.logs:
        log.warning(
            "other logs are not cosigned until `hedui node rejoin` is run for each of them: see the guide"
        )
    return True


class Rejoining:
    """Tries to rejoin after a restore; ``attempt`` and ``pause`` make a ``PeriodicTask``."""

    def __init__(self, services: Services, witness: WitnessStore) -> None:
        """Args: ``witness`` holds the records of the node's witness, unguarded."""
        self._services = services
        self._witness = witness

    def attempt(self) -> None:
        """Rejoin where the fence is final; what is in the way is logged."""
        if self._services.restore_fence.state() != "rejoining":
            return
        try:
            rejoin(self._services, self._witness)
        except ForkError as error:
            log.error("this node cannot rejoin: %s", error)  # noqa: TRY400  expected: no trace
        except (NodeError, LedgerError) as error:
            log.info("this node cannot rejoin yet: %s", error)

    def pause(self) -> float | None:
        """Seconds to the next attempt; None once the node has rejoined, or where it never was restored."""
        return REJOIN_SECONDS if self._services.restore_fence.state() == "rejoining" else None


def _move_up(services: Services, store: WitnessStore) -> None:
    """Set the witness's record to the checkpoint of the local replay."""
    newest = services.ledger.replica.newest
    if newest is None or "sequencer" in services.configuration.roles:
        return
    head, note = newest
    origin = services.ledger.policy.origin
    record = store.read(origin)
    if record is not None and not _extends(services, record, head):
        raise ForkError(
            "this node's witness has cosigned a tree that the ledger does not contain: it stays silent; keep "
            "its home as evidence and call the auditor"
        )
    cosigner = own_cosigner(services.member, services.keys.signing("witness"), services.ledger.policy)
    new = _record(record, head, note, cosigner, services.ledger.policy.log)
    if record != new and not store.swap(origin, record, new):
        raise StoreError("the witness's record changed meanwhile: the node tries again")


def _extends(services: Services, record: WitnessRecord, head: VerifiedCheckpoint) -> bool:
    """Whether the replayed ledger contains the tree that the witness cosigned."""
    if record.size > head.checkpoint.size:
        return False
    return root_from(record.size, services.ledger.replica.source()) == record.root


def _record(
    record: WitnessRecord | None,
    head: VerifiedCheckpoint,
    note: bytes,
    cosigner: Cosigner,
    log_key: VerifierKey,
) -> WitnessRecord:
    """The witness's record of a checkpoint with a quorum, cosigned at the newest known time."""
    time = max([*head.cosigned.values(), 0 if record is None else record.time])
    whole = Note.parse(note)
    kept = Note(whole.text, (*whole.only(log_key).signatures, cosigner.cosign(whole.text, time)))
    return WitnessRecord(head.checkpoint.size, head.checkpoint.root, time, kept.format())


def _department(services: Services) -> None:
    """Destroy the keys that were destroyed since the backup; report those that are lost."""
    view, vault = services.view, services.keys.vault
    kept = set(vault.names())
    for dataset in view.datasets():
        if dataset_owner(dataset) != services.member:
            continue
        for label in view.labels(dataset):
            key = {"dataset": dataset, "publication": label}
            published = view.publication(dataset, label)
            if view.retired(dataset, label):
                with contextlib.suppress(SecretMissingError):
                    vault.delete(secret_name(dataset, label))
                values = {"state": "destroyed", "details": ""}
            elif published is None or not _has_key(services, kept, published):
                log.error("the key of %s/%s is lost: publish %s again, or retire it", dataset, label, dataset)
                values = {"state": "published", "details": LOST}
            elif services.store.one(tables.own_publication, **key) is None:
                values = {"state": "published", "details": published.root}
            else:
                continue
            with services.store.writing() as connection:
                put(connection, tables.own_publication, key, values)


def _has_key(services: Services, kept: set[str], published: Publication) -> bool:
    """Whether the vault holds the published key, and not that of a build that was started again."""
    dataset, label = published.dataset, published.label
    if secret_name(dataset, label) not in kept:
        return False
    if public_key(open_secret(services, dataset, label).key).hex() == published.key:
        return True
    services.keys.vault.delete(secret_name(dataset, label))
    return False


def _registrar(services: Services) -> None:
    """Withdraw the consents that were revoked on the ledger since the backup."""
    consent = tables.consent
    for _, entry in services.ledger.replica.of_type("consent.revoke"):
        with services.store.writing() as connection:
            withdrawn = consent.c.commitment == entry.body["commitment"]
            connection.execute(update(consent).where(withdrawn).values(kind=NO_CONSENT))


def load_position(database: Engine, policy: Policy, note: bytes, cosigner: Cosigner) -> VerifiedCheckpoint:
    """Let a restored witness continue from a checkpoint; for use by hand if no quorum is left.

    Args:
        database: the node's database.
        policy: the network's trust policy.
        note: the newest checkpoint known anywhere, from a mirror, an auditor or the public log.
        cosigner: the witness's key.

    Raises:
        NoteError, VerificationError: the checkpoint does not verify under the policy.
        RollbackError, ForkError: it is older than the witness's record, or contradicts it.
        ConfigurationError: the home was not restored.
    """
    try:
        verified = policy.verify_checkpoint(note)
    except QuorumError as error:  # of the given file, so not a matter of availability
        raise VerificationError("quorum", CHECKPOINT, str(error)) from error
    store = SqlWitnessStore(database)
    record = store.read(policy.origin)
    _require_newer(record, verified.checkpoint)
    waiting = select(tables.restored.c.id).where(tables.restored.c.witness == 0)
    with database.connect() as connection:
        restores = connection.execute(waiting).scalars().all()
    if not restores:
        raise ConfigurationError(NOTHING_WAITS)
    _replace(store, policy.origin, record, _record(record, verified, note, cosigner, policy.log))
    with writing(database) as connection:  # after the record, so that a running node does not use the old one
        connection.execute(
            update(tables.restored).where(tables.restored.c.id.in_(restores)).values(witness=1)
        )
    return verified


def load_other_positions(
    database: Engine, log_key: VerifierKey, note: bytes, cosigner: Cosigner, now: int
) -> Checkpoint:
    """Let the witness continue to cosign another log from a checkpoint; for use by hand after every restore.

    Args:
        database: the node's database.
        log_key: that log's key, as listed in ``[[web.logs]]``.
        note: its newest checkpoint known anywhere; the operator is responsible for this.
        cosigner: the witness's key.
        now: POSIX seconds.

    Raises:
        NoteError: the checkpoint is not signed by that log.
        RollbackError, ForkError: it is older than the record, or contradicts it.
        ConfigurationError: no restore is waiting for this log.
    """
    whole = Note.parse(note)
    head = verify_signed(whole, log_key)
    store = SqlWitnessStore(database)
    record = store.read(log_key.name)
    _require_newer(record, head)
    taken = select(tables.rejoined_log.c.restore).where(tables.rejoined_log.c.origin == log_key.name)
    with database.connect() as connection:
        waiting = select(tables.restored.c.id).where(tables.restored.c.id.not_in(taken))
        restores = connection.execute(waiting).scalars().all()
    if not restores:
        raise ConfigurationError(NOTHING_WAITS)
    times = (now, 0 if record is None else record.time, cosigned_at(whole, cosigner.verifier) or 0)
    line = cosigner.cosign(whole.text, max(times))
    kept = Note(whole.text, (*whole.only(log_key).signatures, line)).format()
    _replace(store, log_key.name, record, WitnessRecord(head.size, head.root, max(times), kept))
    with writing(database) as connection:
        rows = [{"restore": restore, "origin": log_key.name} for restore in restores]
        connection.execute(insert(tables.rejoined_log), rows)
    return head


def _require_newer(record: WitnessRecord | None, head: Checkpoint) -> None:
    if record is None:
        return
    if record.size > head.size:
        raise RollbackError(
            "the checkpoint is older than one that this witness has cosigned: look for a newer one in the "
            "auditor's mirror, or where that log is published"
        )
    if record.size == head.size and record.root != head.root:
        raise ForkError(
            "the checkpoint contradicts one that this witness has cosigned: keep both it and the home as "
            "evidence, and call the auditor"
        )


def _replace(store: SqlWitnessStore, origin: str, record: WitnessRecord | None, new: WitnessRecord) -> None:
    if record != new and not store.swap(origin, record, new):
        raise StoreError("the witness's record changed meanwhile: stop the node and try again")
