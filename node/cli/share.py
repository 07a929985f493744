"""``hedui share``: the trustee's exceptions."""

from __future__ import annotations

import re
from pathlib import Path

import click

from node.cli.said import say
from node.errors import UsageError
from node.operator import OperatorClient
from node.release import exception_salt
from protocols.encoding import commit, from_hex

EXISTING = click.Path(path_type=Path, exists=True)
_DIGEST = re.compile("[0-9a-f]{64}")


@click.group()
def share() -> None:
    """The trustee's shares of totals."""


@share.command("except")
@click.argument("home", type=EXISTING)
@click.argument("query")
@click.option("--case", "case_index", type=click.IntRange(0), default=0, help="Case index; 0 if absent.")
@click.option("--list", "digest", required=True, metavar="DIGEST", help="The list, as the refusal named it.")
@click.option("--reason", required=True, help="Code of the reason.")
def allow(home: Path, query: str, case_index: int, digest: str, reason: str) -> None:
    """At the trustee: let rows opened before be opened in one list of QUERY; two people sign."""
    if _DIGEST.fullmatch(digest) is None:
        raise UsageError(f"--list {digest} is no digest: give the 64 hex characters that the refusal named")
    client = OperatorClient(home)
    salt = exception_salt(client.keys.vault.get("exceptions"), query, case_index)
    named = commit(salt, b"list", from_hex(digest)).hex()
    client.submit_by_two(
        "share.exception", {"query": query, "case": case_index, "list": named, "reason": reason}
    )
    client.close()
    say("done.except", query=query, case=case_index)
