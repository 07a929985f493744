"""A node restored from a backup: the behaviour of its roles and its witness before and after it has rejoined.

One network in one process; a member's store and vault are set back by hand, as a restore sets them back.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert

from keys.errors import SecretMissingError
from ledger.errors import ForkError, NoteError, RollbackError
from ledger.formats.checkpoint import Checkpoint, Cosigner
from ledger.formats.note import Note, VerifierKey
from ledger.storage.database import WITNESS
from ledger.storage.witness_store import SqlWitnessStore
from ledger.witness import AddCheckpoint, Witness, WitnessRecord
from node.department import own_publications
from node.department.own_publications import secret_name
from node.errors import ConfigurationError, RefusalError, ServiceUnavailableError
from node.registrar import consents
from node.services import Services
from node.store import tables
from node.store.database import put
from node.tlog.outbox import Outbox
from node.tlog.restore_fence import CODE, GuardedWitnessStore, RestoreFence
from node.tlog.witness import own_cosigner
from node.upkeep.rejoin import load_other_positions, load_position, rejoin
from tests.node.network_in_memory import ANNA, DENG, FANG, SOURCES, Network, stranger
from tests.node.question_steps import check, hold, refused, send
from tests.node.web.handwritten_log import PlainLog


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    found = Network(tmp_path_factory.mktemp("restored"))
    yield found
    found.close()


@pytest.fixture
def net(network: Network) -> Iterator[Network]:
    """The module's network; afterwards nobody in it was ever restored."""
    yield network
    for services in network.services.values():
        with services.store.writing() as connection:
            connection.execute(delete(tables.restored))
            connection.execute(delete(tables.rejoined_log))
            connection.execute(delete(WITNESS))
        services.__dict__.pop("restore_fence", None)
    network.trustee._possibly_opened = network.registrar.subjects._uncertain = None


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Network]:
    """A network that a test may break permanently."""
    found = Network(tmp_path)
    yield found
    found.close()


def set_back(services: Services, size: int = 0) -> str:
    """Mark a store as restored now."""
    name = secrets.token_hex(16)
    row = {
        "id": name,
        "backup": "b" * 32,
        "moment": services.clock() - 60,
        "size": size,
        "at": services.clock(),
    }
    with services.store.writing() as connection:
        connection.execute(insert(tables.restored).values(**row, witness=0))
    services.__dict__.pop("restore_fence", None)  # as after a start
    return name


def come_back(services: Services) -> None:
    """What a started node does until it has rejoined."""
    store = SqlWitnessStore(services.store.database)
    assert services.restore_fence.begin(services.clock())
    services.outbox.wake()

    def is_back(_: Any) -> bool:
        return rejoin(services, store)

    assert services.ledger.wait_for(is_back, 10)
    assert services.restore_fence.state() == "rejoined"


def forget_answers(services: Services) -> None:
    with services.store.writing() as connection:
        connection.execute(delete(tables.answer))
        connection.execute(delete(tables.outbox))


def answers_of(services: Services) -> int:
    return len(services.store.all(tables.answer))


def test_nothing_is_answered_before_the_node_has_rejoined(net: Network) -> None:
    asked = {
        member: hold(net, net.case(who), member, method)
        for member, method, who in (
            ("tax", "Answer", stranger(1)),
            ("desk", "Certify", stranger(2)),
            ("trust", "Open", DENG),
        )
    }
    methods = {"tax": "Answer", "desk": "Certify", "trust": "Open"}
    for member, message in asked.items():
        set_back(net.services[member])
        refused(net, member, methods[member], message, CODE)
        come_back(net.services[member])
    send(net, "trust", "Open", asked["trust"])
    fences = [e.body for _, e in net.services["tax"].ledger.replica.of_type("incident")]
    assert sum(body["code"] == CODE for body in fences) >= 1


def test_what_was_answered_or_may_have_been_is_not_answered_again(net: Network) -> None:
    tax = net.services["tax"]
    answered = hold(net, net.case(stranger(10)), "tax", "Answer")
    send(net, "tax", "Answer", answered)
    unanswered = hold(net, net.case(stranger(11)), "tax", "Answer")
    assert tax.ledger.wait_for(lambda _: tax.outbox.waiting() == 0, 10)
    forget_answers(tax)
    set_back(tax)
    come_back(tax)
    for message in (answered, unanswered):
        refused(net, "tax", "Answer", message, CODE)
    assert answers_of(tax) == 0
    after = hold(net, net.case(stranger(12)), "tax", "Answer")
    send(net, "tax", "Answer", after)
    assert answers_of(tax) > 0


