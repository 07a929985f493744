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
from node.registrar.recent_subjects import QuestionAllowance
from node.rpc.untrusted_json import read_object
from tests.e2e.dishonest_office import AskedCheck, DishonestOffice, Pack, canonical_copy, refused
from tests.e2e.families_scenario import CARE, FURTHER, NET, WAGES
from tests.e2e.shared_network import RunningNetwork, quickly

Lie = Callable[[DishonestOffice, AskedCheck, Pack, AskedCheck], None]


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


def row_left_out(dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck) -> None:
    pack.document["terms"].remove(term(pack, dishonest_office.element(true, 1), "revenue.wages"))


def row_said_to_be_absent(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    found = term(pack, dishonest_office.element(true, 1), "revenue.wages")
    del found["index"], found["leaf"]
    found["kind"] = "absent"


def row_proven_absent_by_others_neighbours(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    row_said_to_be_absent(dishonest_office, true, pack, other)
    mine = line(pack, dishonest_office.element(true, 1), "revenue.wages")
    absent = line(pack, dishonest_office.element(true, 3), "revenue.wages")
    del mine["leaf"]
    mine["neighbours"] = canonical_copy(absent["neighbours"])


def row_twice(dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck) -> None:
    found = term(pack, dishonest_office.element(true, 1), "revenue.wages")
    pack.document["terms"].insert(0, dict(found))


def row_in_anothers_place(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    mine, third = (dishonest_office.element(true, member) for member in (1, 3))
    found = term(pack, mine, "revenue.wages")
    term(pack, third, "revenue.wages").update(kind="row", index=found["index"], leaf=found["leaf"])
    proof = line(pack, third, "revenue.wages")
    del proof["neighbours"]
    proof["leaf"] = canonical_copy(line(pack, mine, "revenue.wages")["leaf"])


def other_sign(dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck) -> None:
    term(pack, dishonest_office.element(true, 1), "welfare.care")["sign"] = 1


def row_of_another_publication(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    mine = dishonest_office.element(true, 1)
    wages, care = term(pack, mine, "revenue.wages"), term(pack, mine, "welfare.care")
    wages["index"], wages["leaf"] = care["index"], care["leaf"]
    line(pack, mine, "revenue.wages")["leaf"] = canonical_copy(line(pack, mine, "welfare.care")["leaf"])


def anothers_ciphertext(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    mine = line(pack, dishonest_office.element(true, 1), "revenue.wages")["leaf"]
    theirs = line(dishonest_office.pack(other), dishonest_office.element(other, 2), "revenue.wages")["leaf"]
    mine["leaf"] = mine["leaf"][:16] + theirs["leaf"][16:]


def excluded_members_row(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    second = dishonest_office.element(true, 2)
    found = line(pack, second, "revenue.wages")["leaf"]
    leaf = hashlib.sha256(bytes.fromhex(found["leaf"])).hexdigest()
    term(pack, second, "revenue.wages").update(kind="row", index=found["index"], leaf=leaf)


def exclusion_kept_back(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    excluded_members_row(dishonest_office, true, pack, other)
    second = dishonest_office.element(true, 2)
    pack.evidence["lines"].remove(line(pack, second, "welfare.custody"))
    for proof in pack.evidence["proofs"]:
        if proof["element"] == second:
            proof["datasets"] = [name for name in proof["datasets"] if name != "welfare.custody"]


def exclusion_made_up(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    found = term(pack, dishonest_office.element(true, 1), "revenue.wages")
    del found["index"], found["leaf"]
    found["kind"] = "excluded"


def row_of_someone_not_certified(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    padding = next(i for i, case in enumerate(true.inquiry.openings.casemap) if case == 0)
    theirs = dishonest_office.pack(other)
    first = dishonest_office.element(other, 1)
    pack.document["terms"].append({**term(theirs, first, "revenue.wages"), "element": padding})
    pack.evidence["lines"].append({**line(theirs, first, "revenue.wages"), "element": padding})


def tag_of_someone_not_certified(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    third, theirs = dishonest_office.element(true, 3), dishonest_office.pack(other)
    first = dishonest_office.element(other, 1)
    wages = line(theirs, first, "revenue.wages")
    pack.evidence["lines"].remove(line(pack, third, "revenue.wages"))
    pack.evidence["lines"].append({**wages, "element": third})
    found = term(theirs, first, "revenue.wages")
    term(pack, third, "revenue.wages").update(kind="row", index=found["index"], leaf=found["leaf"])


def answers_of_another_question(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    pack.evidence["answers"] = dishonest_office.pack(other).evidence["answers"]


def list_of_another_question(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    pack.document["query"] = other.inquiry.query


def proof_left_out(
    dishonest_office: DishonestOffice, true: AskedCheck, pack: Pack, other: AskedCheck
) -> None:
    first = dishonest_office.element(true, 1)
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
def pair(running: RunningNetwork, dishonest_office: DishonestOffice) -> tuple[AskedCheck, AskedCheck]:
    """Two answered questions whose totals nobody has opened."""
    with running.peace():
        return dishonest_office.answered(running.case()), dishonest_office.answered(running.case())


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_opens_nothing(
    lie: Lie,
    running_network: RunningNetwork,
    dishonest_office: DishonestOffice,
    pair: tuple[AskedCheck, AskedCheck],
) -> None:
    true, other = pair
    pack = dishonest_office.pack(true)
    lie(dishonest_office, true, pack, other)
    with refused(LIES[lie]):
        dishonest_office.open(true, pack)
    dishonest_office.nothing_released(true)


def test_the_true_list_opens_once_and_no_other_after_it(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    true = dishonest_office.answered(running_network.case())
    pack = dishonest_office.pack(true)
    share = dishonest_office.open(true, pack)
    assert read_object(share)["holder"] == "court"
    assert dishonest_office.services.view.release(true.inquiry.query, 0, "court") is None
    dishonest_office.services.ledger.sync()
    assert dishonest_office.services.view.release(true.inquiry.query, 0, "court") is not None
    assert dishonest_office.open(true, pack) == share, "a repeat gives the same bytes"
    with refused("already_released"):
        dishonest_office.open(true, None)
    other = canonical_copy(pack.document)
    other["terms"].reverse()
    with refused("term_list"):
        dishonest_office.open(true, Pack(pack.evidence, other))


def test_a_case_closed_without_a_list_opens_nothing_any_more(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    true = dishonest_office.answered(running_network.case())
    assert dishonest_office.open(true, None) == b""
    with refused("already_released"):
        dishonest_office.open(true, dishonest_office.pack(true))


def test_a_total_before_the_departments_answers_is_refused(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    true = dishonest_office.answered(running_network.case())
    unasked = dishonest_office.logged(running_network.case())
    with refused("proof"):
        dishonest_office.open(unasked, dishonest_office.pack(true))
    with refused("not_answered"):
        dishonest_office.open(unasked, None)
    dishonest_office.nothing_released(unasked)


@pytest.mark.parametrize("part", ["rlist", "casemap", "elements"])
def test_openings_that_are_not_the_certified_ones_are_refused(
    part: str,
    running_network: RunningNetwork,
    dishonest_office: DishonestOffice,
    pair: tuple[AskedCheck, AskedCheck],
) -> None:
    true, other = pair
    mine = true.inquiry.certified
    assert mine is not None
    given: Any = getattr(other.inquiry.openings, part)
    if part == "casemap":
        given = (1,) * len(mine.openings.casemap)
    changed = replace(mine, openings=replace(mine.openings, **{part: given}))
    lying = replace(true, inquiry=replace(true.inquiry, certified=changed))
    with refused("certificate"):
        dishonest_office.open(lying, dishonest_office.pack(true))
    dishonest_office.nothing_released(true)


def test_another_members_signature_under_the_list_is_refused(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, pair: tuple[AskedCheck, AskedCheck]
) -> None:
    true = pair[0]
    pack = dishonest_office.pack(true)
    stranger = running_network.clients["revenue"].keys.node
    with refused("bad_signature"):
        dishonest_office.open_signed(true, pack, stranger)
    dishonest_office.nothing_released(true)


def test_a_row_opens_again_only_after_two_people_of_the_trustee_agree(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, tmp_path: Path
) -> None:
    """M-01 joins the first of F-001 with a further earner: two totals that differ by one person."""
    before = running_network.check(running_network.named("F-001"), tmp_path)
    assert (before["outcome"], before["net_fen"]) == ("dibao", NET)
    overlapping = running_network.named("M-01")
    refusal = dishonest_office.certified(overlapping).refusal
    assert refusal is not None
    assert refusal.code == "already_asked"
    running_network.clients["window"].allow_question(
        QuestionAllowance(case=overlapping.case, month=dishonest_office.services.month(), reason="appeal")
    )
    asked = dishonest_office.answered(overlapping)
    with pytest.raises(RefusalError) as caught:
        dishonest_office.open(asked, dishonest_office.pack(asked))
    assert caught.value.code == "row_released"
    dishonest_office.nothing_released(asked)
    named = str(caught.value).split()[-1]
    trustee, query = running_network.home("court").root, asked.inquiry.query
    done = quickly("share", "except", trustee, query, "--list", named, "--reason", "appeal")
    assert done.returncode == 0, done.stderr
    assert named not in str(running_network.entries("share.exception")), "the ledger shows a salted digest"
    assert dishonest_office.total(asked).net_fen == WAGES - CARE + FURTHER


def test_an_exception_opens_the_list_it_names_and_no_other(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, tmp_path: Path
) -> None:
    assert running_network.check(running_network.named("F-002"), tmp_path)["outcome"] == "dibao"
    overlapping = running_network.named("M-02")
    running_network.clients["window"].allow_question(
        QuestionAllowance(case=overlapping.case, month=dishonest_office.services.month(), reason="appeal")
    )
    asked = dishonest_office.answered(overlapping)
    trustee, query = running_network.home("court").root, asked.inquiry.query
    done = quickly("share", "except", trustee, query, "--list", "0" * 64, "--reason", "appeal")
    assert done.returncode == 0, done.stderr
    with refused("row_released"):
        dishonest_office.open(asked, dishonest_office.pack(asked))
    dishonest_office.nothing_released(asked)
