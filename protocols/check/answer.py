"""A department's answer: β = k·α for every certified element, one DLEQ a batch, and a signed receipt.

Round::

    office → department      certificate, intent and its receipt, elements with their salt
    department → office      β list, DLEQ(G, K; α, β), salt, signature over the receipt        (Answer)

The receipt binds network, query, dataset, publication, the elements' commitment and the response's salted
digest; the same digest goes to the ledger in ``query.answer``. The salt travels with the answer, so that a
verifier of a report can open the digest and nobody else can test a guess.

Learned: the department, that a logged question with so many padded elements came; the office, one bit an
element once it removes its blind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger import canonical
from protocols.check.certificate import Certificate
from protocols.check.json_form import SignatureValue
from protocols.encoding import commit, from_hex
from protocols.errors import EncodingError, EvidenceError, ProofError
from protocols.psi import group, voprf

RECEIPT_DOMAIN = b"hedui/answer/v1\x00"


@dataclass(frozen=True)
class Answer:
    """One dataset's answer to one question.

    Attributes:
        dataset: dataset id.
        betas: evaluated elements in the order of the elements, 32 bytes each.
        proof: the batch's DLEQ proof under the publication's key.
        salt: 32 random bytes that open the response digest.
        signature: the department's, over the receipt.
    """

    dataset: str
    betas: tuple[bytes, ...]
    proof: voprf.Proof
    salt: bytes
    signature: SignatureValue

    @property
    def response(self) -> bytes:
        """Salted digest of this response, as ``query.answer`` records it; 32 bytes."""
        return response_digest(self.salt, self.betas, self.proof)

    def to_json(self) -> dict[str, Any]:
        """The report's form: hex fields."""
        return {
            "betas": [beta.hex() for beta in self.betas],
            "proof": self.proof.to_bytes().hex(),
            "salt": self.salt.hex(),
            "signature": self.signature.to_json(),
        }

    @classmethod
    def parse(cls, dataset: str, value: dict[str, Any]) -> Answer:
        """Read the report's form.

        Raises:
            EvidenceError: a field is missing or malformed.
        """
        try:
            return cls(
                dataset,
                tuple(from_hex(beta) for beta in value["betas"]),
                voprf.Proof.from_bytes(from_hex(value["proof"])),
                from_hex(value["salt"]),
                SignatureValue.parse(value["signature"]),
            )
        except (EncodingError, KeyError, TypeError, ValueError) as error:
            raise EvidenceError("an answer lacks a field or holds a malformed one") from error


def response_digest(salt: bytes, betas: Sequence[bytes], proof: voprf.Proof) -> bytes:
    """Salted digest of a response: SHA-256(salt ‖ "response" ‖ β… ‖ proof)."""
    return commit(salt, b"response", *betas, proof.to_bytes())


def receipt_message(certificate: Certificate, dataset: str, response: bytes) -> bytes:
    """Bytes a department signs as its receipt of a question.

    Raises:
        EvidenceError: the certificate does not name the dataset.
    """
    item = certificate.dataset(dataset)
    if item is None:
        raise EvidenceError(f"{dataset}: the certificate does not name this dataset")
    return RECEIPT_DOMAIN + canonical.encode(
        {
            "v": 1,
            "network": certificate.network,
            "query": certificate.query,
            "dataset": dataset,
            "publication": item.publication,
            "elements": certificate.elements.hex(),
            "response": response.hex(),
        }
    )


def evaluate(key: int, public: bytes, elements: Sequence[bytes]) -> tuple[tuple[bytes, ...], voprf.Proof]:
    """β = k·α for all elements, with one DLEQ proof.

    Args:
        key: the publication's secret scalar k.
        public: K = k·G.
        elements: certified elements, already checked.
    """
    betas = voprf.evaluate(key, list(elements))
    return tuple(betas), voprf.prove(key, group.GENERATOR, public, list(elements), betas, whole_batch=True)


def verify_answer(answer: Answer, public: bytes, elements: Sequence[bytes]) -> None:
    """The answer is k·α under the key on the ledger, for all elements: no key of a victim's own.

    Raises:
        EvidenceError: the number of β differs.
        GroupError, ProofError: a β is malformed or the proof fails.
    """
    if len(answer.betas) != len(elements):
        raise EvidenceError("an answer has another number of elements than were asked")
    group.check_points(list(answer.betas))
    try:
        voprf.verify(
            group.GENERATOR, public, list(elements), list(answer.betas), answer.proof, whole_batch=True
        )
    except ProofError as error:
        raise ProofError(f"{answer.dataset}: the answer was not made with the published key") from error
