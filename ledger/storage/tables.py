"""The ledger's own tables, as SQLAlchemy Core metadata; a node's migrations create them.

Two trees of the same four tables, so that the member who runs the log can keep a replica of it in one
database:

| table | one row | |
|---|---|---|
| ``<tree>_entry`` | a leaf | position, leaf, its hash, id and type where it parses, void code or null |
| ``<tree>_tile`` | a tile (c2sp.org/tlog-tiles) | level, position, its hashes so far |
| ``<tree>_state`` | a key of the contract's state | key, canonical JSON |
| ``<tree>_head`` | a named head | size, root, checkpoint note, contract time |

``<tree>`` is ``log`` for what a sequencer orders and ``replica`` for what a node has verified.
``ledger_witness`` holds the last checkpoint a witness cosigned, one row an origin; ``log_refusal`` the
salts of the refusals a sequencer has put on the ledger, so that it can open them for an auditor.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Engine, Integer, LargeBinary, MetaData, String, Table, Text


@dataclass(frozen=True)
class TreeTables:
    """The four tables of one tree.

    Attributes:
        entry: leaves by position.
        tile: tiles by level and position.
        state: the contract's state by key.
        head: heads by name.
    """

    entry: Table
    tile: Table
    state: Table
    head: Table


def _tree(metadata: MetaData, name: str) -> TreeTables:
    entry = Table(
        f"{name}_entry",
        metadata,
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("leaf", LargeBinary, nullable=False),
        Column("leaf_hash", LargeBinary(32), nullable=False, index=True),
        Column("entry_id", String(64), nullable=True, index=True),
        Column("entry_type", String(65), nullable=True, index=True),
        Column("void", String(64), nullable=True),
    )
    tile = Table(
        f"{name}_tile",
        metadata,
        Column("level", Integer, primary_key=True, autoincrement=False),
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("hashes", LargeBinary, nullable=False),
    )
    state = Table(
        f"{name}_state",
        metadata,
        Column("key", Text, primary_key=True),
        Column("value", LargeBinary, nullable=False),
    )
    head = Table(
        f"{name}_head",
        metadata,
        Column("name", String(16), primary_key=True),
        Column("size", BigInteger, nullable=False),
        Column("root", LargeBinary(32), nullable=False),
        Column("note", LargeBinary, nullable=False),
        Column("time", String(20), nullable=False),
    )
    return TreeTables(entry, tile, state, head)


METADATA = MetaData()
"""Every table of this module, for migrations."""

LOG = _tree(METADATA, "log")
"""What a sequencer has ordered."""

REPLICA = _tree(METADATA, "replica")
"""What a node has verified and replayed."""

WITNESS = Table(
    "ledger_witness",
    METADATA,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("note", LargeBinary, nullable=False),
)

REFUSAL = Table(
    "log_refusal",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("salt", LargeBinary(32), nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("code", String(64), nullable=False),
)


def create_tables(database: Engine) -> None:
    """Create the tables that do not exist yet, where no migration is wanted (tests, tools)."""
    METADATA.create_all(database)
