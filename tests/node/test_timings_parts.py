"""Timings count every part, also where it raises or several threads use it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from node.times import Timings


def test_parts_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 1.5, 2.0, 2.25, 3.0, 3.000001])
    monkeypatch.setattr("node.times.time.perf_counter", lambda: next(moments))
    watch = Timings()
    assert watch.read() == {}
    for name in ("ledger", "ledger", "cryptography"):
        with watch.part(name):
            pass
    assert watch.read() == {"cryptography": {"us": 1, "uses": 1}, "ledger": {"us": 1_750_000, "uses": 2}}


def test_a_part_that_raises_is_counted() -> None:
    watch = Timings()

    def fail() -> None:
        with watch.part("ledger"):
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert watch.read()["ledger"]["uses"] == 1


def test_threads_lose_nothing() -> None:
    watch = Timings()

    def use(_: int) -> None:
        with watch.part("x"), watch.part("y"):
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(400)))
    assert [part["uses"] for part in watch.read().values()] == [400, 400]
