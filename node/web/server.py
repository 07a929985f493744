"""The HTTP port: waitress with few threads, bounded connections and bounded requests, run by one thread.

A slow caller holds a connection, never a worker thread:

- Requests are read whole before a worker is taken.
- A worker hands its answer over whole, of whatever size, and does not wait for the caller to take it.
- A connection has one answer and is closed with it, so that nothing waits behind an answer nobody takes
  (waitress closes no connection, however silent, that still has requests). A reverse proxy keeps connections
  with its own callers.

A connection on which nothing moves is closed after ``IDLE_SECONDS``, and so is one whose request has not come
by then; one whose answer has not been taken after ``WHOLE_SECONDS``.

Opening a member's HTTP edge as its configuration says.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

import waitress.server
from flask import Flask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from node.config import Configuration
from node.errors import ConfigurationError
from node.tlog.witness import WitnessDesk
from node.web.app import BODY_BYTES, PublicFiles, create_app

THREADS = 4
CONNECTIONS = 100
HEADER_BYTES = 16 * 1024
IDLE_SECONDS = 30
WHOLE_SECONDS = 600
ANSWER_BYTES = 1 << 40
"""Bytes of answers at which waitress lets a worker wait for the caller: above any answer."""
_POLL_SECONDS = 1.0
log = logging.getLogger("hedui.web")


class WebServer:
    """One application on one address. ``start`` it, ``stop`` it."""

    def __init__(self, app: Flask, address: str, seconds: float = IDLE_SECONDS) -> None:
        """Open the port; nothing is answered before ``start``.

        Args:
            app: answers. address: ``host:port``. seconds: within which a request must have come.

        Raises:
            ConfigurationError: the address is malformed or cannot be opened.
        """
        self._socket = _open(address)
        self._seconds = seconds
        self._map: dict[int, Any] = {}
        self._server = waitress.server.create_server(
            app,
            map=self._map,
            sockets=[self._socket],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            max_request_header_size=HEADER_BYTES,
            max_request_body_size=BODY_BYTES,
            outbuf_high_watermark=ANSWER_BYTES,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=IDLE_SECONDS // 3,
            ident=None,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=True,
        )
        self._server.channel_class = _Connection
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def port(self) -> int:
        """The port that is open, which the system chose where the address says 0."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self._stopping.set()
        self._server.pull_trigger()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            wasyncore.loop(timeout=_POLL_SECONDS, use_poll=True, map=self._map, count=1)
            self._end_late(time.time())
        self._server.task_dispatcher.shutdown()
        for connection in list(self._server.active_channels.values()):
            connection.handle_close()  # with the files that hold answers nobody took
        self._server.close()
        wasyncore.close_all(self._map, ignore_all=True)

    def _end_late(self, now: float) -> None:
        """Close what is late though something moves on it; waitress closes only what is silent."""
        for connection in self._server.active_channels.values():
            is_asked = connection.requests or connection.total_outbufs_len
            if now - connection.creation_time > (WHOLE_SECONDS if is_asked else self._seconds):
                connection.will_close = True


class _LastAnswer(WSGITask):  # type: ignore[misc]  # waitress has no types
    """An answer with ``Connection: close``, whatever was asked for."""

    def build_response_header(self) -> Any:
        self.request.headers["CONNECTION"] = "close"
        return super().build_response_header()


class _Connection(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    task_class = _LastAnswer


def _open(address: str) -> socket.socket:
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal():
        raise ConfigurationError(f"[web] address is {address}: give host:port, such as 127.0.0.1:7480")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=CONNECTIONS)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"the web port {address} cannot be opened: choose a free one in node.toml"
        ) from error


def open_web(configuration: Configuration, desk: WitnessDesk | None) -> WebServer | None:
    """The running HTTP edge of a member; None where ``node.toml`` has no section ``[web]``.

    Args:
        configuration: of the member.
        desk: its witness; None at the sequencer, which serves the public log instead.

    Raises:
        ConfigurationError: the address cannot be opened, or the sequencer is told to cosign logs.
    """
    web = configuration.web
    if web is None:
        return None
    if desk is None and web.logs:
        raise ConfigurationError("the member that runs the log has no witness: remove [[web.logs]] there")
    files = PublicFiles(configuration.home.public_log) if desk is None else None
    server = WebServer(create_app(desk, files), web.address)
    server.start()
    log.info("the web edge of %s listens on %s", configuration.member, web.address)
    return server
