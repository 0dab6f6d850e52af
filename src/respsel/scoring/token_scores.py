"""Responses to token scores in a view, or to hidden states: the requests and the resulting table.

Knows nothing of models and metrics. Invariant: a response has one row, in the order of the
responses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, pairwise

from respsel.calls.lazy import Lazy
from respsel.calls.requests import Answer, Part, RepresentRequest, Scored, ScoreRequest, Vector
from respsel.metrics.contract import View
from respsel.metrics.reasoning_steps import split_steps, word_places
from respsel.records import (
    Example,
    Message,
    OwnOutput,
    Represented,
    Response,
    ScoredResponse,
    TokenScores,
)
from respsel.scoring import held_out
from respsel.scoring.trained_turns import (
    IN_CHAT,
    Shown,
    TrainedTurns,
    last_text,
    last_turn,
    view_chat,
)
from respsel.strategies.base import Operation
from respsel.tables.problems import NOT_REACHED

# Each step is a call in the local view. A looping text has millions, which no model is to be asked
# about.
MOST_STEPS = 10_000
TOO_MANY_STEPS = f"more than {MOST_STEPS:,} steps"
# Raised when the same responses under the same view would give another table.
VERSION = 4
# Raised when the same texts would give other hidden states.
REPRESENTING_VERSION = 3
# By version of a step that scores, what it brought.
SQUARES = (
    "token scores now have the sum of squared probabilities of each position, so responses are "
    "scored once more; an endpoint gives none, and its scores are kept"
)


class _Calls:
    """The calls that the responses to score take.

    One each; or one for each reasoning step, for each reference, or for each trained turn.

    counts: by the place of a response, how many calls; without those that are not scored.
    places: by call, the place of its response.
    """

    def __init__(
        self, view: View, responses: Sequence[Response], trained: TrainedTurns | None
    ) -> None:
        # Hazard: a text is split once for all its steps, or the time grows with the square of its
        # length.
        self._parts_of = lru_cache(maxsize=1)(
            lambda place: _parts(view, _scored_text(view, responses[place]))
        )
        usable = [place for place, response in enumerate(responses) if not response.problem]
        sizes = {
            place: len(trained.places(place))
            if trained is not None
            else view.references or len(self._parts_of(place))
            for place in usable
        }
        self.counts = {place: count for place, count in sizes.items() if count <= MOST_STEPS}
        self.places = [place for place, count in self.counts.items() for _ in range(count)]
        starts = accumulate(self.counts.values(), initial=0)
        self._starts = dict(zip(self.counts, starts, strict=False))

    def number(self, index: int) -> int:
        """Which of its response's calls a call is, from 0."""
        return index - self._starts[self.places[index]]

    def part(self, index: int) -> Part | None:
        """What of its response a call is about; None if it is about all, or about a reference."""
        parts = self._parts_of(self.places[index])
        return parts[self.number(index)] if len(parts) > 1 or parts[0] else None


def score_responses(
    target: str,
    view: View,
    examples: Sequence[Example],
    responses: Sequence[Response],
    shown_with: Shown,
    about: str,
    if_too_long: str,
    reached: int | None = None,
    in_turns: bool = False,
) -> Operation:
    """Score every usable response.

    Returns an iterator of one ScoredResponse per response, in order, without scores where the
    response has a problem. A table of them is never in memory.

    shown_with: by example, what the view takes besides the input: own outputs to other inputs,
        held-out inputs with references, or tries; see `held_out`.
    reached: only the responses to so many of the first examples are scored, after a race.
    in_turns: score the tokens that trainers train on, with the ends of turns; else the text alone.
    """
    responses = _taking_part(view, responses, reached)
    trained = TrainedTurns(examples, responses) if in_turns and view.kind in IN_CHAT else None
    calls = _Calls(view, responses, trained)

    def request(index: int) -> ScoreRequest:
        place = calls.places[index]
        bare = ScoreRequest(target, (), "", about, examples[place].id, if_too_long)
        if trained is not None:
            messages, turn = trained.turn(view, place, calls.number(index), shown_with)
            alone = view.kind == "unconditional"
            return replace(bare, messages=messages, turn=turn, alone=alone)
        messages, text = _asked(
            view, examples[place], responses[place], calls.number(index), shown_with
        )
        return replace(bare, messages=messages, response=text, part=calls.part(index))

    answers = yield Lazy(len(calls.places), request)
    rows = _scored_rows(responses, calls.counts, answers, trained is not None)
    return rows if trained is None else trained.placed(rows)


def _asked(
    view: View, example: Example, response: Response, number: int, shown_with: Shown
) -> tuple[tuple[Message, ...], str]:
    """The prompt and the text of a response's call; number: which of its calls it is."""
    if view.is_of_response:
        return view_messages(view, example, response, shown_with), _scored_text(view, response)
    messages, text = shown_with[example.id][number]
    return messages, text


