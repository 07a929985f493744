"""Gaps: why a dataset says nothing about a member, so that its line is "not covered".

| gap | text in a report | meaning |
|---|---|---|
| ``UNPUBLISHED`` | ``unpublished`` | the dataset has no publication that the office and an auditor verified |
| ``NO_GRANT`` | ``no_grant`` | the office has no grant for it |
| ``SILENT`` | ``silent`` | its department did not answer in time |
| ``REFUSED`` | ``refused_<code>`` | its department refused, with this code |
| ``TOO_OLD`` | ``too_old`` | the rules allow no data of this age |
| ``REGION`` | ``region`` | the publication covers other regions than the member's |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from node.errors import ReportError


class GapKind(StrEnum):
    """Kinds of gaps."""

    UNPUBLISHED = "unpublished"
    NO_GRANT = "no_grant"
    SILENT = "silent"
    REFUSED = "refused"
    TOO_OLD = "too_old"
    REGION = "region"


_REFUSED_PREFIX = f"{GapKind.REFUSED.value}_"


@dataclass(frozen=True)
class Gap:
    """Why a line is not covered.

    Attributes:
        kind: of the gap.
        code: the department's code where it refused, else empty.
    """

    kind: GapKind
    code: str = ""

    @classmethod
    def refused(cls, code: str) -> Gap:
        """A department refused with this code."""
        return cls(GapKind.REFUSED, code)

    @classmethod
    def parse(cls, text: str) -> Gap:
        """Read the text of a report.

        Raises:
            ReportError: it is the text of no gap.
        """
        if text.startswith(_REFUSED_PREFIX):
            return cls.refused(text.removeprefix(_REFUSED_PREFIX))
        try:
            kind = GapKind(text)
        except ValueError as error:
            raise ReportError("a line's reason is not one that a line can have") from error
        if kind is GapKind.REFUSED:
            raise ReportError("a line's reason names a refusal without its code")
        return cls(kind)

    def __str__(self) -> str:
        """The text of a report."""
        return _REFUSED_PREFIX + self.code if self.kind is GapKind.REFUSED else self.kind.value


UNPUBLISHED = Gap(GapKind.UNPUBLISHED)
NO_GRANT = Gap(GapKind.NO_GRANT)
SILENT = Gap(GapKind.SILENT)
TOO_OLD = Gap(GapKind.TOO_OLD)
REGION = Gap(GapKind.REGION)
