"""A changed piece of evidence fails a check of its own, even where the office's own key seals the report again."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger import canonical
from ledger.policy import Policy
from node.identity import signature
from node.report.build import build_openings
from node.report.form import seal_message
from node.report.verify import verify_report
from tests.node.report.world import IDS, PLAIN, finished, key, report, world

OTHER_NETWORK = "t-county"


def decoded(outcome: str) -> dict[str, Any]:
    """A report to break."""
    value: dict[str, Any] = json.loads(report(outcome))
    return value


def sealed(value: dict[str, Any]) -> bytes:
    """A report sealed again with the office's own key."""
    value["seal"] = signature(key("office"), seal_message(value))
    return canonical.encode(value)


def failing(data: bytes, openings: bytes | None = None, policy: Policy | None = None) -> set[str]:
    """Names of the checks that fail."""
    trusted = world().policy if policy is None else policy
    return {failure.check for failure in verify_report(data, trusted, openings)}


def line_of(value: dict[str, Any], member: int, dataset: str) -> dict[str, Any]:
    """One line of a report."""
    [found] = [item for item in value["lines"] if (item["member"], item["dataset"]) == (member, dataset)]
    assert isinstance(found, dict)
    return found


# Every value of a report, one after the other.

FREE = {"salt", "case", "applied", "household", "policy"}
"""The office's own word (salt, case, applied), or tested by itself."""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all scalars."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from leaves(item, (*path, at))
    else:
        yield path


def pattern(path: tuple[Any, ...]) -> str:
    """A path without its indices and dataset names."""
    return ".".join("*" if isinstance(step, int) or "." in step else step for step in path)


