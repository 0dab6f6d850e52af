"""Who watches calls. Alone in its module, so that a run without calls imports no caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from respsel.store.locks import Holder

# What a call asks of a model: to write a text, to score one, or for its hidden states.
CallKind = Literal["write", "score", "represent"]


class CallEvents(Protocol):
    """Watches calls as they are answered (the progress display)."""

    def calls_wanted(self, model: str, missing: int, reused: int, tokens: int) -> None: ...

    def call_made(self, tokens: int) -> None: ...

    def waits_for(self, model: str, holder: Holder) -> None: ...


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """What one call took.

    model: who answered it.
    kind: what it asked.
    about: what the request was for, as errors name it.
    read: how many tokens its prompt has that no call before it had.
    written: how many tokens its response has, written or scored.
    """

    model: str
    kind: CallKind
    about: str
    read: int
    written: int


class CallMeter(Protocol):
    """Measures what calls take. It is told more than CallEvents, and can change nothing."""

    def round_begins(self, requests: dict[str, int]) -> None:
        """The steps that ask now, each with its number of requests, stored answers among them."""

    def asks(self, model: str, calls: int, tokens: int, evaluated: Callable[[], int]) -> None:
        """So many calls are made to a model now, of at most so many tokens.

        evaluated: how many tokens the model has run through its weights so far.
        """

    def answered(self, call: AnsweredCall) -> None:
        """One call was answered."""


class NoMeter:
    """The CallMeter that measures nothing."""

    def round_begins(self, requests: dict[str, int]) -> None: ...

    def asks(self, model: str, calls: int, tokens: int, evaluated: Callable[[], int]) -> None: ...

    def answered(self, call: AnsweredCall) -> None: ...
