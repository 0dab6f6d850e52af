"""What a report says: gathered from a run's tables into frozen rows, ready for any format.

Knows nothing of markup. Invariant: every number here is a table's or the verdict's; nothing is judged
again.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import respsel
from respsel.choices import Choice, Mixture, mix
from respsel.costs import Cost, costs_of
from respsel.loading import LoadedRecipe
from respsel.racing import Lap, reach_of
from respsel.recipe import OVERALL, ColumnStrategy, FileStrategy, PluginStrategy
from respsel.records import Example, OwnOutput, Response, Score
from respsel.report.headline import Headline, headline
from respsel.requests import OVER_CONTEXT
from respsel.runner import RunResult
from respsel.selection import Verdict

_SAMPLE_EXAMPLES = 4
_ENGINES = ("llama-cpp-python", "torch", "transformers")


@dataclass(frozen=True)
class MetricMean:
    """A metric's mean over the examples that have a value: geometric on a log scale; of a ratio of means, that ratio."""

    metric: str
    unit: str
    direction: str
    control: bool
    mean: float | None
    examples: int


@dataclass(frozen=True)
class StrategySummary:
    """One strategy on one dataset. correct: of the responses that the answer check judged."""

    strategy: str
    source: str
    responses: int
    unusable: Mapping[str, int]
    truncated: int
    judged: int
    correct: int
    means: tuple[MetricMean, ...]


@dataclass(frozen=True)
class AuditRow:
    """What was scored under a view. expected: the responses' tokens as they were tokenised; scored: the
    values that are in the table of token scores and finite. over_context: responses that do not fit it."""

    strategy: str
    view: str
    responses: int
    scored_responses: int
    tokens_expected: int
    tokens_scored: int
    over_context: int
    prompt_tokens_mean: float | None


@dataclass(frozen=True)
class OwnOutputSummary:
    """The target's own outputs on one dataset."""

    outputs: int
    kept: int
    judged: int
    correct: int
    truncated: int


@dataclass(frozen=True)
class RaceSummary:
    """How a race went. scored: of the `possible` scores of all strategies over the whole sample."""

    laps: tuple[Lap, ...]
    scored: int
    possible: int


@dataclass(frozen=True)
class SampleResponse:
    """One strategy's response to a shown example, with its selection score."""

    strategy: str
    text: str
    score: float | None
    problem: str


@dataclass(frozen=True)
class SampleExample:
    """An example that is shown with all its responses."""

    id: str
    input: str
    label: str | None
    responses: tuple[SampleResponse, ...]


@dataclass(frozen=True)
class DatasetReport:
    """Everything about one dataset."""

    name: str
    examples: int
    asked: int | None
    verdict: Verdict
    strategies: tuple[StrategySummary, ...]
    audit: tuple[AuditRow, ...]
    own_outputs: OwnOutputSummary | None
    samples: tuple[SampleExample, ...]
    race: RaceSummary | None
    mixture: Mixture | None
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Report:
    """The whole report. costs: what all calls took that the recipe's steps use, whenever they were made."""

    recipe: str
    recipe_path: str
    headline: Headline
    overall: Verdict | None
    datasets: tuple[DatasetReport, ...]
    costs: tuple[Cost, ...]
    provenance: Mapping[str, Any]


def build_report(result: RunResult, finished_at: str) -> Report:
    """Gather a run's tables into a report; finished_at is shown as given."""
    loaded = result.graph.loaded
    verdicts = {verdict.dataset: verdict for verdict in result.verdicts}
    datasets = tuple(_dataset(result, entry.name, verdicts[entry.name]) for entry in loaded.recipe.datasets)
    overall = verdicts.get(OVERALL)
    costs = costs_of(result.took, loaded.models)
    return Report(loaded.name, loaded.shown, headline(result), overall, datasets, costs, _provenance(result, finished_at))


def _dataset(result: RunResult, name: str, verdict: Verdict) -> DatasetReport:
    loaded = result.graph.loaded
    examples: Sequence[Example] = result.rows(f"examples:{name}")
    strategies = [entry.name for entry in loaded.recipe.strategies_for(name)]
    entry = next(entry for entry in loaded.recipe.datasets if entry.name == name)
    ranked = [item.strategy for item in verdict.ranking] or strategies
    own, chosen = f"own-outputs:{name}", f"choices:{name}"
    choices: Sequence[Choice] = result.rows(chosen) if chosen in result.graph.steps else []
    return DatasetReport(
        name=name,
        examples=len(examples),
        asked=entry.sample,
        verdict=verdict,
        strategies=tuple(_strategy(result, name, strategy) for strategy in ranked),
        audit=tuple(_audit(result, name, strategy, view) for strategy in ranked for view in _views(loaded)),
        own_outputs=_own_outputs(result.rows(own)) if own in result.graph.steps else None,
        samples=_samples(result, name, examples[:_SAMPLE_EXAMPLES], ranked),
        race=_race(result, name, len(examples), strategies),
        mixture=mix(choices, strategies, len(examples), verdict.scale) if chosen in result.graph.steps else None,
        choices=tuple(choices),
    )


