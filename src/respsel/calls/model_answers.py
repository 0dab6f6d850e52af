"""What a model returns for calls to answers, and which answers are usable.

Knows no store. Invariant: every call gets an answer. One that failed, or whose numbers are not
finite, has a problem and no content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from respsel.backends.contract import Failure, GenerateCall, Generation, Model, ScoreCall
from respsel.calls.requests import (
    Answer,
    Call,
    RepresentCall,
    Resolved,
    Scored,
    Vector,
    most_tokens,
)
from respsel.errors import Problem, RunError
from respsel.records import TokenScores, TokenUsage
from respsel.tables.problems import FAILED, NOT_FINITE

if TYPE_CHECKING:
    from respsel.records import FloatArray


def answers_of(model: Model, resolved: Sequence[Resolved]) -> Iterator[tuple[int, Answer]]:
    """Ask a model; yield (index in resolved, answer), each as soon as it is known."""
    generate: dict[int, GenerateCall] = {}
    score: dict[int, ScoreCall] = {}
    represent: dict[int, ScoreCall] = {}
    for place, item in enumerate(resolved):
        if isinstance(item.call, GenerateCall):
            generate[place] = item.call
        elif isinstance(item.call, RepresentCall):
            represent[place] = item.call
        else:
            score[place] = item.call
    if generate:
        yield from _generations(model, generate)
    if score:
        for place, scored in _scored(model, score):
            yield place, _with_places(scored, resolved[place])
    if represent:
        yield from _vectors(model, represent)


def unanswered(call: Call, problem: str) -> Answer:
    """The answer to a request that is not asked; its call only counts tokens."""
    if isinstance(call, RepresentCall):
        return Vector(len(call.response_ids), None, problem)
    return Scored(len(call.prompt_ids), most_tokens(call), None, problem)


def is_usable(answer: Answer) -> bool:
    """Whether an answer has content, so that it may be stored."""
    if isinstance(answer, Generation):
        return bool(answer.text)
    return (answer.values if isinstance(answer, Vector) else answer.scores) is not None


def usage_of(answer: Answer) -> TokenUsage:
    """What the call took that gave an answer; a scored response is read like its prompt."""
    prompt = answer.prompt_tokens or 0
    if isinstance(answer, Generation):
        return TokenUsage(1, prompt, answer.n_tokens)
    return TokenUsage(1, prompt + answer.response_tokens, 0)


def _generations(
    model: Model, calls: Mapping[int, GenerateCall]
) -> Iterator[tuple[int, Generation]]:
    places = list(calls)
    for index, returned in model.generate(list(calls.values())):
        place = places[index]
        yield place, _generation(calls[place], returned)


def _generation(call: GenerateCall, returned: Generation | Failure) -> Generation:
    if isinstance(returned, Generation) and not _is_unicode(returned.text):
        returned = Failure("the text holds half a surrogate pair, which is no Unicode")
    if isinstance(returned, Failure):
        return Generation("", 0, False, FAILED + _unicode(returned.problem), prompt_tokens=0)
    if returned.prompt_tokens is None:
        return replace(returned, prompt_tokens=len(call.prompt_ids))
    return returned


def _scored(model: Model, calls: Mapping[int, ScoreCall]) -> Iterator[tuple[int, Scored]]:
    places = list(calls)
    for index, returned in model.score(list(calls.values())):
        call = calls[places[index]]
        if isinstance(returned, Failure):
            scores = None
            problem = FAILED + _unicode(returned.problem)
        else:
            _check_tokens(call, returned)
            scores = returned if _is_finite(returned) else None
            problem = "" if scores is not None else NOT_FINITE
        yield places[index], Scored(len(call.prompt_ids), len(call.response_ids), scores, problem)


def _vectors(model: Model, calls: Mapping[int, ScoreCall]) -> Iterator[tuple[int, Vector]]:
    places = list(calls)
    for index, returned in model.represent(list(calls.values())):
        yield places[index], _vector(calls[places[index]], returned)


def _vector(call: ScoreCall, returned: FloatArray | Failure) -> Vector:
    import numpy as np

    values = None
    problem = ""
    if isinstance(returned, Failure):
        problem = FAILED + returned.problem
    elif np.isfinite(returned).all():
        values = returned
    else:
        problem = NOT_FINITE
    return Vector(len(call.response_ids), values, problem, len(call.prompt_ids))


def _check_tokens(call: ScoreCall, scores: TokenScores) -> None:
    """Raise RunError if scores are not of the tokens that were asked for."""
    if tuple(scores.token_ids.tolist()) != call.response_ids:
        what = (
            f"the backend scored {len(scores)} tokens where {len(call.response_ids)} were asked for"
        )
        raise RunError(Problem("", "", what, "This is a fault of the backend: report it"))


def _with_places(scored: Scored, resolved: Resolved) -> Scored:
    """Scores with what the request's text says of their tokens."""
    import numpy as np

    if scored.scores is None or resolved.lengths is None:
        return scored
    lengths = np.array(resolved.lengths, np.int32)
    kinds = np.array(resolved.kinds, np.int32) if resolved.kinds else None
    scores = replace(scored.scores, lengths=lengths, kinds=kinds)
    return replace(scored, scores=scores, text=resolved.text)


def _unicode(text: str) -> str:
    """A message as it can be stored."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_unicode(text: str) -> bool:
    # Hazard: JSON can spell half a surrogate pair; stored, such a text would fail every later run.
    return _unicode(text) == text


def _is_finite(scores: TokenScores) -> bool:
    import numpy as np

    # All NaN: the engine gives no entropies.
    entropies = np.isfinite(scores.entropy).all() or np.isnan(scores.entropy).all()
    # None: the engine gives no sums of squares. They are never 0, so that 0 stands for none.
    squares = scores.squares is None or bool(
        (np.isfinite(scores.squares) & (scores.squares > 0)).all()
    )
    return bool(np.isfinite(scores.nll).all() and entropies and squares)
