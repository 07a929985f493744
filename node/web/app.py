"""The HTTP edge as a Flask application: a member's witness, or the sequencer's public log.

    POST /add-checkpoint             status, body and content type are those of ``ledger.witness``
    GET  /<origin hash>/checkpoint   the last checkpoint of that log with this witness's cosignature, or 404
    GET  /<path>                     a file of the public log, or 404

The origin hash is the lower-case hex SHA-256 of the origin. Beside the statuses of c2sp.org/tlog-witness
there are 404 for another path, 405 with ``Allow`` for another method, 413 for a body above ``BODY_BYTES`` and
429 with ``Retry-After`` above the rate limit. The request's content type is ignored: the specification names
none.

The public log is served read-only, as c2sp.org/tlog-tiles specifies:

    checkpoint, policy                  text/plain; charset=utf-8       no-cache
    tile/<L>/<N>[.p/<W>]                application/octet-stream        immutable
    tile/entries/<N>[.p/<W>]            application/octet-stream        immutable
    trace/<root>                        application/octet-stream        immutable

A path that is not exactly one of these forms, as the log writes it, is 404: there are no listings, and no
other file, folder outside or symbolic link can be reached.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ledger.errors import TileError
from ledger.formats.tiles import CHECKPOINT, POLICY, TRACE, Tile
from ledger.witness import TEXT
from node.errors import ServiceUnavailableError
from node.rpc.limits import RateLimit
from node.tlog.witness import WitnessDesk

BODY_BYTES = 64 * 1024
"""Largest request: 63 hashes and a checkpoint with a hundred Ed25519 or fifteen ML-DSA-44 signatures."""
SUBMISSIONS = (20.0, 100)
"""Requests to cosign per second, and at once. The largest request takes this node some 10 ms."""
READS = (500.0, 1000)
"""Reads per second, and at once."""
SUBMIT = "add-checkpoint"
_ORIGIN_HASH = re.compile(r"([0-9a-f]{64})/checkpoint")
log = logging.getLogger("hedui.web")
BYTES = "application/octet-stream"
FRESH = "no-cache"
IMMUTABLE = "public, max-age=31536000, immutable"
_TRACE = re.compile(rf"{TRACE}/[0-9a-f]{{64}}")


def create_app(
    desk: WitnessDesk | None, files: PublicFiles | None, clock: Callable[[], float] = time.monotonic
) -> Flask:
    """The application.

    Args:
        desk: the member's witness; None at the sequencer.
        files: the public folder; None everywhere else.
        clock: seconds that never go back, for the rate limits.
    """
    app = Flask("hedui", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES
    app.url_map.merge_slashes = False
    submissions, reads = RateLimit(*SUBMISSIONS, clock), RateLimit(*READS, clock)
    app.register_error_handler(HTTPException, _refusal)
    app.register_error_handler(ServiceUnavailableError, _unavailable)
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
    matched = _ORIGIN_HASH.fullmatch(name)
    if matched is not None and desk is not None:
        note = _cosigned(desk, matched[1])
        return _plain(404) if note is None else _answer(200, note, TEXT, FRESH)
    found = None if files is None else files.read(name)
    return _plain(404) if found is None else _answer(200, found.data, found.content_type, found.caching)


def _cosigned(desk: WitnessDesk, origin_hash: str) -> bytes | None:
    for origin in desk.origins:
        if hashlib.sha256(origin.encode()).hexdigest() == origin_hash:
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


def _unavailable(error: ServiceUnavailableError) -> Response:
    """503: a witness that was restored from a backup does not answer before it has caught up."""
    return _answer(503, f"{error}\n".encode(), TEXT)


def _defect(error: Exception) -> Response:
    """500: a defect is logged here, and the caller is told nothing else about it."""
    log.error("a request to the web edge failed", exc_info=error)
    return _plain(500)


@dataclass(frozen=True)
class PublicFile:
    """One file as it is answered: its bytes, ``Content-Type`` and ``Cache-Control``."""

    data: bytes
    content_type: str
    caching: str


class PublicFiles:
    """The files of one public folder."""

    def __init__(self, root: Path) -> None:
        """Args: ``root`` is the folder; it may be created later."""
        self._root = root

    def read(self, name: str) -> PublicFile | None:
        """The file at a path below the prefix; None where no such file is public."""
        found = _kind(name)
        if found is None:
            return None
        data = self._bytes(name)
        return None if data is None else PublicFile(data, *found)

    def _bytes(self, name: str) -> bytes | None:
        root = self._root.resolve()
        path = root / name
        if path.resolve() != path:
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                return file.read()
        except OSError:
            return None


def _kind(name: str) -> tuple[str, str] | None:
    """(content type, caching) of a public path; None for every other path."""
    if name in (CHECKPOINT, POLICY):
        return TEXT, FRESH
    if _TRACE.fullmatch(name):
        return BYTES, IMMUTABLE
    try:
        Tile.parse(name)
    except TileError:
        return None
    return BYTES, IMMUTABLE
