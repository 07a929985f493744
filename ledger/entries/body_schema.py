"""Body schemas: the exact fields of every entry type, checked before any rule looks at them.

A check is a function ``(value, path) -> None`` that raises ``EntryRefusedError``; the builders below make
all of them. Objects have exactly their fields: an unknown one is refused as ``unknown_field``, a missing one
as ``missing_field``, a malformed one as ``bad_field``; the remedy never repeats the value.
Digests, keys and group elements are lower-case hex. Free text is short and must not hold anything shaped like
a resident identity number (``identifier_shaped``): people are on the ledger only as salted commitments.

Text takes the same characters on every node, whatever Python it runs on. ``str.isprintable`` and a pattern's
class of digits follow the Unicode tables of the running Python, which grow with its releases: an entry with a
character that is new in one of them would be void on some nodes and count on others. Here the ranges are
written out. Every node accepts a code point that is not assigned yet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ledger.canonical import INTEGER_LIMIT
from ledger.entries.times import PERIODS, check_date, parse_time
from ledger.errors import EntryRefusedError

DIGIT = "0-9\\uff10-\\uff19"
"""Digits of half and full width, for a character class."""
_CONTROL = "\\x00-\\x1f\\x7f-\\x9f"
_SPACE = "\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
_FORMAT = (
    "\\xad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u180e\\u200b-\\u200f"
    "\\u202a-\\u202e\\u2060-\\u206f\\ufeff\\ufff0-\\ufffb\\U000110bd\\U000110cd\\U00013430-\\U0001343f"
    "\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e00ff\\U000e01f0-\\U000e0fff"
)
_PRIVATE = "\\ud800-\\uf8ff\\U000f0000-\\U0010ffff"
"""Private use, and surrogates."""
_NEVER = "\\ufdd0-\\ufdef" + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(15))
"""Noncharacters, which Unicode never assigns."""
_REFUSED = re.compile(f"[{_CONTROL}{_SPACE}{_FORMAT}{_PRIVATE}{_NEVER}]")
FieldCheck: TypeAlias = Callable[[Any, str], None]
"""Raises ``EntryRefusedError`` when the value at the path does not have the required form."""
ROLES = ("auditor", "sequencer", "trustee", "registrar", "office", "department")
USES = ("node", "operator", "witness", "log", "seal")
SUM_SUITES = ("paillier-3072", "paillier-2048-test", "pad64")
PROTOCOLS = ("sum", "check")
REVEALS = ("total", "bits")
_IDENTIFIER = re.compile(
    f"(?<![{DIGIT}A-Za-z])(?:[{DIGIT}]{{17}}[{DIGIT}Xx\\uff38\\uff58]|[{DIGIT}]{{15}})(?![{DIGIT}A-Za-z])"
)
"""15 digits, or 17 and a digit or X, half or full width, standing alone."""


def is_printable(text: str) -> bool:
    """Whether a text holds no control, format, private or separating character but the plain space."""
    return _REFUSED.search(text) is None


def refuse_identifier(text: str, path: str) -> None:
    """Refuse text that holds 15 or 18 characters shaped like a resident identity number.

    Raises:
        EntryRefusedError: ``identifier_shaped``.
    """
    if _IDENTIFIER.search(text) is not None:
        raise EntryRefusedError(
            "identifier_shaped", f"{path} looks like an identity number: leave the number out of the text"
        )


def _bad(path: str, need: str) -> EntryRefusedError:
    return EntryRefusedError("bad_field", f"{path} must be {need}")


def text(longest: int) -> FieldCheck:
    """Free text of 1 to ``longest`` characters without control characters or identity numbers."""

    def check(value: Any, path: str) -> None:
        if type(value) is not str or not 1 <= len(value) <= longest or not is_printable(value):
            raise _bad(path, f"printable text of 1 to {longest} characters")
        refuse_identifier(value, path)

    return check


def matching(pattern: str, need: str) -> FieldCheck:
    """Text that matches ``pattern`` as a whole; ``need`` says so in words."""
    compiled = re.compile(pattern)

    def check(value: Any, path: str) -> None:
        if type(value) is not str or compiled.fullmatch(value) is None:
            raise _bad(path, need)
        refuse_identifier(value, path)

    return check


def hexed(least: int, most: int | None = None) -> FieldCheck:
    """Lower-case hex of ``least`` to ``most`` bytes (exactly ``least`` when ``most`` is left out)."""
    top = least if most is None else most
    compiled = re.compile(rf"(?:[0-9a-f]{{2}}){{{least},{top}}}")

    def check(value: Any, path: str) -> None:
        if type(value) is not str or compiled.fullmatch(value) is None:
            raise _bad(path, f"lower-case hex of {least} to {top} bytes")

    return check


def integer(least: int, most: int = INTEGER_LIMIT - 1) -> FieldCheck:
    """An integer from ``least`` to ``most``; booleans are refused."""

    def check(value: Any, path: str) -> None:
        if type(value) is not int or not least <= value <= most:
            raise _bad(path, f"an integer from {least} to {most}")

    return check


def choice(*allowed: str) -> FieldCheck:
    """One of the given texts."""

    def check(value: Any, path: str) -> None:
        if type(value) is not str or value not in allowed:
            raise _bad(path, "one of " + ", ".join(allowed))

    return check


def boolean(value: Any, path: str) -> None:
    """True or false."""
    if type(value) is not bool:
        raise _bad(path, "true or false")


def day(value: Any, path: str) -> None:
    """A date, ``YYYY-MM-DD``."""
    _parsed(check_date, value, path)


def moment(value: Any, path: str) -> None:
    """A time, ``YYYY-MM-DDTHH:MM:SSZ``."""
    _parsed(parse_time, value, path)


def _parsed(parser: Callable[[str], object], value: Any, path: str) -> None:
    if type(value) is not str:
        raise _bad(path, "text")
    try:
        parser(value)
    except ValueError as error:
        raise EntryRefusedError("bad_field", f"{path}: {error}") from error


def listing(item: FieldCheck, least: int = 0, most: int = 1024) -> FieldCheck:
    """A list of ``least`` to ``most`` items that all pass ``item``; items of text must differ."""

    def check(value: Any, path: str) -> None:
        if type(value) is not list or not least <= len(value) <= most:
            raise _bad(path, f"a list of {least} to {most} items")
        for index, each in enumerate(value):
            item(each, f"{path}[{index}]")
        if value and type(value[0]) is str and len(set(value)) != len(value):
            raise _bad(path, "a list without repetitions")

    return check


def record(
    required: Mapping[str, FieldCheck], optional: Mapping[str, FieldCheck] | None = None
) -> FieldCheck:
    """An object with every ``required`` field, perhaps ``optional`` ones, and no other."""
    checks = {**required, **(optional or {})}

    def check(value: Any, path: str) -> None:
        if type(value) is not dict:
            raise _bad(path, "an object")
        for name, each in value.items():
            if name not in checks:
                raise EntryRefusedError(
                    "unknown_field", f"{path} has a field this type does not know: leave it out"
                )
            checks[name](each, f"{path}.{name}")
        for name in required:
            if name not in value:
                raise EntryRefusedError("missing_field", f"{path}.{name} is missing: add it")

    return check


def mapping(name: FieldCheck, item: FieldCheck, least: int = 1, most: int = 64) -> FieldCheck:
    """An object whose names pass ``name`` and values pass ``item``."""

    def check(value: Any, path: str) -> None:
        if type(value) is not dict or not least <= len(value) <= most:
            raise _bad(path, f"an object with {least} to {most} names")
        for each, content in value.items():
            name(each, f"a name of {path}")
            item(content, f"{path}.{each}")

    return check


# Words used by several types.

MEMBER_ID = matching(r"[a-z][a-z0-9_-]{0,31}", "a member id: lower-case letters, digits, _ and -")
DATASET = matching(r"[a-z][a-z0-9_-]{0,31}\.[a-z0-9_-]{1,64}", "a dataset id, <owner>.<what>")
EPOCH = matching(r"[0-9A-Za-z][0-9A-Za-z_-]{0,31}", "an epoch label without a dot")
PUBLICATION = matching(
    r"[0-9A-Za-z][0-9A-Za-z_-]{0,31}\.[1-9][0-9]{0,8}", "a publication, <epoch>.<revision>"
)
GRANT_ID = matching(r"[a-z0-9][a-z0-9._-]{0,63}", "a grant id")
RULES_ID = matching(r"[a-z][a-z0-9_-]{0,31}", "a rules id")
RULES_VERSION = matching(r"[0-9A-Za-z][0-9A-Za-z._-]{0,31}", "a version of the rules")
CODE = matching(r"[a-z0-9][a-z0-9_.-]{0,63}", "a code: lower-case letters, digits, _ . and -")
REGION = matching(r"[0-9]{2,12}", "a region code of 2 to 12 digits")
QUERY_ID = hexed(16)
DIGEST = hexed(32)
VERSION = integer(1)
SUITE = choice(*SUM_SUITES)
PURPOSE = text(64)
REASON = text(200)
DATASETS = listing(DATASET, 0, 64)
KEY_NAME = matching(r"[!-*,-~]{1,128}", "a key name of visible ASCII characters without +")
KEY = record(
    {"use": choice(*USES), "alg": choice("ed25519", "x25519"), "public": hexed(32)}, {"name": KEY_NAME}
)
KEYS = listing(KEY, 1, 32)
ENDPOINT = matching(r"[0-9A-Za-z.\[\]:-]{1,255}:[0-9]{1,5}", "host:port")
MEMBER = record(
    {
        "id": MEMBER_ID,
        "name": text(64),
        "roles": listing(choice(*ROLES), 1, len(ROLES)),
        "keys": KEYS,
        "endpoint": ENDPOINT,
        "tls": hexed(1, 4096),
    }
)


def _scalar(value: Any, path: str) -> None:
    if type(value) is str:
        text(128)(value, path)
    elif type(value) is not bool:
        integer(-INTEGER_LIMIT + 1)(value, path)


def _parameters(value: Any, path: str) -> None:
    mapping(matching(r"[a-z][a-z0-9_]{0,31}", "a parameter name"), _scalar, 1, 32)(value, path)
    if "suite" not in value:
        raise EntryRefusedError("missing_field", f"{path}.suite is missing: add it")
    SUITE(value["suite"], f"{path}.suite")


SIGNATURE = record(
    {"key": hexed(16), "alg": matching(r"[a-z0-9][a-z0-9-]{0,31}", "an algorithm"), "sig": hexed(32, 8192)}
)
CERTIFICATE = record(
    {
        "v": integer(1, 1),
        "network": text(64),
        "office": MEMBER_ID,
        "registrar": MEMBER_ID,
        "query": QUERY_ID,
        "protocol": choice(*PROTOCOLS),
        "reveal": choice(*REVEALS),
        "purpose": PURPOSE,
        "rules": record({"id": RULES_ID, "version": RULES_VERSION, "digest": DIGEST}),
        "datasets": listing(
            record({"dataset": DATASET, "publication": PUBLICATION, "key": DIGEST, "grant": GRANT_ID}), 1, 64
        ),
        "count": integer(1),
        "cases": integer(1, (1 << 32) - 2),
        "elements": DIGEST,
        "rlist": DIGEST,
        "casemap": DIGEST,
        "consents": DIGEST,
        "trace": listing(hexed(16, 32), 1, 256),
        "not_before": moment,
        "not_after": moment,
    }
)
COMMITTED = record({"commitment": DIGEST, "code": CODE})
SCHEMAS: Mapping[str, FieldCheck] = {
    "network.genesis": record(
        {"pilot": boolean, "epoch": EPOCH, "members": listing(MEMBER, 1, 64), "params": _parameters}
    ),
    "member.admit": record({"member": MEMBER, "version": VERSION}),
    "member.remove": record({"member": MEMBER_ID, "version": VERSION, "reason": REASON}),
    "member.key": record({"member": MEMBER_ID, "keys": KEYS, "version": VERSION}),
    "member.endpoint": record({"member": MEMBER_ID, "endpoint": ENDPOINT, "version": VERSION}),
    "dataset.publish": record(
        {
            "dataset": DATASET,
            "epoch": EPOCH,
            "revision": integer(1, 999_999_999),
            "kind": choice("member", "amount"),
            "suite": choice("voprf", *SUM_SUITES),
            "key": DIGEST,
            "root": DIGEST,
            "count": integer(1),
            "as_of": day,
            "coverage": record(
                {"title": text(100)},
                {
                    "period": matching(r"[0-9]{4}-[0-9]{2}/[0-9]{4}-[0-9]{2}", "YYYY-MM/YYYY-MM"),
                    "regions": listing(REGION, 0, 256),
                },
            ),
            "definition": DIGEST,
            "secrecy": text(32),
        }
    ),
    "dataset.verified": record({"dataset": DATASET, "publication": PUBLICATION, "root": DIGEST}),
    "dataset.retired": record({"dataset": DATASET, "publication": PUBLICATION, "reason": REASON}),
    "sumkey.publish": record(
        {
            "suite": SUITE,
            "bits": integer(2048, 8192),
            "office": MEMBER_ID,
            "trustees": listing(MEMBER_ID, 1, 16),
            "threshold": integer(1, 17),
            "modulus": hexed(256, 1024),
            "base": hexed(1, 2048),
            "v": hexed(1, 2048),
            "verification": mapping(MEMBER_ID, hexed(1, 2048), 1, 17),
            "ceremony": DIGEST,
            "proof": listing(hexed(1, 2048), 1, 64),
        }
    ),
    "rules.publish": record(
        {
            "rules": RULES_ID,
            "version": RULES_VERSION,
            "digest": DIGEST,
            "region": REGION,
            "effective": day,
            "income": DATASETS,
            "deduct": DATASETS,
            "veto": DATASETS,
            "exclude": DATASETS,
        }
    ),
    "rules.approve": record({"rules": RULES_ID, "version": RULES_VERSION, "digest": DIGEST}),
    "grant.request": record(
        {
            "grant": GRANT_ID,
            "requester": MEMBER_ID,
            "owner": MEMBER_ID,
            "datasets": listing(record({"dataset": DATASET, "definition": DIGEST}), 1, 64),
            "protocol": choice(*PROTOCOLS),
            "reveal": choice(*REVEALS),
            "purpose": PURPOSE,
            "basis": text(200),
            "from": day,
            "until": day,
            "period": choice(*PERIODS),
            "slots": integer(1),
            "elements": integer(1),
            "min_terms": integer(0),
        }
    ),
    "grant.decide": record({"grant": GRANT_ID, "decision": choice("approve", "reject")}),
    "grant.revoke": record({"grant": GRANT_ID, "reason": REASON}),
    "grant.review": record({"grant": GRANT_ID, "result": REASON}),
    "consent.commit": record({"commitments": listing(DIGEST, 1, 800)}),
    "consent.revoke": record({"commitment": DIGEST}),
    "certificate.revoke": record({"digest": DIGEST}),
    "query.intent": record(
        {
            "certificate": CERTIFICATE,
            "signature": SIGNATURE,
            "digest": DIGEST,
            "operator": DIGEST,
            "slots": listing(
                record(
                    {"grant": GRANT_ID, "period": matching(r"[0-9-]{7,10}", "a period"), "slot": integer(0)}
                ),
                1,
                1024,
            ),
        }
    ),
    "query.refused": record({"entry": DIGEST, "code": CODE}),
    "query.answer": record(
        {
            "query": QUERY_ID,
            "dataset": DATASET,
            "result": matching(r"answered|refused:[a-z0-9_]{1,64}", "answered or refused:<code>"),
            "response": DIGEST,
        }
    ),
    "query.close": record({"query": QUERY_ID, "total": DIGEST, "report": DIGEST}),
    "share.release": record({"query": QUERY_ID, "case": integer(0), "list": DIGEST}),
    "share.exception": record({"query": QUERY_ID, "case": integer(0), "list": DIGEST, "reason": REASON}),
    "case.decision": COMMITTED,
    "complaint": COMMITTED,
    "correction": COMMITTED,
    "incident": record({"code": CODE, "count": integer(0)}, {"commitment": DIGEST}),
}
"""The form of every type's body."""


def check_body(type: str, body: Any) -> None:
    """Check the body of an entry of ``type``.

    Raises:
        EntryRefusedError: ``unknown_type``, ``unknown_field``, ``missing_field``, ``bad_field`` or
        ``identifier_shaped``.
    """
    check = SCHEMAS.get(type)
    if check is None:
        raise EntryRefusedError(
            "unknown_type", "this version of the contract does not know the type: update the node"
        )
    check(body, "body")
