"""The journal: exported, signed, read back the same, nothing personal in it; brought up from version 1."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from click.testing import CliRunner

from ledger import canonical
from ledger.storage.database import open_database, writing
from node.audit.reconcile.compare import reconcile
from node.audit.reconcile.journal import Journal, export, read_file, read_home
from node.audit.reconcile.sides import CaseFiles
from node.cli.node_backup import journal as journal_command
from node.errors import ConfigurationError, JournalError, UsageError
from node.membership.network import NetworkFile
from node.store import tables
from node.store.database import Store
from node.store.opening import MIGRATIONS, migrate
from tests.node.audit.reconciled_network import History, codes, forged, shared_history, without
from tests.node.network_in_memory import ANNA, BAO, CHEN, ROLES, found, stranger


@pytest.fixture
def history() -> History:
    return shared_history()


def exported(history: History, member: str, path: Path, *, opened: bool = True, later: int = 1) -> Path:
    """A member's journal in a file."""
    key = history.net.key(member)
    path.write_bytes(export(history.journal(member), key, history.net.now + later, opened=opened))
    return path


def as_exported(journal: Journal, at: int) -> Journal:
    """A journal as its file should return it; household labels are drawn again at each reading."""
    return replace(journal, taken=at, questions=tuple(replace(q, household="") for q in journal.questions))


def test_an_auditor_reconciles_from_files(history: History, tmp_path: Path) -> None:
    ledger = history.ledger()
    paths = [exported(history, member, tmp_path / member) for member in ROLES]
    journals = [read_file(path, ledger.view) for path in paths]
    for journal in journals:
        own = as_exported(history.journal(journal.member), history.net.now + 1)
        assert as_exported(journal, history.net.now + 1) == own
    found_now = reconcile(ledger, journals, history.files(), history.net.now + 200_000)
    assert codes(found_now) == []
    store = history.services("tax").store
    with without(store, tables.journal, query=history.queries["veto"], dataset="tax.owner"):
        path = exported(history, "tax", tmp_path / "tax")
    missing = reconcile(ledger, [read_file(path, ledger.view)], CaseFiles(), history.net.now)
    assert codes(missing) == ["answer_not_in_journal"]


def test_an_export_is_not_asked_for_what_came_after_it(history: History, tmp_path: Path) -> None:
    ledger, tax = history.ledger(), history.services("tax").store
    asked = tax.all(tables.journal, query=history.queries["late"])
    before = min(row["at"] for row in asked) - history.net.now
    with without(tax, tables.journal, query=history.queries["late"]):
        early = read_file(exported(history, "tax", tmp_path / "early", later=before), ledger.view)
        late = read_file(exported(history, "tax", tmp_path / "late"), ledger.view)
    young = reconcile(ledger, [early], CaseFiles(), history.net.now)
    assert (codes(young), young.pending) == ([], 2)
    assert codes(reconcile(ledger, [late], CaseFiles(), history.net.now)) == ["answer_not_in_journal"] * 2


def test_roles_left_out_hide_nothing(history: History, tmp_path: Path) -> None:
    """Which comparisons a journal is put to is the ledger's word, not its own."""
    ledger = history.ledger()
    with without(history.services("tax").store, tables.journal, query=history.queries["late"]):
        kept = replace(history.journal("tax"), roles=())
    (tmp_path / "tax").write_bytes(export(kept, history.net.key("tax"), history.net.now + 1, opened=True))
    found_now = reconcile(ledger, [read_file(tmp_path / "tax", ledger.view)], CaseFiles(), history.net.now)
    assert codes(found_now) == ["answer_not_in_journal"] * 2


def test_an_export_set_back_in_time_hides_nothing_for_long(history: History, tmp_path: Path) -> None:
    ledger = history.ledger()
    with without(history.services("tax").store, tables.journal, query=history.queries["late"]):
        journal = read_file(exported(history, "tax", tmp_path / "tax", later=-10_000_000), ledger.view)
    assert codes(reconcile(ledger, [journal], CaseFiles(), history.net.now)) == []
    late = reconcile(ledger, [journal], CaseFiles(), history.net.now + 200_000)
    assert [(one.code, one.who) for one in late.differences if one.code == "journal_old"] == [
        ("journal_old", "tax")
    ]


def test_without_the_closing_salts(history: History, tmp_path: Path) -> None:
    """Reports cannot be opened then, and nothing is said to differ for it."""
    ledger = history.ledger()
    path = exported(history, "office", tmp_path / "office", opened=False)
    office = read_file(path, ledger.view)
    assert not any(question.total or question.report for question in office.questions)
    assert codes(reconcile(ledger, [office], history.files(), history.net.now)) == []


