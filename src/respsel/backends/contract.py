"""The contract between respsel and an engine that runs a model.

A backend is one function, `open_model(settings) -> Model`. A Model turns text into token ids,
scores responses and samples new ones. It knows nothing of strategies, metrics or the store.

Invariant: what a call returns depends on that call and the model, not on what else was asked with
it. Where an engine's arithmetic depends on the batch, docs/backends.md says by how much, and the
first answer is stored and stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from respsel.records import TEXT, Message, Sampling, TokenKind, TokenScores

if TYPE_CHECKING:
    from respsel.backends.placement import TextPlace
    from respsel.records import FloatArray

__all__ = [
    "TEXT",
    "Failure",
    "GenerateCall",
    "Generation",
    "Model",
    "ModelText",
    "Placed",
    "PlacedTurns",
    "ScoreCall",
    "TrainedTurn",
]


@dataclass(frozen=True, slots=True)
class Placed:
    """A response at its place in the text that a trainer makes of a chat.

    prompt_ids: the tokens before it, as they are in that text.
    response_ids: its own tokens there; one that begins in the template's text is among them.
    lengths: how many UTF-8 bytes of the response each of them spells; None where that is not known.
    told: how the place differs from the end of the prompt, in words; empty where it does not.
    problem: why there is no such place; the ids are then those of prompt and response apart.
    """

    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    lengths: tuple[int, ...] | None
    told: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TrainedTurn:
    """What a trainer trains on of one assistant's turn.

    place: the turn's place among the messages.
    start, end: its tokens [start, end) in PlacedTurns.ids; the end of the turn is among them.
    text: what they spell.
    lengths: how many UTF-8 bytes of `text` each of them spells.
    kinds: what of the turn each is of; see records.TokenKind.
    """

    place: int
    start: int
    end: int
    text: str
    lengths: tuple[int, ...]
    kinds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlacedTurns:
    """A whole conversation as a trainer tokenises it, and what of it is trained.

    ids: all of its tokens.
    turns: the trained turns, in order. A turn that the template writes in several stretches, with
        what is not trained between them, is there once for each.
    problem: why a trained turn has no place; `turns` is empty then.
    told: what the template leaves out though the trained answers are whole, in words: thinking, and
        what the target is to read (see read_parts). Empty where it leaves out nothing.
    """

    ids: tuple[int, ...]
    turns: tuple[TrainedTurn, ...]
    problem: str = ""
    told: str = ""

    @property
    def stops(self) -> bool:
        """Whether the token that ends a turn is trained in every trained turn.

        If not, the target may not learn to stop (TRL: is_chat_template_stop_token_trained).
        """
        ended = {turn.place for turn in self.turns if TokenKind.END in turn.kinds}
        return bool(self.turns) and ended == {turn.place for turn in self.turns}


@dataclass(frozen=True, slots=True)
class ScoreCall:
    """Score the response's tokens, each given the prompt and the response tokens before it.

    cuts: places in the prompt, ascending, where an engine may cut it. They are pairs: where a turn
        of the conversation begins that is scored itself, and one token before it ends, which is the
        same place for a turn of one token. Calls with the same beginning and cuts share what is
        evaluated up to a cut. No answer's key holds them. None where the response is no turn of a
        conversation that is scored turn by turn.
    """

    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    cuts: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class GenerateCall:
    """Sample one response; `seed` alone decides the draw.

    messages: the chat that the prompt's ids are of, for engines that are asked in text.
    """

    prompt_ids: tuple[int, ...]
    sampling: Sampling
    seed: int
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """A sampled response.

    truncated: whether it reached max_tokens before the model ended its turn.
    problem: why there is no text, where the call failed.
    prompt_tokens: how many tokens the prompt has, where they are not the call's ids.
    """

    text: str
    n_tokens: int
    truncated: bool
    problem: str = ""
    prompt_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one call got no answer (out of memory, say). The other calls are still answered."""

    problem: str


class ModelText(Protocol):
    """How a model reads text: chats and responses to token ids.

    Text in a message or a response is data: it never becomes a control token.
    """

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids of the chat, ready for the assistant's turn.

        Without messages: the token that begins a text (BOS, or end of text where there is none).
        For one message of role TEXT: that token and the text. Raises PreflightError where the
        template refuses the messages.
        """

    def response_ids(self, text: str) -> tuple[int, ...]:
        """Token ids of the text alone: no BOS, no end of turn, no control token."""

    def placed(self, messages: Sequence[Message], response: str) -> Placed:
        """The response where it is in training: in the chat as the template writes both.

        That is not always how the template writes the prompt that asks for a response. Without
        messages, or behind one of role TEXT: `prompt_ids` and `response_ids`. Raises
        PreflightError where the template writes no assistant's turn.
        """

    def placed_turns(self, messages: Sequence[Message]) -> PlacedTurns:
        """A whole conversation, with the tokens that a trainer trains on of its trained turns.

        Raises PreflightError where the template refuses the messages.
        """

    def spell(self, tokens: Sequence[int]) -> str:
        """The text that tokens spell, control tokens included, for people."""

    def training_text(self, messages: Sequence[Message], response: str) -> TextPlace | None:
        """The text that a trainer makes of the chat and its response.

        None where the model has no chat template, or it is not known here. Raises PreflightError
        where the template refuses the chat.
        """


class Model(Protocol):
    """A loaded model."""

    context_tokens: int

    @property
    def text(self) -> ModelText:
        """How the model reads text."""

    @property
    def tokens_evaluated(self) -> int:
        """How many tokens were run through the weights since the model was opened."""

    def about(self) -> Mapping[str, str]:
        """What a user may want to check: `template`, `special tokens`, `weights`, `device`, ..."""

    def score(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, TokenScores | Failure]]:
        """Yield (index in calls, scores), in any order, each as soon as it is known.

        Calls that share a prompt share its computation. The caller has checked that every call fits
        the context. An engine that gives no ranks sets them to 0. One that gives no entropies sets
        all of them to NaN. One that gives no sums of p^2 leaves them None.
        """

    def represent(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, FloatArray | Failure]]:
        """Yield (index in calls, hidden state), in any order.

        The hidden state is the mean of the last layer's over the response's tokens, after the final
        norm, shape (width,). Raises PreflightError where the engine gives none.
        """

    def generate(self, calls: Sequence[GenerateCall]) -> Iterator[tuple[int, Generation | Failure]]:
        """Yield (index in calls, generation), in any order, each as soon as it is known."""

    def close(self) -> None:
        """Free the weights. The model is not used again."""
