"""Rewards from a judging model: what it is asked about each response, and the number in its answer.

Knows nothing of metrics. Invariant: no number is guessed. An answer with none, or with several that
could be meant, is a problem.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from respsel.backends.contract import Generation
from respsel.calls.lazy import Lazy
from respsel.calls.requests import Answer, GenerateRequest
from respsel.data.prompts import render
from respsel.metrics.contract import RewardSource
from respsel.recipe.places import Place
from respsel.records import Example, Message, Response, Sampling, Score
from respsel.scoring.judged_text import response_text
from respsel.strategies.base import Operation
from respsel.tables.problems import SILENT
from respsel.text.transcript import transcript

# Raised when a judge's answer would be read differently.
VERSION = 3
# Both limits keep the time linear: no finite number has more groups, and nobody explains a scale at
# such length.
_A_NUMBER = (
    r"[-+]?(?:(?:\d{1,3}(?:,\d{3}){1,103}(?!,?\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?!\d))?"
)
_NUMBER = re.compile(_A_NUMBER)
# "The maximum score is 10" gives none; after "Rating (1-10): 3-4" or "7,5" nobody can say which
# number is meant.
_MARKED = re.compile(
    r"(?<!maximum )(?<!max )(?<!highest )(?<!possible )(?:score|reward|rating)[*_]*\s*"
    r"(?:\([^)\n]{0,400}\)[*_]*\s*)?(?:is|=|:)[\s*_]*"
    rf"(?P<number>{_A_NUMBER})(?P<more>\s?[,–-]\s?\d)?",
    re.IGNORECASE,
)
# What a number is out of, in "8/10" and "8 out of 10".
_OUT_OF = re.compile(rf"(?<=\d)\s*(?:/|out of)\s*(?P<most>{_A_NUMBER})")


def judge(
    source: RewardSource, examples: Sequence[Example], responses: Sequence[Response], place: Place
) -> Operation:
    """Ask the judging model for a number for every usable response.

    Returns one Score per response, in order.
    """
    by_id = {example.id: example for example in examples}
    usable = [response for response in responses if not response.problem]
    sampling = Sampling(0.0, 1.0, 0, 0.0, source.max_tokens)

    def request(index: int) -> GenerateRequest:
        response = usable[index]
        example = by_id[response.id]
        more = {"response": response_text(example, response)}
        more |= {"conversation": transcript(example.context)} if example.turns else {}
        prompt = render(str(source.prompt), example, place, more)
        return GenerateRequest(
            model=str(source.model),
            messages=(Message("user", prompt),),
            sampling=sampling,
            stream="judge",
            seed=0,
            sample=0,
            about=place.name,
            example=response.id,
        )

    answers = iter((yield Lazy(len(usable), request)))
    return [
        Score(response.id, None, response.problem)
        if response.problem
        else _score(response.id, next(answers))
        for response in responses
    ]


def _score(example: str, answer: Answer) -> Score:
    assert isinstance(answer, Generation)
    value = read_number(answer.text)
    no_number = "the judge gave no number" if answer.text else SILENT
    problem = answer.problem or ("" if value is not None else no_number)
    return Score(example, None if problem else value, problem)


def read_number(text: str) -> float | None:
    """The number behind the last "Score:", "Reward:" or "Rating:", else the text's only number.

    None if there is neither: of "8 of the 10 steps hold" nobody can say which number is meant.
    """
    rating = read_rating(text)
    return None if rating is None else rating.value


@dataclass(frozen=True)
class Rating:
    """A judge's number, as its answer gives it.

    value: the number.
    out_of: what it is out of, as in "8/10"; None if the answer does not say.
    rest: what follows it in the answer.
    marked: whether it stands behind "Score:" or the like.
    """

    value: float
    out_of: float | None
    rest: str
    marked: bool


def read_rating(text: str) -> Rating | None:
    """The number that `read_number` gives, with what the answer says around it."""
    text = text.replace("\N{MINUS SIGN}", "-")
    if marked := list(_MARKED.finditer(text)):
        last = marked[-1]
        spans = [] if last["more"] else [last.span("number")]
    else:
        most = {match.start("most") for match in _OUT_OF.finditer(text)}
        spans = [m.span() for m in _NUMBER.finditer(text) if m.start() not in most]
    if len(spans) != 1:
        return None
    start, end = spans[0]
    value = finite_number(text[start:end].replace(",", ""))
    said = _OUT_OF.match(text, end)
    out_of_number = finite_number(said["most"].replace(",", "")) if said else None
    return None if value is None else Rating(value, out_of_number, text[end:], bool(marked))


def finite_number(text: str) -> float | None:
    """A text as a finite number; None if it is not one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
