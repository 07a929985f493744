"""The report for people: one printable page in both languages, made from ``report.json`` alone.

Names and identifiers are not in the report; the office (or another holder of the openings) hands them in, and
they are masked here before they reach the page: a name to its first character, an identifier to
``3301**********001X``. The page proves nothing by itself; it says how to verify the evidence beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from markupsafe import Markup, escape

from adapters.identifiers import canonical_or_none, hide_identifiers, mask
from ledger import canonical
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note
from node.case import Case
from node.messages.catalogue import Messages, mark, placeholders
from node.messages.words import word_text
from node.report.findings import CheckFailedError
from node.report.form import MAX_REPORT_BYTES, MAX_REPORT_DEPTH
from node.report.parts import HouseholdReport, ReportPartError
from node.rules.verdict import Gap, GapKind, VerdictReason
from protocols.check.terms import ROW

TEMPLATE = "page.html.j2"
DIGEST_CHARACTERS = 16
LISTS = ("income", "deduct", "veto", "exclude")
STAGES = (
    mark("Application accepted"),
    mark("Information obtained"),
    mark("Information checked"),
    mark("Report issued"),
    mark("Result reviewed"),
)
"""The stages of MZ/T 072-2024, in the order of the page."""


@dataclass(frozen=True)
class PersonView:
    """One person as the page may show it.

    Attributes:
        name: first character, the rest starred.
        identifier: masked.
        relation: to the applicant; empty where unknown.
        consent: code of the consent; empty where unknown.
    """

    name: str
    identifier: str
    relation: str = ""
    consent: str = ""


def mask_name(name: str) -> str:
    """First character and a star for each further one."""
    return name[:1] + "*" * (len(name) - 1)


def mask_identifier(text: str) -> str:
    """An identifier in its canonical form, or as written where it has none, masked."""
    return mask(canonical_or_none(text) or text)


def people_of(case: Case) -> list[PersonView]:
    """The household of an application, masked."""
    return [
        PersonView(
            mask_name(person.name),
            mask_identifier(person.id),
            hide_identifiers(person.relation),
            person.consent,
        )
        for person in case.household
    ]


def people_of_openings(opened: Mapping[str, Any]) -> list[PersonView]:
    """The household of an openings file, masked."""
    return [
        PersonView(mask_name(str(one["name"])), mask_identifier(str(one["identifier"])))
        for one in opened["persons"]
    ]


def render(report: bytes, people: Sequence[PersonView] | None = None) -> str:
    """The page.

    Args:
        report: bytes of a report in its form; verify it first.
        people: masked persons in the household's order; without them positions stand alone.

    Raises:
        CheckFailedError: what the page shows is missing in the report.
    """
    value = canonical.decode(report, max_bytes=MAX_REPORT_BYTES, max_depth=MAX_REPORT_DEPTH)
    try:
        parsed = HouseholdReport.parse(value)
        page = _Page(parsed)
        return (
            _environment()
            .get_template(TEMPLATE)
            .render(
                t=both,
                yuan=yuan,
                word=word,
                report=parsed,
                rules=page.rules,
                people=people,
                digest=hashlib.sha256(report).hexdigest(),
                size=page.size,
                stages=STAGES,
                sources=page.sources(),
                lines=page.lines(),
                reasons=[reason_text(reason) for reason in parsed.verdict.reasons],
                refusal=parsed.refusal,
                total=page.total(),
                asked_at=page.asked_at(),
                name=page.member_name,
            )
        )
    except (ReportPartError, UndefinedError) as error:
        raise CheckFailedError("the report lacks something the page shows") from error


def both(message: str, **values: object) -> Markup:
    """A text of the catalogue in both languages, escaped."""
    zh, en = (escape(Messages(language).translate(message, **values)) for language in ("zh", "en"))
    return Markup('<span lang="zh">{}</span> <span lang="en">{}</span>').format(zh, en)


def word(kind: str, code: str) -> Markup:
    """A code in both languages, or the code itself where it has no text, as in a region's own rules."""
    text = word_text(kind, code)
    return escape(code) if text is None else both(text)


