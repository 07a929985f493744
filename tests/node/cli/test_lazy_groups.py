"""Groups list commands without importing them, and what they list is what the commands say."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from node.cli.help import paragraphs
from node.cli.lazy import LazyGroup
from node.cli.ledger import ledger
from node.cli.node import node
from node.cli.root import cli


@pytest.mark.parametrize("group", [cli, ledger, node], ids=lambda group: str(group.name))
def test_a_summary_is_the_first_paragraph_of_the_command(group: LazyGroup) -> None:
    context = click.Context(group)
    for name, lazy in group.lazy.items():
        command = group.get_command(context, name)
        assert command is not None
        assert command.help is not None
        assert lazy.summary == paragraphs(command.help)[0], name


def test_the_list_of_commands_imports_none_of_them() -> None:
    script = (
        "import sys; from node.config import prepare_transport; prepare_transport(); "
        "from node.cli.root import cli; cli.main(['--help'], standalone_mode=False); "
        "print(sorted(name for name in sys.modules "
        "if name.split('.')[0] in ('grpc', 'sqlalchemy', 'pydantic', 'httpx', 'rbcl', 'gmpy2')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "sumkey" in done.stdout
    assert done.stdout.rstrip().endswith("[]"), "listing commands loads what only they need"
