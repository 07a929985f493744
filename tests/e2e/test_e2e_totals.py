"""Only the total opens, over rows proven to be those of the certified people, all of them and no other.

The trustee is asked by a dishonest office with everything the office has. Each lie is refused with a code,
nothing is released for it, and the true list opens afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.errors import RefusalError
from node.office.check_state import CheckState
from node.registrar.consents import QuestionAllowance
from node.rpc.untrusted_json import read_object
from tests.e2e.dishonest_office import Bureau, Pack, canonical_copy, refused
from tests.e2e.families_scenario import CARE, FURTHER, NET, WAGES
from tests.e2e.shared_network import County, quickly

Lie = Callable[[Bureau, CheckState, Pack, CheckState], None]


def term(pack: Pack, element: int, dataset: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        item for item in pack.document["terms"] if (item["element"], item["dataset"]) == (element, dataset)
    )
    return found


def line(pack: Pack, element: int, dataset: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        item for item in pack.evidence["lines"] if (item["element"], item["dataset"]) == (element, dataset)
    )
    return found


def row_left_out(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    pack.document["terms"].remove(term(pack, bureau.element(true, 1), "revenue.wages"))


def row_said_to_be_absent(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    found = term(pack, bureau.element(true, 1), "revenue.wages")
    del found["index"], found["leaf"]
    found["kind"] = "absent"


def row_proven_absent_by_others_neighbours(
    bureau: Bureau, true: CheckState, pack: Pack, other: CheckState
) -> None:
    row_said_to_be_absent(bureau, true, pack, other)
    mine = line(pack, bureau.element(true, 1), "revenue.wages")
    absent = line(pack, bureau.element(true, 3), "revenue.wages")
    del mine["leaf"]
    mine["neighbours"] = canonical_copy(absent["neighbours"])


def row_twice(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    found = term(pack, bureau.element(true, 1), "revenue.wages")
    pack.document["terms"].insert(0, dict(found))


def row_in_anothers_place(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    mine, third = (bureau.element(true, member) for member in (1, 3))
    found = term(pack, mine, "revenue.wages")
    term(pack, third, "revenue.wages").update(kind="row", index=found["index"], leaf=found["leaf"])
    proof = line(pack, third, "revenue.wages")
    del proof["neighbours"]
    proof["leaf"] = canonical_copy(line(pack, mine, "revenue.wages")["leaf"])


def other_sign(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    term(pack, bureau.element(true, 1), "welfare.care")["sign"] = 1


def row_of_another_publication(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    mine = bureau.element(true, 1)
    wages, care = term(pack, mine, "revenue.wages"), term(pack, mine, "welfare.care")
    wages["index"], wages["leaf"] = care["index"], care["leaf"]
    line(pack, mine, "revenue.wages")["leaf"] = canonical_copy(line(pack, mine, "welfare.care")["leaf"])


def anothers_ciphertext(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    mine = line(pack, bureau.element(true, 1), "revenue.wages")["leaf"]
    theirs = line(bureau.pack(other), bureau.element(other, 2), "revenue.wages")["leaf"]
    mine["leaf"] = mine["leaf"][:16] + theirs["leaf"][16:]


def excluded_members_row(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    second = bureau.element(true, 2)
    found = line(pack, second, "revenue.wages")["leaf"]
    leaf = hashlib.sha256(bytes.fromhex(found["leaf"])).hexdigest()
    term(pack, second, "revenue.wages").update(kind="row", index=found["index"], leaf=leaf)


def exclusion_kept_back(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    excluded_members_row(bureau, true, pack, other)
    second = bureau.element(true, 2)
    pack.evidence["lines"].remove(line(pack, second, "welfare.custody"))
    for proof in pack.evidence["proofs"]:
        if proof["element"] == second:
            proof["datasets"] = [name for name in proof["datasets"] if name != "welfare.custody"]


def exclusion_made_up(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    found = term(pack, bureau.element(true, 1), "revenue.wages")
    del found["index"], found["leaf"]
    found["kind"] = "excluded"


def row_of_someone_not_certified(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    padding = next(i for i, case in enumerate(true.inquiry.opened().casemap) if case == 0)
    theirs = bureau.pack(other)
    first = bureau.element(other, 1)
    pack.document["terms"].append({**term(theirs, first, "revenue.wages"), "element": padding})
    pack.evidence["lines"].append({**line(theirs, first, "revenue.wages"), "element": padding})


def tag_of_someone_not_certified(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    third, theirs = bureau.element(true, 3), bureau.pack(other)
    first = bureau.element(other, 1)
    wages = line(theirs, first, "revenue.wages")
    pack.evidence["lines"].remove(line(pack, third, "revenue.wages"))
    pack.evidence["lines"].append({**wages, "element": third})
    found = term(theirs, first, "revenue.wages")
    term(pack, third, "revenue.wages").update(kind="row", index=found["index"], leaf=found["leaf"])


def answers_of_another_question(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    pack.evidence["answers"] = bureau.pack(other).evidence["answers"]


def list_of_another_question(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    pack.document["query"] = other.inquiry.query


def proof_left_out(bureau: Bureau, true: CheckState, pack: Pack, other: CheckState) -> None:
    first = bureau.element(true, 1)
    pack.evidence["proofs"] = [item for item in pack.evidence["proofs"] if item["element"] != first]


LIES: dict[Lie, str] = {
    row_left_out: "term_list",
    row_said_to_be_absent: "term_list",
    row_proven_absent_by_others_neighbours: "evidence",
    row_twice: "term_list",
    row_in_anothers_place: "evidence",
    other_sign: "term_list",
    row_of_another_publication: "evidence",
    anothers_ciphertext: "evidence",
    excluded_members_row: "term_list",
    exclusion_kept_back: "proof",
    exclusion_made_up: "term_list",
    row_of_someone_not_certified: "evidence",
    tag_of_someone_not_certified: "proof",
    answers_of_another_question: "proof",
    list_of_another_question: "term_list",
    proof_left_out: "evidence",
}


@pytest.fixture(scope="module")
def pair(running: County, bureau: Bureau) -> tuple[CheckState, CheckState]:
    """Two answered questions whose totals nobody has opened."""
    with running.peace():
        return bureau.answered(running.case()), bureau.answered(running.case())


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_opens_nothing(
    lie: Lie, county: County, bureau: Bureau, pair: tuple[CheckState, CheckState]
) -> None:
    true, other = pair
    pack = bureau.pack(true)
    lie(bureau, true, pack, other)
    with refused(LIES[lie]):
        bureau.open(true, pack)
    bureau.nothing_released(true)


def test_the_true_list_opens_once_and_no_other_after_it(county: County, bureau: Bureau) -> None:
    true = bureau.answered(county.case())
    pack = bureau.pack(true)
    share = bureau.open(true, pack)
    assert read_object(share)["holder"] == "court"
    assert bureau.services.view.release(true.inquiry.query, 0, "court") is None
    bureau.services.ledger.sync()
    assert bureau.services.view.release(true.inquiry.query, 0, "court") is not None
    assert bureau.open(true, pack) == share, "a repeat gives the same bytes"
    with refused("already_released"):
        bureau.open(true, None)
    other = canonical_copy(pack.document)
    other["terms"].reverse()
    with refused("term_list"):
        bureau.open(true, Pack(pack.evidence, other))


def test_a_case_closed_without_a_list_opens_nothing_any_more(county: County, bureau: Bureau) -> None:
    true = bureau.answered(county.case())
    assert bureau.open(true, None) == b""
    with refused("already_released"):
        bureau.open(true, bureau.pack(true))


def test_a_total_before_the_departments_answers_is_refused(county: County, bureau: Bureau) -> None:
    true = bureau.answered(county.case())
    unasked = bureau.logged(county.case())
    with refused("proof"):
        bureau.open(unasked, bureau.pack(true))
    with refused("not_answered"):
        bureau.open(unasked, None)
    bureau.nothing_released(unasked)


@pytest.mark.parametrize("part", ["rlist", "casemap", "elements"])
def test_openings_that_are_not_the_certified_ones_are_refused(
    part: str, county: County, bureau: Bureau, pair: tuple[CheckState, CheckState]
) -> None:
    true, other = pair
    mine = true.inquiry.openings
    changed = {**mine, part: other.inquiry.openings[part]}
    if part == "casemap":
        changed[part] = [1] * len(mine["casemap"])
    lying = replace(true, inquiry=replace(true.inquiry, openings=changed))
    with refused("certificate"):
        bureau.open(lying, bureau.pack(true))
    bureau.nothing_released(true)


def test_another_members_signature_under_the_list_is_refused(
    county: County, bureau: Bureau, pair: tuple[CheckState, CheckState]
) -> None:
    true = pair[0]
    pack = bureau.pack(true)
    stranger = county.clients["revenue"].keys.node
    with refused("bad_signature"):
        bureau.open_signed(true, pack, stranger)
    bureau.nothing_released(true)


def test_a_row_opens_again_only_after_two_people_of_the_trustee_agree(
    county: County, bureau: Bureau, tmp_path: Path
) -> None:
    """M-01 joins the first of F-001 with a further earner: two totals that differ by one person."""
    before = county.check(county.named("F-001"), tmp_path)
    assert (before["outcome"], before["net_fen"]) == ("dibao", NET)
    overlapping = county.named("M-01")
    refusal = bureau.certified(overlapping).refusal
    assert refusal is not None
    assert refusal.code == "already_asked"
    county.clients["window"].allow_question(
        QuestionAllowance(case=overlapping.case, month=bureau.services.month(), reason="appeal")
    )
    asked = bureau.answered(overlapping)
    with pytest.raises(RefusalError) as caught:
        bureau.open(asked, bureau.pack(asked))
    assert caught.value.code == "row_released"
    bureau.nothing_released(asked)
    named = str(caught.value).split()[-1]
    trustee, query = county.home("court").root, asked.inquiry.query
    done = quickly("share", "except", trustee, query, "--list", named, "--reason", "appeal")
    assert done.returncode == 0, done.stderr
    assert named not in str(county.entries("share.exception")), "the ledger shows a salted digest"
    assert bureau.total(asked).net == WAGES - CARE + FURTHER


def test_an_exception_opens_the_list_it_names_and_no_other(
    county: County, bureau: Bureau, tmp_path: Path
) -> None:
    assert county.check(county.named("F-002"), tmp_path)["outcome"] == "dibao"
    overlapping = county.named("M-02")
    county.clients["window"].allow_question(
        QuestionAllowance(case=overlapping.case, month=bureau.services.month(), reason="appeal")
    )
    asked = bureau.answered(overlapping)
    trustee, query = county.home("court").root, asked.inquiry.query
    done = quickly("share", "except", trustee, query, "--list", "0" * 64, "--reason", "appeal")
    assert done.returncode == 0, done.stderr
    with refused("row_released"):
        bureau.open(asked, bureau.pack(asked))
    bureau.nothing_released(asked)
