"""The office's part in opening a total: the signed term list, its own share, every trustee's share, the sum.

Office and trustees each compute C from the proven leaves; the office makes its share while the trustees check
its list and make theirs. Every share's proof is verified before the shares are combined. A total out of range
is recorded as an incident.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from ledger import canonical
from ledger.entries import bodies
from node.errors import RefusalError
from node.member_keys import sign
from node.membership.sum_key import own_share, sum_key
from node.office import calls
from node.office.check_state import Answers, HouseholdLines
from node.office.inquiry import Inquiry
from node.references import rule_datasets
from node.report.parts import ReportTotal
from node.rpc.untrusted_json import read_object
from node.services import Services
from protocols.check.terms import PartialOpening, TermList, expected_terms, signed_ciphertexts
from protocols.errors import EvidenceError, ProtocolError
from protocols.sums import shareproof
from protocols.sums.shareproof import ListContext
from protocols.sums.sumkey import SumKey
from protocols.sums.threshold import combine, decode, partial


def close_without_total(services: Services, current: Inquiry) -> None:
    """Ask every trustee, without a list, to close the case index permanently."""
    for trustee in calls.trustees_of(services.view):
        calls.open_total(services, current, trustee, None)


def open_total(services: Services, current: Inquiry, answers: Answers, lines: HouseholdLines) -> ReportTotal:
    """Open the total of a check whose lines are proven.

    Raises:
        ServiceUnavailableError, RefusalError: a trustee is out of reach or refuses.
        ProofError: a share's proof does not hold.
    """
    rules = rule_datasets(services.view, current.certificate.rules)
    terms = expected_terms(list(current.openings.real), rules, lines.evidence.lines)
    listed = TermList.of(current.certificate, calls.CASE_INDEX, terms)
    signature = sign(services.keys.node, listed.message)
    deciding = {*rules.income, *rules.deduct, *rules.exclude}
    evidence = lines.evidence.for_trustee(answers.by_dataset, deciding)
    rows = signed_ciphertexts(terms, lines.evidence.lines)
    key = sum_key(services.view)
    ciphertext = key.public.combine([(key.public.from_bytes(data), factor) for data, factor in rows])
    context = ListContext(services.network, current.query, listed.digest)
    request = calls.TotalRequest(evidence, canonical.encode(listed.to_json()), signature)

    def ask_trustee(trustee: str) -> PartialOpening:
        return _read_share(trustee, calls.open_total(services, current, trustee, request))

    shares = _collect_shares(services, key, ciphertext, context, ask_trustee)
    with services.timings.part("cryptography"):
        values = _verified(key, ciphertext, context, shares, services.member)
        try:
            net = decode(key.public, combine(key, values), len(rows))
        except ProtocolError as error:
            _record_incident(services, error.code)
            raise RefusalError(error.code, str(error)) from error
    return ReportTotal(listed, signature, shares, net)


def _read_share(trustee: str, data: bytes) -> PartialOpening:
    """A trustee's share from its answer.

    Raises:
        RefusalError: ``malformed``.
    """
    try:
        share = PartialOpening.parse(read_object(data))
    except EvidenceError as error:
        raise RefusalError("malformed", f"{trustee}: {error}") from error
    if share.holder != trustee or share.salt is None:
        raise RefusalError("malformed", f"{trustee}: its share names another holder, or lacks its salt")
    return share


def _collect_shares(
    services: Services,
    key: SumKey,
    ciphertext: int,
    context: ListContext,
    ask_trustee: Callable[[str], PartialOpening],
) -> tuple[PartialOpening, ...]:
    """The office's own share and every trustee's, made at the same time; by holder."""
    with ThreadPoolExecutor(len(key.trustees)) as pool:
        waiting = [pool.submit(ask_trustee, trustee) for trustee in key.trustees]
        with services.timings.part("cryptography"):
            share = own_share(key, services.keys.vault, services.member)
            value = partial(key, share, ciphertext)
            proof = shareproof.prove(key, share, ciphertext, value, context)
        own = PartialOpening(share.holder, context.list_digest, proof, key.public.to_bytes(value))
        shares = [own, *(future.result() for future in waiting)]
        return tuple(sorted(shares, key=lambda each: each.holder))


def _verified(
    key: SumKey, ciphertext: int, context: ListContext, shares: Iterable[PartialOpening], own: str
) -> dict[str, int]:
    """Partial openings by holder, every one but the office's own verified."""
    values: dict[str, int] = {}
    for share in shares:
        value = key.public.from_bytes(share.value)
        if share.holder != own:
            shareproof.verify(key, share.holder, ciphertext, value, share.proof, context)
        values[share.holder] = value
    return values


def _record_incident(services: Services, code: str) -> None:
    """Record an opened total that cannot be true; it never becomes a verdict."""
    with services.store.writing() as connection:
        name = f"incident/{secrets.token_hex(8)}"
        services.outbox.add(connection, name, "incident", bodies.incident(code, 1), services.clock())
    services.outbox.wake()
