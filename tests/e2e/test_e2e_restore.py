"""A department's home is lost and restored from an older backup: it rejoins and answers no question twice."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.errors import ServiceUnavailableError
from node.report.verify import verify_report
from node.tlog.restore_fence import CODE
from tests.e2e.dishonest_office import DishonestOffice, refused
from tests.e2e.families_scenario import NET
from tests.e2e.shared_network import RunningNetwork, hedui, wait_until

REJOIN_SECONDS = 15 * 60


@pytest.fixture
def backup(own_network: RunningNetwork, tmp_path: Path) -> Path:
    """A backup of revenue, made by the command while the node runs."""
    file = tmp_path / "revenue.backup"
    done = hedui("node", "backup", own_network.home("revenue").root, file)
    assert done.returncode == 0, done.stderr
    assert hedui("node", "restore", file, "--verify", **words(own_network)).returncode == 0
    return file


def words(running_network: RunningNetwork) -> dict[str, str]:
    """The drawn passphrase, which its operator has kept elsewhere."""
    return {
        "HEDUI_PASSPHRASE": (running_network.home("revenue").keys / "passphrase").read_text("ascii").strip()
    }


def answers(running_network: RunningNetwork, query: str) -> int:
    """Answers revenue's store holds for a question."""
    path = running_network.home("revenue").root / "node.db"
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as database:
        found = database.execute("SELECT COUNT(*) FROM answer WHERE query = ?", [query]).fetchone()
    return int(found[0])


@contextlib.contextmanager
def lost_and_restored(running_network: RunningNetwork, backup: Path) -> Iterator[None]:
    """Destroy revenue's home; the block runs before its backup is restored and the node started."""
    root, passphrase = running_network.home("revenue").root, words(running_network)
    running_network.end("revenue")
    shutil.rmtree(root)
    yield
    done = hedui("node", "restore", backup, root, **passphrase)
    assert done.returncode == 0, done.stderr
    assert "keys/passphrase" in done.stdout
    (root / "keys" / "passphrase").write_text(passphrase["HEDUI_PASSPHRASE"], encoding="ascii")
    running_network.start("revenue")


def state(running_network: RunningNetwork) -> Any:
    return running_network.clients["revenue"].status()["restored"]


def test_a_department_put_back_rejoins_and_answers_nothing_twice(
    own_network: RunningNetwork,
    dishonest_office: DishonestOffice,
    backup: Path,
    tmp_path: Path,
    record_property: Any,
) -> None:
    finished = [dishonest_office.answered(own_network.case()) for _ in range(2)]
    held_back = dishonest_office.logged(own_network.case())
    for each in finished:
        dishonest_office.recorded(each.inquiry.query, "revenue.wages", "answered")
    with lost_and_restored(own_network, backup):
        began = time.monotonic()
    wait_until(lambda: state(own_network) == "rejoined", "revenue has rejoined")
    seconds = time.monotonic() - began
    record_property("rejoin_seconds", round(seconds, 1))
    print(f"restored, started and rejoined in {seconds:.1f} s")
    assert seconds < REJOIN_SECONDS

    for each in (*finished, held_back):
        with refused(CODE):
            dishonest_office.send(dishonest_office.question(each))
        assert answers(own_network, each.inquiry.query) == 0
    dishonest_office.recorded(held_back.inquiry.query, "revenue.cars", f"refused:{CODE}")
    codes = [body for body in own_network.entries("incident") if body["code"] == CODE]
    assert len(codes) == 1
    assert own_network.journal("revenue", "answered", finished[0].inquiry.query) == 0

    case = own_network.case()
    found = own_network.check(case, tmp_path)
    assert (found["outcome"], found["net_fen"]) == ("dibao", NET)
    assert verify_report((tmp_path / f"{case.case}.json").read_bytes(), own_network.policy) == []


def test_the_office_closes_what_a_restored_department_refuses_and_asks_anew(
    own_network: RunningNetwork, backup: Path, tmp_path: Path
) -> None:
    """The check was under way when the department was lost."""
    case = own_network.case()
    with lost_and_restored(own_network, backup):
        found = own_network.check(case, tmp_path)
        assert found["outcome"] == "incomplete"
    wait_until(lambda: state(own_network) == "rejoined", "revenue has rejoined")
    assert own_network.check(case, tmp_path)["outcome"] == "incomplete"
    assert own_network.check(case, tmp_path)["outcome"] == "dibao"


def test_a_restored_node_that_cannot_reach_the_ledger_answers_and_cosigns_nothing(
    own_network: RunningNetwork, dishonest_office: DishonestOffice, backup: Path
) -> None:
    logged = dishonest_office.logged(own_network.case())
    request = dishonest_office.question(logged)
    with contextlib.ExitStack() as stack:
        with lost_and_restored(own_network, backup):
            stack.enter_context(own_network.without("court"))
        assert state(own_network) == "rejoining"
        with pytest.raises(ServiceUnavailableError) as caught:
            dishonest_office.send(request)
        assert caught.value.code == CODE
    wait_until(lambda: state(own_network) == "rejoined", "revenue has rejoined")
