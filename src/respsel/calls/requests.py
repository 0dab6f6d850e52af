"""Requests to models, the calls that they become, and the answers.

A request is text; a call is token ids. Steps ask in requests. Knows neither keys nor the store.
Invariant: a request holds no token ids, so it can be made without a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from respsel.backends.contract import GenerateCall, Generation, ScoreCall
from respsel.records import Message, Sampling, TokenScores

if TYPE_CHECKING:
    from respsel.records import FloatArray


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Sample the `sample`-th response to the messages.

    stream: what it is for. A strategy's response and an own output to one prompt are separate
        draws, or alignment would compare a text with itself.
    about, example: name it in errors, and are in no key.
    """

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    stream: str
    seed: int
    sample: int
    about: str
    example: str


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a response, by places in its UTF-8 bytes.

    context: from here on, what is before the stretch is part of the prompt.
    start: the stretch begins with the token that spells this byte.
    end: the stretch ends before the token that spells this byte.
    """

    context: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Score a response, given the messages.

    if_too_long: "fail", or "drop" for a Scored with the problem OVER_CONTEXT; in no key.
    about, example: name it in errors, and are in no key.
    part: score this part only, given the messages and what is before it.
    turn: the messages are a whole conversation, and what a trainer trains on of the one at this
        place is scored, given all before it; there is no other response then.
    alone: the turn is scored given nothing but the token that begins a text.
    """

    model: str
    messages: tuple[Message, ...]
    response: str
    about: str
    example: str
    if_too_long: str = "fail"
    part: Part | None = None
    turn: int | None = None
    alone: bool = False

    @property
    def characters(self) -> int:
        """About how long the text is that is evaluated after the messages."""
        if self.turn is not None:
            turn = self.messages[self.turn]
            return len(turn.content) + len(turn.fields)
        return len(self.response) if self.part is None else self.part.end - self.part.context


@dataclass(frozen=True, slots=True)
class RepresentRequest:
    """The mean hidden state of a response, given the messages.

    about, example: name it in errors, and are in no key.
    """

    model: str
    messages: tuple[Message, ...]
    response: str
    about: str
    example: str


@dataclass(frozen=True, slots=True)
class RepresentCall(ScoreCall):
    """A call for hidden states instead of scores."""


@dataclass(frozen=True, slots=True)
class TurnCall(ScoreCall):
    """A call for the trained tokens of a conversation's turn.

    Its key is not that of other calls with these tokens, since its answer says more of them.
    """


@dataclass(frozen=True, slots=True)
class Resolved:
    """The call that a request became.

    lengths: how many bytes of the response each of its tokens spells; None where that is not known.
    text: what its tokens spell, for a turn; empty for all others.
    kinds: what of the turn each token is of (see TokenKind); none for all others.
    told: how the response's place differs from the end of the prompt, in words (see Placed).
    problem: why there is nothing to call for; the call then only counts tokens.
    """

    call: Call
    lengths: tuple[int, ...] | None = None
    told: str = ""
    problem: str = ""
    text: str = ""
    kinds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Vector:
    """The answer to a RepresentRequest.

    values: hidden states (width,); None where `problem` says why.
    """

    response_tokens: int
    values: FloatArray | None
    problem: str = ""
    prompt_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """The answer to a ScoreRequest.

    prompt_tokens, response_tokens: as they were asked for.
    scores: None where `problem` says why.
    told, text: see Resolved.
    """

    prompt_tokens: int
    response_tokens: int
    scores: TokenScores | None
    problem: str = ""
    told: str = ""
    text: str = ""


Request = GenerateRequest | ScoreRequest | RepresentRequest
Answer = Generation | Scored | Vector
Call = GenerateCall | ScoreCall


def most_tokens(call: Call) -> int:
    """How many tokens a call's response has, or may have."""
    return len(call.response_ids) if isinstance(call, ScoreCall) else call.sampling.max_tokens


def answer_tokens(answer: Answer) -> int:
    """How many tokens an answer's response has."""
    return answer.n_tokens if isinstance(answer, Generation) else answer.response_tokens
