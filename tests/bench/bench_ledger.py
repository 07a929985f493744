"""The ledger at size: appends, proofs, hashing, replay, verification, memory, restart.

    make bench-ledger                              1, 3, 5 and 9 witnesses; logs of 10^4 and 10^5 entries
    make bench-ledger ARGS="--million"             10^6 as well, some minutes and 1 GB under bench/
    make bench-ledger ARGS="--witnesses 5 --sizes 10000"

| figure | what is measured |
|---|---|
| append to final | over gRPC with witness processes, the next entry when the last is final |
| sustained | 512 appends under way at any time, submitted beside the log; and each of them a gRPC call |
| proof | an inclusion proof of a random entry from the database's tiles |
| hashing | the Merkle part of a verification: bundles, leaf hashes, every tile of every level, root |
| replay | the contract entry by entry, nothing examined ahead: what a node does live |
| verification | ``verify_folder`` with a worker a core: everything, every signature |
| restart | a sequencer process from its start to ready, on a log of 10^5 entries; then its first append |

Verification runs in a process of its own, so that its memory is its own; the CPU time stands beside the wall
time, since other work on a machine changes that less. Made logs are kept in ``bench/`` (``made_log``).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import resource
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ledger import contract
from ledger.audit.source import FolderSource
from ledger.audit.verify import verify_folder
from ledger.audit.verify_files import read_files
from ledger.contract.replay import Replay
from ledger.contract.state import MemoryState
from ledger.formats.tiles import TILE_WIDTH, Tile, TileSource, TileWriter, decode_bundle, tiles_of
from ledger.merkle import inclusion_path, leaf_hash, root_from
from ledger.storage.database import LOG as TABLES
from ledger.storage.database import open_database
from ledger.storage.tree_store import TileCache, TreeStore
from node.config import prepare_transport
from node.workers import worker_pool
from tests.bench import bench_appends
from tests.bench.bench_check import percentile
from tests.bench.log_network import LogNetwork
from tests.bench.made_log import Nothing, public_folder
from tests.bench.made_store import log_store, sequencer_folder

KEPT = Path("bench")
SIZES = (10_000, 100_000)
MILLION = 1_000_000
RESTART_SIZE = 100_000
PROOFS = 500
REPLAYED = 10_000
GOALS = {
    "append_p50_ms": "≤ 60 with 5",
    "append_p99_ms": "≤ 250 with 5",
    "entries_per_s": "≥ 1,000",
    "proof_p99_ms": "≤ 10 at 10^6",
    "hashing_per_s": "≥ 100,000",
    "verification_per_s": "≥ 100,000",
    "restart_s": "≤ 5",
}


def alone(work: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """Run ``work`` in a fresh process; what it returns, with seconds of wall and CPU time and megabytes."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_measured, args=(there, work, arguments))
    process.start()
    there.close()
    found: dict[str, float] = here.recv()
    process.join()
    return found


def _measured(
    connection: Connection, work: Callable[..., dict[str, float]], arguments: tuple[Any, ...]
) -> None:
    began, imported = time.perf_counter(), time.process_time()
    found = work(*arguments)
    wall = time.perf_counter() - began
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    connection.send(
        {
            "wall_s": wall,
            "cpu_s": own.ru_utime + own.ru_stime - imported,
            "workers_cpu_s": others.ru_utime + others.ru_stime,
            "memory_mb": own.ru_maxrss / 1024,
            "worker_memory_mb": others.ru_maxrss / 1024,
            **found,
        }
    )


def verification(folder: Path, processes: int) -> dict[str, float]:
    """Verify a folder; with no worker where ``processes`` is 0."""
    began = time.perf_counter()
    if processes:
        with worker_pool(processes) as workers:
            found = verify_folder(folder, workers=workers)
    else:
        found = verify_folder(folder)
    return {"per_s": found.size / (time.perf_counter() - began), "voids": len(found.voids)}


