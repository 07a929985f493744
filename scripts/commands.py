"""Writes every command's help into docs/commands.md.

Usage, from the repository's root: python scripts/commands.py [--check]
With --check nothing is written; if the page is not current, a diff is printed and the exit status is 1.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from node.config import prepare_transport

prepare_transport()

from node.cli.root import cli  # noqa: E402  after gRPC's settings

COLUMNS = 78
HEAD = """# Commands

What `--help` says of every command. `make readme` writes this page; `make check` compares it.
"""


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and everything below it, each before what is below it."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from commands(below, context_of(below, name, context))


def context_of(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    """The context in which a command prints its help."""
    settings = {**command.context_settings, "terminal_width": COLUMNS}
    return click.Context(command, parent, name, **settings)


def block(command: click.Command, context: click.Context) -> str:
    """The help as a fenced block."""
    return f"```text\n{command.get_help(context)}\n```\n"


def pages() -> dict[Path, str]:
    """Each page as it should be."""
    found = list(commands(cli, context_of(cli, "hedui")))
    parts = [HEAD, block(*found[0])]
    for command, context in found[1:]:
        is_top = context.parent is not None and context.parent.parent is None
        parts += [f"{'##' if is_top else '###'} {context.command_path}\n", block(command, context)]
    return {Path("docs/commands.md"): "\n".join(parts)}


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them."""
    stale = 0
    for path, text in pages().items():
        if arguments == ["--check"]:
            old = path.read_text("utf-8") if path.exists() else ""
            diff = list(
                difflib.unified_diff(
                    old.splitlines(keepends=True), text.splitlines(keepends=True), str(path), "current"
                )
            )
            stale |= bool(diff)
            sys.stdout.writelines(diff)
        else:
            path.write_text(text, "utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
