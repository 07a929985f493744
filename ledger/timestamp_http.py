"""Asking a time-stamp authority over HTTP (RFC 3161, 3.4): one POST, one answer.

The answer is verified by ``ledger.timestamp``; the way there needs no TLS for that, and may have it.
"""

from __future__ import annotations

import httpx

from ledger.errors import Unavailable
from ledger.timestamp import MAX_TOKEN_BYTES, Post

SECONDS = 20.0
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


def post_to(url: str, seconds: float = SECONDS) -> Post:
    """A way to the authority at ``url``; the environment's proxies are not used."""

    def post(request: bytes) -> bytes:
        data = bytearray()
        try:
            with (
                httpx.Client(timeout=seconds, trust_env=False) as client,
                client.stream("POST", url, content=request, headers={"Content-Type": QUERY}) as answer,
            ):
                kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
                if answer.status_code != httpx.codes.OK or kind != REPLY:
                    raise Unavailable(
                        f"the time-stamp authority {url} answers with status {answer.status_code} and type "
                        f"{kind or 'none'}: check its address"
                    )
                for chunk in answer.iter_bytes():
                    data += chunk
                    if len(data) > MAX_TOKEN_BYTES:
                        raise Unavailable(
                            f"the answer of {url} is too long for a time-stamp: check its address"
                        )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(
                f"the time-stamp authority {url} is out of reach ({reason}): check address and network"
            ) from error
        return bytes(data)

    return post
