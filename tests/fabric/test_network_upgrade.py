"""A new version of the chaincode is committed while members append: nothing is lost, nothing counts twice."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fabric.appending import SUBMITTERS, agree, count_once, incident, insist, open_engine_on
from tests.fabric.network import FabricNetwork

pytestmark = pytest.mark.fabric


def test_an_upgrade_under_load_loses_nothing(network: FabricNetwork, tmp_path: Path) -> None:
    with open_engine_on(network.profiles, tmp_path) as engine:
        upgraded = threading.Event()
        numbers = itertools.count()

        def run() -> list[bytes]:
            leaves = []
            while True:
                last = upgraded.is_set()
                leaves.append(incident(engine, next(numbers)))
                insist(engine, leaves[-1])
                if last:
                    return leaves

        with ThreadPoolExecutor(SUBMITTERS) as pool:
            running = [pool.submit(run) for _ in range(SUBMITTERS)]
            try:
                network.upgrade("2")
            finally:
                upgraded.set()
            leaves = [leaf for one in running for leaf in one.result()]
        assert len(leaves) >= SUBMITTERS
        count_once(engine, leaves)
        agree(engine)
