"""Counts of responses by their answer check and their end, and what to say about them.

Reports, applied selections and training sets share them. Knows nothing of verdicts. Invariant: a
response without an answer check is neither right nor wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from respsel.recipe.schema import StrategyEntry
from respsel.records import Response

# Above this share of responses, cut short is a matter of a setting.
MANY_CUT_SHORT = 0.1


@dataclass(frozen=True)
class ResponseCounts:
    """Counts of some responses.

    total: how many there are.
    judged: those that the answer check has judged.
    right: those of the judged that have the right answer.
    truncated: those that were cut short at max_tokens.
    """

    total: int = 0
    judged: int = 0
    right: int = 0
    truncated: int = 0

    @property
    def wrong(self) -> int:
        """The judged responses that have a wrong answer."""
        return self.judged - self.right


def count_responses(responses: Iterable[Response]) -> ResponseCounts:
    """Count responses."""
    total = 0
    judged = 0
    right = 0
    truncated = 0
    for response in responses:
        total += 1
        judged += response.correct is not None
        right += response.correct is True
        truncated += response.truncated
    return ResponseCounts(total, judged, right, truncated)


def count_members(entry: StrategyEntry, responses: Iterable[Response]) -> Mapping[str, int]:
    """How many usable responses a strategy took from each of its members; empty if it has none."""
    places = Counter(response.member for response in responses if not response.problem)
    return {name: places[place] for place, name in enumerate(entry.members, 1)}


def members_told(counts: Mapping[str, int]) -> str:
    """These counts in words: "31 own, 12 hint, 7 reference"."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def label_caution(strategies: Sequence[str], which: str) -> str:
    """The caution about prompts that contain the label.

    which: the responses to read, as "some of its responses".
    """
    return (
        f"The prompt of {', '.join(strategies)} contains the label, so the answer check is passed "
        f"easily: read {which} before you train on them."
    )
