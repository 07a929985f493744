"""One check as the office holds it: what must survive a kill, and the terms it proposes.

An ``Inquiry`` is stored before its certificate is asked for and after every step that cannot be repeated, so
that a check begun again goes on under the same query id, the same certificate and the same intent: a retry
takes no new slot.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection

from adapters.errors import AdapterError
from adapters.identifiers import canonical_bytes, resident_id
from ledger.periods import period_label
from ledger.records import Grant, Publication
from ledger.view import View
from node.errors import Refusal
from node.rules.ruleset import RuleSet
from node.scenario.model import NO_CONSENT, Case
from node.services import Services, instant
from node.store import tables
from node.store.database import put
from protocols.check.certificate import Openings
from protocols.encoding import commit
from protocols.psi import group, voprf

BEGUN, CERTIFIED, LOGGED = "begun", "certified", "logged"
DONE, ABANDONED = "done", "abandoned"
ENDED = (DONE, ABANDONED)
MOST_SLOTS_TRIED = 1_000_000


@dataclass
class Inquiry:
    """A check of one household, in the office's own store.

    Attributes:
        query: query id.
        case: case number.
        blinds: scalar r of each person, in the household's order.
        salt, application: salted digest of the application it was begun for.
        certificate, signature: the registrar's, once certified.
        openings: JSON of the openings.
        operator: opening of the operator's commitment.
        intent: the intent's leaf in hex, once composed.
        closing: salts of the two commitments in ``query.close``, for a reconciliation.
        state: how far it has come.
    """

    query: str
    case: str
    blinds: list[int]
    salt: str
    application: str
    certificate: dict[str, Any] = field(default_factory=dict)
    signature: dict[str, str] = field(default_factory=dict)
    openings: dict[str, Any] = field(default_factory=dict)
    operator: dict[str, str] = field(default_factory=dict)
    intent: str = ""
    closing: dict[str, str] = field(default_factory=dict)
    state: str = BEGUN

    def opened(self) -> Openings:
        """The certificate's openings."""
        return Openings.from_json(self.openings)


def resume_or_begin(services: Services, case: Case) -> Inquiry:
    """The unfinished inquiry of this very application, or a new one.

    An application that has changed since, and a certificate that ran out before its intent was logged, are
    abandoned and asked anew.
    """
    for row in services.store.all(tables.office_check, case_number=case.case):
        if row["state"] in ENDED:
            continue
        current = Inquiry(**json.loads(row["document"]))
        if (
            _same_application(current, case)
            and not _ran_out(current, services.clock())
            and not _is_forgotten(services, current)
        ):
            return current
        current.state = ABANDONED
        save(services, current)
    salt = secrets.token_bytes(32)
    blinds = [group.random_scalar() for _ in case.household]
    current = Inquiry(
        secrets.token_hex(16), case.case, blinds, salt.hex(), _application_digest(salt, case).hex()
    )
    save(services, current)
    return current


def _application_digest(salt: bytes, case: Case) -> bytes:
    """Salted digest of what a question depends on: rules, and each person with consent and region."""
    parts = [case.rules, *(f"{p.id}|{p.consent}|{p.region}" for p in case.household)]
    return commit(salt, b"application", *(part.encode() for part in parts))


def _same_application(current: Inquiry, case: Case) -> bool:
    """Whether an inquiry was begun for this application as it is now."""
    return _application_digest(bytes.fromhex(current.salt), case).hex() == current.application


def _ran_out(current: Inquiry, now: int) -> bool:
    """Whether a certificate ran out before its intent was logged."""
    return current.state == CERTIFIED and instant(current.certificate["not_after"]) <= now


def _is_forgotten(services: Services, current: Inquiry) -> bool:
    """Whether the ledger holds its intent and this store does not: put back from a backup made before."""
    return not current.intent and services.view.intent(current.query) is not None


def save(services: Services, inquiry: Inquiry) -> None:
    """Store an inquiry as it stands."""
    with services.store.writing() as connection:
        put_inquiry(connection, inquiry)


def put_inquiry(connection: Connection, inquiry: Inquiry) -> None:
    """Store an inquiry as it stands, inside the caller's transaction."""
    values = {
        "case_number": inquiry.case,
        "state": inquiry.state,
        "document": json.dumps(asdict(inquiry)),
    }
    put(connection, tables.office_check, {"query": inquiry.query}, values)


def member_positions(case: Case, inquiry: Inquiry) -> dict[int, int]:
    """Element position by household position (from 1), found by R = r·G and checked by α = r·H(x).

    Raises:
        Refusal: ``openings`` when the registrar's openings do not hold a person of this household.
    """
    openings = inquiry.opened()
    persons = [identifier for identifier in identifiers(case) if identifier is not None]
    if len(persons) != len(case.household) or len(openings.real) != len(persons):
        raise Refusal("openings", "the registrar certified other persons than this household: ask it why")
    by_commitment = dict(zip(openings.rlist, openings.real, strict=True))
    found: dict[int, int] = {}
    commitments = group.multiply_base(inquiry.blinds)
    for member, (point, alpha) in enumerate(
        zip(commitments, voprf.blind(persons, inquiry.blinds), strict=True), 1
    ):
        position = by_commitment.get(point)
        if position is None or openings.elements[position] != alpha:
            raise Refusal("openings", "the registrar certified other persons than this household: ask it why")
        found[member] = position
    return found


