"""The same words again and again: said at once, then once a minute with a count."""

from __future__ import annotations

import logging

import pytest

from node.log_throttle import MOST_NEW, MOST_TEXTS, Repeated


class Clock:
    """Seconds as the test sets them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, clock: Clock) -> Repeated:
    caplog.set_level(logging.INFO)
    return Repeated(logging.getLogger("hedui.test"), clock)


def test_once_then_once_a_minute_with_a_count(
    said: Repeated, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for quarter in range(4 * 125):
        clock.now = quarter / 4
        said.warning("the ledger does not start yet: a")
    assert caplog.messages == [
        "the ledger does not start yet: a",
        "the ledger does not start yet: a (and 239 times more since this was last said)",
        "the ledger does not start yet: a (and 239 times more since this was last said)",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_change_is_said_at_once_and_turns_are_no_flood(
    said: Repeated, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        clock.now += 1
        said.info("one")
        said.info("another")
    said.error("one")
    assert caplog.messages == ["one", "another", "one"]


def test_what_is_remembered_is_bounded(said: Repeated, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MOST_TEXTS + 1):
        said.info(str(number))
    caplog.clear()
    said.info(str(MOST_TEXTS))
    assert caplog.messages == []
    said.info("0")
    assert caplog.messages == ["0"], "the oldest was forgotten"


def test_whoever_chooses_the_words_is_bounded(
    said: Repeated, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10_000):
        said.info(f"{number}: the question names no current publication")
    assert len(caplog.messages) == MOST_NEW
    clock.now = 61.0
    said.info("another")
    assert caplog.messages[MOST_NEW:] == [
        f"{10_000 - MOST_NEW} lines were left out: too many that are new",
        "another",
    ]
