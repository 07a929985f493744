"""What every engine must do, one function a case; ``engine.py`` says how to plug an engine in."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.audit.verify import verify_folder
from ledger.entries import bodies
from ledger.entries.entry import draft, sign_body, signed
from ledger.entries.times import parse_time
from ledger.errors import EntryError, EntryRefusedError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note
from ledger.formats.receipt import Receipt
from ledger.merkle import leaf_hash
from tests.ledger.conformance.engine import Engine
from tests.ledger.conformance.live_net import Live, text
from tests.ledger.contract.contract_cases import digest, signer
from tests.ledger.sequencer.log_cases import POLICY

RACERS = 8


class Subject:
    """An engine with a founded network on it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.net = Live(engine)
        self.net.genesis()
        self.net.prepare()

    def holds(self, leaf: bytes, receipt: Receipt) -> None:
        """The receipt proves the leaf, and reading finds it at its place."""
        receipt.verify(POLICY, leaf)
        assert self.engine.read(receipt.index, receipt.index + 1) == [leaf]

    def size(self) -> int:
        """Final entries."""
        return Checkpoint.parse(Note.parse(self.engine.head()).text).size

    def count(self, leaf: bytes) -> int:
        """How often a leaf is on the ledger."""
        return list(self.engine.read(0, self.size())).count(leaf)

    def refused(self, leaf: bytes, code: str) -> None:
        """Appending is refused with this code, and nothing is ordered."""
        with pytest.raises(EntryRefusedError) as refused:
            self.engine.append(leaf)
        assert refused.value.code == code
        assert refused.value.remedy
        assert self.count(leaf) == 0

    def race(self, leaves: Sequence[bytes]) -> list[Receipt | str]:
        """Append all at once; each one's receipt, or the code of its refusal."""

        def one(leaf: bytes) -> Receipt | str:
            try:
                return self.engine.append(leaf)
            except EntryRefusedError as refused:
                return refused.code

        with ThreadPoolExecutor(len(leaves)) as pool:
            return list(pool.map(one, leaves))


def accepts(subject: Subject) -> None:
    leaf = subject.net.incident().leaf()
    receipt = subject.engine.append(leaf)
    subject.holds(leaf, receipt)


def accepts_a_question_and_its_answers(subject: Subject) -> None:
    net = subject.net
    asked = net.apply(net.question(0, "housing", net.fresh_grant("housing")))
    body = bodies.query_answer(asked.id, "housing.two", "answered", digest("response"))
    answer = net.do("query.answer", "housing", body)
    again = net.entry("query.answer", "housing", body)
    subject.refused(again.leaf(), "already_answered")
    assert subject.count(answer.leaf()) == 1


def refuses_what_the_contract_refuses(subject: Subject) -> None:
    net = subject.net
    subject.refused(
        net.entry("incident", signer("stranger"), {"code": "x", "count": 1}).leaf(), "unknown_signer"
    )
    subject.refused(net.entry("consent.revoke", "office", {"commitment": digest("c")}).leaf(), "role_missing")
    entry = net.entry("consent.revoke", "desk", {"commitment": digest(secrets.token_hex(8))})
    subject.refused(entry.leaf(), "consent_unknown")


def refuses_what_is_no_entry(subject: Subject) -> None:
    before = subject.size()
    for leaf in (b"", b"{}", b"\xff", subject.net.incident().leaf() + b" "):
        with pytest.raises(EntryError):
            subject.engine.append(leaf)
    assert subject.size() == before


def refuses_an_entry_off_the_clock(subject: Subject) -> None:
    now = parse_time(subject.engine.now())
    for seconds in (-300, 300):
        subject.refused(subject.net.incident(time=text(now + seconds)).leaf(), "clock")


def refuses_another_networks_entry(subject: Subject) -> None:
    body = {"code": "x", "count": 1}
    foreign = signed(
        draft("t-county", "incident", secrets.token_hex(16), subject.engine.now(), body), signer("office")
    )
    subject.refused(foreign.leaf(), "wrong_network")


def refuses_a_second_genesis(subject: Subject) -> None:
    first = subject.net.entries[0][0]
    other = {**first.body, "epoch": "2031-01"}
    made = draft(first.network, first.type, "genesis", subject.engine.now(), other)
    co = [sign_body(signer(member["id"]), made) for member in first.body["members"]]
    subject.refused(signed(made, signer("seq"), co).leaf(), "genesis_exists")


