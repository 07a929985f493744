"""Office, registrar and trustees: what they recorded, compared with the ledger in both directions.

The office's record of a question is its own store: a home, or an exported journal. Without either, a question
that no case file shows is not reported as hidden, since the given files need not be all that exist.

Each report of the office is compared with the ledger: the log under which it is proven, the question it
shows, and the answers it holds. A report whose checkpoint is newer than the given copy of the log is
compared as far as the copy goes, and counted as pending.

A registrar's certificates are compared with the intents that carry them. A trustee's releases are compared
with ``share.release``, and so is the list that a report shows, since the trustee's salt is stored beside
its share.
"""

from __future__ import annotations

from ledger import canonical
from ledger.contract.records import Intent
from ledger.contract.view import dataset_owner
from ledger.entries.times import parse_time
from ledger.errors import LedgerError
from ledger.merkle import leaf_hash
from node.audit.reconcile.difference import ABSENT
from node.audit.reconcile.journal import RELEASE, Journal, JournalLine, JournalQuestion
from node.audit.reconcile.sides import Report, Sides
from node.office.inquiry import InquiryState
from protocols.check.openings import recorded_list, recorded_report


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


def _on_ledger(sides: Sides, journal: Journal, question: JournalQuestion) -> None:
    """A question the office says it logged is on the ledger under the same certificate."""
    intent = sides.ledger.intents.get(question.query)
    if intent is None:
        said = question.asks and question.state in (InquiryState.LOGGED, InquiryState.DONE)
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
        if sides.is_old(parse_time(intent.at)):
            words = {} if question is None else {"journal": question.state}
            word = sides.ledger.missing("query.close", intent.query)
            sides.found.add("close_missing", intent.query, intent.office, ledger=word, **words)
        return
    if question is None or journal is None:
        return
    if question.state != InquiryState.DONE or (journal.opened and not (question.total and question.report)):
        if not sides.is_later(journal, closed.at):
            word = question.state if question.state != InquiryState.DONE else ABSENT
            sides.found.add("close_unknown", intent.query, intent.office, ledger=closed.report, journal=word)
    elif journal.opened:
        for report in sides.reports(intent.query):
            _opened(sides, question, report, intent.office)


def _opened(sides: Sides, question: JournalQuestion, report: Report, office: str) -> None:
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
    households: dict[str, list[JournalQuestion]] = {}
    for question in journal.questions:
        if question.state == InquiryState.DONE:
            households.setdefault(question.household, []).append(question)
    for done in households.values():
        last = max(done, key=lambda question: places.get(question.query, -1))
        wanted = {last.query} if last.query in places else {question.query for question in done}
        if sides.files.has_reports and not any(sides.reports(query) for query in wanted):
            _not_filed(sides, journal, last, "report")
        if sides.files.has_openings and not wanted & sides.files.opened:
            _not_filed(sides, journal, last, "openings")


def _not_filed(sides: Sides, journal: Journal, question: JournalQuestion, what: str) -> None:
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


def compare_reports(sides: Sides) -> None:
    """Compare every report with the ledger."""
    for report in sides.files.reports:
        newer = _same_log(sides, report)
        intent = sides.ledger.intents.get(report.query)
        if intent is None:
            if report.asks and not newer:
                missing(sides, report.query, report.office, report="asked")
            sides.found.pending += newer
            continue
        if report.certificate != intent.digest:
            words = {"ledger": intent.digest, "report": report.certificate or ABSENT}
            sides.found.add("certificate_differs", report.query, report.office, **words)
        for line in intent.datasets:
            _same_answer(sides, report, line.dataset, newer=newer)


