"""The root of the command line: its groups, and the one place where an error becomes a message and a status.

A command's module is imported when the command is used, so that a node starts without what only the demo
needs.
"""

from __future__ import annotations

import os
import sys

import click

from node.cli.lazy import LazyCommand, LazyGroup
from node.cli.output import plain, translated, user_messages
from node.errors import EXIT_UNAVAILABLE, EXIT_USAGE, KNOWN_ERRORS, error_code, exit_code
from node.messages.words import sentence_of

INTERRUPTED = 130
COMMANDS = {
    "check": LazyCommand(
        "node.cli.check",
        "At the office: check the household of APPLICATION and write its report into OUT.",
    ),
    "consent": LazyCommand("node.cli.consent", "Consents in the registrar's store."),
    "dataset": LazyCommand("node.cli.dataset", "A department's data."),
    "demo": LazyCommand(
        "node.cli.demo",
        "Run the scenario in FOLDER, or a generated one, with a process for each member; verify "
        "every report.",
    ),
    "grant": LazyCommand(
        "node.cli.grant",
        "Grants: what an office may ask of an owner, how often and until when.",
    ),
    "ledger": LazyCommand("node.cli.ledger", "The public log."),
    "network": LazyCommand("node.cli.network", "A network of members around one ledger."),
    "node": LazyCommand("node.cli.node", "A member's own node."),
    "report": LazyCommand("node.cli.report", "Verify evidence reports offline, and print them."),
    "rules": LazyCommand(
        "node.cli.grant",
        "Rule sets: published by the office, approved by an auditor and the owners of amount datasets.",
    ),
    "share": LazyCommand("node.cli.sumkey", "The trustee's shares of totals."),
    "sumkey": LazyCommand(
        "node.cli.sumkey",
        "The key under which amounts are added; the office and the trustees hold its shares.",
    ),
}
"""Module and summary of each command group."""


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="hedui")
def cli() -> None:
    """Departments answer a verification office's questions about a household without handing over data."""


def _file_line(error: OSError) -> str:
    """What is wrong with a file, or with standard output, and what to do about it."""
    where = f"{error.filename}: " if error.filename is not None else ""
    if not where and not _is_output_sound():
        where = translated("standard output") + ": "
    reason = f"{where}{error.strerror or error}"
    if isinstance(error, PermissionError):
        return translated(
            "{reason}: run the command as the user who owns the file, such as the node's", reason=reason
        )
    return translated(
        "{reason}: check that it exists, that it may be written and that its disk is not full", reason=reason
    )


def error_line(error: Exception) -> str:
    """What an error of ours says for people: its own text, in Chinese after a sentence; last its code."""
    sentence = sentence_of(error_code(error), user_messages())
    detail = str(error).removeprefix(f"{error_code(error)}: ")
    text = detail if sentence is None else f"{sentence}（{detail}）"
    return f"{text} [{error_code(error)}]"


def _is_output_sound() -> bool:
    """Whether standard output takes what is buffered for it; if not, the buffer is dropped."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def run() -> None:
    """Run the command line and exit."""
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except KNOWN_ERRORS as error:
        click.echo(f"hedui: {plain(error_line(error))}", err=True)
        sys.exit(exit_code(error))
    except OSError as error:
        click.echo(f"hedui: {plain(_file_line(error))} [file]", err=True)
        sys.exit(EXIT_UNAVAILABLE)
    sys.exit(status if isinstance(status, int) else 0)
