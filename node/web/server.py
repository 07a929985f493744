"""The HTTP port of a member: waitress, with the limits that its options give.

    threads                     ``THREADS`` requests are answered at a time
    connection_limit            no more than ``CONNECTIONS`` sockets; further callers wait to be accepted
    channel_timeout             a connection that is silent between requests for ``IDLE_SECONDS`` is closed
    max_request_header_size     ``HEADER_BYTES``
    max_request_body_size       ``BODY_BYTES``; a request is read whole before a thread takes it
    outbuf_high_watermark       a connection's next answer waits while more than ``UNSENT_BYTES`` are unsent

An answer to a caller that reads slowly is buffered, on disk if it is long, and holds no thread. These options
do not help against a caller that keeps its connection by sending a byte now and then or by reading no answer,
nor against one that keeps a thread by sending several requests at once and reading no answer. The reverse
proxy in front of the port does: it reads requests and answers whole, and sends one request at a time
(``docs/guides/operate.md``).
"""

from __future__ import annotations

import logging
import socket
import threading
from typing import Any

import waitress
from flask import Flask

from ledger.formats.tiles import BUNDLE_BYTES
from node.config import Configuration
from node.errors import ConfigurationError
from node.tlog.witness import WitnessDesk
from node.web.app import BODY_BYTES, PublicFiles, create_app

THREADS = 4
CONNECTIONS = 100
HEADER_BYTES = 16 * 1024
UNSENT_BYTES = BUNDLE_BYTES
IDLE_SECONDS = 30
_STOP_SECONDS = 10.0
log = logging.getLogger("hedui.web")


class WebServer:
    """One application on one address, answered by a thread of its own. ``start`` it, ``stop`` it."""

    def __init__(self, app: Flask, address: str, idle_seconds: int = IDLE_SECONDS) -> None:
        """Open the port; nothing is answered before ``start``.

        Args:
            app: the WSGI application.
            address: ``host:port``.
            idle_seconds: after which a connection on which nothing moves is closed, whole seconds.

        Raises:
            ConfigurationError: the address is malformed or cannot be opened.
        """
        self._socket = _open(address)
        self._server: Any = waitress.create_server(
            app,
            sockets=[self._socket],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=idle_seconds,
            cleanup_interval=max(1, idle_seconds // 3),
            max_request_header_size=HEADER_BYTES,
            max_request_body_size=BODY_BYTES,
            outbuf_high_watermark=UNSENT_BYTES,
            ident=None,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=True,
        )
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    @property
    def port(self) -> int:
        """The open port; chosen by the system if the configured port is 0."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and the port; returns within ``_STOP_SECONDS``."""
        self._server.trigger.pull_trigger(self._close)  # runs it in the server's own thread
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            log.error("the web edge does not end: a request of it is still being answered")

    def _close(self) -> None:
        """End the connections, then the threads that answer them, then the port; ``run`` returns after it."""
        for connection in list(self._server.active_channels.values()):
            connection.handle_close()  # wakes a thread that waits for this caller, and closes buffers on disk
        self._server.task_dispatcher.shutdown(timeout=_STOP_SECONDS / 2)
        self._server.close()


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
    """Open and start a member's HTTP port as its configuration says; None without a section ``[web]``.

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
