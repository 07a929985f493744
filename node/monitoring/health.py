"""Health of a node and of the ledger as the node sees it, for ``hedui node status`` and monitoring.

State of the ledger. The member that runs the log knows:

    quarantine: <reason>             the log signs nothing more, or this node's own peer is not followed
    quorum 0 of 2, missing a, b      too few witnesses cosign; ordered entries become final with the quorum
    final                            the newest head is final, or will be with the next round

Every other node knows the newest checkpoint it could fetch: ``final`` while it is fresh enough to answer
under, otherwise its age. The age is the number of seconds since a quorum had cosigned the checkpoint, so that
a single witness whose clock is ahead cannot make it look younger. An idle log has its head cosigned again
every ``ledger.sequencer.finalizer.FinalizerSettings.refresh`` seconds, so a growing age means that the ledger
or the network path to it is lost.

A node is unhealthy when an operator has to act: the log is in quarantine, there is evidence of two histories,
or files of a published set are missing. A ledger that is out of reach or short of a quorum recovers without
an operator and leaves the node healthy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.errors import LedgerError, NoteError, QuorumError
from ledger.formats.policy import Policy, VerifiedCheckpoint
from node.department.own_publications import published_sets
from node.services import Services
from node.tlog.client import fresh_cosignatures
from node.tlog.engine import Engine
from protocols.profiles import HEAD_MAX_AGE_SECONDS

FINAL = "final"


@dataclass(frozen=True)
class LedgerHealth:
    """State of the ledger as one node sees it.

    Attributes:
        ledger: one line for people, see the module.
        final_age: seconds since a quorum had cosigned the last final checkpoint; None before the first.
        quarantined: whether the log stays stopped until an operator acts.
    """

    ledger: str
    final_age: int | None
    quarantined: bool = False


def ledger_health(
    engine: Engine, policy: Policy, replayed: VerifiedCheckpoint | None, now: int
) -> LedgerHealth:
    """State of the ledger at this node.

    Args:
        engine: the node's ledger engine.
        policy: the network's trust policy.
        replayed: the newest checkpoint this node has fetched and verified.
        now: POSIX seconds.
    """
    own = engine.own
    newest = replayed if own is None or own.head is None else _verified(policy, own.head)
    age = None if newest is None else max(0, now - newest.quorum_time(policy.quorum))
    if engine.quarantined is not None:
        return LedgerHealth(f"quarantine: {engine.quarantined}", age, quarantined=True)
    if own is not None and own.quorum_error is not None:
        return LedgerHealth(_shortage(own.quorum_error, policy), age)
    if newest is None:
        return LedgerHealth("no final checkpoint yet", None)
    if own is None and fresh_cosignatures(newest, now) < policy.quorum:
        return LedgerHealth(_staleness(age), age)
    return LedgerHealth(FINAL, age)


@dataclass(frozen=True)
class NodeHealth:
    """What a node is and how far it has come.

    Attributes:
        member: id of the node's member.
        roles: of the node.
        network: name of the network.
        replayed: entries of the ledger that this node has verified and replayed.
        ledger: state of the ledger.
        cosigned: witnesses that have cosigned the newest replayed checkpoint.
        quorum: witnesses that make a checkpoint final.
        waiting: entries in the outbox that are not final yet.
        evidence: names of files that prove two histories of the log.
        restored: progress after a restore from a backup: empty, ``restored``, ``rejoining`` or ``rejoined``.
        timings: microseconds and uses by part of the work, see ``node.times.Timings``.
        published: ``<dataset>/<publication>`` of own live sets whose key is here.
        missing_sets: those of ``published`` whose files are missing or incomplete.
        has_sum_key: whether the ledger holds a sum key.
        datasets: ``<dataset>/<publication>`` that are current for this member as an office.
    """

    member: str
    roles: tuple[str, ...]
    network: str
    replayed: int
    ledger: LedgerHealth
    cosigned: int
    quorum: int
    waiting: int
    evidence: tuple[str, ...]
    restored: str
    timings: Mapping[str, Mapping[str, int]]
    published: tuple[str, ...]
    missing_sets: tuple[str, ...]
    has_sum_key: bool
    datasets: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether no operator has to act."""
        return not (self.ledger.quarantined or self.evidence or self.missing_sets)

    def to_json(self) -> dict[str, Any]:
        """The object that ``hedui node status --json`` prints."""
        return {
            "member": self.member,
            "roles": list(self.roles),
            "network": self.network,
            "replayed": self.replayed,
            "ledger": self.ledger.ledger,
            "final_age": self.ledger.final_age,
            "healthy": self.healthy,
            "cosigned": self.cosigned,
            "quorum": self.quorum,
            "waiting": self.waiting,
            "evidence": list(self.evidence),
            "restored": self.restored,
            "spent": {part: dict(value) for part, value in self.timings.items()},
            "published": list(self.published),
            "missing_sets": list(self.missing_sets),
            "sumkey": self.has_sum_key,
            "datasets": list(self.datasets),
        }


def node_health(services: Services, ledger: LedgerHealth) -> NodeHealth:
    """Health of this node, from what it holds now; nothing is fetched.

    Args:
        services: of the node.
        ledger: state of the ledger, see ``ledger_health``.
    """
    checkpoint, published = services.ledger.replica.checkpoint, published_sets(services)
    current = services.view.publications_for(services.member)
    return NodeHealth(
        member=services.member,
        roles=tuple(services.configuration.roles),
        network=services.network,
        replayed=services.ledger.replica.size,
        ledger=ledger,
        cosigned=0 if checkpoint is None else len(checkpoint.cosigned),
        quorum=services.ledger.policy.quorum,
        waiting=services.outbox.waiting(),
        evidence=tuple(services.ledger.evidence),
        restored=services.restore_fence.state(),
        timings=services.timings.read(),
        published=tuple(sorted(published)),
        missing_sets=tuple(sorted(name for name, is_whole in published.items() if not is_whole)),
        has_sum_key=services.view.sumkey() is not None,
        datasets=tuple(f"{item.dataset}/{item.label}" for item in current),
    )


def _staleness(age: int | None) -> str:
    if age is not None and age < HEAD_MAX_AGE_SECONDS:
        return "too few witnesses cosigned at a time this node's clock agrees with: see whose clock is wrong"
    return f"the newest checkpoint is {age} s old: the ledger is out of reach, or short"


def _verified(policy: Policy, note: bytes) -> VerifiedCheckpoint | None:
    try:
        return policy.verify_checkpoint(note)
    except (NoteError, QuorumError):
        return None


def _shortage(error: LedgerError, policy: Policy) -> str:
    """The witnesses that are missing; the error's own text where it is not about witnesses."""
    if not isinstance(error, QuorumError) or not error.missing:
        return str(error)
    cosigned = len(policy.witnesses) - len(error.missing)
    return f"quorum {cosigned} of {policy.quorum}, missing {', '.join(error.missing)}"
