"""The registrar's index of persons in questions for a total this month, and reasons for another question.

Two totals that differ by one person reveal that person's amount. So a person is in one question for a total
a calendar month (UTC+8). The same persons under the same rules and publications may be asked about again; any
other question needs a reason that two people of the registrar sign, and a reason serves one question. The
index holds keyed digests, which reveal nothing without the key.

A registrar restored from an old backup lacks the questions since that backup. In the months concerned every
person counts as asked about in another question: two people sign a reason for each case, and the registrar
records an ``incident`` (``asked_without_memory``). From the next month on it works as usual.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from pydantic import Field
from sqlalchemy import Connection

from ledger import canonical
from ledger.entries import bodies
from ledger.entries.times import check_date, parse_time
from node.errors import RefusalError
from node.services import Services
from node.store import tables
from node.store.database import put
from node.validation.model import StrictModel
from node.validation.reading import read_request
from protocols.check.certificate import Terms
from protocols.check.certify import BlindedPerson
from protocols.encoding import fields
from protocols.profiles import CERTIFICATE_SECONDS

DAY = 24 * 3600
WITHOUT_MEMORY = "asked_without_memory"
ALLOWANCE_DOMAIN = b"hedui/question-allowance/v1\x00"


class QuestionAllowance(StrictModel):
    """A reason why the persons of a case may be in another question for a total in one month.

    Attributes:
        case: the case's number.
        month: ``YYYY-MM`` in UTC+8.
        reason: for the registrar's records.
    """

    case: str = Field(description="the case's number")
    month: str = Field(description="a month, YYYY-MM")
    reason: str = Field(description="a text")

    @classmethod
    def parse(cls, value: object) -> QuestionAllowance:
        """An allowance from its JSON object.

        Raises:
            RefusalError: ``malformed``: fields are missing, unknown or no texts.
        """
        return read_request(cls, value, "allowance")

    def to_json(self) -> dict[str, str]:
        """The JSON object that ``parse`` reads."""
        return self.model_dump()

    def message(self) -> bytes:
        """The bytes that two operators of the registrar sign."""
        return ALLOWANCE_DOMAIN + canonical.encode(self.to_json())


class SubjectIndex:
    """The registrar's index of the persons it certified questions for a total about, by month."""

    def __init__(self, services: Services) -> None:
        """Args: ``services`` of the node."""
        self._services = services
        self._key = services.keys.vault.get("subjects")
        self._uncertain: frozenset[str] | None = None

    def _months(self) -> set[str]:
        """Calendar months in UTC+8 in which a certificate made now may be used."""
        now = self._services.clock()
        return {self._services.month_of(now), self._services.month_of(now + CERTIFICATE_SECONDS)}

    def _subject(self, identifier: bytes) -> str:
        """Keyed digest of a person, which reveals nothing without the key."""
        return hmac.digest(self._key, fields(b"subject", identifier), "sha256").hex()

    def _basis(self, terms: Terms, persons: list[BlindedPerson]) -> str:
        """Keyed digest of persons, rules and publications; the same digest means the same question."""
        subjects = sorted(self._subject(person.identifier) for person in persons)
        publications = [f"{item.dataset}/{item.publication}" for item in terms.datasets]
        parts = [*subjects, terms.rules.digest, *publications]
        return hmac.digest(self._key, fields(b"basis", *(part.encode() for part in parts)), "sha256").hex()

    def uncertain_months(self) -> frozenset[str]:
        """Months in which questions were certified, or may have been, that this store does not know."""
        services = self._services
        if self._uncertain is None:
            found: set[str] = set()
            for _, entry in services.ledger.replica.of_type("query.intent"):
                certificate = entry.body["certificate"]
                known = services.store.one(tables.certificate, query=str(certificate["query"]))
                if certificate["registrar"] == services.member and known is None:
                    found |= self._between(parse_time(certificate["not_before"]), parse_time(entry.time))
            fence = services.restore_fence.position
            if fence is not None:  # certified before the loss, and logged by the office later, or never
                found |= self._between(fence.moment, fence.time)
            self._uncertain = frozenset(found)
        return self._uncertain

    def _between(self, first: int, last: int) -> set[str]:
        """Months in which certificates made from ``first`` to ``last`` may be used."""
        days = range(first, last + CERTIFICATE_SECONDS, DAY)
        return {self._services.month_of(second) for second in (*days, last + CERTIFICATE_SECONDS)}

    def check(self, terms: Terms, cases: list[str], persons: list[BlindedPerson]) -> set[str]:
        """Refuse a second, different question for a total about a person in one calendar month.

        Returns:
            Cases whose reason, signed by two people, this question uses up.
        """
        used: set[str] = set()
        if terms.protocol != "sum" or not terms.datasets:
            return used
        basis, uncertain = self._basis(terms, persons), self.uncertain_months()
        for month in sorted(self._months()):
            for person in persons:
                subject = self._subject(person.identifier)
                asked = self._services.store.all(tables.subject, subject=subject, month=month)
                is_free = not asked and month not in uncertain
                if is_free or any(row["basis"] == basis for row in asked):
                    continue
                where = {"case_number": cases[person.case], "month": month}
                allowed = self._services.store.one(tables.allowed_question, **where)
                if allowed is None or json.loads(allowed["document"])["used"]:
                    raise RefusalError(
                        "already_asked",
                        "a person was, or after a restore may have been, in another question for a total "
                        "this month: two people sign a reason",
                    )
                used.add(where["case_number"])
        return used

    def allow(self, allowance: QuestionAllowance, signatures: list[dict[str, str]]) -> None:
        """Let a case be asked this month although its persons were: a reason signed by two people.

        A reason serves one question; the next one needs another.

        Args:
            allowance: case, month and reason.
            signatures: of two different operators of this registrar over ``allowance.message()``.

        Raises:
            RefusalError: ``malformed`` for an invalid month; ``unknown_case`` where this registrar's
                store has no consent of the case; ``missing_signer`` when fewer than two of its operators
                signed; ``reason_used`` for a reason that has served.
            BadSignatureError: a signature does not verify.
        """
        member = self._services.view.member(self._services.member)
        operators = {} if member is None else {key.id: key for key in member.keys_for("operator")}
        message = allowance.message()
        for item in signatures:
            key = operators.get(item["key"])
            if key is None:
                raise RefusalError("surplus_signer", "only operators of this registrar sign here")
            key.verifier().verify(message, bytes.fromhex(item["sig"]))
        if len({item["key"] for item in signatures}) < 2:
            raise RefusalError("missing_signer", "two different people of the registrar must sign the reason")
        digest = hashlib.sha256(message).hexdigest()
        where = {"case_number": allowance.case, "month": allowance.month}
        self._require_real(**where)
        with self._services.store.writing() as connection:
            row = self._services.store.one(tables.allowed_question, **where)
            known = {"reasons": [], "used": ""} if row is None else json.loads(row["document"])
            if digest in known["reasons"]:
                if known["used"] or digest != known["reasons"][-1]:
                    raise RefusalError(
                        "reason_used", "this reason has served a question: sign another for the next"
                    )
                return
            reasons = [*known["reasons"], digest]
            kept = {
                "document": allowance.to_json(),
                "signatures": signatures,
                "used": "",
                "reasons": reasons,
            }
            text = json.dumps(kept, ensure_ascii=False)
            put(connection, tables.allowed_question, where, {"document": text})

    def _require_real(self, case_number: str, month: str) -> None:
        """The month is one of the calendar, and the case is known here."""
        try:
            check_date(f"{month}-01")
        except ValueError as error:
            raise RefusalError("malformed", "a month is written YYYY-MM: sign the reason again") from error
        if not self._services.store.all(tables.consent, case_number=case_number):
            raise RefusalError(
                "unknown_case",
                "the store has no consent of this case: see its number, or load its application",
            )

    def remember(
        self, connection: Connection, terms: Terms, persons: list[BlindedPerson], allowances: set[str]
    ) -> None:
        """Store the persons for each month in which the certificate may be used, and mark reasons as used."""
        basis = self._basis(terms, persons)
        for month in sorted(self._months()):
            for person in persons:
                key = {"subject": self._subject(person.identifier), "query": terms.query, "month": month}
                put(connection, tables.subject, key, {"basis": basis})
            for case in allowances:
                where = {"case_number": case, "month": month}
                row = self._services.store.one(tables.allowed_question, **where)
                if row is not None:
                    kept = {**json.loads(row["document"]), "used": terms.query}
                    text = json.dumps(kept, ensure_ascii=False)
                    put(connection, tables.allowed_question, where, {"document": text})
                    if month in self.uncertain_months():
                        body = bodies.incident(WITHOUT_MEMORY, 1)
                        name, now = f"allowance/{terms.query}/{month}", self._services.clock()
                        self._services.outbox.add(connection, name, "incident", body, now)
