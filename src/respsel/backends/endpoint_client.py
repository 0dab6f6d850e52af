"""Asking an OpenAI-compatible server: many requests at once, tried again where that may help, failures told apart.

The openai SDK waits and tries again (connection errors, 408, 409, 429, 5xx; it honours Retry-After up to two
minutes). What is left is either one call's failure, or the end of the run: a wrong key or model, a rate limit
that stays, or one failure after another.

Invariants: the API key is in no message of any error, whatever the server says; an answer that came is handed on,
whatever befell the calls beside it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from respsel.backends.base import Failure
from respsel.errors import PreflightError, Problem, RunError

Answer = TypeVar("Answer")
# After so many failed calls in a row, or as many as are made at once, the server is taken to be out of order.
_FAILURES_IN_A_ROW = 12
# How long calls are still waited for that were on their way when another ended the run.
_LAST_WAIT_S = 30.0
_LONGEST_MESSAGE = 300
_IS_IT_WELL = "Is the server well (see respsel doctor)? Then run again: what was answered is kept"
# A server says 500 also of what it is not able to do.
_OUTAGES = (408, 502, 503, 504)
# A shorter one is a placeholder, and may be a part of any word.
_SHORTEST_KEY = 8


@dataclass(frozen=True)
class EndpointSettings:
    """shown, where: the file that declares the model and the place in it, for errors."""

    base_url: str
    model: str
    api_key_env: str | None
    timeout_s: float
    retries: int
    parallel: int
    shown: str
    where: str


@dataclass(frozen=True)
class _End(Failure):
    """A failure that no other call can pass either."""

    remedy: str = ""
    not_served: bool = False


class _Outage(Failure):
    """The server was not there, or not in order: it says nothing of what was asked."""


class EndpointClient:
    """One server and model."""

    def __init__(self, settings: EndpointSettings) -> None:
        """Raises PreflightError where the SDK or the key is missing. Asks nothing yet."""
        try:
            import openai
        except ImportError as error:
            what, remedy = "the openai package is not installed", "Run: pip install 'respsel[openai]'"
            raise PreflightError(Problem(settings.shown, settings.where, what, remedy)) from error
        self.settings, self._errors = settings, openai
        self._key = _key(settings)
        given: dict[str, Any] = {"base_url": settings.base_url, "timeout": settings.timeout_s, "max_retries": settings.retries}
        if urlsplit(settings.base_url).hostname == "api.openai.com":
            given |= {"organization": os.environ.get("OPENAI_ORG_ID"), "project": os.environ.get("OPENAI_PROJECT_ID")}
        with _hidden_environment():
            self.api = openai.AsyncOpenAI(api_key=self._key or "none", **given)
        # What a server answers to a request that it does not like as it is.
        self.bad_request, self.unprocessable = openai.BadRequestError, openai.UnprocessableEntityError
        self._runner = asyncio.Runner()
        self._failed_in_a_row = 0
        self._answered = False
        self._closed = False

    def each(self, count: int, ask: Callable[[int], Awaitable[Answer]]) -> Iterator[tuple[int, Answer | Failure]]:
        """Yield (index, answer) for `count` requests, as they come. Raises RunError where no more is to be hoped for."""
        pending: dict[asyncio.Task[Answer | Failure], int] = {}
        left = iter(range(count))
        end: _End | None = None
        outage: _Outage | None = None
        try:
            while True:
                while end is None and len(pending) < self.settings.parallel and (index := next(left, None)) is not None:
                    pending[self._runner.get_loop().create_task(self._guarded(ask(index)))] = index
                if not pending or not (done := self._wait(pending, _LAST_WAIT_S if end else None)):
                    break
                for task in done:
                    index, answer = pending.pop(task), task.result()
                    end = end or self._ends(answer)
                    outage = answer if isinstance(answer, _Outage) else outage
                    self._answered = self._answered or not isinstance(answer, _Outage)
                    if not isinstance(answer, _End):
                        yield index, answer
        finally:
            # After Ctrl-C or an error the others are let go of.
            self._let_go(pending)
        if end is None and outage is not None and not self._answered:
            end = _End(f"the endpoint has answered nothing: {outage.problem}", _IS_IT_WELL)
        if end is not None:
            raise self._error(end)

    def one(self, ask: Awaitable[Answer]) -> Answer | Failure:
        """The answer to one request; a Failure as well where the server does not serve such requests.

        Raises RunError where the server is out of order or refuses.
        """
        answer = self._runner.run(self._guarded(ask))
        if isinstance(answer, _Outage):
            raise self._error(_End(f"the endpoint does not answer: {answer.problem}", _IS_IT_WELL))
        if isinstance(answer, _End) and not answer.not_served:
            raise self._error(answer)
        return answer

    def holds_key(self, text: str) -> bool:
        """Whether a text has the API key in it."""
        return len(self._key) >= _SHORTEST_KEY and self._key in text

    def clean(self, text: str) -> str:
        """A text of the server's in one line, as it may be kept and shown: without the key, and valid Unicode."""
        line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
        if self.holds_key(line):
            line = line.replace(self._key, "[API key]")
        return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._runner.run(self.api.close())
        # Cancels what is still on its way.
        self._runner.close()

    def _wait(self, pending: dict[asyncio.Task[Any], int], timeout: float | None) -> set[asyncio.Task[Any]]:
        """Those that are done, in the order in which they were asked."""

        async def wait() -> set[asyncio.Task[Any]]:
            done, _ = await asyncio.wait(list(pending), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            return done

        # Runner turns Ctrl-C into a cancellation of this wait; else it would be raised anywhere in the SDK's coroutines.
        return self._runner.run(wait())

    def _let_go(self, pending: dict[asyncio.Task[Any], int]) -> None:
        async def let_go() -> None:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

        # An error elsewhere closes the models before it lets go of what was being asked.
        if pending and not self._closed:
            self._runner.run(let_go())

    async def _guarded(self, ask: Awaitable[Answer]) -> Answer | Failure:
        try:
            answer = await ask
        except (self._errors.APIError, ValueError) as error:
            return self._failure(error)
        if isinstance(answer, Failure):
            return replace(answer, problem=self.clean(answer.problem))
        return answer

    def _failure(self, error: Exception) -> Failure:
        """What an error of the SDK's, or of reading an answer, comes to."""
        api, told = self._errors, self._told(error)
        if isinstance(error, api.AuthenticationError | api.PermissionDeniedError):
            key = self.settings.api_key_env
            remedy = f"Check the key in {key}" if key else "Set api_key_env to the name of the variable that holds the key"
            return _End(f"the endpoint refuses: {told}", remedy)
        if isinstance(error, api.NotFoundError):
            return _End(f"the endpoint knows no such thing: {told}", "Check 'base_url' and 'model'", not_served=True)
        if isinstance(error, api.RateLimitError):
            return _End(f"the endpoint's rate limit holds: {told}", "Lower 'parallel', or run again later")
        if isinstance(error, api.APIConnectionError) or getattr(error, "status_code", 0) in _OUTAGES:
            return _Outage(told)
        if isinstance(error, api.APIError):
            return Failure(told)
        return Failure(f"the server's answer cannot be used: {told}")

    def _told(self, error: Exception) -> str:
        body, cause = getattr(error, "body", None), error.__cause__
        said = body.get("message") if isinstance(body, dict) else None
        text = str(said or error).strip() or type(error).__name__
        return self.clean(f"{text} ({cause})" if cause and str(cause) else text)

    def _ends(self, answer: object) -> _End | None:
        """The end of the run, if an answer is it."""
        if isinstance(answer, _End):
            return answer
        self._failed_in_a_row = self._failed_in_a_row + 1 if isinstance(answer, Failure) else 0
        if not isinstance(answer, Failure) or self._failed_in_a_row < max(_FAILURES_IN_A_ROW, self.settings.parallel):
            return None
        what = f"{self._failed_in_a_row} calls in a row failed, the last one: {answer.problem}"
        return _End(what, _IS_IT_WELL)

    def _error(self, end: _End) -> RunError:
        return RunError(Problem(self.settings.shown, self.settings.where, end.problem, end.remedy))


@contextmanager
def _hidden_environment() -> Iterator[None]:
    """Hazard: the SDK sends what it finds in OPENAI_API_KEY, OPENAI_CUSTOM_HEADERS and the like to whatever server this is."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("OPENAI_") and name != "OPENAI_LOG"}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _key(settings: EndpointSettings) -> str:
    if settings.api_key_env is None:
        return ""
    found, place = os.environ.get(settings.api_key_env, "").strip(), f"{settings.where}.api_key_env"
    if not found:
        what = f"the environment variable {settings.api_key_env} is not set, and is to hold the API key"
        raise PreflightError(Problem(settings.shown, place, what, f"Run: export {settings.api_key_env}=..."))
    if not found.isascii() or not found.isprintable() or " " in found:
        what = f"the environment variable {settings.api_key_env} holds no API key: there are blanks or odd characters in it"
        raise PreflightError(Problem(settings.shown, place, what, f"Mend {settings.api_key_env}"))
    return found
