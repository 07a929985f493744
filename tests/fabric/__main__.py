"""A real Fabric network outside pytest: ``check``, ``up DIR``, ``bench``.

check       fail, and say which of Fabric's programs are not on the PATH
up DIR      bring a network up in the empty folder DIR and keep it until Ctrl-C; DIR/profiles holds one
            connection profile an organisation: hedui demo --ledger fabric:DIR/profiles
bench       throughput, latency and memory (``bench --help``)
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from node.config import prepare_transport
from tests.fabric.settings import PROGRAMS, missing_programs

REMEDY = f"put {', '.join(PROGRAMS)} on the PATH"


def check() -> None:
    """End with status 2 when a program is missing."""
    absent = missing_programs()
    if absent:
        print(
            f"No Fabric network can be started here, missing: {', '.join(absent)}; {REMEDY}.", file=sys.stderr
        )
        sys.exit(2)


def up(folder: Path) -> None:
    """Run a network until SIGINT or SIGTERM."""
    from tests.fabric.network import FabricNetwork  # noqa: PLC0415  imports gRPC

    if folder.exists() and any(folder.iterdir()):
        print(f"{folder} is not empty: name a new folder.", file=sys.stderr)
        sys.exit(2)
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start us with it ignored
    with FabricNetwork(folder) as network:
        print(f"Ready. Connection profiles: {network.profiles}; logs: {network.keeper.logs}", flush=True)
        print(f"  hedui demo --ledger fabric:{network.profiles}", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("Ending the network", flush=True)


def main(arguments: list[str]) -> None:
    """Do what was asked for."""
    prepare_transport()
    match arguments:
        case ["check"]:
            check()
        case ["up", folder]:
            check()
            up(Path(folder))
        case ["bench", *rest]:
            check()
            from tests.fabric import bench_fabric  # noqa: PLC0415  only this needs the whole engine

            bench_fabric.main(rest)
        case _:
            print(__doc__, file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