def _same_log(sides: Sides, report: Report) -> bool:
    """Compare the embedded checkpoint and entries; whether the checkpoint is newer than this copy."""
    ledger = sides.ledger
    if report.policy != ledger.policy.fingerprint:
        _other_log(sides, report, "policy", ledger.policy.fingerprint, report.policy)
        return False
    try:
        _, head = ledger.policy.verify_log(report.checkpoint)
    except LedgerError as error:
        _other_log(sides, report, "checkpoint", ledger.policy.origin, error.code)
        return False
    if head.size <= ledger.tree.size and ledger.tree.root(head.size) != head.root:
        root = ledger.tree.root(head.size).hex()
        _other_log(sides, report, "checkpoint", root, head.root.hex())
    for index, leaf in report.entries:
        if index < ledger.tree.size:
            own, shown = ledger.tree.hash(0, index), leaf_hash(canonical.encode(leaf))
            if own != shown:
                _other_log(sides, report, str(index), own.hex(), shown.hex())
    return head.size > ledger.tree.size


def _other_log(sides: Sides, report: Report, about: str, own: str, shown: str) -> None:
    sides.found.add("report_other_log", report.query, report.office, about, ledger=own, report=shown)


def _same_answer(sides: Sides, report: Report, dataset: str, *, newer: bool) -> None:
    """A report's answer is the one on the ledger; one that the ledger has is not left out."""
    word, shown = sides.ledger.answered(report.query, dataset), report.responses.get(dataset)
    found, query = sides.found, report.query
    if word is None and shown is not None:
        found.pending += newer
        if not newer:
            missed = sides.ledger.missing("query.answer", f"{query}/{dataset}")
            who = dataset_owner(dataset)
            found.add("answer_not_on_ledger", query, who, dataset, ledger=missed, report="answered")
    elif word is not None and shown is None:
        if sides.ledger.view.closed(query) is not None:
            found.add(
                "answer_not_in_report", query, report.office, dataset, ledger=word.result, report=ABSENT
            )
    elif word is not None and shown is not None and word.response != shown:
        found.add("answer_digest", query, report.office, dataset, ledger=word.response, report=shown)


def compare_releases(sides: Sides) -> None:
    """Compare trustees' journals and reports with the ledger."""
    for journal in sides.journals.values():
        if "trustee" in journal.roles:
            _compare_one(sides, journal)
    _compare_reports(sides)


def _compare_one(sides: Sides, journal: Journal) -> None:
    member, found = journal.member, sides.found
    lines = {(line.query, line.case): line for line in journal.lines if line.kind == RELEASE}
    recorded = {
        (query, case): word for (query, case, who), word in sides.ledger.releases.items() if who == member
    }
    for key in sorted(lines.keys() | recorded.keys()):
        query, case = key[0], str(key[1])
        line, word = lines.get(key), recorded.get(key)
        if line is not None and word is not None:
            _same_list(sides, member, line, word[0])
        elif line is not None and not sides.is_pending(line.at, waiting=line.waiting):
            missing = sides.ledger.missing("share.release", f"{query}/{case}/{member}")
            found.add("release_not_on_ledger", query, member, case, ledger=missing, journal=line.record)
        elif word is not None and not sides.is_later(journal, word[1]):
            found.add("release_not_in_journal", query, member, case, ledger=word[0], journal=ABSENT)


def _same_list(sides: Sides, member: str, line: JournalLine, word: str) -> None:
    """Line, kept share and entry carry the same digest."""
    said = {"journal": line.record} if line.record != word else {"store": line.stored or ABSENT}
    if word not in said.values():
        sides.found.add("release_digest", line.query, member, str(line.case), ledger=word, **said)


def _compare_reports(sides: Sides) -> None:
    """A report's total was opened with a release on the ledger, over the list it shows."""
    for report in sides.files.reports:
        if report.listed is None or report.query not in sides.ledger.intents:
            continue
        for trustee, salt in sorted(report.salts.items()):
            shown = recorded_list(salt, report.listed).hex()
            word = sides.ledger.releases.get((report.query, 0, trustee))
            if word is None:
                missing = sides.ledger.missing("share.release", f"{report.query}/0/{trustee}")
                sides.found.add(
                    "release_not_on_ledger", report.query, trustee, "0", ledger=missing, report=shown
                )
            elif word[0] != shown:
                sides.found.add("release_digest", report.query, trustee, "0", ledger=word[0], report=shown)
