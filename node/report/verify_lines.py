"""Checks ``lines``, ``evidence``, ``element_proof``, ``coverage``: each line of the report, one by one.

    lines           exactly one line for each household position and dataset of the rules, in this order
    evidence        per line: the leaf or the neighbours of its tag stand under the publication's root on the
                    ledger, the element is that of the position, the answer says what the evidence shows
    element_proof   per line: β = r·N under the element's R, so the tag is that certified element's
    coverage        per line: a reason for "not covered" where there is one, and none where there is none

| reason | holds when |
|---|---|
| ``unpublished``, ``no_grant`` | the certificate does not name the dataset |
| ``silent``, ``refused_<code>`` | it names it, and there is no answer |
| ``too_old`` | answered, and as-of, date of the application and rules say so, recomputed |
| ``region`` | answered, not too old, and the publication is limited to regions (the person's: in the case) |
"""

from __future__ import annotations

from datetime import date
from typing import Any

from node.report.findings import require
from node.report.subject import Subject, UntrustedLine, text_of
from node.rules.verdict import NO_GRANT, REGION, SILENT, SUMMED, TOO_OLD, UNPUBLISHED, GapKind, too_old
from protocols.check.evidence import MATCH, ElementProof, EvidenceLine, verify_element, verify_line

NOT_COVERED = "not_covered"


def check_lines(subject: Subject) -> None:
    """Run every check of this module."""
    check_grid(subject)
    if subject.report.get("refusal") is not None:
        return
    lines = subject.report.get("lines")
    for item in lines if isinstance(lines, list) else ():
        check_evidence(subject, UntrustedLine(item))
        check_coverage(subject, UntrustedLine(item))
    check_proofs(subject)


def check_grid(subject: Subject) -> None:
    """All lines, no other, each once, in order."""
    with subject.found.check("lines"):
        given = [(line.member, line.dataset) for line in subject.lines]
        size = 0 if subject.refused else subject.household_size
        require(size <= len(given), "lines are missing: each member needs one per dataset of the rules")
        expected = [(member, dataset) for member in range(1, size + 1) for dataset in subject.rules.datasets]
        missing = sorted(set(expected) - set(given))
        extra = sorted(set(given) - set(expected))
        for member, dataset in missing:
            subject.found.add("lines", f"{member}/{dataset}", "the line is missing")
        for member, dataset in extra:
            subject.found.add(
                "lines", f"{member}/{dataset}", "the line does not belong to the household and its rules"
            )
        if not missing and not extra:
            require(len(given) == len(expected), "a line stands twice")
            require(given == expected, "the lines are not in their order")


def check_evidence(subject: Subject, line: UntrustedLine) -> None:
    """One line's evidence and the answer it allows."""
    with subject.found.check("evidence", line.label):
        dataset, evidence = line.dataset, line.evidence
        if evidence is None:
            require(
                not subject.is_answered(dataset), "the dataset was answered, and the line shows no evidence"
            )
            require(line.answer == NOT_COVERED, "the line answers without evidence")
            return
        require(evidence.dataset == dataset, "the evidence is of another dataset")
        position = subject.position(line.member)
        require(evidence.element == position, "the evidence is of another person's element")
        require(line.answer in (_word(subject, evidence), NOT_COVERED), "the evidence shows another answer")
        verify_line(evidence, subject.reference(dataset))


def _word(subject: Subject, line: EvidenceLine) -> str:
    """The answer a piece of evidence shows."""
    if line.answer == MATCH and line.dataset in subject.rules.amounts:
        return SUMMED
    return line.answer


def check_coverage(subject: Subject, line: UntrustedLine) -> None:
    """One line's reason, both ways."""
    with subject.found.check("coverage", line.label):
        dataset, gap = line.dataset, line.gap
        covered = line.answer != NOT_COVERED
        require(covered == (gap is None), "a line is not covered exactly when it gives a reason")
        if dataset not in subject.labels:
            require(
                gap in (UNPUBLISHED, NO_GRANT),
                "the dataset was not asked, so it is unpublished or not granted",
            )
            return
        if not subject.is_answered(dataset):
            silent = gap is not None and (gap == SILENT or gap.kind is GapKind.REFUSED)
            require(silent, "the dataset was asked and not answered, so its source was silent or refused")
            return
        publication = subject.publication(dataset)
        applied = date.fromisoformat(text_of(subject.report, "applied"))
        old = too_old(subject.rules, date.fromisoformat(publication.as_of), applied)
        require((gap == TOO_OLD) == old, "the source's age gives another answer under the rules")
        if not old and gap is not None:
            limited = gap == REGION and bool(publication.regions)
            require(limited, "the dataset was answered and nothing limits it, so the line is covered")


def check_proofs(subject: Subject) -> None:
    """Every line with evidence is covered once by a proof under its element's R that holds."""
    covered: list[tuple[int, str]] = []
    given = subject.report.get("proofs")
    for item in given if isinstance(given, list) else ():
        for dataset, element in _check_proof(subject, item):
            covered.append((element, dataset))
    with subject.found.check("element_proof"):
        require(len(set(covered)) == len(covered), "a line is covered by two proofs")
        named = [(item["element"], item["datasets"]) for item in subject.report["proofs"]]
        require(named == sorted(named), "the proofs are not in their order")
        require(set(covered) <= subject.evidence.keys(), "a proof belongs to no line")
    with subject.found.check("element_proof"):
        lacking = subject.evidence.keys() - set(covered)
        for line in subject.lines:
            evidence = line.value["evidence"]
            if evidence is not None and (evidence["element"], evidence["dataset"]) in lacking:
                subject.found.add(
                    "element_proof", line.label, "no proof ties the line to its certified element"
                )


def _check_proof(subject: Subject, item: Any) -> list[tuple[str, int]]:
    """Verify one proof; its (dataset, element) pairs. A failing one fails for each of its lines."""
    datasets = item.get("datasets") if isinstance(item, dict) else None
    element = item.get("element") if isinstance(item, dict) else None
    if not isinstance(datasets, list) or not isinstance(element, int):
        subject.found.add("element_proof", "", "a proof is malformed")
        return []
    for line in _lines_of(subject, element, datasets) or [""]:
        with subject.found.check("element_proof", line):
            proof = ElementProof.parse(item)
            require(
                datasets == sorted(set(datasets)) and bool(datasets),
                "a proof's datasets are not in their order",
            )
            commitments = dict(zip(subject.openings.real, subject.openings.rlist, strict=True))
            require(element in subject.elements, "a proof belongs to no certified element")
            unblinded = {name: subject.evidence[element, name].unblinded for name in datasets}
            answers = {name: subject.answer(name) for name in datasets}
            verify_element(proof, commitments[element], unblinded, answers)
    return [(dataset, element) for dataset in datasets if isinstance(dataset, str)]


def _lines_of(subject: Subject, element: int, datasets: list[Any]) -> list[str]:
    """Labels of the lines that a proof covers."""
    positions = subject.report.get("positions")
    if not isinstance(positions, list) or element not in positions:
        return []
    return [f"{positions.index(element) + 1}/{dataset}" for dataset in datasets]
