"""Responses that a model writes from a prompt, tried again while the answer check fails.

To a chat it writes the last turn, or each trained turn that calls no tool, given the dataset's own
turns before it. Knows nothing of stores. Invariant: each attempt is another draw, so a repeated run
asks the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from respsel.backends.contract import Generation
from respsel.calls.lazy import Lazy
from respsel.calls.requests import Answer, GenerateRequest
from respsel.data.conversations import CONVERSATION
from respsel.data.prompts import render, template_names
from respsel.data.trained_turns import LAST
from respsel.data.trajectories import response_of
from respsel.recipe.places import Place
from respsel.recipe.schema import AnswerEntry, ModelStrategy
from respsel.records import (
    ASSISTANT,
    SYSTEMS,
    TOOLS,
    Example,
    Message,
    Response,
    Sampling,
    trained_places,
)
from respsel.strategies.base import Responses, checked, settled
from respsel.tables.problems import EMPTY
from respsel.text.transcript import is_answerable, transcript, turn_text, untrained
from respsel.text.whitespace import WhiteSpace


@dataclass(frozen=True)
class _Asked:
    """What one text is asked for.

    example: the example's place among the examples.
    turn: the place of the turn that the text is written for; None for a whole response.
    """

    example: int
    turn: int | None = None


def model_responses(
    entry: ModelStrategy,
    sampling: Sampling,
    seed: int,
    examples: Sequence[Example],
    check: AnswerEntry | None,
    place: Place,
    white_space: WhiteSpace = "normalise",
    draw: int = 0,
    train: str = LAST,
) -> Responses:
    """Sample one response per example, up to `attempts` times while it is wrong or empty.

    The last one stands; draw: the first one's number; train: the dataset's word for what is
    trained. Raises RunError if the entry says "fail".
    """

    def request(attempt: int, wanted: Sequence[_Asked], index: int) -> GenerateRequest:
        example = examples[wanted[index].example]
        chat = chat_for(entry, example, wanted[index].turn, place)
        return _request(entry, sampling, seed, attempt, chat, example, place)

    written = _Written(examples, train)
    best: dict[int, Response] = {}
    left: Sequence[_Asked] = written.wanted
    touched: Sequence[int] = range(len(examples))
    for attempt in range(draw, draw + entry.attempts):
        answers = yield Lazy(len(left), partial(request, attempt, left))
        written.take(left, answers, attempt + 1 - draw)
        for index in touched:
            best[index] = checked(written.response(index), examples[index], check, white_space)
        if not (left := [asked for asked in left if written.is_open(asked, best[asked.example])]):
            break
        touched = list(dict.fromkeys(asked.example for asked in left))
    tried = [_named(best[index]) for index in range(len(examples))]
    return settled(tried, entry, place, "Raise 'attempts', or set if_wrong to 'keep' or 'drop'")


def _request(
    entry: ModelStrategy,
    sampling: Sampling,
    seed: int,
    attempt: int,
    chat: tuple[Message, ...],
    example: Example,
    place: Place,
) -> GenerateRequest:
    return GenerateRequest(
        model=entry.model,
        messages=chat,
        sampling=sampling,
        stream="response",
        seed=seed,
        sample=attempt,
        about=place.name,
        example=example.id,
    )


class _Written:
    """What was written so far.

    wanted: the texts that are asked for, by example and turn.
    """

    def __init__(self, examples: Sequence[Example], train: str) -> None:
        self._examples = examples
        self._answers: dict[_Asked, Generation] = {}
        self._attempts = dict.fromkeys(range(len(examples)), 0)
        self._of: list[list[_Asked]] = [
            _wanted(i, example, train) for i, example in enumerate(examples)
        ]
        self.wanted = [asked for each in self._of for asked in each]

    def take(self, wanted: Sequence[_Asked], answers: Sequence[Answer], attempts: int) -> None:
        """The answers to what was asked; attempts: how many it took."""
        for asked, answer in zip(wanted, answers, strict=True):
            assert isinstance(answer, Generation)
            self._answers[asked] = answer
            self._attempts[asked.example] = attempts

    def response(self, index: int) -> Response:
        """The response to an example."""
        example = self._examples[index]
        asked = self._of[index]
        answers = [self._answers[one] for one in asked]
        problem = next((a.problem for a in answers if a.problem), "")
        if len(asked) == 1 and asked[0].turn is None:
            made = Response(example.id, answers[0].text, problem)
        elif not all(answer.text.strip() for answer in answers):
            made = Response(example.id, "", problem or EMPTY)
        else:
            texts = {one.turn: answer.text for one, answer in zip(asked, answers, strict=True)}
            turns = [
                Message(ASSISTANT, texts[i], trained=True) if i in texts else turn
                for i, turn in enumerate(example.turns)
            ]
            made = replace(response_of(example, turns), problem=problem)
        truncated = any(answer.truncated for answer in answers)
        return replace(made, truncated=truncated, attempts=self._attempts[index])

    def is_open(self, asked: _Asked, response: Response) -> bool:
        """Whether a text is asked for again: it is empty, or gives the wrong answer."""
        if asked.turn is None:
            return not response.text or response.correct is False
        is_last = asked.turn == trained_places(self._examples[asked.example].turns)[-1]
        return not self._answers[asked].text.strip() or (is_last and response.correct is False)


def _wanted(index: int, example: Example, train: str) -> list[_Asked]:
    """The texts that an example asks for. A turn that calls tools stays as it is."""
    trained = trained_places(example.turns)
    if train == LAST or not trained:
        return [_Asked(index)]
    return [_Asked(index, i) for i in trained if is_answerable(example.turns[i])]


def _named(response: Response) -> Response:
    return response if response.text else replace(response, problem=response.problem or EMPTY)


def chat_for(
    entry: ModelStrategy, example: Example, turn: int | None, place: Place
) -> tuple[Message, ...]:
    """The chat that a model is asked in; turn: the place of the turn to write, if not the last.

    The prompt takes the place of the last user turn. One that says `conversation` is sent alone.
    """
    chat = untrained(example.asked if turn is None else example.turns[:turn])
    more = _chat_fields(example, chat, turn) if example.turns else {}
    prompt = render(entry.prompt, example, place.at("prompt"), more)
    turns = list(chat)
    users = [i for i, message in enumerate(chat) if message.role == "user"]
    if example.turns and CONVERSATION in template_names(entry.prompt):
        turns = [Message("user", prompt)]
    elif users:
        turns[users[-1]] = replace(chat[users[-1]], content=prompt)
    else:
        turns.append(Message("user", prompt))
    if entry.system is not None:
        system = render(entry.system, example, place.at("system"), more)
        turns = [message for message in turns if message.role not in SYSTEMS]
        has_tools = bool(turns) and turns[0].role == TOOLS
        turns.insert(1 if has_tools else 0, Message("system", system))
    return tuple(turns)


def _chat_fields(example: Example, chat: Sequence[Message], turn: int | None) -> Mapping[str, str]:
    """What prompts may say of a chat.

    Without a reference of its own, that is what the dataset has at the turn.
    """
    users = [message.content for message in chat if message.role == "user"]
    fields = {CONVERSATION: transcript(chat)}
    fields |= {"input": users[-1]} if users else {}
    trained = trained_places(example.turns)
    own = trained[-1] if turn is None and trained else turn
    if example.reference is None and own is not None:
        fields["reference"] = turn_text(example.turns[own])
    return fields
