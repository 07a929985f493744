"""Commands that ask for an identifier, and the report of a data source, where there is no terminal."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "node.cli"]


def test_an_identifier_that_is_not_given_is_asked_for_in_words(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "consent", "withdraw", str(tmp_path), "2026-000123"],
        capture_output=True,
        text=True,
        input="",
        check=False,
    )
    assert done.returncode == 2
    assert "no identifier was given" in done.stderr
    assert "GetPassWarning" not in done.stderr


def test_digests_are_printed_whole_into_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id\n331099194801020333\n")
    done = subprocess.run(
        [*COMMAND, "dataset", "check", "csv:people.csv", "--identifier", "id"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert "…" not in done.stdout
    assert re.search(r"snapshot +sha256:[0-9a-f]{64}\n", done.stdout)
    assert re.search(r"definition digest +[0-9a-f]{64}\n", done.stdout)
