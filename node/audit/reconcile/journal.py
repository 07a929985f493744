"""A member's journal: the records of its own store, in the form that reconciliation compares.

    JournalLine           a department's answer or refusal, a trustee's release
    Opening               a department's: which peer an incident on the ledger counted
    JournalQuestion       an office's: a check it has begun, and its state
    JournalCertificate    a registrar's: a certificate it has signed

It holds no identifier, key, case number or secret. ``stored`` is the digest computed again from the answer
or share that the node keeps, so that a journal line and the stored data are compared too. Where a case was
closed without a total it equals the record, so that the two cases cannot be distinguished. The salts that
open ``query.close`` are left out unless they are requested: with them a reader who has a report can open
it, and a guess of the list of terms can be tested.

**In a file** a journal is for an auditor who has no access to the member's home. Canonical JSON, one object
per line::

    {"v": 1, "network", "member", "roles", "at", "opened"}     whose it is, and the second it was exported
    {"line": {…}} {"opening": {…}} {"question": {…}} {"certified": {…}}    see the classes above
    {"signature": {"key", "alg", "sig"}}                       the member's node key over the rest

The signature is over "hedui/journal/v1" ‖ 0x00 ‖ SHA-256 of all bytes before the last line. The file holds
what the reconciliation needs and no more: query ids, datasets, codes, digests, and the peers of refused
questions. It names no person, case number or amount. It opens nothing but the peers of incidents; with the
closing salts (``opened``) also ``query.close``, for readers who have the reports.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from keys.errors import KeysError
from keys.signing import SigningKey
from ledger import canonical
from ledger.contract.view import View
from ledger.entries.entry import certificate_digest
from ledger.entries.times import parse_time
from ledger.errors import CanonicalError
from ledger.storage.database import open_database
from node.config import Configuration
from node.errors import JournalError
from node.member_keys import sign
from node.membership.network import NetworkFile
from node.office.inquiry import read_inquiry
from node.store import tables
from node.store.database import Store
from node.store.opening import migrate, open_store
from node.times import system_clock
from protocols.check.answer import Answer
from protocols.check.openings import recorded_list

ANSWER, INCIDENT, RELEASE = "answer", "incident", "release"
OutboxEntries = dict[str, dict[str, Any]]
DOMAIN = b"hedui/journal/v1\x00"
HEAD = {"v", "network", "member", "roles", "at", "opened"}


@dataclass(frozen=True)
class JournalLine:
    """One line of the journal.

    Attributes:
        kind: ``answer``, ``incident`` or ``release``, see ``node.store.tables.journal``.
        at: seconds since 1970.
        peer: member that asked; empty for releases that older versions recorded.
        query, dataset: what was asked; a refusal without a valid intent may have neither.
        case: case index of a release, else 0.
        result: ``answered``, ``refused:<code>`` or ``released``.
        record: hex digest in the entry that stands for the line; empty where none does yet.
        stored: the same digest worked out from what the node keeps; empty where it keeps nothing.
        waiting: the entry has not reached the ledger yet.
    """

    kind: str
    at: int
    peer: str
    query: str
    dataset: str
    case: int
    result: str
    record: str
    stored: str
    waiting: bool


@dataclass(frozen=True)
class Opening:
    """Opening of an incident's commitment; ``salt`` and ``peer`` in the clear, ``count`` as in the entry."""

    commitment: str
    salt: str
    peer: str
    count: int
    at: int
    waiting: bool


@dataclass(frozen=True)
class JournalQuestion:
    """A check the office has begun.

    Attributes:
        query: query id.
        household: label that the checks of one case share; drawn again each time a journal is read.
        state: ``begun``, ``certified``, ``logged``, ``done`` or ``abandoned``.
        asks: the certificate names at least one dataset, so that an intent belongs to it.
        certificate: its digest; empty before there is one.
        at: second since 1970 from which the certificate is valid; 0 before there is one.
        total, report: salts that open ``query.close``; empty where it is not closed, or they are left out.
        waiting: ``query.close`` has not reached the ledger yet.
    """

    query: str
    household: str
    state: str
    asks: bool
    certificate: str
    at: int
    total: str
    report: str
    waiting: bool


@dataclass(frozen=True)
class JournalCertificate:
    """A certificate the registrar has signed: its query and digest."""

    query: str
    certificate: str


@dataclass(frozen=True)
class Journal:
    """One member's side.

    Attributes:
        network, member: whose it is.
        roles: what the member says it is; what is compared goes by the ledger's.
        taken: second since 1970 when it was exported; None where it was read just now.
        opened: the salts of closed questions are in it.
    """

    network: str
    member: str
    roles: tuple[str, ...]
    taken: int | None = None
    opened: bool = True
    lines: tuple[JournalLine, ...] = ()
    openings: tuple[Opening, ...] = ()
    questions: tuple[JournalQuestion, ...] = ()
    certified: tuple[JournalCertificate, ...] = field(default=())


