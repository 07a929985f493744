"""A web server on loopback over a folder, as any static host is, and with the faults a test asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Fault = Callable[[str, BaseHTTPRequestHandler], bool]
"""Answers a request in its own way and says so, or leaves it to the server; told the name asked for."""


class Web:
    """The server; ``asked`` lists the names asked for, ``fault`` may answer first."""

    def __init__(self, root: Path) -> None:
        self.asked: list[str] = []
        self.fault: Fault = lambda name, handler: False
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                name = self.path.removeprefix("/log/")
                web.asked.append(name)
                if web.fault(name, self):
                    return None
                file = root / name
                if not file.is_file():
                    return answer(self, 404, b"not here\n")
                return answer(self, 200, file.read_bytes())

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/log/"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """One whole answer."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serving(root: Path) -> Iterator[Web]:
    """A server over ``root`` for the block."""
    web = Web(root)
    try:
        yield web
    finally:
        web.close()
