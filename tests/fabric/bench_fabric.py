"""What the Fabric engine reaches on this machine: ``python -m tests.fabric bench``.

    commit   endorse, submit, outcome: until the own peer's block holds the entry
    final    ``FabricBackend.append``: until a checkpoint with a quorum of cosignatures covers it

``final`` runs both members, the assembler and six witnesses in this one process, beside its submitters, so it
is a lower bound. Every submitter appends one entry after the other, as fast as it can; in the last line of
each kind all of them together begin ``--rate`` or ``--final-rate`` entries a second, and latency counts from
when each was due. Below each line: processor time an entry by process. Memory is resident size.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ledger.entries.entry import draft, signed
from ledger.errors import LedgerError
from ledger.fabric.gateway import Gateway, connect
from ledger.fabric.profile import ConnectionProfile, FabricIdentity
from tests.fabric.network import FabricNetwork
from tests.fabric.settings import TUNED
from tests.ledger.conformance.fabric_engine import FabricEngine
from tests.ledger.conformance.live_net import text
from tests.ledger.contract.contract_cases import NETWORK, Net, signer
from tests.ledger.fabric.gateway_calls import final_outcome

MEBI = 1 << 20
Append = Callable[[int, bytes], None]
"""Appends a leaf as the submitter of this number."""


def main(arguments: Sequence[str]) -> None:
    """Start a network, measure, print a table."""
    parser = argparse.ArgumentParser(prog="bench-fabric", description=__doc__.splitlines()[0])
    parser.add_argument("--submitters", default="1,8,32", help="numbers of submitters, one run each")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a run")
    parser.add_argument("--rate", type=float, default=110.0, help="entries a second in the paced runs")
    parser.add_argument("--final-rate", type=float, default=20.0, help="the same for final")
    parser.add_argument("--orderers", type=int, default=3)
    parser.add_argument("--batch-timeout", default=TUNED.batch_timeout)
    options = parser.parse_args(arguments)
    counts = [int(one) for one in options.submitters.split(",")]
    tuned = replace(TUNED, batch_timeout=options.batch_timeout)
    with tempfile.TemporaryDirectory() as folder:
        network = FabricNetwork(Path(folder) / "network", orderers=options.orderers, tuned=tuned)
        begun = time.monotonic()
        with network:
            print(f"{os.cpu_count()} cores, {options.orderers} orderers, BatchTimeout {tuned.batch_timeout}")
            ready = time.monotonic() - begun
            print(f"network ready after {ready:.1f} s, load average {os.getloadavg()[0]:.1f}")
            print("           submitters  offered/s   entries/s   p50 ms   p99 ms   cpu ms/entry   errors")
            ways = (("commit", committing, options.rate), ("final", finishing, options.final_rate))
            for name, way, rate in ways:
                with way(network, Path(folder)) as append:
                    for count in counts:
                        measure(network, name, append, count, options.seconds)
                    measure(network, name, append, counts[-1], options.seconds, rate)
            report_memory(network)


@contextmanager
def committing(network: FabricNetwork, folder: Path) -> Iterator[Append]:
    """Both organisations' Gateways, to a ledger that is founded; nothing else runs."""
    profiles = profiles_of(network)
    channels = [connect(profile) for profile in profiles]
    gateways = [
        Gateway(profile, FabricIdentity.of(profile, clock), channel)
        for profile, channel in zip(profiles, channels, strict=True)
    ]

    def commit(number: int, leaf: bytes) -> None:
        gateway = gateways[number % len(gateways)]
        prepared = gateway.endorse([b"append", leaf])
        gateway.submit(prepared)
        outcome = final_outcome(gateway, prepared.transaction, 30.0)
        if outcome.flag != "VALID":
            raise LedgerError(outcome.flag)

    founding = Net()
    founding.now = text(clock())
    founding.genesis()
    commit(0, founding.entries[0][0].leaf())
    yield commit
    for channel in channels:
        channel.close()


@contextmanager
def finishing(network: FabricNetwork, folder: Path) -> Iterator[Append]:
    """Members, assembler and witnesses over the ledger that ``committing`` has founded."""
    home = folder / "engine"
    home.mkdir()
    engine = FabricEngine(home, profiles_of(network), clock)

    def final(number: int, leaf: bytes) -> None:
        engine.members[number % len(engine.members)].append(leaf)

    for number in range(len(engine.members)):
        final(number, fresh_leaf())  # each has by then processed what was committed before
    yield final
    engine.close()


def profiles_of(network: FabricNetwork) -> list[ConnectionProfile]:
    """The connection profiles of the network's first ledger."""
    return [ConnectionProfile.read(path) for path in sorted(network.profiles.glob("*.toml"))]


def clock() -> int:
    """POSIX seconds."""
    return int(time.time())


def measure(
    network: FabricNetwork, name: str, append: Append, count: int, seconds: float, rate: float | None = None
) -> None:
    """Run ``count`` submitters for a while, paced where there is a rate, and print one line."""
    taken: list[float] = []
    errors: list[str] = []
    start = time.monotonic()
    pause = threading.Event()

    def due(number: int) -> Iterator[float]:
        """When this submitter begins each of its entries."""
        turn = 0
        while (now := time.monotonic()) < start + seconds:
            at = now if rate is None else start + (turn * count + number) / rate
            pause.wait(max(at - now, 0.0))
            turn += 1
            yield at

    def submit(number: int) -> None:
        for begun in due(number):
            try:
                append(number, fresh_leaf())
                taken.append(time.monotonic() - begun)
            except LedgerError as error:
                errors.append(type(error).__name__)

    before, begun = spent(network), time.monotonic()
    threads = [threading.Thread(target=submit, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = len(taken) / (time.monotonic() - begun)
    cuts = [1000 * cut for cut in statistics.quantiles(taken, n=100)]
    each = 1000 * (sum(spent(network).values()) - sum(before.values())) / len(taken)
    offered = "-" if rate is None else f"{rate:.0f}"
    print(
        f"{name:10} {count:10} {offered:>10} {done:11.0f} {cuts[49]:8.0f} {cuts[98]:8.0f} {each:14.1f}"
        f" {len(errors):8}",
        flush=True,
    )
    print(f"           ms: {shares(spent(network), before, len(taken))}", flush=True)


def fresh_leaf() -> bytes:
    """An entry that is not on the ledger yet."""
    body = {"code": "x", "count": 1}
    return signed(
        draft(NETWORK, "incident", secrets.token_hex(16), text(clock()), body), signer("office")
    ).leaf()


def spent(network: FabricNetwork) -> dict[str, float]:
    """Seconds of processor time of each process of the network, and of this one."""
    return {**network.keeper.seconds(), "here": time.process_time()}


def shares(after: Mapping[str, float], before: Mapping[str, float], entries: int) -> str:
    """Milliseconds of processor time an entry, by process."""
    return ", ".join(f"{name} {1000 * (after[name] - before[name]) / entries:.1f}" for name in after)


def report_memory(network: FabricNetwork) -> None:
    """Print resident size by kind of process."""
    memory = network.keeper.memory()
    for kind in ("orderer", "peer", "chaincode"):
        sizes = [size // MEBI for name, size in memory.items() if name.startswith(kind)]
        print(f"memory of {kind}: {', '.join(map(str, sizes))} MiB")
    print(f"memory of the network: {sum(memory.values()) // MEBI} MiB")
