"""The fixed form of ``report.json``: one line of canonical JSON, with exactly these fields.

| field | value |
|---|---|
| ``v`` | 1 |
| ``network``, ``office``, ``case``, ``applied`` | names, case number, date of the application |
| ``policy`` | fingerprint of the trust policy the receipts are made for; never the policy itself |
| ``rules`` | ``{id, version, text}``: the rule set's exact text |
| ``household`` | ``{size}`` |
| ``ledger`` | ``{checkpoint, entries: [{index, path, leaf}]}``: a note, entries proven under it, by index |
| ``refusal`` | the registrar's ``{document, signature}`` where no question left, else null |
| ``certificate``, ``signature`` | its newest renewal, the registrar's signature; null when refused |
| ``openings`` | elements, R list and case map with their salts; null when refused |
| ``positions`` | element of each household position |
| ``answers`` | by dataset ``{betas, proof, salt, signature}`` |
| ``lines`` | ``{member, dataset, answer, reason, evidence}`` a household position and dataset of the rules |
| ``proofs`` | ``{element, datasets, proof}``: β = r·N under R, by element and group of datasets |
| ``total`` | ``{list, list_signature, shares: [{holder, list, proof, value, salt?}], net_fen}``, or null |
| ``verdict`` | ``{outcome, net_fen, heads, reasons: [{code, member, dataset, limit}]}`` |
| ``salt`` | 32 random bytes, so that a digest of the report says nothing |
| ``seal`` | the office's node key over "hedui/report/v1" ‖ 0x00 ‖ canonical(report without ``seal``) |

It holds no identity: names, identifiers and blinds are in the openings, which only the person and a court
get. Case number, date of the application and salt are the office's own word: its seal alone stands for
them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ledger import canonical
from ledger.entries.times import check_date
from node.report.findings import CheckFailedError, Findings, require

SEAL_DOMAIN = b"hedui/report/v1\x00"
MAX_REPORT_BYTES = 64 << 20
MAX_REPORT_DEPTH = 16
MAX_PROBLEMS = 20
MAX_NAMES = 5
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,31}")
"""Fields that are named in a problem as they are; others may be anything."""

Shape = Callable[[Any, str], "list[str]"]
"""Problems of a value at a path; none where it has the form."""


def decode_report(data: bytes, found: Findings) -> dict[str, Any]:
    """The report's object; check ``form`` covers bytes and fields. Empty where there is no object at all.

    Bytes that are JSON but not canonical fail ``form`` and are still read, so that the other checks say what
    they find; see ``is_report`` for what they cannot be made of.
    """
    value: Any = None
    with found.check("form"):
        require(len(data) <= MAX_REPORT_BYTES, "the report is too long to be one")
        value = _plain(data)
        require(isinstance(value, dict), "the report is no JSON object")
        canonical.decode(data, max_bytes=MAX_REPORT_BYTES, max_depth=MAX_REPORT_DEPTH)
    if not isinstance(value, dict):
        return {}
    for problem in _REPORT(value, "report")[:MAX_PROBLEMS] or _whole(value):
        found.add("form", "", problem)
    return value


def is_report(value: Mapping[str, Any]) -> bool:
    """Whether an object has half of a report's fields or more: else no check but ``form`` says anything."""
    return 2 * len(_FIELDS.keys() & value.keys()) >= len(_FIELDS)


