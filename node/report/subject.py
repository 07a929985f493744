"""The report under verification: its parts as typed documents, for the checks that need them.

A report is untrusted, so its parts are parsed one by one, each where a check needs it. A part that is
missing or malformed raises there, and fails exactly the checks that need it. For the same reason a line is
an ``UntrustedLine`` here, read field by field, and not a ``ReportLine``, which is read as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ledger.contract.records import Intent, Publication
from ledger.contract.view import View
from node.references import reference
from node.report.findings import CheckFailedError, Findings
from node.report.verify_ledger import Proven
from node.rules.ruleset import RuleSet, parse
from node.rules.verdict import Gap
from protocols.check.answer import Answer
from protocols.check.certificate import Certificate, RefusalDocument
from protocols.check.evidence import EvidenceLine, SetReference
from protocols.check.openings import Openings
from protocols.check.terms import RuleDatasets, TermList
from protocols.errors import EvidenceError


def text_of(value: Any, name: str) -> str:
    """A text field of an untrusted object.

    Raises:
        KeyError, TypeError: the field is missing or has another type (``findings.MALFORMED``).
    """
    found = value[name]
    if type(found) is not str:
        raise TypeError(f"{name} must be text")
    return found


def integer_of(value: Any, name: str | int) -> int:
    """An integer field of an untrusted object, or an integer item of an untrusted list.

    Raises:
        KeyError, IndexError, TypeError: it is missing or has another type (``findings.MALFORMED``).
    """
    found = value[name]
    if type(found) is not int:
        raise TypeError(f"{name} must be an integer")
    return found


@dataclass(frozen=True)
class UntrustedLine:
    """A line of a report under verification; each property reads one field, whatever the others hold.

    Every property but ``label`` raises one of ``findings.MALFORMED`` where its field is missing or of
    another type.

    Attributes:
        value: as the report holds it.
    """

    value: Any

    @property
    def label(self) -> str:
        """``<household position>/<dataset>``; empty where the line does not name both."""
        if not isinstance(self.value, dict) or not {"member", "dataset"} <= self.value.keys():
            return ""
        return f"{self.value['member']}/{self.value['dataset']}"

    @property
    def member(self) -> int:
        """Position in the household, from 1 in a valid report."""
        return integer_of(self.value, "member")

    @property
    def dataset(self) -> str:
        """Dataset id."""
        return text_of(self.value, "dataset")

    @property
    def answer(self) -> str:
        """The answer as it is shown."""
        return text_of(self.value, "answer")

    @property
    def gap(self) -> Gap | None:
        """Why the line is not covered, or None.

        Raises:
            ReportError: the text of the reason is that of no gap.
        """
        return None if self.value["reason"] is None else Gap.parse(text_of(self.value, "reason"))

    @property
    def evidence(self) -> EvidenceLine | None:
        """The evidence, or None.

        Raises:
            EvidenceError: it is malformed.
        """
        given = self.value["evidence"]
        return None if given is None else EvidenceLine.parse(given)


@dataclass
class Subject:
    """A report, what its entries prove, and what was found.

    Attributes:
        report: the decoded object.
        proven: the replayed ledger.
        found: failures so far.
    """

    report: dict[str, Any]
    proven: Proven
    found: Findings

    @property
    def view(self) -> View:
        """The replayed state."""
        return self.proven.view

    @property
    def refused(self) -> bool:
        """Whether the report is one of a case no question left for."""
        return self.report["refusal"] is not None

    @property
    def network(self) -> str:
        """The network that the report names."""
        return text_of(self.report, "network")

    @property
    def office(self) -> str:
        """The office that the report names."""
        return text_of(self.report, "office")

    @property
    def household_size(self) -> int:
        """Number of the household's members, as stated."""
        return integer_of(self.report["household"], "size")

    @property
    def lines(self) -> list[UntrustedLine]:
        """The lines in the report's order."""
        return [UntrustedLine(item) for item in self.report["lines"]]

    @property
    def net_fen(self) -> int | None:
        """The opened total, as stated; None where none was opened."""
        total = self.report["total"]
        return None if total is None else integer_of(total, "net_fen")

    @cached_property
    def rules(self) -> RuleSet:
        """The rule set, from the report's text.

        Raises:
            RulesError: not well formed.
        """
        return parse(str(self.report["rules"]["text"]).encode())

    @property
    def rule_datasets(self) -> RuleDatasets:
        """The rules' lists."""
        rules = self.rules
        return RuleDatasets(rules.income, rules.deduct, rules.veto, rules.exclude)

    @cached_property
    def certificate(self) -> Certificate:
        """The certificate.

        Raises:
            CertificateError: it is missing or malformed.
        """
        return Certificate.parse(self.report["certificate"])

    @cached_property
    def refusal(self) -> RefusalDocument:
        """The registrar's refusal.

        Raises:
            CertificateError: it is malformed.
        """
        return RefusalDocument.parse(self.report["refusal"]["document"])

    @cached_property
    def term_list(self) -> TermList:
        """The list of the total's terms.

        Raises:
            TermListError: it is malformed.
        """
        return TermList.parse(self.report["total"]["list"])

    @property
    def query(self) -> str:
        """Query id of the certificate."""
        return self.certificate.query

    @property
    def intent(self) -> Intent:
        """The question on the ledger.

        Raises:
            CheckFailedError: it is not among the proven entries.
        """
        found = self.view.intent(self.query)
        if found is None:
            raise CheckFailedError("the intent is not among the report's proven entries")
        return found

    @property
    def asked_at(self) -> int:
        """Index of the intent's entry; 0 where there is none."""
        return self.proven.index_of(self.query)

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """Publication of each certified dataset."""
        return {item.dataset: item.publication for item in self.certificate.datasets}

    @cached_property
    def openings(self) -> Openings:
        """Elements, R list and case map."""
        return Openings.parse(self.report["openings"])

    def is_answered(self, dataset: str) -> bool:
        """Whether the report holds an answer of this dataset."""
        return dataset in self.report["answers"]

    def position(self, member: int) -> int:
        """Element position of a household member, as stated."""
        return integer_of(self.report["positions"], member - 1)

    def answer(self, dataset: str) -> Answer:
        """A department's answer.

        Raises:
            EvidenceError: it is malformed.
        """
        return Answer.parse(dataset, self.report["answers"][dataset])

    @property
    def elements(self) -> list[int]:
        """Positions of the household's elements, ascending."""
        return [position for position, case in enumerate(self.openings.casemap) if case == 1]

    def publication(self, dataset: str) -> Publication:
        """The publication of a certified dataset.

        Raises:
            CheckFailedError: the certificate does not name it, or it is not among the proven entries.
        """
        label = self.labels.get(dataset)
        found = None if label is None else self.view.publication(dataset, label)
        if found is None:
            raise CheckFailedError(
                f"{dataset}: no publication of it was asked and is among the proven entries"
            )
        return found

    def reference(self, dataset: str) -> SetReference:
        """The publication as evidence is checked against it."""
        return reference(self.publication(dataset))

    @cached_property
    def evidence(self) -> Mapping[tuple[int, str], EvidenceLine]:
        """Evidence by (element, dataset), as far as it parses; each line is verified by its own check."""
        found: dict[tuple[int, str], EvidenceLine] = {}
        for item in self.lines:
            with suppress(EvidenceError):
                line = item.evidence
                if line is not None:
                    found[line.element, line.dataset] = line
        return found
