"""A changed piece of evidence fails a check of its own, even where the office seals the report again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.node.report.breaking import changed, decoded, failing, leaves, sealed
from tests.node.report.households import report

FREE = {"salt", "case", "applied", "household", "policy"}
"""The office's own word (salt, case, applied), or tested by itself."""


def pattern(path: tuple[Any, ...]) -> str:
    """A path without its indices and dataset names."""
    return ".".join("*" if isinstance(step, int) or "." in step else step for step in path)


def chosen(outcome: str) -> list[tuple[Any, ...]]:
    """The first path of each pattern, of lines the last too; of the entries, all proved alike, a dozen."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for path in leaves(decoded(outcome)):
        if path[0] not in FREE and path[0] != "seal":
            found.setdefault(pattern(path), []).append(path)
    kept = [paths[0] for paths in found.values()]
    entries = [path for path in kept if path[:2] == ("ledger", "entries")]
    lasts = [paths[-1] for paths in found.values() if paths[0][0] == "lines"]
    return [path for path in kept if path not in entries] + entries[:: max(1, len(entries) // 12)] + lasts


def value_at(outcome: str, path: tuple[Any, ...]) -> Any:
    """The value at a path of a report."""
    value: Any = decoded(outcome)
    for step in path:
        value = value[step]
    return value


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
    refused = {"form", "refusal"} if outcome == "no_consent" else set()
    for path in chosen(outcome):
        if decoded(outcome)["lines"] and path[-1] == "reason" and value_at(outcome, path) == "refused_grant":
            continue  # which code a source gave is the office's word; that there is no answer is checked
        expected = {"form"} if path in (("refusal",), ("total",)) else own_check(path)
        assert failing(change(outcome, path)) & (expected | refused), path


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


@pytest.mark.parametrize("name", ["member", "dataset", "answer", "reason", "evidence"])
def test_a_line_without_a_field_fails_checks_and_never_raises(name: str) -> None:
    value = decoded("vetoed")
    del value["lines"][0][name]
    found = failing(sealed(value))
    assert found & {"lines", "evidence", "coverage"}
    assert "form" in found
    assert not found & {
        "checkpoint",
        "receipt",
        "replay",
        "seal",
        "rules",
        "certificate",
        "openings",
        "answer",
    }


@pytest.mark.parametrize("name", ["member", "dataset", "answer", "reason"])
def test_a_line_with_a_field_of_another_type_fails_what_reads_it(name: str) -> None:
    value = decoded("vetoed")
    value["lines"][0][name] = [1]
    found = failing(sealed(value))
    assert found & {"lines", "evidence", "coverage"}
    assert ("lines" in found) == (name in ("member", "dataset"))
    assert ("coverage" in found) == (name != "member")
