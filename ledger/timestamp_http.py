"""Asking a time-stamp authority over HTTP (RFC 3161, 3.4): one POST, one answer.

The answer is verified by ``ledger.timestamp``; the way there needs no TLS for that, and may have it. It is
taken as it is, in no content coding, and has ``SECONDS`` for each part and ``WHOLE`` for the exchange with
all that belongs to it (``ledger.exchange``).
"""

from __future__ import annotations

import httpx

from ledger.errors import Unavailable
from ledger.exchange import Exchange
from ledger.timestamp import MAX_TOKEN_BYTES, Post

SECONDS, WHOLE = 20.0, 60.0
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


def post_to(url: str, seconds: float = SECONDS, whole: float = WHOLE) -> Post:
    """A way to the authority at ``url``; the environment's proxies are not used.

    Args:
        url: of the authority.
        seconds: longest wait for one part.
        whole: longest time for one exchange.
    """

    def post(request: bytes) -> bytes:
        data = bytearray()
        headers = {"Content-Type": QUERY, "Accept-Encoding": "identity"}
        try:
            with (
                _client(url, seconds, whole) as client,
                client.stream("POST", url, content=request, headers=headers) as answer,
            ):
                kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
                is_plain = "Content-Encoding" not in answer.headers
                if answer.status_code != httpx.codes.OK or kind != REPLY or not is_plain:
                    raise Unavailable(
                        f"the time-stamp authority {url} answers with status {answer.status_code} and type "
                        f"{kind or 'none'}: check its address"
                    )
                for chunk in answer.iter_raw():
                    data += chunk
                    if len(data) > MAX_TOKEN_BYTES:
                        raise Unavailable(
                            f"the answer of {url} is too long for a time-stamp: check its address"
                        )
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(
                f"the time-stamp authority {url} is out of reach ({reason}): check address and network"
            ) from error
        return bytes(data)

    return post


def _client(url: str, seconds: float, whole: float) -> httpx.Client:
    """A client for one exchange, which begins now."""
    client = httpx.Client(timeout=seconds, trust_env=False)
    Exchange(client).begin(f"the time-stamp authority {url}", whole, MAX_TOKEN_BYTES)
    return client