def identifiers(case: Case) -> list[bytes | None]:
    """Canonical identifier of each person; None where it is invalid."""
    found: list[bytes | None] = []
    for person in case.household:
        try:
            found.append(canonical_bytes(resident_id(person.id)))
        except AdapterError:
            found.append(None)
    return found


def refused_members(case: Case, code: str) -> tuple[int, ...]:
    """Household positions a refusal of the registrar is about, as far as the application shows it."""
    if code == "no_consent":
        named = [at for at, person in enumerate(case.household, 1) if person.consent == NO_CONSENT]
    elif code == "invalid_identifier":
        named = [at for at, identifier in enumerate(identifiers(case), 1) if identifier is None]
    else:
        named = []
    return tuple(named)


@dataclass(frozen=True)
class Asked:
    """A dataset a question names, and why others are left out.

    Attributes:
        publications: current publication and grant by dataset.
        missing: reason by dataset: ``unpublished`` or ``no_grant``.
        protocol: ``sum`` or ``check``.
    """

    publications: dict[str, tuple[Publication, Grant]]
    missing: dict[str, str]
    protocol: str


def choose_datasets(view: View, office: str, rules: RuleSet, count: int, now: str) -> Asked:
    """Every dataset of the rules that has a current publication and a grant for it.

    All grants of a question have one purpose: that of the rules (their id) where such grants exist, else the
    purpose that covers the most datasets. Among several grants for a dataset one with free slots is taken.

    Args:
        count: padded number of elements the question will show.
        now: ledger time, for validity and period.
    """
    current = {dataset: view.current(dataset, office) for dataset in rules.datasets}
    missing = {dataset: "unpublished" for dataset, found in current.items() if found is None}
    published = {dataset: found for dataset, found in current.items() if found is not None}
    protocol = "sum" if any(found.kind == "amount" for found in published.values()) else "check"
    grants = [
        grant
        for grant in view.grants_of(office)
        if view.is_active(grant.grant, now) and grant.protocol == protocol
    ]
    by_purpose = {
        purpose: _granted(view, published, [one for one in grants if one.purpose == purpose], count, now)
        for purpose in sorted({grant.purpose for grant in grants})
    }
    chosen = by_purpose.get(rules.id) or max(by_purpose.values(), key=len, default={})
    if protocol == "sum" and not any(publication.kind == "amount" for publication, _ in chosen.values()):
        chosen = {}
    missing.update({dataset: "no_grant" for dataset in published if dataset not in chosen})
    return Asked(chosen, missing, protocol)


def _granted(
    view: View, published: dict[str, Publication], grants: list[Grant], count: int, now: str
) -> dict[str, tuple[Publication, Grant]]:
    """Publication and grant of each dataset these grants cover: the newest with room, if one has room."""
    found: dict[str, tuple[Publication, Grant]] = {}
    for dataset, publication in published.items():
        fitting = [one for one in grants if one.datasets.get(dataset) == publication.definition]
        roomy = [one for one in fitting if _has_room(view, one, count, now)]
        if fitting:
            found[dataset] = (publication, (roomy or fitting)[-1])
    return found


def _has_room(view: View, grant: Grant, count: int, now: str) -> bool:
    """Whether a grant has the slots a question of so many elements takes."""
    needed = -(-count // grant.elements)
    return len(_choose(view, grant, period_label(now, grant.period), needed)) == needed


def certified_grants(view: View, certificate: dict[str, Any]) -> dict[str, Grant]:
    """Grants of a certified question by id.

    Raises:
        Refusal: ``grant`` when one is no longer on the ledger.
    """
    found: dict[str, Grant] = {}
    for item in certificate["datasets"]:
        grant = view.grant(item["grant"])
        if grant is None:
            raise Refusal(
                "grant", "a grant of this question is no longer on the ledger: begin the check anew"
            )
        found[grant.grant] = grant
    return found


def free_slots(
    view: View, grants: dict[str, Grant], count: int, period_of: Callable[[Grant], str]
) -> list[dict[str, Any]]:
    """Slots to take: for each grant exactly ⌈padded elements / its elements per slot⌉, all free.

    Raises:
        Refusal: ``budget`` when a grant has too few free slots in this period.
    """
    slots: list[dict[str, Any]] = []
    for name, grant in sorted(grants.items()):
        needed, period = -(-count // grant.elements), period_of(grant)
        chosen = _choose(view, grant, period, needed)
        if len(chosen) < needed:
            raise Refusal("budget", f"grant {name} has no free slot left in {period}: ask its owner for more")
        slots += [{"grant": name, "period": period, "slot": slot} for slot in sorted(chosen)]
    return slots


def _choose(view: View, grant: Grant, period: str, needed: int) -> list[int]:
    """Free slots from a random place on, so that two checks seldom want the same; at most ``needed``."""
    begin = secrets.randbelow(grant.slots)
    chosen: list[int] = []
    for step in range(min(grant.slots, MOST_SLOTS_TRIED)):
        slot = (begin + step) % grant.slots
        if view.slot_taken(grant.grant, period, slot) is None:
            chosen.append(slot)
            if len(chosen) == needed:
                break
    return chosen
