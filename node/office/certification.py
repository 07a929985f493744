"""Getting a question certified: terms from the ledger, the registrar's certificate, its openings checked."""

from __future__ import annotations

from ledger.entries.times import parse_time
from ledger.fault_points import Point
from node.case import Case
from node.office import calls, inquiry, plan
from node.office.calls import SignedRefusal
from node.office.check_state import Certification
from node.office.inquiry import BEGUN, CERTIFIED, Inquiry
from node.rules.gaps import UNPUBLISHED
from node.rules.ruleset import RuleSet
from node.services import Services
from protocols.check.certificate import CertifiedDataset, RulesReference, Terms
from protocols.check.openings import check_openings
from protocols.profiles import padded_elements

LEAST_SECONDS_LEFT = 60
"""A certificate that expires sooner is renewed before the question is asked again."""


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
    chosen = plan.choose_datasets(services.view, services.member, rules, count, now)
    if current.state != BEGUN:
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
    current.certified, current.state = outcome, CERTIFIED
    positions = inquiry.member_positions(case, current.blinds, current.openings)
    inquiry.save(services, current)
    return Certification(positions, chosen.gaps)


def _terms(services: Services, rules: RuleSet, current: Inquiry, chosen: plan.DatasetChoice) -> Terms:
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
