"""Requests that are answered together: what is noted of them, and the answers at hand.

Knows neither models nor the store. Invariant: a request takes a few bytes until it is answered, and
an answer that is stored is kept only while there is room.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

from respsel.calls.beginnings import Beginnings
from respsel.calls.records import Trail
from respsel.calls.requests import (
    Answer,
    Call,
    Request,
    TurnCall,
    answer_tokens,
    most_tokens,
)

# Answers of so many tokens are kept at hand.
_TOKENS_AT_HAND = 1_000_000
# What an answer takes besides its tokens, counted in tokens.
_ANSWER_COSTS = 50
# How many different places of responses are noted in one batch. More than a few of them say
# something of their examples.
_MOST_PLACES = 1000
_ELSEWHERE = "in yet another place"


class Batch:
    """Requests with their keys, and the answers that are at hand."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests = requests
        self.trail = Trail(len(requests))
        self.at_hand: dict[int, Answer] = {}
        self._room = _TOKENS_AT_HAND
        # How the place of each request's response differs, as a number in `_told`.
        self._told = [""]
        self._places = array("H", bytes(2 * len(requests)))

    def hold(self, indices: Iterable[int], answer: Answer, stored: bool = True) -> None:
        """Keep an answer at hand, if there is room or it is nowhere else."""
        self._room -= _ANSWER_COSTS + answer_tokens(answer)
        if self._room > 0 or not stored:
            self.at_hand |= dict.fromkeys(indices, answer)

    def place(self, index: int, told: str) -> None:
        """Note how the place of a request's response differs from the end of its prompt."""
        if told not in self._told:
            told = told if len(self._told) < _MOST_PLACES else _ELSEWHERE
            self._told += [] if told in self._told else [told]
        self._places[index] = self._told.index(told)

    def told(self, index: int) -> str:
        """What `place` was given."""
        return self._told[self._places[index]]


@dataclass(slots=True)
class PromptRequests:
    """The requests that ask one model with one prompt.

    tokens: how many the prompt has that no prompt before it has; see Beginnings.
    indices: the requests' places in the batch.
    response_tokens: how many tokens each request's response has at most, and none where it is a
        turn in a prompt before it.
    """

    tokens: int
    indices: list[int]
    response_tokens: list[int]


class _PromptNumbers:
    """Numbers distinct prompts from 0, and keeps a hash of each in place of its tokens.

    Two prompts with the same hash get the same number. Only the order of calls and the count of
    tokens depend on it.
    """

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def number_of(self, prompt_ids: tuple[int, ...]) -> int:
        return self._numbers.setdefault(hash(prompt_ids), len(self._numbers))


@dataclass(slots=True)
class ModelRequests:
    """The requests that ask one model, in a few bytes each, since they may be many.

    indices: the requests' places in the batch.
    numbers: of their prompts.
    response_tokens, prompt_tokens: as in PromptRequests, the latter by the prompts' numbers.
    """

    indices: array[int] = field(default_factory=partial(array, "L"))
    numbers: array[int] = field(default_factory=partial(array, "L"))
    response_tokens: array[int] = field(default_factory=partial(array, "L"))
    prompt_tokens: array[int] = field(default_factory=partial(array, "L"))
    _prompts: _PromptNumbers = field(default_factory=_PromptNumbers)
    _beginnings: Beginnings = field(default_factory=Beginnings)

    def add(self, index: int, call: Call) -> None:
        """Note a request and the call that it became."""
        number = self._prompts.number_of(call.prompt_ids)
        self.indices.append(index)
        self.numbers.append(number)
        # A hash for each prompt is kept already, so further ones are for conversations alone.
        prompt, response = (
            self._beginnings.new_tokens(call)
            if isinstance(call, TurnCall)
            else (len(call.prompt_ids), most_tokens(call))
        )
        self.response_tokens.append(response)
        if number == len(self.prompt_tokens):
            self.prompt_tokens.append(prompt)

    def by_prompt(self) -> Iterator[PromptRequests]:
        """One prompt after another, each with its requests."""
        order = sorted(range(len(self.indices)), key=self.numbers.__getitem__)
        for number, grouped in groupby(order, self.numbers.__getitem__):
            places = list(grouped)
            indices = [self.indices[place] for place in places]
            tokens = [self.response_tokens[place] for place in places]
            yield PromptRequests(self.prompt_tokens[number], indices, tokens)