def test_an_answer_the_store_still_has_is_repeated(net: Network) -> None:
    tax, message = net.services["tax"], hold(net, net.case(stranger(13)), "tax", "Answer")
    first = send(net, "tax", "Answer", message)
    set_back(tax)
    come_back(tax)
    assert send(net, "tax", "Answer", message) == first


def test_a_copied_home_without_marker_repeats_no_answer_the_ledger_shows(net: Network) -> None:
    """The files were copied by hand: only the ledger shows it."""
    tax, message = net.services["tax"], hold(net, net.case(stranger(14)), "tax", "Answer")
    send(net, "tax", "Answer", message)
    assert tax.ledger.wait_for(lambda _: tax.outbox.waiting() == 0, 10)
    forget_answers(tax)
    refused(net, "tax", "Answer", message, CODE)


def test_the_office_asks_anew_after_a_refusal_of_a_restored_department(net: Network) -> None:
    tax, case = net.services["tax"], net.case(ANNA)
    message = hold(net, case, "tax", "Answer")
    set_back(tax)
    come_back(tax)
    found = check(net, case)
    assert found.verdict.outcome == "incomplete"
    assert {str(gap) for gap in found.lines.gaps.values()} == {f"refused_{CODE}"}
    net.office.close(found, b"report")
    again = check(net, case)
    assert again.inquiry.query != found.inquiry.query
    assert again.verdict.outcome == "dibao"
    refused(net, "tax", "Answer", message, CODE)


def test_the_gap_stands_in_the_journal_and_on_the_ledger_once(net: Network) -> None:
    tax = net.services["tax"]
    name = set_back(tax, size=7)
    for _ in range(3):
        tax.restore_fence.begin(tax.clock())
    come_back(tax)
    lines = [row for row in tax.store.all(tables.journal) if row["result"].endswith(":7")]
    assert [row["result"] for row in lines] == [f"{CODE}:{tax.clock() - 60}:7"]
    bodies = [e.body for _, e in tax.ledger.replica.of_type("incident") if e.body["code"] == CODE]
    assert bodies.count({"code": CODE, "count": 7}) == 1
    row = tax.store.one(tables.restored, id=name)
    assert row is not None
    assert row["witness"] == 1
    assert tax.ledger.replica.entry(row["fence"]).body["code"] == CODE


def test_keys_destroyed_since_stay_destroyed_and_lost_ones_are_named(own: Network) -> None:
    net = own
    tax = net.services["tax"]
    vault, first = tax.keys.vault, secret_name("tax.owner", "2026-11.1")
    old = vault.get(first)
    net.publish("tax.owner", SOURCES["tax.owner"])
    net.submit("tax", "dataset.retired", {"dataset": "tax.owner", "publication": "2026-11.1", "reason": "x"})
    vault.put(first, old)
    vault.delete(secret_name("tax.owner", "2026-11.2"))
    vault.put(secret_name("tax.income", "2026-11.1"), old)  # of a build that was begun again
    with tax.store.writing() as connection:
        connection.execute(delete(tables.own_publication))
    set_back(tax)
    come_back(tax)
    with pytest.raises(SecretMissingError):
        vault.get(first)
    rows = {(r["dataset"], r["publication"]): r for r in tax.store.all(tables.own_publication)}
    assert rows["tax.owner", "2026-11.1"]["state"] == "destroyed"
    assert rows["tax.owner", "2026-11.2"]["details"] == "lost"
    assert rows["tax.income", "2026-11.1"]["details"] == "lost"
    refused(net, "tax", "Answer", hold(net, net.case(stranger(15)), "tax", "Answer"), "lost")
    assert own_publications.retire_unused_publications(tax) == [], (
        "it is current still: that is for a person to decide"
    )
    own_publications.retire(tax, "tax.income", "2026-11.1")
    tax.ledger.sync()
    assert tax.view.retired("tax.income", "2026-11.1")


