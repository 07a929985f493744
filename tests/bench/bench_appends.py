"""Append to final, and the rate sustained by many submitters, over real witness processes.

    one submitter       the next entry is sent when the last one is final: p50 and p99 of the wall time
    many submitters     512 appends under way at any time, each a gRPC call: entries a second
    in its process      the same, submitted in the process of the log: what the log itself takes

Entries are ``incident`` counts, signed beforehand; the log runs the whole contract. Beside the wall time
stands the CPU time an entry, the submitter's included, which other work on the machine changes less.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from ledger.entries import bodies
from ledger.entries.entry import draft, signed
from ledger.entries.times import format_time
from node.times import system_clock
from tests.bench.bench_check import percentile
from tests.bench.log_network import SEQUENCER, SUBMITTER, LogNetwork, used
from tests.ledger.contract.contract_cases import NETWORK, signer

WITNESSES = (1, 3, 5, 9)
SINGLE = 150
UNDER_WAY = 512
MANY = 6_000
WARM_UP = 10


def leaves(count: int) -> list[bytes]:
    """Signed entries that the contract takes at any time."""
    now = format_time(system_clock())
    body = bodies.incident("no_intent", 1)
    made = (draft(NETWORK, "incident", secrets.token_hex(16), now, body) for _ in range(count))
    return [signed(entry, signer(SUBMITTER)).leaf() for entry in made]


def one_submitter(network: LogNetwork, count: int) -> dict[str, float]:
    """Milliseconds from sending to the receipt, one entry at a time."""
    submitter, made = network.submitter(), leaves(count + WARM_UP)
    for leaf in made[:WARM_UP]:
        submitter.append(leaf)
    before, walls = network.used(), []
    for leaf in made[WARM_UP:]:
        began = time.perf_counter()
        submitter.append(leaf)
        walls.append((time.perf_counter() - began) * 1000)
    after = network.used()
    return {
        "p50_ms": percentile(walls, 0.5),
        "p99_ms": percentile(walls, 0.99),
        "cpu_ms": 1000 * sum(after[name][0] - before[name][0] for name in after) / count,
    }


def many_submitters(network: LogNetwork, count: int) -> dict[str, float]:
    """Entries a second with ``UNDER_WAY`` appends under way."""
    submitter, made = network.submitter(), leaves(count)
    under_way: deque[Any] = deque()
    before, own, began = network.used(), used()[0], time.perf_counter()
    for leaf in made:
        under_way.append(submitter.begin(leaf))
        if len(under_way) >= UNDER_WAY:
            under_way.popleft().result()
    for call in under_way:
        call.result()
    wall, after = time.perf_counter() - began, network.used()
    log = after[SEQUENCER][0] - before[SEQUENCER][0]
    witnesses = sum(after[name][0] - before[name][0] for name in after if name != SEQUENCER)
    return {
        "entries_per_s_over_grpc": count / wall,
        "cpu_ms_sequencer": 1000 * log / count,
        "cpu_ms_witnesses": 1000 * witnesses / count,
        "cpu_ms_submitter": 1000 * (used()[0] - own) / count,
    }


def in_its_process(network: LogNetwork, count: int) -> dict[str, float]:
    """Entries a second that the log takes from as many submitters in its own process."""
    made, before = leaves(count), network.used()
    seconds = network.append_here(made, UNDER_WAY)
    log = network.used()[SEQUENCER][0] - before[SEQUENCER][0]
    return {"entries_per_s": count / seconds, "cpu_ms_log": 1000 * log / count}


def measure(counts: tuple[int, ...], single: int, many: int) -> dict[str, dict[str, float]]:
    """Both figures for each number of witnesses."""
    found: dict[str, dict[str, float]] = {}
    for witnesses in counts:
        with (
            tempfile.TemporaryDirectory() as folder,
            LogNetwork(Path(folder), witnesses, UNDER_WAY) as network,
        ):
            found[str(witnesses)] = {
                **one_submitter(network, single),
                **many_submitters(network, many),
                **in_its_process(network, many),
            }
    return found