def hashing(folder: Path) -> dict[str, float]:
    """Bundles, leaf hashes, all tiles and the root, as a verification checks them; no entry is parsed."""
    began = time.perf_counter()
    files = read_files(FolderSource(folder), None)
    size = files.head.checkpoint.size
    writer = TileWriter(0, Nothing())
    for bundle in tiles_of(size):
        if bundle.level >= 0:
            break
        writer.extend(b"".join([leaf_hash(leaf) for leaf in files.leaves(bundle)]))
        files.compare(writer, is_last=writer.size == size)
    assert root_from(size, TileSource(writer)) == files.head.checkpoint.root
    return {"per_s": size / (time.perf_counter() - began)}


def replay(folder: Path, count: int) -> dict[str, float]:
    """The first entries through the contract, one by one."""
    leaves: list[bytes] = []
    for index in range(-(-count // TILE_WIDTH)):
        path = folder / Tile(-1, index, TILE_WIDTH).path
        if path.exists():
            leaves += decode_bundle(path.read_bytes(), TILE_WIDTH)
    state = MemoryState()
    steps, began = Replay(state, contract.apply), time.perf_counter()
    for leaf in islice(leaves, count):
        steps.step(leaf)
    wall = time.perf_counter() - began
    return {"per_s": min(count, len(leaves)) / wall}


def proofs(file: Path, size: int) -> dict[str, float]:
    """Milliseconds a proof of a random entry takes."""
    tiles = TileCache(open_database(f"sqlite:///{file}"), TreeStore(TABLES))
    draw, walls = random.Random(size), []
    for _ in range(PROOFS):
        began = time.perf_counter()
        inclusion_path(draw.randrange(size), size, tiles.source())
        walls.append((time.perf_counter() - began) * 1000)
    return {"p50_ms": percentile(walls, 0.5), "p99_ms": percentile(walls, 0.99)}


def of_size(size: int, processes: int) -> dict[str, Any]:
    """Every figure of one made log."""
    folder = public_folder(size, KEPT, processes)
    file = KEPT / f"{folder.name}.db"
    if not file.exists():
        log_store(folder, file, verify_folder(folder) if size == RESTART_SIZE else None)
    return {
        "hashing": alone(hashing, folder),
        "replay": alone(replay, folder, min(size, REPLAYED)),
        "verification": alone(verification, folder, processes),
        "proof": alone(proofs, file, size),
    }


def restart() -> dict[str, float]:
    """A sequencer that loads a log of 10^5 entries: to ready, and to its first new final entry."""
    folder = KEPT / public_folder(RESTART_SIZE, KEPT, 1).name
    with tempfile.TemporaryDirectory() as place:
        sequencer_folder(Path(place), folder, KEPT / f"{folder.name}.db")
        with LogNetwork(Path(place), 5, bench_appends.UNDER_WAY) as network:
            began = time.perf_counter()
            network.submitter().append(bench_appends.leaves(1)[0])
            first = time.perf_counter() - began
            return {
                "entries": network.size_at_start,
                "ready_s": network.restart_seconds,
                "process_s": network.started_seconds,
                "first_append_s": first,
            }


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """Everything asked for, as it stands in ``results.json``."""
    processes = os.cpu_count() or 1
    sizes = [int(size) for size in chosen.sizes.split(",") if size]
    if chosen.million:
        sizes.append(MILLION)
    by_size = {str(size): of_size(size, processes) for size in sizes}
    found: dict[str, Any] = {"cores": processes, "sizes": by_size}
    if RESTART_SIZE in sizes:
        found["restart"] = restart()
    counts = tuple(int(count) for count in chosen.witnesses.split(",") if count)
    appends = bench_appends.measure(counts, chosen.single, chosen.many)
    if appends:
        found["append_p50_ms"] = {count: one["p50_ms"] for count, one in appends.items()}
        found["append_p99_ms"] = {count: one["p99_ms"] for count, one in appends.items()}
        found["entries_per_s"] = {count: one["entries_per_s"] for count, one in appends.items()}
        found["entries_per_s_over_grpc"] = {
            count: one["entries_per_s_over_grpc"] for count, one in appends.items()
        }
        found["append"] = appends
    return found


def table(found: dict[str, Any]) -> str:
    """The figures as a Markdown table, for docs/benchmarks.md."""
    rows: list[tuple[str, str, str, str]] = []
    for count, one in found.get("append", {}).items():
        rows += _append_rows(count, one)
    for size, one in found["sizes"].items():
        rows += _size_rows(int(size), one)
    if "restart" in found:
        one = found["restart"]
        wall = f"{one['process_s']:.1f} s, of which {one['ready_s']:.1f} s the log's own"
        rows.append((f"restart at {one['entries']:,}", wall, "", GOALS["restart_s"]))
        rows.append(("first append after it", f"{one['first_append_s'] * 1000:.0f} ms", "", ""))
    lines = ["| figure | wall | CPU an entry | goal |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _append_rows(count: str, one: dict[str, float]) -> list[tuple[str, str, str, str]]:
    witnesses = f"{count} witness{'' if count == '1' else 'es'}"
    single = f"{one['cpu_ms']:.0f} ms, all processes"
    many = f"{one['cpu_ms_sequencer']:.2f} ms sequencer, {one['cpu_ms_witnesses']:.2f} ms witnesses"
    rate = f"{one['entries_per_s_over_grpc']:,.0f}/s"
    here = f"{one['entries_per_s']:,.0f}/s"
    return [
        (f"append to final, p50, {witnesses}", f"{one['p50_ms']:.0f} ms", single, GOALS["append_p50_ms"]),
        (f"append to final, p99, {witnesses}", f"{one['p99_ms']:.0f} ms", "", GOALS["append_p99_ms"]),
        (f"sustained, {witnesses}", here, f"{one['cpu_ms_log']:.2f} ms sequencer", GOALS["entries_per_s"]),
        (f"the same, each entry a gRPC call, {witnesses}", rate, many, ""),
    ]


def _size_rows(size: int, one: dict[str, dict[str, float]]) -> list[tuple[str, str, str, str]]:
    whole, hashed, proof = one["verification"], one["hashing"], one["proof"]

    def cpu(part: dict[str, float], count: int) -> str:
        return f"{(part['cpu_s'] + part['workers_cpu_s']) / count * 1e6:.1f} µs"

    rates = [
        ("hashing", hashed, size, GOALS["hashing_per_s"]),
        ("replay", one["replay"], min(size, REPLAYED), ""),
        ("verification", whole, size, GOALS["verification_per_s"]),
    ]
    rows = [(f"{name} at {size:,}", f"{p['per_s']:,.0f}/s", cpu(p, n), goal) for name, p, n, goal in rates]
    memory = f"{whole['memory_mb']:,.0f} MB and {whole['worker_memory_mb']:.0f} MB a worker"
    rows.append((f"memory of a verification at {size:,}", memory, "", ""))
    wall = f"{proof['p50_ms']:.2f} ms, p99 {proof['p99_ms']:.2f} ms"
    return [*rows, (f"proof at {size:,}", wall, "", GOALS["proof_p99_ms"])]


def main(arguments: list[str] | None = None) -> None:
    """Print the table; keep the figures in bench/results.json."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    witnesses = ",".join(map(str, bench_appends.WITNESSES))
    parser.add_argument("--witnesses", default=witnesses, help="numbers of witnesses, with commas")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="entries of the made logs")
    parser.add_argument("--million", action="store_true", help="a log of 10^6 entries as well")
    parser.add_argument("--single", type=int, default=bench_appends.SINGLE, help="appends one at a time")
    parser.add_argument("--many", type=int, default=bench_appends.MANY, help="appends with many under way")
    chosen = parser.parse_args(arguments)
    prepare_transport()
    KEPT.mkdir(exist_ok=True)
    found = measure(chosen)
    print(f"{found['cores']} cores, {platform.machine()}, Python {platform.python_version()}")
    print(table(found))
    results = KEPT / "results.json"
    kept = json.loads(results.read_text()) if results.exists() else {}
    merged = _merged(kept.get("ledger", {}), found)
    results.write_text(json.dumps({**kept, "ledger": merged}, indent=1) + "\n")


def _merged(kept: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """New figures over kept ones, one witness count or size at a time."""
    return {
        **kept,
        **{
            name: {**kept.get(name, {}), **value} if isinstance(value, dict) else value
            for name, value in found.items()
        },
    }


if __name__ == "__main__":
    main()
