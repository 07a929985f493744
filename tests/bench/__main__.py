"""``python tests/bench``: every benchmark; ``--check``: one household's check, ``--ledger``: the ledger.

Times of a shared machine are noisy: quote medians, and compare two builds only when they run side by side.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench import bench_check, bench_ledger, bench_psi, bench_sums


def main() -> None:
    """Run what was asked for; further arguments go to the one benchmark, else to the check's."""
    arguments = sys.argv[1:]
    if "--check" in arguments:
        arguments.remove("--check")
        bench_check.main(arguments)
        return
    if "--ledger" in arguments:
        arguments.remove("--ledger")
        bench_ledger.main(arguments)
        return
    bench_psi.main()
    bench_sums.main()
    bench_check.main(arguments)
    bench_ledger.main([])


if __name__ == "__main__":
    main()
