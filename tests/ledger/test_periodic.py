"""Periodic tasks: their pauses, waking, stopping, and errors that are logged and survived."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from ledger.periodic import FailureLog, PeriodicTask

log = logging.getLogger("hedui.test")
LONG = 60.0


class Pauses(threading.Event):
    """What a task waits on: notes each pause, and lets the next run begin when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float | None] = []
        self.waiting = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout)
        self.waiting.release()
        return super().wait(LONG)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


def paused(pauses: Pauses) -> None:
    """Wait until the task waits."""
    assert pauses.waiting.acquire(timeout=LONG)


def started(
    pauses: Pauses, every: float | Callable[[], float | None], work: Callable[[], object], **more: float
):
    task = PeriodicTask("a task", every, work, log, woken=pauses, **more)  # type: ignore[arg-type]
    task.start()
    paused(pauses)
    return task


def test_the_first_run_is_at_once_and_the_pause_as_given(pauses: Pauses) -> None:
    runs: list[int] = []
    task = started(pauses, 7.0, lambda: runs.append(1))
    assert runs == [1]
    task.wake()
    paused(pauses)
    assert (runs, pauses.asked) == ([1, 1], [7.0, 7.0])
    assert task.stop()


def test_a_function_gives_each_pause(pauses: Pauses) -> None:
    wanted = iter([0.25, 10.0, None])
    task = started(pauses, lambda: next(wanted), lambda: None)
    for _ in range(2):
        task.wake()
        paused(pauses)
    assert pauses.asked == [0.25, 10.0, None]
    assert task.stop()


def test_a_pause_without_end_is_as_long_as_a_thread_can_wait() -> None:
    done = threading.Event()
    task = PeriodicTask("long", 1e10, done.set, logging.getLogger("hedui.test"))
    task.start()
    assert done.wait(60)
    assert task.stop()


def test_a_delay_comes_before_the_first_run(pauses: Pauses) -> None:
    runs: list[int] = []
    task = started(pauses, 7.0, lambda: runs.append(1), delay=3.0)
    assert (runs, pauses.asked) == ([], [3.0])
    task.wake()
    paused(pauses)
    assert (runs, pauses.asked) == ([1], [3.0, 7.0])
    assert task.stop()


def test_waking_during_a_run_leads_to_another_run() -> None:
    begun, goes_on, again = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        if begun.is_set():
            again.set()
        begun.set()
        assert goes_on.wait(LONG)

    task = PeriodicTask("a task", LONG * 10, work, log)
    task.start()
    assert begun.wait(LONG)
    task.wake()
    goes_on.set()
    assert again.wait(LONG)
    assert task.stop()


def test_an_error_is_logged_with_its_trace_and_survived(
    pauses: Pauses, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []

    def work() -> None:
        runs.append(1)
        raise ValueError("broken")

    task = started(pauses, 1.0, work)
    task.wake()
    paused(pauses)
    assert runs == [1, 1]
    assert task.is_alive
    message = "a task failed and is tried again: ValueError: broken"
    assert [record.getMessage() for record in caplog.records] == [message] * 2
    assert all(record.exc_info is not None for record in caplog.records)
    assert task.stop()


def test_a_period_that_fails_is_logged_and_survived(pauses: Pauses, caplog: pytest.LogCaptureFixture) -> None:
    def every() -> float:
        raise ValueError("no period")

    task = started(pauses, every, lambda: None)
    assert pauses.asked == [10.0]
    assert "no period" in caplog.text
    assert task.stop()


def test_stopping_ends_a_pause_and_is_bounded_by_the_time_given() -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert goes_on.wait(LONG)

    task = PeriodicTask("a task", 1.0, work, log)
    task.start()
    assert begun.wait(LONG)
    assert not task.stop(0.01)
    assert task.is_alive
    goes_on.set()
    assert task.stop(LONG)
    assert not task.is_alive


def test_stopping_twice_before_a_start_and_from_the_work_itself() -> None:
    never = PeriodicTask("a task", 1.0, lambda: None, log)
    assert never.stop()
    assert never.stop()
    ended = threading.Event()

    def work() -> None:
        task.stop()
        ended.set()

    task = PeriodicTask("a task", 0.0, work, log)
    task.start()
    assert ended.wait(LONG)
    assert task.stop(LONG)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_by_itself_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        raise KeyboardInterrupt

    task = PeriodicTask("a task", 1.0, work, log)
    task.start()
    task._thread.join(LONG)
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert "a task has ended: start the node again" in caplog.text


def test_the_message_holds_the_error_and_not_how_often_it_came(caplog: pytest.LogCaptureFixture) -> None:
    failures = FailureLog(log, "the work")
    for text in ("one", "one", "two"):
        with failures:
            raise ValueError(text)
    assert [record.getMessage() for record in caplog.records] == [
        f"the work failed and is tried again: ValueError: {text}" for text in ("one", "one", "two")
    ]


def test_the_end_of_the_process_is_not_held_up() -> None:
    with pytest.raises(SystemExit), FailureLog(log, "the work"):
        raise SystemExit
