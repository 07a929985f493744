"""A time-stamp authority: keys and certificates by the ``openssl`` command, which also makes every token.

``TimestampAuthority.post`` asks it in this process; ``serving`` puts it behind HTTP on loopback, as clients
meet one. What is verified by ours is verified by ``openssl ts -verify`` too.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ledger.formats.timestamp import stamp

OPENSSL = shutil.which("openssl")
WITHOUT = "there is no openssl command on this machine, which plays the time-stamp authority"
POLICY = "1.2.3.4.1"
PURPOSES = {
    "timestamps": "critical,timeStamping",
    "not critical": "timeStamping",
    "servers": "critical,serverAuth",
    "both": "critical,timeStamping,serverAuth",
}

CONFIGURATION = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[signer]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = {purpose}
[tsa]
serial = serial
signer_cert = signer.pem
certs = chain.pem
signer_key = signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class Authority:
    """One authority in a folder of its own.

    Attributes:
        root: its root certificate, PEM.
    """

    def __init__(self, folder: Path, purpose: str = "timestamps", name: str = "authority") -> None:
        self.folder = folder
        folder.mkdir()
        text = CONFIGURATION.format(purpose=PURPOSES["timestamps"])
        (folder / "tsa.cnf").write_text(text, encoding="ascii")
        (folder / "serial").write_text("01\n", encoding="ascii")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "tsa.cnf")
        subject = ("-subj", f"/CN={name} root")
        self._run(
            "req", "-x509", *key, "-keyout", "root.key", "-out", "root.pem", *subject, "-extensions", "root"
        )
        self._run("req", *key, "-keyout", "signer.key", "-out", "signer.csr", "-subj", f"/CN={name}")
        self._certify("signer.pem", PURPOSES["timestamps"])
        self._certify("other.pem", PURPOSES[purpose])
        self._resigns = purpose != "timestamps"
        shutil.copy(folder / "root.pem", folder / "chain.pem")

    def _certify(self, name: str, purpose: str) -> None:
        """A certificate of the signer's key for a purpose."""
        (self.folder / "signer.cnf").write_text(CONFIGURATION.format(purpose=purpose), encoding="ascii")
        signing = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-extfile", "signer.cnf")
        self._run("x509", "-req", "-in", "signer.csr", *signing, "-extensions", "signer", "-out", name)

    @property
    def root(self) -> bytes:
        """Its root certificate, PEM."""
        return (self.folder / "root.pem").read_bytes()

    def post(self, request: bytes) -> bytes:
        """Answer a request."""
        (self.folder / "request.tsq").write_bytes(request)
        self._run(
            "ts",
            "-reply",
            "-config",
            "tsa.cnf",
            "-section",
            "tsa",
            "-queryfile",
            "request.tsq",
            "-out",
            "reply.tsr",
        )
        return self._signed_anew() if self._resigns else (self.folder / "reply.tsr").read_bytes()

    def post_for(self, note: bytes) -> bytes:
        """The answer to a request about a note."""
        return stamp(note, self.post, None, 0).data

    def _signed_anew(self) -> bytes:
        """The same statement signed with the other certificate, with which openssl itself would not sign."""
        self._run("ts", "-reply", "-in", "reply.tsr", "-token_out", "-out", "token.der")
        plain = ("-inform", "DER", "-noverify", "-out", "info.der")
        self._run("cms", "-verify", "-in", "token.der", *plain)
        key = ("-signer", "other.pem", "-inkey", "signer.key", "-nosmimecap", "-cades")
        kind = ("-econtent_type", "1.2.840.113549.1.9.16.1.4", "-nodetach", "-binary", "-outform", "DER")
        self._run("cms", "-sign", "-in", "info.der", *key, *kind, "-out", "token.der")
        token = (self.folder / "token.der").read_bytes()
        status = bytes.fromhex("3003020100")
        return b"\x30\x82" + (len(status) + len(token)).to_bytes(2, "big") + status + token

    def verify(self, note: Path, token: Path) -> bool:
        """What ``openssl ts -verify`` says of files."""
        done = self._run(
            "ts", "-verify", "-data", str(note), "-in", str(token), "-CAfile", "root.pem", check=False
        )
        return done.returncode == 0

    def _run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        assert OPENSSL is not None
        return subprocess.run(
            [OPENSSL, *arguments], cwd=self.folder, capture_output=True, check=check, timeout=60
        )


Answer = Callable[[bytes], tuple[int, str, bytes]]
"""Status, content type and body of an answer to a request's bytes."""


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """An authority's HTTP server on loopback for the block; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            status, kind, body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/tsa"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
