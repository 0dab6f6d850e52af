"""A file of the web to a local file, by HTTPS, with the standard library.

Sends no login and no cookie. Invariants: every hop is HTTPS with a certificate that was verified.
Size and time are bounded. What broke in the middle goes on from there, if the server says that the
file is still the same.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from respsel.errors import RunError
from respsel.remote.faults import (
    DownloadFault,
    refuse_full,
    refused,
    too_large,
    unreachable,
    unwritable,
)

# Called with the bytes that are there, and all bytes where that is known.
Moved = Callable[[int, int | None], None]

_ATTEMPTS = 4
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
# For each wait of the network.
_TIMEOUT_S = 30.0
# A server that sends less is given up.
_WINDOW_S = 60.0
_LEAST_BYTES = 1 << 12
_CHUNK_BYTES = 1 << 18
_PAGE = "Download it as its provider says, and give the file's path"


def download(url: str, part: Path, most_bytes: int, moved: Moved) -> None:
    """Download a file. Raises DownloadFault; what was written then is of no use."""
    opener = urllib.request.build_opener(
        _HttpsOnly(), urllib.request.HTTPSHandler(context=ssl.create_default_context())
    )
    state = _State(url, part, most_bytes, moved)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            state.go_on(opener)
            return
        except DownloadFault as fault:
            if not fault.passes or attempt == _ATTEMPTS:
                raise
        pause = state.retry_after or _PAUSE_S * 2 ** (attempt - 1)
        time.sleep(min(pause, _LONGEST_PAUSE_S))


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows a server to another place, but only by HTTPS."""

    max_redirections = 8

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        parts = urlsplit(newurl)
        if parts.scheme != "https" or "@" in parts.netloc:
            what = "leads to a place that is not encrypted, or to a login"
            raise DownloadFault(what, _PAGE)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _State:
    """How far a download is."""

    def __init__(self, url: str, part: Path, most_bytes: int, moved: Moved) -> None:
        self._url = url
        self._part = part
        self._most = most_bytes
        self._moved = moved
        self._done = 0
        # What the server calls this very content.
        self._tag = ""
        self.retry_after = 0.0

    def go_on(self, opener: urllib.request.OpenerDirector) -> None:
        """Download what is missing. Raises DownloadFault."""
        try:
            with opener.open(self._request(), timeout=_TIMEOUT_S) as response:
                self._receive(response)
        except urllib.error.HTTPError as error:
            error.close()
            self._note_pause(error.headers)
            if error.code == 416:
                # The file is another one by now.
                self._done = 0
                raise unreachable("the file changed meanwhile") from None
            raise refused(error.code, _PAGE) from None
        except ssl.SSLCertVerificationError as error:
            raise _unverified() from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise _unverified() from error
            raise unreachable(_why(error.reason)) from error
        except (http.client.HTTPException, ssl.SSLError, TimeoutError, ConnectionError) as error:
            raise unreachable(_why(error)) from error

    def _request(self) -> urllib.request.Request:
        # Hazard: packed on the way, the content would have another digest.
        headers = {"User-Agent": "respsel", "Accept-Encoding": "identity"}
        if self._done and self._tag:
            headers |= {"Range": f"bytes={self._done}-", "If-Range": self._tag}
        return urllib.request.Request(self._url, headers=headers)

    def _receive(self, response: Any) -> None:
        if response.status != 206:
            self._done = 0
        length = response.headers.get("Content-Length", "")
        total = self._done + int(length) if length.isdecimal() else None
        tag = response.headers.get("ETag") or ""
        self._tag = "" if tag.startswith("W/") else tag
        if total is not None and total > self._most:
            raise too_large(total, self._most)
        refuse_full(total or 0, self._part.parent)
        self._write(response, total)
        if total is not None and self._done < total:
            raise unreachable("the connection ended too early")

    def _write(self, response: Any, total: int | None) -> None:
        began = time.monotonic()
        before = self._done
        try:
            file = self._part.open("r+b")
        except OSError as error:
            raise unwritable(error) from error
        with file:
            file.seek(self._done)
            file.truncate()
            while chunk := response.read1(_CHUNK_BYTES):
                self._done += len(chunk)
                if self._done > self._most:
                    raise too_large(total, self._most)
                try:
                    file.write(chunk)
                except OSError as error:
                    raise unwritable(error) from error
                self._moved(self._done, total)
                if (now := time.monotonic()) - began > _WINDOW_S:
                    if self._done - before < _LEAST_BYTES:
                        raise unreachable("the server sends next to nothing")
                    began = now
                    before = self._done

    def _note_pause(self, headers: Any) -> None:
        text = (headers.get("Retry-After") or "") if headers else ""
        self.retry_after = float(text) if text.isdecimal() else 0.0


def _why(reason: object) -> str:
    """What the network says, without what a server said."""
    if isinstance(reason, TimeoutError):
        return "the server does not answer"
    if isinstance(reason, http.client.HTTPException):
        return "the server's answer makes no sense"
    text = getattr(reason, "strerror", None) or type(reason).__name__
    return str(text).lower() if str(text)[:2].istitle() else str(text)


def _unverified() -> DownloadFault:
    what = "cannot be downloaded: nobody vouches for the server's certificate"
    remedy = "Check the address. Behind a proxy with its own certificate, set SSL_CERT_FILE to it"
    return DownloadFault(what, remedy, RunError)
