"""How the ledger stands as one node sees it, for ``hedui node status`` and whoever watches it.

The member that runs the log knows:

    quarantine: <why>                the log signs nothing any more, or this node's own peer is not followed
    quorum 0 of 2, missing a, b      too few witnesses cosign; what is ordered becomes final with the quorum
    final                            the last head is final, or will be with the next round

Every other node knows the newest checkpoint it could fetch: ``final`` while it is fresh enough to answer
under, else how old it is. The age is the seconds since a quorum had cosigned the checkpoint, so that no
witness alone, with a clock that is ahead, makes it look younger; an idle log has its head cosigned anew each
``ledger.sequencer.finalizer.Settings.refresh`` seconds, so that an age that grows says that the ledger or
the way to it is lost.

Quarantine and evidence of two histories need a person: the node is not healthy then. A ledger that is out of
reach, or short of a quorum, comes back by itself and leaves the node healthy.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import LedgerError, NoteError, QuorumError
from ledger.formats.policy import Policy, VerifiedCheckpoint
from node.tlog.client import fresh_cosignatures
from node.tlog.engine import Engine
from protocols.profiles import HEAD_MAX_AGE_SECONDS

FINAL = "final"


@dataclass(frozen=True)
class LedgerHealth:
    """How the ledger stands.

    Attributes:
        ledger: one line for people.
        final_age: seconds since a quorum had cosigned the last final checkpoint; None before the first.
        quarantined: whether the log may not go on without a person.
    """

    ledger: str
    final_age: int | None
    quarantined: bool = False


def ledger_health(
    engine: Engine, policy: Policy, replayed: VerifiedCheckpoint | None, now: int
) -> LedgerHealth:
    """How the ledger stands at this node.

    Args:
        engine: of the node.
        policy: of the network.
        replayed: the newest checkpoint this node has fetched and verified.
        now: POSIX seconds.
    """
    own = engine.own
    newest = replayed if own is None or own.head is None else _verified(policy, own.head)
    age = None if newest is None else max(0, now - newest.quorum_time(policy.quorum))
    if engine.quarantined is not None:
        return LedgerHealth(f"quarantine: {engine.quarantined}", age, quarantined=True)
    if own is not None and own.short is not None:
        return LedgerHealth(_shortage(own.short, policy), age)
    if newest is None:
        return LedgerHealth("no final checkpoint yet", None)
    if own is None and fresh_cosignatures(newest, now) < policy.quorum:
        return LedgerHealth(_staleness(age), age)
    return LedgerHealth(FINAL, age)


def _staleness(age: int | None) -> str:
    if age is not None and age < HEAD_MAX_AGE_SECONDS:
        return "too few witnesses cosigned at a time this node's clock agrees with: see whose clock is wrong"
    return f"the newest checkpoint is {age} s old: the ledger is out of reach, or short"


def _verified(policy: Policy, note: bytes) -> VerifiedCheckpoint | None:
    try:
        return policy.verify_checkpoint(note)
    except (NoteError, QuorumError):
        return None


def _shortage(short: LedgerError, policy: Policy) -> str:
    """Who is missing; the error's own words where it is not a matter of witnesses."""
    if not isinstance(short, QuorumError) or not short.missing:
        return str(short)
    cosigned = len(policy.witnesses) - len(short.missing)
    return f"quorum {cosigned} of {policy.quorum}, missing {', '.join(short.missing)}"
