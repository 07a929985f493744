"""Asks a time-stamp authority over HTTP (RFC 3161, 3.4): one POST, one answer.

The answer is verified by ``ledger.formats.timestamp``, so the connection may be plain HTTP or TLS. Reading
stamps does not need this module, and so no HTTP client.
"""

from __future__ import annotations

from ledger.errors import HttpAnswerError, HttpError, LogUnavailableError
from ledger.formats.timestamp import MAX_TOKEN_BYTES, Post
from ledger.http_client import OK, BoundedClient, HttpOptions

STEP_SECONDS, SECONDS = 20.0, 60.0
"""Longest wait for one part of an authority's answer, and for the whole exchange."""


QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


def post_to(url: str, step_seconds: float = STEP_SECONDS, seconds: float = SECONDS) -> Post:
    """A function that posts a request to the authority at ``url``, without the environment's proxies.

    Args:
        url: of the authority.
        step_seconds: longest wait for one part of the answer.
        seconds: longest time for the whole exchange.
    """

    def post(request: bytes) -> bytes:
        client = BoundedClient(HttpOptions(connect_seconds=step_seconds, step_seconds=step_seconds))
        try:
            answer = client.fetch(
                url,
                place=f"the time-stamp authority {url}",
                seconds=seconds,
                size=MAX_TOKEN_BYTES,
                content=request,
                content_type=QUERY,
            )
        except HttpAnswerError as error:
            raise LogUnavailableError(f"{error}: check its address") from error
        except HttpError as error:
            raise LogUnavailableError(
                f"the time-stamp authority {url} is out of reach ({error}): check address and network"
            ) from error
        finally:
            client.close()
        if answer.status != OK or answer.content_type != REPLY:
            raise LogUnavailableError(
                f"the time-stamp authority {url} answers with status {answer.status} and type "
                f"{answer.content_type or 'none'}: check its address"
            )
        return answer.body

    return post
