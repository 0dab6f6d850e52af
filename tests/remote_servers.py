"""Servers on this machine in place of the web and of the hub, which count what is asked of them."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Answer:
    """What a server answers.

    cut: send only so many bytes of the body, and end the connection.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass
class Server:
    """A running server.

    answer: from a request (method, path, headers) to what it answers.
    asked: the requests so far.
    """

    answer: Callable[[str, str, Any], Answer]
    asked: list[str] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(
    answer: Callable[[str, str, Any], Answer], certificate: Path | None = None
) -> Iterator[Server]:
    """Serve on 127.0.0.1; with a certificate by HTTPS."""
    server = Server(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(f"{self.command} {self.path}")
            server.headers.append(self.headers)
            found = server.answer(self.command, self.path, self.headers)
            self.send_response(found.status)
            sent = {"Content-Length": str(len(found.body)), **found.headers}
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body[: found.cut])
            self.close_connection = True

        do_HEAD = do_GET
        do_POST = do_GET

        def log_message(self, *_args: Any) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        running.socket = context.wrap_socket(running.socket, server_side=True)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scheme = "http" if certificate is None else "https"
    server.url = f"{scheme}://127.0.0.1:{running.server_port}"
    try:
        yield server
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


def make_certificate(folder: Path) -> Path:
    """A key and a certificate of its own for 127.0.0.1, in one file."""
    path = folder / "server.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *(
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ),
        *("-keyout", str(path), "-out", str(folder / "cert.pem")),
    ]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (folder / "cert.pem").read_bytes())
    return path


def digest_of(body: bytes) -> str:
    return sha256(body).hexdigest()


@dataclass
class FakeHub:
    """The endpoints of the hub that downloads use, for one dataset at one commit.

    refusal: what it answers to everything, in place of the files.
    large: the files of which it tells the digest of their content.
    """

    repo: str = "maker/sums"
    files: dict[str, bytes] = field(default_factory=dict)
    refusal: Answer | None = None
    large: set[str] = field(default_factory=set)

    def __call__(self, method: str, path: str, headers: Any) -> Answer:
        if self.refusal is not None:
            return self.refusal
        path = unquote(path)
        resolve = f"/datasets/{self.repo}/resolve/"
        api = f"/api/datasets/{self.repo}"
        if path.startswith(resolve):
            revision, _, name = path.removeprefix(resolve).partition("/")
            return self._file(revision, name)
        if path.startswith(f"{api}/revision/"):
            revision = path.removeprefix(f"{api}/revision/").partition("?")[0]
            if revision not in ("main", COMMIT):
                return missing("RevisionNotFound")
            return as_json({"id": self.repo, "sha": COMMIT, "private": False, "siblings": []})
        if path.startswith(f"{api}/tree/{COMMIT}"):
            return as_json([self._entry(name, body) for name, body in self.files.items()])
        return missing("RepoNotFound")

    def _entry(self, name: str, body: bytes) -> dict[str, Any]:
        entry = {"type": "file", "path": name, "size": len(body), "oid": sha1(body).hexdigest()}
        if name in self.large:
            entry["lfs"] = {"oid": digest_of(body), "size": len(body), "pointerSize": 134}
        return entry

    def _file(self, revision: str, name: str) -> Answer:
        if revision != COMMIT:
            return missing("RevisionNotFound")
        if name not in self.files:
            return missing("EntryNotFound")
        body = self.files[name]
        known = sha1(b"blob %d\0" % len(body) + body).hexdigest()
        etag = f'"{known}"'
        return Answer(body, headers={"ETag": etag, "X-Repo-Commit": COMMIT})


def missing(code: str) -> Answer:
    return Answer(b"", 404, {"X-Error-Code": code, "X-Error-Message": "secret-canary-in-words"})


def as_json(value: object) -> Answer:
    return Answer(json.dumps(value).encode(), headers={"Content-Type": "application/json"})
