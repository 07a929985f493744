"""Time-stamps of the log's checkpoints, taken now and then by the member that runs it.

A thread of its own reads the published checkpoint, asks the authority and puts the stamp beside the public
files: ``ledger.audit.stamps``. The log never waits for it; an authority that is out of reach is asked again
at the next time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ledger.audit.stamps import post_to, stamp_folder
from ledger.errors import LedgerError, TimestampError
from ledger.formats.policy import Policy
from ledger.formats.timestamp import Post, TimestampAuthority
from ledger.periodic import Surviving
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
        self._settings = settings
        self._clock = clock
        self._post = post_to(settings.url) if post is None else post
        self._authority = read_authority(settings.ca, settings.policy)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timestamps", daemon=True)

    def start(self) -> None:
        """Begin to stamp, the first time at once."""
        self._thread.start()

    def close(self) -> None:
        """Stop; an authority that is being asked is not waited for."""
        self._stop.set()

    def stamp_now(self) -> bool:
        """Stamp the present checkpoint; whether there is a new stamp. What fails is logged."""
        try:
            done = stamp_folder(self._root, self._policy, self._post, self._authority, self._clock())
        except (LedgerError, OSError) as error:
            log.warning("the checkpoint is not time-stamped: %s", error)
            return False
        return done is not None and done.is_new

    def _run(self) -> None:
        while not self._stop.is_set():
            with Surviving(log, "time-stamps"):
                self.stamp_now()
            self._stop.wait(self._settings.every)


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
