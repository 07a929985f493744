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
from ledger.search import Wanted, moment
from node.errors import UsageError

_OPTIONS = (
    click.option("--from", "since", metavar="TIME", help="Not before: YYYY-MM-DD (UTC+8) or RFC 3339 UTC."),
    click.option("--until", metavar="TIME", help="Not after: YYYY-MM-DD, to its end, or RFC 3339 UTC."),
    click.option("--member", help="Signed by this member, or naming it."),
    click.option("--grant", help="About this grant, or about a question under it."),
    click.option("--purpose", help="About a question or grant of this purpose."),
    click.option("--type", "kind", help="Of this type; query means every query.… type."),
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
        wanted = Wanted(
            since=_bound(since, is_end=False),
            until=_bound(until, is_end=True),
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
