"""The contract between respsel and an engine that runs a model.

A backend is one function, `open_model(settings) -> Model`. A Model turns text into token ids, scores
responses and samples new ones; it knows nothing of strategies, metrics or the store. Invariant: what a
request returns depends on that request and the model alone, never on what else was asked with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from respsel.records import Message, Sampling, TokenScores


@dataclass(frozen=True)
class ScoreCall:
    """Score the response's tokens, each given the prompt and the response tokens before it."""

    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]


@dataclass(frozen=True)
class GenerateCall:
    """Sample one response; `seed` alone decides the draw."""

    prompt_ids: tuple[int, ...]
    sampling: Sampling
    seed: int


@dataclass(frozen=True)
class Generation:
    """A sampled response. truncated: it reached max_tokens before the model ended its turn."""

    text: str
    n_tokens: int
    truncated: bool


class Model(Protocol):
    """A loaded model."""

    context_tokens: int

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids of the chat, ready for the assistant's turn. Text in a message is data: it never
        becomes a control token. Raises PreflightError where the template refuses the messages."""

    def response_ids(self, text: str) -> tuple[int, ...]:
        """Token ids of the text alone: no BOS, no end of turn, no control token."""

    def score(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, TokenScores]]:
        """Yield (index in calls, scores), in any order, each as soon as it is known. Calls that share
        a prompt share its computation. The caller has checked that every call fits the context."""

    def generate(self, calls: Sequence[GenerateCall]) -> Iterator[tuple[int, Generation]]:
        """Yield (index in calls, generation), in any order, each as soon as it is known."""

    def close(self) -> None:
        """Free the weights. The model is not used again."""
