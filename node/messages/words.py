"""The text for each code of a report and of a network: outcomes, answers, reasons, consents, roles.

A code that a region's own rules add has no text here and is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from node.messages.catalogue import mark

WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "outcome": {
            "dibao": mark("minimum living allowance: within the standard"),
            "edge": mark("marginal low income: below 1.5 times the standard"),
            "none": mark("above the limits of these rules"),
            "vetoed": mark("excluded by a veto item of the rules"),
            "incomplete": mark("incomplete: no verdict, review by a person"),
            "no_consent": mark("not checked: a member has not consented"),
        },
        "answer": {
            "match": mark("match"),
            "no_match": mark("no match"),
            "not_covered": mark("not covered"),
            "summed": mark("added to the total"),
        },
        "reason": {
            "no_consent": mark("Member {member} has not consented: obtain consent, then ask again."),
            "invalid_identifier": mark(
                "The identifier of member {member} is not valid: correct it in the application."
            ),
            "not_covered": mark(
                "{dataset} does not cover member {member}: ask again later, or have a person review the case."
            ),
            "no_counted_member": mark(
                "No member of the household is counted: have a person review the case."
            ),
            "excluded": mark("Member {member} is not counted ({dataset})."),
            "veto": mark("Member {member} has a record in {dataset}."),
            "at_most": mark("Net income per head and month is at most {limit} times the standard."),
            "below": mark("Net income per head and month is below {limit} times the standard."),
            "otherwise": mark("Net income per head and month is above every limit of the rules."),
            "duplicate_person": mark("A person is named twice: correct the application."),
            "already_asked": mark(
                "A member of the household was in another question for a total this month: two people of the "
                "registrar decide."
            ),
        },
        "gap": {
            "unpublished": mark("No department publishes this dataset."),
            "no_grant": mark("The office has no grant for it."),
            "silent": mark("The department did not answer in time."),
            "too_old": mark("The data are older than the rules allow."),
            "region": mark("The person lives outside the region that the data cover."),
        },
        "consent": {
            "signed": mark("signed electronically"),
            "paper": mark("on paper"),
            "guardian": mark("by a guardian"),
            "none": mark("not given"),
        },
        "relation": {
            "self": mark("applicant"),
            "spouse": mark("spouse"),
            "child": mark("child"),
            "parent": mark("parent"),
        },
        "list": {
            "income": mark("income"),
            "deduct": mark("deduction"),
            "veto": mark("veto item"),
            "exclude": mark("reason not to count a member"),
        },
        "role": {
            "auditor": mark("auditor"),
            "sequencer": mark("sequencer"),
            "trustee": mark("trustee"),
            "registrar": mark("registrar"),
            "office": mark("verification office"),
            "department": mark("department"),
        },
    }
)
"""Text by kind and code."""


def word_text(kind: str, code: str) -> str | None:
    """The English text of a code, to be translated where it is shown; None where there is none.

    Args:
        kind: a key of ``WORDS``.
        code: such as an outcome's.
    """
    return WORDS[kind].get(code)
