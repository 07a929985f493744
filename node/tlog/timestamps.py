"""Time-stamps of the log's checkpoints, requested periodically by the member that runs it.

A thread of its own reads the published checkpoint, asks the authority and puts the stamp beside the public
files: ``ledger.audit.stamps``. The log never waits for it; an authority that is out of reach is asked again
at the next time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ledger.audit.stamps import stamp_folder
from ledger.audit.timestamp_client import post_to
from ledger.errors import LedgerError, TimestampError
from ledger.formats.policy import Policy
from ledger.formats.timestamp import Post, TimestampAuthority
from ledger.periodic import PeriodicTask
from node.config import Timestamps
from node.errors import ConfigurationError

log = logging.getLogger("hedui.timestamps")


class Stamper:
    """Stamps one public folder until it is closed."""

    def __init__(
        self,
        root: Path,
        policy: Policy,
        settings: Timestamps,
        clock: Callable[[], int],
        post: Post | None = None,
    ) -> None:
        """Open the authority's certificates.

        Args:
            root: the public folder.
            policy: the network's.
            settings: where the authority is.
            clock: seconds since 1970.
            post: how it is asked; over HTTP when not given.

        Raises:
            ConfigurationError: the file cannot be read or holds no certificates, or the policy is no OID.
        """
        self._root = root
        self._policy = policy
        self._clock = clock
        self._every = settings.every
        self._post = post_to(settings.url) if post is None else post
        self._authority = read_authority(settings.ca, settings.policy)

    def task(self) -> PeriodicTask:
        """The task that stamps as often as configured, the first time at its start.

        Stop it with ``stop(seconds=0)``: an authority that is being asked is not waited for.
        """
        return PeriodicTask("timestamps", self._every, self.stamp_now, log)

    def stamp_now(self) -> bool:
        """Stamp the present checkpoint; whether there is a new stamp. What fails is logged."""
        try:
            done = stamp_folder(self._root, self._policy, self._post, self._authority, self._clock())
        except (LedgerError, OSError) as error:
            log.warning("the checkpoint is not time-stamped: %s", error)
            return False
        return done is not None and done.is_new


def read_authority(ca: Path, policy: str | None = None) -> TimestampAuthority:
    """An authority from a file of PEM certificates.

    Raises:
        ConfigurationError: it cannot be read or holds none, or the policy is no OID.
    """
    try:
        authority = TimestampAuthority.from_pem(ca.read_bytes())
    except TimestampError as error:
        raise ConfigurationError(f"{ca}: {error}") from error
    except OSError as error:
        raise ConfigurationError(
            f"the time-stamp authority's certificates cannot be read ({error.strerror}): put them in {ca}"
        ) from error
    try:
        return replace(authority, policy=policy)
    except TimestampError as error:
        raise ConfigurationError(str(error)) from error
