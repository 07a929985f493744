"""A home worth backing up, and what to compare after a restore."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from ledger.storage.database import LOG, REPLICA, open_database
from node.config import read_configuration
from node.membership.home_setup import init_home
from node.store import tables
from node.store.database import Store, note
from node.store.opening import migrate
from node.upkeep.backup import back_up
from tests.node.network_in_memory import found

ROOT = Path(__file__).resolve().parents[3]
WORDS = b"\n".join([b"0" * 64])
NOW = 1_795_312_800


def make_home(root: Path, store: str | None = None) -> Path:
    """A department's home with something of everything."""
    init_home(root, "tax", "税务局", ("department",), "127.0.0.1:7401", store=store)
    (root / "network.json").write_bytes(network_file())
    (root / "node.log").write_text("not to be kept")
    (root / "openings").mkdir()
    (root / "openings" / "2026-1.json").write_text("{}")
    for label, name in (("2026-11.1", "set.json"), ("2026-11.2", "set.json"), ("2026-11.1", "build.db")):
        folder = root / "publications" / "tax.owner" / label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 300_000)
    (root / "reports").mkdir()
    (root / "ledger").mkdir()
    (root / "ledger" / "checkpoint").write_text("written again")
    fill(read_configuration(root).store_url)
    return root


@cache
def network_file() -> bytes:
    """A network to belong to."""
    with tempfile.TemporaryDirectory() as folder:
        return found(Path(folder)).format()


def fill(url: str) -> None:
    """Rows of every kind of column."""
    engine = open_database(url)
    migrate(engine)
    store = Store(engine)
    with store.writing() as connection:
        connection.execute(
            insert(tables.outbox).values(id="a", leaf=b"\0\xff" * 40, state="final", created=1)
        )
        note(connection, 1, "office", "", "tax.income", "refused:税务", reported=False)
        note(connection, 2, "office", "", "tax.income", "answered", reported=True)
        own = {"dataset": "tax.owner", "publication": "2026-11.1", "state": "published", "details": ""}
        connection.execute(insert(tables.own_publication).values(**own))
        head = {"name": "verified", "size": 41, "root": b"r" * 32, "note": b"n", "time": "t"}
        connection.execute(insert(REPLICA.head).values(**head))
        rows = [
            {"position": n, "leaf": b"l%d" % n, "leaf_hash": bytes(32), "entry_id": None if n else "x"}
            for n in range(1200)
        ]
        connection.execute(insert(LOG.entry), rows)
    engine.dispose()


def backed_up(home: Path, target: Path, passphrase: bytes = WORDS) -> Any:
    return back_up(home, "tax", ("department",), target, passphrase, NOW)


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in a database but the marker."""
    engine = open_database(url)
    found = {}
    with engine.connect() as connection:
        for metadata in (tables.metadata, LOG.entry.metadata):
            for table in metadata.sorted_tables:
                if table is not tables.restored:
                    found[table.name] = sorted(tuple(row) for row in connection.execute(select(table)))
    engine.dispose()
    return found


def marker(url: str) -> list[Any]:
    engine = open_database(url)
    with engine.connect() as connection:
        found = list(connection.execute(select(tables.restored)))
    engine.dispose()
    return found


def files_of(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def stat_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


KILLED = """
import os, signal, sys
from pathlib import Path
import node.upkeep.backup, node.upkeep.restore
from node.store import copying
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
module, name = sys.argv[1].split(":")
setattr(getattr(node.upkeep, module), name, die)
if module == "backup":
    node.upkeep.backup.back_up(Path(sys.argv[2]), "tax", (), Path(sys.argv[3]), b"0" * 64, 1)
else:
    node.upkeep.restore.restore(Path(sys.argv[2]), Path(sys.argv[3]), b"0" * 64, 1, *sys.argv[4:])
"""


def killed(*arguments: object) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, arguments)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
