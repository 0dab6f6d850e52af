"""Logits to token scores: what a metric needs of a position, so that no logits are kept.

Knows no engine. Invariant: the numbers do not depend on how many positions are reduced at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Columns = tuple[Floats, npt.NDArray[np.int32], Floats, Floats]


def reduce_logits(logits: Floats, token_ids: Sequence[int]) -> Columns:
    """Reduce logits (n, n_vocab) to the nll, rank, entropy and sum of p^2 of n tokens.

    Logarithms are natural. rank = 1 + number of vocabulary entries with a strictly larger logit.
    """
    import numpy as np

    n = len(token_ids)
    nll = np.empty(n, np.float32)
    rank = np.empty(n, np.int32)
    entropy = np.empty(n, np.float32)
    squares = np.empty(n, np.float32)
    for i, token in enumerate(token_ids):
        row = logits[i]
        chosen = row[token]
        rank[i] = 1 + np.count_nonzero(row > chosen)
        shifted = row - row.max()
        weights = np.exp(shifted)
        total = float(weights.sum(dtype=np.float64))
        nll[i] = np.log(total) - float(shifted[token])
        entropy[i] = np.log(total) - float(np.dot(weights, shifted)) / total
        squares[i] = float(np.dot(weights, weights)) / total**2
    return nll, rank, entropy, squares
