"""What is known of strategies before the ranking, and how they stand by it.

Knows nothing of likelihoods or limits. Invariant: a strategy is barred only with a reason in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from respsel.tables.table import Document


@dataclass(frozen=True)
class Held:
    """What is known of a strategy's usable responses without any likelihood.

    correct: by example, the answer check's result.
    rewards: by example, the judge's or the data's.
    texts: how many responses there are.
    whole: the share that was not cut short; None without texts, as the other shares.
    distinct: the share of different texts.
    sound: the share without a fault of the text.
    faults: the commonest of these faults, in words.
    by_target: whether the target wrote them.
    shows_label: whether the prompt that they were written from shows the label.
    dropped: how many other responses were left out since their answers are wrong.
    chosen_by: the likelihood metric that they were chosen by from several; empty if by none.
    """

    correct: Mapping[str, bool] = field(default_factory=dict)
    rewards: Mapping[str, float] = field(default_factory=dict)
    texts: int = 0
    whole: float | None = None
    distinct: float | None = None
    sound: float | None = None
    faults: str = ""
    by_target: bool = False
    shows_label: bool = False
    dropped: int = 0
    chosen_by: str = ""

    @property
    def right(self) -> int:
        """How many answers are right."""
        return sum(self.correct.values())

    @property
    def right_share(self) -> float:
        """The share of right answers; 0 without any that were checked."""
        return self.right / len(self.correct) if self.correct else 0.0

    @property
    def reward(self) -> float | None:
        """The mean reward."""
        return sum(self.rewards.values()) / len(self.rewards) if self.rewards else None


@dataclass(frozen=True)
class Objection:
    """Why a strategy may not be recommended.

    gate: "right", "reward", "whole", "distinct", "sound" or "author".
    text: the reason, behind the strategy's name and a colon.
    """

    gate: str
    text: str


@dataclass(frozen=True)
class Standing:
    """How a strategy stands before the ranking.

    right, judged: how many answers are right, of those that were checked.
    reward, rewarded: the mean reward, and of how many.
    whole, distinct, sound: shares; None without texts.
    by_target: whether the target wrote its texts.
    advocate: what speaks for the target's own texts; empty if nothing does or they need none.
    objections: why it may not be recommended; empty if it may.
    """

    strategy: str
    right: int
    judged: int
    reward: float | None
    rewarded: int
    texts: int
    whole: float | None
    distinct: float | None
    sound: float | None
    by_target: bool
    advocate: str
    objections: tuple[Objection, ...]

    @property
    def is_barred(self) -> bool:
        """Whether it may not be recommended."""
        return bool(self.objections)

    @property
    def why(self) -> str:
        """All objections in a line."""
        return "; ".join(objection.text for objection in self.objections)


def standing_from_json(data: Any) -> Standing:
    """The inverse of asdict, after JSON."""
    return Standing(**{**data, "objections": tuple(Objection(**o) for o in data["objections"])})


STANDINGS = Document("standings", standing_from_json)


def barred_in(standings: Sequence[Standing]) -> Mapping[str, str]:
    """By barred strategy, why."""
    return {one.strategy: one.why for one in standings if one.is_barred}