@cache
def chosen(outcome: str) -> list[tuple[Any, ...]]:
    """The first and the last path of each pattern."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for path in leaves(decoded(outcome)):
        if path[0] not in FREE and path[0] != "seal":
            found.setdefault(pattern(path), []).append(path)
    return [path for paths in found.values() for path in dict.fromkeys((paths[0], paths[-1]))]


def changed(value: Any) -> Any:
    """Another value of the same form."""
    if value is None:
        return 1
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if re.fullmatch(r"[0-9a-f]{2,}", value):
        middle = len(value) // 2
        return value[:middle] + ("0" if value[middle] != "0" else "1") + value[middle + 1 :]
    return value + "x"


def change(outcome: str, path: tuple[Any, ...]) -> bytes:
    """The report with the value at a path changed, sealed again."""
    value = decoded(outcome)
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = changed(inner[path[-1]])
    return sealed(value)


def own_check(path: tuple[Any, ...]) -> set[str]:
    """Checks of which at least one must name a change at this path."""
    if path[0] == "ledger":
        return {"checkpoint"} if path[1] == "checkpoint" else {"receipt"}
    if path[0] == "total":
        return {"terms", "release", "shares", "total"}
    if path[0] == "lines":
        return (
            {"evidence"}
            if "evidence" in path and path[-1] != "evidence"
            else {"lines", "coverage", "evidence", "form"}
        )
    return {
        "v": {"form"},
        "network": {"policy"},
        "office": {"seal"},
        "rules": {"rules"},
        "certificate": {"certificate"},
        "signature": {"certificate"},
        "openings": {"openings"},
        "positions": {"openings"},
        "answers": {"answer"},
        "proofs": {"element_proof"},
        "verdict": {"verdict"},
        "refusal": {"refusal", "form"},
        "total": {"total"},
    }[str(path[0])]


@pytest.mark.parametrize("outcome", ["vetoed", "gaps", "no_consent"])
def test_every_changed_value_fails_its_own_check(outcome: str) -> None:
    missed = []
    for path in chosen(outcome):
        found = failing(change(outcome, path))
        if not found & own_check(path) and path not in ((name,) for name in ("refusal", "total")):
            missed.append((path, found))
        assert found, path
    assert missed == []


def test_every_changed_value_of_a_total_fails_its_own_check() -> None:
    for path in chosen("total"):
        if path[0] == "total":
            assert failing(change("total", path)) & own_check(path), path


@settings(max_examples=60)
@given(st.data())
def test_one_changed_character_anywhere_fails(data: st.DataObject) -> None:
    text = report("vetoed")
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[at]))
    assert failing(text[:at] + bytes([other]) + text[at + 1 :])


@settings(max_examples=40)
@given(st.binary(max_size=40))
@example(b"")
@example(b"{}")
@example(b"[]")
@example(b'{"v":1}')
@example(b"[" * 40)
@example(
    b'{"answers":[],"ledger":{"entries":[1]},"lines":[null],"proofs":[{}],"refusal":null,"total":{"shares":[1]}}'
)
@example(b'{"answers":{"a":1},"ledger":[],"lines":{},"positions":1,"refusal":{},"total":1}')
def test_what_is_no_report_fails_and_never_raises(data: bytes) -> None:
    assert failing(data, data)


@pytest.mark.parametrize("change", [b" ", b"\n"])
def test_bytes_around_a_report_fail_its_form(change: bytes) -> None:
    assert failing(report("nothing") + change) == {"form"}
    assert failing(change + report("nothing")) == {"form"}


# Cheats, each by its name.

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

    value["total"]["list_signature"] = signature(key("office"), list_message(value["total"]["list"]))
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
    value["seal"] = signature(key("tax"), seal_message(value))
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


# The trust policy comes from the reader.


def test_a_report_of_another_network_fails_under_the_readers_policy() -> None:
    other = world(OTHER_NETWORK)
    made = other.finish(other.case("2026-000099", PLAIN, IDS[3]), PLAIN)
    from node.report.build import build_report  # noqa: PLC0415  the other network's own report

    data = build_report(other.services, made)
    assert verify_report(data, other.policy) == []
    assert {"policy", "checkpoint"} <= failing(data)
    assert {"policy", "checkpoint"} <= {failure.check for failure in verify_report(data, None)}
    value = json.loads(data)
    value["policy"] = world().policy.fingerprint
    assert {"policy", "checkpoint"} <= failing(sealed(value)), "naming another policy does not help"


def test_a_report_that_brings_its_own_policy_fails_its_form() -> None:
    value = decoded("vetoed")
    value["policy"] = world(OTHER_NETWORK).policy.format()
    assert {"form", "policy"} <= failing(sealed(value))
    value = decoded("vetoed")
    value["policy_text"] = world().policy.format()
    assert failing(sealed(value)) == {"form"}


# Openings.


def opened(outcome: str) -> dict[str, Any]:
    """Openings to break."""
    value: dict[str, Any] = json.loads(build_openings(finished(outcome)))
    return value


@pytest.mark.parametrize("outcome", ["vetoed", "nothing", "no_consent", "invalid"])
def test_openings_of_another_case_fail(outcome: str) -> None:
    assert failing(report(outcome), build_openings(finished("total"))) == {"identity"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("identifier", IDS[2]),
        ("identifier", "x"),
        ("blind", "01" + "00" * 31),
        ("blind", "00" * 32),
        ("member", 2),
    ],
)
def test_openings_of_another_person_fail(field: str, value: Any) -> None:
    made = opened("vetoed")
    made["persons"][0][field] = value
    assert failing(report("vetoed"), canonical.encode(made)) == {"identity"}


@pytest.mark.parametrize(
    "path", [p for p in leaves(opened("vetoed")) if p[-1] not in ("name", "case")], ids=str
)
def test_every_changed_opening_fails(path: tuple[Any, ...]) -> None:
    made = opened("vetoed")
    inner: Any = made
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = changed(inner[path[-1]])
    found = failing(report("vetoed"), canonical.encode(made))
    assert found == (set() if path == ("household_salt",) else {"identity"})


def test_no_failure_repeats_an_identifier() -> None:
    made = opened("invalid")
    made["persons"].reverse()
    for failure in verify_report(report("invalid"), world().policy, canonical.encode(made)):
        assert not any(person["identifier"] in failure.reason for person in made["persons"])
