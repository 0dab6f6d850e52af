"""Steps that ask no model: scores, mixes of scores, verdicts, choices for each example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from respsel import metrics
from respsel.answers import check_fields
from respsel.data.rows import FileRow, has_column
from respsel.errors import InputError, Problem, suggest
from respsel.graph import names as step_names
from respsel.graph import roles
from respsel.graph.context import GraphContext
from respsel.graph.step import Inputs, Rows, Step
from respsel.metrics import reasoning_steps
from respsel.metrics.contract import ChosenMetric
from respsel.metrics.registry import components
from respsel.recipe.judge import JUDGE
from respsel.recipe.schema import DatasetEntry, StrategyEntry
from respsel.records import Example
from respsel.selection import decide as selection
from respsel.selection import per_example
from respsel.selection.race_rule import dropped_in
from respsel.selection.standing import Standing, barred_in
from respsel.selection.verdict import VERDICTS
from respsel.tables.kinds import SCORES
from respsel.tables.problems import is_reached

if TYPE_CHECKING:
    from respsel.scoring.evidence import Sources


class ScoreSteps:
    """Makes the steps from token scores to verdicts."""

    def __init__(self, of: GraphContext) -> None:
        self._of = of

    def _strategies(self, dataset: str) -> list[str]:
        return [strategy.name for strategy in self._of.recipe.strategies_for(dataset)]

    def scores(
        self,
        dataset: DatasetEntry,
        strategy: StrategyEntry,
        metric: ChosenMetric,
        raced: bool = True,
    ) -> Step:
        """raced: see ModelSteps.token_scores."""
        named = step_names.unraced if self._of.races and not raced else str
        check = dataset.check if metric.needs.answer else None
        column = metric.needs.reward.column if metric.needs.reward else None
        fields = {**metric.fields, **({"answer": check_fields(check)} if check else {})}
        if metric.needs.steps:
            fields["steps"] = reasoning_steps.VERSION
        if column and "{strategy}" in column:
            fields["strategy"] = strategy.name
        shown = self._of.loaded.show(dataset.path)

        def make(tables: Inputs) -> Rows:
            sources = _sources(metric, tables)
            if column:
                name = column.replace("{strategy}", strategy.name)
                _check_column(name, sources.examples, shown, metric.label)
            # Late here and below: a cached run makes no scores.
            from respsel.scoring.evidence import measure

            return list(measure(metric, sources, check, strategy.name))

        return Step(
            name=step_names.scores(dataset.name, strategy.name, named(metric.label)),
            op="scores",
            version=metrics.VERSION,
            fields=fields,
            inputs=_evidence_for(metric, dataset.name, strategy.name, named),
            table=SCORES,
            make=make,
        )

    def mixes(self, dataset: DatasetEntry, strategy: StrategyEntry, metric: ChosenMetric) -> Step:
        """Scores that weigh two metrics by their spreads, so they need those of all strategies."""
        names = self._strategies(dataset.name)
        which = names.index(strategy.name)
        alignment, perplexity = (part.label for part in components(metric))
        weight = float(getattr(metric.parameters, "weight", 0.5))

        def make(tables: Inputs) -> Rows:
            alignments = [tables[roles.scores_of(name, alignment)] for name in names]
            perplexities = [tables[roles.scores_of(name, perplexity)] for name in names]
            from respsel.scoring.evidence import mix

            return mix(weight, alignments, perplexities, which)

        return Step(
            name=step_names.scores(dataset.name, strategy.name, metric.label),
            op="mixes",
            version=metrics.VERSION,
            fields={**metric.fields, "which": which},
            inputs={
                roles.scores_of(name, label): step_names.scores(dataset.name, name, label)
                for label in (alignment, perplexity)
                for name in names
            },
            table=SCORES,
            make=make,
        )

    def verdict(self, name: str, over: Sequence[str]) -> Step:
        by_dataset = {dataset: self._strategies(dataset) for dataset in over}
        rule = self._of.rule

        def make(tables: Inputs) -> Rows:
            barred = _barred({dataset: tables[roles.standings_of(dataset)] for dataset in over})
            strata, weights = _strata(by_dataset, tables)
            laps = [tables[role] for role in map(roles.race_of, over) if role in tables]
            dropped = list(map(dropped_in, laps))
            return [selection.decide(name, strata, rule, weights, dropped, barred)]

        return Step(
            name=step_names.verdict(name),
            op="verdict",
            version=selection.VERSION,
            fields={
                "rule": asdict(rule),
                "dataset": name,
                "strategies": [[dataset, names] for dataset, names in by_dataset.items()],
            },
            inputs=self._verdict_inputs(by_dataset),
            table=VERDICTS,
            make=make,
        )

    def _verdict_inputs(self, by_dataset: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
        """By role, what a verdict over datasets reads. by_dataset: their strategies."""
        metric = self._of.rule.metric
        inputs = {
            roles.scores_of(strategy, dataset): step_names.scores(dataset, strategy, metric)
            for dataset, strategies in by_dataset.items()
            for strategy in strategies
        }
        inputs |= {roles.standings_of(dataset): step_names.gates(dataset) for dataset in by_dataset}
        if self._of.races:
            inputs |= {roles.race_of(dataset): step_names.race(dataset) for dataset in by_dataset}
        return inputs

    def choices(self, dataset: DatasetEntry, names: Sequence[str]) -> Step:
        rule = self._of.rule

        def make(tables: Inputs) -> Rows:
            barred = barred_in(tables[roles.STANDINGS])
            values = {
                name: {score.id: score.value for score in tables[roles.scores_of(name)]}
                for name in names
                if name not in barred
            }
            return per_example.choose_responses(values, rule)

        return Step(
            name=step_names.choices(dataset.name),
            op="choices",
            version=per_example.VERSION,
            fields={"direction": rule.direction, "strategies": list(names)},
            inputs={
                roles.STANDINGS: step_names.gates(dataset.name),
                **{
                    roles.scores_of(name): step_names.scores(dataset.name, name, rule.metric)
                    for name in names
                },
            },
            table=per_example.CHOICES,
            make=make,
        )


def _evidence_for(
    metric: ChosenMetric, dataset: str, strategy: str, named: Callable[[str], str]
) -> Mapping[str, str]:
    """By role, the steps whose outputs a metric reads about one strategy.

    named: what a view is called in the names of these steps.
    """
    needs = metric.needs
    inputs = {roles.RESPONSES: step_names.responses(dataset, strategy)}
    if needs.reward and needs.reward.column:
        inputs[roles.EXAMPLES] = step_names.examples(dataset)
    for view in needs.views:
        name = step_names.token_scores(dataset, strategy, named(view.name))
        inputs[roles.token_scores_in(view.kind)] = name
    if needs.own_outputs:
        inputs[roles.OWN_OUTPUTS] = step_names.own_outputs(dataset)
    if needs.hidden:
        inputs[roles.VECTORS] = step_names.representations(dataset, strategy)
        inputs[roles.OWN_VECTORS] = step_names.representations(dataset)
    if needs.reward and needs.reward.model:
        inputs[roles.REWARDS] = step_names.rewards(dataset, strategy, metric.label)
    if needs.reward and needs.reward.is_judges:
        inputs[roles.REWARDS] = step_names.rewards(dataset, strategy, JUDGE)
    return inputs


def _sources(metric: ChosenMetric, tables: Inputs) -> Sources:
    """The tables of `_evidence_for`."""
    from respsel.scoring.evidence import Sources

    return Sources(
        responses=tables[roles.RESPONSES],
        examples=tables.get(roles.EXAMPLES, ()),
        views={view.kind: tables[roles.token_scores_in(view.kind)] for view in metric.needs.views},
        own_outputs=tables.get(roles.OWN_OUTPUTS, ()),
        vectors=tables.get(roles.VECTORS, ()),
        own_vectors=tables.get(roles.OWN_VECTORS, ()),
        rewards=tables.get(roles.REWARDS, ()),
    )


def _barred(standings: Mapping[str, Sequence[Standing]]) -> Mapping[str, str]:
    """By strategy that is barred in a dataset, why; of several datasets, in which.

    standings: by dataset.
    """
    barred: dict[str, str] = {}
    for dataset, rows in standings.items():
        for name, why in barred_in(rows).items():
            told = f"in {dataset}, {why}" if len(standings) > 1 else why
            barred[name] = f"{barred[name]}; {told}" if name in barred else told
    return barred


def _strata(
    by_dataset: Mapping[str, Sequence[str]], tables: Inputs
) -> tuple[list[selection.Scores], list[selection.Scores] | None]:
    """By dataset, the scores of the strategies, and their weights if the metric has any."""
    strata: list[selection.Scores] = []
    weights: list[selection.Scores] = []
    for dataset, strategies in by_dataset.items():
        reached = {
            strategy: _reached(tables[roles.scores_of(strategy, dataset)])
            for strategy in strategies
        }
        strata.append(_values(reached))
        weights.append(_weights(reached))
    return strata, weights if selection.is_weighed(weights) else None


def _reached(scores: Rows) -> Rows:
    """Without the scores that a race did not come to."""
    return [score for score in scores if is_reached(score.problem)]


def _values(tables: Mapping[str, Rows]) -> selection.Scores:
    return {name: {score.id: score.value for score in rows} for name, rows in tables.items()}


def _weights(tables: Mapping[str, Rows]) -> selection.Scores:
    return {name: {score.id: score.weight for score in rows} for name, rows in tables.items()}


def _check_column(name: str, examples: Sequence[Example], shown: str, label: str) -> None:
    """Raise InputError if no example has the column of a metric's rewards."""
    if examples and not has_column(
        [FileRow(example.id, example.columns) for example in examples], name
    ):
        known = {column: None for example in examples for column in example.columns}
        raise InputError(
            Problem(shown, label, f"no row has the column '{name}'", suggest(name, known))
        )
