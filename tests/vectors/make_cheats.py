"""Makes ``cheats.json``: an honest check, and every way to cheat with one of its pieces.

    python tests/vectors/make_cheats.py         write the file (the repository root on the import path)

``honest`` holds what a trustee sees of a question: certificate, openings, publications, answers, lines,
element proofs and the office's term list. A vector changes some of it (``change``: ``set``, ``insert`` or
``remove`` at a path, in this order) and names the code that must refuse it (``expect``).

Provenance: all follows from the names and the test primes in ``tests/protocols/check/small_check.py`` and
``make_paillier.py``, which are public: **test constants, never a key**. Salts and nonces are hashes of what
they are for. ``test_cheat_vectors`` makes the file again and compares it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from protocols.check.evidence import ElementProof, EvidenceLine
from protocols.check.openings import Openings
from protocols.psi import group, tags, voprf
from protocols.psi.publication import AbsenceProof, MatchProof, leaf_tag
from tests.protocols.check.small_check import (
    ANNA,
    BAO,
    CHEN,
    DING,
    EVA,
    LABEL,
    ROWS,
    answered,
    blind_of,
    household,
    make_check,
    proved,
    published,
    recommitted,
    scalar,
)

FILE = Path(__file__).with_name("cheats.json")
Change = list[Any]
Vector = tuple[str, str, list[Change]]
IDENTITY = bytes(32).hex()
NOT_REDUCED = (2**255 - 19 + 6).to_bytes(32, "little").hex()
INCOME, CUSTODY, PAID = "tax.income", "police.custody", "hib.selfpaid"
STRANGER = voprf.hash_inputs([b"CN-RID:11010119900307999X"])[0]


def honest() -> dict[str, Any]:
    """What a trustee sees when nobody cheats."""
    check = household()
    return {
        "certificate": check.certificate.to_json(),
        "openings": check.openings.to_json(),
        "references": {
            name: {"root": one.root.hex(), "count": one.count, "leaf_bytes": one.leaf_bytes}
            for name, one in check.references.items()
        },
        "answers": {name: answer.to_json() for name, answer in check.answers.items()},
        "lines": [line.to_json() for _, line in sorted(check.lines.items())],
        "proofs": [proof.to_json() for proof in check.proofs],
        "list": check.term_list().to_json(),
    }


def at(*path: str | int) -> list[str | int]:
    """A path into the document."""
    return list(path)


def put(value: Any, *path: str | int) -> Change:
    """Set what stands at a path."""
    return ["set", at(*path), value]


def line_of(who: bytes, dataset: str) -> int:
    """Where a line stands in the document."""
    return sorted(household().lines).index((household().positions[who], dataset))


def proof_of(who: bytes) -> int:
    """Where a person's element proof stands in the document."""
    return [proof.element for proof in household().proofs].index(household().positions[who])


def term_of(who: bytes, dataset: str) -> int:
    """Where a person's term stands in the list."""
    element = household().positions[who]
    terms = household().term_list().to_json()["terms"]
    return next(n for n, term in enumerate(terms) if (term["element"], term["dataset"]) == (element, dataset))


def certified(openings: Openings) -> list[Change]:
    """Openings that the certificate commits to: what a cheating registrar would sign."""
    certificate = recommitted(household().certificate, openings)
    document = replace(certificate, count=household().certificate.count).to_json()
    names = ("elements", "rlist", "casemap")
    return [
        *(put(document[name], "certificate", name) for name in names),
        *(put(openings.to_json()[name], "openings", name) for name in names),
    ]


