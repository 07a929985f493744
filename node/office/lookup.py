"""Looking up the answers: N = r⁻¹·β, tag, leaf or neighbours, and the proofs for certified elements."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import date

from node.case import Case
from node.office.check_state import Answers, Certification, HouseholdLines, LookupEvidence
from node.office.inquiry import Inquiry
from node.rules.gaps import REGION, TOO_OLD, Gap
from node.rules.ruleset import RuleSet
from node.rules.verdict import LineAnswer, VerdictLine, too_old
from node.services import Services
from node.store.setfiles import PublishedSet
from protocols.check.answer import Answer
from protocols.check.evidence import MATCH, ElementProof, EvidenceLine, prove_element
from protocols.psi import voprf
from protocols.psi.tags import tag


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
    if regions and region is not None and not any(region.startswith(own) for own in regions):
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
