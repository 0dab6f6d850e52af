"""The contract of a metric and the registry of all.

A metric is a pure function from evidence about one response to one number, with a name, a version, a
direction and a source. It makes no calls: it says which view and whether it wants own outputs, and the
planner sees to it. Invariant: a value is finite, or there is a reason in words why there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from respsel.errors import Problem, suggest
from respsel.recipe import MetricEntry
from respsel.records import TokenScores
from respsel.shape import check_shape


class Parameters(BaseModel):
    """A metric's parameters; one without any uses this class itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


@dataclass(frozen=True)
class View:
    """The conditioning under which a response is scored: `plain`, or `self-aligned` with k own outputs."""

    kind: Literal["plain", "self-aligned"]
    k: int = 0

    @property
    def name(self) -> str:
        """What steps and the report call it."""
        return f"{self.kind}-{self.k}" if self.k else self.kind


@dataclass(frozen=True)
class Evidence:
    """What a metric is given about one response. token_scores: in the view that the metric asked for;
    own_outputs: the target's own texts for the same input, if it asked for them."""

    text: str
    token_scores: TokenScores | None
    own_outputs: Sequence[str]


@dataclass(frozen=True)
class Metric:
    """A metric's contract.

    scale "log": compared by ratios, and averaged over examples by the geometric mean (perplexities are
    heavy-tailed: one odd response must not decide); "linear": by differences and the arithmetic mean.
    control: it is there to see what a ranking may really be about, not to select by.
    """

    name: str
    version: int
    direction: Literal["lower", "higher"]
    scale: Literal["log", "linear"]
    unit: str
    summary: str
    source: str
    parameters: type[Parameters]
    view: Callable[[Any], View | None]
    wants_own_outputs: bool
    measure: Callable[[Any, Evidence], float]
    control: bool = False


@dataclass(frozen=True)
class ChosenMetric:
    """A metric with its parameters, as a recipe asks for it."""

    label: str
    metric: Metric
    parameters: Parameters

    @property
    def view(self) -> View | None:
        """The view whose token scores it reads."""
        return self.metric.view(self.parameters)

    def measure(self, evidence: Evidence) -> tuple[float | None, str]:
        """Return (value, "") or (None, why there is none)."""
        try:
            value = self.metric.measure(self.parameters, evidence)
        except (ValueError, ArithmeticError) as error:
            return None, str(error) or type(error).__name__
        if not math.isfinite(value):
            return None, f"the value is {value}"
        return value, ""


def all_metrics() -> Mapping[str, Metric]:
    """Every metric by name."""
    from respsel.metrics import alignment, length, likelihood

    return {metric.name: metric for metric in (*likelihood.METRICS, *alignment.METRICS, *length.METRICS)}


def choose(entry: MetricEntry, shown: str, where: str) -> tuple[ChosenMetric | None, list[Problem]]:
    """Return the metric that a recipe entry asks for, or what is wrong with the entry."""
    known = all_metrics()
    if entry.name not in known:
        return None, [Problem(shown, f"{where}.name", f"'{entry.name}' is no metric", suggest(entry.name, known))]
    metric = known[entry.name]
    parameters, problems = check_shape(metric.parameters, entry.parameters, shown)
    problems = [_in_place(problem, where, metric) for problem in problems]
    return (None, problems) if problems else (ChosenMetric(entry.known_as, metric, parameters), [])


def _in_place(problem: Problem, where: str, metric: Metric) -> Problem:
    remedy = problem.remedy
    if problem.what == "unknown key":
        remedy = suggest(problem.where, ("name", "label", *metric.parameters.model_fields))
    return Problem(problem.file, f"{where}.{problem.where}", problem.what, remedy)
