"""A failure is never a pass, and never an answer without a record: nodes end, clocks are wrong, the log lies.

Every test has the network for itself and leaves all nodes running.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ledger import canonical, contract
from ledger.contract.state import State
from ledger.entries.entry import Entry
from ledger.errors import EntryRefusedError
from ledger.sequencer.sequencer import Sequencer
from node.app import Node
from node.case import Case
from node.config import Configuration
from node.errors import ServiceUnavailableError
from node.report.verify import verify_report
from node.times import system_clock
from tests.e2e.dishonest_office import DishonestOffice, refused
from tests.e2e.families_scenario import NET
from tests.e2e.shared_network import RunningNetwork, hedui, retry, wait_until


def report_of(running_network: RunningNetwork, case: Case, out: Path) -> dict[str, Any]:
    """A case's report, after it has been verified."""
    data = (out / f"{case.case}.json").read_bytes()
    assert verify_report(data, running_network.policy) == []
    found: dict[str, Any] = json.loads(data)
    return found


def answers_kept(running_network: RunningNetwork, member: str, query: str) -> int:
    """Answers a department has computed for a question."""
    with contextlib.closing(
        sqlite3.connect(running_network.home(member).root / "node.db", timeout=30)
    ) as database:
        found = database.execute("SELECT COUNT(*) FROM answer WHERE query = ?", [query]).fetchone()
    return int(found[0])


# Nodes that end.


def test_a_silent_department_makes_incomplete_and_the_same_check_goes_on_later(
    own_network: RunningNetwork, dishonest_office: DishonestOffice, tmp_path: Path
) -> None:
    case = own_network.case()
    with own_network.without("welfare"):
        found = own_network.check(case, tmp_path)
        assert (found["outcome"], found["net_fen"]) == ("incomplete", None)
        words = {(line["dataset"], line["answer"]) for line in found["lines"]}
        assert {word for name, word in words if name.startswith("welfare.")} == {"not_covered"}
        first = report_of(own_network, case, tmp_path)
        query = first["certificate"]["query"]
        dishonest_office.services.ledger.sync()
        assert dishonest_office.services.view.release(query, 0, "court") is None
        assert dishonest_office.services.view.closed(query) is None
    found = own_network.check(case, tmp_path)
    assert (found["outcome"], found["net_fen"], found["heads"]) == ("dibao", NET, 2)
    assert report_of(own_network, case, tmp_path)["certificate"]["query"] == query
    intents = [body["certificate"]["query"] for body in own_network.entries("query.intent")]
    assert intents.count(query) == 1, "the same intent, no further slot"


def test_without_a_quorum_no_intent_is_final_and_nobody_is_asked(
    own_network: RunningNetwork, tmp_path: Path
) -> None:
    """Two of four witnesses are silent; three are a quorum."""
    case = own_network.case()
    size = len(own_network.entries("query.intent"))
    with own_network.without("revenue", "welfare"):
        with pytest.raises(ServiceUnavailableError) as caught:
            own_network.check_once(case, tmp_path)
        assert caught.value.code == "quorum"
        assert len(own_network.entries("query.intent")) == size
        assert not (tmp_path / f"{case.case}.json").exists()
    found = own_network.check(case, tmp_path)
    assert (found["outcome"], found["net_fen"]) == ("dibao", NET)
    assert len(own_network.entries("query.intent")) == size + 1


