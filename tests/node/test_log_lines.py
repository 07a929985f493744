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
