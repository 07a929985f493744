"""A small certified question and two small publications, with everything an office can prove about it.

Real certificate, publications, Merkle trees, answers, proofs and ciphertexts (512-bit test primes of
``paillier.json``). Salts and nonces are fixed too, so that the vectors made from it are the same every time.
"""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ledger import merkle
from protocols.check import openings as opened
from protocols.check.answer import Answer
from protocols.check.certificate import Certificate, CertifiedDataset, RulesReference, Terms
from protocols.check.certify import BlindedPerson, certify
from protocols.check.evidence import ElementProof, EvidenceLine, SetReference
from protocols.check.json_form import SignatureValue
from protocols.check.openings import Openings
from protocols.check.terms import RuleDatasets, TermList, expected_terms
from protocols.psi import group, tags, voprf
from protocols.psi.publication import AbsenceProof, MatchProof, leaf_tag, prove_leaf, published_leaves
from protocols.sums.paillier import PaillierPublicKey

VECTORS = Path(__file__).parents[2] / "vectors"
LABEL = "2026-11.1"
QUERY = "0123456789abcdef" * 2
PADDING = b"padding secret of a test" * 2
ANNA, BAO, CHEN, DING, EVA = (
    tags.identifier(f"11010119900307{number:04d}") for number in (10, 28, 36, 44, 52)
)
"""Anna has income and costs, Bao income, Chen income and is in custody, Ding and Eva are on no row."""

ROWS: dict[str, dict[bytes, int]] = {
    "hib.selfpaid": {ANNA: 34_500},
    "police.custody": {CHEN: 0},
    "tax.income": {ANNA: 1_234_500, BAO: -20_000, CHEN: 900_000},
}
RULES = RuleDatasets(("tax.income",), ("hib.selfpaid",), (), ("police.custody",))
SALTS = ("elements_salt", "rlist_salt", "casemap_salt", "consents_salt")
NOT_BEFORE, NOT_AFTER = "2026-11-22T02:00:00Z", "2026-11-22T02:15:00Z"


def scalar(name: str) -> int:
    """A scalar that follows from a name."""
    return int.from_bytes(hashlib.sha512(name.encode()).digest()[:31], "little") + 1


@cache
def paillier() -> PaillierPublicKey:
    """The 512-bit public key of the test primes."""
    maker = runpy.run_path(str(VECTORS / "make_paillier.py"))
    p, q = (int(prime, 16) for prime in maker["PRIMES"]["paillier-512-test"])
    return PaillierPublicKey.of_modulus(p * q, maker["PROFILE_512"])


@dataclass(frozen=True)
class Published:
    """One publication as its department and an office hold it."""

    dataset: str
    key: int
    leaves: list[bytes]
    tree: merkle.MemoryTree

    @property
    def public(self) -> bytes:
        return voprf.public_key(self.key)

    @property
    def reference(self) -> SetReference:
        return SetReference(
            self.dataset, LABEL, self.public, self.tree.root(), len(self.leaves), len(self.leaves[0])
        )

    def at(self, index: int) -> MatchProof:
        return prove_leaf(index, self.leaves[index], len(self.leaves), self.tree)

    def look_up(self, tag: int) -> MatchProof | AbsenceProof:
        numbers = [leaf_tag(leaf) for leaf in self.leaves]
        if tag in numbers:
            return self.at(numbers.index(tag))
        place = sum(number < tag for number in numbers)
        return AbsenceProof(self.at(place - 1), self.at(place))


@cache
def published(dataset: str, generation: int = 1) -> Published:
    """A dataset's publication; another generation has another key and set."""
    name = f"{dataset}/{generation}"
    key, secret, amounts = scalar(name), hashlib.sha512(name.encode()).digest(), dataset != "police.custody"

    def cipher(who: bytes, amount: int, purpose: bytes) -> bytes:
        if not amounts:
            return b""
        return paillier().to_bytes(paillier().encrypt_row(secret, who, amount, purpose))

    rows = ROWS[dataset]
    found = sorted(
        (tag, cipher(who, fen, b"row"))
        for tag, (who, fen) in zip(tags.tag_rows(key, dataset, LABEL, list(rows)), rows.items(), strict=True)
    )
    fill = (lambda tag: cipher(tag.to_bytes(8, "big"), 0, b"dummy")) if amounts else None
    leaves = list(published_leaves(secret, found, len(found), fill))
    return Published(dataset, key, leaves, merkle.MemoryTree(merkle.leaf_hash(leaf) for leaf in leaves))


def terms(query: str = QUERY, cases: int = 1) -> Terms:
    """What the office proposes."""
    datasets = tuple(CertifiedDataset(name, LABEL, published(name).public, "g") for name in ROWS)
    rules = RulesReference("dibao", "2026.1", "00" * 32)
    return Terms("net", "office", "desk", query, "sum", "total", "dibao", rules, datasets, cases)


