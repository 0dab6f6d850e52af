"""What all strategies share: the shape of their generators, and the answer check on a response.

Knows nothing of where responses come from. Invariant: every response is checked in one place.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any

from respsel.answers import PatternTimeoutError, is_correct
from respsel.calls.requests import Answer, Request
from respsel.errors import RunError
from respsel.recipe.places import Place
from respsel.recipe.schema import AnswerEntry, StrategyEntry
from respsel.records import Example, Response
from respsel.tables.problems import NO_TEXT, WRONG
from respsel.text.transcript import answer_text
from respsel.text.whitespace import WhiteSpace, normalised

Responses = Generator[Sequence[Request], Sequence[Answer], list[Response]]
# Any operation that may ask models: a strategy, own outputs, token scores. Its rows are taken once,
# in order.
Operation = Generator[Sequence[Request], Sequence[Answer], Iterable[Any]]


def checked(
    response: Response, example: Example, check: AnswerEntry | None, white_space: WhiteSpace
) -> Response:
    """Return the response as it is scored and written.

    Its white space is by the recipe's rule. It has the answer check's result, if the example can be
    checked: of a conversation, by `answer_text`. Every response of every strategy comes through
    here.
    """
    response = normalised(response, white_space)
    if check is None or example.label is None or not response.text:
        return response
    answer = answer_text(response.turns) or response.text
    return replace(response, correct=judged(check, answer, example))


def judged(check: AnswerEntry, text: str, example: Example) -> bool:
    """Whether a text's answer is the example's label.

    Raises PatternTimeoutError naming the example.
    """
    assert example.label is not None
    try:
        return is_correct(check, text, example.label)
    except PatternTimeoutError:
        raise PatternTimeoutError(example.id) from None


def settled(
    responses: Sequence[Response], entry: StrategyEntry, place: Place, remedy: str
) -> list[Response]:
    """Keep or drop the wrong responses, as the entry says.

    Raises RunError naming them if it says "fail". Those for which a model wrote nothing are among
    them.
    """
    wrong = [
        response.id
        for response in responses
        if response.correct is False or (response.attempts and not response.text)
    ]
    if wrong and entry.if_wrong == "fail":
        names = ", ".join(f"'{name}'" for name in wrong[:10]) + (
            f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        )
        what = f"no right answer for {len(wrong)} of {len(responses)} examples: {names}"
        raise RunError(place.problem(what, remedy))
    named = [replace(r, problem=NO_TEXT) if not (r.text or r.problem) else r for r in responses]
    if entry.if_wrong == "keep":
        return named
    return [replace(r, problem=WRONG) if r.correct is False and not r.problem else r for r in named]