def test_sets_whose_keys_are_there_are_known_again_after_the_database_was_lost(own: Network) -> None:
    tax = own.services["tax"]
    before = {(r["dataset"], r["publication"]): r for r in tax.store.all(tables.own_publication)}
    with tax.store.writing() as connection:
        connection.execute(delete(tables.own_publication))
    set_back(tax)
    come_back(tax)
    assert {(r["dataset"], r["publication"]): r for r in tax.store.all(tables.own_publication)} == before
    assert check(own, own.case(stranger(16))).verdict.outcome != "incomplete"


def test_a_consent_withdrawn_since_is_withdrawn(net: Network) -> None:
    desk, case = net.services["desk"], net.case(stranger(16))
    consents.withdraw(desk, case.case, case.household[0].id)
    row = desk.store.one(tables.consent, case_number=case.case)
    assert row is not None
    with desk.store.writing() as connection:
        put(connection, tables.consent, {"id": row["id"]}, {**row, "kind": "signed"})
    set_back(desk)
    come_back(desk)
    again = desk.store.one(tables.consent, case_number=case.case)
    assert again is not None
    assert again["kind"] == "none"


def test_a_registrar_put_back_asks_for_reasons_this_month_only(own: Network) -> None:
    net = own
    desk = net.services["desk"]
    set_back(desk)
    come_back(desk)
    net.registrar.subjects._uncertain = None
    now = desk.clock()
    assert net.registrar.subjects.uncertain_months() == {desk.month_of(now - 60)}
    asked = hold(net, net.case(FANG), "desk", "Certify")
    assert b"already_asked" in send(net, "desk", "Certify", asked).refusal
    net.now += 31 * 24 * 3600
    assert not net.registrar.subjects.uncertain_months() & {desk.month()}


def test_an_outbox_entry_signed_again_by_the_lost_node_counts_as_final(net: Network) -> None:
    tax = net.services["tax"]
    with tax.store.writing() as connection:
        tax.outbox.add(connection, "incident/x", "incident", {"code": "x", "count": 1}, tax.clock())
    row = tax.store.one(tables.outbox, id="incident/x")
    assert row is not None
    assert tax.ledger.wait_for(lambda _: tax.outbox.waiting() == 0, 10)
    tax.ledger.sync()
    net.now += 3
    entry = tax.ledger.replica.entry(tax.ledger.replica.size - 1)
    older = tax.ledger.compose(entry.type, entry.id, entry.body)
    assert older != tax.ledger.replica.leaf(tax.ledger.replica.size - 1)
    assert tax.ledger.holds(older)
    other = tax.ledger.compose(entry.type, entry.id, {"code": "y", "count": 1})
    assert not tax.ledger.holds(other)


# The witness.


def guarded(services: Services) -> tuple[Witness, SqlWitnessStore]:
    policy, key = services.ledger.policy, services.keys.signing("witness")
    name = next(w.name for w in policy.witnesses if w.key.public.raw == key.public.raw)
    inner = SqlWitnessStore(services.store.database)
    return Witness(
        Cosigner(name, key), [policy.log], GuardedWitnessStore(inner, services.restore_fence)
    ), inner


def test_a_restored_witness_tells_and_signs_nothing_until_it_has_caught_up(net: Network) -> None:
    tax = net.services["tax"]
    origin = tax.ledger.policy.origin
    set_back(tax)
    witness, inner = guarded(tax)
    note = net.sequencer.head
    assert note is not None
    request = AddCheckpoint(0, (), note).format()
    for call in (lambda: witness.latest(origin), lambda: witness.add_checkpoint(request, net.now)):
        with pytest.raises(ServiceUnavailableError):
            call()
    assert inner.read(origin) is None, "nothing was kept either"
    come_back(tax)
    kept = inner._stored(origin)
    assert kept is not None
    assert kept.size == tax.ledger.replica.size
    assert witness.add_checkpoint(request, net.now)[0] == 409, "it goes on from the quorum's checkpoint"


def test_a_witness_that_saw_another_history_stays_silent(net: Network) -> None:
    tax = net.services["tax"]
    origin, head = tax.ledger.policy.origin, tax.ledger.replica.size
    set_back(tax)
    note = f"{origin}\n".encode()
    SqlWitnessStore(tax.store.database).swap(origin, None, WitnessRecord(head, b"\1" * 32, net.now, note))
    tax.restore_fence.begin(net.now)
    tax.outbox.wake()
    assert tax.ledger.wait_for(lambda _: bool(tax.restore_fence.found()), 10)
    with pytest.raises(ForkError, match="evidence"):
        rejoin(tax, SqlWitnessStore(tax.store.database))
    assert tax.restore_fence.state() == "rejoining"
    with pytest.raises(ServiceUnavailableError):
        tax.restore_fence.require()


