"""A report as typed documents: ``HouseholdReport``, and those parts that occur only in reports.

The office builds a ``HouseholdReport`` and seals it; the page shows one. Both read and write a report as a
whole, so ``parse`` is strict: one malformed field anywhere and there is no report. A verifier must say which
checks fail, and so it reads a report field by field instead, each where a check needs it (``subject``).

Certificate, refusal, openings, answers, evidence, proofs and term list have classes of their own in
``protocols.check``; the verdict has one in ``node.rules.verdict``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.entries.times import check_date
from node.errors import ReportError
from node.rules.ruleset import RuleSet, parse
from node.rules.verdict import SUMMED, Gap, LineAnswer, Verdict, VerdictReason
from protocols.check.answer import Answer
from protocols.check.certificate import Certificate, RefusalDocument
from protocols.check.evidence import ElementProof, EvidenceLine
from protocols.check.json_form import (
    Field,
    JsonForm,
    SignatureValue,
    choice,
    integer,
    listed,
    matching,
    octets,
    part,
    text,
)
from protocols.check.openings import Openings
from protocols.check.terms import PartialOpening, TermList
from protocols.errors import EncodingError, ProtocolError

_FEN = integer(None)
_ID = text(64)
_DATASET = text(128)
_DIGEST_TEXT = matching(r"[0-9a-f]{64}", "32 bytes in lower-case hex")
_SIGNATURE = part(SignatureValue.parse)


class ReportPartError(ProtocolError):
    """A report, or a part of it, lacks a field or holds an unknown or malformed one; the message names it."""

    code = "report_part"


def _nullable(field: Field) -> Field:
    """The value of a field, or null."""
    return Field(
        lambda value: None if value is None else field.read(value),
        lambda value: None if value is None else field.write(value),
    )


def _read_date(value: object) -> str:
    try:
        if type(value) is not str:
            raise EncodingError("must be text")
        check_date(value)
    except ValueError as error:
        raise EncodingError("must be a date, YYYY-MM-DD") from error
    return value


def _read_gap(value: object) -> Gap:
    if type(value) is not str:
        raise EncodingError("must be text")
    try:
        return Gap.parse(value)
    except ReportError as error:
        raise EncodingError(str(error)) from error


def _read_object(value: object) -> dict[str, Any]:
    if type(value) is not dict:
        raise EncodingError("must be an object")
    return value


def _read_answers(value: object) -> dict[str, Answer]:
    return {name: Answer.parse(name, answer) for name, answer in _read_object(value).items()}


def _write_answers(answers: Mapping[str, Answer]) -> dict[str, Any]:
    return {name: answer.to_json() for name, answer in answers.items()}


def _write_openings(openings: Openings) -> dict[str, Any]:
    """Elements, R list and case map with their salts; the consents stay out of a report."""
    return {name: value for name, value in openings.to_json().items() if not name.startswith("consents")}


_RULES_FORM = JsonForm("the rules part", ReportPartError, {"id": _ID, "version": _ID, "text": text(1 << 20)})


@dataclass(frozen=True)
class RulesPart:
    """The rule set of a report.

    Attributes:
        id, version: of the rule set.
        text: its exact text, whose digest is on the ledger.
    """

    id: str
    version: str
    text: str

    @property
    def rule_set(self) -> RuleSet:
        """The rule set that the text states.

        Raises:
            RulesError: not well formed.
        """
        return parse(self.text.encode())

    @classmethod
    def parse(cls, value: object) -> RulesPart:
        """Read ``{id, version, text}``.

        Raises:
            ReportPartError: a field is missing, unknown or malformed.
        """
        return cls(**_RULES_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{id, version, text}``."""
        return _RULES_FORM.write(self)


_HOUSEHOLD_FORM = JsonForm("the household", ReportPartError, {"size": integer(1)})


