"""A node's own store on PostgreSQL: migrations, typed access, and one writer at a time."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from ledger.storage.database import open_database, writing
from node.store import tables
from node.store.database import Store, note, put
from node.store.opening import MIGRATIONS, migrate

pytestmark = pytest.mark.postgres


def test_a_store_on_postgresql(postgres_url: str) -> None:
    engine = open_database(postgres_url)
    migrate(engine)
    with writing(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        old = {"at": 1, "peer": "office", "query": "", "dataset": "tax.income", "result": "refused:receipt"}
        columns = ", ".join([*old, "reported"])
        values = ", ".join(f":{name}" for name in old)
        connection.execute(text(f"INSERT INTO journal ({columns}) VALUES ({values}, 0)"), old)
    migrate(engine)
    migrate(engine)
    store = Store(engine)
    assert [(row["kind"], row["record"]) for row in store.all(tables.journal)] == [("incident", "")]
    long_code = "refused:" + "x" * 80
    with store.writing() as connection:
        connection.execute(insert(tables.outbox).values(id="a", leaf=b"\0\1", state=long_code, created=1))
        note(connection, 1, "office", "", "tax.income", "refused:receipt", reported=False)
        key = {"query": "q" * 32, "dataset": "tax.income"}
        put(connection, tables.answer, key, {"elements": "e", "document": "{}"})
        put(connection, tables.answer, key, {"elements": "e", "document": '{"again":1}'})
    assert store.one(tables.outbox, id="a") == {"id": "a", "leaf": b"\0\1", "state": long_code, "created": 1}
    assert [row["document"] for row in store.all(tables.answer, dataset="tax.income")] == ['{"again":1}']
    assert store.one(tables.answer, query="other") is None
    with pytest.raises(IntegrityError):
        _write_twice(store)
    assert store.one(tables.outbox, id="b") is None, "a failed transaction leaves nothing"
    engine.dispose()


def _write_twice(store: Store) -> None:
    """Two rows of one id in one transaction."""
    with store.writing() as connection:
        for _ in range(2):
            connection.execute(insert(tables.outbox).values(id="b", leaf=b"", state="waiting", created=1))
