"""One HTTP request to an endpoint, bounded in time, in size, and to the server that was named.

The SDK's own limits are for each read: a server that sends a byte a second, or without an end,
would hold a run for ever or fill the memory. The SDK follows redirects too, and the prompts would
go along.

Knows only which statuses the SDK must see in order to try again or not (see `errors`). Invariant:
no more than `most_bytes` of an answer are kept, whatever its headers or its compression say.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
from openai import OpenAIError

from respsel.backends.openai.errors import PERMANENT, Kind, ServerError, find_error

# A text of any length that a model writes, and log-probabilities (about 150 bytes for a token,
# which takes 4 or more in the request).
_MOST_BYTES = 16 << 20
_MOST_BYTES_A_BYTE_SENT = 128
_MOST_REDIRECTS = 5
# Which keep the request as it is; others make a GET of it.
_KEEPING = (307, 308)
# Others may unfold a kilobyte to gigabytes in one read.
_ENCODINGS = ("", "identity", "gzip", "deflate")
# What is no longer true of an answer that was read.
_FRAMING = ("content-encoding", "content-length", "transfer-encoding")


class RefusedAnswer(OpenAIError):
    """An answer that is not read, or not to its end. The SDK does not try such a request again."""

    def __init__(self, error: ServerError) -> None:
        super().__init__(error.words)
        self.error = error


class BoundedClient(httpx2.AsyncClient):
    """An HTTP client for the SDK: see above."""

    def __init__(self, timeout_s: float, **options: Any) -> None:
        """Bound each request.

        timeout_s: for a whole answer, from the request to its last byte.
        options: of httpx2.AsyncClient.
        """
        headers = {"Accept-Encoding": "gzip, deflate"}
        # The deadline here covers each of httpx's own timeouts.
        super().__init__(timeout=None, follow_redirects=False, headers=headers, **options)
        self._timeout_s = timeout_s

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request and read its whole answer.

        Raises httpx2.ReadTimeout after the deadline. Raises RefusedAnswer for an answer that is too
        large or packed in an unknown way, and for a redirect to another server.
        """
        options |= {"stream": True, "follow_redirects": False}
        most_bytes = _MOST_BYTES + _MOST_BYTES_A_BYTE_SENT * len(request.content)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._follow(request, options)
                try:
                    content = await _read(response, most_bytes)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise httpx2.ReadTimeout(
                f"no whole answer within {self._timeout_s:g} s", request=request
            ) from None
        return _as_the_sdk_sees_it(response, content)

    async def _follow(self, request: httpx2.Request, options: dict[str, Any]) -> httpx2.Response:
        """The first response that is not a redirect."""
        for _ in range(_MOST_REDIRECTS):
            response = await super().send(request, **options)
            if (following := response.next_request) is None:
                return response
            await response.aclose()
            if response.status_code not in _KEEPING or not _is_same_server(
                request.url, following.url
            ):
                raise _redirect(
                    response, f"it redirects to {_server(following.url)}, which was not followed"
                )
            request = following
        raise _redirect(response, "it redirects without an end")


async def _read(response: httpx2.Response, most_bytes: int) -> bytes:
    """An answer's bytes, unpacked."""
    if (encoding := response.headers.get("content-encoding", "").strip().lower()) not in _ENCODINGS:
        raise _unread(
            response, f"the server's answer is packed in a way that was not asked for ({encoding})"
        )
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > most_bytes:
            raise _unread(
                response,
                f"the server's answer has more than {most_bytes >> 20} MiB, and was not read to "
                "its end",
            )
    return bytes(content)


def _as_the_sdk_sees_it(response: httpx2.Response, content: bytes) -> httpx2.Response:
    """The answer with its error's own status, and with a header for what not to try again."""
    status = response.status_code
    headers = response.headers.copy()
    for name in _FRAMING:
        headers.pop(name, None)
    if error := find_error(status, content, headers):
        status = error.status
        if error.kind in PERMANENT:
            headers["x-should-retry"] = "false"
    return httpx2.Response(status, headers=headers, content=content, request=response.request)


def _is_same_server(sent: httpx2.URL, to: httpx2.URL) -> bool:
    """Whether a redirect stays on the server.

    The same scheme, host and port, or from http to https at the usual ports.
    """
    places = [(url.scheme, url.host, _port(url)) for url in (sent, to)]
    return places[0] == places[1] or places == [("http", sent.host, 80), ("https", sent.host, 443)]


def _port(url: httpx2.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def _server(url: httpx2.URL) -> str:
    """Where a URL leads, without what may be secret in it."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def _redirect(response: httpx2.Response, what: str) -> RefusedAnswer:
    return RefusedAnswer(ServerError(Kind.SHAPE, response.status_code, what))


def _unread(response: httpx2.Response, what: str) -> RefusedAnswer:
    return RefusedAnswer(ServerError(Kind.SERVER, response.status_code, what))
