"""The conditions that ``hedui ledger search`` and ``export`` share; those given must all hold."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ledger.errors import ReceiptError
from ledger.note import MAX_NOTE_BYTES
from ledger.proof import Receipt
from ledger.schema import SCHEMAS
from ledger.search import Wanted, moment
from node.errors import UsageError

TYPES = frozenset(SCHEMAS) | {kind.partition(".")[0] for kind in SCHEMAS}
"""What ``--type`` may say."""


def known_type(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Click's callback of ``--type``.

    Raises:
        UsageError: no entry is of this type.
    """
    del context, option
    if value is not None and value not in TYPES:
        raise UsageError(f"--type {value} is no type of an entry: one of {', '.join(sorted(SCHEMAS))}")
    return value


_OPTIONS = (
    click.option("--from", "since", metavar="TIME", help="Not before: YYYY-MM-DD (UTC+8) or RFC 3339 UTC."),
    click.option("--until", metavar="TIME", help="Not after: YYYY-MM-DD, to its end, or RFC 3339 UTC."),
    click.option("--member", help="Signed by this member, or naming it."),
    click.option("--grant", help="About this grant, or about a question under it."),
    click.option("--purpose", help="About a question or grant of this purpose."),
    click.option("--type", "kind", callback=known_type, help="Of this type; query means every query.… type."),
    click.option("--receipt", metavar="FILE|ID|INDEX", help="The entry of a receipt, an id or a place."),
)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets ``wanted`` in their place."""

    @functools.wraps(command)
    def filled(
        *args: Any,
        since: str | None,
        until: str | None,
        member: str | None,
        grant: str | None,
        purpose: str | None,
        kind: str | None,
        receipt: str | None,
        **more: Any,
    ) -> Any:
        begin, end = _bound(since, is_end=False), _bound(until, is_end=True)
        if begin is not None and end is not None and end < begin:
            raise UsageError(f"--until {until} is before --from {since}: no entry can match")
        wanted = Wanted(
            since=begin,
            until=end,
            member=member,
            grant=grant,
            purpose=purpose,
            type=kind,
            **_place(receipt),
        )
        return command(*args, wanted=wanted, **more)

    for option in reversed(_OPTIONS):
        filled = option(filled)
    return filled


def _bound(text: str | None, *, is_end: bool) -> str | None:
    try:
        return None if text is None else moment(text, is_end=is_end)
    except ValueError as error:
        raise UsageError(f"{text} is no time: write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ") from error


def _place(text: str | None) -> dict[str, Any]:
    """What a receipt's file, an entry's id or its index stands for."""
    if text is None:
        return {}
    path = Path(text)
    if path.is_file():
        try:
            with path.open("rb") as file:
                receipt = Receipt.parse(file.read(2 * MAX_NOTE_BYTES + 1))
        except (OSError, ReceiptError) as error:
            raise UsageError(f"{text} is no receipt: {error}") from error
        return {"receipt": receipt, "index": receipt.index}
    if text.isdecimal() and len(text) < 19:
        return {"index": int(text)}
    return {"id": text}
