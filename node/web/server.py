"""The HTTP port: waitress with few threads, bounded connections and bounded requests, run by one thread.

A slow caller holds a connection, never a worker thread: bodies are read before a worker is taken. A silent
connection is closed after ``IDLE_SECONDS``.
"""

from __future__ import annotations

import logging
import socket
import threading
from typing import Any

import waitress.server
from flask import Flask
from waitress import wasyncore

from node.errors import ConfigurationError
from node.web.app import BODY_BYTES

THREADS = 4
CONNECTIONS = 100
HEADER_BYTES = 16 * 1024
IDLE_SECONDS = 30
_POLL_SECONDS = 1.0

log = logging.getLogger("hedui.web")


class WebServer:
    """One application on one address. ``start`` it, ``stop`` it."""

    def __init__(self, app: Flask, address: str) -> None:
        """Open the port; nothing is answered before ``start``.

        Raises:
            ConfigurationError: the address is malformed or cannot be opened.
        """
        self._socket = _open(address)
        self._map: dict[int, Any] = {}
        self._server = waitress.server.create_server(
            app,
            map=self._map,
            sockets=[self._socket],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            max_request_header_size=HEADER_BYTES,
            max_request_body_size=BODY_BYTES,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=IDLE_SECONDS // 3,
            ident=None,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=True,
        )
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
        self._server.task_dispatcher.shutdown()
        self._server.close()
        wasyncore.close_all(self._map, ignore_all=True)


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
