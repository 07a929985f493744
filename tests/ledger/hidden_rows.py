"""Single flipped bits that hide a row of an SQLite database: its index does not show it any more.

``quick_check`` compares no index with its table, so nothing is wrong with such a file but that look-ups by
the key find nothing, or another row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path


def page_of(path: Path, name: str) -> range:
    """Where in the file the only page of a small table or index lies."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = connection.execute(query, (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    return range((page - 1) * size, page * size)


def hidings(path: Path, table: str, column: str, key: str) -> Iterator[str]:
    """Put each file before the caller in which one flip at the row's place in the index hides the row.

    The path holds that file at each step, and the whole one in the end; nobody has it open in between. What
    is given is the flip's name.
    """
    page = page_of(path, f"sqlite_autoindex_{table}_1")
    whole = path.read_bytes()
    begin = whole.index(key.encode(), page.start, page.stop)
    for at in range(begin - 4, begin + len(key)):
        for bit in range(8):
            data = bytearray(whole)
            data[at] ^= 1 << bit
            path.write_bytes(data)
            if _is_hidden(path, table, column, key):
                yield f"byte {at - begin}, bit {bit}"
    path.write_bytes(whole)


def _is_hidden(path: Path, table: str, column: str, key: str) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        try:
            sound = connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            query = f"SELECT 1 FROM {table} WHERE {column} = ?"
            return sound and connection.execute(query, (key,)).fetchone() is None
        except sqlite3.DatabaseError:
            return False
