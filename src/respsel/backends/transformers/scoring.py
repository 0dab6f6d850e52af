"""Token scores and mean hidden states, over a tree of segments.

Knows nothing of text or of the model's layers. Each call is yielded as soon as its last token is
evaluated. Invariant: no more than _SLICE_BYTES of logits exist at once, however large the
vocabulary and the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from respsel.backends.contract import ScoreCall
from respsel.backends.transformers.branching import Branching
from respsel.backends.transformers.prefix_tree import Batch, Piece, Span, Tree, grow
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
    rows: range
    tokens: tuple[int, ...]


def score(
    branching: Branching, calls: Sequence[ScoreCall], budget: int, n_vocab: int
) -> Iterator[tuple[int, TokenScores]]:
    """Yield (index in calls, scores).

    A response's last token predicts nothing and is not evaluated.
    """
    asked = [index for index, call in enumerate(calls) if call.response_ids]
    for index, call in enumerate(calls):
        if not call.response_ids:
            yield (
                index,
                _joined(call, [score_hidden(torch.empty(0), (), branching.logits, n_vocab)]),
            )
    wanted = [calls[index] for index in asked]
    tree = grow(
        [call.prompt_ids for call in wanted],
        [call.response_ids[:-1] for call in wanted],
        [call.cuts for call in wanted],
    )
    spans = _by_segment(tree, [_predicting(call) for call in wanted])
    parts: dict[int, list[Columns]] = {place: [] for place in range(len(wanted))}
    for batch, hidden, _ in branching.hidden(tree.segments, budget):
        stretches = list(_stretches(tree, batch, wanted, spans))
        if not stretches:
            continue
        rows, tokens, places = _distinct(stretches)
        columns = score_hidden(
            hidden[torch.tensor(rows, device=hidden.device)], tokens, branching.logits, n_vocab
        )
        for stretch, where in zip(stretches, places, strict=True):
            found = parts[stretch.call]
            nll, rank, entropy, squares = columns
            found.append((nll[where], rank[where], entropy[where], squares[where]))
            call = wanted[stretch.call]
            if sum(len(part[0]) for part in found) == len(call.response_ids):
                yield asked[stretch.call], _joined(call, parts.pop(stretch.call))


def _predicting(call: ScoreCall) -> tuple[int, int]:
    """The places [start, end) that predict a call's response, from the prompt's last one on."""
    start = len(call.prompt_ids) - 1
    return start, start + len(call.response_ids)


def represent(
    branching: Branching, calls: Sequence[ScoreCall], budget: int
) -> Iterator[tuple[int, FloatArray]]:
    """Yield (index in calls, mean hidden state over the response's tokens)."""
    tree = grow(
        [call.prompt_ids for call in calls],
        [call.response_ids for call in calls],
        [call.cuts for call in calls],
    )
    ends = [len(call.prompt_ids) + len(call.response_ids) for call in calls]
    spans = _by_segment(
        tree, [(len(call.prompt_ids), end) for call, end in zip(calls, ends, strict=True)]
    )
    sums: dict[int, torch.Tensor] = {}
    for batch, hidden, _ in branching.hidden(tree.segments, budget):
        for piece in batch.pieces:
            for span, rows in _in_piece(piece, spans):
                more = hidden[rows.start : rows.stop].float().sum(0)
                sums[span.call] = sums[span.call] + more if span.call in sums else more
                start = tree.segments[piece.segment].start
                if start + min(span.end, piece.end) == ends[span.call]:
                    count = len(calls[span.call].response_ids)
                    yield span.call, (sums.pop(span.call) / count).cpu().numpy()


def _by_segment(tree: Tree, stretches: Sequence[tuple[int, int]]) -> dict[int, list[Span]]:
    """By segment, where the tokens at positions [start, stop) of each call's path are."""
    found: dict[int, list[Span]] = {}
    for call, (start, stop) in enumerate(stretches):
        for span in tree.spans(call, start, stop):
            found.setdefault(span.segment, []).append(span)
    return found


def _in_piece(piece: Piece, spans: Mapping[int, Sequence[Span]]) -> Iterator[tuple[Span, range]]:
    """The spans that have tokens in a piece, and the rows of these in the batch."""
    for span in spans.get(piece.segment, ()):
        begin = max(span.begin, piece.begin)
        end = min(span.end, piece.end)
        if begin < end:
            yield span, range(piece.row + begin - piece.begin, piece.row + end - piece.begin)


def _stretches(
    tree: Tree, batch: Batch, calls: Sequence[ScoreCall], spans: Mapping[int, Sequence[Span]]
) -> Iterator[_Stretch]:
    """What a batch predicts."""
    for piece in batch.pieces:
        for span, rows in _in_piece(piece, spans):
            call = calls[span.call]
            start = tree.segments[piece.segment].start + max(span.begin, piece.begin)
            at = start + 1 - len(call.prompt_ids)
            yield _Stretch(span.call, rows, call.response_ids[at : at + len(rows)])


def _distinct(
    stretches: Sequence[_Stretch],
) -> tuple[list[int], list[int], list[npt.NDArray[np.intp]]]:
    """Rows and the tokens that they predict, each pair once, and where those of each stretch are.

    Single rows are not compared: there is one for each response behind a prompt.
    """
    rows: list[int] = []
    tokens: list[int] = []
    places = []
    known: dict[tuple[int, int], int] = {}
    for stretch in stretches:
        where = np.empty(len(stretch.tokens), np.intp)
        for i, pair in enumerate(zip(stretch.rows, stretch.tokens, strict=True)):
            place = len(rows) if len(where) == 1 else known.setdefault(pair, len(rows))
            if place == len(rows):
                rows.append(pair[0])
                tokens.append(pair[1])
            where[i] = place
        places.append(where)
    return rows, tokens, places


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
