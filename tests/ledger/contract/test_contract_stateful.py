"""A model of budgets, ids and answers in a few sets, run beside the contract on random histories.

The model knows nothing of signatures or schemas. It says for each step whether the contract must accept it,
and after each step the two agree on what is taken, who is current, what is answered and what is open.
"""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.canonical import encode
from ledger.contract import apply
from ledger.contract.state import MemoryState
from ledger.entries import bodies
from ledger.entries.entry import Entry
from ledger.entries.times import format_time, parse_time, period_label
from ledger.errors import EntryRefusedError
from tests.ledger.contract.contract_cases import KINDS, digest, operators, query_id, ready

DATASETS = sorted(KINDS)
NUMBERS = st.integers(0, 3)
OWNERS = {"tax": "g-tax", "housing": "g-housing"}


class Histories(RuleBasedStateMachine):
    """Random histories of one network."""

    def __init__(self) -> None:
        super().__init__()
        self.net = ready()
        self.ids = {entry.id for entry, _now in self.net.entries}
        self.taken: dict[tuple[str, str, int], str] = {}
        self.asked: dict[str, set[str]] = {}
        self.answered: set[tuple[str, str]] = set()
        self.refusals: set[tuple[str, str]] = set()
        self.released: set[str] = set()
        self.closed: set[str] = set()
        self.revision = dict.fromkeys(DATASETS, 1)
        self.verified = {(name, 1, by) for name in DATASETS for by in ("office", "audit")}
        self.revoked: set[str] = set()

    def current(self, dataset: str) -> int:
        both = (n for n in range(self.revision[dataset], 0, -1) if self.is_verified(dataset, n))
        return next(both)

    def is_verified(self, dataset: str, revision: int) -> bool:
        return {(dataset, revision, "office"), (dataset, revision, "audit")} <= self.verified

    def pick(self, number: int) -> str:
        """One of the accepted queries, or for 3 one that is not."""
        known = sorted(self.asked)
        return known[number % len(known)] if known and number < 3 else query_id(9)

    def submit(self, entry: Entry, accepted: bool) -> None:
        before = dict(self.net.state.values)
        fresh = entry.id not in self.ids
        if accepted and fresh:
            self.net.apply(entry)
            self.ids.add(entry.id)
            return
        with pytest.raises(EntryRefusedError):
            self.net.apply(entry)
        assert self.net.state.values == before

    @rule(
        number=NUMBERS,
        datasets=st.sets(st.sampled_from(DATASETS), min_size=1),
        count=st.sampled_from([4, 8, 16]),
        first=st.integers(0, 3),
        surplus=st.sampled_from([0, 0, 0, 0, 1]),
        late=st.sampled_from([0, 0, 0, 0, 1]),
    )
    def intent(
        self, number: int, datasets: set[str], count: int, first: int, surplus: int, late: int
    ) -> None:
        query = query_id(number)
        picks = range(first, first + -(-count // 8) + surplus)
        owners = sorted({name.partition(".")[0] for name in datasets})
        lines: list[Any] = []
        for name in sorted(datasets):
            lines += self.net.lines(name, revision=self.current(name))
        times = {"not_before": self.net.now, "not_after": self.net.now}
        certificate = self.net.certificate(query, count=count, datasets=lines, **times)
        slots = self.net.slots(*picks, grants=[OWNERS[owner] for owner in owners])
        body = self.net.intent_body(certificate, slots)
        if late:
            self.tick(1)
        free = all(slot not in self.taken and slot[2] < 3 for slot in slots)
        live = not any(OWNERS[owner] in self.revoked for owner in owners)
        inside = "2026-11-01" <= period_label(self.net.now, "day") <= "2026-12-31"
        good = bool(not surplus and free and live and inside and not late)
        fresh = query not in self.ids
        self.submit(self.net.entry("query.intent", "office", body, id=query), good)
        if good and fresh:
            self.taken.update(dict.fromkeys(slots, query))
            self.asked[query] = set(datasets)

    @rule(
        number=NUMBERS,
        dataset=st.sampled_from(DATASETS),
        result=st.sampled_from(["answered", "refused:clock"]),
    )
    def answer(self, number: int, dataset: str, result: str) -> None:
        query = self.pick(number)
        line = (query, dataset)
        body = bodies.query_answer(query, dataset, result, digest("r"))
        named = dataset in self.asked.get(query, set())
        again = line in self.refusals and result != "answered"
        good = named and line not in self.answered and not again
        self.submit(self.net.entry("query.answer", dataset.partition(".")[0], body), good)
        if good:
            (self.answered if result == "answered" else self.refusals).add(line)

    @rule(number=NUMBERS)
    def answer_everything(self, number: int) -> None:
        for dataset in sorted(self.asked.get(self.pick(number), set())):
            self.answer(number, dataset, "answered")

    @rule(number=NUMBERS)
    def release(self, number: int) -> None:
        query = self.pick(number)
        body = bodies.share_release(query, 0, digest("list", number))
        complete = query in self.asked and all((query, name) in self.answered for name in self.asked[query])
        good = complete and query not in self.released
        self.submit(self.net.entry("share.release", "trust", body), good)
        if good:
            self.released.add(query)

    @rule(number=NUMBERS)
    def close(self, number: int) -> None:
        query = self.pick(number)
        good = query in self.asked and query not in self.closed
        self.submit(
            self.net.entry("query.close", "office", bodies.query_close(query, digest(1), digest(2))), good
        )
        if good:
            self.closed.add(query)

    @rule(dataset=st.sampled_from(DATASETS), fresh=st.booleans())
    def publish(self, dataset: str, fresh: bool) -> None:
        revision = self.revision[dataset] + fresh
        body = self.net.publish_body(dataset, revision)
        self.submit(self.net.entry("dataset.publish", dataset.partition(".")[0], body), fresh)
        self.revision[dataset] = revision

    @rule(dataset=st.sampled_from(DATASETS), by=st.sampled_from(["office", "audit"]), back=st.integers(0, 2))
    def verify(self, dataset: str, by: str, back: int) -> None:
        revision = max(1, self.revision[dataset] - back)
        body = bodies.dataset_verified(dataset, f"2026-11.{revision}", digest("root", dataset, revision))
        mark = (dataset, revision, by)
        self.submit(self.net.entry("dataset.verified", by, body), mark not in self.verified)
        self.verified.add(mark)

    @rule(owner=st.sampled_from(sorted(OWNERS)), sure=st.integers(0, 40))
    def revoke(self, owner: str, sure: int) -> None:
        if sure:
            return
        grant = OWNERS[owner]
        entry = self.net.entry("grant.revoke", owner, bodies.grant_revoke(grant, "x"), operators(owner))
        self.submit(entry, grant not in self.revoked)
        self.revoked.add(grant)

    @rule(days=st.sampled_from([0, 0, 0, 1, 9]))
    def tick(self, days: int) -> None:
        self.net.now = format_time(parse_time(self.net.now) + days * 86400)

    @rule(place=st.integers(0, 10**6))
    def replay_an_entry(self, place: int) -> None:
        entry = self.net.entries[place % len(self.net.entries)][0]
        self.submit(entry, accepted=False)

    @invariant()
    def slots_agree(self) -> None:
        view = self.net.view
        held = {
            key: value["query"] for key, value in self.net.state.values.items() if key.startswith("slot/")
        }
        assert held == {f"slot/{g}/{p}/{i}": query for (g, p, i), query in self.taken.items()}
        for query, datasets in self.asked.items():
            intent = view.intent(query)
            assert intent is not None
            assert {line.dataset for line in intent.datasets} == datasets
            done = {name for name, answer in view.answers(query).items() if answer.answered}
            assert done == {name for asked, name in self.answered if asked == query}
            assert (query in self.released) == (len(view.releases(query, 0)) == 1)
            assert (query in self.closed) == (view.closed(query) is not None)

    @invariant()
    def current_publications_agree(self) -> None:
        for dataset in DATASETS:
            current = self.net.view.current(dataset, "office")
            assert current is not None
            assert current.label == f"2026-11.{self.current(dataset)}"

    def teardown(self) -> None:
        """A replica that replays the accepted entries has the same state, and every id once."""
        again = MemoryState()
        for entry, now in self.net.entries:
            apply(again, entry, now)
        assert encode(again.values) == encode(self.net.state.values)
        ids = [entry.id for entry, _now in self.net.entries]
        assert len(set(ids)) == len(ids)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
