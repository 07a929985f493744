"""Evidence of the lines of a check: each tag belongs to a certified element, and is or is not in the set.

For a real element e with R_e = r_e·G and a dataset d, the office removes its blind, N_{e,d} = r_e⁻¹·β_{e,d},
and proves β_{e,d} = r_e·N_{e,d} for several d at once with the RFC 9497 batched DLEQ under "public key" R_e.
A verifier with α, R, β, N and the publication's root can then check

    tag = first 8 bytes of SHA-512("hedui/tag/v1" ‖ dataset ‖ publication ‖ N)
    match      the leaf of that tag is in the set                      (one inclusion proof)
    no match   two adjacent leaves stand on either side of that tag    (two inclusion proofs)

for exactly the certified elements, without learning whose they are: testing a candidate against (α, R)
or (N, K) is a decisional Diffie–Hellman problem.

The trustee gets the groups of datasets that decide a total (``income``, ``deduct``, ``exclude``); a report
carries all groups. Each group of datasets has its own proof per element, so that neither needs the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocols.check.answer import Answer
from protocols.encoding import from_hex, whole
from protocols.errors import EncodingError, EvidenceError
from protocols.psi import group, voprf
from protocols.psi.publication import (
    AbsenceProof,
    MatchProof,
    absence_from_json,
    absence_to_json,
    match_from_json,
    match_to_json,
    verify_absence,
    verify_match,
)
from protocols.psi.tags import tag

MATCH = "match"
NO_MATCH = "no_match"


@dataclass(frozen=True)
class SetReference:
    """What the ledger says of one publication that evidence is checked against.

    Attributes:
        dataset: dataset id.
        publication: label.
        key: K, 32 bytes.
        root: Merkle root over the leaves, 32 bytes.
        count: padded count of all leaves.
        leaf_bytes: size of a leaf: 8 for a member set, 8 + ciphertext for an amount set.
    """

    dataset: str
    publication: str
    key: bytes
    root: bytes
    count: int
    leaf_bytes: int


@dataclass(frozen=True)
class EvidenceLine:
    """Evidence of one element and dataset.

    Attributes:
        element: position of the element in the certified list.
        dataset: dataset id.
        unblinded: N, 32 bytes.
        proof: the leaf of the tag, or the neighbours of the place where it would stand.
    """

    element: int
    dataset: str
    unblinded: bytes
    proof: MatchProof | AbsenceProof

    @property
    def answer(self) -> str:
        """``match`` or ``no_match``, as the evidence claims."""
        return MATCH if isinstance(self.proof, MatchProof) else NO_MATCH

    def to_json(self) -> dict[str, Any]:
        """The report's form."""
        found = isinstance(self.proof, MatchProof)
        return {
            "element": self.element,
            "dataset": self.dataset,
            "unblinded": self.unblinded.hex(),
            "leaf" if found else "neighbours": _proof_to_json(self.proof),
        }

    @classmethod
    def parse(cls, value: dict[str, Any]) -> EvidenceLine:
        """Read the report's form.

        Raises:
            EvidenceError: a field is missing or malformed.
        """
        try:
            proof: MatchProof | AbsenceProof
            if "leaf" in value:
                proof = match_from_json(value["leaf"])
            else:
                proof = absence_from_json(value["neighbours"])
            if set(value) != {"element", "dataset", "unblinded", "leaf" if "leaf" in value else "neighbours"}:
                raise EvidenceError("a line has fields that do not belong to it")
            return cls(whole(value["element"]), str(value["dataset"]), from_hex(value["unblinded"]), proof)
        except (EncodingError, KeyError, TypeError, ValueError) as error:
            raise EvidenceError("a line lacks a field or holds a malformed one") from error


def _proof_to_json(proof: MatchProof | AbsenceProof) -> Any:
    """JSON form of either kind of proof."""
    return match_to_json(proof) if isinstance(proof, MatchProof) else absence_to_json(proof)


@dataclass(frozen=True)
class ElementProof:
    """β_{e,d} = r_e·N_{e,d} for one element and a group of datasets.

    Attributes:
        element: position in the certified list.
        datasets: sorted dataset ids of the group.
        proof: DLEQ under R_e.
    """

    element: int
    datasets: tuple[str, ...]
    proof: voprf.Proof

    def to_json(self) -> dict[str, Any]:
        """The report's form."""
        return {
            "element": self.element,
            "datasets": list(self.datasets),
            "proof": self.proof.to_bytes().hex(),
        }

    @classmethod
    def parse(cls, value: dict[str, Any]) -> ElementProof:
        """Read the report's form.

        Raises:
            EvidenceError: a field is missing or malformed.
        """
        try:
            return cls(
                whole(value["element"]),
                tuple(str(dataset) for dataset in value["datasets"]),
                voprf.Proof.from_bytes(from_hex(value["proof"])),
            )
        except (EncodingError, KeyError, TypeError, ValueError) as error:
            raise EvidenceError("an element's proof lacks a field or holds a malformed one") from error


