"""The Fabric engine of one member: it appends through its own peer and reads the derived log.

Append, in this order:

1. A leaf in the own derived log is there already: go to 6.
2. A transaction that carries it and whose outcome is not known: ask about that one, see 5.
3. Endorse. What the contract refuses is ``EntryRefusedError``; ``recorded`` says that exactly this leaf
   counts already: go to 6. What another organisation's peer alone refuses is tried again a few times: that
   peer may be a block behind. Too few organisations, or no answer, is ``LogUnavailableError``: nothing was
   submitted.
4. Submit. An answer that does not say "not taken" leaves the outcome unknown.
5. Ask for the outcome, with the same transaction id, until it is known or the leaf appears in the own
   log. A read conflict means that another transaction came in between: back to 3, a few times, after a
   random pause. Unknown to the end is ``OutcomeUnknownError``; the same bytes again go to 2. An orderer that
   dies takes with it what it had accepted and Raft had not, so after 2, 4, 8 … seconds *the same*
   transaction is submitted again: the second of one id changes nothing (DUPLICATE_TXID). **No other is
   submitted for a leaf while a transaction that carries it may still be ordered.** After a minute of
   asking, or a restart, it may: the key ``id/<entry id>``, which every such transaction reads and writes,
   lets one of them count and no more. Where the leaf has become too old to be endorsed again, the old
   transaction is submitted again instead, since an orderer may keep it for long: ``clock`` is reported only
   when it is known not to count, or after a restart.
6. Wait until the own peer shows the leaf, and until a cosigned checkpoint covers it; its root must be
   that of the own log. The receipt's path comes from the own log.

A leaf that is ordered but void by replay is ``EntryRefusedError`` with the replay's code once it is final.
Reading uses the own log alone, up to the last cosigned checkpoint that agrees with it. A checkpoint that does
not agree is a fork: ``ForkError`` carries both as evidence.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass

from sqlalchemy import Engine

from ledger import contract
from ledger.contract.replay import Apply
from ledger.errors import (
    EntryRefusedElsewhereError,
    EntryRefusedError,
    LedgerError,
    LogError,
    LogUnavailableError,
    OutcomeUnknownError,
    TransactionConflictError,
)
from ledger.fabric.blocks import BlockStream
from ledger.fabric.checkpoints import Heads, size_of
from ledger.fabric.derived import DerivedLog
from ledger.fabric.follower import Follower
from ledger.fabric.gateway import (
    AGAIN_SECONDS,
    VALID,
    Gateway,
    PreparedTransaction,
    TransactionOutcome,
    connect,
)
from ledger.fabric.profile import ConnectionProfile, FabricIdentity
from ledger.formats.policy import Policy
from ledger.formats.receipt import Receipt
from ledger.sequencer.ordering import Candidate

log = logging.getLogger("hedui.fabric")

ATTEMPTS = 12
"""Endorsements of one leaf that raced with others, before its submitter is told to try again later."""

BEHIND_ATTEMPTS = 4
"""How often a refusal by another organisation's peer alone is met with another try: it may be behind."""

PAUSE_SECONDS = 0.15
"""Longest pause after the first race; it grows with each."""

LOST_SECONDS = 2.0
"""After this without an outcome, and then twice as long each time, a transaction is submitted again."""

SETTLE_SECONDS = 60.0
"""After this, a transaction of unknown outcome no longer keeps its leaf from being endorsed again."""


KEPT_SECONDS = 3600.0
"""After this, a transaction of unknown outcome that no submitter has asked about is forgotten."""


@dataclass(frozen=True)
class _Pending:
    """A transaction whose outcome is not known."""

    prepared: PreparedTransaction
    since: float

    @property
    def age(self) -> float:
        """Seconds since it was submitted first."""
        return time.monotonic() - self.since


