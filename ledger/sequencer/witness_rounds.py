"""The log's side of witnessing: every witness is asked at once, and a round ends with the first quorum.

Each witness has one thread that works on the newest request only, so a slow witness never holds the others
up and never falls behind by more than one answer. A request starts from the size that the witness last named
(in a 409) and carries the consistency proof from there.

A *further* witness of the policy, outside its quorum group, gets the same request on a thread of its own. No
round waits for it and the start gate does not ask it; what it cosigned by the end of the round is published
with the rest, what came later with the next refresh of the same head.

A cosignature counts when it verifies under the policy's key of that witness, over exactly the text asked
about, and its time is not before the last one that witness gave. A witness that knows a larger or different
tree shows it by a checkpoint with the log's own signature: ``judge`` raises ``ForkError`` for such a note.
Claims without it are no evidence, and count as no answer; a further witness is judged in the same way.
Evidence is kept when it comes after its round is over: a quorum of quick witnesses never hides what a slow
one has seen.

Whatever else a witness's client raises is a fault of the program: it is logged, counts as no answer, and ends
no thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from ledger.errors import ForkError, LedgerError, NoteError, WitnessError
from ledger.formats.checkpoint import Checkpoint, verify_cosignature
from ledger.formats.note import NoteSignature, VerifierKey, decimal
from ledger.formats.policy import Policy
from ledger.periodic import FailureLog
from ledger.witness import AddCheckpoint

log = logging.getLogger("hedui.log")

_ATTEMPTS = 3
"""Tries a witness gets in one round: the first, and one after each 409."""

CheckConflict: TypeAlias = Callable[[bytes], None]
"""Raises ``ForkError`` when a witness's note, signed by the log, does not fit this log."""

ConsistencyPath: TypeAlias = Callable[[int], tuple[bytes, ...]]
"""Consistency proof from an old size to the target."""


