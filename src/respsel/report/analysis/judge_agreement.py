"""Whether a judge sees what is right: its scores of right answers against those of wrong ones.

Knows nothing of judges' prompts. Invariant: the interval is never too narrow. The variance of such
a share is at most p (1 - p) / n (Birnbaum and Klose 1957), where n counts examples, not pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from respsel.text.numbers import percent, share

# With fewer examples that have both, pairs are made across examples.
FEWEST_WITHIN = 8
# With fewer, chance explains nearly every share.
FEWEST_EXAMPLES = 8
_CHANCE = 0.5


@dataclass(frozen=True)
class JudgedAnswer:
    """A response with the judge's score and the answer check's result."""

    example: str
    score: float
    right: bool


@dataclass(frozen=True)
class JudgeAgreement:
    """How often a judge gives the right one of two answers the higher score.

    share: of the pairs of a right and a wrong answer; equal scores count half. Within examples, the
        mean over examples. Across them, the area under the ROC curve.
    low, high: its interval at `confidence`.
    pairs: how many there are.
    examples: how many the interval counts: those with both; or across examples, those with a right
        answer or those with a wrong one, whichever are fewer.
    within: whether the two answers of a pair are to the same example.
    shown: whether the judge was shown the right answer.
    """

    share: float
    low: float
    high: float
    confidence: float
    pairs: int
    examples: int
    within: bool
    shown: bool = False

    @property
    def sees(self) -> Literal["yes", "no", "unknown"]:
        """Whether the judge does better than chance."""
        if self.low > _CHANCE:
            return "yes"
        return "no" if self.examples >= FEWEST_EXAMPLES else "unknown"

    @property
    def words(self) -> str:
        """In a sentence."""
        about = "to the same example" if self.within else "across examples"
        told = " It was shown the right answer." if self.shown else ""
        return (
            f"The judge gives the right answer the higher score in {share(self.share)} of "
            f"{self.pairs:,} pairs of a right and a wrong answer {about} ({share(self.low)} to "
            f"{share(self.high)} at {percent(self.confidence)}, by {self.examples} examples; "
            f"chance would be 50%).{told}"
        )


def find_judge_agreement(
    answers: Sequence[JudgedAnswer], confidence: float, shown: bool = False
) -> JudgeAgreement | None:
    """Compare a judge's scores with an answer check; None without both right and wrong answers."""
    by_example: dict[str, list[JudgedAnswer]] = {}
    for answer in answers:
        by_example.setdefault(answer.example, []).append(answer)
    both = [found for some in by_example.values() if (found := _wins(some))[1]]
    if len(both) >= FEWEST_WITHIN:
        value = sum(wins / pairs for wins, pairs in both) / len(both)
        low, high = wilson(value, len(both), confidence)
        pairs = sum(count for _, count in both)
        return JudgeAgreement(value, low, high, confidence, pairs, len(both), True, shown)
    wins, pairs = _wins(answers)
    if not pairs:
        return None
    right = {answer.example for answer in answers if answer.right}
    wrong = {answer.example for answer in answers if not answer.right}
    examples = min(len(right), len(wrong))
    low, high = wilson(wins / pairs, examples, confidence)
    return JudgeAgreement(wins / pairs, low, high, confidence, pairs, examples, False, shown)


def _wins(answers: Iterable[JudgedAnswer]) -> tuple[float, int]:
    """Return (how often the right one of a pair has the higher score, how many pairs there are)."""
    from bisect import bisect_left, bisect_right

    some = list(answers)
    right = [answer.score for answer in some if answer.right]
    wrong = sorted(answer.score for answer in some if not answer.right)
    wins = sum((bisect_left(wrong, value) + bisect_right(wrong, value)) / 2 for value in right)
    return wins, len(right) * len(wrong)


def wilson(value: float, count: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a share over so many examples."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = value + z * z / (2 * count)
    half = z * math.sqrt(value * (1 - value) / count + z * z / (4 * count * count))
    size = 1 + z * z / count
    return max(0.0, (centre - half) / size), min(1.0, (centre + half) / size)
