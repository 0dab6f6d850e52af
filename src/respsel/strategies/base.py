"""What all strategies share: the shape of their generators, and the answer check on a response."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from respsel.answers import is_correct
from respsel.recipe import AnswerEntry
from respsel.records import Example, Response
from respsel.requests import Answer, Request

Responses = Generator[Sequence[Request], Sequence[Answer], list[Response]]
# Any operation that may ask models: a strategy, own outputs, token scores. Its rows are taken once, in order.
Operation = Generator[Sequence[Request], Sequence[Answer], Iterable[Any]]


@dataclass(frozen=True)
class Place:
    """Where a strategy stands, for errors: the file that declares it and the place in it."""

    file: str
    where: str


def checked(response: Response, example: Example, check: AnswerEntry | None) -> Response:
    """Return the response with the answer check's result, if the example can be checked."""
    if check is None or example.label is None or not response.text:
        return response
    return replace(response, correct=is_correct(check, response.text, example.label))
