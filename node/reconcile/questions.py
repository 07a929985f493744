"""Office and registrar: questions asked, certified and closed, against the intents on the ledger.

The office's record of a question is its own store: a home, or an exported journal. Where neither is given,
nobody is accused of hiding a question, for nobody says that the files at hand are all there are. ``reports``
compares what the reports say.
"""

from __future__ import annotations

from ledger.records import Intent
from node.closing import recorded_list, recorded_report
from node.inquiry import DONE, LOGGED
from node.reconcile.casefile import Report
from node.reconcile.difference import ABSENT
from node.reconcile.journal import Journal, Question
from node.reconcile.sides import Sides
from node.services import instant


def compare_questions(sides: Sides) -> None:
    """Compare every office's and registrar's record with the intents, both ways."""
    for intent in sides.ledger.intents.values():
        _known(sides, intent)
        _closed(sides, intent)
    for journal in sides.journals.values():
        for question in journal.questions:
            _on_ledger(sides, journal, question)
        _filed(sides, journal)
        if "registrar" in journal.roles:
            _certified(sides, journal)


def _known(sides: Sides, intent: Intent) -> None:
    """The office that logged an intent has a record of it, where its journal is given."""
    journal = sides.journals.get(intent.office)
    if journal is None or sides.question(intent.office, intent.query) is not None:
        return
    if not sides.is_later(journal, intent.at):
        filed = intent.query in sides.files.opened or bool(sides.reports(intent.query))
        words = {"ledger": "intent", "journal": ABSENT} | ({"case_file": "present"} if filed else {})
        sides.found.add("question_hidden", intent.query, intent.office, **words)


def _on_ledger(sides: Sides, journal: Journal, question: Question) -> None:
    """A question the office says it logged is on the ledger under the same certificate."""
    intent = sides.ledger.intents.get(question.query)
    if intent is None:
        said = question.asks and question.state in (LOGGED, DONE)
        if said and not sides.is_pending(question.at, waiting=False):
            missing(sides, question.query, journal.member, journal=question.state)
        return
    if question.certificate != intent.digest:
        words = {"ledger": intent.digest, "journal": question.certificate or ABSENT}
        sides.found.add("certificate_differs", question.query, journal.member, **words)


def missing(sides: Sides, query: str, who: str, **words: str) -> None:
    """Name a question that the ledger does not have, or has as a void entry."""
    word = sides.ledger.missing("query.intent", query)
    code = "intent_not_on_ledger" if word == ABSENT else "intent_void"
    sides.found.add(code, query, who, ledger=word, **words)


def _closed(sides: Sides, intent: Intent) -> None:
    """A question is closed within a day, and the close opens to its report and list."""
    closed, journal = sides.ledger.view.closed(intent.query), sides.journals.get(intent.office)
    question = sides.question(intent.office, intent.query)
    if closed is None:
        if sides.is_old(instant(intent.at)):
            words = {} if question is None else {"journal": question.state}
            word = sides.ledger.missing("query.close", intent.query)
            sides.found.add("close_missing", intent.query, intent.office, ledger=word, **words)
        return
    if question is None or journal is None:
        return
    if question.state != DONE or (journal.opened and not (question.total and question.report)):
        if not sides.is_later(journal, closed.at):
            word = question.state if question.state != DONE else ABSENT
            sides.found.add("close_unknown", intent.query, intent.office, ledger=closed.report, journal=word)
    elif journal.opened:
        for report in sides.reports(intent.query):
            _opened(sides, question, report, intent.office)


def _opened(sides: Sides, question: Question, report: Report, office: str) -> None:
    """``query.close`` opens to this report and its list."""
    closed = sides.ledger.view.closed(question.query)
    assert closed is not None
    sealed = recorded_report(bytes.fromhex(question.report), report.data).hex()
    if sealed != closed.report:
        sides.found.add("close_report", question.query, office, ledger=closed.report, report=sealed)
    total = recorded_list(bytes.fromhex(question.total), report.listed).hex()
    if total != closed.total:
        sides.found.add("close_total", question.query, office, ledger=closed.total, report=total)


def closes_not_compared(sides: Sides) -> int:
    """Reports whose ``query.close`` is on the ledger, with no salts of a journal to open it."""
    count = 0
    for report in sides.files.reports:
        intent = sides.ledger.intents.get(report.query)
        if intent is not None and sides.ledger.view.closed(report.query) is not None:
            journal = sides.journals.get(intent.office)
            count += journal is None or not journal.opened
    return count


def _filed(sides: Sides, journal: Journal) -> None:
    """The newest finished check of every case has its files; of checks never asked, any one has."""
    places = {query: at for at, query in enumerate(sides.ledger.intents)}
    households: dict[str, list[Question]] = {}
    for question in journal.questions:
        if question.state == DONE:
            households.setdefault(question.household, []).append(question)
    for done in households.values():
        last = max(done, key=lambda question: places.get(question.query, -1))
        wanted = {last.query} if last.query in places else {question.query for question in done}
        if sides.files.has_reports and not any(sides.reports(query) for query in wanted):
            _not_filed(sides, journal, last, "report")
        if sides.files.has_openings and not wanted & sides.files.opened:
            _not_filed(sides, journal, last, "openings")


def _not_filed(sides: Sides, journal: Journal, question: Question, what: str) -> None:
    words = {"journal": question.state, "case_file": ABSENT}
    sides.found.add("case_file_missing", question.query, journal.member, what, **words)


def _certified(sides: Sides, journal: Journal) -> None:
    """Every intent under this registrar's certificate is in its own book."""
    digests = {certified.query: certified.certificate for certified in journal.certified}
    for intent in sides.ledger.intents.values():
        if intent.registrar != journal.member:
            continue
        own = digests.get(intent.query)
        words = {"ledger": intent.digest, "journal": ABSENT if own is None else own}
        if own is None and not sides.is_later(journal, intent.at):
            sides.found.add("certificate_not_in_journal", intent.query, journal.member, **words)
        elif own is not None and own != intent.digest:
            sides.found.add("certificate_differs", intent.query, journal.member, **words)
