"""The office's case files: reports and openings in their folders.

Only those parts of a report are read that other sides have too; ``hedui report verify`` verifies a report.
Of an openings file only the query id is read: reconciliation does not need the persons in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.entries.certificate import certificate_digest
from node.errors import KNOWN_ERRORS, ReportError, UsageError
from node.home import read_bounded
from node.report.findings import MALFORMED, Findings
from node.report.form import MAX_REPORT_BYTES, decode_report
from node.report.verify_identity import MAX_OPENINGS_BYTES, read_openings
from protocols.check.answer import Answer
from protocols.check.terms import list_digest

READ_ERRORS: tuple[type[Exception], ...] = (*KNOWN_ERRORS, *MALFORMED, OSError)


@dataclass(frozen=True)
class Report:
    """What a report says that others say too.

    Attributes:
        data: its bytes.
        query, office: of its certificate or refusal.
        asks: a question left: the certificate names datasets.
        certificate: the certificate's digest; empty for a refused case.
        responses: response digest by dataset.
        listed: digest of the list of the opened total; None where none was opened.
        salts: salt of the recorded list by trustee.
        policy: fingerprint of the policy its receipts are made for.
        checkpoint: the embedded note.
        entries: (index, leaf as JSON) of the embedded entries.
    """

    data: bytes = field(repr=False)
    query: str
    office: str
    asks: bool
    certificate: str
    responses: dict[str, str]
    listed: bytes | None
    salts: dict[str, bytes]
    policy: str
    checkpoint: bytes
    entries: tuple[tuple[int, dict[str, Any]], ...]


@dataclass(frozen=True)
class CaseFiles:
    """Every case file given.

    Attributes:
        reports: by query id; of two reports of one query both are kept.
        opened: query ids of openings files.
        has_reports, has_openings: such a folder was given, so that a file can be missing in it.
    """

    reports: tuple[Report, ...] = ()
    opened: frozenset[str] = frozenset()
    has_reports: bool = False
    has_openings: bool = False


def read_case_files(reports: Path | None, openings: Path | None) -> CaseFiles:
    """Read the folders given.

    Raises:
        UsageError: the folder of reports holds none.
        ReportError: a file is no report or no openings.
    """
    if reports is not None and not any(reports.glob("*.json")):
        raise UsageError(f"{reports} holds no report (*.json): give the folder of the office's reports")
    found = [] if reports is None else [read_report(path) for path in sorted(reports.glob("*.json"))]
    opened = [] if openings is None else [_query_of(path) for path in sorted(openings.glob("*.json"))]
    return CaseFiles(tuple(found), frozenset(opened), reports is not None, openings is not None)


def read_report(path: Path) -> Report:
    """Read one report.

    Raises:
        ReportError: it is none.
    """
    try:
        data = read_bounded(path, MAX_REPORT_BYTES)
        return _report(data, decode_report(data, Findings()))
    except READ_ERRORS as error:
        raise ReportError(f"{path} is no report: remove it, or fetch it again from the office") from error


def _report(data: bytes, value: dict[str, Any]) -> Report:
    certificate, total = value["certificate"], value["total"]
    shares = [] if total is None else total["shares"]
    return Report(
        data,
        str(value["refusal"]["document"]["query"] if certificate is None else certificate["query"]),
        str(value["office"]),
        certificate is not None and bool(certificate["datasets"]),
        "" if certificate is None else certificate_digest(certificate),
        {name: Answer.parse(name, item).response.hex() for name, item in value["answers"].items()},
        None if total is None else list_digest(total["list"]),
        {share["holder"]: bytes.fromhex(share["salt"]) for share in shares if "salt" in share},
        str(value["policy"]),
        str(value["ledger"]["checkpoint"]).encode(),
        tuple((int(item["index"]), item["leaf"]) for item in value["ledger"]["entries"]),
    )


def _query_of(path: Path) -> str:
    try:
        return str(read_openings(read_bounded(path, MAX_OPENINGS_BYTES))["query"])
    except READ_ERRORS as error:
        raise ReportError(f"{path} holds no openings: give the office's own folder of openings") from error
