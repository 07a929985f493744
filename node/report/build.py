"""Building a report: everything that proves a finished check, under one checkpoint, sealed by the office.

    finished check → entries the verification needs, waited for on the own replica (``entries``)
                   → their paths under one cosigned checkpoint → fields of ``form`` → seal → report.json
                   → the same for people (``html``); identities apart, in the openings

The openings hold what the report must not: names, identifiers, blinds, the operator's signature, the
consents' ids. They stay in the office's home, readable by it alone, for the person and a court.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapters.errors import AdapterError
from adapters.identifiers import resident_id
from ledger import canonical
from ledger.merkle import inclusion_path
from node.errors import ServiceUnavailable
from node.finished import Finished
from node.home import write_file
from node.identity import signature
from node.report.entries import is_complete, needed_entries
from node.report.form import seal_message
from node.report.html import people_of, render
from node.rules.verdict import Line, shown_answer
from node.services import Services
from protocols.psi import group

LEDGER_SECONDS = 30.0


def build_report(services: Services, finished: Finished) -> bytes:
    """The sealed report of a finished check, canonical bytes.

    Raises:
        ServiceUnavailable: an entry the report needs is not on the ledger after 30 s; build it again later.
    """
    case, rules, current = finished.case, finished.rules, finished.inquiry
    asked = finished.refusal is None
    report: dict[str, Any] = {
        "v": 1,
        "network": services.network,
        "office": services.member,
        "case": case.case,
        "applied": case.applied.isoformat(),
        "policy": services.ledger.policy.fingerprint,
        "rules": {"id": rules.id, "version": rules.version, "text": rules.source.decode()},
        "household": {"size": len(case.household)},
        "ledger": ledger_part(services, finished),
        "refusal": refusal_part(finished),
        "certificate": current.certificate if asked else None,
        "signature": current.signature if asked else None,
        "openings": openings_part(finished) if asked else None,
        "positions": [finished.positions[member] for member in sorted(finished.positions)],
        "answers": {dataset: answer.to_json() for dataset, answer in finished.answers.items()},
        "lines": lines_part(finished),
        "proofs": proofs_part(finished),
        "total": total_part(finished),
        "verdict": verdict_part(finished),
        "salt": secrets.token_hex(32),
    }
    report["seal"] = signature(services.keys.node, seal_message(report))
    return canonical.encode(report)


def build_openings(finished: Finished) -> bytes:
    """What opens a report, for the person and a court: canonical JSON.

    A person's identifier is canonical, or as written where the registrar refused the household: its
    commitment is over the identifiers as written.
    """
    current = finished.inquiry
    refused = finished.refusal
    consents = None
    if current.openings and refused is None:
        opened = current.opened()
        consents = {"ids": list(opened.consents), "salt": opened.consents_salt.hex()}
    return canonical.encode(
        {
            "v": 1,
            "case": finished.case.case,
            "query": current.query,
            "persons": [
                {
                    "member": member,
                    "name": person.name,
                    "identifier": person.id if refused is not None else _canonical(person.id),
                    "blind": group.scalar_to_bytes(blind).hex(),
                }
                for member, (person, blind) in enumerate(
                    zip(finished.case.household, current.blinds, strict=True), 1
                )
            ],
            "operator": dict(current.operator) if current.operator else None,
            "consents": consents,
            "household_salt": None if refused is None else refused.salt.hex(),
        }
    )


def write_report(services: Services, finished: Finished, out: Path) -> bytes:
    """Write ``<case>.json`` and ``<case>.html`` into ``out``, the openings into the home (mode 0600).

    Returns:
        The report's bytes.

    Raises:
        ServiceUnavailable: as ``build_report``.
    """
    case = finished.case.case
    report = build_report(services, finished)
    write_file(services.configuration.home.openings / f"{case}.json", build_openings(finished), 0o600)
    write_file(out / f"{case}.json", report)
    write_file(out / f"{case}.html", render(report, people_of(finished.case)).encode())
    return report


def ledger_part(services: Services, finished: Finished) -> dict[str, Any]:
    """Checkpoint and proven entries, by index.

    Raises:
        ServiceUnavailable: an entry is still missing.
    """
    ledger = services.ledger
    if not ledger.wait_for(lambda view: is_complete(view, finished), LEDGER_SECONDS):
        raise ServiceUnavailable("an entry of this check waits for the ledger: build its report again later")
    replica = ledger.replica
    note = replica.checkpoint_note
    assert note is not None
    _, head = ledger.policy.verify_log(note)
    found, source = [], replica.source()
    for index in sorted(needed_entries(replica, services.view, services.member, finished)):
        if index < head.size:
            path = inclusion_path(index, head.size, source)
            leaf = canonical.decode(replica.leaf(index))
            found.append({"index": index, "path": [node.hex() for node in path], "leaf": leaf})
    return {"checkpoint": note.decode(), "entries": found}


def refusal_part(finished: Finished) -> dict[str, Any] | None:
    """The registrar's signed refusal, without the salt that opens its household."""
    refused = finished.refusal
    return None if refused is None else {"document": refused.document, "signature": refused.signature}


def openings_part(finished: Finished) -> dict[str, Any]:
    """Elements, R list and case map with their salts; the consents stay out."""
    opened = finished.inquiry.opened().to_json()
    return {name: value for name, value in opened.items() if not name.startswith("consents")}


def lines_part(finished: Finished) -> list[dict[str, Any]]:
    """Every household position and dataset of the rules; with evidence wherever the dataset was answered."""
    found = []
    for line in sorted(finished.lines, key=_place):
        evidence = None
        if line.dataset in finished.answers:
            element = finished.positions[line.member]
            evidence = finished.evidence.lines[element, line.dataset].to_json()
        found.append(
            {
                "member": line.member,
                "dataset": line.dataset,
                "answer": shown_answer(finished.rules, line),
                "reason": finished.gaps.get((line.member, line.dataset)),
                "evidence": evidence,
            }
        )
    return found


def proofs_part(finished: Finished) -> list[dict[str, Any]]:
    """Element proofs by element and datasets."""
    ordered = sorted(finished.evidence.proofs, key=lambda proof: (proof.element, proof.datasets))
    return [proof.to_json() for proof in ordered]


def total_part(finished: Finished) -> dict[str, Any] | None:
    """List, signature, shares by holder, and the total in fen."""
    total = finished.total
    if total is None:
        return None
    return {
        "list": total.document,
        "list_signature": total.signature,
        "shares": sorted(total.shares, key=lambda share: share["holder"]),
        "net_fen": total.net,
    }


def verdict_part(finished: Finished) -> dict[str, Any]:
    """Outcome, total, heads and grounds."""
    verdict = finished.verdict
    return {
        "outcome": verdict.outcome,
        "net_fen": verdict.net_fen,
        "heads": verdict.heads,
        "reasons": [asdict(reason) for reason in verdict.reasons],
    }


def _place(line: Line) -> tuple[int, str]:
    return line.member, line.dataset


def _canonical(identifier: str) -> str:
    """The canonical identifier, or the text as written where it is none."""
    try:
        return resident_id(identifier)
    except AdapterError:
        return identifier