def read_home(configuration: Configuration) -> Journal:
    """The journal of a home on this machine, its node running or not.

    Raises:
        ConfigurationError: the home has joined no network.
    """
    network = NetworkFile.read(configuration.home.network).network
    database = open_database(configuration.store_url)
    try:
        open_store(configuration.home, database, system_clock())
        return read_journal(database, network, configuration.member, configuration.roles)
    finally:
        database.dispose()


def read_journal(database: Engine, network: str, member: str, roles: tuple[str, ...]) -> Journal:
    """The journal in a node's database, brought to this version if need be."""
    migrate(database)
    store = Store(database)
    outbox = {str(row["id"]): row for row in store.all(tables.outbox)}
    return Journal(
        network,
        member,
        roles,
        lines=tuple(_lines(store, outbox)),
        openings=tuple(_openings(store, outbox)),
        questions=tuple(_questions(store, outbox)),
        certified=tuple(_certified(store)),
    )


def _waits(outbox: OutboxEntries, name: str) -> bool:
    return name in outbox and outbox[name]["state"] == "waiting"


def _lines(store: Store, outbox: OutboxEntries) -> Iterator[JournalLine]:
    """Every line in the order of writing."""
    answers = {(row["query"], row["dataset"]): _response(row) for row in store.all(tables.answer)}
    releases = {(row["query"], row["case_index"]): row for row in store.all(tables.release)}
    for row in sorted(store.all(tables.journal), key=lambda row: int(row["number"])):
        query, dataset, result, record = row["query"], row["dataset"], row["result"], row["record"]
        case = 0 if row["case_index"] is None else int(row["case_index"])
        stored, name = "", ""
        if row["kind"] == RELEASE:
            name = f"release/{query}/{case}"
            if (query, case) in releases:
                stored = _stored_list(bytes(releases[query, case]["share"]), record)
        elif result == "answered":
            name = f"answer/{query}/{dataset}"
            stored = answers.get((query, dataset), "")
        elif row["kind"] == ANSWER:
            name, stored = f"refusal/{query}/{dataset}", record
        waiting = _waits(outbox, name)
        kind, at, peer = str(row["kind"]), int(row["at"]), row["peer"]
        yield JournalLine(kind, at, peer, query, dataset, case, result, record, stored, waiting)


def _response(row: dict[str, Any]) -> str:
    """Digest of a kept answer."""
    return Answer.parse(row["dataset"], json.loads(row["document"])).response.hex()


def _stored_list(share: bytes, record: str) -> str:
    """The digest that ``share.release`` should carry for a kept share; the record where there is no list."""
    if not share:
        return record
    value = canonical.decode(share)
    assert isinstance(value, dict)
    return recorded_list(bytes.fromhex(str(value["salt"])), bytes.fromhex(str(value["list"]))).hex()


def _openings(store: Store, outbox: OutboxEntries) -> Iterator[Opening]:
    """Openings of every incident that counts lines of this journal."""
    peers = {row["record"]: row["peer"] for row in store.all(tables.journal, kind=INCIDENT)}
    for name, row in outbox.items():
        if name.startswith("incident/"):
            body = json.loads(bytes(row["leaf"]))["body"]
            commitment = body.get("commitment", "")
            if commitment in peers:
                waiting, salt = row["state"] == "waiting", name.partition("/")[2]
                at = int(row["created"])
                yield Opening(commitment, salt, peers[commitment], int(body["count"]), at, waiting)


def _questions(store: Store, outbox: OutboxEntries) -> Iterator[JournalQuestion]:
    """Every check the office has begun."""
    households: dict[str, str] = {}
    for row in store.all(tables.office_check):
        current = read_inquiry(row)
        label = households.setdefault(current.case, secrets.token_hex(8))
        certificate = None if current.certified is None else current.certificate
        salts = current.close_salts
        yield JournalQuestion(
            current.query,
            label,
            current.state.value,
            certificate is not None and bool(certificate.datasets),
            "" if certificate is None else certificate_digest(certificate.to_json()),
            0 if certificate is None else parse_time(certificate.not_before),
            "" if salts is None else salts.total,
            "" if salts is None else salts.report,
            _waits(outbox, f"close/{current.query}"),
        )


def _certified(store: Store) -> Iterator[JournalCertificate]:
    """Every certificate the registrar has signed."""
    for row in store.all(tables.certificate):
        document = json.loads(row["document"])
        yield JournalCertificate(row["query"], certificate_digest(document["certificate"]))


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
