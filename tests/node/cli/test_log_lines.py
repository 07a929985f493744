"""What a node says while it runs has its time in UTC, wherever the machine is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime

SAYS = """
import logging
from node.cli.logs import log_to_stderr
log_to_stderr()
logging.getLogger("hedui.member").info("listens")
"""


def test_a_line_has_the_time_of_the_ledger() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAYS],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": "Asia/Shanghai"},
    )
    found = re.fullmatch(r"(\S+Z) INFO hedui\.member listens\n", done.stderr)
    assert found is not None, done.stderr
    assert abs((datetime.now(UTC) - datetime.fromisoformat(found[1])).total_seconds()) < 3600


FORGED = """
import logging
from node.cli.logs import log_to_stderr
log_to_stderr()
words = "2026-11-22T00:00:00.000Z ERROR hedui.evidence the log has signed two histories"
log = logging.getLogger("hedui.rpc")
log.info("dataset %s is none", chr(10) + words)
log.info("dataset %s is none", chr(27) + "[2J" + chr(0x2028) + "x" * 5000)
try:
    raise ValueError(chr(10) + words)
except ValueError as error:
    log.error("failed", exc_info=error)
logging.getLogger("waitress.queue").warning("depth")
logging.getLogger("grpc._common").error("no message")
"""


def test_nobody_else_writes_a_line() -> None:
    """What others sent may stand in a line, and is never a line of its own, nor one without end."""
    done = subprocess.run([sys.executable, "-c", FORGED], check=True, capture_output=True, text=True)
    lines = done.stderr.split("\n")
    said = [line for line in lines if re.match(r"\S+Z ", line)]
    assert [line.split(" ")[1:3] for line in said] == [
        ["INFO", "hedui.rpc"],
        ["INFO", "hedui.rpc"],
        ["ERROR", "hedui.rpc"],
    ]
    assert "dataset \\x0a2026-" in said[0]
    assert "\\x1b[2J\\u2028xx" in said[1]
    assert max(map(len, lines)) < 1200
    assert all(line.startswith("    ") for line in lines if line and line not in said)


IDENTIFIED = """
import logging
from node.cli.logs import log_to_stderr
log_to_stderr()
log = logging.getLogger("hedui.rpc")
log.info("cannot read %s", "/cases/331099194801020333.json")
try:
    raise ValueError("户主331099194801020333")
except ValueError:
    log.exception("a call failed")
"""


def test_no_line_shows_an_identifier() -> None:
    done = subprocess.run([sys.executable, "-c", IDENTIFIED], check=True, capture_output=True, text=True)
    assert "cannot read /cases/******************.json" in done.stderr
    assert "户主******************" in done.stderr.replace(r'"户主331099194801020333"', "")
    assert "ValueError: 户主******************" in done.stderr
