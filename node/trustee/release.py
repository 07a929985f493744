"""The trustee's part of a check: it opens a total over a proven list, once, and sees no persons or amounts.

    peer → question (as a department verifies it) → openings → grants → dataset.verified and rules approved
         → every answer's DLEQ under the key on the ledger → lines and element proofs
         → the one list these allow = the list the office signed → departments' answers on the ledger
         → rows released before only in the same term set → share stored → share.release final
         → share and proof

The trustee stores its share before it records it, and returns the same bytes when it is asked again. Asked
without a list it closes the case index permanently and gives no share. It takes no ciphertext from another
member: it computes C from the proven leaves.

A trustee restored from an old backup lacks releases that the ledger shows. Their case indices are closed.
Which rows they opened cannot be known, so a row of a publication they could use opens only after two people
of the trustee have signed an exception; once the dataset is published again, its rows open as usual.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ledger import canonical
from ledger.contract.view import View
from ledger.entries import bodies
from ledger.fault_points import Point
from node.errors import RefusalError, ServiceUnavailableError
from node.membership.sum_key import own_share, sum_key
from node.question import Question, VerifiedQuestion, check_grant, verify_question
from node.references import rule_datasets, set_references
from node.rpc.untrusted_json import read_object, read_signature
from node.services import Services, check_signature
from node.store import tables
from node.store.database import note_release, put
from protocols.check.answer import Answer, verify_answer
from protocols.check.certificate import Certificate
from protocols.check.evidence import ElementProof, EvidenceLine, SetReference, verify_lines
from protocols.check.openings import Openings, check_openings, recorded_list
from protocols.check.terms import ROW, PartialOpening, RuleDatasets, TermList, check_list, signed_ciphertexts
from protocols.encoding import commit, fields
from protocols.errors import ProtocolError
from protocols.sums import shareproof
from protocols.sums.shareproof import ListContext
from protocols.sums.threshold import partial

ANSWER_WAIT_SECONDS = 5.0


@dataclass(frozen=True)
class OpenRequest:
    """An office's request to open a total, nothing of it verified.

    Attributes:
        question: certificate, intent, receipt.
        openings: elements, R list and case map.
        case: case index.
        evidence: canonical JSON: answers, lines, proofs of the deciding datasets; empty without a list.
        term_list: canonical JSON of the term list; empty to close the case index without a total.
        signature: canonical JSON of the office's signature object over the list.
    """

    question: Question
    openings: Openings
    case: int
    evidence: bytes
    term_list: bytes
    signature: bytes


@dataclass(frozen=True)
class PreparedRelease:
    """A verified request.

    Attributes:
        digest: of the term list; None where the case is closed without a total.
        rows: names of the rows with their signs.
        ciphertexts: (ciphertext, sign) of the rows.
    """

    digest: bytes | None
    rows: tuple[str, ...]
    ciphertexts: tuple[tuple[bytes, int], ...]

    @property
    def name(self) -> str:
        """The list as the store names it; empty without one."""
        return "" if self.digest is None else self.digest.hex()

    @property
    def leaves(self) -> tuple[str, ...]:
        """Names of the rows without their signs: the same row whatever its sign elsewhere."""
        return tuple(row.rpartition("/")[0] for row in self.rows)

    @property
    def term_set(self) -> str:
        """Digest of the rows with their signs, whatever the query."""
        return hashlib.sha256("\n".join(sorted(self.rows)).encode()).hexdigest()


class Trustee:
    """The trustee role of one node."""

    def __init__(self, services: Services) -> None:
        """Args: ``services`` of the node."""
        self._services = services
        self._lock = threading.Lock()
        self._possibly_opened: frozenset[tuple[str, str]] | None = None

    def open(self, peer: str, request: OpenRequest) -> bytes:
        """Answer one request.

        Returns:
            Canonical JSON of a ``PartialOpening``, or empty without a list.

        Raises:
            RefusalError, NodeError, LedgerError: refused, with the code of the first check that fails.
        """
        verified = verify_question(self._services, peer, request.question)
        certificate = verified.certificate
        if certificate.protocol != "sum":
            raise RefusalError("protocol", "only an intent of protocol sum opens a total")
        try:
            prepared = self._prepare(peer, verified, request)
        except ProtocolError as error:
            raise RefusalError(error.code, str(error)) from error
        query, case = certificate.query, request.case
        with self._lock:
            known = self._services.store.one(tables.release, query=query, case_index=case)
            if known is None:
                value = self._release(peer, certificate, case, prepared)
            else:
                value = _repeat(known, prepared)
        self._finish(query, case)
        self._services.observe(Point.SHARE_FINAL)
        return value

    def _releases_not_stored(self) -> frozenset[tuple[str, str]]:
        """(dataset, publication) that releases on the ledger could use and this store does not know of."""
        if self._possibly_opened is None:
            services, found = self._services, set()
            for _, entry in services.ledger.replica.of_type("share.release"):
                query, case = str(entry.body["query"]), int(entry.body["case"])
                release, intent = (
                    services.view.release(query, case, services.member),
                    services.view.intent(query),
                )
                if release is None or release.entry != entry.id or intent is None:
                    continue
                if services.store.one(tables.release, query=query, case_index=case) is None:
                    found |= {(item.dataset, item.publication) for item in intent.datasets}
            self._possibly_opened = frozenset(found)
        return self._possibly_opened

    def _release(self, peer: str, certificate: Certificate, case: int, prepared: PreparedRelease) -> bytes:
        """Make the share; store it with its rows, journal line and ledger entry in one transaction."""
        query, salt = certificate.query, secrets.token_bytes(32)
        if self._services.view.release(query, case, self._services.member) is not None:
            raise RefusalError(
                "already_released", "this case was released before a restore: it is closed permanently"
            )
        self._check_rows(query, case, prepared)
        value = b""
        if prepared.digest is not None:
            with self._services.timings.part("cryptography"):
                value = canonical.encode(self._make_share(certificate, prepared, salt).to_json())
        with self._services.store.writing() as connection:
            for row in prepared.leaves:
                put(connection, tables.released_row, {"row": row}, {"terms": prepared.term_set})
            key = {"query": query, "case_index": case}
            put(connection, tables.release, key, {"list": prepared.name, "share": value})
            self._put_record(connection, peer, query, case, recorded_list(salt, prepared.digest))
        self._services.observe(Point.SHARE_STORED)
        return value

    def _prepare(self, peer: str, verified: VerifiedQuestion, request: OpenRequest) -> PreparedRelease:
        """Verify everything, in the order of the module."""
        services, certificate = self._services, verified.certificate
        check_openings(certificate, request.openings)
        if not 0 <= request.case < certificate.cases:
            raise RefusalError("case", "the question has no such case")
        for item in certificate.datasets:
            check_grant(services, services.view.grant(item.grant))
        prepared = PreparedRelease(None, (), ())
        if request.term_list:
            prepared = self._verify_list(peer, verified, request)
        self._require_answered(certificate.query)
        return prepared

    def _verify_list(self, peer: str, verified: VerifiedQuestion, request: OpenRequest) -> PreparedRelease:
        """The evidence, and the one list it allows; the office's signature over that list."""
        services, certificate = self._services, verified.certificate
        rules = rule_datasets(services.view, certificate.rules)
        references = set_references(services.view, verified.intent, _deciding(rules))
        with services.timings.part("cryptography"):
            lines = verify_evidence(request.openings, request.case, request.evidence, references)
        listed = TermList.parse(read_object(request.term_list))
        check_signature(services.view, peer, read_signature(request.signature), listed.message)
        elements = case_elements(request.openings, request.case)
        terms = check_list(listed, certificate, request.case, elements, rules, lines)
        rows = tuple(
            f"{term.dataset}/{references[term.dataset].publication}/{term.index}/{term.sign}"
            for term in terms
            if term.kind == ROW
        )
        self._check_minimum(certificate, len(rows))
        return PreparedRelease(listed.digest, rows, tuple(signed_ciphertexts(terms, lines)))

    def _require_answered(self, query: str) -> None:
        """Check that every department's answer is on the ledger; wait up to 5 s for the last ones."""

        def complete(view: View) -> bool:
            intent = view.intent(query)
            answers = view.answers(query)
            return intent is not None and all(
                item.dataset in answers and answers[item.dataset].answered for item in intent.datasets
            )

        with self._services.timings.part("ledger"):
            answered = self._services.ledger.wait_for(complete, ANSWER_WAIT_SECONDS)
        if not answered:
            raise RefusalError(
                "not_answered", "not every department's answer is on the ledger yet: try again"
            )

    def _check_minimum(self, certificate: Certificate, rows: int) -> None:
        """At least the grants' ``min_terms`` rows."""
        for item in certificate.datasets:
            grant = self._services.view.grant(item.grant)
            if grant is not None and rows < grant.min_terms:
                raise RefusalError("min_terms", "the total has fewer rows than a grant allows to open")

    def _check_rows(self, query: str, case: int, prepared: PreparedRelease) -> None:
        """Check that no row opens in another term set, or that two people of the trustee allowed it."""
        excepted = self._services.view.exception(query, case, self._services.member)
        if excepted is not None and prepared.digest is not None:
            salt = exception_salt(self._services.keys.vault.get("exceptions"), query, case)
            if excepted.list == commit(salt, b"list", prepared.digest).hex():
                return
        possibly_opened = self._releases_not_stored()
        for row in prepared.leaves:
            known = self._services.store.one(tables.released_row, row=row)
            dataset, publication, _ = row.split("/")
            is_uncertain = known is None and (dataset, publication) in possibly_opened
            if is_uncertain or (known is not None and known["terms"] != prepared.term_set):
                raise RefusalError(
                    "row_released",
                    "a row was, or after a restore may have been, opened in another total: two people of the "
                    f"trustee sign list {prepared.name}",
                )

    def _make_share(self, certificate: Certificate, prepared: PreparedRelease, salt: bytes) -> PartialOpening:
        """This trustee's share of C with its proof, and the salt of the recorded list digest."""
        assert prepared.digest is not None
        services = self._services
        key = sum_key(services.view)
        share = own_share(key, services.keys.vault, services.member)
        rows = [(key.public.from_bytes(data), sign) for data, sign in prepared.ciphertexts]
        total = key.public.combine(rows)
        value = partial(key, share, total)
        context = ListContext(self._services.network, certificate.query, prepared.digest)
        proof = shareproof.prove(key, share, total, value, context)
        return PartialOpening(self._services.member, prepared.digest, proof, key.public.to_bytes(value), salt)

    def _put_record(self, connection: Connection, peer: str, query: str, case: int, listed: bytes) -> None:
        """``share.release`` into the outbox, in the transaction that stores the share."""
        body = bodies.share_release(query, case, listed.hex())
        now = self._services.clock()
        self._services.outbox.add(connection, f"release/{query}/{case}", "share.release", body, now)
        note_release(connection, now, peer, query, case, listed.hex())

    def _finish(self, query: str, case: int) -> None:
        """Wait until the release is final: no share is given before it is recorded."""
        services = self._services
        services.outbox.wake()
        with services.timings.part("ledger"):
            final = services.ledger.wait_for(
                lambda view: view.release(query, case, services.member) is not None, 30
            )
        if not final:
            raise ServiceUnavailableError("the release waits for the ledger: ask again when it answers")