class FabricBackend:
    """Appends a member's entries through its own peer and reads its derived log; safe for threads.

    Call ``start`` before the first append and ``stop`` at the end.
    """

    def __init__(
        self,
        profile: ConnectionProfile,
        database: Engine,
        policy: Policy,
        head: Callable[[], bytes | None],
        now: Callable[[], int],
        *,
        apply: Apply = contract.apply,
    ) -> None:
        """Open the derived log; nothing is sent before ``start``.

        Args:
            profile: the own peer and identity.
            database: with the tables of ``ledger.storage.database``.
            policy: whom the network trusts.
            head: the newest cosigned checkpoint of the assembler; None where it has none or does not answer.
            now: POSIX seconds.
            apply: the contract.

        Raises:
            KeysError: the profile's identity is malformed.
            LogError: the database holds an embedded log.
        """
        self._profile = profile
        self._policy = policy
        self._channel = connect(profile)
        identity = FabricIdentity.of(profile, now)
        self.gateway = Gateway(profile, identity, self._channel)
        self.derived = DerivedLog(database, apply)
        stream = BlockStream(profile, identity, self._channel)
        self._follower = Follower(self.derived, stream, profile.channel, profile.chaincode)
        # Set once by `stop`; ends every wait of any thread.
        self._stopping = threading.Event()
        self._heads = Heads(head, policy, self.derived, self._stopping)
        # Guards both dicts below, by leaf hash; any thread that appends uses them.
        self._lock = threading.Lock()
        # Leaves that one thread orders while the others wait for its future.
        self._under_way: dict[bytes, Future[int]] = {}
        # The last transaction of a leaf whose outcome is not known; written by the thread that orders it.
        self._pending: dict[bytes, _Pending] = {}

    def start(self) -> None:
        """Start following the own peer."""
        self._follower.start()

    def stop(self) -> None:
        """Stop following; appends under way end with ``LogUnavailableError``."""
        self._stopping.set()
        self.derived.release()
        self._follower.stop()
        self._channel.close()

    @property
    def fault(self) -> LedgerError | None:
        """The error that ended the following of the own peer, or None."""
        return self._follower.fault

    def append(self, leaf: bytes) -> Receipt:
        """Append an entry and wait until it is final; the same bytes again give the first receipt.

        Raises:
            EntryError: the leaf is not a well-formed entry.
            EntryRefusedError: the contract refuses the entry, or the entry is ordered and void.
            OutcomeUnknownError: submitted, but it is not known in time whether the entry counts; appending
                the same bytes again asks about it.
            LogUnavailableError: not final in time, or too few peers or witnesses; it is safe to append the
                same bytes again.
            ForkError: the checkpoint, or the own peer's blocks, contradict what was seen here before.
        """
        candidate = Candidate.parse(leaf)
        deadline = time.monotonic() + self._profile.limits.commit
        try:
            position = self._joined(candidate, deadline)
        except ValueError as error:  # what grpc raises for a call on a closed channel
            if not self._stopping.is_set():
                raise
            raise LogUnavailableError(
                "this node has stopped: submit the same bytes again when it runs"
            ) from error
        note = self._heads.covering(position, deadline)
        void = self.derived.void_code(position)
        if void is not None:
            raise EntryRefusedError(
                void, "the entry is on the ledger but void by replay: sign a new one with a new id"
            )
        return Receipt(position, self.derived.inclusion_paths([position], size_of(note))[0], note)

    def read(self, begin: int, end: int) -> Sequence[bytes]:
        """Leaves begin … end − 1 of the own log, as far as they are final."""
        return self.derived.leaves(begin, min(end, self._heads.final))

    def head(self) -> bytes | None:
        """Note of the last final checkpoint that the own log agrees with; None before the first.

        Raises:
            LogUnavailableError: the own peer does not show its entries in time.
            ForkError: the own log is another one.
        """
        self._check()
        return self._heads.newest(self._profile.limits.commit)

    def root_at(self, size: int) -> bytes:
        """Root of the first ``size`` leaves of the own log.

        Raises:
            MerkleError: there are not so many yet.
        """
        return self.derived.root_at(size)

    def _check(self) -> None:
        if self._follower.fault is not None:
            raise self._follower.fault

    def _joined(self, candidate: Candidate, deadline: float) -> int:
        """Position of a leaf in the own log; one thread orders it, the others wait for that one."""
        with self._lock:
            known = self._under_way.get(candidate.leaf_hash)
            future: Future[int] = Future() if known is None else known
            self._under_way[candidate.leaf_hash] = future
        if known is not None:
            try:
                return known.result(max(deadline - time.monotonic(), 0.0))
            except FutureTimeout:
                raise LogUnavailableError(
                    "the entry is not final yet: submit the same bytes again later"
                ) from None
        try:
            position = self._ordered(candidate, deadline)
        except BaseException as error:
            future.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._under_way[candidate.leaf_hash]
        future.set_result(position)
        return position

    def _ordered(self, candidate: Candidate, deadline: float) -> int:
        self._check()
        position = self.derived.place(candidate.leaf_hash)
        if position is not None:
            return position
        pending = self._open_transaction(candidate)
        young = pending is not None and pending.age <= SETTLE_SECONDS
        if pending is not None and young and self._settled(candidate, pending.prepared, deadline):
            return self._shown(candidate, deadline)
        for attempt in range(ATTEMPTS):
            if self._tried(candidate, attempt, None if young else pending, deadline):
                return self._shown(candidate, deadline)
            self._pause(attempt, deadline)
        raise LogUnavailableError(
            "other transactions came in between every time: submit the same bytes again later"
        )

    def _tried(self, candidate: Candidate, attempt: int, old: _Pending | None, deadline: float) -> bool:
        """Endorse again, or submit the old transaction where it is too late for that; False to try again."""
        try:
            return self._submitted(candidate, deadline)
        except TransactionConflictError:
            return False
        except EntryRefusedElsewhereError:
            if attempt >= BEHIND_ATTEMPTS:
                raise
            return False
        except EntryRefusedError as refused:
            if refused.code != "clock" or old is None:
                raise
            self._submit_again(old.prepared)
            if not self._settled(candidate, old.prepared, deadline):
                raise
            return True

    def _open_transaction(self, candidate: Candidate) -> _Pending | None:
        """The transaction of this leaf that may still be ordered; forgotten ones of others are dropped."""
        with self._lock:
            for old in [one for one, pending in self._pending.items() if pending.age > KEPT_SECONDS]:
                if old not in self._under_way:
                    del self._pending[old]
            return self._pending.get(candidate.leaf_hash)

    def _submitted(self, candidate: Candidate, deadline: float) -> bool:
        """Endorse and submit once; whether the leaf counts now, False after a race."""
        try:
            prepared = self.gateway.endorse([b"append", candidate.leaf])
        except EntryRefusedError as refused:
            if refused.code == "recorded":
                return True
            raise
        with self._lock:
            self._pending[candidate.leaf_hash] = _Pending(prepared, time.monotonic())
        try:
            self.gateway.submit(prepared)
        except OutcomeUnknownError:
            pass  # the transaction may be ordered: its outcome is asked for like any other's
        except LedgerError:
            self._drop(candidate)
            raise
        return self._settled(candidate, prepared, deadline)

    def _settled(self, candidate: Candidate, prepared: PreparedTransaction, deadline: float) -> bool:
        """Ask until the outcome is known: whether the leaf counts, False after a race."""
        pause = LOST_SECONDS
        lost = time.monotonic() + pause
        while True:
            try:
                outcome = self.gateway.status(prepared.transaction, _slice(min(deadline, lost)))
            except OutcomeUnknownError:
                if self.derived.place(candidate.leaf_hash) is not None:
                    outcome = TransactionOutcome(VALID, 0)
                elif time.monotonic() > deadline or self._stopping.wait(AGAIN_SECONDS):
                    raise
                else:
                    if time.monotonic() > lost:
                        pause *= 2
                        lost = time.monotonic() + pause
                        self._submit_again(prepared)
                    continue
            self._drop(candidate)
            if outcome.flag == VALID:
                return True
            if outcome.raced:
                return False
            raise LogError(
                f"the own peer flags the transaction {outcome.flag}: compare the endorsement policy with the "
                "organisations, and the chaincode's version on the peers; the same bytes may be "
                "submitted again"
            )

    def _drop(self, candidate: Candidate) -> None:
        """Forget the transaction of a leaf: its outcome is known."""
        with self._lock:
            self._pending.pop(candidate.leaf_hash, None)

    def _submit_again(self, prepared: PreparedTransaction) -> None:
        """Hand over the same transaction once more; its outcome is asked for whatever the answer is."""
        try:
            self.gateway.submit(prepared)
        except LedgerError:
            log.info("a transaction could not be submitted again; its outcome is still asked for")

    def _shown(self, candidate: Candidate, deadline: float) -> int:
        position = self.derived.wait_for_leaf(candidate.leaf_hash, max(deadline - time.monotonic(), 0.0))
        self._check()
        if position is None:
            raise LogUnavailableError(
                "the entry is committed, but the own peer's blocks do not show it yet: see that the "
                "peer runs; submit the same bytes again later"
            )
        return position

    def _pause(self, attempt: int, deadline: float) -> None:
        longest = PAUSE_SECONDS * (attempt + 1)
        if time.monotonic() > deadline or self._stopping.wait(longest * secrets.randbelow(1000) / 1000):
            raise LogUnavailableError(
                "the entry raced with others until its time was over: submit the same bytes again"
            )


def _slice(deadline: float) -> float:
    """Seconds to wait for one answer: a lost answer must not use up the remaining time."""
    return min(max(deadline - time.monotonic(), AGAIN_SECONDS), 2.0)