class WitnessClient(Protocol):
    """A witness as the log reaches it; ``LedgerError`` or ``OSError`` says that it does not answer."""

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Send a tlog-witness request; HTTP status and body of the answer."""
        ...

    def latest(self) -> bytes | None:
        """The last checkpoint of this log the witness cosigned, with signatures; None before the first."""
        ...


class Round:
    """One request to all witnesses, and what has come back."""

    def __init__(
        self, checkpoint: Checkpoint, note: bytes, path: ConsistencyPath, names: tuple[str, ...]
    ) -> None:
        """A request just made; ``names`` are the witnesses that count."""
        # Never changed.
        self.checkpoint = checkpoint
        self.text = checkpoint.text()
        self.note = note
        self._names = names
        self._path = path
        # Guards all fields below: the witnesses' threads write them, the finalizing thread waits for them.
        self._changed = threading.Condition()
        self._lines: dict[str, NoteSignature] = {}
        self._failed: dict[str, str] = {}
        self._fork: ForkError | None = None
        self._paths: dict[int, tuple[bytes, ...]] = {}

    def path(self, old: int) -> tuple[bytes, ...]:
        """The consistency proof from ``old``, computed once for all witnesses."""
        with self._changed:
            if old not in self._paths:
                self._paths[old] = self._path(old)
            return self._paths[old]

    def accept(self, name: str, line: NoteSignature) -> None:
        """Take a verified cosignature."""
        with self._changed:
            self._lines[name] = line
            self._changed.notify_all()

    def fail(self, name: str, reason: str) -> None:
        """Note that a witness did not cosign."""
        with self._changed:
            self._failed[name] = reason
            self._changed.notify_all()

    def stop(self, fork: ForkError) -> None:
        """End the round: a witness holds evidence of another tree."""
        with self._changed:
            self._fork = fork
            self._changed.notify_all()

    def wait(self, quorum: int, seconds: float) -> dict[str, NoteSignature]:
        """Cosignatures by the time a quorum, every answer that counts, a fork or the time-out is there."""
        with self._changed:
            self._changed.wait_for(lambda: self._over(quorum), seconds)
            return dict(self._lines)

    def so_far(self) -> dict[str, NoteSignature]:
        """Every cosignature until now, those that came after the end of the round with them."""
        with self._changed:
            return dict(self._lines)

    def missing(self) -> list[str]:
        """Names of the witnesses that count and have not cosigned."""
        with self._changed:
            return [name for name in self._names if name not in self._lines]

    def failed(self) -> dict[str, str]:
        """Reason, by name, of each witness that refused or could not be asked."""
        with self._changed:
            return dict(self._failed)

    def _over(self, quorum: int) -> bool:
        cosigned = sum(name in self._lines for name in self._names)
        failed = sum(name in self._failed for name in self._names)
        return cosigned >= quorum or cosigned + failed >= len(self._names) or self._fork is not None


class Cosigners:
    """The witnesses of a policy, each with its thread."""

    def __init__(
        self,
        policy: Policy,
        clients: Mapping[str, WitnessClient],
        judge: CheckConflict,
        alarm: Callable[[], None] = lambda: None,
    ) -> None:
        """Threads for the clients, by witness name; a witness of the policy without client never answers.

        Args:
            policy, clients: whom to ask, and how.
            judge: looks at what a refusing witness has.
            alarm: called once ``fork`` is set.

        Raises:
            WitnessError: a client whose name the policy does not list.
        """
        keys = {witness.name: witness.key for witness in policy.listed}
        unknown = [name for name in clients if name not in keys]
        if unknown:
            raise WitnessError(f"the policy lists no witness {', '.join(unknown)}: use the names it has")
        self._names = tuple(witness.name for witness in policy.witnesses)
        self._alarm = alarm
        # Set once, under `_lock`, by the first witness's thread that has evidence; read by any thread.
        self._lock = threading.Lock()
        self.fork: ForkError | None = None
        """The first evidence of another tree that a witness has shown, in any round."""
        self._workers = [
            _Worker(name, client, keys[name], judge, self._keep_fork) for name, client in clients.items()
        ]

    def start(self) -> None:
        """Start the threads."""
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Ask the threads to end; a call under way is not waited for."""
        for worker in self._workers:
            worker.close()

    def begin(self, checkpoint: Checkpoint, note: bytes, path: ConsistencyPath) -> Round:
        """Ask every witness to cosign a checkpoint the log has signed."""
        started = Round(checkpoint, note, path, self._names)
        reached = {worker.name for worker in self._workers}
        for name in self._names:
            if name not in reached:
                started.fail(name, "no address")
        for worker in self._workers:
            worker.post(lambda worker=worker: worker.cosign(started))  # type: ignore[misc]  # bound at once
        return started

    def _keep_fork(self, fork: ForkError) -> None:
        with self._lock:
            if self.fork is None:
                self.fork = fork
        self._alarm()

    def survey(self, needed: int, seconds: float) -> Mapping[str, bytes | None]:
        """The last checkpoint of each witness that counts, once ``needed`` have answered or time is over."""
        answers: dict[str, bytes | None] = {}
        changed = threading.Condition()  # guards `answers`

        def answer(name: str, note: bytes | None) -> None:
            with changed:
                answers[name] = note
                changed.notify_all()

        for worker in self._workers:
            if worker.name not in self._names:
                continue
            worker.post(lambda worker=worker: worker.latest(answer))  # type: ignore[misc]  # bound at once
        with changed:
            changed.wait_for(lambda: len(answers) >= needed, seconds)
            return dict(answers)


