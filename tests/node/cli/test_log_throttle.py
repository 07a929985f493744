"""Repeated log messages: logged at once, then once a minute with a count; the filter's memory is bounded."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from node.cli.logs import MOST_NEW, MOST_TEXTS, RepeatFilter


class Clock:
    """Seconds as the test sets them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, clock: Clock) -> Iterator[logging.Logger]:
    """A logger whose records pass the filter of the handler that captures them."""
    caplog.set_level(logging.INFO)
    limit = RepeatFilter(clock)
    caplog.handler.addFilter(limit)
    yield logging.getLogger("hedui.test")
    caplog.handler.removeFilter(limit)


def test_once_then_once_a_minute_with_a_count(
    log: logging.Logger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for quarter in range(4 * 125):
        clock.now = quarter / 4
        log.warning("the ledger does not start yet: %s", "a")
    assert caplog.messages == [
        "the ledger does not start yet: a",
        "the ledger does not start yet: a (and 239 times more since this was last logged)",
        "the ledger does not start yet: a (and 239 times more since this was last logged)",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_change_is_logged_at_once_and_alternating_messages_are_limited(
    log: logging.Logger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        clock.now += 1
        log.info("one")
        log.info("another")
    log.error("one")
    assert caplog.messages == ["one", "another", "one"]


def test_what_is_remembered_is_bounded(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MOST_TEXTS + 1):
        log.info(str(number))
    caplog.clear()
    log.info(str(MOST_TEXTS))
    assert caplog.messages == []
    log.info("0")
    assert caplog.messages == ["0"], "the oldest was forgotten"


def test_new_messages_are_bounded(
    log: logging.Logger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10_000):
        log.info("%d: the question names no current publication", number)
    assert len(caplog.messages) == MOST_NEW
    clock.now = 61.0
    log.info("another")
    assert caplog.messages[MOST_NEW:] == [
        f"another ({10_000 - MOST_NEW} new messages before it were suppressed: there were too many)"
    ]


def test_every_new_error_is_logged(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MOST_NEW + 80):
        log.error("the key of publication %d was lost with the restored home", number)
    assert len(caplog.messages) == MOST_NEW + 80


def test_a_flood_suppresses_no_other_logger_and_no_other_level(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    log.error("a fault")
    for number in range(10_000):
        log.info("%d: the question names no current publication", number)
    caplog.clear()
    log.error("another fault")
    log.error("a fault")
    logging.getLogger("hedui.another").info("a start")
    assert caplog.messages == ["another fault", "a start"]


def test_errors_with_other_causes_are_other_messages(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    for cause in ("disk full", "disk full", "no table"):
        log.error("a call failed", exc_info=ValueError(cause))
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        "disk full",
        "no table",
    ]


def test_a_node_limits_what_it_logs_and_reports_malformed_records() -> None:
    source = """
import logging
from node.cli.logs import log_to_stderr
log_to_stderr()
log = logging.getLogger("hedui.test")
for _ in range(100):
    log.warning("the ledger does not start yet")
log.warning("%d", "no number")
"""
    done = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True)
    assert done.stderr.count("does not start yet") == 1
    assert "--- Logging error ---" in done.stderr