def of_one_id_exactly_one_counts(subject: Subject) -> None:
    name = secrets.token_hex(16)
    leaves = [subject.net.incident(f"c{number}", id=name).leaf() for number in range(RACERS)]
    results = subject.race(leaves)
    won = [(leaf, one) for leaf, one in zip(leaves, results, strict=True) if isinstance(one, Receipt)]
    assert len(won) == 1, results
    assert [one for one in results if isinstance(one, str)] == ["id_used"] * (RACERS - 1)
    subject.holds(*won[0])
    assert sum(subject.count(leaf) for leaf in leaves) == 1


def of_one_slot_exactly_one_question_counts(subject: Subject) -> None:
    net = subject.net
    grant = net.fresh_grant("housing")
    leaves = [net.question(1, "housing", grant).leaf() for _ in range(RACERS)]
    results = subject.race(leaves)
    assert [isinstance(one, Receipt) for one in results].count(True) == 1, results
    assert [one for one in results if isinstance(one, str)] == ["slot_taken"] * (RACERS - 1)
    subject.refused(net.question(1, "housing", grant).leaf(), "slot_taken")
    subject.engine.append(net.question(2, "housing", grant).leaf())
    subject.refused(net.question(3, "housing", grant).leaf(), "slot_range")


def different_slots_do_not_hinder_each_other(subject: Subject) -> None:
    net = subject.net
    grant = net.fresh_grant("tax", slots=RACERS)
    results = subject.race([net.question(slot, "tax", grant).leaf() for slot in range(RACERS)])
    assert all(isinstance(one, Receipt) for one in results), results


def the_same_bytes_again_give_the_same_place(subject: Subject) -> None:
    leaf = subject.net.incident().leaf()
    first = subject.engine.append(leaf)
    again = subject.engine.append(leaf)
    assert again.index == first.index
    subject.holds(leaf, again)
    assert subject.count(leaf) == 1


def the_same_bytes_at_once_give_the_same_place(subject: Subject) -> None:
    leaf = subject.net.incident().leaf()
    results = subject.race([leaf] * RACERS)
    assert {one.index for one in results if isinstance(one, Receipt)} == {subject.engine.append(leaf).index}
    assert all(isinstance(one, Receipt) for one in results), results
    assert subject.count(leaf) == 1


def an_id_is_used_once_whatever_the_type(subject: Subject) -> None:
    taken = subject.net.apply(subject.net.incident())
    body = {"commitment": digest("case"), "code": "x"}
    subject.refused(subject.net.entry("complaint", "office", body, id=taken.id).leaf(), "id_used")


def a_restart_loses_nothing(subject: Subject) -> None:
    leaf = subject.net.incident().leaf()
    before = subject.engine.append(leaf)
    subject.engine.restart()
    again = subject.engine.append(leaf)
    assert again.index == before.index
    subject.holds(leaf, before)
    after = subject.net.incident().leaf()
    receipt = subject.engine.append(after)
    assert receipt.index > before.index
    subject.holds(after, receipt)


def a_void_entry_keeps_its_place_and_changes_nothing(subject: Subject) -> None:
    body = {"commitment": digest(secrets.token_hex(8))}
    leaf = subject.net.entry("consent.revoke", "desk", body).leaf()
    subject.engine.order_anyway(leaf)
    assert subject.count(leaf) == 1
    place = list(subject.engine.read(0, subject.size())).index(leaf)
    found = verify_folder(subject.engine.public, policy=POLICY.format().encode())
    assert (place, "consent_unknown") in found.voids
    subject.net.apply(subject.net.incident())


def the_public_folder_verifies(subject: Subject) -> None:
    leaf = subject.net.incident().leaf()
    receipt = subject.engine.append(leaf)
    found = verify_folder(subject.engine.public, policy=POLICY.format().encode())
    assert found.size > receipt.index
    tree = [leaf_hash(one) for one in subject.engine.read(0, found.size)]
    assert len(tree) == found.size


CASES: tuple[Callable[[Subject], None], ...] = (
    accepts,
    accepts_a_question_and_its_answers,
    refuses_what_the_contract_refuses,
    refuses_what_is_no_entry,
    refuses_an_entry_off_the_clock,
    refuses_another_networks_entry,
    refuses_a_second_genesis,
    of_one_id_exactly_one_counts,
    of_one_slot_exactly_one_question_counts,
    different_slots_do_not_hinder_each_other,
    the_same_bytes_again_give_the_same_place,
    the_same_bytes_at_once_give_the_same_place,
    an_id_is_used_once_whatever_the_type,
    a_restart_loses_nothing,
    a_void_entry_keeps_its_place_and_changes_nothing,
    the_public_folder_verifies,
)
"""Every case; each takes a ``Subject`` and leaves its ledger usable for the next."""
