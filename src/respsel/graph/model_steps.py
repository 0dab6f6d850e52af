"""Steps that ask a model about texts: races, token scores, hidden states, rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from respsel.calls.requests import FAILED, NOT_FINITE
from respsel.graph import names as step_names
from respsel.graph.context import PROMPTS, SCORED, GraphContext
from respsel.graph.step import Rows, Step
from respsel.metrics import reasoning_steps as steps
from respsel.metrics.contract import ChosenMetric, RewardSource, View
from respsel.recipe.schema import DatasetEntry, StrategyEntry
from respsel.records import Response, Score, ScoredResponse
from respsel.scoring import evidence as measuring
from respsel.scoring import token_scores
from respsel.scoring.race import run_race
from respsel.scoring.token_scores import score_responses
from respsel.selection.race_rule import LAPS, reach_of
from respsel.strategies.base import Operation, Place
from respsel.strategies.own_outputs import kept_by_example, neighbours
from respsel.tables.kinds import REPRESENTATIONS, SCORES, TOKEN_SCORES


class ModelSteps:
    """Makes the steps that ask about texts."""

    def __init__(self, of: GraphContext) -> None:
        self._of = of

    def token_scores(self, dataset: DatasetEntry, strategy: StrategyEntry, view: View) -> Step:
        inputs = [
            step_names.examples(dataset.name),
            step_names.responses(dataset.name, strategy.name),
        ]
        if view.k:
            inputs.append(step_names.own_outputs(dataset.name))

        known = len(inputs)

        def make(rows: Sequence[Rows]) -> Operation:
            shown_with = (
                neighbours(rows[0], kept_by_example(rows[2]), view.k, self._of.loaded.shown)
                if view.k
                else {}
            )
            # Without the race's laps (before it is run) it is about all responses.
            reached = reach_of(rows[known], strategy.name) if len(rows) > known else None
            return self._score(view, shown_with, strategy.name, rows[0], rows[1], reached)

        fields = self._view_fields(view)
        calls = (1, 1)
        if self._of.races:
            inputs.append(step_names.race(dataset.name))
            fields["raced_as"] = strategy.name
            # The race has asked for all that this needs.
            calls = (0, 0) if view == self._of.raced_view else calls
        name = step_names.token_scores(dataset.name, strategy.name, view.name)
        return Step(
            name,
            "token-scores",
            fields,
            tuple(inputs),
            TOKEN_SCORES,
            make,
            calls,
            (NOT_FINITE, FAILED),
        )

    def _score(
        self,
        view: View,
        shown_with: Mapping[str, list[str]],
        strategy: str,
        examples: Rows,
        responses: Rows,
        reached: int | None = None,
    ) -> Operation:
        about = f"{strategy}, {view.name}"
        too_long = self._of.recipe.target.if_too_long
        return score_responses(
            self._of.target, view, examples, responses, shown_with, about, too_long, reached
        )

    def _view_fields(self, view: View) -> dict[str, Any]:
        fields = {"model": self._of.target_fields, "view": view.fields, **SCORED}
        if view.kind == "local":
            fields["steps"] = steps.VERSION
        if self._of.recipe.target.if_too_long == "drop":
            # The context is in this key alone: elsewhere it changes no answer, only whether there
            # is one.
            fields["context_tokens"] = self._of.loaded.models[self._of.target].entry.context_tokens
        return fields

    def race(self, dataset: DatasetEntry, strategies: Sequence[StrategyEntry]) -> Step:
        names = [strategy.name for strategy in strategies]
        metric = self._of.selected
        view = self._of.raced_view
        inputs = [
            step_names.examples(dataset.name),
            *(step_names.responses(dataset.name, name) for name in names),
        ]
        if view.k:
            inputs.append(step_names.own_outputs(dataset.name))

        def weigh(some: Sequence[Response], scored: Sequence[ScoredResponse]) -> list[Score]:
            return list(
                measuring.measure(
                    metric, measuring.Sources(some, views={view.kind: scored}), None, ""
                )
            )

        def make(rows: Sequence[Rows]) -> Operation:
            shown_with = (
                neighbours(
                    rows[0], kept_by_example(rows[len(names) + 1]), view.k, self._of.loaded.shown
                )
                if view.k
                else {}
            )
            responses = dict(zip(names, rows[1:], strict=False))
            return run_race(
                rows[0], responses, self._of.rule, partial(self._score, view, shown_with), weigh
            )

        fields = {**self._view_fields(view), **metric.fields, "strategies": names}
        if metric.direction != metric.metric.direction:
            # It changes no score, so it is in no field of the metric's; but who is dropped goes by
            # it.
            fields["direction"] = metric.direction
        # How many calls it makes is known when it is over; at most one for each response.
        calls = (0, len(names))
        return Step(
            step_names.race(dataset.name),
            "race",
            fields,
            tuple(inputs),
            LAPS,
            make,
            calls,
            (NOT_FINITE, FAILED),
        )

    def representations(self, dataset: DatasetEntry, strategy: StrategyEntry | None) -> Step:
        """Hidden states of a strategy's responses, or of the own outputs."""
        texts = (
            step_names.responses(dataset.name, strategy.name)
            if strategy
            else step_names.own_outputs(dataset.name)
        )
        name = step_names.representations(dataset.name, strategy.name if strategy else "")
        about = f"{strategy.name if strategy else 'own_outputs'}, hidden states"
        fields = {"model": self._of.target_fields, **SCORED}
        calls = (
            1
            if strategy or self._of.recipe.own_outputs.path
            else self._of.recipe.own_outputs.samples
        )

        def make(rows: Sequence[Rows]) -> Operation:
            return token_scores.represent_texts(self._of.target, rows[0], rows[1], about)

        inputs = (step_names.examples(dataset.name), texts)
        return Step(
            name,
            "representations",
            fields,
            inputs,
            REPRESENTATIONS,
            make,
            (calls, calls),
            (NOT_FINITE, FAILED),
        )

    def rewards(
        self,
        dataset: DatasetEntry,
        strategy: StrategyEntry,
        metric: ChosenMetric,
        source: RewardSource,
    ) -> Step:
        place = Place(self._of.loaded.shown, f"metrics ({metric.label}).prompt")
        judged_by = self._of.models[str(source.model)].fields
        fields = {
            "model": judged_by,
            "prompt": source.prompt,
            "max_tokens": source.max_tokens,
            **PROMPTS,
        }
        name = step_names.rewards(dataset.name, strategy.name, metric.label)
        inputs = (
            step_names.examples(dataset.name),
            step_names.responses(dataset.name, strategy.name),
        )
        make = lambda rows: measuring.judge(source, rows[0], rows[1], place)
        return Step(
            name, "rewards", fields, inputs, SCORES, make, (1, 1), (measuring.SILENT, FAILED)
        )
