"""A model that costs nothing: a random bigram model over UTF-8 bytes, the same on every machine.

It ships for tests, examples and benchmarks. Token scores come from real (if meaningless)
probability distributions, so nll, rank, entropy and sums of squares agree with each other.
Generation samples from word lists. Invariant: VERSION is in its identity, and is raised when any of
its numbers change.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from respsel.backends.common_prefix import distinct_tokens
from respsel.backends.contract import (
    TEXT,
    GenerateCall,
    Generation,
    Placed,
    PlacedTurns,
    ScoreCall,
    TrainedTurn,
)
from respsel.backends.turn_fields import as_turn
from respsel.backends.turn_kinds import Ends, Said, find_borders
from respsel.hashing import digest
from respsel.records import ASSISTANT, Message, TokenKind, TokenScores

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from respsel.records import FloatArray

    Floats = npt.NDArray[np.float32]
    Bigrams = tuple[Floats, npt.NDArray[np.int32], Floats, Floats]

VERSION = 1
_N_BYTES = 256
_USER = 256
_ASSISTANT = 257
_END = 258
_N_VOCAB = 259
_WORDS = (
    "so",
    "then",
    "first",
    "we",
    "add",
    "take",
    "count",
    "the",
    "total",
    "apples",
    "boxes",
    "each",
    "left",
    "is",
    "half",
)


class FakeText:
    """See ModelText: a token is a byte. Control tokens lie above, so no text can spell one."""

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """See ModelText.prompt_ids."""
        if not messages or messages[0].role == TEXT:
            return (
                _END,
                *(byte for message in messages for byte in message.content.encode("utf-8")),
            )
        ids: list[int] = []
        for message in messages:
            ids += [_USER, *_written(message).encode("utf-8"), _END]
        return (*ids, _ASSISTANT)

    def response_ids(self, text: str) -> tuple[int, ...]:
        """See ModelText.response_ids."""
        return tuple(text.encode("utf-8"))

    def placed(self, messages: Sequence[Message], response: str) -> Placed:
        """See ModelText.placed: every response follows its prompt."""
        ids = self.response_ids(response)
        return Placed(self.prompt_ids(messages), ids, (1,) * len(ids))

    def placed_turns(self, messages: Sequence[Message]) -> PlacedTurns:
        """See ModelText.placed_turns: each turn ends with a token, and nothing is behind it."""
        ids: list[int] = []
        turns: list[TrainedTurn] = []
        for place, message in enumerate(messages):
            ids.append(_ASSISTANT if message.role == ASSISTANT else _USER)
            text = _written(message)
            own = [*text.encode("utf-8"), _END]
            if message.trained:
                kinds = _kinds(message, text)
                lengths = (1,) * (len(own) - 1)
                end = len(ids) + len(own)
                turns.append(TrainedTurn(place, len(ids), end, text, (*lengths, 0), kinds))
            ids += own
        return PlacedTurns(tuple(ids), tuple(turns))

    def spell(self, tokens: Sequence[int]) -> str:
        """See ModelText.spell."""
        signs = {_USER: b"<user>", _ASSISTANT: b"<assistant>", _END: b"<end>"}
        parts = (signs.get(token) or bytes((token,)) for token in tokens)
        return b"".join(parts).decode("utf-8", "replace")

    def training_text(self, messages: Sequence[Message], response: str) -> None:
        """See ModelText.training_text: there is no chat template."""


def _written(message: Message) -> str:
    """A message as this model reads it: thinking in tags, its text, its tool calls as JSON."""
    turn = as_turn(message)
    said = Said.of(turn)
    content = turn.get("content") or ""
    # Thinking that is not in the text is in a field.
    is_apart = said.thinking and said.answer == content
    opened = f"<think>\n{said.thinking}\n</think>\n\n" if is_apart else ""
    calls = turn.get("tool_calls")
    return opened + content + (json.dumps(calls, ensure_ascii=False) if calls else "")


def _kinds(message: Message, text: str) -> tuple[int, ...]:
    borders = find_borders(text, Said.of(as_turn(message)), len(text), Ends((), ""))
    n_thinking = len(text[: borders.answer].encode("utf-8"))
    n_answer = len(text.encode("utf-8")) - n_thinking
    kinds = [TokenKind.THINKING] * n_thinking + [TokenKind.ANSWER] * n_answer
    return (*kinds, TokenKind.END)


class FakeModel:
    """See Model."""

    def __init__(self, variant: str, context_tokens: int) -> None:
        self.text = FakeText()
        self.context_tokens = context_tokens
        self.tokens_evaluated = 0
        self._seed = int(digest("fake", str(VERSION), variant)[:16], 16)
        self._tables: Bigrams | None = None

    def about(self) -> Mapping[str, str]:
        """See Model.about."""
        return {
            "weights": "none: a random bigram model over bytes",
            "special tokens": "none that a text could spell",
        }

    def score(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, TokenScores]]:
        """See Model.score."""
        import numpy as np

        nll, rank, entropy, squares = self._bigrams()
        self.tokens_evaluated += distinct_tokens(
            call.prompt_ids + call.response_ids[:-1] for call in calls
        )
        for index, call in enumerate(calls):
            ids = np.array(call.response_ids, np.int32)
            # The prompt shifts which row of the table is "the token before".
            shift = sum(call.prompt_ids) % 7
            before = (np.concatenate(([call.prompt_ids[-1]], ids[:-1])) + shift) % _N_VOCAB
            found = (nll[before, ids], rank[before, ids], entropy[before])
            yield index, TokenScores(ids, *found, squares=squares[before])

    def represent(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, FloatArray]]:
        """See Model.represent: the shares of the response's bytes, moved a little by the prompt."""
        import numpy as np

        for index, call in enumerate(calls):
            shares = np.bincount(call.response_ids, minlength=_N_BYTES) / len(call.response_ids)
            shares[sum(call.prompt_ids) % _N_BYTES] += 0.1
            yield index, shares.astype(np.float32)

    def generate(self, calls: Sequence[GenerateCall]) -> Iterator[tuple[int, Generation]]:
        """See Model.generate: some words and an answer from 0 to 9; a word counts as a token."""
        for index, call in enumerate(calls):
            noise = call.seed if call.sampling.temperature else 0
            source = f"{self._seed}/{noise}/{digest('prompt', str(call.prompt_ids))}"
            draw = random.Random(source)
            words = [draw.choice(_WORDS) for _ in range(draw.randint(4, 24))]
            words += ["Final", "Answer:", str(draw.randint(0, 9))]
            truncated = len(words) > call.sampling.max_tokens
            words = words[: call.sampling.max_tokens]
            yield index, Generation(" ".join(words), len(words), truncated)

    def close(self) -> None:
        """See Model.close."""

    def _bigrams(self) -> Bigrams:
        import numpy as np

        if self._tables is None:
            stream = np.random.Generator(np.random.Philox(key=self._seed))
            logits = stream.normal(0.0, 2.0, (_N_VOCAB, _N_VOCAB))
            logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            rank = 1 + np.argsort(np.argsort(-logits, axis=1), axis=1)
            entropy = -(np.exp(logp) * logp).sum(axis=1)
            self._tables = (
                (-logp).astype(np.float32),
                rank.astype(np.int32),
                entropy.astype(np.float32),
                (np.exp(logp) ** 2).sum(axis=1).astype(np.float32),
            )
        return self._tables
