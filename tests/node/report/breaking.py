"""Breaking a report: decoded, changed, sealed again with the office's own key, and what then fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ledger import canonical
from ledger.formats.policy import Policy
from node.member_keys import sign
from node.report.form import seal_message
from node.report.verify import verify_report
from tests.node.report.households import report
from tests.node.report.world import key, world


def decoded(outcome: str) -> dict[str, Any]:
    """A report to break."""
    value: dict[str, Any] = json.loads(report(outcome))
    return value


def sealed(value: dict[str, Any]) -> bytes:
    """A report sealed again with the office's own key."""
    value["seal"] = sign(key("office"), seal_message(value)).to_json()
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
