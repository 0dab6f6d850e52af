"""The recipe's judge at work: a score for every response, and comparisons of two strategies.

Knows nothing of metrics. Invariant: which of two responses is shown first decides nothing, since
each pair is judged in both orders and a preference needs both.
"""

from __future__ import annotations

from collections.abc import Sequence

from respsel.backends.contract import Generation
from respsel.calls.lazy import Lazy
from respsel.calls.requests import GenerateRequest
from respsel.data.prompts import render
from respsel.recipe.judge import JudgeEntry
from respsel.recipe.places import Place
from respsel.records import Example, Message, Preference, Response, Sampling, Score
from respsel.scoring.judge_answers import Choice, read_choice, read_score
from respsel.scoring.judge_prompt import pair_messages, score_messages
from respsel.scoring.judged_text import request_text, response_text
from respsel.strategies.base import Operation

# By the choice, how the response that is shown first is found, and the one that is shown second.
_FOUND = {"A": ("better", "worse"), "B": ("worse", "better"), "tie": ("tie", "tie")}


def score_responses(
    judge: JudgeEntry, examples: Sequence[Example], responses: Sequence[Response], place: Place
) -> Operation:
    """Ask the judge for the score of every usable response. Returns one Score each, in order."""
    by_id = {example.id: example for example in examples}
    usable = [response for response in responses if not response.problem]

    def request(index: int) -> GenerateRequest:
        response = usable[index]
        example = by_id[response.id]
        rubric = _rubric(judge, example, place)
        text = response_text(example, response)
        return _request(judge, score_messages(judge, rubric, example, text), example, place)

    answers = iter((yield Lazy(len(usable), request)))

    def score(response: Response) -> Score:
        if response.problem:
            return Score(response.id, None, response.problem)
        answer = next(answers)
        assert isinstance(answer, Generation)
        value, problem = read_score(answer, _judged(by_id[response.id], response), judge.scale)
        return Score(response.id, value, problem)

    return [score(response) for response in responses]


def compare_responses(
    judge: JudgeEntry,
    examples: Sequence[Example],
    responses: Sequence[Response],
    others: Sequence[Response],
    place: Place,
) -> Operation:
    """Ask the judge, in both orders, which of two strategies' responses is better.

    Returns one Preference per example, in order. Equal texts are a tie without being asked about.
    """
    by_id = {example.id: example for example in examples}
    pairs = list(zip(responses, others, strict=True))
    asked = [pair for pair in pairs if not _known(*pair)]

    def request(index: int) -> GenerateRequest:
        pair = asked[index // 2]
        example = by_id[pair[0].id]
        one, other = (response_text(example, response) for response in pair)
        texts = (one, other) if index % 2 == 0 else (other, one)
        rubric = _rubric(judge, example, place)
        return _request(judge, pair_messages(judge, rubric, example, *texts), example, place)

    answers = iter((yield Lazy(2 * len(asked), request)))

    def preference(one: Response, other: Response) -> Preference:
        if known := _known(one, other):
            return known
        judged = _judged(by_id[one.id], one, other)
        forward = _choice(next(answers), judged)
        backward = _choice(next(answers), judged)
        if problem := forward[1] or backward[1]:
            return Preference(one.id, "", "", problem)
        return Preference(one.id, _FOUND[str(forward[0])][0], _FOUND[str(backward[0])][1])

    return [preference(*pair) for pair in pairs]


def _known(one: Response, other: Response) -> Preference | None:
    """What is known of a pair without asking."""
    if problem := one.problem or other.problem:
        return Preference(one.id, "", "", problem)
    same = one.text == other.text and one.turns == other.turns
    return Preference(one.id, "tie", "tie") if same else None


def _choice(answer: object, judged: Sequence[str]) -> tuple[Choice | None, str]:
    assert isinstance(answer, Generation)
    return read_choice(answer, judged)


def _judged(example: Example, *responses: Response) -> Sequence[str]:
    """All that an answer may quote."""
    texts = [response_text(example, response) for response in responses]
    return [request_text(example), example.reference or "", *texts]


def _rubric(judge: JudgeEntry, example: Example, place: Place) -> str:
    return render(judge.rubric, example, place.at("rubric"))


def _request(
    judge: JudgeEntry, messages: tuple[Message, ...], example: Example, place: Place
) -> GenerateRequest:
    return GenerateRequest(
        model=judge.model,
        messages=messages,
        sampling=Sampling(0.0, 1.0, 0, 0.0, judge.max_tokens),
        stream="judge",
        seed=0,
        sample=0,
        about=place.name,
        example=example.id,
    )