def test_nothing_personal_is_in_it(history: History, tmp_path: Path) -> None:
    """No identifier, name, case number, element, salt of an answer or secret of the vault."""
    persons = [ANNA, BAO, CHEN, *(stranger(number) for number in range(10)), "王甲"]
    cases = [path.stem for path in history.reports.glob("*.json")]
    secrets = [
        services.keys.vault.get(name).hex()
        for services in history.net.services.values()
        for name in ("node", "seal")
    ]
    salts = [json.loads(row["document"])["salt"] for row in history.services("tax").store.all(tables.answer)]
    for member in ROLES:
        text = exported(history, member, tmp_path / member).read_text("utf-8")
        assert not [word for word in (*persons, *cases, *secrets, *salts) if word in text]


def test_a_changed_file(history: History, tmp_path: Path) -> None:
    ledger = history.ledger()
    data = exported(history, "tax", tmp_path / "tax").read_bytes()
    rows = data.splitlines(keepends=True)
    longer = [*rows[:2], canonical.encode({"line": {"kind": "answer"}}) + b"\n", *rows[2:]]
    cases = {
        "changed after": [data.replace(b'"answered"', b'"refused:"', 1), b"".join([*rows[:1], *rows[2:]])],
        "no exported journal": [b"", b"{}\n", data[:-1], b"".join(rows[1:]), b"".join(longer), data[:200]],
    }
    for reason, changes in cases.items():
        for changed in changes:
            (tmp_path / "changed").write_bytes(changed)
            with pytest.raises(JournalError, match=reason):
                read_file(tmp_path / "changed", ledger.view)
    tax = history.journal("tax")
    (tmp_path / "hib").write_bytes(export(tax, history.net.key("hib"), 1, opened=False))
    with pytest.raises(JournalError, match="not signed by tax"):
        read_file(tmp_path / "hib", ledger.view)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "nothing", ledger.view)
    if Path("/dev/zero").exists():
        with pytest.raises(JournalError, match="no exported journal"):
            read_file(Path("/dev/zero"), ledger.view)


def test_a_home_and_a_network_of_their_own(history: History, tmp_path: Path) -> None:
    """A home is read as its node left it; one of another network is refused."""
    home = history.net.homes["police"]
    with pytest.raises(ConfigurationError, match="join a network"):
        read_home(home)
    home.home.network.write_bytes(history.net.file.format())
    try:
        assert read_home(home) == history.journal("police")
        other: NetworkFile = found(tmp_path)
        home.home.network.write_bytes(other.format())
        with pytest.raises(UsageError, match="another network"):
            reconcile(history.ledger(), [read_home(home)], CaseFiles(), 0)
    finally:
        home.home.network.unlink()


def test_a_journal_replaces_no_file(history: History, tmp_path: Path) -> None:
    """Refused before the home is read."""
    (tmp_path / "old.journal").write_text("mine")
    words = [str(history.net.homes["police"].home.root), "--output", str(tmp_path / "old.journal")]
    done = CliRunner().invoke(journal_command, words)
    assert isinstance(done.exception, UsageError)
    assert "is there already" in str(done.exception)
    assert (tmp_path / "old.journal").read_text() == "mine"


# Version 1.


def downgraded(url: str, path: Path, history: History, member: str) -> None:
    """A copy of a member's tables as version 1 kept them."""
    engine = open_database(url)
    migrate(engine)
    source = history.services(member).store
    with writing(engine) as connection:
        for table in (tables.journal, tables.outbox, tables.answer, tables.release):
            rows = source.all(table)
            if rows:
                connection.execute(sa.insert(table), rows)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    columns = {column["name"] for column in sa.inspect(engine).get_columns("journal")}
    assert not columns & {"kind", "record", "case_index"}
    engine.dispose()
    assert path.is_file()


@pytest.mark.parametrize("member", ["tax", "hib", "trust"])
def test_a_journal_of_version_one_is_brought_up(history: History, tmp_path: Path, member: str) -> None:
    """Every line has its record again; who asked for a release was not kept then."""
    path = tmp_path / "old.db"
    downgraded(f"sqlite:///{path}", path, history, member)
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    own, brought = history.services(member).store, Store(engine)
    forgotten = {"number": 0} | ({"peer": ""} if member == "trust" else {})
    rows = [[row | forgotten for row in store.all(tables.journal)] for store in (own, brought)]
    assert sorted(map(str, rows[0])) == sorted(map(str, rows[1]))
    assert rows[0]
    migrate(engine)
    engine.dispose()


def test_lines_forged_before_the_upgrade_have_no_record(history: History, tmp_path: Path) -> None:
    """What the outbox never sent is not made up."""
    path = tmp_path / "old.db"
    values = {"at": 1, "peer": "office", "dataset": "tax.income", "result": "answered", "reported": 1}
    store = history.services("tax").store
    with forged(store, tables.journal, query="ab" * 16, kind="answer", record="", **values):
        downgraded(f"sqlite:///{path}", path, history, "tax")
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    [row] = Store(engine).all(tables.journal, query="ab" * 16)
    assert (row["kind"], row["record"]) == ("answer", "")
    engine.dispose()
