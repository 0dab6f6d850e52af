"""Token scores and mean hidden states, over a tree of segments.

Knows nothing of text or of the model's layers. Each call is yielded as soon as its last token is
evaluated. Invariant: no more than _SLICE_BYTES of logits exist at once, however large the
vocabulary and the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from respsel.backends.contract import ScoreCall
from respsel.backends.transformers.branching import Branching
from respsel.backends.transformers.prefix_tree import Batch, Tree, grow
from respsel.records import TokenScores

if TYPE_CHECKING:
    import numpy.typing as npt

    from respsel.records import FloatArray

    Floats = npt.NDArray[np.float32]
    Columns = tuple[Floats, npt.NDArray[np.int32], Floats, Floats]

_SLICE_BYTES = 32 << 20


@dataclass(frozen=True)
class _Stretch:
    """Rows of a batch's hidden states, and the tokens of a call's response that they predict."""

    call: int
    rows: slice
    tokens: tuple[int, ...]


def score(
    branching: Branching, calls: Sequence[ScoreCall], budget: int, n_vocab: int
) -> Iterator[tuple[int, TokenScores]]:
    """Yield (index in calls, scores).

    A response's last token predicts nothing and is not evaluated.
    """
    parts: dict[int, list[Columns]] = {index: [] for index in range(len(calls))}
    for index, call in enumerate(calls):
        if not call.response_ids:
            yield (
                index,
                _joined(call, [score_hidden(torch.empty(0), (), branching.logits, n_vocab)]),
            )
    tree = grow([call.prompt_ids for call in calls], [call.response_ids[:-1] for call in calls])
    beginning: dict[int, list[int]] = {}
    for index, end in enumerate(tree.ends):
        if calls[index].response_ids:
            beginning.setdefault(end, []).append(index)
    for batch, hidden, _ in branching.hidden(tree.segments, budget):
        stretches = list(_stretches(tree, batch, calls, beginning))
        if not stretches:
            continue
        rows = torch.cat([hidden[stretch.rows] for stretch in stretches])
        columns = score_hidden(
            rows,
            [token for stretch in stretches for token in stretch.tokens],
            branching.logits,
            n_vocab,
        )
        at = 0
        for stretch in stretches:
            where = slice(at, at := at + len(stretch.tokens))
            found = parts[stretch.call]
            call = calls[stretch.call]
            nll, rank, entropy, squares = columns
            found.append((nll[where], rank[where], entropy[where], squares[where]))
            if sum(len(part[0]) for part in found) == len(call.response_ids):
                yield stretch.call, _joined(call, parts.pop(stretch.call))


def represent(
    branching: Branching, calls: Sequence[ScoreCall], budget: int
) -> Iterator[tuple[int, FloatArray]]:
    """Yield (index in calls, mean hidden state over the response's tokens)."""
    tree = grow([call.prompt_ids for call in calls], [call.response_ids for call in calls])
    sums: dict[int, torch.Tensor] = {}
    for batch, hidden, _ in branching.hidden(tree.segments, budget):
        for piece in batch.pieces:
            segment = tree.segments[piece.segment]
            if segment.call < 0:
                continue
            more = hidden[piece.row : piece.row + piece.end - piece.begin].float().sum(0)
            sums[segment.call] = sums[segment.call] + more if segment.call in sums else more
            if piece.end == len(segment.tokens):
                yield segment.call, (sums.pop(segment.call) / len(segment.tokens)).cpu().numpy()


def score_hidden(
    hidden: torch.Tensor,
    token_ids: Sequence[int],
    head: Callable[[torch.Tensor], torch.Tensor],
    n_vocab: int,
) -> Columns:
    """Reduce hidden states (n, width) to the nll, rank, entropy and sum of p^2 of n tokens.

    Logarithms are natural. rank = 1 + number of vocabulary entries with a strictly larger logit.

    head: to logits (m, n_vocab) in float32.
    """
    ids = torch.tensor(token_ids, device=hidden.device)[:, None]
    size = max(1, _SLICE_BYTES // (4 * n_vocab))
    parts = [
        _reduce(head(hidden[at : at + size]), ids[at : at + size])
        for at in range(0, len(token_ids), size)
    ]
    nll, rank, entropy, squares = (
        (torch.cat(column).cpu() for column in zip(*parts, strict=True))
        if parts
        else (torch.empty(0),) * 4
    )
    return nll.numpy(), rank.to(torch.int32).numpy(), entropy.numpy(), squares.numpy()


def _stretches(
    tree: Tree, batch: Batch, calls: Sequence[ScoreCall], beginning: dict[int, list[int]]
) -> Iterator[_Stretch]:
    """What a batch predicts.

    A prompt's last row predicts the first token of its responses, a response's rows the next ones.
    """
    for piece in batch.pieces:
        segment = tree.segments[piece.segment]
        stop = piece.row + piece.end - piece.begin
        if piece.end == len(segment.tokens):
            for index in beginning.get(piece.segment, ()):
                yield _Stretch(index, slice(stop - 1, stop), calls[index].response_ids[:1])
        if segment.call >= 0:
            tokens = calls[segment.call].response_ids[piece.begin + 1 : piece.end + 1]
            yield _Stretch(segment.call, slice(piece.row, stop), tokens)


def _joined(call: ScoreCall, parts: Sequence[Columns]) -> TokenScores:
    nll, rank, entropy, squares = (np.concatenate(column) for column in zip(*parts, strict=True))
    ids = np.array(call.response_ids, np.int32)
    return TokenScores(ids, nll, rank, entropy, squares=squares)


@torch.inference_mode()
def _reduce(
    logits: torch.Tensor, ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    chosen = logits.gather(1, ids)
    work = torch.empty_like(logits)
    # Hazard: counted as floats, which is exact below 2**24; torch sums booleans fifteen times
    # slower.
    rank = torch.gt(logits, chosen, out=work).sum(1) + 1
    top = logits.amax(1, keepdim=True)
    shifted = logits.sub_(top)
    torch.exp(shifted, out=work)
    total = work.sum(1)
    entropy = total.log() - torch.linalg.vecdot(work, shifted) / total
    # The norm is three times as fast as the dot product of a row with itself.
    squares = (torch.linalg.vector_norm(work, dim=1) / total) ** 2
    return total.log() - (chosen - top)[:, 0], rank, entropy, squares
