"""The rows that flow between steps.

They know nothing of models, recipes, files or the store. Invariant: a row without a value says why
in `problem`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int32]
    FloatArray = npt.NDArray[np.float32]


# The role of a message that is not a chat: its text is the whole prompt, without the chat template.
TEXT = "text"
# The role of a first message that is no turn: its text is a JSON list of the tools of the chat.
TOOLS = "tools"
ASSISTANT = "assistant"
# The roles of turns that say how the model is to behave. They come before all others.
SYSTEMS = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat, or a whole prompt.

    role: whose turn it is; TEXT for a whole prompt; TOOLS for the tools of the chat.
    content: the text.
    fields: what else the turn has (tool calls, reasoning, a name), as a canonical JSON object under
        the names that the file gives them; empty if it has nothing else. `{"content":null}` says
        that the turn has no text at all.
    trained: whether the turn is one that the target is to be trained on.
    """

    role: str
    content: str
    fields: str = ""
    trained: bool = False


def trained_places(turns: Sequence[Message]) -> list[int]:
    """Where in a conversation its trained turns are."""
    return [place for place, turn in enumerate(turns) if turn.trained]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a response is sampled.

    temperature: 0 is greedy.
    top_p: the share of nucleus sampling.
    top_k: how many of the likeliest tokens; 0 switches it off.
    min_p: the least share of the likeliest token's probability; 0 switches it off.
    max_tokens: the longest response.
    """

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Example:
    """One input of a dataset.

    id: its id, unique in the dataset.
    input: what the target is asked; of a conversation, the text of the last user's turn before the
        response.
    reference: the reference response, if the dataset has one.
    label: the right answer, if the dataset has one.
    columns: the row's fields under their own names, for prompts.
    copies: how many equal rows of the file it stands for.
    turns: the whole conversation, with the dataset's own turns that are trained; empty where the
        input alone is asked.
    """

    id: str
    input: str
    reference: str | None = None
    label: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    copies: int = 1
    turns: tuple[Message, ...] = ()

    @property
    def asked(self) -> tuple[Message, ...]:
        """The chat that the last trained turn answers: all before it, or all if there is none."""
        if not self.turns:
            return (Message("user", self.input),)
        places = trained_places(self.turns)
        return self.turns[: places[-1]] if places else self.turns

    @property
    def context(self) -> tuple[Message, ...]:
        """The chat before the first trained turn."""
        places = trained_places(self.turns)
        return self.turns[: places[0]] if places else self.asked


@dataclass(frozen=True, slots=True)
class DatasetSize:
    """How many different examples a dataset has, sampled or not."""

    examples: int


@dataclass(frozen=True, slots=True)
class Response:
    """The text that a strategy gives for an example.

    id: the example's id.
    text: the text.
    problem: why the response is not used ("wrong answer", "empty"); empty if it is.
    correct: the answer check's result; None where there is no check.
    truncated: whether the model reached its token limit before it ended.
    attempts: how many calls of a model it took; 0 for text from a file.
    changed: what white space was changed ("line ends", "outer blanks"); empty if none.
    member: the place in its strategy's members, from 1, that it was taken from; 0 for all others.
    turns: the whole conversation that it is trained in, if it is more than the text of one turn
        behind the example's own; empty for all others. The text is then that of the trained turns.
    """

    id: str
    text: str
    problem: str = ""
    correct: bool | None = None
    truncated: bool = False
    attempts: int = 0
    changed: str = ""
    member: int = 0
    turns: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnOutput:
    """A response sampled from the target itself; see Response for its other fields.

    sample: the number of this sample for the example, from 0.
    """

    id: str
    sample: int
    text: str
    problem: str = ""
    correct: bool | None = None
    truncated: bool = False
    changed: str = ""


class TokenKind:
    """What of a trained turn a token is of, as numbers in TokenScores.kinds.

    ANSWER: what is said, and tool calls.
    THINKING: reasoning before it, with its tags.
    END: the token that ends the turn.
    BEHIND: what the template writes behind that, such as a line end.
    UNTRAINED: what stands between two trained stretches of a turn; no row of token scores has any.
    EMPTY_THINKING: a block for thinking that the template writes before a turn without any.
    """

    ANSWER = 0
    THINKING = 1
    END = 2
    BEHIND = 3
    UNTRAINED = 4
    EMPTY_THINKING = 5


@dataclass(frozen=True, slots=True)
class TokenScores:
    """One response under one view. Arrays have one value per scored token, all of one length.

    token_ids: the tokens.
    nll: negative log-likelihood of each, in nats.
    rank: its rank, from 1 for the most likely token. 0 if an endpoint does not say.
    entropy: over the full vocabulary, in nats. NaN if an endpoint does not say.
    lengths: how many UTF-8 bytes of the response each token spells; None if the tokeniser does not
        say.
    squares: the sum of p^2 over the full vocabulary at each token, which is in (0, 1]. None if the
        engine does not say.
    kinds: what of a turn each token is of; see TokenKind. None outside of conversations.
    turns: the place of each token's turn among the messages. None outside of conversations.
    """

    token_ids: IntArray
    nll: FloatArray
    rank: IntArray
    entropy: FloatArray
    lengths: IntArray | None = None
    squares: FloatArray | None = None
    kinds: IntArray | None = None
    turns: IntArray | None = None

    def __len__(self) -> int:
        return len(self.nll)

    def chosen(self, tokens: npt.NDArray[np.bool_]) -> TokenScores:
        """The scores of some of the tokens."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        for name, array in arrays.items():
            arrays[name] = None if array is None else array[tokens]
        return TokenScores(**arrays)


@dataclass(frozen=True, slots=True)
class ScoredResponse:
    """The token scores of one example's response.

    id: the example's id.
    prompt_tokens: how many tokens the prompt has; of a conversation, how many are before its last
        trained turn.
    response_tokens: how many tokens of the response were to be scored.
    scores: the scores, or None where `problem` says why there are none.
    problem: why there are none; empty if there are.
    place: how the response's place in training differs from the end of the prompt, or what of a
        conversation the template leaves out, in words; empty if there is nothing to say.
    text: what the scored tokens spell, in conversations; `lengths` are of it. Empty elsewhere,
        where they are of the response's text.
    """

    id: str
    prompt_tokens: int
    response_tokens: int
    scores: TokenScores | None
    problem: str = ""
    place: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """A metric's value for one response.

    id: the example's id.
    value: the value, or None where `problem` says why there is none.
    problem: why there is none; empty if there is one.
    weight: the value's denominator, for a metric that is a ratio of means over a dataset.
    """

    id: str
    value: float | None
    problem: str = ""
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """How a judge finds one strategy's response to an example, next to another strategy's.

    id: the example's id.
    shown_first: "better", "worse" or "tie", where the strategy's response was shown first; empty
        where `problem` says why there is none.
    shown_second: the same, where it was shown second.
    problem: why there is none; empty if there are both.
    """

    id: str
    shown_first: str
    shown_second: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Represented:
    """The hidden states of one text, as one vector.

    id: the example's id.
    sample: 0 for a response, or the number of the own output.
    vector: the vector, or None where `problem` says why there is none.
    problem: why there is none; empty if there is one.
    """

    id: str
    sample: int
    vector: FloatArray | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens used by model calls, counted as an API bills them.

    calls: how many calls.
    prompt_tokens: every prompt in full, even where the engine shares it; a scored response counts
        as prompt.
    output_tokens: what the model wrote.
    """

    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, more: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.calls + more.calls,
            self.prompt_tokens + more.prompt_tokens,
            self.output_tokens + more.output_tokens,
        )