def _repeat(known: dict[str, Any], prepared: PreparedRelease) -> bytes:
    """The same bytes as before, for the same list; the case index is closed for any other."""
    if known["list"] != prepared.name:
        raise RefusalError("already_released", "this case was released for another list: it is closed")
    return bytes(known["share"])


def _deciding(rules: RuleDatasets) -> tuple[str, ...]:
    """Datasets that decide a total."""
    return tuple(sorted({*rules.income, *rules.deduct, *rules.exclude}))


def case_elements(openings: Openings, case: int) -> list[int]:
    """Positions of one case's real elements."""
    return [position for position, owner in enumerate(openings.casemap) if owner == case + 1]


def verify_evidence(
    openings: Openings,
    case: int,
    evidence: bytes,
    references: Mapping[str, SetReference],
) -> dict[tuple[int, str], EvidenceLine]:
    """Verify answers and lines of one case for the datasets of ``references``.

    Raises:
        ProtocolError: the first thing that does not hold.
    """
    answers, lines, proofs = _read_evidence(evidence)
    for dataset, reference in references.items():
        if dataset not in answers:
            raise RefusalError("evidence", f"{dataset}: the department's answer is missing")
        verify_answer(answers[dataset], reference.key, openings.elements)
    positions = set(case_elements(openings, case))
    commitments = {
        position: commitment
        for position, commitment in zip(openings.real, openings.rlist, strict=True)
        if position in positions
    }
    return verify_lines(lines, proofs, commitments, answers, references)


def _read_evidence(evidence: bytes) -> tuple[dict[str, Answer], list[EvidenceLine], list[ElementProof]]:
    """Read what ``LookupEvidence.for_trustee`` writes.

    Raises:
        RefusalError, EvidenceError: a part is missing or malformed.
    """
    value = read_object(evidence)
    try:
        return (
            {dataset: Answer.parse(dataset, item) for dataset, item in value["answers"].items()},
            [EvidenceLine.parse(item) for item in value["lines"]],
            [ElementProof.parse(item) for item in value["proofs"]],
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise RefusalError("malformed", "the evidence lacks a part or holds a malformed one") from error


def exception_salt(secret: bytes, query: str, case: int) -> bytes:
    """Salt of the list that an exception names, known to the trustee's own people only; 32 bytes."""
    return hmac.digest(secret, fields(b"exception", query.encode(), case.to_bytes(4, "big")), "sha256")
