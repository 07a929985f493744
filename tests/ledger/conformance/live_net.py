"""The contract tests' network at any moment: its dates follow the clock, and it is a ledger's submitter.

``Live`` keeps the state its entries would give, and has every accepted one appended through an engine.
"""

from __future__ import annotations

import secrets
from typing import Any

from ledger.entries.entry import Body, Entry
from ledger.entries.times import format_time, local_date, parse_time
from tests.ledger.conformance.engine import Engine
from tests.ledger.contract.contract_cases import Net


class Live(Net):
    """A network whose entries go through an engine as they are made."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self.now = engine.now()

    def entry(self, type: str, by: Any, body: Body, co: Any = (), id: Any = None, time: Any = None) -> Entry:
        """A signed entry with a fresh id, at the engine's time."""
        self.now = self.engine.now()
        return super().entry(type, by, body, co, secrets.token_hex(16) if id is None else id, time)

    def apply(self, entry: Entry) -> Entry:
        """Append an entry, and apply it here."""
        self.engine.append(entry.leaf())
        return super().apply(entry)

    def incident(self, code: str = "x", **more: Any) -> Entry:
        """A small entry that depends on nothing."""
        return self.entry("incident", "office", {"code": code, "count": 1}, **more)

    def grant_body(self, owner: str, grant: str | None = None, **changes: Any) -> Body:
        """A grant from yesterday on for a month."""
        dates = {"first": self._day(-1), "last": self._day(30)}
        return super().grant_body(owner, grant, **{**dates, **changes})

    def certificate(self, query: str, *datasets: str, count: int = 4, **changes: Any) -> Body:
        """A certificate that is valid from two minutes ago for a quarter of an hour."""
        begun = parse_time(self.engine.now()) - 120
        times = {
            "not_before": format_time(begun),
            "not_after": format_time(begun + 900),
        }
        return super().certificate(query, *datasets, count=count, **{**times, **changes})

    def question(self, slot: int, owner: str, grant: str) -> Entry:
        """An intent on one owner's member datasets under a grant of its own, with one slot."""
        self.now = self.engine.now()
        query = secrets.token_hex(16)
        lines = [{**line, "grant": grant} for line in self.lines(*self.members_of(owner))]
        certificate = self.certificate(query, datasets=lines)
        body = self.intent_body(certificate, self.slots(slot, grants=(grant,)))
        return self.entry("query.intent", "office", body, id=query)

    def members_of(self, owner: str) -> tuple[str, ...]:
        """Datasets of an owner that intents of these tests name."""
        return {"housing": ("housing.two",), "tax": ("tax.owner",)}[owner]

    def fresh_grant(self, owner: str, slots: int = 3) -> str:
        """An approved grant with slots nobody has taken."""
        name = f"g-{secrets.token_hex(4)}"
        self.grant(owner, name, slots=slots)
        return name

    def _day(self, days: int) -> str:
        moment = parse_time(self.engine.now()) + days * 86400
        return local_date(format_time(moment))


def text(seconds: int) -> str:
    """POSIX seconds as a ledger time."""
    return format_time(seconds)
