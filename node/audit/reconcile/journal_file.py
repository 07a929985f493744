"""A member's journal in a file, for an auditor who has no access to its home.

Canonical JSON, one object a line::

    {"v": 1, "network", "member", "roles", "at", "opened"}     whose it is, and the second it was exported
    {"line": {…}} {"opening": {…}} {"question": {…}} {"certified": {…}}    see ``reconcile.journal``
    {"signature": {"key", "alg", "sig"}}                       the member's node key over the rest

The signature is over "hedui/journal/v1" ‖ 0x00 ‖ SHA-256 of all bytes before the last line. The file holds
what the reconciliation needs and no more: query ids, datasets, codes, digests, and the peers of refused
questions. It names no person, case number or amount. It opens nothing but the peers of incidents; with the
closing salts (``opened``) also ``query.close``, for readers who have the reports.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from keys.errors import KeysError
from keys.signing import SigningKey
from ledger import canonical
from ledger.contract.view import View
from ledger.errors import CanonicalError
from node.audit.reconcile.journal import Journal, JournalCertificate, JournalLine, JournalQuestion, Opening
from node.errors import JournalError
from node.member_keys import sign

DOMAIN = b"hedui/journal/v1\x00"
HEAD = {"v", "network", "member", "roles", "at", "opened"}
PARTS: dict[str, tuple[str, type]] = {
    "line": ("lines", JournalLine),
    "opening": ("openings", Opening),
    "question": ("questions", JournalQuestion),
    "certified": ("certified", JournalCertificate),
}
"""Field of ``Journal`` and class by the name of the object in the file."""


def export(journal: Journal, key: SigningKey, now: int, *, opened: bool) -> bytes:
    """The file of a journal.

    Args:
        journal: as ``read_home`` gives it.
        key: the member's node key.
        now: seconds since 1970.
        opened: leave the salts that open ``query.close`` in.
    """
    questions = journal.questions
    if not opened:
        questions = tuple(replace(question, total="", report="") for question in questions)
    kept = replace(journal, taken=now, opened=opened, questions=questions)
    rows: list[dict[str, Any]] = [
        {
            "v": 1,
            "network": kept.network,
            "member": kept.member,
            "roles": list(kept.roles),
            "at": now,
            "opened": opened,
        }
    ]
    rows += [{name: asdict(one)} for name, (place, _) in PARTS.items() for one in getattr(kept, place)]
    body = b"".join(canonical.encode(row) + b"\n" for row in rows)
    return body + canonical.encode({"signature": sign(key, _message(body)).to_json()}) + b"\n"


def read_file(path: Path, view: View) -> Journal:
    """Read and verify an exported journal.

    Args:
        path: the file.
        view: the replayed ledger, which knows the member's node key.

    Raises:
        JournalError: malformed, or not signed by the member's node key on the ledger.
        OSError: the file cannot be read.
    """
    try:
        *rows, last = _rows(path)
        found = parse(rows)
        sealed = _object(last)["signature"]
    except (CanonicalError, KeyError, TypeError, ValueError) as error:
        raise JournalError(
            f"{path} is no exported journal: its member writes one with `hedui node journal`"
        ) from error
    member = view.member(found.member)
    key = None if member is None else member.key_for("node")
    try:
        if key is None or sealed["key"] != key.id:
            raise JournalError(
                f"{path} is not signed by {found.member}'s node key on the ledger: ask for a new export"
            )
        key.verifier().verify(_message(b"".join(rows)), bytes.fromhex(sealed["sig"]))
    except (KeysError, KeyError, TypeError, ValueError) as error:
        raise JournalError(
            f"{path} was changed after {found.member} signed it: ask for a new export"
        ) from error
    return found


def _rows(path: Path) -> list[bytes]:
    """A file's lines; none is read that is too long to be a journal's."""
    rows: list[bytes] = []
    with path.open("rb") as file:
        while row := file.readline(canonical.MAX_BYTES + 2):
            if not row.endswith(b"\n"):
                raise ValueError("a line of the file is too long, or does not end")
            rows.append(row)
    return rows


def parse(rows: list[bytes]) -> Journal:
    """The journal of a file's lines but the last.

    Raises:
        CanonicalError, KeyError, TypeError, ValueError: malformed.
    """
    head = _object(rows[0]) if rows else {}
    if head.keys() != HEAD or head["v"] != 1 or type(head["at"]) is not int:
        raise ValueError("the first line is no head of a journal")
    parts: dict[str, Any] = {place: [] for place, _ in PARTS.values()}
    for row in rows[1:]:
        [(name, value)] = _object(row).items()
        place, kind = PARTS[name]
        parts[place].append(_part(kind, value))
    roles = tuple(str(role) for role in head["roles"])
    found = {place: tuple(items) for place, items in parts.items()}
    return Journal(
        str(head["network"]), str(head["member"]), roles, head["at"], head["opened"] is True, **found
    )


def _part(kind: type, value: dict[str, Any]) -> Any:
    """One object of a file; its fields have exactly the types of its class."""
    types = {"str": str, "int": int, "bool": bool}
    expected = {each.name: types[str(each.type)] for each in fields(kind)}
    if value.keys() != expected.keys() or any(type(value[name]) is not expected[name] for name in value):
        raise ValueError("a line of the journal has other fields than this version's")
    return kind(**value)


def _object(row: bytes) -> dict[str, Any]:
    if not row.endswith(b"\n"):
        raise ValueError("each line ends in a newline")
    value = canonical.decode(row[:-1])
    if not isinstance(value, dict):
        raise TypeError("each line is an object")
    return value


def _message(body: bytes) -> bytes:
    return DOMAIN + hashlib.sha256(body).digest()
