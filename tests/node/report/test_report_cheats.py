"""Cheats by their names, each sealed again with the office's own key."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ledger import canonical
from node.member_keys import sign
from node.report.form import seal_message
from node.report.verify import verify_report
from tests.node.report.breaking import decoded, failing, line_of, sealed
from tests.node.report.world import key, world

Cheat = Callable[[dict[str, Any]], None]


def drop_line(value: dict[str, Any]) -> None:
    value["lines"] = [item for item in value["lines"] if item["dataset"] != "tax.owner"]


def swap_lines(value: dict[str, Any]) -> None:
    value["lines"][0], value["lines"][1] = value["lines"][1], value["lines"][0]


def double_line(value: dict[str, Any]) -> None:
    value["lines"].append(copy.deepcopy(value["lines"][-1]))


def deny_match(value: dict[str, Any]) -> None:
    line_of(value, 2, "tax.owner")["answer"] = "no_match"
    value["verdict"].update(outcome="dibao", net_fen=0, reasons=[])


def hide_behind_gap(value: dict[str, Any]) -> None:
    line_of(value, 2, "tax.owner").update(answer="not_covered", reason="region")


def unpublish(value: dict[str, Any]) -> None:
    line_of(value, 2, "tax.owner").update(answer="not_covered", reason="unpublished", evidence=None)


def silence(value: dict[str, Any]) -> None:
    del value["answers"]["tax.owner"]
    for member in (1, 2):
        line_of(value, member, "tax.owner").update(answer="not_covered", reason="silent", evidence=None)


def other_evidence(value: dict[str, Any]) -> None:
    mine, theirs = line_of(value, 1, "tax.owner"), line_of(value, 2, "tax.owner")
    mine["evidence"], theirs["evidence"] = theirs["evidence"], mine["evidence"]


def swap_positions(value: dict[str, Any]) -> None:
    value["positions"].reverse()


def other_answers(value: dict[str, Any]) -> None:
    value["answers"] = decoded("region")["answers"]


def other_household(value: dict[str, Any]) -> None:
    other = decoded("region")
    for name in ("openings", "positions"):
        value[name] = other[name]


def shrink_household(value: dict[str, Any]) -> None:
    value["household"]["size"] = 1
    value["lines"] = [item for item in value["lines"] if item["member"] == 1]


def drop_proof(value: dict[str, Any]) -> None:
    del value["proofs"][0]


def double_proof(value: dict[str, Any]) -> None:
    value["proofs"].insert(0, copy.deepcopy(value["proofs"][0]))


def drop_intent(value: dict[str, Any]) -> None:
    entries = value["ledger"]["entries"]
    value["ledger"]["entries"] = [item for item in entries if item["leaf"]["type"] != "query.intent"]


def drop_verified(value: dict[str, Any]) -> None:
    entries = value["ledger"]["entries"]
    value["ledger"]["entries"] = [item for item in entries if item["leaf"]["type"] != "dataset.verified"]


def drop_genesis(value: dict[str, Any]) -> None:
    del value["ledger"]["entries"][0]


def swap_entries(value: dict[str, Any]) -> None:
    entries = value["ledger"]["entries"]
    entries[-1], entries[-2] = entries[-2], entries[-1]


def drop_cosignatures(value: dict[str, Any]) -> None:
    note = value["ledger"]["checkpoint"].split("\n")
    value["ledger"]["checkpoint"] = "\n".join([*note[:6], ""])


def milder_rules(value: dict[str, Any]) -> None:
    value["rules"]["text"] = value["rules"]["text"].replace('veto = ["tax.owner"]', "veto = []")


def other_version(value: dict[str, Any]) -> None:
    value["rules"] = decoded("region")["rules"]


def add_reason(value: dict[str, Any]) -> None:
    value["verdict"]["reasons"].append({"code": "veto", "member": 1, "dataset": "tax.owner", "limit": None})


def refuse_besides(value: dict[str, Any]) -> None:
    value["refusal"] = decoded("no_consent")["refusal"]


def unneeded_total(value: dict[str, Any]) -> None:
    value["total"] = decoded("total")["total"]


CHEATS: dict[Cheat, set[str]] = {
    drop_line: {"lines", "verdict"},
    swap_lines: {"lines"},
    double_line: {"lines", "verdict"},
    deny_match: {"evidence", "verdict"},
    hide_behind_gap: {"coverage", "verdict"},
    unpublish: {"evidence", "coverage", "element_proof", "verdict"},
    silence: {"element_proof", "verdict"},
    other_evidence: {"evidence"},
    swap_positions: {"evidence"},
    other_answers: {"answer", "element_proof"},
    other_household: {"openings", "answer", "element_proof"},
    shrink_household: {"openings", "verdict"},
    drop_proof: {"element_proof"},
    double_proof: {"element_proof"},
    drop_intent: {"replay", "certificate", "answer"},
    drop_verified: {"replay", "certificate", "answer"},
    drop_genesis: {"receipt", "replay", "policy", "seal"},
    swap_entries: {"receipt"},
    drop_cosignatures: {"checkpoint"},
    milder_rules: {"rules", "lines", "verdict"},
    other_version: {"rules", "lines"},
    add_reason: {"verdict"},
    refuse_besides: {"form", "refusal"},
    unneeded_total: {"terms", "release", "shares", "verdict"},
}


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.__name__)
def test_a_cheat_sealed_again_is_named(cheat: Cheat) -> None:
    value = decoded("vetoed")
    cheat(value)
    found = failing(sealed(value))
    assert CHEATS[cheat] <= found
    assert cheat is drop_genesis or "seal" not in found


def first_row(value: dict[str, Any]) -> dict[str, Any]:
    """The first row term of the list."""
    found = next(term for term in value["total"]["list"]["terms"] if term["kind"] == "row")
    assert isinstance(found, dict)
    return found


def sign_list(value: dict[str, Any]) -> None:
    """The office signs the list it changed."""
    from protocols.check.terms import list_digest, list_message  # noqa: PLC0415  the cheat's own tools

    value["total"]["list_signature"] = sign(key("office"), list_message(value["total"]["list"])).to_json()
    for share in value["total"]["shares"]:
        share["list"] = list_digest(value["total"]["list"]).hex()


def other_sign(value: dict[str, Any]) -> None:
    first_row(value)["sign"] *= -1
    sign_list(value)


def row_left_out(value: dict[str, Any]) -> None:
    value["total"]["list"]["terms"].remove(first_row(value))
    sign_list(value)


def row_twice(value: dict[str, Any]) -> None:
    value["total"]["list"]["terms"].insert(0, dict(first_row(value)))
    sign_list(value)


def excluded_member(value: dict[str, Any]) -> None:
    term = next(term for term in value["total"]["list"]["terms"] if term["kind"] == "excluded")
    term["kind"] = "absent"
    sign_list(value)


def other_net(value: dict[str, Any]) -> None:
    value["total"]["net_fen"] -= 1
    value["verdict"]["net_fen"] -= 1


def one_share(value: dict[str, Any]) -> None:
    value["total"]["shares"] = value["total"]["shares"][:1]


def swapped_values(value: dict[str, Any]) -> None:
    left, right = value["total"]["shares"]
    left["value"], right["value"] = right["value"], left["value"]


def other_list(value: dict[str, Any]) -> None:
    value["total"] = decoded("single")["total"]


def no_total(value: dict[str, Any]) -> None:
    value["total"] = None


def no_release(value: dict[str, Any]) -> None:
    entries = value["ledger"]["entries"]
    value["ledger"]["entries"] = [item for item in entries if item["leaf"]["type"] != "share.release"]


def no_sum_key(value: dict[str, Any]) -> None:
    entries = value["ledger"]["entries"]
    value["ledger"]["entries"] = [item for item in entries if item["leaf"]["type"] != "sumkey.publish"]


def bad_ciphertext(value: dict[str, Any]) -> None:
    leaf = line_of(value, 1, "tax.income")["evidence"]["leaf"]
    leaf["leaf"] = leaf["leaf"][:16] + "00" * (len(leaf["leaf"]) // 2 - 8)


TOTALS: dict[Cheat, set[str]] = {
    other_sign: {"terms", "release", "shares"},
    row_left_out: {"terms", "release", "shares"},
    row_twice: {"terms", "release", "shares"},
    excluded_member: {"terms", "release", "shares"},
    other_net: {"total"},
    one_share: {"shares", "total"},
    swapped_values: {"shares"},
    other_list: {"terms", "release", "shares", "verdict"},
    no_total: {"verdict"},
    no_release: {"release"},
    no_sum_key: {"replay", "shares", "total"},
    bad_ciphertext: {"evidence", "terms", "shares", "total"},
}


@pytest.mark.parametrize("cheat", TOTALS, ids=lambda cheat: cheat.__name__)
def test_a_cheat_about_the_total_is_named(cheat: Cheat) -> None:
    value = decoded("total")
    cheat(value)
    found = failing(sealed(value))
    assert TOTALS[cheat] <= found
    assert "seal" not in found


def test_an_edited_report_without_the_offices_key_fails_its_seal() -> None:
    value = decoded("vetoed")
    value["applied"] = "2026-11-03"
    assert failing(canonical.encode(value)) == {"seal"}


def test_a_seal_by_another_member_fails() -> None:
    value = decoded("vetoed")
    value["seal"] = sign(key("tax"), seal_message(value)).to_json()
    assert failing(canonical.encode(value)) == {"seal"}


def test_failures_name_their_lines() -> None:
    value = decoded("vetoed")
    line_of(value, 2, "tax.owner")["evidence"]["unblinded"] = "00" * 32
    del value["lines"][0]
    found = {(failure.check, failure.line) for failure in verify_report(sealed(value), world().policy)}
    assert ("evidence", "2/tax.owner") in found
    assert ("element_proof", "2/tax.owner") in found
    assert ("lines", "1/hib.selfpaid") in found
    value = decoded("vetoed")
    value["ledger"]["entries"][3]["leaf"]["body"]["root"] = "00" * 32
    label = str(value["ledger"]["entries"][3]["index"])
    found = {(failure.check, failure.line) for failure in verify_report(sealed(value), world().policy)}
    assert {("receipt", label), ("replay", label)} <= found