def _taking_part(
    view: View, responses: Sequence[Response], reached: int | None
) -> Sequence[Response]:
    """The responses, with a problem where a race or the view leaves them out."""
    if reached is not None:
        responses = [
            response if i < reached or response.problem else replace(response, problem=NOT_REACHED)
            for i, response in enumerate(responses)
        ]
    return responses if view.is_of_response else held_out.with_groups(view, responses)


def _scored_rows(
    responses: Sequence[Response],
    counts: Mapping[int, int],
    answers: Sequence[Answer],
    in_turns: bool,
) -> Iterator[ScoredResponse]:
    """counts: by the place of a response, how many of the answers are its own."""
    left = iter(answers)
    for place, response in enumerate(responses):
        if place in counts:
            yield _joined(response.id, [next(left) for _ in range(counts[place])], in_turns)
        else:
            yield ScoredResponse(response.id, 0, 0, None, response.problem or TOO_MANY_STEPS)


def represent_texts(
    target: str,
    examples: Sequence[Example],
    texts: Sequence[Response] | Sequence[OwnOutput],
    about: str,
) -> Operation:
    """Hidden states of every usable response or own output in the plain view.

    Returns Represented rows in order.
    """
    by_id = {example.id: example for example in examples}
    usable = [text for text in texts if not text.problem]

    def request(index: int) -> RepresentRequest:
        text = usable[index]
        messages, answer = last_turn(by_id[text.id], text)
        return RepresentRequest(target, messages, answer, about, text.id)

    answers = yield Lazy(len(usable), request)

    def rows() -> Iterator[Represented]:
        left = iter(answers)
        for text in texts:
            sample = getattr(text, "sample", 0)
            if text.problem:
                yield Represented(text.id, sample, None, text.problem)
                continue
            answer = next(left)
            assert isinstance(answer, Vector)
            yield Represented(text.id, sample, answer.values, answer.problem)

    return rows()


def view_messages(
    view: View, example: Example, response: Response, shown_with: Shown
) -> tuple[Message, ...]:
    """The prompt under which a response's text is scored."""
    if view.kind == "unconditional" or (view.kind == "local" and not view.with_input):
        return ()
    messages, _ = last_turn(example, response)
    return view_chat(view, example, messages, shown_with)[0]


def _scored_text(view: View, response: Response) -> str:
    # The published code puts a blank behind its wrapping: to byte-level vocabularies (Llama 3,
    # Qwen) it is the beginning of the first word's token; SentencePiece (Mistral) sees to it
    # itself.
    text = last_text(response) if view.kind == "local" else response.text
    return f" {text}" if view.template == "paper-system" else text


def _parts(view: View, text: str) -> list[Part | None]:
    """What of a response each call scores.

    In the local view its steps, each behind the last few; else all of it.
    """
    if view.kind != "local":
        return [None]
    places = word_places(split_steps(text))
    places[0] = 0
    return [
        Part(places[max(0, i - view.window)], start, end)
        for i, (start, end) in enumerate(pairwise(places))
    ]


def _joined(name: str, answers: Sequence[object], in_turns: bool) -> ScoredResponse:
    """One response's row from the answers of its parts; a part's problem is the response's.

    in_turns: they are turns; only the prompt of the last counts, which holds those of the others.
    """
    import numpy as np

    parts = [answer for answer in answers if isinstance(answer, Scored)]
    assert len(parts) == len(answers)
    problem = next((part.problem for part in parts if part.problem), "")
    scored = [part.scores for part in parts if part.scores is not None]
    prompts = [part.prompt_tokens for part in parts]
    row = ScoredResponse(
        id=name,
        prompt_tokens=sum(prompts[-1:] if in_turns else prompts),
        response_tokens=sum(part.response_tokens for part in parts),
        scores=None,
        problem=problem,
        place=next((part.told for part in parts if part.told), ""),
        text="" if problem else "".join(part.text for part in parts),
    )
    if problem:
        return row
    if len(scored) == 1 and scored[0].kinds is None:
        return replace(row, scores=scored[0])
    lengths = [scores.lengths for scores in scored if scores.lengths is not None]
    squares = [scores.squares for scores in scored if scores.squares is not None]
    kinds = [scores.kinds for scores in scored if scores.kinds is not None]
    numbers = np.repeat(np.arange(len(scored)), list(map(len, scored))).astype(np.int32)
    whole = TokenScores(
        token_ids=np.concatenate([scores.token_ids for scores in scored]),
        nll=np.concatenate([scores.nll for scores in scored]),
        rank=np.concatenate([scores.rank for scores in scored]),
        entropy=np.concatenate([scores.entropy for scores in scored]),
        lengths=np.concatenate(lengths) if len(lengths) == len(scored) else None,
        squares=np.concatenate(squares) if len(squares) == len(scored) else None,
        kinds=np.concatenate(kinds) if kinds else None,
        turns=numbers if kinds else None,
    )
    return replace(row, scores=whole)
