"""What one column came to: its verdicts, and the scores that columns are paired by.

Reads a result once, while its study is open. Knows nothing of other columns. Invariant: an outcome
outlives its study, so no table is read later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from respsel.graph import names as step_names
from respsel.hashing import canonical_json, digest
from respsel.recipe.schema import OVERALL
from respsel.run.result import RunResult
from respsel.selection.rule import Rule
from respsel.selection.statistics import Value
from respsel.selection.verdict import Verdict
from respsel.tables.problems import is_reached


@dataclass(frozen=True)
class Scores:
    """A strategy's scores of one dataset by the metric that decides.

    output: the digest of their table.
    values: by example.
    weights: by example, where the metric is a ratio of means.
    """

    output: str
    values: Mapping[str, Value]
    weights: Mapping[str, Value]


@dataclass(frozen=True)
class Outcome:
    """What a column came to.

    label: the column's.
    typed: the recipe with its options, as a shell takes it.
    target: the name of the target.
    metric: the metric that decides.
    page: its report.
    verdicts: by dataset, and over all of several.
    rule: how its verdicts are reached.
    basis: by dataset, a digest of what makes scores comparable: target, examples and metric.
    scores: by dataset and strategy.
    calls_made, calls_reused: of its run.
    is_fake: whether the target is no model, but the fake backend.
    """

    label: str
    typed: str
    target: str
    metric: str
    page: Path
    verdicts: Mapping[str, Verdict]
    rule: Rule
    basis: Mapping[str, str]
    scores: Mapping[tuple[str, str], Scores]
    calls_made: int
    calls_reused: int
    is_fake: bool

    @property
    def deciding(self) -> Verdict:
        """The verdict that its choice rests on."""
        return self.verdicts.get(OVERALL) or next(iter(self.verdicts.values()))

    @property
    def fewest(self) -> int:
        """Over how many examples of a dataset strategies are compared, at the least."""
        return min(self.verdicts[name].examples for name in self.datasets)

    @property
    def datasets(self) -> list[str]:
        """The datasets, without the whole of them."""
        return [name for name in self.verdicts if name != OVERALL]


@dataclass(frozen=True)
class Failure:
    """A column that came to nothing.

    label: the column's.
    why: its problems.
    """

    label: str
    why: tuple[str, ...]


def outcome_of(label: str, result: RunResult) -> Outcome:
    """What a result says of its column."""
    loaded = result.graph.loaded
    recipe = loaded.recipe
    deciding = next(step for step in result.graph.steps.values() if step.op == "verdict")
    return Outcome(
        label=label,
        typed=loaded.typed,
        target=recipe.target.model,
        metric=recipe.selection_metric,
        page=result.page,
        verdicts={verdict.dataset: verdict for verdict in result.verdicts},
        rule=Rule(**deciding.fields["rule"]),
        basis={entry.name: _basis(result, entry.name) for entry in recipe.datasets},
        scores={pair: _scores(result, *pair) for pair in recipe.compared()},
        calls_made=result.calls_made,
        calls_reused=result.calls_reused,
        is_fake=loaded.models[recipe.target.model].entry.backend == "fake",
    )


def _basis(result: RunResult, dataset: str) -> str:
    loaded = result.graph.loaded
    target = result.graph.models.get(loaded.recipe.target.model)
    metric = loaded.selected_metric
    about = [
        result.outputs[step_names.examples(dataset)],
        # A metric without a model needs no weights.
        loaded.recipe.target.model if target is None else dict(target.fields),
        dict(metric.fields),
        metric.direction,
        metric.metric.scale,
    ]
    return digest("comparable", canonical_json(about))


def _scores(result: RunResult, dataset: str, strategy: str) -> Scores:
    name = step_names.scores(dataset, strategy, result.graph.loaded.recipe.selection_metric)
    rows = [row for row in result.rows(name) if is_reached(row.problem)]
    return Scores(
        result.outputs[name],
        {row.id: row.value for row in rows},
        {row.id: row.weight for row in rows},
    )
