"""Worker processes for heavy work, spawned; they end when the process that asked does, even by SIGKILL.

A pool's own workers would wait for work for ever when their parent is killed, with what they last held
in memory.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor


def worker_pool(processes: int) -> ProcessPoolExecutor:
    """A pool of spawned workers; end it as any pool.

    Args:
        processes: number of workers, at least 1.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """In a worker: watch the parent."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
