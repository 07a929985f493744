"""The HTTP edge as a Flask application over a witness's desk and a public folder; either may be absent.

    POST /add-checkpoint             status, body and content type are those of ``ledger.witness``
    GET  /<origin hash>/checkpoint   the last checkpoint of that log with this witness's cosignature, or 404
    GET  /<path>                     a public file, or 404

The origin hash is the lower-case hex SHA-256 of the origin. Besides the specification's own statuses there
are 404 for another path, 405 with ``Allow`` for another method, 413 for a body above ``BODY_BYTES`` and 429
with ``Retry-After`` above the allowance. The request's content type does not matter: the specification names
none.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ledger.witness import TEXT
from node.allowance import Allowance
from node.errors import ServiceUnavailable
from node.web.files import FRESH, PublicFiles
from node.witnessing import WitnessDesk

BODY_BYTES = 64 * 1024
"""Largest request: 63 hashes and a checkpoint with a hundred Ed25519 or fifteen ML-DSA-44 signatures."""
SUBMISSIONS = (20.0, 100)
"""Requests to cosign a second, and at once: the largest, of whatever content, takes this node some 10 ms."""
READS = (500.0, 1000)
"""Reads a second, and at once."""
SUBMIT = "add-checkpoint"
_ORIGIN_HASH = re.compile(r"([0-9a-f]{64})/checkpoint")

log = logging.getLogger("hedui.web")


def create_app(
    desk: WitnessDesk | None, files: PublicFiles | None, clock: Callable[[], float] = time.monotonic
) -> Flask:
    """The application.

    Args:
        desk: the member's witness; None at the sequencer.
        files: the public folder; None everywhere else.
        clock: seconds that never go back, for the allowances.
    """
    app = Flask("hedui", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES
    app.url_map.merge_slashes = False
    submissions, reads = Allowance(*SUBMISSIONS, clock), Allowance(*READS, clock)
    app.register_error_handler(HTTPException, _refusal)
    app.register_error_handler(ServiceUnavailable, _unavailable)
    app.register_error_handler(Exception, _defect)
    if desk is not None:

        def add_checkpoint() -> Response:
            if not submissions.take():
                return _later()
            status, body, content_type = desk.add_checkpoint(request.get_data(cache=False))
            return _answer(status, body, content_type)

        app.add_url_rule(
            f"/{SUBMIT}", view_func=add_checkpoint, methods=["POST"], provide_automatic_options=False
        )

    def read(name: str) -> Response:
        if not reads.take():
            return _later()
        if name == SUBMIT and desk is not None:
            raise MethodNotAllowed(["POST"])
        return _read(name, desk, files)

    app.add_url_rule("/<path:name>", view_func=read, methods=["GET"], provide_automatic_options=False)
    return app


def _read(name: str, desk: WitnessDesk | None, files: PublicFiles | None) -> Response:
    hashed = _ORIGIN_HASH.fullmatch(name)
    if hashed is not None and desk is not None:
        note = _cosigned(desk, hashed[1])
        return _plain(404) if note is None else _answer(200, note, TEXT, FRESH)
    found = None if files is None else files.read(name)
    return _plain(404) if found is None else _answer(200, found.data, found.content_type, found.caching)


def _cosigned(desk: WitnessDesk, hashed: str) -> bytes | None:
    for origin in desk.origins:
        if hashlib.sha256(origin.encode()).hexdigest() == hashed:
            return desk.latest(origin)
    return None


def _answer(status: int, body: bytes, content_type: str, caching: str = "no-store") -> Response:
    headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
    return Response(body, status, headers, content_type=content_type)


def _plain(status: int) -> Response:
    texts = {404: "not found", 429: "too many requests", 500: "internal error"}
    return _answer(status, f"{texts[status]}\n".encode(), TEXT)


def _later() -> Response:
    answer = _plain(429)
    answer.headers["Retry-After"] = "1"
    return answer


def _refusal(error: HTTPException) -> Response:
    """Werkzeug's own refusals (404, 405, 413) as plain text."""
    status = 500 if error.code is None else error.code
    answer = _answer(status, f"{error.name.lower()}\n".encode(), TEXT)
    for name, value in error.get_headers():
        if name == "Allow":
            answer.headers[name] = value
    return answer


def _unavailable(error: ServiceUnavailable) -> Response:
    """A witness that was put back from a backup says nothing before it has caught up."""
    return _answer(503, f"{error}\n".encode(), TEXT)


def _defect(error: Exception) -> Response:
    """A defect is logged here; the caller learns no more than that there was one."""
    log.error("a request to the web edge failed", exc_info=error)
    return _plain(500)
