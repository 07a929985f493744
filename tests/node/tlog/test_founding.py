"""Founding a log: the genesis entry follows the start gate, and what is in the way is logged."""

from __future__ import annotations

import pytest

from ledger.errors import LedgerError, LogUnavailableError, QuarantineError
from node.tlog.engine import RETRY_SECONDS, START_SECONDS, Founding


class Log:
    """A log that is ready when the test says so."""

    def __init__(self, *errors: LedgerError) -> None:
        self.errors = list(errors)
        self.leaves: list[bytes] = []

    @property
    def size(self) -> int:
        return len(self.leaves)

    def wait_ready(self, seconds: float) -> None:
        if self.errors:
            raise self.errors.pop(0)

    def submit(self, leaf: bytes) -> None:
        self.leaves.append(leaf)


class Times:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def founding(log: Log, times: Times) -> Founding:
    return Founding(log, b"genesis", times)  # type: ignore[arg-type]  # as far as founding uses a log


def test_an_empty_log_is_founded_once_it_is_ready() -> None:
    log = Log(LogUnavailableError("too few witnesses"))
    made = founding(log, Times())
    made.attempt()
    assert (log.leaves, made.pause()) == ([], RETRY_SECONDS)
    made.attempt()
    assert (log.leaves, made.pause()) == ([b"genesis"], None)


def test_a_log_with_entries_is_left_as_it_is() -> None:
    log = Log()
    log.leaves = [b"genesis", b"more"]
    made = founding(log, Times())
    made.attempt()
    assert (log.size, made.pause()) == (2, None)


def test_missing_witnesses_are_logged_after_a_minute_and_a_quarantine_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = Times()
    made = founding(Log(*(LogUnavailableError("too few witnesses") for _ in range(2))), times)
    made.attempt()
    assert caplog.records == []
    times.now = START_SECONDS
    made.attempt()
    assert "the ledger does not start yet: too few witnesses" in caplog.text
    founding(Log(QuarantineError("another tree")), Times()).attempt()
    assert "the ledger does not start yet: another tree" in caplog.text
