"""Rule sets of a household check: read strictly, applied exactly.

``ruleset`` parses a rule set; ``verdict`` turns answers and a total into an outcome; ``table`` reads decoded
TOML or JSON strictly and collects every problem. Nothing here reads a file, a clock or the network.
"""

from __future__ import annotations

from node.rules.ruleset import RESERVED_OUTCOMES, Outcome, RulesError, RuleSet, parse
from node.rules.verdict import (
    Answer,
    Household,
    Line,
    LinesError,
    Reason,
    Verdict,
    decide,
    needs_total,
    shown_answer,
    sign_of,
    summed_lines,
    too_old,
)

__all__ = [
    "RESERVED_OUTCOMES",
    "Answer",
    "Household",
    "Line",
    "LinesError",
    "Outcome",
    "Reason",
    "RuleSet",
    "RulesError",
    "Verdict",
    "decide",
    "needs_total",
    "parse",
    "shown_answer",
    "sign_of",
    "summed_lines",
    "too_old",
]
