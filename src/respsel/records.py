"""The rows that flow between steps. They know nothing of models, recipes, files or the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int32]
    FloatArray = npt.NDArray[np.float32]


# The role of a message that is no chat: its text is the prompt as it stands, without the chat
# template.
TEXT = "text"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat; or, with the role TEXT, a whole prompt."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a response is sampled. temperature 0 is greedy; top_k 0 and min_p 0 switch those off."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Example:
    """One input of a dataset.

    columns: the row's fields under their own names, for prompts.
    copies: how many equal rows of the file it stands for.
    """

    id: str
    input: str
    reference: str | None = None
    label: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Response:
    """The text a strategy gives for an example.

    problem is empty, or says why the response is not used ("wrong answer", "empty"). truncated: the
    model reached its token limit before it ended. attempts: model calls it took (0 for given text).
    correct: the answer check's result, None where there is no check. changed: what of the given
    text's white space was changed ("line ends", "outer blanks"); empty if nothing.
    """

    id: str
    text: str
    problem: str = ""
    correct: bool | None = None
    truncated: bool = False
    attempts: int = 0
    changed: str = ""


@dataclass(frozen=True, slots=True)
class OwnOutput:
    """A response sampled from the target itself; the `sample`-th one for the example. changed: as
    of a Response.
    """

    id: str
    sample: int
    text: str
    problem: str = ""
    correct: bool | None = None
    truncated: bool = False
    changed: str = ""


@dataclass(frozen=True, slots=True)
class TokenScores:
    """One response under one view. Arrays have one value per scored token, all of one length.

    nll in nats, rank from 1 (1 = the most likely token), entropy in nats over the full vocabulary.
    lengths: how many UTF-8 bytes of the response each token spells; None where the tokeniser does
    not tell. From an endpoint that does not tell them, ranks are 0 and entropies NaN.
    """

    token_ids: IntArray
    nll: FloatArray
    rank: IntArray
    entropy: FloatArray
    lengths: IntArray | None = None

    def __len__(self) -> int:
        return len(self.nll)


@dataclass(frozen=True, slots=True)
class ScoredResponse:
    """The token scores of one example's response; scores is None exactly where `problem` says why.

    response_tokens: how many were to be scored, counted when the response was tokenised. place: how
    the response's place in training differs from the end of the prompt, in words; empty where it
    does not.
    """

    id: str
    prompt_tokens: int
    response_tokens: int
    scores: TokenScores | None
    problem: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """A metric's value for one response; value is None where `problem` says why there is none.

    weight: of a metric whose dataset-level form is a ratio of means, the value's denominator.
    """

    id: str
    value: float | None
    problem: str = ""
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Represented:
    """The hidden states of one text, a response (sample 0) or an own output; vector is None where
    `problem` says why.
    """

    id: str
    sample: int
    vector: FloatArray | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What calls took. prompt_tokens: all that a model was given to read, a response that is scored
    included, as an endpoint counts it; an engine that shares prompts reads fewer. output_tokens:
    what it wrote."""

    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, more: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.calls + more.calls,
            self.prompt_tokens + more.prompt_tokens,
            self.output_tokens + more.output_tokens,
        )