def prove_element(
    element: int, blind: int, commitment: bytes, unblinded: Mapping[str, bytes], betas: Mapping[str, bytes]
) -> ElementProof:
    """The office's proof for one element over the datasets of ``unblinded``.

    Args:
        element: position in the certified list.
        blind: r.
        commitment: R = r·G.
        unblinded: N by dataset.
        betas: β of this element by dataset.
    """
    datasets = tuple(sorted(unblinded))
    proof = voprf.prove(
        blind,
        group.GENERATOR,
        commitment,
        [unblinded[dataset] for dataset in datasets],
        [betas[dataset] for dataset in datasets],
        whole_batch=True,
    )
    return ElementProof(element, datasets, proof)


def verify_element(
    proof: ElementProof, commitment: bytes, unblinded: Mapping[str, bytes], answers: Mapping[str, Answer]
) -> None:
    """Check one element's proof against the departments' answers.

    Raises:
        EvidenceError: the proof names a dataset without answer or line.
        ProofError: the proof does not hold under R.
    """
    try:
        inputs = [unblinded[dataset] for dataset in proof.datasets]
        outputs = [answers[dataset].betas[proof.element] for dataset in proof.datasets]
    except (KeyError, IndexError) as error:
        raise EvidenceError("an element's proof names a dataset that has no line or no answer") from error
    group.check_points(inputs)
    voprf.verify(group.GENERATOR, commitment, inputs, outputs, proof.proof, whole_batch=True)


def verify_line(line: EvidenceLine, reference: SetReference) -> None:
    """Check tag and inclusion of one line against its publication.

    Raises:
        EvidenceError: the leaf is not that of the tag, the neighbours are not adjacent or do not surround it,
        a leaf
            has another size, or an inclusion proof fails.
    """
    if len(line.unblinded) != 32:
        raise EvidenceError("an unblinded element is not 32 bytes")
    expected = tag(reference.dataset, reference.publication, line.unblinded)
    if isinstance(line.proof, MatchProof):
        leaves: tuple[bytes, ...] = (line.proof.leaf,)
        verify_match(expected, line.proof, reference.count, reference.root)
    else:
        leaves = (line.proof.left.leaf, line.proof.right.leaf)
        verify_absence(expected, line.proof, reference.count, reference.root)
    if any(len(leaf) != reference.leaf_bytes for leaf in leaves):
        raise EvidenceError("a leaf has another size than its publication's kind")


def verify_lines(
    lines: Sequence[EvidenceLine],
    proofs: Iterable[ElementProof],
    commitments: Mapping[int, bytes],
    answers: Mapping[str, Answer],
    references: Mapping[str, SetReference],
) -> dict[tuple[int, str], EvidenceLine]:
    """Check a set of lines as a whole; return them by (element, dataset).

    Args:
        lines: evidence, each (element, dataset) once.
        proofs: element proofs that together cover exactly the lines.
        commitments: R by position of the real element.
        answers: departments' answers, already verified.
        references: publications by dataset, from the ledger.

    Raises:
        EvidenceError: a line stands twice, belongs to no certified element, or is covered by no proof.
        ProofError: an element's proof fails.
    """
    found: dict[tuple[int, str], EvidenceLine] = {}
    for line in lines:
        if (line.element, line.dataset) in found:
            raise EvidenceError("a line stands twice")
        if line.element not in commitments or line.dataset not in references:
            raise EvidenceError("a line belongs to no certified element or dataset")
        verify_line(line, references[line.dataset])
        found[line.element, line.dataset] = line
    covered: set[tuple[int, str]] = set()
    for proof in proofs:
        if proof.element not in commitments:
            raise EvidenceError("a proof belongs to no certified element")
        unblinded = {
            dataset: found[proof.element, dataset].unblinded
            for dataset in proof.datasets
            if (proof.element, dataset) in found
        }
        verify_element(proof, commitments[proof.element], unblinded, answers)
        covered.update((proof.element, dataset) for dataset in proof.datasets)
    if covered != set(found):
        raise EvidenceError("a line is not covered by a proof under its element's R")
    return found
