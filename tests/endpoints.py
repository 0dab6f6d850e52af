"""Servers on loopback that behave, or misbehave, as a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request that came in; the headers' names in small letters."""

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    number: int
    at: float


@dataclass(frozen=True)
class Reply:
    """status, a JSON body (or bytes as they are), and headers; cut: break off in the middle;
    wait_s: before it.

    parts: sent instead of the body, one after the other, without saying how long they are.
    """

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    wait_s: float = 0.0
    parts: Iterable[bytes] = ()


class Endpoint:
    """A running server: what it was asked, and how many requests it had at once at most."""

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.answer = answer
        self.asked = list[Asked]()
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    def handle(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        with self._lock:
            asked = Asked(path, json.loads(body), headers, len(self.asked), time.monotonic())
            self.asked.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            reply = self.answer(asked)
            time.sleep(reply.wait_s)
            return reply
        finally:
            with self._lock:
                self._at_once -= 1

    url: str = ""


@contextmanager
def serving(answer: Callable[[Asked], Reply]) -> Iterator[Endpoint]:
    """A server that answers requests so, until the block ends."""
    endpoint = Endpoint(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            reply = endpoint.handle(
                self.path,
                self.rfile.read(int(self.headers["Content-Length"])),
                {name.lower(): value for name, value in self.headers.items()},
            )
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            try:
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header(
                    *(
                        ("Connection", "close")
                        if reply.parts
                        else ("Content-Length", str(len(data)))
                    )
                )
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for part in reply.parts or [data[: len(data) // 2] if reply.cut else data]:
                    self.wfile.write(part)
                if reply.cut:
                    self.close_connection = True
            except OSError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()


def chat(text: str | None, prompt_tokens: Any = 7, n_tokens: Any = 3, ended: str = "stop") -> Reply:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": ended}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": n_tokens}
    return Reply(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
    )


def error(status: int, message: str, **headers: str) -> Reply:
    """An error as OpenAI's API words it."""
    return Reply(
        {"error": {"message": message, "type": "some_error"}},
        status,
        {k.replace("_", "-"): v for k, v in headers.items()},
    )
