"""Answers of the departments: asked in parallel, verified before they count, and looked up.

Looking up an answer gives N = r⁻¹·β, the tag, the leaf or its neighbours, and the proofs for certified
elements.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from node.case import Case
from node.errors import NodeError, RefusalError, ServiceUnavailableError
from node.office import calls
from node.office.check_state import Answers, Certification, HouseholdLines, LookupEvidence
from node.office.inquiry import Inquiry
from node.rules.ruleset import RuleSet
from node.rules.verdict import (
    REGION,
    SILENT,
    TOO_OLD,
    Gap,
    GapKind,
    LineAnswer,
    VerdictLine,
    covers_region,
    too_old,
)
from node.services import Services, check_signature
from node.store.setfiles import PublishedSet
from node.tlog.restore_fence import CODE as RESTORED
from protocols.check.answer import Answer, receipt_message, verify_answer
from protocols.check.evidence import MATCH, ElementProof, EvidenceLine, prove_element
from protocols.errors import ProtocolError
from protocols.psi import voprf
from protocols.psi.tags import tag

PARALLEL_SOURCES = 16
MALFORMED = Gap.refused("malformed")
log = logging.getLogger("hedui.check")


def look_up(
    services: Services,
    case: Case,
    rules: RuleSet,
    current: Inquiry,
    certification: Certification,
    answers: Answers,
) -> HouseholdLines:
    """Lines of every household member and dataset of the rules, with their evidence and gaps."""
    gaps = _gaps(services, case, rules, current, {**certification.gaps, **answers.gaps})
    with services.timings.part("cryptography"):
        evidence = make_evidence(services, current, certification.positions, rules, answers.by_dataset)
    lines: list[VerdictLine] = []
    for member in range(1, len(case.household) + 1):
        for dataset in rules.datasets:
            answer = LineAnswer.NOT_COVERED
            if (member, dataset) not in gaps:
                found = evidence.lines[certification.positions[member], dataset]
                answer = LineAnswer.MATCH if found.answer == MATCH else LineAnswer.NO_MATCH
            lines.append(VerdictLine(member, dataset, answer))
    return HouseholdLines(tuple(lines), gaps, evidence)


def _gaps(
    services: Services, case: Case, rules: RuleSet, current: Inquiry, unanswered: Mapping[str, Gap]
) -> dict[tuple[int, str], Gap]:
    """Why a line is not covered, by (household position, dataset)."""
    found: dict[tuple[int, str], Gap] = {}
    for dataset in rules.datasets:
        item = current.certificate.dataset(dataset)
        publication = None if item is None else services.view.publication(dataset, item.publication)
        for member, person in enumerate(case.household, 1):
            gap = unanswered.get(dataset)
            if gap is None and publication is not None:
                gap = coverage_gap(rules, case, publication.as_of, publication.regions, person.region)
            if gap is not None:
                found[member, dataset] = gap
    return found


def coverage_gap(
    rules: RuleSet, case: Case, as_of: str, regions: tuple[str, ...] | None, region: str | None
) -> Gap | None:
    """Why a publication does not cover a person: too old, or of other regions; None where it does.

    Args:
        rules: the rule set, which limits the age of data.
        case: the application.
        as_of: date of the data.
        regions: prefixes of region codes that the publication covers; None or empty for all.
        region: region code of the person, or None where it is not known.
    """
    if too_old(rules, date.fromisoformat(as_of), case.applied):
        return TOO_OLD
    if not covers_region(regions, region):
        return REGION
    return None


def make_evidence(
    services: Services,
    inquiry: Inquiry,
    positions: Mapping[int, int],
    rules: RuleSet,
    answers: Mapping[str, Answer],
) -> LookupEvidence:
    """Evidence of every real element and answered dataset.

    Args:
        services: of the node.
        inquiry: a certified one.
        positions: element position by household position.
        rules: the rule set; its datasets are proven in two groups, those that decide a total and the vetoes.
        answers: verified answers by dataset.
    """
    labels = {item.dataset: item.publication for item in inquiry.certificate.datasets}
    elements = {element: inquiry.blinds[member - 1] for member, element in sorted(positions.items())}
    commitments = dict(zip(inquiry.openings.real, inquiry.openings.rlist, strict=True))
    unblinded: dict[int, dict[str, bytes]] = {element: {} for element in elements}
    lines: dict[tuple[int, str], EvidenceLine] = {}
    for dataset, answer in sorted(answers.items()):
        betas = [answer.betas[element] for element in elements]
        folder = services.publication_folder(dataset, labels[dataset])
        with contextlib.closing(PublishedSet(folder)) as published:
            for element, point in zip(elements, voprf.unblind(list(elements.values()), betas), strict=True):
                unblinded[element][dataset] = point
                found = published.look_up(tag(dataset, labels[dataset], point))
                lines[element, dataset] = EvidenceLine(element, dataset, point, found)
    groups = (set(rules.income + rules.deduct + rules.exclude), set(rules.veto))
    proofs: list[ElementProof] = []
    for element, blind in elements.items():
        betas_of = {dataset: answer.betas[element] for dataset, answer in answers.items()}
        for group in groups:
            chosen = {name: point for name, point in unblinded[element].items() if name in group}
            if chosen:
                proofs.append(prove_element(element, blind, commitments[element], chosen, betas_of))
    return LookupEvidence(lines, tuple(proofs))


def ask_departments(services: Services, current: Inquiry) -> Answers:
    """Ask every owner of a certified dataset at the same time.

    A department that is out of reach or refuses leaves a gap; so does an answer that does not hold.
    """
    owners: dict[str, list[str]] = {}
    for item in current.certificate.datasets:
        owners.setdefault(item.owner, []).append(item.dataset)
    if not owners:
        return Answers()
    leaf, receipt = services.ledger.replica_receipt(current.query)
    answers: dict[str, Answer] = {}
    gaps: dict[str, Gap] = {}

    def ask(owner: str) -> Answers:
        return _ask_owner(services, current, leaf, receipt, owner, owners[owner])

    with ThreadPoolExecutor(PARALLEL_SOURCES, thread_name_prefix="ask") as pool:
        for owner, received in zip(owners, pool.map(ask, owners), strict=True):
            gaps.update(received.gaps)
            for dataset, answer in received.by_dataset.items():
                if _holds(services, current, owner, answer):
                    answers[dataset] = answer
                else:
                    gaps[dataset] = MALFORMED
    return Answers(answers, gaps)


def _ask_owner(
    services: Services, current: Inquiry, leaf: bytes, receipt: bytes, owner: str, datasets: list[str]
) -> Answers:
    """One owner's answers as received, or the gap that it leaves."""
    try:
        received = calls.ask(services, owner, current, leaf, receipt, datasets)
    except ServiceUnavailableError:
        return Answers(gaps=dict.fromkeys(datasets, SILENT))
    except NodeError as error:
        return Answers(gaps=dict.fromkeys(datasets, Gap.refused(error.code)))
    return Answers({answer.dataset: answer for answer in received})


def _holds(services: Services, current: Inquiry, owner: str, answer: Answer) -> bool:
    """Whether an answer was made with the published key, and its receipt is signed by the owner."""
    item = current.certificate.dataset(answer.dataset)
    assert item is not None
    message = receipt_message(current.certificate, answer.dataset, answer.response)
    try:
        with services.timings.part("cryptography"):
            verify_answer(answer, item.key, current.openings.elements)
        check_signature(services.view, owner, answer.signature, message)
    except (ProtocolError, RefusalError) as error:
        log.warning("%s: the answer of %s does not hold: %s", answer.dataset, owner, error.code)
        return False
    return True


def stays_open(gap: Gap) -> bool:
    """Whether a gap is asked again later under the same intent: a source was silent, or refused for now.

    A department restored from a backup never answers an old question: that needs a new intent.
    """
    return gap == SILENT or (gap.kind is GapKind.REFUSED and gap.code != RESTORED)
