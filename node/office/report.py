"""Building a report: everything that proves a finished check, under one checkpoint, sealed by the office.

    finished check → entries the verification needs, waited for on the own replica (``entries``)
                   → their paths under one cosigned checkpoint → fields of ``form`` → seal → report.json
                   → the same for people (``html``); identities apart, in the openings

The openings hold what the report must not: names, identifiers, blinds, the operator's signature, the
consents' ids. They stay in the office's home, readable by it alone, for the person and a court.

Which ledger entries a report carries, so that a verifier can replay them through the contract.

    always               genesis, every member.* entry, the rules and their approvals
    certified datasets   dataset.publish, dataset.verified by the office and by the auditor that counts,
                         grant.request and grant.decide of the grants used
    once asked           query.intent, query.answer of every answered dataset, sumkey.publish for a total,
                         share.release and share.exception

Replayed in their order they prove signatures, roles, grants and slots of what they say. What is *not* there
they cannot prove: that no other entry revoked something is for the whole replay of auditors, and of the
departments and the trustee before they answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapters.errors import AdapterError
from adapters.identifiers import resident_id
from ledger import canonical
from ledger.contract.view import View
from ledger.merkle import inclusion_path
from ledger.replica.replica import Replica
from node.errors import ServiceUnavailableError
from node.home import write_file
from node.member_keys import signature
from node.office.check_state import CheckState
from node.report.form import seal_message
from node.report.html import people_of, render
from node.rules.verdict import VerdictLine, shown_answer
from node.services import Services
from protocols.psi import group

LEDGER_SECONDS = 30.0


def build_report(services: Services, finished: CheckState) -> bytes:
    """The sealed report of a finished check, canonical bytes.

    Raises:
        ServiceUnavailableError: an entry the report needs is not on the ledger after 30 s; build it again
            later.
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


def build_openings(finished: CheckState) -> bytes:
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


def write_report(services: Services, finished: CheckState, out: Path) -> bytes:
    """Write ``<case>.json`` and ``<case>.html`` into ``out``, the openings into the home (mode 0600).

    Returns:
        The report's bytes.

    Raises:
        ServiceUnavailableError: as ``build_report``.
    """
    case = finished.case.case
    report = build_report(services, finished)
    write_file(services.configuration.home.openings / f"{case}.json", build_openings(finished), 0o600)
    write_file(out / f"{case}.json", report)
    write_file(out / f"{case}.html", render(report, people_of(finished.case)).encode())
    return report


def ledger_part(services: Services, finished: CheckState) -> dict[str, Any]:
    """Checkpoint and proven entries, by index.

    Raises:
        ServiceUnavailableError: an entry is still missing.
    """
    ledger = services.ledger
    if not ledger.wait_for(lambda view: is_complete(view, finished), LEDGER_SECONDS):
        raise ServiceUnavailableError(
            "an entry of this check waits for the ledger: build its report again later"
        )
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


def refusal_part(finished: CheckState) -> dict[str, Any] | None:
    """The registrar's signed refusal, without the salt that opens its household."""
    refused = finished.refusal
    return None if refused is None else {"document": refused.document, "signature": refused.signature}


def openings_part(finished: CheckState) -> dict[str, Any]:
    """Elements, R list and case map with their salts; the consents stay out."""
    opened = finished.inquiry.opened().to_json()
    return {name: value for name, value in opened.items() if not name.startswith("consents")}


def lines_part(finished: CheckState) -> list[dict[str, Any]]:
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


def proofs_part(finished: CheckState) -> list[dict[str, Any]]:
    """Element proofs by element and datasets."""
    ordered = sorted(finished.evidence.proofs, key=lambda proof: (proof.element, proof.datasets))
    return [proof.to_json() for proof in ordered]


def total_part(finished: CheckState) -> dict[str, Any] | None:
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


def verdict_part(finished: CheckState) -> dict[str, Any]:
    """Outcome, total, heads and grounds."""
    verdict = finished.verdict
    return {
        "outcome": verdict.outcome,
        "net_fen": verdict.net_fen,
        "heads": verdict.heads,
        "reasons": [asdict(reason) for reason in verdict.reasons],
    }


