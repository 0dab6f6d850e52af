"""Hidden states to token scores, the output head applied to a few positions at a time.

Invariant: no more than _SLICE_BYTES of logits exist at once, however large the vocabulary and the
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Columns = tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], npt.NDArray[np.float32]]

_SLICE_BYTES = 32 << 20


def score_hidden(
    hidden: torch.Tensor,
    token_ids: Sequence[int],
    head: Callable[[torch.Tensor], torch.Tensor],
    n_vocab: int,
) -> Columns:
    """Reduce hidden states (n, width) to the nll, rank and entropy of n tokens; natural logarithms.

    head: to logits (m, n_vocab) in float32. rank = 1 + number of vocabulary entries with a strictly
    larger logit.
    """
    ids = torch.tensor(token_ids, device=hidden.device)[:, None]
    size = max(1, _SLICE_BYTES // (4 * n_vocab))
    parts = [
        _reduce(head(hidden[at : at + size]), ids[at : at + size])
        for at in range(0, len(token_ids), size)
    ]
    nll, rank, entropy = (
        (torch.cat(column).cpu() for column in zip(*parts, strict=True))
        if parts
        else (torch.empty(0),) * 3
    )
    return nll.numpy(), rank.to(torch.int32).numpy(), entropy.numpy()


@torch.inference_mode()
def _reduce(
    logits: torch.Tensor, ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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
    return total.log() - (chosen - top)[:, 0], rank, entropy