def test_without_a_quorum_an_operator_takes_up_the_newest_checkpoint(net: Network) -> None:
    tax = net.services["tax"]
    policy, engine, note = tax.ledger.policy, tax.store.database, net.sequencer.head
    assert note is not None
    size = Checkpoint.parse(Note.parse(note).text).size
    with pytest.raises(ConfigurationError, match="is not waiting to rejoin"):
        load_position(engine, policy, note, own_cosigner("tax", tax.keys.signing("witness"), policy))
    set_back(tax)
    text = f"{policy.origin}\n".encode()
    record = {"origin": policy.origin, "size": size + 1, "root": b"\1" * 32, "time": 1, "note": text}
    with tax.store.writing() as connection:
        connection.execute(insert(WITNESS).values(**record))
    with pytest.raises(RollbackError, match="older"):
        load_position(engine, policy, note, own_cosigner("tax", tax.keys.signing("witness"), policy))
    with tax.store.writing() as connection:
        connection.execute(delete(WITNESS))
    assert (
        load_position(
            engine, policy, note, own_cosigner("tax", tax.keys.signing("witness"), policy)
        ).checkpoint.size
        == size
    )
    witness, _ = guarded(tax)
    assert witness.add_checkpoint(AddCheckpoint(size, (), note).format(), net.now)[0] == 200
    with pytest.raises(ServiceUnavailableError):
        tax.restore_fence.require()


def test_a_log_of_others_waits_for_its_newest_checkpoint(net: Network) -> None:
    """The backup knew size 4, the lost witness had cosigned 9: nobody gets a fork of 9 cosigned."""
    tax, other = net.services["tax"], PlainLog.of("elsewhere.example/log", 2)
    policy, engine, key = tax.ledger.policy, tax.store.database, VerifierKey.parse(other.vkey)
    cosigner = own_cosigner("tax", tax.keys.signing("witness"), policy)
    store = SqlWitnessStore(engine)
    assert Witness(cosigner, [key], store).add_checkpoint(other.request(0, 4), net.now)[0] == 200
    with pytest.raises(ConfigurationError, match="is not waiting to rejoin"):
        load_other_positions(engine, key, other.note(9).encode(), cosigner, net.now)
    set_back(tax)
    come_back(tax)
    witness = Witness(cosigner, [key], GuardedWitnessStore(store, tax.restore_fence))
    fork = PlainLog(other.origin, other.key, (*other.leaves[:4], b"forked", *other.leaves[5:]))
    for ask in (fork.request(4, 9), other.request(4, 12)):
        with pytest.raises(ServiceUnavailableError, match="rejoin"):
            witness.add_checkpoint(ask, net.now)
    for wrong, error in ((fork.note(3), RollbackError), (other.forked().note(4), ForkError)):
        with pytest.raises(error, match="one that this witness has cosigned"):
            load_other_positions(engine, key, wrong.encode(), cosigner, net.now)
    stranger_signed = PlainLog.of(other.origin, 3).note(9)
    with pytest.raises(NoteError):
        load_other_positions(engine, key, stranger_signed.encode(), cosigner, net.now)
    assert load_other_positions(engine, key, other.note(9).encode(), cosigner, net.now).size == 9
    assert witness.add_checkpoint(fork.request(4, 9), net.now)[0] == 409
    assert witness.add_checkpoint(fork.request(9, 12), net.now)[0] == 422
    assert witness.add_checkpoint(other.request(9, 12), net.now)[0] == 200
    set_back(tax)
    come_back(tax)
    witness = Witness(cosigner, [key], GuardedWitnessStore(store, tax.restore_fence))
    with pytest.raises(ServiceUnavailableError):
        witness.add_checkpoint(other.request(12, 14), net.now)


def test_a_node_never_restored_is_as_ever(net: Network) -> None:
    tax = net.services["tax"]
    fence = RestoreFence(tax.store, tax.ledger, Outbox(tax.store, tax.ledger))
    assert not fence.begin(net.now)
    fence.require()
    fence.require_witness(tax.ledger.policy.origin)
    assert (fence.state(), fence.position, fence.found()) == ("", None, {})
    with pytest.raises(RefusalError, match="in_use"):
        own_publications.retire(tax, "tax.owner", "2026-11.1")
