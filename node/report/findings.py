"""Findings of a verification: every failed check with its name, its line and the reason.

The names are stable; ``CHECK_TEXTS`` says for people what each failure means:

    form, policy, checkpoint, receipt, replay, seal            the whole report
    rules, certificate, openings, answer, refusal              the question
    lines, evidence, element_proof, coverage                   the lines
    terms, release, shares, total, verdict                     the result
    identity                                                   with an openings file

A line is ``<household position>/<dataset>``, a dataset, an entry's index, a holder, a household position,
or empty for the whole report. Checks do not stop one another: what one of them cannot read fails it, and
the next one runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType

from node.errors import KNOWN_ERRORS, ReportError
from node.messages.catalogue import mark

CHECK_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "form": mark("the report does not have the fixed form: fetch it from the office again"),
        "policy": mark("the report was not made under the policy that you trust"),
        "checkpoint": mark(
            "the ledger's checkpoint is not signed by the log, or too few witnesses cosigned it"
        ),
        "receipt": mark("an entry is not proven to be on the ledger"),
        "replay": mark("an entry breaks the ledger's contract"),
        "seal": mark("the office's signature over the report does not verify"),
        "rules": mark("the text of the rules is not the one that was recorded and approved on the ledger"),
        "certificate": mark(
            "the registrar's certificate does not match the question, or its signature does not verify"
        ),
        "openings": mark("the elements, or the places of the household among them, are not those certified"),
        "answer": mark("the department's answer is not proven, or is not the one that it recorded"),
        "refusal": mark("the registrar's signed refusal does not match the case"),
        "lines": mark("lines are missing, appear twice or are not asked for by the rules"),
        "evidence": mark("the evidence does not show what the line states"),
        "element_proof": mark("the proof that the line belongs to the certified person does not verify"),
        "coverage": mark("a line that is not covered gives no reason, or a reason that does not hold"),
        "terms": mark("the total's terms are not exactly the counted members' rows with the rules' signs"),
        "release": mark("the trustee's release of this list is not on the ledger"),
        "shares": mark("a share of the total does not verify"),
        "total": mark("the shares do not open to the stated total"),
        "verdict": mark(
            "the outcome, net income or number of members does not follow from the lines and the rules"
        ),
        "identity": mark("the openings do not belong to this report"),
    }
)
"""What it means that a check fails, by the check's name, in the order of the checks."""
CHECKS = tuple(CHECK_TEXTS)

MALFORMED: tuple[type[Exception], ...] = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What Python raises while a check reads hostile JSON: the check fails, closed."""


class CheckFailedError(ReportError):
    """One check of a report fails."""


@dataclass(frozen=True)
class Failure:
    """One failing check.

    Attributes:
        check: its stable name.
        line: what it is about, see the module; empty for the whole report.
        reason: why, in English; never an identifier.
    """

    check: str
    line: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """``{"check", "line", "reason"}``."""
        return {"check": self.check, "line": self.line, "reason": self.reason}


class Findings:
    """Collects failures; each once."""

    def __init__(self) -> None:
        self._failures: dict[Failure, None] = {}

    @property
    def failures(self) -> list[Failure]:
        """Failures in the order of the checks."""
        return sorted(self._failures, key=lambda failure: CHECKS.index(failure.check))

    def add(self, check: str, line: str, reason: str) -> None:
        """Record one failure."""
        self._failures[Failure(check, line, reason)] = None

    def check(self, name: str, line: str = "") -> Check:
        """A ``with`` block that is one check: an error of ours, or in reading what is malformed, fails it."""
        return Check(self, name, line)


class Check:
    """One check while it runs; the errors that fail it end with its block."""

    def __init__(self, found: Findings, name: str, line: str) -> None:
        self._found = found
        self._name = name
        self._line = line

    def __enter__(self) -> None:
        """Nothing is prepared."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool:
        """Record what fails the check; every other error goes on."""
        if isinstance(error, KNOWN_ERRORS):
            self._found.add(self._name, self._line, str(error))
            return True
        if isinstance(error, MALFORMED):
            self._found.add(
                self._name, self._line, "what this check needs is missing or malformed in the report"
            )
            return True
        return False


def require(holds: bool, reason: str) -> None:
    """Go on only if ``holds``.

    Raises:
        CheckFailedError: with the reason.
    """
    if not holds:
        raise CheckFailedError(reason)
