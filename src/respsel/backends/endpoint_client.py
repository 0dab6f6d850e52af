"""Asking an OpenAI-compatible server: many requests at once, tried again where that may help, failures told apart.

The openai SDK waits and tries again (connection errors, 408, 409, 429, 5xx; it honours Retry-After up to two
minutes). What is left is either one call's failure, or the end of the run: a wrong key or model, a rate limit
that stays, or one failure after another.

Invariant: the API key is in no message of any error, whatever the server says.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from respsel.backends.base import Failure
from respsel.errors import PreflightError, Problem, RunError

Answer = TypeVar("Answer")
# After so many failed calls in a row, or as many as are made at once, the server is taken to be out of order.
_FAILURES_IN_A_ROW = 12
_LONGEST_MESSAGE = 300
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
        # Hazard: given no key the SDK would send the one of OPENAI_API_KEY, to whatever server this is.
        self.api = openai.AsyncOpenAI(
            api_key=self._key or "none", base_url=settings.base_url, timeout=settings.timeout_s, max_retries=settings.retries
        )
        # What a server answers to a request that it does not like as it is.
        self.bad_request, self.unprocessable = openai.BadRequestError, openai.UnprocessableEntityError
        self._loop = asyncio.new_event_loop()
        self._failed_in_a_row = 0

    def each(self, count: int, ask: Callable[[int], Awaitable[Answer]]) -> Iterator[tuple[int, Answer | Failure]]:
        """Yield (index, answer) for `count` requests, as they come. Raises RunError where no more is to be hoped for."""
        pending: dict[asyncio.Task[Answer | Failure], int] = {}
        left = iter(range(count))
        try:
            while True:
                while len(pending) < self.settings.parallel and (index := next(left, None)) is not None:
                    pending[self._loop.create_task(self._guarded(ask(index)))] = index
                if not pending:
                    return
                done, _ = self._loop.run_until_complete(asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED))
                for task in done:
                    index = pending.pop(task)
                    yield index, self._noted(task.result())
        finally:
            # After Ctrl-C or an error the others are let go of.
            for task in pending:
                task.cancel()
            if pending:
                self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))

    def one(self, ask: Awaitable[Answer]) -> Answer | Failure:
        """The answer to one request."""
        return self._loop.run_until_complete(self._guarded(ask))

    def holds_key(self, text: str) -> bool:
        """Whether a text has the API key in it."""
        return bool(self._key) and len(self._key) >= _SHORTEST_KEY and self._key in text

    def tell(self, error: Exception) -> str:
        """What an error says, in one line, without the key."""
        body = getattr(error, "body", None)
        said = body.get("message") if isinstance(body, dict) else None
        text = str(said or error).strip() or type(error).__name__
        if cause := error.__cause__:
            text = f"{text} ({cause})" if str(cause) else text
        line = " ".join(text.split())
        if self.holds_key(line):
            line = line.replace(self._key, "[API key]")
        return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"

    def close(self) -> None:
        """Close all connections."""
        self._loop.run_until_complete(self.api.close())
        self._loop.close()

    async def _guarded(self, ask: Awaitable[Answer]) -> Answer | Failure:
        api = self._errors
        try:
            return await ask
        except (api.AuthenticationError, api.PermissionDeniedError) as error:
            key = self.settings.api_key_env
            remedy = f"Check the key in {key}" if key else "Set api_key_env to the name of the variable that holds the key"
            self._end(f"the endpoint refuses: {self.tell(error)}", remedy)
        except api.NotFoundError as error:
            self._end(f"the endpoint knows no such thing: {self.tell(error)}", "Check 'base_url' and 'model'")
        except api.RateLimitError as error:
            self._end(f"the endpoint's rate limit holds: {self.tell(error)}", "Lower 'parallel', or run again later")
        except api.APIError as error:
            return Failure(self.tell(error))
        except ValueError as error:
            return Failure(f"the server's answer cannot be used: {self.tell(error)}")

    def _noted(self, answer: Answer | Failure) -> Answer | Failure:
        self._failed_in_a_row = self._failed_in_a_row + 1 if isinstance(answer, Failure) else 0
        if isinstance(answer, Failure) and self._failed_in_a_row >= max(_FAILURES_IN_A_ROW, self.settings.parallel):
            what = f"{self._failed_in_a_row} calls in a row failed, the last one: {answer.problem}"
            self._end(what, "Is the server well? Then run again: what was answered is kept")
        return answer

    def _end(self, what: str, remedy: str) -> NoReturn:
        # Not "from" the SDK's error: a traceback would show what the server said.
        raise RunError(Problem(self.settings.shown, self.settings.where, what, remedy)) from None


def _key(settings: EndpointSettings) -> str:
    if settings.api_key_env is None:
        return ""
    found = os.environ.get(settings.api_key_env, "").strip()
    if not found:
        what = f"the environment variable {settings.api_key_env} is not set, and is to hold the API key"
        raise PreflightError(
            Problem(settings.shown, f"{settings.where}.api_key_env", what, f"Run: export {settings.api_key_env}=...")
        )
    return found


def counts_of(usage: Any) -> tuple[int, int]:
    """(prompt tokens, output tokens) that a server says it took; 0 where it says nothing.

    Raises ValueError where it says what cannot be.
    """
    counts = [getattr(usage, name, None) or 0 for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError(f"token counts of {counts[0]} and {counts[1]}")
    return counts[0], counts[1]
