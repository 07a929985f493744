"""Reading the ledger from a home's own replica, whether or not its node runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ledger.contract.view import View
from ledger.storage.database import REPLICA, open_database
from ledger.storage.sql_state import SharedState
from ledger.storage.tree_store import TreeStore

Found = TypeVar("Found")


def read_replica(store_url: str, read: Callable[[View], Found | None]) -> Found | None:
    """What ``read`` finds in the state of a home's replica.

    None as well where the database does not exist yet or cannot be reached: a command may run before the
    first start of a node.

    Args:
        store_url: of the home's database.
        read: one look at the state.
    """
    url = make_url(store_url)
    if url.drivername.startswith("sqlite") and not Path(url.database or "").is_file():
        return None
    database = open_database(store_url)
    try:
        return read(View(SharedState(database, TreeStore(REPLICA))))
    except SQLAlchemyError:
        return None
    finally:
        database.dispose()