def _plain(data: bytes) -> Any:
    """Any JSON value.

    Raises:
        CheckFailedError: no JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckFailedError("the report is no JSON") from error


def seal_message(report: Mapping[str, Any]) -> bytes:
    """Bytes the office signs: everything but the seal."""
    return SEAL_DOMAIN + canonical.encode({name: value for name, value in report.items() if name != "seal"})


def _whole(report: Mapping[str, Any]) -> list[str]:
    """What no field shows alone: a question was certified, or refused, and never both."""
    asked = [report[name] is not None for name in ("certificate", "signature", "openings")]
    refused = report["refusal"] is not None
    problems = []
    if any(found == refused for found in asked):
        problems.append("a report holds a certificate with signature and openings, or a refusal, not both")
    empty = not (report["positions"] or report["answers"] or report["lines"] or report["proofs"])
    if refused and not (empty and report["total"] is None):
        problems.append("a refused case has no positions, answers, lines, proofs or total")
    return problems


def _shape(fits: Callable[[Any], bool], need: str) -> Shape:
    def check(value: Any, path: str) -> list[str]:
        return [] if fits(value) else [f"{path} must be {need}"]

    return check


def _text(longest: int) -> Shape:
    return _shape(
        lambda value: type(value) is str and 0 < len(value) <= longest, f"text of 1 to {longest} characters"
    )


def _hex(length: int | None = None) -> Shape:
    pattern = re.compile(r"(?:[0-9a-f]{2})+" if length is None else f"[0-9a-f]{{{2 * length}}}")
    size = "bytes" if length is None else f"{length} bytes"
    return _shape(
        lambda value: type(value) is str and pattern.fullmatch(value) is not None, f"{size} in lower-case hex"
    )


def _integer(least: int | None) -> Shape:
    need = "an integer" if least is None else f"an integer from {least} on"
    return _shape(lambda value: type(value) is int and (least is None or value >= least), need)


def _one_of(*words: str) -> Shape:
    return _shape(lambda value: type(value) is str and value in words, "one of " + ", ".join(words))


def _is_date(value: Any) -> bool:
    try:
        check_date(value)
    except (TypeError, ValueError):
        return False
    return True


def _list(item: Shape) -> Shape:
    def check(value: Any, path: str) -> list[str]:
        if type(value) is not list:
            return [f"{path} must be a list"]
        return [problem for at, each in enumerate(value) for problem in item(each, f"{path}[{at}]")]

    return check


def _map(item: Shape) -> Shape:
    def check(value: Any, path: str) -> list[str]:
        if type(value) is not dict:
            return [f"{path} must be an object"]
        return [problem for name in sorted(value) for problem in item(value[name], f"{path}.{name}")]

    return check


def _few(names: list[str], what: str) -> list[str]:
    """One problem that names some fields and counts the others; none where there are no names."""
    if not names:
        return []
    more = len(names) - MAX_NAMES
    return [f"{what} {', '.join(names[:MAX_NAMES])}" + (f" and {more} more" if more > 0 else "")]


def _object(fields: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    further = {} if optional is None else optional

    def check(value: Any, path: str) -> list[str]:
        if type(value) is not dict:
            return [f"{path} must be an object"]
        missing = sorted(fields.keys() - value.keys())
        unknown = sorted(
            name if _NAME.fullmatch(name) else "…" for name in value.keys() - {**fields, **further}.keys()
        )
        if missing or unknown:
            return [*_few(missing, f"{path} lacks"), *_few(unknown, f"{path} has what it must not have:")]
        known = {**fields, **further}
        return [problem for name in value for problem in known[name](value[name], f"{path}.{name}")]

    return check


def _nullable(shape: Shape) -> Shape:
    return lambda value, path: [] if value is None else shape(value, path)


_OBJECT = _shape(lambda value: type(value) is dict, "an object")
_ID = _text(64)
_DATASET = _text(128)
_SIGNATURE = _object({"key": _hex(16), "alg": _ID, "sig": _hex()})
_LEAF = _object({"index": _integer(0), "leaf": _hex(), "path": _list(_hex(32))})
_NEIGHBOURS = _object({"left": _LEAF, "right": _LEAF})
_EVIDENCE = _object(
    {"element": _integer(0), "dataset": _DATASET, "unblinded": _hex(32)},
    {"leaf": _LEAF, "neighbours": _NEIGHBOURS},
)
_LINE = _object(
    {
        "member": _integer(1),
        "dataset": _DATASET,
        "answer": _one_of("match", "no_match", "not_covered", "summed"),
        "reason": _nullable(_text(128)),
        "evidence": _nullable(_EVIDENCE),
    }
)
_SHARE = _object(
    {"holder": _ID, "list": _hex(32), "proof": _hex(), "value": _hex()},
    {"salt": _hex(32)},
)
_REASON = _object(
    {
        "code": _ID,
        "member": _nullable(_integer(1)),
        "dataset": _nullable(_DATASET),
        "limit": _nullable(_ID),
    }
)
_FIELDS: Mapping[str, Shape] = {
    "v": _shape(lambda value: type(value) is int and value == 1, "1: update this program"),
    "network": _ID,
    "office": _ID,
    "case": _text(128),
    "applied": _shape(_is_date, "a date, YYYY-MM-DD"),
    "policy": _hex(32),
    "rules": _object({"id": _ID, "version": _ID, "text": _text(1 << 20)}),
    "household": _object({"size": _integer(1)}),
    "ledger": _object(
        {
            "checkpoint": _text(1 << 16),
            "entries": _list(_object({"index": _integer(0), "path": _list(_hex(32)), "leaf": _OBJECT})),
        }
    ),
    "refusal": _nullable(_object({"document": _OBJECT, "signature": _SIGNATURE})),
    "certificate": _nullable(_OBJECT),
    "signature": _nullable(_SIGNATURE),
    "openings": _nullable(
        _object(
            {
                "elements": _list(_hex(32)),
                "elements_salt": _hex(32),
                "rlist": _list(_hex(32)),
                "rlist_salt": _hex(32),
                "casemap": _list(_integer(0)),
                "casemap_salt": _hex(32),
            }
        )
    ),
    "positions": _list(_integer(0)),
    "answers": _map(
        _object({"betas": _list(_hex(32)), "proof": _hex(64), "salt": _hex(32), "signature": _SIGNATURE})
    ),
    "lines": _list(_LINE),
    "proofs": _list(_object({"element": _integer(0), "datasets": _list(_DATASET), "proof": _hex(64)})),
    "total": _nullable(
        _object(
            {
                "list": _OBJECT,
                "list_signature": _SIGNATURE,
                "shares": _list(_SHARE),
                "net_fen": _integer(None),
            }
        )
    ),
    "verdict": _object(
        {
            "outcome": _ID,
            "net_fen": _nullable(_integer(None)),
            "heads": _nullable(_integer(0)),
            "reasons": _list(_REASON),
        }
    ),
    "salt": _hex(32),
    "seal": _SIGNATURE,
}
_REPORT = _object(_FIELDS)
