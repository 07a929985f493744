"""A witness of any make as the log reaches it: c2sp.org/tlog-witness over HTTP.

    POST <prefix>/add-checkpoint
    GET  <prefix>/<hex SHA-256 of the origin>/checkpoint     where the witness serves it there

The specification has no call for "what did you see last". ``latest`` asks the second address; where nothing
is served there, it asks the witness to cosign the empty tree from old size 0. That statement is true of every
log at every time, so it can be signed before the start gate; a witness that has seen entries answers 409 with
their number.

    number at most this log's        no news: a proof from there follows with the next request
    number above this log's          a claim without evidence: no answer (``WitnessError``)

Only a checkpoint under the log's own signature is evidence of another tree
(``ledger.sequencer.witness_rounds``).

Nothing a witness does may hurt the log: an answer is read up to ``ANSWER_BYTES``, an exchange with all that
belongs to it ends within ``seconds`` (``ledger.http_client``), no redirection is followed (one to a host
that is
no name is an error of the HTTP client all the same), and the environment's proxies are not used. Each witness
has a thread of its own, so one that dribbles holds up nobody else.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx

from ledger.errors import LogUnavailableError, NoteError, PolicyError, WitnessError
from ledger.formats.checkpoint import Checkpoint, sign_checkpoint
from ledger.formats.note import NoteSigner, decimal
from ledger.http_client import Exchange
from ledger.merkle import EMPTY_ROOT
from ledger.witness import AddCheckpoint

ANSWER_BYTES = 1 << 20
SECONDS = 5.0
OK, NOT_FOUND, CONFLICT = 200, 404, 409


class HttpWitness:
    """A ``WitnessClient`` over HTTP; one request at a time, from one thread."""

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
        self._client = httpx.Client(timeout=seconds, trust_env=False, follow_redirects=False)
        self._limits = Exchange(self._client)
        self._busy = threading.Lock()
        self._closed = False

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """See ``ledger.sequencer.witness_rounds.WitnessClient``."""
        return self._exchange("POST", "add-checkpoint", body)

    def latest(self) -> bytes | None:
        """The last checkpoint of this log the witness cosigned; None also where it only tells a known size.

        Raises:
            WitnessError: no answer, or a size above this log's without a checkpoint to show for it.
        """
        hashed = hashlib.sha256(self._origin.encode()).hexdigest()
        status, note = self._exchange("GET", f"{hashed}/checkpoint")
        if status == OK:
            return note
        status, body = self._exchange("POST", "add-checkpoint", self._empty)
        if status == OK:
            return None
        if status != CONFLICT:
            raise WitnessError(f"the witness at {self._url} answered with status {status}")
        claimed, size = _size(body), self._size()
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

    def _exchange(self, method: str, path: str, content: bytes | None = None) -> tuple[int, bytes]:
        try:
            with self._busy:
                if self._closed:
                    raise WitnessError("the log is stopping: witnesses are not asked any more")
                return self._ask(method, path, content)
        finally:
            if self._closed:
                self._client.close()

    def _ask(self, method: str, path: str, content: bytes | None) -> tuple[int, bytes]:
        self._limits.begin(f"the witness at {self._url}", self._seconds, ANSWER_BYTES)
        headers = {"Accept-Encoding": "identity"}
        if content is not None:
            headers["Content-Type"] = "text/plain; charset=utf-8"
        try:
            with self._client.stream(
                method, f"{self._url}/{path}", content=content, headers=headers
            ) as answer:
                data = bytearray()
                for part in answer.iter_raw():
                    data += part
                    if len(data) > ANSWER_BYTES:
                        raise WitnessError(f"the witness at {self._url} answers too much")
                return answer.status_code, bytes(data)
        except LogUnavailableError as error:
            raise WitnessError(str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
            raise WitnessError(f"the witness at {self._url} does not answer: {error}") from error


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
