"""The reader's own policy, and openings: neither comes from the report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger import canonical
from node.office.report import build_openings
from node.report.verify import verify_report
from tests.node.report.breaking import changed, decoded, failing, leaves, sealed
from tests.node.report.households import finish, finished, report
from tests.node.report.world import IDS, PLAIN, world

OTHER_NETWORK = "t-county"

# The trust policy comes from the reader.


def test_a_report_of_another_network_fails_under_the_readers_policy() -> None:
    other = world(OTHER_NETWORK)
    made = finish(other, other.case("2026-000099", PLAIN, IDS[3]), PLAIN)
    from node.office.report import build_report  # noqa: PLC0415  the other network's own report

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


def test_every_changed_opening_fails() -> None:
    for path in leaves(opened("vetoed")):
        made = opened("vetoed")
        inner: Any = made
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = changed(inner[path[-1]])
        found = failing(report("vetoed"), canonical.encode(made))
        assert found == (set() if path[-1] in ("name", "household_salt") else {"identity"}), path


def test_no_failure_repeats_an_identifier() -> None:
    made = opened("invalid")
    made["persons"].reverse()
    for failure in verify_report(report("invalid"), world().policy, canonical.encode(made)):
        assert not any(person["identifier"] in failure.reason for person in made["persons"])
