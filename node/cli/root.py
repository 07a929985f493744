"""The root of the command line: its groups, and the one place where an error becomes an exit status.

A command's module is imported when the command is used, so that a node starts without what only the demo
needs.
"""

from __future__ import annotations

import importlib
import sys

import click

from node.errors import EXIT_USAGE, KNOWN_ERRORS, error_code, exit_code

INTERRUPTED = 130
COMMANDS = (
    "check",
    "consent",
    "dataset",
    "demo",
    "grant",
    "ledger",
    "network",
    "node",
    "report",
    "rules",
    "share",
    "sumkey",
)


class Commands(click.Group):
    """Commands by name, each from its own module of ``node.cli``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's interface
        """Every command's name."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  click's interface
        cmd_name: str,
    ) -> click.Command | None:
        """One command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(importlib.import_module(f"node.cli.{cmd_name}"), cmd_name)
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="hedui")
def cli() -> None:
    """Departments answer a verification office's questions about a household without handing over data."""


def plain(text: str) -> str:
    """A message as a terminal may show it: a file's name or a server's words in it control nothing."""
    shown = (one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)
    return "".join(shown)


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
        click.echo(f"hedui: {plain(str(error))} [{error_code(error)}]", err=True)
        sys.exit(exit_code(error))
    sys.exit(status if isinstance(status, int) else 0)
