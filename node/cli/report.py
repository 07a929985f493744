"""``hedui report``: verify a report offline, print it again for people.

Nothing here opens a connection or a database: a report, the reader's own trust policy and, where one has it,
the openings file are all there is.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from node.cli.help import Group
from node.cli.output import POLICY_FORMS, plain_line, print_message, user_messages
from node.config import user_folder
from node.errors import EXIT_INVALID, EXIT_OK
from node.home import read_bounded, require_absent, write_file
from node.messages.catalogue import LANGUAGES, Messages
from node.report.findings import CHECK_TEXTS, CheckFailedError, Failure, Findings, require
from node.report.form import MAX_REPORT_BYTES, decode_report
from node.report.html import people_of_openings, render
from node.report.policies import trusted_policy
from node.report.verify import verify_report
from node.report.verify_question import MAX_OPENINGS_BYTES, read_openings

READABLE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
THERE = click.Path(exists=True, readable=True, path_type=Path)


@click.group(cls=Group)
def report() -> None:
    """Verify evidence reports offline, and print them."""


@report.command()
@click.argument("file", type=READABLE)
@click.option(
    "--policy",
    type=THERE,
    help=f"{POLICY_FORMS}; else the one you pinned.",
)
@click.option("--openings", type=READABLE, help="The openings file, to check whose report it is.")
@click.option(
    "--json", "as_json", is_flag=True, help='Print {"valid", "failures": [{"check", "line", "reason"}]}.'
)
@click.option(
    "--language", type=click.Choice(LANGUAGES), help="Language of the text; else the environment's."
)
@click.pass_context
def verify(
    context: click.Context,
    file: Path,
    policy: Path | None,
    openings: Path | None,
    *,
    as_json: bool,
    language: str | None,
) -> None:
    """Verify FILE, a report, and name every check that fails.

    Exit status: 0 valid, 1 invalid, 2 no policy given or pinned.
    """
    data = read_bounded(file, MAX_REPORT_BYTES)
    trusted = trusted_policy(policy, user_folder(), named_policy(data))
    failures = verify_report(data, trusted, None if openings is None else _openings(openings))
    if as_json:
        found = [failure.to_json() for failure in failures]
        click.echo(json.dumps({"valid": not failures, "failures": found}, ensure_ascii=False))
    else:
        for line in shown(failures, user_messages(language)):
            click.echo(plain_line(line))
    context.exit(EXIT_INVALID if failures else EXIT_OK)


@report.command()
@click.argument("file", type=READABLE)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--openings", type=READABLE, help="The openings file, to show names and identifiers, masked.")
def html(file: Path, out: Path, openings: Path | None) -> None:
    """Write the page of FILE, a report, to OUT. It is not verified: use `hedui report verify` for that."""
    require_absent(out)
    data, found, page = read_bounded(file, MAX_REPORT_BYTES), Findings(), ""
    value = decode_report(data, found)
    people = None if openings is None else people_of_openings(read_openings(_openings(openings)))
    with found.check("form"):
        size = value["household"]["size"]
        require(people is None or len(people) == size, "the openings are of another household")
        page = render(data, people)
    if found.failures:
        raise CheckFailedError(found.failures[0].reason)
    write_file(out, page.encode())
    print_message(
        "{file}: the page is written; it is not verified: `hedui report verify` does that", file=out
    )


def _openings(file: Path) -> bytes:
    return read_bounded(file, MAX_OPENINGS_BYTES)


def named_policy(data: bytes) -> str:
    """Fingerprint of the policy a report names, or nothing; it only chooses among the reader's own."""
    value = decode_report(data, Findings()).get("policy")
    return value if isinstance(value, str) else ""


def shown(failures: list[Failure], messages: Messages) -> list[str]:
    """Lines for people: every failing check in the language, with the detail; or that the report is valid."""
    if not failures:
        return [messages.translate("valid")]
    count = len(failures)
    lines = [messages.counted("invalid: {count} check fails", "invalid: {count} checks fail", count)]
    for failure in failures:
        reason = f"{messages.translate(CHECK_TEXTS[failure.check])} ({failure.reason})"
        if failure.line:
            lines.append(
                messages.translate(
                    "{check}, line {line}: {reason}", check=failure.check, line=failure.line, reason=reason
                )
            )
        else:
            lines.append(messages.translate("{check}: {reason}", check=failure.check, reason=reason))
    return lines
