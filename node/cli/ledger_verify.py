"""``hedui ledger verify``: verify the public log completely, from its first entry."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ledger.audit.damage import SURVEYED_CHECKS, Damage, find_damage
from ledger.audit.source import LogSource, read_checkpoint
from ledger.audit.stamps import Stamp
from ledger.audit.verify import OnEntries, Verification, failure, verify_source
from ledger.entries.times import format_time
from ledger.errors import LedgerError, LogUnavailableError, TileError, VerificationError
from node.cli.help import Command
from node.cli.ledger_options import (
    JSON,
    POLICY,
    SOURCE,
    opened,
    policy_place,
    print_unpinned,
    progress_of,
    reporter,
    trusted_bytes,
)
from node.cli.output import entries, plain, translated
from node.errors import EXIT_INVALID
from node.messages.catalogue import mark
from node.tlog.timestamps import read_authority
from node.workers import worker_pool

TSA_HELP = "Certificates of the time-stamp authority, PEM; its tokens are verified up to the root."


@click.command(cls=Command)
@SOURCE
@POLICY
@click.option("--tsa-ca", type=click.Path(path_type=Path, exists=True, dir_okay=False), help=TSA_HELP)
@JSON
def verify(source: str, policy: Path | None, *, tsa_ca: Path | None, as_json: bool) -> None:
    """Verify the public log in a folder or at a URL.

    Roots, tiles, signatures and cosignatures are checked, and every entry is replayed from the first. Without
    --policy, and with none pinned, this shows only that the log agrees with itself: anyone can make such a
    log. The first check that fails ends the command; where it concerns a file, all files that are damaged,
    missing or foreign are named.
    """
    log, shown = opened(source), reporter()
    try:
        pinned = trusted_bytes(policy, log)
        found = _verified(log, pinned, tsa_ca, progress_of(shown, mark("verified")))
    except (VerificationError, TileError) as error:
        further = _surveyed(log, error, progress_of(shown, mark("searched for damage")))
        if not as_json:
            for damage in further:
                click.echo(plain(f"{damage.path} {damage.what}"))
            raise
        failed = [failure(error), *((damage.check, damage.path, damage.what) for damage in further)]
        names = ("check", "place", "reason")
        listed = [dict(zip(names, each, strict=True)) for each in failed]
        click.echo(json.dumps({"valid": False, "failures": listed}))
        click.get_current_context().exit(EXIT_INVALID)
    if pinned is None:
        print_unpinned(shown, found.policy, policy_place(source))
    if as_json:
        click.echo(json.dumps(_whole(found, "own" if pinned is None else "pinned")))
        return
    for line in _lines(found, wants_stamps=tsa_ca is not None):
        click.echo(line)


def _surveyed(log: LogSource, error: LedgerError, shown: OnEntries) -> list[Damage]:
    """All damaged files but the one the error names already; none where its check is not of files."""
    if not isinstance(error, VerificationError) or error.check not in SURVEYED_CHECKS:
        return []
    further: list[Damage] = []
    with contextlib.suppress(TileError, LogUnavailableError):
        found = find_damage(log, read_checkpoint(log), shown)
        further.extend(damage for damage in found if damage.path != error.place)
    return further


def _lines(found: Verification, *, wants_stamps: bool) -> Iterator[str]:
    """What was found, for people."""
    yield translated("{entries}, root {root}: valid", entries=entries(found.size), root=found.root.hex())
    for index, code in found.voids:
        yield translated("entry {index} is void: {code}", index=index, code=code)
    for name in found.absent:
        yield translated("{name} is not there: the tags of one large question", name=name)
    if wants_stamps and not found.stamps:
        yield translated("0 time-stamps here: nothing was checked with --tsa-ca")
    for stamp in found.stamps:
        item = _stamp(stamp)
        size = entries(item["size"])
        if item["time"] is None:
            yield translated("{entries} not stamped: the note is there without a token", entries=size)
        elif item["verified"]:
            yield translated("{entries} stamped {time} (verified)", entries=size, time=item["time"])
        else:
            yield translated(
                "{entries} stamped {time} (its authority not verified: give --tsa-ca)",
                entries=size,
                time=item["time"],
            )


def _verified(log: LogSource, pinned: bytes | None, tsa_ca: Path | None, shown: OnEntries) -> Verification:
    """Verify with one worker for each core."""
    authority = None if tsa_ca is None else read_authority(tsa_ca)
    with worker_pool(os.cpu_count() or 1) as workers:
        return verify_source(log, shown, policy=pinned, authority=authority, workers=workers)


def _whole(found: Verification, whose: str) -> dict[str, Any]:
    """What was found as JSON; ``whose`` policy it was verified under, and that policy's fingerprint."""
    return {
        "valid": True,
        "size": found.size,
        "root": found.root.hex(),
        "policy": whose,
        "fingerprint": found.policy.fingerprint,
        "voids": [{"index": index, "code": code} for index, code in found.voids],
        "timestamps": [_stamp(stamp) for stamp in found.stamps],
    }


def _stamp(stamp: Stamp) -> dict[str, Any]:
    """A time-stamped checkpoint as JSON."""
    time = None if stamp.time is None else format_time(stamp.time)
    return {"size": stamp.size, "root": stamp.root.hex(), "time": time, "verified": stamp.is_verified}
