"""A network in one process with a history that reconciles, and real tampering with one side of it.

``History`` runs checks of every kind to their close: a total, a veto, no row, a refused household, a question
whose first answer was refused; a department that refuses strangers and counts them. ``without``, ``changed``
and ``forged`` take a row of a member's database away, change it or add one, while a block runs.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Table, delete, insert, update

from ledger.audit.source import FolderSource, read_leaves
from ledger.entries.entry import Entry, parse
from node.audit.reconcile.compare import Reconciliation, reconcile
from node.audit.reconcile.journal import Journal, read_journal
from node.audit.reconcile.sides import (
    CaseFiles,
    LedgerRecords,
    read_case_files,
    read_ledger,
    read_policy,
    replayed,
)
from node.department.refusal_counts import RefusalCounter
from node.office.report import write_report
from node.services import Services
from node.store.database import Store
from tests.node.network_in_memory import ANNA, BAO, CHEN, NETWORK, ROLES, Network, stranger
from tests.node.question_steps import certificate_of, check, copied, hold, refused

DAY = 86_400
CLOSE_SECONDS = 20


class History:
    """A network after some checks.

    Attributes:
        net: the network.
        reports, openings: the office's folders.
        queries: query id by kind of check: total, veto, empty, refused, retried, late.
    """

    def __init__(self, folder: Path) -> None:
        self.net = Network(folder)
        self.reports = folder / "reports"
        self.openings = self.net.homes["office"].home.openings
        self.queries: dict[str, str] = {}
        self.run("total", ANNA, CHEN)
        self.run("veto", BAO)
        self.run("empty", stranger(1))
        self.run("refused", stranger(2), consent="none")
        self._retried()
        self._strangers()
        self.net.advance(1)

    def run(self, name: str, *ids: str, consent: str = "signed") -> None:
        """One check to its report and close."""
        self.finish(name, self.net.case(*ids, consent=consent))

    def finish(self, name: str, case: Any) -> None:
        """Check a case, write its report, close it."""
        office, finished = self.net.services["office"], check(self.net, case)
        report = write_report(office, finished, self.reports)
        self.net.office.close(finished, report)
        query = self.queries[name] = finished.inquiry.query
        if finished.refusal is None:
            assert office.ledger.wait_for(lambda view: view.closed(query) is not None, CLOSE_SECONDS)

    def _retried(self) -> None:
        """The department refuses other elements first: once on the ledger, once more in its journal only."""
        case = self.net.case(stranger(3))
        message = hold(self.net, case, "tax", "Answer")
        for _ in range(2):
            refused(self.net, "tax", "Answer", copied(message, elements_salt=bytes(32)), "certificate")
        query = str(certificate_of(message)["query"])
        tax = self.net.services["tax"].ledger
        assert tax.wait_for(lambda view: len(view.answers(query)) > 0, CLOSE_SECONDS)
        self.finish("retried", case)

    def _strangers(self) -> None:
        """Members who may not ask: refused without an intent, and counted."""
        case = self.net.case(stranger(4))
        message = hold(self.net, case, "tax", "Answer")
        for caller in ("hib", "hib", "desk"):
            refused(self.net, "tax", "Answer", message, "not_the_office", caller)
        tax = self.net.services["tax"]
        assert RefusalCounter(tax).count_now() == 2
        assert tax.ledger.wait_for(lambda _: tax.outbox.waiting() == 0, CLOSE_SECONDS)
        self.finish("late", case)

    # The sides.

    @property
    def public(self) -> FolderSource:
        """The public log."""
        return FolderSource(self.net.folder / "public")

    def leaves(self) -> list[bytes]:
        """Every leaf of the public log."""
        return list(read_leaves(self.public))

    def ledger(self) -> LedgerRecords:
        """The public log, replayed."""
        return read_ledger(self.public)

    def journal(self, member: str) -> Journal:
        """A member's journal."""
        services = self.net.services[member]
        return read_journal(services.store.database, NETWORK, member, ROLES[member])

    def files(self) -> CaseFiles:
        """The office's case files."""
        return read_case_files(self.reports, self.openings)

    def compare(self, *, members: tuple[str, ...] = tuple(ROLES), days: int = 0) -> Reconciliation:
        """Reconcile everything, some days after the last entry."""
        ledger = self.ledger()
        journals = [self.journal(member) for member in members]
        return reconcile(ledger, journals, self.files(), self.net.now + days * DAY)

    def withheld(self, hidden: Callable[[Entry], bool]) -> Reconciliation:
        """Reconcile, days later, with a log that lacks these entries, as its operator could make it."""
        kept = [leaf for leaf in self.leaves() if not hidden(parse(leaf))]
        ledger = replayed(read_policy(self.public), kept)
        journals = [self.journal(member) for member in ROLES]
        files = read_case_files(None, self.openings)
        return reconcile(ledger, journals, files, self.net.now + 2 * DAY)

    def services(self, member: str) -> Services:
        """A member's services."""
        return self.net.services[member]


@cache
def shared_history() -> History:
    """The history of this process, closed when it ends; a test restores what it changes."""
    folder = Path(tempfile.mkdtemp(prefix="reconciled-"))
    made = History(folder)

    def end() -> None:
        made.net.close()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return made


def only(found: Reconciliation, code: str) -> dict[str, str]:
    """The sides of the one difference found."""
    assert codes(found) == [code], found.differences
    return dict(found.differences[0].sides)


def codes(found: Reconciliation) -> list[str]:
    """Codes of what differs, each as often as it does."""
    return [one.code for one in found.differences]


@contextlib.contextmanager
def without(store: Store, table: Table, **key: Any) -> Iterator[list[dict[str, Any]]]:
    """The rows of this key are gone while the block runs."""
    rows = store.all(table, **key)
    assert rows
    where = [table.c[name] == value for name, value in key.items()]
    with store.writing() as connection:
        connection.execute(delete(table).where(*where))
    try:
        yield rows
    finally:
        with store.writing() as connection:
            connection.execute(insert(table), rows)


@contextlib.contextmanager
def changed(store: Store, table: Table, key: dict[str, Any], **values: Any) -> Iterator[None]:
    """The row of this key has other values while the block runs."""
    [row] = store.all(table, **key)
    where = [table.c[name] == value for name, value in key.items()]
    with store.writing() as connection:
        connection.execute(update(table).where(*where).values(**values))
    try:
        yield
    finally:
        primary = [column == row[column.name] for column in table.primary_key]
        with store.writing() as connection:
            connection.execute(update(table).where(*primary).values(**row))


@contextlib.contextmanager
def forged(store: Store, table: Table, **values: Any) -> Iterator[None]:
    """A row more is there while the block runs."""
    with store.writing() as connection:
        connection.execute(insert(table).values(**values))
    where = [table.c[name] == value for name, value in values.items()]
    try:
        yield
    finally:
        with store.writing() as connection:
            connection.execute(delete(table).where(*where))


@contextlib.contextmanager
def moved(path: Path, aside: Path) -> Iterator[None]:
    """A file is elsewhere while the block runs."""
    shutil.move(path, aside)
    try:
        yield
    finally:
        shutil.move(aside, path)