def certificate_cheats() -> Iterator[Vector]:
    """Openings that are not those of the certificate, and certificates no registrar may sign."""
    openings = household().openings
    elements, other = openings.elements, group.multiply_base([scalar("other")])[0]
    yield "other blinds than certified", "certificate", [put(other.hex(), "openings", "rlist", 0)]
    yield (
        "elements swapped after the intent",
        "certificate",
        [put(sorted([*(e.hex() for e in elements[1:]), STRANGER.hex()]), "openings", "elements")],
    )
    unsorted = replace(openings, elements=(elements[1], elements[0], *elements[2:]))
    yield "elements unsorted", "certificate", certified(unsorted)
    yield (
        "short element",
        "certificate",
        certified(replace(openings, elements=(elements[0][1:], *elements[1:]))),
    )
    for name, bad in (("identity", IDENTITY), ("non-canonical", NOT_REDUCED)):
        point = tuple(sorted([*elements[1:], bytes.fromhex(bad)]))
        yield f"{name} element", "group", certified(replace(openings, elements=point))
        yield (
            f"{name} commitment R",
            "group",
            certified(replace(openings, rlist=(bytes.fromhex(bad), *openings.rlist[1:]))),
        )
    yield "an element left out", "certificate", certified(replace(openings, elements=elements[1:]))
    yield "wrong salt", "certificate", [put("00" * 32, "openings", "elements_salt")]
    yield "short salt", "encoding", [put("00" * 31, "openings", "casemap_salt")]
    yield (
        "case map out of range",
        "certificate",
        certified(replace(openings, casemap=tuple(2 if case else 0 for case in openings.casemap))),
    )
    padding = replace(openings, casemap=(*(1 for _ in elements),))
    yield (
        "padding shown as a person",
        "certificate",
        [put(padding.to_json()["casemap"], "openings", "casemap")],
    )
    yield "R list of another length", "certificate", certified(replace(openings, rlist=openings.rlist[:-1]))


def answer_cheats() -> Iterator[Vector]:
    """Answers of another key, batch or question."""
    elements = household().openings.elements
    answer = household().answers[INCOME]
    own = published(INCOME)

    def cheat(changed: Any) -> list[Change]:
        return [put(changed.to_json(), "answers", INCOME)]

    yield "DLEQ under another key", "proof", cheat(answered(INCOME, elements, 2))
    rotated = (*elements[1:], elements[0])
    yield "DLEQ for another batch", "proof", cheat(replace(answer, proof=answered(INCOME, rotated).proof))
    yield (
        "DLEQ for a part of the batch",
        "proof",
        cheat(replace(answer, proof=proved(own.key, own.public, elements[1:], answer.betas[1:]))),
    )
    elsewhere = make_check(ANNA, BAO, CHEN, DING, EVA, query="fe" * 16).answers[INCOME]
    yield "answer to another question", "proof", cheat(elsewhere)
    swapped = (answer.betas[1], answer.betas[0], *answer.betas[2:])
    yield "two evaluations swapped", "proof", cheat(replace(answer, betas=swapped))
    marked = (voprf.evaluate(scalar("mark"), elements[:1])[0], *answer.betas[1:])
    forged = proved(own.key, own.public, elements, marked)
    yield "one element under a key of its own", "proof", cheat(replace(answer, betas=marked, proof=forged))
    yield "identity as evaluation", "group", [put(IDENTITY, "answers", INCOME, "betas", 0)]
    yield "non-canonical evaluation", "group", [put(NOT_REDUCED, "answers", INCOME, "betas", 0)]
    yield "short evaluation", "group", [put(IDENTITY[2:], "answers", INCOME, "betas", 0)]
    yield "an evaluation missing", "evidence", [["remove", at("answers", INCOME, "betas", 0)]]
    yield "an evaluation too many", "evidence", [["insert", at("answers", INCOME, "betas", 0), IDENTITY]]
    yield "proof not reduced", "proof", [put("ff" * 64, "answers", INCOME, "proof")]
    yield "proof short", "proof", [put("00" * 63, "answers", INCOME, "proof")]
    yield "answer without proof", "evidence", [["remove", at("answers", INCOME, "proof")]]


