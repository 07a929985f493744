"""Looking up the answers: N = r⁻¹·β, tag, leaf or neighbours, and the proofs for certified elements."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ledger import canonical
from node.office.inquiry import Inquiry
from node.rules.ruleset import RuleSet
from node.services import Services
from node.store.setfiles import PublishedSet
from protocols.check.answer import Answer
from protocols.check.evidence import ElementProof, EvidenceLine, prove_element
from protocols.psi import voprf
from protocols.psi.tags import tag


@dataclass
class LookupEvidence:
    """Lines by (element, dataset), and element proofs by group of datasets.

    Attributes:
        lines: evidence of each element and answered dataset.
        proofs: for each element one proof over the datasets that decide a total, and one over the vetoes.
    """

    lines: dict[tuple[int, str], EvidenceLine] = field(default_factory=dict)
    proofs: list[ElementProof] = field(default_factory=list)

    def for_trustee(self, answers: Mapping[str, Answer], datasets: Collection[str]) -> bytes:
        """Canonical JSON of what decides a total: answers, lines and proofs of these datasets, no others."""
        return canonical.encode(
            {
                "answers": {name: answers[name].to_json() for name in sorted(datasets)},
                "lines": [
                    line.to_json() for (_, name), line in sorted(self.lines.items()) if name in datasets
                ],
                "proofs": [proof.to_json() for proof in self.proofs if set(proof.datasets) <= set(datasets)],
            }
        )


def make_lines(
    services: Services,
    inquiry: Inquiry,
    positions: Mapping[int, int],
    rules: RuleSet,
    answers: Mapping[str, Answer],
) -> LookupEvidence:
    """Evidence of every real element and answered dataset.

    Args:
        positions: element position by household position.
        answers: verified answers by dataset.
    """
    evidence = LookupEvidence()
    labels = {item["dataset"]: item["publication"] for item in inquiry.certificate["datasets"]}
    elements = {element: inquiry.blinds[member - 1] for member, element in sorted(positions.items())}
    commitments = dict(zip(inquiry.opened().real, inquiry.opened().rlist, strict=True))
    unblinded: dict[int, dict[str, bytes]] = {element: {} for element in elements}
    for dataset, answer in sorted(answers.items()):
        betas = [answer.betas[element] for element in elements]
        folder = services.publication_folder(dataset, labels[dataset])
        with contextlib.closing(PublishedSet(folder)) as published:
            for element, point in zip(elements, voprf.unblind(list(elements.values()), betas), strict=True):
                unblinded[element][dataset] = point
                found = published.look_up(tag(dataset, labels[dataset], point))
                evidence.lines[element, dataset] = EvidenceLine(element, dataset, point, found)
    groups = (set(rules.income + rules.deduct + rules.exclude), set(rules.veto))
    for element, blind in elements.items():
        betas_of = {dataset: answer.betas[element] for dataset, answer in answers.items()}
        for group in groups:
            chosen = {name: point for name, point in unblinded[element].items() if name in group}
            if chosen:
                evidence.proofs.append(prove_element(element, blind, commitments[element], chosen, betas_of))
    return evidence
