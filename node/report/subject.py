"""The report under verification: its parts as typed documents, for the checks that need them.

A report is untrusted, so its parts are parsed one by one, each where a check needs it. A part that is
missing or malformed raises there, and fails exactly the checks that need it.
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
from protocols.check.answer import Answer
from protocols.check.certificate import Certificate, RefusalDocument
from protocols.check.evidence import EvidenceLine, SetReference
from protocols.check.openings import Openings
from protocols.check.terms import RuleDatasets, TermList
from protocols.errors import EvidenceError


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
            CertificateError: there is none, or it is malformed.
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
        for item in self.report["lines"]:
            if item["evidence"] is not None:
                with suppress(EvidenceError):
                    line = EvidenceLine.parse(item["evidence"])
                    found[line.element, line.dataset] = line
        return found
