"""Whether metrics agree: Kendall's tau between them, + where they rank strategies alike.

Directions are aligned first, so that + 1 means the same order from best to worst. Source: Kendall,
tau-b, as in scipy.stats.kendalltau, which the tests compare with; computed here for all examples at
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How far metrics agree, by Kendall's tau: tables of metrics by metrics.

    within: the mean over examples of tau over an example's responses.
    examples: over how many examples.
    across: tau over the strategies' means.
    A cell is None where nothing can be compared.
    """

    metrics: tuple[str, ...]
    within: tuple[tuple[float | None, ...], ...]
    examples: tuple[tuple[int, ...], ...]
    across: tuple[tuple[float | None, ...], ...]


def find_agreement(metrics: Sequence[str], scores: Sequence[Matrix]) -> Agreement | None:
    """Compare metrics; None for fewer than two metrics or strategies.

    scores: by metric, (examples, strategies); lower is better, NaN where there is none.
    """
    import numpy as np

    if len(metrics) < 2 or scores[0].shape[1] < 2:
        return None
    whole = [~np.isnan(table).any(axis=1) for table in scores]
    within = []
    examples = []
    across = []
    for one, mine in zip(scores, whole, strict=True):
        taus = [
            _taus(one[mine & other], table[mine & other])
            for table, other in zip(scores, whole, strict=True)
        ]
        within.append(tuple(float(tau.mean()) if len(tau) else None for tau in taus))
        examples.append(tuple(len(tau) for tau in taus))
        across.append(
            tuple(
                _of_means(one[mine & other], table[mine & other])
                for table, other in zip(scores, whole, strict=True)
            )
        )
    return Agreement(tuple(metrics), tuple(within), tuple(examples), tuple(across))


def _of_means(one: Matrix, other: Matrix) -> float | None:
    if not len(one):
        return None
    taus = _taus(one.mean(axis=0)[None], other.mean(axis=0)[None])
    return float(taus[0]) if len(taus) else None


def _taus(one: Matrix, other: Matrix) -> npt.NDArray[np.float64]:
    """Tau-b of each row, without the rows in which one of the two does not vary."""
    import numpy as np

    first, second = np.triu_indices(one.shape[1], 1)
    a = np.sign(one[:, first] - one[:, second])
    b = np.sign(other[:, first] - other[:, second])
    size = np.sqrt((a != 0).sum(axis=1) * (b != 0).sum(axis=1))
    varies = size > 0
    taus: npt.NDArray[np.float64] = (a * b).sum(axis=1)[varies] / size[varies]
    return taus
