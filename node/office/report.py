"""Building a report: everything that proves a decided check, under one checkpoint, sealed by the office.

    decided check → wait until the local replica has every entry that the verification needs
                  → inclusion paths of these entries under one cosigned checkpoint
                  → fields of ``node.report.form`` → seal → report.json
                  → the same for people (``node.report.html``); identities apart, in the openings

The openings hold what the report must not: names, identifiers, blinds, the operator's signature, the
consents' ids. They stay in the office's home, readable by it alone, for the person and a court.

A report carries these ledger entries, so that a verifier can replay them through the contract:

    always               genesis, every member.* entry, the rules and their approvals
    certified datasets   dataset.publish, dataset.verified by the office and by the auditor that counts,
                         grant.request and grant.decide of the grants used
    once asked           query.intent, query.answer of every answered dataset, sumkey.publish for a total,
                         share.release and share.exception

Replayed in their order, these entries prove the signatures, roles, grants and slots that they name. They
cannot prove that no entry outside the report revoked something. Auditors verify that by a replay of the whole
log, and the departments and the trustee verified it before they answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.identifiers import canonical_or_none
from ledger import canonical
from ledger.contract.view import View
from ledger.merkle import inclusion_path
from ledger.replica.replica import Replica
from node.errors import ServiceUnavailableError
from node.home import write_file
from node.member_keys import sign
from node.office.check_state import CheckState
from node.report.form import seal_message
from node.report.html import people_of, render
from node.report.parts import (
    HouseholdPart,
    HouseholdReport,
    LedgerPart,
    ReportEntry,
    ReportLine,
    ReportRefusal,
    RulesPart,
)
from node.rules.verdict import VerdictLine, shown_answer
from node.services import Services
from protocols.check.certificate import Certificate
from protocols.psi import group

LEDGER_SECONDS = 30.0
MEMBER_TYPES = ("member.admit", "member.remove", "member.key", "member.endpoint")


def build_report(services: Services, check: CheckState) -> bytes:
    """The sealed report of a decided check, canonical bytes.

    Raises:
        ServiceUnavailableError: an entry the report needs is not on the ledger after 30 s; build it again
            later.
    """
    case, rules, current, refused = check.case, check.rules, check.inquiry, check.refusal
    report = HouseholdReport(
        network=services.network,
        office=services.member,
        case=case.case,
        applied=case.applied.isoformat(),
        policy=services.ledger.policy.fingerprint,
        rules=RulesPart(rules.id, rules.version, rules.source.decode()),
        household=HouseholdPart(len(case.household)),
        ledger=ledger_part(services, check),
        refusal=None if refused is None else ReportRefusal(refused.document, refused.signature),
        certificate=current.certificate if refused is None else None,
        signature=current.signature if refused is None else None,
        openings=current.openings if refused is None else None,
        positions=tuple(check.positions[member] for member in sorted(check.positions)),
        answers=check.answers.by_dataset,
        lines=tuple(lines_part(check)),
        proofs=tuple(sorted(check.lines.evidence.proofs, key=lambda proof: (proof.element, proof.datasets))),
        total=check.total,
        verdict=check.verdict,
        salt=secrets.token_bytes(32),
    )
    value = report.to_json()
    value["seal"] = sign(services.keys.node, seal_message(value)).to_json()
    return canonical.encode(value)


def build_openings(check: CheckState) -> bytes:
    """What opens a report, for the person and a court: canonical JSON.

    A person's identifier is canonical, or as written where the registrar refused the household: its
    commitment is over the identifiers as written.
    """
    current = check.inquiry
    refused = check.refusal
    consents = None
    if current.certified is not None and refused is None:
        openings = current.openings
        consents = {"ids": list(openings.consents), "salt": openings.consents_salt.hex()}
    return canonical.encode(
        {
            "v": 1,
            "case": check.case.case,
            "query": current.query,
            "persons": [
                {
                    "member": member,
                    "name": person.name,
                    "identifier": person.id
                    if refused is not None
                    else canonical_or_none(person.id) or person.id,
                    "blind": group.scalar_to_bytes(blind).hex(),
                }
                for member, (person, blind) in enumerate(
                    zip(check.case.household, current.blinds, strict=True), 1
                )
            ],
            "operator": None if current.operator is None else current.operator.to_json(),
            "consents": consents,
            "household_salt": None if refused is None else refused.salt.hex(),
        }
    )


def write_report(services: Services, check: CheckState, out: Path) -> bytes:
    """Write ``<case>.json`` and ``<case>.html`` into ``out``, the openings into the home (mode 0600).

    Returns:
        The report's bytes.

    Raises:
        ServiceUnavailableError: as ``build_report``.
    """
    case = check.case.case
    report = build_report(services, check)
    write_file(services.configuration.home.openings / f"{case}.json", build_openings(check), 0o600)
    write_file(out / f"{case}.json", report)
    write_file(out / f"{case}.html", render(report, people_of(check.case)).encode())
    return report


def ledger_part(services: Services, check: CheckState) -> LedgerPart:
    """Checkpoint and proven entries, by index.

    Raises:
        ServiceUnavailableError: an entry is still missing.
    """
    ledger = services.ledger
    if not ledger.wait_for(lambda view: is_complete(view, check), LEDGER_SECONDS):
        raise ServiceUnavailableError(
            "an entry of this check waits for the ledger: build its report again later"
        )
    replica = ledger.replica
    note = replica.checkpoint_note
    assert note is not None
    _, head = ledger.policy.verify_log(note)
    found, source = [], replica.source()
    for index in sorted(needed_entries(replica, services.view, services.member, check)):
        if index < head.size:
            path = inclusion_path(index, head.size, source)
            leaf: Any = canonical.decode(replica.leaf(index))
            found.append(ReportEntry(index, tuple(path), leaf))
    return LedgerPart(note.decode(), tuple(found))


def lines_part(check: CheckState) -> Iterator[ReportLine]:
    """Every household position and dataset of the rules; with evidence wherever the dataset was answered."""
    for line in sorted(check.lines.lines, key=_place):
        evidence = None
        if line.dataset in check.answers.by_dataset:
            element = check.positions[line.member]
            evidence = check.lines.evidence.lines[element, line.dataset]
        gap = check.lines.gaps.get((line.member, line.dataset))
        yield ReportLine(line.member, line.dataset, shown_answer(check.rules, line), gap, evidence)


def _place(line: VerdictLine) -> tuple[int, str]:
    return line.member, line.dataset


def is_complete(view: View, check: CheckState) -> bool:
    """Whether everything that arrives after the fact is on the replica: answers, and releases of a total."""
    query = check.inquiry.query
    for dataset in check.answers.by_dataset:
        recorded = view.answer(query, dataset)
        if recorded is None or not recorded.answered:
            return False
    if check.total is None:
        return True
    trustees = [share.holder for share in check.total.shares if share.salt is not None]
    return all(view.release(query, 0, trustee) is not None for trustee in trustees)


def needed_entries(replica: Replica, view: View, office: str, check: CheckState) -> set[int]:
    """Indices of the entries a report of this check carries.

    Raises:
        ServiceUnavailableError: one of them is not on this replica.
    """
    indices = {0}
    for kind in MEMBER_TYPES:
        indices.update(index for index, _ in replica.of_type(kind))
    for record in _records(replica, view, office, check):
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
    clock = _clock_entry(replica, check.inquiry.query)
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


def _records(replica: Replica, view: View, office: str, check: CheckState) -> Iterator[Any]:
    """State records of every entry needed; None where one that must be there is not."""
    state, rules = replica.state, check.rules
    where = f"{rules.id}/{rules.version}"
    yield state.get(f"rules/{where}")
    for member in view.approvals(rules.id, rules.version):
        yield state.get(f"approval/{where}/{member}")
    if check.refusal is not None:
        return
    certificate = check.inquiry.certificate
    for item in certificate.datasets:
        place, grant = f"{item.dataset}/{item.publication}", item.grant
        yield state.get(f"publication/{place}")
        yield state.get(f"verified/{place}/{office}")
        audited = state.get(f"audited/{place}")
        yield None if audited is None else state.get(f"verified/{place}/{audited['member']}")
        yield state.get(f"grant/{grant}")
        yield state.get(f"grant-decision/{grant}")
    if certificate.datasets:
        yield from _question(replica, view, certificate)


def _question(replica: Replica, view: View, certificate: Certificate) -> Iterator[Any]:
    """Records of the intent and of what followed it."""
    state, query = replica.state, certificate.query
    if certificate.protocol == "sum" and view.sumkey() is not None:
        yield state.get("sumkey")
    yield state.get(f"intent/{query}")
    for dataset in view.answers(query):
        yield state.get(f"answer/{query}/{dataset}")
    for release in view.releases(query, 0):
        yield state.get(f"release/{query}/0/{release.trustee}")
    for exception in view.exceptions(query, 0):
        yield state.get(f"exception/{query}/0/{exception.trustee}")
