"""The office's reports: the log they are proven under, the question they show, the answers they hold.

A report whose checkpoint is newer than the copy of the log at hand is compared as far as the copy goes, and
counted as pending.
"""

from __future__ import annotations

from ledger import canonical
from ledger.errors import LedgerError
from ledger.merkle import leaf_hash
from ledger.view import dataset_owner
from node.reconcile.casefile import Report
from node.reconcile.difference import ABSENT
from node.reconcile.questions import missing
from node.reconcile.sides import Sides


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