def _race(result: RunResult, dataset: str, examples: int, strategies: Sequence[str]) -> RaceSummary | None:
    if f"race:{dataset}" not in result.graph.steps:
        return None
    laps: Sequence[Lap] = result.rows(f"race:{dataset}")
    scored = sum(reach_of(laps, strategy) for strategy in strategies)
    return RaceSummary(tuple(laps), scored, examples * len(strategies))


def _views(loaded: LoadedRecipe) -> list[str]:
    return list(dict.fromkeys(view.name for metric in loaded.metrics for view in metric.needs.views))


def _strategy(result: RunResult, dataset: str, strategy: str) -> StrategySummary:
    responses: Sequence[Response] = result.rows(f"responses:{dataset}/{strategy}")
    unusable: dict[str, int] = {}
    for response in responses:
        if response.problem:
            unusable[response.problem] = unusable.get(response.problem, 0) + 1
    judged = [response.correct for response in responses if response.correct is not None]
    return StrategySummary(
        strategy=strategy,
        source=_source(result.graph.loaded, strategy),
        responses=len(responses),
        unusable=unusable,
        truncated=sum(response.truncated for response in responses),
        judged=len(judged),
        correct=sum(judged),
        means=tuple(_mean(result, dataset, strategy, i) for i in range(len(result.graph.loaded.metrics))),
    )


def _source(loaded: LoadedRecipe, strategy: str) -> str:
    entry = next(entry for entry in loaded.recipe.strategies if entry.name == strategy)
    if isinstance(entry, ColumnStrategy):
        return f"column '{entry.column}'"
    if isinstance(entry, FileStrategy):
        return entry.path
    if isinstance(entry, PluginStrategy):
        return f"plug-in '{entry.plugin}'"
    return f"written by {entry.model}"


def _mean(result: RunResult, dataset: str, strategy: str, index: int) -> MetricMean:
    import numpy as np

    chosen = result.graph.loaded.metrics[index]
    scores: Sequence[Score] = result.rows(f"scores:{dataset}/{strategy}/{chosen.label}")
    having = [score for score in scores if score.value is not None]
    values = np.array([score.value for score in having], np.float64)
    weights = [1.0 if score.weight is None else score.weight for score in having]
    mean: float | None = None
    if having:
        log = chosen.metric.scale == "log"
        average = float(np.average(np.log(values) if log else values, weights=weights))
        mean = float(np.exp(average)) if log else average
    return MetricMean(chosen.label, chosen.metric.unit, chosen.direction, chosen.metric.control, mean, len(values))


def _audit(result: RunResult, dataset: str, strategy: str, view: str) -> AuditRow:
    table = result.frame(f"token-scores:{dataset}/{strategy}/{view}")
    scored = table.filter(table["problem"] == "")
    finite = int(scored["nll"].explode().is_finite().sum())
    prompt = float(scored["prompt_tokens"].mean()) if len(scored) else None  # type: ignore[arg-type]
    expected, over = int(table["response_tokens"].sum()), int((table["problem"] == OVER_CONTEXT).sum())
    return AuditRow(strategy, view, len(table), len(scored), expected, finite, over, prompt)


def _own_outputs(outputs: Sequence[OwnOutput]) -> OwnOutputSummary:
    judged = [output.correct for output in outputs if output.correct is not None]
    kept = sum(not output.problem for output in outputs)
    return OwnOutputSummary(len(outputs), kept, len(judged), sum(judged), sum(output.truncated for output in outputs))


def _samples(result: RunResult, dataset: str, examples: Sequence[Example], order: Sequence[str]) -> tuple[SampleExample, ...]:
    label = result.graph.loaded.recipe.selection_metric
    shown = {example.id for example in examples}
    responses = {s: {row.id: row for row in result.rows(f"responses:{dataset}/{s}") if row.id in shown} for s in order}
    scores = {s: {row.id: row for row in result.rows(f"scores:{dataset}/{s}/{label}") if row.id in shown} for s in order}
    return tuple(
        SampleExample(
            example.id,
            example.input,
            example.label,
            tuple(
                SampleResponse(s, responses[s][example.id].text, scores[s][example.id].value, scores[s][example.id].problem)
                for s in order
            ),
        )
        for example in examples
    )


def _provenance(result: RunResult, finished_at: str) -> Mapping[str, Any]:
    engines = {}
    for name in _ENGINES:
        try:
            engines[name] = version(name)
        except PackageNotFoundError:
            continue
    loaded = result.graph.loaded
    files = {step.name: step.fields["file"] for step in result.graph.steps.values() if isinstance(step.fields.get("file"), str)}
    return {
        "respsel": respsel.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": engines,
        "finished_at": finished_at,
        "target": loaded.recipe.target.model,
        "models": {name: {"identity": known.identity, **known.fields} for name, known in result.graph.models.items()},
        "files": files,
        "selection": loaded.recipe.selection.model_dump(),
        "run": {
            "steps_total": result.steps_total,
            "steps_run": result.steps_run,
            "calls_made": result.calls_made,
            "calls_reused": result.calls_reused,
            "models_opened": list(result.models_opened),
        },
    }