@dataclass(frozen=True)
class HouseholdPart:
    """The household in a report: the number of its members only."""

    size: int

    @classmethod
    def parse(cls, value: object) -> HouseholdPart:
        """Read ``{size}``.

        Raises:
            ReportPartError: the size is missing or malformed, or there is more.
        """
        return cls(**_HOUSEHOLD_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{size}``."""
        return _HOUSEHOLD_FORM.write(self)


_ENTRY_FORM = JsonForm(
    "an entry",
    ReportPartError,
    {"index": integer(0), "path": listed(octets(32)), "leaf": Field(_read_object, dict)},
)


@dataclass(frozen=True)
class ReportEntry:
    """One entry of the ledger with the path that proves it.

    Attributes:
        index: of the entry in the log.
        path: inclusion path under the report's checkpoint, 32 bytes each.
        leaf: the entry's JSON object, whose canonical bytes are the leaf.
    """

    index: int
    path: tuple[bytes, ...]
    leaf: Mapping[str, Any]

    @classmethod
    def parse(cls, value: object) -> ReportEntry:
        """Read ``{index, path, leaf}``.

        Raises:
            ReportPartError: a field is missing, unknown or malformed.
        """
        return cls(**_ENTRY_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{index, path, leaf}``."""
        return _ENTRY_FORM.write(self)


_LEDGER_FORM = JsonForm(
    "the ledger's part",
    ReportPartError,
    {"checkpoint": text(1 << 16), "entries": listed(part(ReportEntry.parse))},
)


@dataclass(frozen=True)
class LedgerPart:
    """What proves the entries of a report.

    Attributes:
        checkpoint: note of one cosigned checkpoint.
        entries: by index.
    """

    checkpoint: str
    entries: tuple[ReportEntry, ...]

    @classmethod
    def parse(cls, value: object) -> LedgerPart:
        """Read ``{checkpoint, entries}``.

        Raises:
            ReportPartError: a field is missing, unknown or malformed.
        """
        return cls(**_LEDGER_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{checkpoint, entries}``."""
        return _LEDGER_FORM.write(self)


_REFUSAL_FORM = JsonForm(
    "the refusal's part",
    ReportPartError,
    {"document": part(RefusalDocument.parse), "signature": _SIGNATURE},
)


@dataclass(frozen=True)
class ReportRefusal:
    """The registrar's signed refusal, without the salt that opens its household.

    Attributes:
        document, signature: as the registrar signed it.
    """

    document: RefusalDocument
    signature: SignatureValue

    @classmethod
    def parse(cls, value: object) -> ReportRefusal:
        """Read ``{document, signature}``.

        Raises:
            ReportPartError: a field is missing, unknown or malformed.
        """
        return cls(**_REFUSAL_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{document, signature}``."""
        return _REFUSAL_FORM.write(self)


_LINE_FORM = JsonForm(
    "a line",
    ReportPartError,
    {
        "member": integer(1),
        "dataset": _DATASET,
        "answer": choice(*(answer.value for answer in LineAnswer), SUMMED),
        "reason": _nullable(Field(_read_gap, str)),
        "evidence": _nullable(part(EvidenceLine.parse)),
    },
)


@dataclass(frozen=True)
class ReportLine:
    """One household position and dataset of the rules.

    Attributes:
        member: position in the household from 1.
        dataset: dataset id.
        answer: ``match``, ``no_match``, ``not_covered`` or ``summed``.
        reason: why the line is not covered; None where it is.
        evidence: what proves the answer; None where the dataset was not answered.
    """

    member: int
    dataset: str
    answer: str
    reason: Gap | None
    evidence: EvidenceLine | None

    @classmethod
    def parse(cls, value: object) -> ReportLine:
        """Read ``{member, dataset, answer, reason, evidence}``.

        Raises:
            ReportPartError: a field is missing, unknown or malformed.
        """
        return cls(**_LINE_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{member, dataset, answer, reason, evidence}``."""
        return _LINE_FORM.write(self)


_TOTAL_FORM = JsonForm(
    "the total",
    ReportPartError,
    {
        "list": part(TermList.parse),
        "list_signature": _SIGNATURE,
        "shares": listed(part(PartialOpening.parse)),
        "net_fen": _FEN,
    },
)


@dataclass(frozen=True)
class ReportTotal:
    """An opened total with everything that proves it.

    Attributes:
        list: the list of terms.
        list_signature: the office's, over the list.
        shares: every holder's share, by holder.
        net_fen: Σ income − Σ deduct, fen.
    """

    list: TermList
    list_signature: SignatureValue
    shares: tuple[PartialOpening, ...]
    net_fen: int

    @classmethod
    def parse(cls, value: object) -> ReportTotal:
        """Read ``{list, list_signature, shares, net_fen}``.

        Raises:
            ReportPartError: a field is missing, unknown or malformed.
        """
        return cls(**_TOTAL_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{list, list_signature, shares, net_fen}``."""
        return _TOTAL_FORM.write(self)


_REASON_FORM = JsonForm(
    "a reason",
    ReportPartError,
    {
        "code": _ID,
        "member": _nullable(integer(1)),
        "dataset": _nullable(_DATASET),
        "limit": _nullable(_ID),
    },
)


def _read_reason(value: object) -> VerdictReason:
    return VerdictReason(**_REASON_FORM.read(value))


_VERDICT_FORM = JsonForm(
    "the verdict",
    ReportPartError,
    {
        "outcome": _ID,
        "net_fen": _nullable(_FEN),
        "heads": _nullable(integer(0)),
        "reasons": listed(Field(_read_reason, _REASON_FORM.write)),
    },
)


def parse_verdict(value: object) -> Verdict:
    """Read a verdict's ``to_json``.

    Raises:
        ReportPartError: a field is missing, unknown or malformed.
    """
    return Verdict(**_VERDICT_FORM.read(value))


_REPORT_FORM = JsonForm(
    "the report",
    ReportPartError,
    {
        "network": _ID,
        "office": _ID,
        "case": text(128),
        "applied": Field(_read_date, str),
        "policy": _DIGEST_TEXT,
        "rules": part(RulesPart.parse),
        "household": part(HouseholdPart.parse),
        "ledger": part(LedgerPart.parse),
        "refusal": _nullable(part(ReportRefusal.parse)),
        "certificate": _nullable(part(Certificate.parse)),
        "signature": _nullable(_SIGNATURE),
        "openings": _nullable(Field(part(Openings.parse).read, _write_openings)),
        "positions": listed(integer(0)),
        "answers": Field(_read_answers, _write_answers),
        "lines": listed(part(ReportLine.parse)),
        "proofs": listed(part(ElementProof.parse)),
        "total": _nullable(part(ReportTotal.parse)),
        "verdict": part(parse_verdict),
        "salt": octets(32),
        "seal": _SIGNATURE,
    },
    version=1,
    optional=frozenset({"seal"}),
)


@dataclass(frozen=True)
class HouseholdReport:
    """A report; ``form`` lists its fields.

    Attributes:
        network, office: names.
        case: number of the case.
        applied: date of the application, YYYY-MM-DD.
        policy: fingerprint of the trust policy, hex.
        rules, household, ledger: see their classes.
        refusal: the registrar's, where no question left; then the parts below are None or empty.
        certificate, signature: the newest renewal, and the registrar's signature over it.
        openings: elements, R list and case map; their consents are empty in a report that was read.
        positions: element position of each member of the household.
        answers: by dataset.
        lines: by household position and dataset, in the order of the rules.
        proofs: by element and datasets.
        total: the opened total, or None.
        verdict: outcome and grounds.
        salt: 32 random bytes.
        seal: the office's; None before it is sealed.
    """

    network: str
    office: str
    case: str
    applied: str
    policy: str
    rules: RulesPart
    household: HouseholdPart
    ledger: LedgerPart
    refusal: ReportRefusal | None
    certificate: Certificate | None
    signature: SignatureValue | None
    openings: Openings | None
    positions: tuple[int, ...]
    answers: Mapping[str, Answer]
    lines: tuple[ReportLine, ...]
    proofs: tuple[ElementProof, ...]
    total: ReportTotal | None
    verdict: Verdict
    salt: bytes
    seal: SignatureValue | None = None

    @classmethod
    def parse(cls, value: object) -> HouseholdReport:
        """Read a report's JSON object.

        Raises:
            ReportPartError: a field is missing, unknown or malformed.
        """
        return cls(**_REPORT_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """The object in the form of ``form``; without ``seal`` before it is sealed."""
        return _REPORT_FORM.write(self)
