"""Steps that ask no model: scores, mixes of scores, verdicts, choices for each example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from respsel.answers import check_fields
from respsel.data.rows import FileRow, has_column
from respsel.errors import InputError, Problem, suggest
from respsel.graph import names as step_names
from respsel.graph.context import GraphContext
from respsel.graph.step import Rows, Step
from respsel.metrics import reasoning_steps as steps
from respsel.metrics.contract import ChosenMetric
from respsel.metrics.registry import components
from respsel.recipe.schema import DatasetEntry, StrategyEntry
from respsel.records import Example
from respsel.scoring import evidence as measuring
from respsel.scoring.token_scores import NOT_REACHED
from respsel.selection import decide as selection
from respsel.selection.per_example import CHOICES, choose_responses
from respsel.selection.race_rule import dropped_in
from respsel.selection.verdict import VERDICTS
from respsel.tables.kinds import SCORES


class ScoreSteps:
    """Makes the steps from token scores to verdicts."""

    def __init__(self, of: GraphContext) -> None:
        self._of = of

    def scores(self, dataset: DatasetEntry, strategy: StrategyEntry, metric: ChosenMetric) -> Step:
        needs = metric.needs
        of = (dataset.name, strategy.name)
        check = dataset.check if needs.answer else None
        column, judge = (needs.reward.column, needs.reward.model) if needs.reward else (None, None)
        # By their places in measuring.Sources.
        inputs = {"responses": step_names.responses(*of)}
        if column:
            inputs["examples"] = step_names.examples(dataset.name)
        inputs |= {view.kind: step_names.token_scores(*of, view.name) for view in needs.views}
        if needs.own_outputs:
            inputs["own_outputs"] = step_names.own_outputs(dataset.name)
        if needs.hidden:
            inputs |= {
                "vectors": step_names.representations(*of),
                "own_vectors": step_names.representations(dataset.name),
            }
        if judge:
            inputs["rewards"] = step_names.rewards(*of, metric.label)
        fields = {**metric.fields, **({"answer": check_fields(check)} if check else {})}
        if needs.steps:
            fields["steps"] = steps.VERSION
        if column and "{strategy}" in column:
            fields["strategy"] = strategy.name

        shown = self._of.loaded.show(dataset.path)

        def make(rows: Sequence[Rows]) -> Rows:
            given = dict(zip(inputs, rows, strict=True))
            if column:
                _check_column(
                    column.replace("{strategy}", strategy.name),
                    given["examples"],
                    shown,
                    metric.label,
                )
            views = {str(view.kind): given.pop(view.kind) for view in needs.views}
            return list(
                measuring.measure(
                    metric, measuring.Sources(views=views, **given), check, strategy.name
                )
            )

        return Step(
            step_names.scores(*of, metric.label),
            "scores",
            fields,
            tuple(inputs.values()),
            SCORES,
            make,
        )

    def mixes(self, dataset: DatasetEntry, strategy: StrategyEntry, metric: ChosenMetric) -> Step:
        """Scores that weigh two metrics by their spreads, so they need those of all strategies."""
        strategies = self._of.recipe.strategies_for(dataset.name)
        parts = [part.label for part in components(metric)]
        inputs = tuple(
            step_names.scores(dataset.name, other.name, label)
            for label in parts
            for other in strategies
        )
        which = strategies.index(strategy)
        count = len(strategies)
        weight = float(getattr(metric.parameters, "weight", 0.5))
        fields = {**metric.fields, "which": which}
        make = lambda rows: measuring.mix(weight, rows[:count], rows[count:], which)
        return Step(
            step_names.scores(dataset.name, strategy.name, metric.label),
            "mixes",
            fields,
            inputs,
            SCORES,
            make,
        )

    def verdict(self, name: str, over: Sequence[str]) -> Step:
        by_dataset = [
            (dataset, [strategy.name for strategy in self._of.recipe.strategies_for(dataset)])
            for dataset in over
        ]
        rule = self._of.rule
        pairs = [
            (dataset, strategy) for dataset, strategies in by_dataset for strategy in strategies
        ]

        def make(rows: Sequence[Rows]) -> Rows:
            strata: dict[str, dict[str, dict[str, float | None]]] = {
                dataset: {} for dataset, _ in by_dataset
            }
            weights: dict[str, dict[str, dict[str, float | None]]] = {
                dataset: {} for dataset, _ in by_dataset
            }
            for (dataset, strategy), scores in zip(pairs, rows, strict=False):
                reached = [score for score in scores if score.problem != NOT_REACHED]
                strata[dataset][strategy] = {score.id: score.value for score in reached}
                weights[dataset][strategy] = {score.id: score.weight for score in reached}
            weighted = list(weights.values()) if selection.is_weighed(weights.values()) else None
            dropped = [dropped_in(laps) for laps in rows[len(pairs) :]]
            return [selection.decide(name, list(strata.values()), rule, weighted, dropped)]

        fields = {
            "rule": asdict(rule),
            "dataset": name,
            "strategies": [[d, list(s)] for d, s in by_dataset],
        }
        inputs = [step_names.scores(dataset, strategy, rule.metric) for dataset, strategy in pairs]
        inputs += [step_names.race(dataset) for dataset, _ in by_dataset if self._of.races]
        return Step(step_names.verdict(name), "verdict", fields, tuple(inputs), VERDICTS, make)

    def choices(self, dataset: DatasetEntry, names: Sequence[str]) -> Step:
        rule = self._of.rule

        def make(rows: Sequence[Rows]) -> Rows:
            values = {
                name: {s.id: s.value for s in scores}
                for name, scores in zip(names, rows, strict=True)
            }
            return choose_responses(values, rule)

        fields = {"direction": rule.direction, "strategies": list(names)}
        inputs = tuple(step_names.scores(dataset.name, name, rule.metric) for name in names)
        return Step(step_names.choices(dataset.name), "choices", fields, inputs, CHOICES, make)


def _check_column(name: str, examples: Sequence[Example], shown: str, label: str) -> None:
    """Raise InputError if no example has the column of a metric's rewards."""
    if examples and not has_column(
        [FileRow(example.id, example.columns) for example in examples], name
    ):
        known = {column: None for example in examples for column in example.columns}
        raise InputError(
            Problem(shown, label, f"no row has the column '{name}'", suggest(name, known))
        )