def blind_of(who: bytes, case: int = 0, query: str = QUERY) -> int:
    """A person's blind in a question."""
    return scalar(f"{query}/{case}/{who.decode()}")


def persons(*names: bytes, case: int = 0, query: str = QUERY) -> list[BlindedPerson]:
    """People of a case, each with a blind and a consent of their own."""
    return [
        BlindedPerson(who, blind_of(who, case, query), case, hashlib.sha256(who).hexdigest()[:32])
        for who in names
    ]


@dataclass
class Check:
    """A certified question, answered and looked up.

    Attributes:
        positions: element position by identifier.
        lines: evidence by (element, dataset).
        proofs: one an element over all datasets.
    """

    certificate: Certificate
    openings: Openings
    positions: dict[bytes, int]
    answers: dict[str, Answer] = field(default_factory=dict)
    lines: dict[tuple[int, str], EvidenceLine] = field(default_factory=dict)
    proofs: list[ElementProof] = field(default_factory=list)

    @property
    def commitments(self) -> dict[int, bytes]:
        return dict(zip(self.openings.real, self.openings.rlist, strict=True))

    @property
    def references(self) -> dict[str, SetReference]:
        return {name: published(name).reference for name in ROWS}

    def term_list(self) -> TermList:
        return TermList.of(self.certificate, 0, expected_terms(self.openings.real, RULES, self.lines))


def answered(dataset: str, elements: tuple[bytes, ...], generation: int = 1) -> Answer:
    """A department's answer to elements."""
    found = published(dataset, generation)
    betas = tuple(voprf.evaluate(found.key, elements))
    proof = proved(found.key, found.public, elements, betas)
    return Answer(dataset, betas, proof, b"\x07" * 32, SignatureValue("", "ed25519", ""))


def proved(key: int, public: bytes, inputs: Sequence[bytes], outputs: Sequence[bytes]) -> voprf.Proof:
    """A proof whose nonce follows from what it proves."""
    nonce = scalar(hashlib.sha256(b"".join([public, *inputs, *outputs])).hexdigest())
    return voprf.prove(key, group.GENERATOR, public, inputs, outputs, nonce=nonce, whole_batch=True)


def look_up(check: Check, who: list[BlindedPerson], generation: int = 1) -> Check:
    """Answers, lines and proofs of a certified question."""
    for dataset in ROWS:
        check.answers[dataset] = answered(dataset, check.openings.elements, generation)
    for person in who:
        element = check.positions[person.identifier]
        points = {}
        for dataset, answer in check.answers.items():
            [point] = voprf.unblind([person.blind], [answer.betas[element]])
            points[dataset] = point
            found = published(dataset, generation).look_up(tags.tag(dataset, LABEL, point))
            check.lines[element, dataset] = EvidenceLine(element, dataset, point, found)
        betas = {name: answer.betas[element] for name, answer in check.answers.items()}
        [commitment] = group.multiply_base([person.blind])
        proof = proved(person.blind, commitment, list(points.values()), list(betas.values()))
        check.proofs.append(ElementProof(element, tuple(points), proof))
    check.proofs.sort(key=lambda proof: proof.element)
    return check


def recommitted(certificate: Certificate, openings: Openings) -> Certificate:
    """The certificate with commitments to these openings: what a cheating registrar would sign."""
    return replace(
        certificate,
        count=len(openings.elements),
        elements=opened.commit_elements(openings.elements_salt, openings.elements),
        rlist=opened.commit_rlist(openings.rlist_salt, openings.rlist),
        casemap=opened.commit_casemap(openings.casemap_salt, openings.casemap),
        consents=opened.commit_consents(openings.consents_salt, openings.consents),
    )


def make_check(*names: bytes, query: str = QUERY) -> Check:
    """A whole check of one household."""
    who = persons(*names, query=query)
    certificate, openings = certify(terms(query), who, PADDING, NOT_BEFORE, NOT_AFTER)
    salts: dict[str, Any] = {name: hashlib.sha256(f"{query}/{name}".encode()).digest() for name in SALTS}
    openings = replace(openings, **salts)
    certificate = recommitted(certificate, openings)
    alphas = voprf.blind([person.identifier for person in who], [person.blind for person in who])
    positions = {
        person.identifier: openings.elements.index(alpha) for person, alpha in zip(who, alphas, strict=True)
    }
    return look_up(Check(certificate, openings, positions), who)


@cache
def household() -> Check:
    """All five, and three elements of padding; the same object each time: copy before changing it."""
    return make_check(ANNA, BAO, CHEN, DING, EVA)
