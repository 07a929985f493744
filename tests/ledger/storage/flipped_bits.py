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


def flips(path: Path, name: str, text: bytes, count: int) -> Iterator[str]:
    """Put each file before the caller in which one bit is flipped in a row, as far as it is still sound.

    Args:
        path: the database, as for ``hidings``. name: of the table or index, of one page. text: where the row
        begins. count: how many flips to try, spread over the bytes from there to the end of the page.
    """
    page = page_of(path, name)
    whole = path.read_bytes()
    begin = whole.index(text, page.start, page.stop) - 8
    bits = (page.stop - begin) * 8
    for bit in range(0, bits, bits // count | 1):
        data = bytearray(whole)
        data[begin + bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        if _is_sound(path):
            yield f"byte {bit // 8 - 8}, bit {bit % 8}"
    path.write_bytes(whole)


def _is_hidden(path: Path, table: str, column: str, key: str) -> bool:
    if not _is_sound(path):
        return False
    with closing(sqlite3.connect(path)) as connection:
        try:
            return connection.execute(f"SELECT 1 FROM {table} WHERE {column} = ?", (key,)).fetchone() is None
        except sqlite3.DatabaseError:
            return False


def _is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        try:
            return connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        except sqlite3.DatabaseError:
            return False
