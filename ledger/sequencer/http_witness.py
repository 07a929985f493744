"""A witness that the log asks over HTTP, as c2sp.org/tlog-witness specifies it.

    POST <prefix>/add-checkpoint
    GET  <prefix>/<hex SHA-256 of the origin>/checkpoint     where the witness serves it there

The specification has no request for the last checkpoint that a witness saw. ``latest`` asks the second
address. If nothing is served there, it asks the witness to cosign the empty tree from old size 0. That
statement is true of every log at every time, so the log may sign it before it knows its witnesses' state. A
witness that has seen entries answers 409 with their number.

    number at most this log's        no news: a proof from there follows with the next request
    number above this log's          a claim without evidence, treated as no answer (``WitnessError``)

Only a checkpoint under the log's own signature is evidence of another tree
(``ledger.sequencer.witness_rounds``).

A witness cannot harm the log. An answer is read up to ``ANSWER_BYTES``, an exchange ends within ``seconds``
(``ledger.http_client``), redirections are not followed, and the environment's proxies are not used. Each
witness has a thread of its own, so that one that answers slowly delays no other.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from typing_extensions import override

from ledger.errors import (
    HttpError,
    HttpUnreachableError,
    LogUnavailableError,
    NoteError,
    PolicyError,
    WitnessError,
)
from ledger.formats.checkpoint import Checkpoint, sign_checkpoint
from ledger.formats.note import NoteSigner, decimal
from ledger.http_client import OK, BoundedClient, HttpAnswer, HttpOptions
from ledger.merkle import EMPTY_ROOT
from ledger.sequencer.witness_rounds import WitnessClient
from ledger.witness import AddCheckpoint

ANSWER_BYTES = 1 << 20
SECONDS = 5.0
CONFLICT = 409


class HttpWitness(WitnessClient):
    """A witness that is asked over HTTP; one request at a time, from one thread."""

    def __init__(
        self, url: str, signer: NoteSigner, size: Callable[[], int], seconds: float = SECONDS
    ) -> None:
        """A client; nothing is sent yet.

        Args:
            url: the witness's submission prefix, http or https.
            signer: the log's key, for the one statement about the empty tree.
            size: number of entries this log has ordered.
            seconds: longest time for one exchange.

        Raises:
            PolicyError: the URL cannot be used.
        """
        check_url(url)
        self._url = url.rstrip("/")
        self._origin = signer.verifier.name
        empty = sign_checkpoint(Checkpoint(self._origin, 0, EMPTY_ROOT), signer)
        self._empty = AddCheckpoint(0, (), empty.format()).format()
        self._size = size
        self._seconds = seconds
        self._client = BoundedClient(
            HttpOptions(connect_seconds=seconds, step_seconds=seconds, reads_every_body=True)
        )
        self._busy = threading.Lock()
        self._closed = False

    @override
    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        answer = self._exchange("add-checkpoint", body)
        return answer.status, answer.body

    @override
    def latest(self) -> bytes | None:
        """The last checkpoint of this log that the witness cosigned, or None.

        It is None before the first, and if the witness names only a size that this log knows.

        Raises:
            WitnessError: no answer, or a size above this log's without a checkpoint to show for it.
        """
        digest = hashlib.sha256(self._origin.encode()).hexdigest()
        last = self._exchange(f"{digest}/checkpoint")
        if last.status == OK:
            return last.body
        answer = self._exchange("add-checkpoint", self._empty)
        if answer.status == OK:
            return None
        if answer.status != CONFLICT:
            raise WitnessError(f"the witness at {self._url} answered with status {answer.status}")
        claimed, size = _size(answer.body), self._size()
        if claimed > size:
            raise WitnessError(
                f"the witness at {self._url} claims {claimed} entries of this log, which has {size}, and "
                "shows no checkpoint for it: ask its operator for the checkpoint it has cosigned"
            )
        return None

    def close(self) -> None:
        """Close the connection, at the end of an exchange that is under way."""
        self._closed = True
        if self._busy.acquire(blocking=False):
            self._busy.release()
            self._client.close()

    def _exchange(self, path: str, content: bytes | None = None) -> HttpAnswer:
        try:
            with self._busy:
                if self._closed:
                    raise WitnessError("the log is stopping: witnesses are not asked any more")
                return self._ask(path, content)
        finally:
            if self._closed:
                self._client.close()

    def _ask(self, path: str, content: bytes | None) -> HttpAnswer:
        try:
            return self._client.fetch(
                f"{self._url}/{path}",
                place=f"the witness at {self._url}",
                seconds=self._seconds,
                size=ANSWER_BYTES,
                content=content,
                content_type="text/plain; charset=utf-8",
            )
        except HttpUnreachableError as error:
            raise WitnessError(f"the witness at {self._url} does not answer: {error}") from error
        except (HttpError, LogUnavailableError) as error:
            raise WitnessError(str(error)) from error


def check_url(url: str) -> None:
    """Refuse an address that cannot be a witness's prefix.

    Raises:
        PolicyError: not http or https, no host, a query or a fragment, a space or a control character.
    """
    parts = urlsplit(url)
    clean = url.isascii() and url.isprintable() and " " not in url
    if (
        not clean
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
    ):
        raise PolicyError(
            f"{url!r} is no witness address: give its prefix, such as https://witness.example/w1"
        )


def _size(body: bytes) -> int:
    try:
        return decimal(body.decode("ascii").removesuffix("\n"))
    except (UnicodeDecodeError, NoteError) as error:
        raise WitnessError("the witness named no size with its 409") from error
