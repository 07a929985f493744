"""The one term list that rules and proven lines allow, and the office's own parts of answer and evidence."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.check import terms
from protocols.check.answer import Answer, evaluate, receipt_message, response_digest, verify_answer
from protocols.check.evidence import (
    ElementProof,
    EvidenceLine,
    prove_element,
    verify_element,
    verify_line,
    verify_lines,
)
from protocols.check.terms import (
    RuleDatasets,
    TermList,
    check_list,
    expected_terms,
    list_digest,
    list_message,
)
from protocols.errors import EvidenceError, ProofError, TermListError
from protocols.psi.publication import AbsenceProof, MatchProof
from tests.protocols.check.small_check import (
    ANNA,
    BAO,
    CHEN,
    DING,
    EVA,
    ROWS,
    RULES,
    blind_of,
    household,
    published,
)

LEAF = b"\0\0\0\0\0\0\0\1"
NEIGHBOURS = AbsenceProof(MatchProof(1, LEAF, ()), MatchProof(2, LEAF, ()))
RULE_SET = RuleDatasets(("a.one", "a.two"), ("b.off",), ("v.car",), ("x.jail", "x.dead"))


def line(element: int, dataset: str, index: int | None) -> EvidenceLine:
    """A line that is taken as proven: a match at a leaf, or none."""
    proof = NEIGHBOURS if index is None else MatchProof(index, LEAF + bytes([index]), ())
    return EvidenceLine(element, dataset, b"", proof)


def lines(*found: tuple[int, str, int | None]) -> dict[tuple[int, str], EvidenceLine]:
    return {(element, dataset): line(element, dataset, index) for element, dataset, index in found}


def test_kinds_of_terms_of_a_household() -> None:
    check = household()
    made = expected_terms(check.openings.real, RULES, check.lines)
    kinds = {(term.element, term.dataset): (term.kind, term.sign) for term in made}
    assert list(kinds) == sorted(kinds)
    for who, income, paid in (
        (ANNA, "row", "row"),
        (BAO, "row", "absent"),
        (CHEN, "excluded", "excluded"),
        (DING, "absent", "absent"),
        (EVA, "absent", "absent"),
    ):
        element = check.positions[who]
        assert kinds.pop((element, "tax.income")) == (income, 1)
        assert kinds.pop((element, "hib.selfpaid")) == (paid, -1)
    assert not kinds


@settings(max_examples=60)
@given(st.lists(st.tuples(*([st.booleans()] * 5)), min_size=1, max_size=6))
def test_a_match_in_any_exclude_dataset_excludes_from_all_amounts(people: list[tuple[bool, ...]]) -> None:
    """Rule (3) against (1) and (2): exactly one term an element and amount dataset, whatever was found."""
    datasets = ("a.one", "a.two", "b.off", "x.jail", "x.dead")
    found = lines(
        *(
            (element, dataset, element + 1 if hit else None)
            for element, person in enumerate(people)
            for dataset, hit in zip(datasets, person, strict=True)
        )
    )
    made = expected_terms(range(len(people)), RULE_SET, found)
    assert [(term.element, term.dataset) for term in made] == [
        (element, dataset) for element in range(len(people)) for dataset in datasets[:3]
    ]
    for term in made:
        person = dict(zip(datasets, people[term.element], strict=True))
        excluded = person["x.jail"] or person["x.dead"]
        assert term.kind == ("excluded" if excluded else "row" if person[term.dataset] else "absent")
        assert term.sign == (-1 if term.dataset == "b.off" else 1)
        assert (term.index, term.leaf) == (
            (term.element + 1, hashlib.sha256(LEAF + bytes([term.element + 1])).digest())
            if term.kind == "row"
            else (None, None)
        )


def test_no_rows_at_all() -> None:
    made = expected_terms(
        [0], RULE_SET, lines(*((0, name, None) for name in ("a.one", "a.two", "b.off", "x.jail", "x.dead")))
    )
    assert {term.kind for term in made} == {"absent"}
    assert terms.signed_ciphertexts(made, {}) == []


@pytest.mark.parametrize("missing", ["a.one", "b.off", "x.jail", "x.dead"])
def test_a_line_that_the_rules_need_is_missing(missing: str) -> None:
    names = ("a.one", "a.two", "b.off", "x.jail", "x.dead")
    found = lines(*((0, name, None) for name in names if name != missing))
    with pytest.raises(TermListError, match=f"{missing} has no proven answer"):
        expected_terms([0], RULE_SET, found)


def test_an_excluded_persons_other_exclude_dataset_must_be_proven_too() -> None:
    with pytest.raises(TermListError, match=r"x\.dead"):
        expected_terms([0], RULE_SET, lines((0, "x.jail", 4)))


def test_two_elements_never_share_a_row() -> None:
    rules = RuleDatasets(("a.one",), (), (), ())
    with pytest.raises(TermListError, match="twice"):
        expected_terms([0, 1], rules, lines((0, "a.one", 5), (1, "a.one", 5)))
    made = expected_terms([0, 1], rules, lines((0, "a.one", 5), (1, "a.one", 6)))
    assert [term.index for term in made] == [5, 6]


def test_vetoes_are_no_terms() -> None:
    rules = RuleDatasets((), (), ("v.car",), ())
    assert expected_terms([0], rules, {}) == ()


def test_the_digest_binds_every_field_of_the_list() -> None:
    check = household()
    document = check.term_list().to_json()
    assert check.term_list().digest == list_digest(document)
    assert check.term_list().message == list_message(document)
    assert list_digest(document) == hashlib.sha256(list_message(document)).digest()
    others = [document | {name: value} for name, value in (("case", 1), ("query", "x"), ("terms", []))]
    assert len({list_digest(one) for one in (document, *others)}) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"terms": []}, "leaves out"),
        ({"query": "ff" * 16}, "query"),
        ({"case": 3}, "case"),
        ({"rules": {}}, "rules"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(change: dict[str, Any], message: str) -> None:
    check = household()
    document = check.term_list().to_json() | change
    with pytest.raises(TermListError, match=message):
        check_list(TermList.parse(document), check.certificate, 0, check.openings.real, RULES, check.lines)


def test_a_list_for_some_of_the_elements_only() -> None:
    """The trustee takes the elements from the case map, not from the list."""
    check = household()
    few = expected_terms(check.openings.real[1:], RULES, check.lines)
    listed = TermList.of(check.certificate, 0, few)
    with pytest.raises(TermListError, match="leaves out"):
        check_list(listed, check.certificate, 0, check.openings.real, RULES, check.lines)


def test_ciphertexts_come_from_the_proven_leaves_in_the_lists_order() -> None:
    check = household()
    made = expected_terms(check.openings.real, RULES, check.lines)
    rows = terms.signed_ciphertexts(made, check.lines)
    signs = [term.sign for term in made if term.kind == "row"]
    assert [sign for _, sign in rows] == signs
    held = {leaf[8:] for name in ROWS for leaf in published(name).leaves}
    assert all(data in held for data, _ in rows)


# The office's and the departments' own parts, with real randomness.


def test_an_answer_verifies_and_its_digest_binds_it() -> None:
    check, own = household(), published("tax.income")
    betas, proof = evaluate(own.key, own.public, check.openings.elements)
    answer = replace(check.answers["tax.income"], betas=betas, proof=proof)
    verify_answer(answer, own.public, check.openings.elements)
    assert Answer.parse("tax.income", answer.to_json()) == answer
    digests = {
        response_digest(answer.salt, betas, proof),
        response_digest(b"\0" * 32, betas, proof),
        response_digest(answer.salt, betas[1:], proof),
        response_digest(answer.salt, betas[::-1], proof),
    }
    assert len(digests) == 4
    assert answer.response in digests


def test_a_receipt_binds_question_publication_elements_and_response() -> None:
    certificate = household().certificate
    messages = {
        receipt_message(certificate, "tax.income", b"\1" * 32),
        receipt_message(certificate, "tax.income", b"\2" * 32),
        receipt_message(certificate, "hib.selfpaid", b"\1" * 32),
        receipt_message(replace(certificate, query="ff" * 16), "tax.income", b"\1" * 32),
        receipt_message(replace(certificate, elements=bytes(32)), "tax.income", b"\1" * 32),
        receipt_message(replace(certificate, network="other"), "tax.income", b"\1" * 32),
    }
    assert len(messages) == 6


def proved_by_office(who: bytes, *datasets: str) -> ElementProof:
    check = household()
    element = check.positions[who]
    chosen = {name: check.lines[element, name].unblinded for name in datasets}
    betas = {name: answer.betas[element] for name, answer in check.answers.items()}
    return prove_element(element, blind_of(who), check.commitments[element], chosen, betas)


def test_element_proofs_cover_lines_in_groups() -> None:
    """One proof for what decides a total and one for the rest do as well as one over all."""
    check = household()
    proofs = []
    for who in (ANNA, BAO, CHEN, DING, EVA):
        proofs += [
            proved_by_office(who, "tax.income", "hib.selfpaid"),
            proved_by_office(who, "police.custody"),
        ]
    found = verify_lines(
        list(check.lines.values()), proofs, check.commitments, check.answers, check.references
    )
    assert found == check.lines
    some = [one for one in check.lines.values() if one.dataset != "police.custody"]
    few = [proof for proof in proofs if proof.datasets != ("police.custody",)]
    assert len(verify_lines(some, few, check.commitments, check.answers, check.references)) == 10
    with pytest.raises(EvidenceError):
        verify_lines(some, proofs, check.commitments, check.answers, check.references)


def test_a_proof_by_another_blind_fails() -> None:
    check = household()
    element = check.positions[ANNA]
    [name] = chosen = ("tax.income",)
    unblinded = {name: check.lines[element, name].unblinded}
    betas = {name: check.answers[name].betas[element]}
    proof = prove_element(element, blind_of(BAO), check.commitments[element], unblinded, betas)
    assert proof.datasets == chosen
    with pytest.raises(ProofError):
        verify_element(proof, check.commitments[element], unblinded, check.answers)


def test_lines_read_back_and_say_what_they_claim() -> None:
    check = household()
    for one in check.lines.values():
        assert EvidenceLine.parse(one.to_json()) == one
        verify_line(one, check.references[one.dataset])
    answers = {
        (who, name): check.lines[check.positions[who], name].answer
        for who in check.positions
        for name in ROWS
    }
    assert {key for key, answer in answers.items() if answer == "match"} == {
        (who, name) for name, rows in ROWS.items() for who in rows
    }
    for proof in check.proofs:
        assert ElementProof.parse(proof.to_json()) == proof


GOOD = household().lines[household().positions[ANNA], "tax.income"].to_json()


@pytest.mark.parametrize(
    "value",
    [
        {},
        {**GOOD, "element": None},
        {**GOOD, "unblinded": "zz"},
        {**GOOD, "note": 1},
        {**GOOD, "leaf": {**GOOD["leaf"], "index": -1}},
        {**GOOD, "leaf": {**GOOD["leaf"], "index": True}},
        {**GOOD, "leaf": {**GOOD["leaf"], "leaf": GOOD["leaf"]["leaf"].upper()}},
        {**GOOD, "leaf": {**GOOD["leaf"], "path": ["00"]}},
        {**GOOD, "leaf": {**GOOD["leaf"], "path": ["00" * 32] * 64}},
        {**GOOD, "leaf": None},
        {name: item for name, item in GOOD.items() if name != "leaf"},
    ],
)
def test_malformed_lines(value: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError):
        EvidenceLine.parse(value)


@pytest.mark.parametrize(
    "value", [{}, {"element": 1, "datasets": None, "proof": "00"}, {"element": 1, "datasets": []}]
)
def test_malformed_element_proofs(value: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError):
        ElementProof.parse(value)


@settings(max_examples=80)
@given(st.data())
def test_any_changed_byte_of_a_lines_evidence_fails(data: st.DataObject) -> None:
    check = household()
    one = data.draw(st.sampled_from(sorted(check.lines.values(), key=lambda x: (x.element, x.dataset))))
    value = one.to_json()
    proof = (
        value["leaf"]
        if "leaf" in value
        else value["neighbours"][data.draw(st.sampled_from(["left", "right"]))]
    )
    part = data.draw(st.sampled_from(["leaf", "path", "index"]))
    if part == "index":
        proof["index"] += data.draw(st.sampled_from([-1, 1, 1 << 20]))
    else:
        holder, key = (
            (proof, "leaf")
            if part == "leaf"
            else (proof["path"], data.draw(st.integers(0, len(proof["path"]) - 1)))
        )
        raw = bytearray.fromhex(holder[key])
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
        holder[key] = raw.hex()
    with pytest.raises(EvidenceError):
        verify_line(EvidenceLine.parse(value), check.references[one.dataset])