def test_below_the_quorum_a_department_answers_nothing(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """The intent is final, but for over a minute (by revenue's clock) fewer than a quorum have cosigned."""
    finished = dishonest_office.logged(own_network.case())
    request = dishonest_office.question(finished)
    before = own_network.journal("revenue", "refused:stale_head")
    with own_network.without("window", "welfare"), own_network.inside("revenue", later(70)):
        with refused("stale_head"):
            dishonest_office.send(request)
        assert own_network.journal("revenue", "refused:stale_head") == before + 1
    assert answers_kept(own_network, "revenue", finished.inquiry.query) == 0
    assert len(retry(lambda: dishonest_office.send(request)).answers) == 2


def test_without_the_ledger_a_department_answers_nothing(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    finished = dishonest_office.logged(own_network.case())
    request = dishonest_office.question(finished)
    before = own_network.journal("revenue", "refused:unavailable")
    log = own_network.home("revenue").root / "node.log"
    said = len(log.read_text("utf-8"))

    def says(text: str) -> bool:
        return text in log.read_text("utf-8")[said:]

    with own_network.without("court"):
        with refused("unavailable"):
            dishonest_office.send(request)
        assert own_network.journal("revenue", "refused:unavailable") == before + 1
        assert answers_kept(own_network, "revenue", finished.inquiry.query) == 0
        wait_until(lambda: says("the ledger cannot be followed"), "the department says that it is alone")
    assert len(retry(lambda: dishonest_office.send(request)).answers) == 2
    wait_until(lambda: says("the ledger is followed again"), "the department says that it is not any more")


def test_without_the_registrar_no_question_leaves(own_network: RunningNetwork, tmp_path: Path) -> None:
    case = own_network.case()
    with own_network.without("window"), pytest.raises(ServiceUnavailableError) as caught:
        own_network.check_once(case, tmp_path)
    assert caught.value.code == "unavailable"
    assert own_network.check(case, tmp_path)["outcome"] == "dibao"


def test_an_office_killed_after_its_intent_goes_on_under_it(
    own_network: RunningNetwork, tmp_path: Path
) -> None:
    case = own_network.case()
    before = {body["certificate"]["query"] for body in own_network.entries("query.intent")}

    def kill(stage: str, *_: object) -> None:
        if stage == "answers":
            own_network.end("bureau")
            killed.append(stage)

    client, killed = own_network.clients["bureau"], list[str]()
    with pytest.raises(ServiceUnavailableError):
        client.check(own_network.application(case), tmp_path, kill)
    assert killed
    own_network.start("bureau")
    after = {body["certificate"]["query"] for body in own_network.entries("query.intent")} - before
    assert len(after) == 1
    assert own_network.check(case, tmp_path)["outcome"] == "dibao"
    assert report_of(own_network, case, tmp_path)["certificate"]["query"] in after
    assert len({body["certificate"]["query"] for body in own_network.entries("query.intent")} - before) == 1


def test_answers_and_shares_are_the_same_bytes_after_a_kill(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    finished = dishonest_office.answered(own_network.case())
    question = dishonest_office.question(finished)
    betas = [item.betas for item in dishonest_office.send(question).answers]
    pack = dishonest_office.pack(finished)
    share = dishonest_office.open(finished, pack)
    with own_network.without("court", "revenue"):
        pass
    assert [item.betas for item in retry(lambda: dishonest_office.send(question)).answers] == betas
    assert retry(lambda: dishonest_office.open(finished, pack)) == share
    with refused("already_released"):
        dishonest_office.open(finished, None)


# Clocks.


def later(seconds: int) -> Any:
    """A node whose every clock is ahead."""
    return partial(Node, clock=lambda: system_clock() + seconds)


def test_a_certificate_expires_by_the_departments_own_clock(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """Revenue judges certificates by a clock 20 minutes ahead; the ledger's head it sees is fresh."""
    finished = dishonest_office.logged(own_network.case())

    def ahead(configuration: Configuration) -> Node:
        node = Node(configuration)
        node.services.clock = lambda: system_clock() + 1200
        return node

    with own_network.inside("revenue", ahead):
        with refused("expired"):
            dishonest_office.send(dishonest_office.question(finished))
        assert own_network.journal("revenue", "refused:expired") >= 1
    assert answers_kept(own_network, "revenue", finished.inquiry.query) == 0
    assert len(retry(lambda: dishonest_office.send(dishonest_office.question(finished))).answers) == 2


def test_a_department_with_a_wrong_clock_answers_nothing(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    finished = dishonest_office.logged(own_network.case())
    with own_network.inside("revenue", later(1200)), refused("stale_head"):
        dishonest_office.send(dishonest_office.question(finished))
    dishonest_office.no_answer(finished.inquiry.query)


# A sequencer that lies.


def accept_all(state: State, entry: Entry, now: str) -> None:
    """The contract of a sequencer that orders whatever it is given."""
    with contextlib.suppress(EntryRefusedError):
        contract.apply(state, entry, now)


def test_an_entry_the_contract_refuses_is_void_whoever_ordered_it(
    own_network: RunningNetwork,
    dishonest_office: DishonestOffice,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    first = dishonest_office.certified(own_network.case())
    body = dishonest_office.intent_body(first)
    dishonest_office.log(first, body)
    second = dishonest_office.certified(own_network.case())
    stolen = {**dishonest_office.intent_body(second), "slots": body["slots"]}
    query = second.inquiry.query
    with monkeypatch.context() as patch:
        patch.setattr("node.tlog.opening.Sequencer", partial(Sequencer, admit=accept_all))
        with own_network.inside("court", Node):
            ledger = dishonest_office.services.ledger
            leaf = ledger.compose("query.intent", query, stolen)
            receipt = ledger.append(leaf)
            ledger.sync()
            assert ledger.replica.void_code(receipt.index) == "slot_taken"
            request = dishonest_office.question(first)
            request.certificate = canonical.encode(second.inquiry.certificate.to_json())
            request.signature = canonical.encode(second.inquiry.signature.to_json())
            request.intent, request.receipt = leaf, receipt.format()
            before = own_network.journal("revenue", "refused:void_entry")
            with refused("void_entry"):
                dishonest_office.send(request)
            assert own_network.journal("revenue", "refused:void_entry") == before + 1
    folder = shutil.copytree(own_network.public, tmp_path / "log")
    done = hedui("ledger", "verify", folder)
    assert done.returncode == 0, done.stderr
    assert f"entry {receipt.index} is void: slot_taken" in done.stdout
    slot = body["slots"][0]
    holder = dishonest_office.services.view.slot_taken(slot["grant"], slot["period"], slot["slot"])
    assert holder == first.inquiry.query
    dishonest_office.log(second, dishonest_office.intent_body(second))
    dishonest_office.services.ledger.sync()
    assert len(dishonest_office.send(dishonest_office.question(second)).answers) == 2, (
        "a void entry takes neither id nor slot"
    )


def test_a_log_rewritten_from_a_backup_is_not_followed_until_recovered(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """The sequencer's database is set back to an earlier state: its witnesses have seen more."""
    home = own_network.home("court").root
    own_network.end("court")
    saved = {path.name: path.read_bytes() for path in home.glob("*.db*")}
    own_network.start("court")
    finished = dishonest_office.logged(own_network.case())
    own_network.end("court")
    kept = {path.name: path.read_bytes() for path in home.glob("*.db*")}
    try:
        for name, data in saved.items():
            (home / name).write_bytes(data)
        own_network.start("court")
        with refused("unavailable", "quarantined"):
            dishonest_office.logged(own_network.case())
        running = hedui("ledger", "recover", home, home / "ledger")
        assert running.returncode == 2, running.stderr
        own_network.end("court")
        done = hedui("ledger", "recover", home, home / "ledger")
        assert done.returncode == 0, done.stderr
    except BaseException:
        for path in home.glob("*.db*"):
            path.unlink()
        for name, data in kept.items():
            (home / name).write_bytes(data)
        raise
    finally:
        own_network.start("court")
    assert len(retry(lambda: dishonest_office.send(dishonest_office.question(finished))).answers) == 2
