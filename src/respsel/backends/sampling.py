"""Drawing a token from logits: one sampler for every backend, seeded by the request alone.

Order of the filters: temperature, top_k, top_p, min_p. Invariant: the draw depends on the logits,
the sampling parameters, the seed and the token's position; not on the library, the device or the
batch. Logits that are no numbers give no token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from respsel.backends.contract import GenerateCall
from respsel.records import Sampling

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Sorting 49k candidates takes ten times the rest of a draw, so the unlikely ones are only looked at
# when the likely ones do not suffice. Relative to the most likely token; the last must be 0 (all).
_CUTOFFS = (1e-3, 1e-6, 0.0)


NOT_FINITE = "the model's logits are not finite numbers"
BROKEN_REMEDY = (
    "Are the weights whole? Where float16 is too narrow for them, bfloat16 and float32 are not"
)


class NotFiniteError(Exception):
    """No token is the most likely one: weights are broken, or a sum has run over."""


class Drawn:
    """A response that is being sampled.

    done: whether it has ended.
    problem: why no token could be drawn.
    """

    def __init__(self, index: int, call: GenerateCall, is_end: Callable[[int], bool]) -> None:
        self.index = index
        self._call = call
        self._is_end = is_end
        self._sampler = Sampler(call.sampling, call.seed)
        self.tokens: list[int] = []
        self.done = False
        self.truncated = False
        self.problem = ""

    @property
    def position(self) -> int:
        """The newest token's position in its sequence."""
        return len(self._call.prompt_ids) + len(self.tokens) - 1

    def take(self, logits: npt.NDArray[np.float32]) -> None:
        """Draw the next token from logits (n_vocab,)."""
        try:
            token = self._sampler.draw(logits)
        except NotFiniteError as error:
            self.done = True
            self.problem = str(error)
            return
        if self._is_end(token):
            self.done = True
            return
        self.tokens.append(token)
        self.done = self.truncated = len(self.tokens) >= self._call.sampling.max_tokens


class Sampler:
    """The random stream of one response."""

    def __init__(self, sampling: Sampling, seed: int) -> None:
        import numpy as np

        self._sampling = sampling
        self._stream = np.random.Generator(np.random.Philox(key=seed))

    def draw(self, logits: npt.NDArray[np.float32]) -> int:
        """Return a token id for logits of shape (n_vocab,).

        Raises NotFiniteError where one is NaN or +inf.
        """
        import numpy as np

        sampling = self._sampling
        top = logits.max()
        # Minus infinity is a token that is forbidden, and no fault, as long as not all are.
        if not np.isfinite(top):
            raise NotFiniteError(NOT_FINITE)
        if sampling.temperature <= 0:
            return int(logits.argmax())
        weights = np.exp((logits - top) / np.float32(sampling.temperature))
        candidates = _nucleus(weights, sampling.top_k, sampling.top_p)
        kept = weights[candidates].astype(np.float64)
        if sampling.min_p > 0:
            kept[kept < sampling.min_p * kept[0]] = 0.0
        edges = np.cumsum(kept)
        # Hazard: rounding can put the draw on the last edge, and searchsorted then runs past the
        # end.
        place = np.searchsorted(edges, self._stream.random() * edges[-1], side="right")
        return int(candidates[min(int(place), len(candidates) - 1)])


def _nucleus(weights: npt.NDArray[np.float32], top_k: int, top_p: float) -> npt.NDArray[np.intp]:
    """Return the most likely tokens, likeliest first.

    At most top_k, and no more than are needed to reach top_p.
    """
    import numpy as np

    for cutoff in _CUTOFFS:
        chosen = np.flatnonzero(weights > cutoff) if cutoff else np.arange(len(weights))
        if cutoff and top_k > 0 and len(chosen) < top_k:
            continue
        # A stable sort keeps equal weights in the order of their token ids.
        chosen = chosen[np.argsort(-weights[chosen], kind="stable")]
        total = float(weights.sum(dtype=np.float64))
        if top_k > 0:
            chosen = chosen[:top_k]
            total = float(weights[chosen].sum(dtype=np.float64))
        reached = np.cumsum(weights[chosen], dtype=np.float64)
        if not cutoff or reached[-1] >= top_p * total:
            return chosen[: int(np.searchsorted(reached, top_p * total)) + 1]
    raise AssertionError("the last cutoff keeps every token")