def _place(line: VerdictLine) -> tuple[int, str]:
    return line.member, line.dataset


def _canonical(identifier: str) -> str:
    """The canonical identifier, or the text as written where it is none."""
    try:
        return resident_id(identifier)
    except AdapterError:
        return identifier


MEMBER_TYPES = ("member.admit", "member.remove", "member.key", "member.endpoint")


def is_complete(view: View, finished: CheckState) -> bool:
    """Whether everything that arrives after the fact is on the replica: answers, and releases of a total."""
    query = finished.inquiry.query
    for dataset in finished.answers:
        recorded = view.answer(query, dataset)
        if recorded is None or not recorded.answered:
            return False
    if finished.total is None:
        return True
    trustees = [share["holder"] for share in finished.total.shares if "salt" in share]
    return all(view.release(query, 0, trustee) is not None for trustee in trustees)


def needed_entries(replica: Replica, view: View, office: str, finished: CheckState) -> set[int]:
    """Indices of the entries a report of this check carries.

    Raises:
        ServiceUnavailableError: one of them is not on this replica.
    """
    indices = {0}
    for kind in MEMBER_TYPES:
        indices.update(index for index, _ in replica.of_type(kind))
    for record in _records(replica, view, office, finished):
        if record is None:
            raise ServiceUnavailableError(
                "the replica lacks an entry of this check: let it catch up with the ledger"
            )
        index = replica.find(str(record["entry"]))
        if index is None:
            raise ServiceUnavailableError(
                "the replica lacks an entry of this check: let it catch up with the ledger"
            )
        indices.add(index)
    clock = _clock_entry(replica, finished.inquiry.query)
    return indices if clock is None else indices | {clock}


def _clock_entry(replica: Replica, query: str) -> int | None:
    """The entry that set the contract's time of the intent, where another ran ahead of the intent's own.

    Without it a replay of the subset could place an intent at a month's end in another period.
    """
    record: Any = replica.state.get(f"intent/{query}")
    index = replica.find(query)
    if record is None or index is None or replica.entry(index).time == record["at"]:
        return None
    for earlier in range(index - 1, -1, -1):
        if not replica.is_void(earlier) and replica.entry(earlier).time == record["at"]:
            return earlier
    return None


def _records(replica: Replica, view: View, office: str, finished: CheckState) -> Iterator[Any]:
    """State records of every entry needed; None where one that must be there is not."""
    state, rules = replica.state, finished.rules
    where = f"{rules.id}/{rules.version}"
    yield state.get(f"rules/{where}")
    for member in view.approvals(rules.id, rules.version):
        yield state.get(f"approval/{where}/{member}")
    if finished.refusal is not None:
        return
    certificate = finished.inquiry.certificate
    for item in certificate["datasets"]:
        place, grant = f"{item['dataset']}/{item['publication']}", item["grant"]
        yield state.get(f"publication/{place}")
        yield state.get(f"verified/{place}/{office}")
        audited = state.get(f"audited/{place}")
        yield None if audited is None else state.get(f"verified/{place}/{audited['member']}")
        yield state.get(f"grant/{grant}")
        yield state.get(f"grant-decision/{grant}")
    if certificate["datasets"]:
        yield from _question(replica, view, certificate)


def _question(replica: Replica, view: View, certificate: dict[str, Any]) -> Iterator[Any]:
    """Records of the intent and of what followed it."""
    state, query = replica.state, certificate["query"]
    if certificate["protocol"] == "sum" and view.sumkey() is not None:
        yield state.get("sumkey")
    yield state.get(f"intent/{query}")
    for dataset in view.answers(query):
        yield state.get(f"answer/{query}/{dataset}")
    for release in view.releases(query, 0):
        yield state.get(f"release/{query}/0/{release.trustee}")
    for exception in view.exceptions(query, 0):
        yield state.get(f"exception/{query}/0/{exception.trustee}")
