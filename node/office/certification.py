"""Certification of a question: the datasets, grants and slots it needs, and the registrar's certificate.

The terms come from the ledger; the openings that the registrar returns are checked before they are used.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from ledger.contract.records import Grant, Publication
from ledger.contract.view import View
from ledger.entries.times import parse_time, period_label
from ledger.fault_points import Point
from node.case import Case
from node.errors import RefusalError
from node.office import calls, inquiry
from node.office.calls import SignedRefusal
from node.office.check_state import Certification
from node.office.inquiry import Inquiry, InquiryState
from node.rules.ruleset import RuleSet
from node.rules.verdict import NO_GRANT, UNPUBLISHED, Gap
from node.services import Services
from protocols.check.certificate import Certificate, CertifiedDataset, RulesReference, Terms
from protocols.check.openings import check_openings
from protocols.profiles import padded_elements

MOST_SLOTS_TRIED = 1_000_000
LEAST_SECONDS_LEFT = 60
"""A certificate that expires sooner is renewed before the question is asked again."""


@dataclass(frozen=True)
class DatasetChoice:
    """The datasets a question names, and why others are left out.

    Attributes:
        publications: current publication and grant by dataset.
        gaps: why a dataset of the rules is left out: it has no publication, or the office no grant.
        protocol: ``sum`` or ``check``.
    """

    publications: dict[str, tuple[Publication, Grant]]
    gaps: dict[str, Gap]
    protocol: str


def choose_datasets(view: View, office: str, rules: RuleSet, count: int, now: str) -> DatasetChoice:
    """Every dataset of the rules that has a current publication and a grant for it.

    All grants of a question have one purpose: that of the rules (their id) where such grants exist, else the
    purpose that covers the most datasets. Among several grants for a dataset one with free slots is taken.

    Args:
        count: padded number of elements the question will show.
        now: ledger time, for validity and period.
    """
    current = {dataset: view.current(dataset, office) for dataset in rules.datasets}
    gaps = {dataset: UNPUBLISHED for dataset, found in current.items() if found is None}
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
    gaps.update({dataset: NO_GRANT for dataset in published if dataset not in chosen})
    return DatasetChoice(chosen, gaps, protocol)


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


def certified_grants(view: View, certificate: Certificate) -> dict[str, Grant]:
    """Grants of a certified question by id.

    Raises:
        RefusalError: ``grant`` when one is no longer on the ledger.
    """
    found: dict[str, Grant] = {}
    for item in certificate.datasets:
        grant = view.grant(item.grant)
        if grant is None:
            raise RefusalError(
                "grant", "a grant of this question is no longer on the ledger: start the check again"
            )
        found[grant.grant] = grant
    return found


def free_slots(
    view: View, grants: dict[str, Grant], count: int, period_of: Callable[[Grant], str]
) -> list[tuple[str, str, int]]:
    """Free slots to take, as (grant, period, slot): for each grant ⌈padded elements / elements per slot⌉.

    Raises:
        RefusalError: ``budget`` when a grant has too few free slots in this period.
    """
    slots: list[tuple[str, str, int]] = []
    for name, grant in sorted(grants.items()):
        needed, period = -(-count // grant.elements), period_of(grant)
        chosen = _choose(view, grant, period, needed)
        if len(chosen) < needed:
            raise RefusalError(
                "budget", f"grant {name} has no free slot left in {period}: ask its owner for more"
            )
        slots += [(name, period, slot) for slot in sorted(chosen)]
    return slots


def _choose(view: View, grant: Grant, period: str, needed: int) -> list[int]:
    """Free slots from a random place on, so that two checks seldom choose the same; at most ``needed``."""
    begin = secrets.randbelow(grant.slots)
    chosen: list[int] = []
    for step in range(min(grant.slots, MOST_SLOTS_TRIED)):
        slot = (begin + step) % grant.slots
        if view.slot_taken(grant.grant, period, slot) is None:
            chosen.append(slot)
            if len(chosen) == needed:
                break
    return chosen


def certify(
    services: Services, case: Case, rules: RuleSet, current: Inquiry
) -> Certification | SignedRefusal:
    """Certify a question, or continue with the certificate of an earlier run, renewed where it has expired.

    Raises:
        RefusalError: the registrar refuses the request, or certified other persons than this household.
        ServiceUnavailableError: the registrar is out of reach.
        CertificateError: the openings do not open the certificate.
    """
    now = services.ledger.now_text()
    count = padded_elements(len(case.household))
    chosen = choose_datasets(services.view, services.member, rules, count, now)
    if current.state != InquiryState.BEGUN:
        named = {item.dataset for item in current.certificate.datasets}
        gaps = {name: chosen.gaps.get(name, UNPUBLISHED) for name in rules.datasets if name not in named}
        positions = inquiry.member_positions(case, current.blinds, current.openings)
        _renew(services, current)
        return Certification(positions, gaps)
    outcome = calls.certify(services, _terms(services, rules, current, chosen), case, current.blinds)
    if isinstance(outcome, SignedRefusal):
        return outcome
    check_openings(outcome.certificate, outcome.openings)
    services.observe(Point.CERTIFIED)
    current.certified, current.state = outcome, InquiryState.CERTIFIED
    positions = inquiry.member_positions(case, current.blinds, current.openings)
    inquiry.save(services, current)
    return Certification(positions, chosen.gaps)


def _terms(services: Services, rules: RuleSet, current: Inquiry, chosen: DatasetChoice) -> Terms:
    """The question's terms, as proposed to the registrar."""
    grants = [grant for _, grant in chosen.publications.values()]
    return Terms(
        network=services.network,
        office=services.member,
        registrar=calls.registrar_of(services.view),
        query=current.query,
        protocol=chosen.protocol,
        reveal=grants[0].reveal if grants else "bits",
        purpose=grants[0].purpose if grants else rules.id,
        rules=RulesReference(rules.id, rules.version, rules.digest),
        datasets=tuple(
            CertifiedDataset(dataset, publication.label, bytes.fromhex(publication.key), grant.grant)
            for dataset, (publication, grant) in sorted(chosen.publications.items())
        ),
        cases=1,
    )


def _renew(services: Services, current: Inquiry) -> None:
    """Get a new validity where the certificate of an earlier run has expired or soon will."""
    if parse_time(current.certificate.not_after) > services.clock() + LEAST_SECONDS_LEFT:
        return
    assert current.certified is not None
    current.certified = calls.renew(services, current.certified)
    inquiry.save(services, current)