def line_cheats() -> Iterator[Vector]:
    """Lines that do not show what their publication holds."""
    check, own = household(), published(INCOME)
    anna, ding = check.lines[check.positions[ANNA], INCOME], check.lines[check.positions[DING], INCOME]
    assert isinstance(anna.proof, MatchProof)
    assert isinstance(ding.proof, AbsenceProof)
    here = anna.proof.index

    def show(who: bytes, line: EvidenceLine) -> list[Change]:
        return [put(line.to_json(), "lines", line_of(who, line.dataset))]

    def hidden(left: int, right: int) -> list[Change]:
        return show(ANNA, replace(anna, proof=AbsenceProof(own.at(left), own.at(right))))

    yield "a match hidden between neighbours that are not", "evidence", hidden(here - 1, here + 1)
    yield "a match hidden by itself and the next", "evidence", hidden(here, here + 1)
    yield "a match hidden by neighbours elsewhere", "evidence", hidden(0, 1)
    yield (
        "neighbours the wrong way round",
        "evidence",
        show(DING, replace(ding, proof=AbsenceProof(ding.proof.right, ding.proof.left))),
    )
    yield "another's leaf as a match", "evidence", show(DING, replace(ding, proof=anna.proof))
    for name, place in (("first", 0), ("last", len(own.leaves) - 1)):
        yield f"the {name} sentinel as a match", "evidence", show(DING, replace(ding, proof=own.at(place)))
    leaf = bytearray(anna.proof.leaf)
    leaf[-1] ^= 1
    paired = anna.proof.leaf[:8] + own.leaves[here + 1][8:]
    for name, data in (
        ("another ciphertext beside the tag", paired),
        ("a changed byte", bytes(leaf)),
        ("a leaf without ciphertext", anna.proof.leaf[:8]),
        ("a leaf cut within its tag", anna.proof.leaf[:7]),
    ):
        yield name, "evidence", show(ANNA, replace(anna, proof=replace(anna.proof, leaf=data)))
    yield (
        "path of another leaf",
        "evidence",
        show(ANNA, replace(anna, proof=replace(anna.proof, path=own.at(here + 1).path))),
    )
    old = published(INCOME, 2)
    tag = old.look_up(leaf_tag(old.leaves[3]))
    yield "a leaf of another publication", "evidence", show(ANNA, replace(anna, proof=tag))
    yield (
        "N of another publication",
        "evidence",
        show(ANNA, replace(anna, unblinded=voprf.evaluate(old.key, voprf.hash_inputs([ANNA]))[0])),
    )
    for name, point, code in (("identity", bytes(32), "group"), ("short", bytes(31), "evidence")):
        yield f"{name} as N", code, show(ANNA, replace(anna, unblinded=point))


def proof_cheats() -> Iterator[Vector]:
    """Lines and proofs of a person who is not certified, or of another one."""
    check, own = household(), published(INCOME)
    anna, bao = (check.positions[who] for who in (ANNA, BAO))
    moved = replace(check.lines[bao, INCOME], element=anna)
    yield (
        "another's tag for a certified element",
        "proof",
        [put(moved.to_json(), "lines", line_of(ANNA, INCOME))],
    )
    [point] = voprf.evaluate(own.key, [STRANGER])
    line = EvidenceLine(anna, INCOME, point, own.look_up(tags.tag(INCOME, LABEL, point)))
    yield "tag of an uncertified person", "proof", [put(line.to_json(), "lines", line_of(ANNA, INCOME))]
    padding = next(n for n, case in enumerate(check.openings.casemap) if not case)
    yield "a line of padding", "evidence", [put(padding, "lines", line_of(ANNA, INCOME), "element")]
    yield (
        "a line of a dataset not asked",
        "evidence",
        [put("tax.owner", "lines", line_of(ANNA, INCOME), "dataset")],
    )
    twice = ["insert", at("lines", 0), check.lines[anna, INCOME].to_json()]
    yield "a line twice", "evidence", [twice]
    yield "a line three times", "evidence", [twice, twice]
    yield (
        "a line with two proofs",
        "evidence",
        [put(own_neighbours(), "lines", line_of(ANNA, INCOME), "neighbours")],
    )
    yield "a person without proof", "evidence", [["remove", at("proofs", proof_of(ANNA))]]
    blind = blind_of(ANNA)
    few = [CUSTODY, INCOME]
    lines, betas = (
        [check.lines[anna, name].unblinded for name in few],
        [check.answers[n].betas[anna] for n in few],
    )
    [commitment] = group.multiply_base([blind])
    part = ElementProof(anna, tuple(few), proved(blind, commitment, lines, betas))
    yield "a line that no proof covers", "evidence", [put(part.to_json(), "proofs", proof_of(ANNA))]
    yield "proof for another element", "proof", [put(bao, "proofs", proof_of(ANNA), "element")]
    yield "proof of padding", "evidence", [put(padding, "proofs", proof_of(ANNA), "element")]
    yield (
        "proof over a dataset without line",
        "evidence",
        [put([*ROWS, "tax.owner"], "proofs", proof_of(ANNA), "datasets")],
    )
    yield "proof over nothing", "proof", [put([], "proofs", proof_of(ANNA), "datasets")]
    yield (
        "proof over datasets in another order",
        "proof",
        [put(sorted(ROWS, reverse=True), "proofs", proof_of(ANNA), "datasets")],
    )
    other = make_check(ANNA, query="fe" * 16)
    yield (
        "another query's proof",
        "proof",
        [put(other.proofs[0].to_json() | {"element": anna}, "proofs", proof_of(ANNA))],
    )


