"""The last intent under each publication, so that retiring one does not read the whole log.

The table ``last_intent`` holds, for every publication of any department that an intent has named, position
and time of the last such intent. It is complete up to the largest position in it, so that each update reads
only the intents after that. The first update reads all of them once.
"""

from __future__ import annotations

from itertools import islice

from sqlalchemy import Connection, func, select

from ledger.entries.entry import Entry
from ledger.entries.times import parse_time
from node.services import Services
from node.store import tables
from node.store.database import put

AT_ONCE = 4096
"""Intents a transaction covers."""


def update_last_intents(services: Services) -> None:
    """Read the intents that the replica holds beyond the table; safe for several threads."""
    with services.store.reading() as connection:
        newest = connection.execute(select(func.max(tables.last_intent.c.position))).scalar()
    begin = 0 if newest is None else int(newest) + 1
    intents = services.ledger.replica.of_type("query.intent", begin)
    while batch := list(islice(intents, AT_ONCE)):
        found = _last_by_publication(batch)
        with services.store.writing() as connection:
            for (dataset, publication), (position, asked) in found.items():
                _record(connection, dataset, publication, position, asked)


def last_intent(services: Services, dataset: str, publication: str) -> int | None:
    """Time of the last recorded intent under a publication, seconds since 1970; None if there was none."""
    row = services.store.one(tables.last_intent, dataset=dataset, publication=publication)
    return None if row is None else int(row["asked"])


def _last_by_publication(intents: list[tuple[int, Entry]]) -> dict[tuple[str, str], tuple[int, int]]:
    """(largest position, latest time) of the intents that name each (dataset, publication)."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for position, entry in intents:
        for item in entry.body["certificate"]["datasets"]:
            name = (item["dataset"], item["publication"])
            known = found.get(name, (0, 0))
            found[name] = (position, max(known[1], parse_time(entry.time)))
    return found


def _record(connection: Connection, dataset: str, publication: str, position: int, asked: int) -> None:
    """Keep the larger position and the later time; another thread may have read further meanwhile."""
    key = {"dataset": dataset, "publication": publication}
    table = tables.last_intent
    where = (table.c.dataset == dataset, table.c.publication == publication)
    known = connection.execute(select(table.c.position, table.c.asked).where(*where)).first()
    if known is not None:
        position, asked = max(position, known.position), max(asked, known.asked)
    put(connection, table, key, {"position": position, "asked": asked})
