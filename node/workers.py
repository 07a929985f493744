"""Pools of worker processes for heavy work; the workers end when their parent ends, even by SIGKILL.

Without that, the workers of a pool whose parent is killed would wait for work forever and keep their memory.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor


def worker_pool(processes: int) -> ProcessPoolExecutor:
    """Create a pool of spawned workers; the caller shuts it down.

    Args:
        processes: number of workers, at least 1.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Run in a worker at its start: end the worker once its parent has ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
