"""What the tests of the adapters share: people, and the files departments export."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from openpyxl import Workbook

Rows = Iterable[Sequence[object]]


def person(number: int) -> str:
    """A valid identifier of an address code that is not allotted, in ascending order of ``number``."""
    digits = f"331098{1950 + number // 100_000}{1 + number // 10_000 % 10:02d}{1 + number // 1000 % 10:02d}"
    digits += f"{number % 1000:03d}"
    index = sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(digits)) % 11
    return digits + "10X98765432"[index]


@pytest.fixture
def people() -> Callable[[int], str]:
    """Give valid identifiers by number."""
    return person


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., str]:
    """Write a CSV file into tmp_path and give its name."""

    def write(rows: Rows, encoding: str = "utf-8", delimiter: str = ",", name: str = "data.csv") -> str:
        with (tmp_path / name).open("w", encoding=encoding, newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows(rows)
        return name

    return write


@pytest.fixture
def write_xlsx(tmp_path: Path) -> Callable[..., str]:
    """Write a workbook with a cover sheet and the given sheets, and give its name."""

    def write(sheets: dict[str, Rows], name: str = "data.xlsx") -> str:
        book = Workbook()
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(list(row))
        book.remove(book.worksheets[0])
        book.save(tmp_path / name)
        book.close()
        return name

    return write


@pytest.fixture
def write_sqlite(tmp_path: Path) -> Callable[..., str]:
    """Run a script on a new SQLite file, fill ``t`` with rows, and give the file's name."""

    def write(script: str, rows: Sequence[Sequence[object]] = (), name: str = "data.db") -> str:
        database = sqlite3.connect(tmp_path / name)
        database.executescript(script)
        if rows:
            database.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)
        database.commit()
        database.close()
        return name

    return write
