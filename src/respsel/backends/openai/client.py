"""Asking an OpenAI-compatible server many requests at once.

The openai SDK waits and tries again (connection errors, 408, 409, 429, 5xx; it honours Retry-After
up to two minutes), but not what would fail again in the same way (see `errors`). What is left is
either one call's failure, or the end of the run (see `tally`).

Knows nothing of what is asked. Invariants: the API key is in no message of any error, whatever the
server says. An answer that came is handed on, whatever happened to the other calls.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html import unescape
from typing import Any, TypeVar
from urllib.parse import urlsplit

from respsel.backends.contract import Failure
from respsel.backends.openai.errors import EndpointError, Kind, ServerError, read_answer, read_error
from respsel.backends.openai.key_spellings import holds_key, without_key
from respsel.backends.openai.loop_thread import LoopThread, first_done
from respsel.backends.openai.tally import CallFailure, End, Tally, no_answer, remedy_of
from respsel.errors import PreflightError, RunError
from respsel.recipe.places import Place
from respsel.replies.server_words import one_line

Answer = TypeVar("Answer")
# How long calls are still waited for that were on their way when another ended the run.
_LAST_WAIT_S = 30.0
_LONGEST_MESSAGE = 300
_PREFIXES = {
    Kind.ACCOUNT: "the endpoint refuses: ",
    Kind.SHAPE: "the endpoint refuses every request: ",
    Kind.MODEL: "the endpoint knows no such model: ",
    Kind.RATE: "the endpoint's rate limit holds: ",
}


@dataclass(frozen=True)
class EndpointSettings:
    """Which server and model, and how it is asked.

    api_key_env: the environment variable that holds the key, if there is one.
    timeout_s: for a whole answer, for each try.
    parallel: requests at once.
    place: where the model is declared, for errors.
    request: further parameters of each request.
    """

    base_url: str
    model: str
    api_key_env: str | None
    timeout_s: float
    retries: int
    parallel: int
    place: Place
    request: Mapping[str, Any] = field(default_factory=dict)


class EndpointClient:
    """One server and model."""

    def __init__(self, settings: EndpointSettings) -> None:
        """Raises PreflightError where the SDK or the key is missing. Asks nothing yet."""
        try:
            import openai
        except ImportError as error:
            what = "the openai package is not installed"
            remedy = "Run: pip install 'respsel[openai]'"
            raise PreflightError(settings.place.problem(what, remedy)) from error
        self.settings = settings
        self._errors = openai
        self._key = _key(settings)
        self._check_request()
        given: dict[str, Any] = {
            "base_url": settings.base_url,
            "timeout": None,
            "max_retries": settings.retries,
        }
        if urlsplit(settings.base_url).hostname == "api.openai.com":
            given |= {
                "organization": os.environ.get("OPENAI_ORG_ID"),
                "project": os.environ.get("OPENAI_PROJECT_ID"),
            }
        from respsel.backends.openai.http import BoundedClient, RefusedAnswer

        self._refused = RefusedAnswer
        with _hidden_environment():
            http = BoundedClient(settings.timeout_s, limits=openai.DEFAULT_CONNECTION_LIMITS)
            self._api = openai.AsyncOpenAI(api_key=self._key or "none", http_client=http, **given)
        self._loop = LoopThread()
        self._tally = Tally(settings.parallel)

    async def chat(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The body of the answer to a chat. Raises EndpointError."""
        return await self._ask(
            self._api.chat.completions.with_raw_response.create, body, ("model", "messages")
        )

    async def complete(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The body of the answer to a completion. Raises EndpointError."""
        return await self._ask(
            self._api.completions.with_raw_response.create, body, ("model", "prompt")
        )

    def each(
        self, count: int, ask: Callable[[int], Awaitable[Answer]]
    ) -> Iterator[tuple[int, Answer | Failure]]:
        """Yield (index, answer) for `count` requests, as they come.

        Raises RunError where no further request can be answered.
        """
        pending: dict[Future[Answer | Failure], int] = {}
        left = iter(range(count))
        end: End | None = None
        try:
            while True:
                while (
                    end is None
                    and len(pending) < self.settings.parallel
                    and (index := next(left, None)) is not None
                ):
                    pending[self._loop.start(self._guarded(ask(index)))] = index
                if not (done := first_done(pending, _LAST_WAIT_S if end else None)):
                    break
                for future in done:
                    index = pending.pop(future)
                    answer = future.result()
                    end = self._tally.note(answer) if end is None else end
                    if not (isinstance(answer, CallFailure) and answer.ends_run):
                        yield index, answer
        finally:
            # After Ctrl-C or an error the others are let go of.
            for future in pending:
                future.cancel()
        if (end := end or self._tally.at_end()) is not None:
            raise self._error(end)

    def one(self, ask: Awaitable[Answer]) -> Answer | Failure:
        """The answer to one request; a Failure too where the server does not serve such requests.

        Raises RunError where the server is out of order or refuses.
        """
        answer = self._loop.run(self._guarded(ask))
        if isinstance(answer, CallFailure) and answer.kind is Kind.OUTAGE:
            raise self._error(no_answer(answer))
        if isinstance(answer, CallFailure) and answer.kind in (Kind.ACCOUNT, Kind.RATE):
            raise self._error(End(answer.problem, answer.remedy))
        return answer

    def holds_key(self, text: str) -> bool:
        """Whether a text has the API key in it."""
        return holds_key(text, self._key)

    def clean(self, text: str) -> str:
        """A text of the server's in one line, as it may be kept and shown.

        Without the key, and valid Unicode.
        """
        line = without_key(one_line(text), self._key)
        return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"

    def close(self) -> None:
        """Close all connections."""
        if self._loop.is_running:
            self._loop.run(self._api.close())
        self._loop.close()

    async def _ask(
        self, create: Any, body: Mapping[str, Any], named: tuple[str, ...]
    ) -> Mapping[str, Any]:
        own = {name: body[name] for name in named}
        more = {name: value for name, value in body.items() if name not in named}
        # Hazard: the SDK's errors hold what the server said, the key perhaps. They are in no chain
        # of a traceback.
        try:
            raw = await create(**own, extra_body=more)
        except self._refused as error:
            raise EndpointError(error.error) from None
        except self._errors.APIStatusError as error:
            told = error.response
            raise EndpointError(
                read_error(told.status_code, self._hide(told.content), told.headers)
            ) from None
        except self._errors.APIError as error:
            cause = f" ({error.__cause__})" if str(error.__cause__ or "") else ""
            kind = (
                Kind.OUTAGE if isinstance(error, self._errors.APIConnectionError) else Kind.SERVER
            )
            words = str(error).rstrip(".") or type(error).__name__
            raise EndpointError(ServerError(kind, 0, f"{words}{cause}")) from None
        return read_answer(raw.content, self._hide)

    def _hide(self, content: bytes) -> bytes:
        """A body without the key.

        Hazard: once a text is cut, a part of the key cannot be found in it.
        """
        text = without_key(content.decode("utf-8", "surrogateescape"), self._key)
        # Hazard: a web page may spell some of its characters as entities (&#x2F;), which are read
        # before it is cut.
        if self.holds_key(spelled := unescape(text)):
            text = without_key(spelled, self._key)
        return text.encode("utf-8", "surrogateescape")

    def _check_request(self) -> None:
        if self.holds_key(json.dumps(self.settings.request)):
            what = "holds the API key, which would be kept and shown with the recipe"
            remedy = f"Take it out: the key is sent from {self.settings.api_key_env}"
            raise PreflightError(self.settings.place.at("request").problem(what, remedy))

    async def _guarded(self, ask: Awaitable[Answer]) -> Answer | Failure:
        try:
            answer = await ask
        except EndpointError as error:
            return self._failure(error.error)
        except ValueError as error:
            return CallFailure(self.clean(f"the server's answer cannot be used: {error}"))
        if isinstance(answer, Failure):
            return replace(answer, problem=self.clean(answer.problem))
        return answer

    def _failure(self, error: ServerError) -> CallFailure:
        """What an error comes to, with what to do where it ends the run."""
        settings = self.settings
        remedy = remedy_of(error, settings.api_key_env, settings.place.keys, settings.request)
        return CallFailure(
            self.clean(_PREFIXES.get(error.kind, "") + error.words), error.kind, self.clean(remedy)
        )

    def _error(self, end: End) -> RunError:
        return RunError(self.settings.place.problem(end.what, end.remedy))


@contextmanager
def _hidden_environment() -> Iterator[None]:
    """Hide the environment variables that the SDK reads.

    Hazard: it sends what it finds in OPENAI_API_KEY, OPENAI_CUSTOM_HEADERS and the like to
    whatever server this is.
    """
    hidden = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("OPENAI_") and name != "OPENAI_LOG"
    }
    try:
        yield
    finally:
        os.environ.update(hidden)


def _key(settings: EndpointSettings) -> str:
    if settings.api_key_env is None:
        return ""
    found = os.environ.get(settings.api_key_env, "").strip()
    place = settings.place.at("api_key_env")
    if not found:
        what = (
            f"the environment variable {settings.api_key_env} is not set, and is to hold the "
            "API key"
        )
        raise PreflightError(place.problem(what, f"Run: export {settings.api_key_env}=..."))
    if not found.isascii() or not found.isprintable() or " " in found:
        what = (
            f"the environment variable {settings.api_key_env} holds no API key: there are "
            "blanks or odd characters in it"
        )
        raise PreflightError(place.problem(what, f"Fix {settings.api_key_env}"))
    return found