class _Worker(threading.Thread):
    """Works on the newest job for one witness."""

    def __init__(
        self,
        name: str,
        client: WitnessClient,
        key: VerifierKey,
        judge: CheckConflict,
        caught: Callable[[ForkError], None],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._caught = caught
        self._client = client
        self._key = key
        self._judge = judge
        # This thread's alone: the size that the witness has last named, the time of its last cosignature.
        self._size = 0
        self._time = 0
        # Guards `_job`, the newest request that is not begun, and `_open`; the finalizing thread sets both.
        self._wake = threading.Condition()
        self._job: Callable[[], None] | None = None
        self._open = True
        self._failures = FailureLog(log, f"asking the witness {name}")

    def post(self, job: Callable[[], None]) -> None:
        """Give the thread a job in place of one it has not begun."""
        with self._wake:
            self._job = job
            self._wake.notify()

    def close(self) -> None:
        """End the thread after the job it is at."""
        with self._wake:
            self._open = False
            self._wake.notify()

    def run(self) -> None:
        """Do one job after another until ``close``."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._job is not None or not self._open)
                if not self._open:
                    return
                job, self._job = self._job, None
            if job is not None:
                with self._failures:
                    job()

    def latest(self, answer: Callable[[str, bytes | None], None]) -> None:
        """Ask for the last checkpoint; a witness that does not answer gives none."""
        try:
            note = self._client.latest()
        except (LedgerError, OSError):
            return
        answer(self.name, note)

    def cosign(self, target: Round) -> None:
        """Ask for a cosignature and tell the round, whatever comes of it."""
        with self._failures:
            self._report(target)
            return
        target.fail(self.name, "the request failed")

    def _report(self, target: Round) -> None:
        try:
            self._cosign(target)
        except ForkError as error:
            self._caught(error)
            target.stop(error)
        except (LedgerError, OSError) as error:
            target.fail(self.name, str(error))

    def _cosign(self, target: Round) -> None:
        status = 0
        for _ in range(_ATTEMPTS):
            request = AddCheckpoint(self._size, target.path(self._size), target.note)
            status, body = self._client.add_checkpoint(request.format())
            if status == 200:
                line = self._line(target, body)
                self._size = target.checkpoint.size
                target.accept(self.name, line)
                return
            if status != 409:
                break
            self._size = _size(body)
            if self._size > target.checkpoint.size:
                break
        self._size = 0
        self._check_evidence()
        raise WitnessError(f"the witness answered with status {status}")

    def _check_evidence(self) -> None:
        """After a refusal, compare the witness's checkpoint: it may be of another tree."""
        note = self._client.latest()
        if note is not None:
            self._judge(note)

    def _line(self, target: Round, body: bytes) -> NoteSignature:
        for text in body.decode("utf-8", "replace").split("\n")[:-1]:
            line = NoteSignature.parse(text)
            if line.by(self._key):
                seconds = verify_cosignature(target.text, line, self._key)
                if seconds < self._time:
                    raise WitnessError("the witness's time went back: set its clock")
                self._time = seconds
                return line
        raise WitnessError("the answer holds no cosignature by the key the policy lists")


def _size(body: bytes) -> int:
    try:
        return decimal(body.decode("ascii").removesuffix("\n"))
    except (UnicodeDecodeError, NoteError) as error:
        raise WitnessError("the witness named no size with its 409") from error


def gate(cosigners: Cosigners, policy: Policy, judge: CheckConflict, seconds: float) -> list[str]:
    """The start gate: compare what the witnesses last saw with this log.

    n − k + 1 answers meet every possible quorum, so a checkpoint that was ever final is among them.

    Returns:
        Names of witnesses still to answer; empty when enough have and none shows another tree.

    Raises:
        ForkError: a witness has a larger or different tree under the log's own signature.
    """
    needed = len(policy.witnesses) - policy.quorum + 1
    answers = cosigners.survey(needed, seconds)
    answered: set[str] = set()
    for name, note in answers.items():
        if note is None:
            answered.add(name)
            continue
        try:
            judge(note)
        except NoteError:
            continue
        answered.add(name)
    if len(answered) >= needed:
        return []
    return [witness.name for witness in policy.witnesses if witness.name not in answered]