def own_neighbours() -> Any:
    """A second, contradicting proof for a line."""
    own = published(INCOME)
    return EvidenceLine(0, INCOME, b"", AbsenceProof(own.at(0), own.at(1))).to_json()["neighbours"]


def list_cheats() -> Iterator[Vector]:
    """Term lists other than the one that rules and lines allow."""
    check = household()
    terms = check.term_list().to_json()["terms"]
    anna, ding, chen = term_of(ANNA, INCOME), term_of(DING, INCOME), term_of(CHEN, INCOME)

    def cheat(*changes: Change) -> tuple[str, list[Change]]:
        return "term_list", [[op, at("list", "terms", *path), *value] for op, path, *value in changes]

    yield "a row left out", *cheat(["remove", [anna]])
    yield "an absence left out", *cheat(["remove", [ding]])
    yield "a row twice", *cheat(["insert", [0], terms[anna]])
    old = published(INCOME, 2)
    digest = hashlib.sha256(old.leaves[3]).hexdigest()
    yield "a row of another publication", *cheat(["set", [anna, "index"], 3], ["set", [anna, "leaf"], digest])
    excluded = check.lines[check.positions[CHEN], INCOME].proof
    assert isinstance(excluded, MatchProof)
    row = terms[anna] | {
        "element": check.positions[CHEN],
        "index": excluded.index,
        "leaf": hashlib.sha256(excluded.leaf).hexdigest(),
    }
    yield "the row of an excluded person", *cheat(["set", [chen], row])
    yield "an excluded person as absent", *cheat(["set", [chen, "kind"], "absent"])
    yield (
        "a person excluded without a match",
        *cheat(["set", [ding, "kind"], "excluded"], ["set", [term_of(DING, PAID), "kind"], "excluded"]),
    )
    yield "the other sign", *cheat(["set", [anna, "sign"], -1])
    yield (
        "a row moved to another person",
        *cheat(
            ["set", [anna, "element"], check.positions[DING]],
            ["set", [ding, "element"], check.positions[ANNA]],
        ),
    )
    padding = next(n for n, case in enumerate(check.openings.casemap) if not case)
    yield "a term of padding", *cheat(["insert", [0], terms[ding] | {"element": padding}])
    yield "a term of no element", *cheat(["insert", [0], terms[ding] | {"element": 99}])
    yield (
        "a term of a dataset the rules do not sum",
        *cheat(["insert", [0], terms[ding] | {"dataset": CUSTODY}]),
    )
    yield "terms reordered", *cheat(["set", [0], terms[1]], ["set", [1], terms[0]])
    yield "another row's index", *cheat(["set", [anna, "index"], terms[anna]["index"] + 1])
    yield "another leaf", *cheat(["set", [anna, "leaf"], "00" * 32])
    yield "no terms", "term_list", [put([], "list", "terms")]
    for name, value in (("query", "fe" * 16), ("case", 1), ("network", "other"), ("v", 2)):
        yield f"list of another {name}", "term_list", [put(value, "list", name)]
    yield "list under other rules", "term_list", [put("2026.2", "list", "rules", "version")]
    yield "a field too many", "term_list", [put("x", "list", "note")]


def build() -> dict[str, Any]:
    """The whole file as JSON."""
    makers = (certificate_cheats, answer_cheats, line_cheats, proof_cheats, list_cheats)
    vectors = [
        {"name": name, "expect": code, "change": changes} for make in makers for name, code, changes in make()
    ]
    return {
        "about": "public test constants; made by make_cheats.py",
        "honest": honest(),
        "cheats": vectors,
    }


def text() -> str:
    """The bytes of the file."""
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