def reason_text(reason: VerdictReason) -> Markup:
    """A reason of the verdict in both languages."""
    text = word_text("reason", reason.code)
    wanted = frozenset() if text is None else placeholders(text)
    values = {name: getattr(reason, name) for name in wanted}
    if text is None or None in values.values():
        return escape(reason.code)
    return both(text, **values)


def gap_text(gap: Gap | None) -> Markup:
    """Why a line is not covered, in both languages; empty where it is covered."""
    if gap is None:
        return Markup("")
    if gap.kind is GapKind.REFUSED:
        return both("The department refused ({code}).", code=gap.code)
    return word("gap", str(gap))


def yuan(fen: int) -> str:
    """Fen as yuan with two decimals and thin groups: -1234567 is ``-12,345.67``."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{rest:02d}"


class _Page:
    """What the template shows of one report."""

    def __init__(self, report: HouseholdReport) -> None:
        self._report = report
        self.rules = report.rules.rule_set
        self.size = Checkpoint.parse(Note.parse(report.ledger.checkpoint.encode()).text).size
        self._entries = report.ledger.entries
        certified = () if report.certificate is None else report.certificate.datasets
        self._labels = {item.dataset: item.publication for item in certified}

    def _find(self, kind: str, **fields: object) -> dict[str, Any] | None:
        """The first entry of a type whose body has these fields."""
        for entry in self._entries:
            leaf = entry.leaf
            if leaf["type"] == kind and all(
                leaf["body"].get(name) == value for name, value in fields.items()
            ):
                return {"index": entry.index, "body": leaf["body"], "time": leaf["time"]}
        return None

    def member_name(self, member: str) -> str:
        """A member's name in the genesis entry, or its id."""
        founders = self._entries[0].leaf["body"]["members"] if self._entries else []
        return next((str(one["name"]) for one in founders if one["id"] == member), member)

    def _publication(self, dataset: str) -> dict[str, Any] | None:
        """The publication of an asked dataset: index, label, body."""
        label = self._labels.get(dataset)
        if label is None:
            return None
        epoch, _, revision = label.rpartition(".")
        found = self._find("dataset.publish", dataset=dataset, epoch=epoch, revision=int(revision))
        return None if found is None else {"index": found["index"], "label": label, **found["body"]}

    def sources(self) -> list[dict[str, Any]]:
        """Every dataset of the rules with its publication, where it was asked."""
        found = []
        for dataset in self.rules.datasets:
            publication = self._publication(dataset)
            found.append(
                {
                    "dataset": dataset,
                    "title": dataset if publication is None else publication["coverage"]["title"],
                    "owner": self.member_name(dataset.partition(".")[0]),
                    "publication": "" if publication is None else publication["label"],
                    "as_of": "" if publication is None else publication["as_of"],
                    "entry": None if publication is None else publication["index"],
                    "answered": dataset in self._report.answers,
                }
            )
        return found

    def lines(self) -> list[dict[str, Any]]:
        """Every line with rule, source, as-of date, answer and a digest of its evidence."""
        sources = {source["dataset"]: source for source in self.sources()}
        heads = {dataset: name for name in LISTS for dataset in getattr(self.rules, name)}
        found = []
        for line in self._report.lines:
            evidence = None if line.evidence is None else canonical.encode(line.evidence.to_json())
            digest = "" if evidence is None else hashlib.sha256(evidence).hexdigest()
            found.append(
                {
                    "member": line.member,
                    "source": sources[line.dataset],
                    "rule": heads[line.dataset],
                    "answer": line.answer,
                    "gap": gap_text(line.reason),
                    "evidence": digest[:DIGEST_CHARACTERS],
                }
            )
        return found

    def total(self) -> dict[str, Any]:
        """Net income and per head and month, where known, and what is to be said of the total."""
        verdict, total = self._report.verdict, self._report.total
        net, heads = verdict.net_fen, verdict.heads
        terms = () if total is None else total.list.terms
        rows = sum(1 for term in terms if term.kind == ROW)
        return {
            "net": None if net is None else yuan(net),
            "per_head": None if net is None or not heads else yuan(net // (12 * heads)),
            "opened": total is not None,
            "single": rows == 1,
        }

    def asked_at(self) -> dict[str, Any] | None:
        """The intent's entry: index and time."""
        return self._find("query.intent")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
