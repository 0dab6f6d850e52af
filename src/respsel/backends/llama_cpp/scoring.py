"""Token scores of calls, by walking the tree of their segments depth first.

Each segment is evaluated once. The key-value cache holds the path to the present one. At a branch
it is dropped back to there (`llama_memory_seq_rm`), and what follows branches off. Prompts that
begin alike share whole chunks in the same way. Recurrent layers cannot go back: there a path is
evaluated again from its beginning, but for one that goes on from where the last one ended.

Knows tokens, not text. Invariant: a token is evaluated in the same batch, behind the same ones,
whatever else is asked. Its sums depend on the batch, so a score would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from respsel.backends.common_prefix import common_prefix
from respsel.backends.contract import ScoreCall
from respsel.backends.llama_cpp.call_tree import Segment, segments_of
from respsel.backends.llama_cpp.context import LlamaContext
from respsel.backends.llama_cpp.logits import reduce_logits
from respsel.records import TokenScores

if TYPE_CHECKING:
    from respsel.backends.llama_cpp.logits import Columns, Floats

# Prompts are evaluated in chunks of so many tokens; larger ones share less, smaller ones are
# slower.
PROMPT_CHUNK = 128


class Scoring:
    """The calls of one `score`."""

    def __init__(
        self,
        context: LlamaContext,
        calls: Sequence[ScoreCall],
        batch_tokens: int,
        goes_back: bool,
    ) -> None:
        """goes_back: whether the model's memory can forget the end of a text."""
        self._context = context
        self._calls = calls
        self._batch_tokens = batch_tokens
        self._goes_back = goes_back
        # The path to the newest segment, and where the cache ends.
        self._path: list[Segment] = []
        self._length = 0
        # What is known of each call that is not answered.
        self._parts: dict[int, list[Columns]] = {}

    def run(self) -> Iterator[tuple[int, TokenScores]]:
        """Yield (index in calls, scores)."""
        for segment in segments_of(self._calls):
            beside: Segment | None = None
            while self._path and self._path[-1] is not segment.parent:
                beside = self._path.pop()
            shared = self._branch(segment, beside)
            if segment.is_turn:
                self._evaluate_turn(segment, shared)
                for index in segment.calls:
                    yield index, _joined(self._calls[index], self._parts.pop(index))
            else:
                first = self._evaluate_prompt(segment, shared)
                for index in (i for turn in segment.behind.values() for i in turn.calls):
                    ids = self._calls[index].response_ids[:1]
                    self._parts[index] = [reduce_logits(first, ids)]
            self._path.append(segment)

    def _branch(self, segment: Segment, beside: Segment | None) -> int:
        """Go back to where a segment begins; return how many of its tokens are there already.

        beside: the segment that followed the same one before.
        """
        if not segment.tokens or self._length == segment.start:
            return 0
        if self._goes_back:
            shared = 0 if beside is None else self._whole_chunks_shared(beside, segment)
            self._length = segment.start + shared
            self._context.drop(0, self._length)
            return shared
        self._context.drop(0, 0)
        self._length = 0
        for before in self._path:
            if before.is_turn:
                self._evaluate_turn(before, 0, again=True)
            else:
                self._evaluate_prompt(before, 0)
        return 0

    def _whole_chunks_shared(self, beside: Segment, segment: Segment) -> int:
        """How many tokens of the segment beside can stay: whole chunks.

        Not a prompt's last token, nor a turn that is scored: of these the logits are needed.

        Hazard: the sums over a token depend on the chunk that it is evaluated in. So chunks begin
        at the same positions whatever is shared, or a score would depend on what was scored before
        it.
        """
        if segment.is_turn != beside.is_turn or segment.calls:
            return 0
        most = len(segment.tokens) - (not segment.is_turn)
        shared = min(most, common_prefix(beside.tokens, segment.tokens))
        chunk = self._batch_tokens if segment.is_turn else PROMPT_CHUNK
        return shared - shared % chunk

    def _evaluate_prompt(self, segment: Segment, shared: int) -> Floats:
        """Evaluate a prompt's stretch but for its first tokens; return the logits behind it."""
        tokens = segment.tokens[shared:]
        (logits,) = self._context.evaluate(
            0, tokens, segment.start + shared, len(tokens) - 1, PROMPT_CHUNK
        )
        self._length = segment.start + len(segment.tokens)
        return logits

    def _evaluate_turn(self, segment: Segment, shared: int, again: bool = False) -> None:
        """Evaluate a turn but for its first tokens, and score it for its calls unless again."""
        calls = [] if again else segment.calls
        for begin in range(shared, len(segment.tokens), self._batch_tokens):
            chunk = segment.tokens[begin : begin + self._batch_tokens]
            wanted = 0 if calls else len(chunk)
            found = self._context.evaluate(0, chunk, segment.start + begin, wanted)
            for index in calls:
                ids = self._calls[index].response_ids[begin + 1 : begin + 1 + len(chunk)]
                self._parts[index].append(reduce_logits(found[0], ids))
        self._length = segment.start + len(segment.tokens)


def _joined(call: ScoreCall, parts: Sequence[Columns]) -> TokenScores:
    import numpy as np

    nll, rank, entropy, squares = (np.concatenate(column) for column in zip(*parts, strict=True))
    ids = np.array(call.response_ids, np.int32)
    return TokenScores(ids, nll, rank, entropy, squares=squares)
