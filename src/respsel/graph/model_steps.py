"""Steps that ask a model about texts: races, token scores, hidden states, judgements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from respsel.calls import keys
from respsel.graph import names as step_names
from respsel.graph import roles
from respsel.graph.context import PROMPTS, SCORED, GraphContext
from respsel.graph.step import Inputs, Rows, Step
from respsel.metrics import reasoning_steps
from respsel.metrics.contract import ChosenMetric, RewardSource, View
from respsel.recipe.judge import JUDGE, JudgeEntry
from respsel.recipe.schema import DatasetEntry, StrategyEntry
from respsel.records import Response, Score, ScoredResponse
from respsel.scoring import (
    held_out,
    judge,
    judge_answers,
    judge_prompt,
    judging,
    token_scores,
)
from respsel.scoring.race import run_race
from respsel.scoring.trained_turns import IN_CHAT, Shown
from respsel.selection import race_rule
from respsel.selection.standing import barred_in
from respsel.strategies.base import Operation
from respsel.strategies.own_outputs import kept_by_example, neighbours
from respsel.tables.kinds import PREFERENCES, REPRESENTATIONS, SCORES, TOKEN_SCORES
from respsel.tables.problems import JUDGING_FAILURES, SCORING_FAILURES


class ModelSteps:
    """Makes the steps that ask about texts."""

    def __init__(self, of: GraphContext) -> None:
        self._of = of

    def token_scores(
        self, dataset: DatasetEntry, strategy: StrategyEntry, view: View, raced: bool = True
    ) -> Step:
        """raced: as far as the race came, where there is one; else of all responses."""
        name = view.name if raced or not self._of.races else step_names.unraced(view.name)
        inputs = {
            roles.EXAMPLES: step_names.examples(dataset.name),
            roles.RESPONSES: step_names.responses(dataset.name, strategy.name),
            **self._shown_for(dataset, view),
        }
        fields = self._view_fields(dataset, view)
        calls = (view.references or 1, view.references or 1)
        if raced and self._of.races:
            inputs[roles.RACE] = step_names.race(dataset.name)
            fields["raced_as"] = strategy.name
            # The race has asked for all that this needs.
            calls = (0, 0) if view == self._of.raced_view else calls

        def make(tables: Inputs) -> Operation:
            examples = tables[roles.EXAMPLES]
            responses = tables[roles.RESPONSES]
            shown_with = self._shown_with(view, examples, responses, tables)
            score = partial(self._score, dataset, view, shown_with, strategy.name)
            return score(examples, responses, _reached(tables, strategy.name))

        return Step(
            name=step_names.token_scores(dataset.name, strategy.name, name),
            op="token-scores",
            version=token_scores.VERSION,
            fields=fields,
            inputs=inputs,
            table=TOKEN_SCORES,
            make=make,
            calls_per_example=calls,
            failures=SCORING_FAILURES,
            asks_each_turn="turns" in fields,
            news={4: token_scores.SQUARES},
        )

    def _shown_for(self, dataset: DatasetEntry, view: View) -> Mapping[str, str]:
        """The input of a view that shows own outputs or held-out examples; none for another."""
        if view.is_held_out:
            return {roles.VALIDATION: step_names.validation(dataset.name)}
        return {roles.OWN_OUTPUTS: step_names.own_outputs(dataset.name)} if view.k else {}

    def _shown_with(self, view: View, examples: Rows, responses: Rows, tables: Inputs) -> Shown:
        """By example, what a view shows it with."""
        shown = self._of.loaded.shown
        if view.is_held_out:
            rows = tables[roles.VALIDATION]
            if view.is_of_response:
                return held_out.shown_before(view, examples, rows, shown)
            return held_out.tries(view, examples, responses, rows, shown)
        if not view.k:
            return {}
        kept = kept_by_example(tables[roles.OWN_OUTPUTS])
        return neighbours(examples, kept, view.k, shown)

    def _score(
        self,
        dataset: DatasetEntry,
        view: View,
        shown_with: Shown,
        strategy: str,
        examples: Rows,
        responses: Rows,
        reached: int | None = None,
    ) -> Operation:
        return token_scores.score_responses(
            self._of.target,
            view,
            examples,
            responses,
            shown_with,
            about=f"{strategy}, {view.name}",
            if_too_long=self._of.recipe.target.if_too_long,
            reached=reached,
            in_turns=self._of.recipe.scores_turns(dataset),
        )

    def _view_fields(self, dataset: DatasetEntry, view: View) -> dict[str, Any]:
        fields = {"model": self._of.target_fields, "view": view.fields, **SCORED}
        if self._of.recipe.scores_turns(dataset) and view.kind in IN_CHAT:
            fields["turns"] = keys.TURNS_VERSION
        if view.kind == "local":
            fields["steps"] = reasoning_steps.VERSION
        if view.is_held_out:
            fields["held_out"] = held_out.VERSION
        if self._of.recipe.target.if_too_long == "drop":
            # The context is in this key alone: elsewhere it changes no answer, only whether there
            # is one.
            fields["context_tokens"] = self._of.loaded.models[self._of.target].entry.context_tokens
        return fields

    def race(self, dataset: DatasetEntry, strategies: Sequence[StrategyEntry]) -> Step:
        names = [strategy.name for strategy in strategies]
        view = self._of.raced_view
        responses_by_role = {
            roles.responses_of(name): step_names.responses(dataset.name, name) for name in names
        }

        def make(tables: Inputs) -> Operation:
            examples = tables[roles.EXAMPLES]
            # What a race scores are responses, so it shows them with no responses.
            shown_with = self._shown_with(view, examples, (), tables)
            score = partial(self._score, dataset, view, shown_with)
            responses = {name: tables[roles.responses_of(name)] for name in names}
            barred = barred_in(tables[roles.STANDINGS])
            return run_race(examples, responses, self._of.rule, score, self._raced_scores, barred)

        return Step(
            name=step_names.race(dataset.name),
            op="race",
            version=race_rule.VERSION,
            fields=self._race_fields(dataset, names),
            inputs={
                roles.EXAMPLES: step_names.examples(dataset.name),
                roles.STANDINGS: step_names.gates(dataset.name),
                **responses_by_role,
                **self._shown_for(dataset, view),
            },
            table=race_rule.LAPS,
            make=make,
            # How many calls it makes is known when it is over; at most one for each response.
            calls_per_example=(0, len(names)),
            failures=SCORING_FAILURES,
            asks_each_turn=self._of.recipe.scores_turns(dataset),
            news={3: token_scores.SQUARES},
        )

    def _race_fields(self, dataset: DatasetEntry, names: Sequence[str]) -> Mapping[str, Any]:
        metric = self._of.selected
        fields = {
            **self._view_fields(dataset, self._of.raced_view),
            **metric.fields,
            "strategies": list(names),
        }
        if metric.direction != metric.metric.direction:
            # The direction changes no score, so it is in no field of the metric. But it decides
            # who is dropped.
            fields["direction"] = metric.direction
        return fields

    def _raced_scores(
        self, responses: Sequence[Response], scored: Sequence[ScoredResponse]
    ) -> list[Score]:
        """The selection metric's scores of some responses; it reads the raced view alone."""
        # Late: a cached run has no race to run.
        from respsel.scoring.evidence import Sources, measure

        sources = Sources(responses, views={self._of.raced_view.kind: scored})
        return list(measure(self._of.selected, sources, check=None, strategy=""))

    def representations(self, dataset: DatasetEntry, strategy: StrategyEntry | None) -> Step:
        """Hidden states of a strategy's responses, or of the own outputs."""
        own = self._of.recipe.own_outputs
        if strategy is None:
            role = roles.OWN_OUTPUTS
            texts = step_names.own_outputs(dataset.name)
            name = step_names.representations(dataset.name)
            about = "own_outputs, hidden states"
            calls = 1 if own.path else own.samples
        else:
            role = roles.RESPONSES
            texts = step_names.responses(dataset.name, strategy.name)
            name = step_names.representations(dataset.name, strategy.name)
            about = f"{strategy.name}, hidden states"
            calls = 1

        def make(tables: Inputs) -> Operation:
            return token_scores.represent_texts(
                self._of.target, tables[roles.EXAMPLES], tables[role], about
            )

        return Step(
            name=name,
            op="representations",
            version=token_scores.REPRESENTING_VERSION,
            fields={"model": self._of.target_fields, **SCORED},
            inputs={roles.EXAMPLES: step_names.examples(dataset.name), role: texts},
            table=REPRESENTATIONS,
            make=make,
            calls_per_example=(calls, calls),
            failures=SCORING_FAILURES,
        )

    def rewards(
        self,
        dataset: DatasetEntry,
        strategy: StrategyEntry,
        metric: ChosenMetric,
        source: RewardSource,
    ) -> Step:
        labels = [chosen.label for chosen in self._of.loaded.metrics]
        place = self._of.loaded.at("metrics", labels.index(metric.label), "prompt")
        fields = {
            "model": self._of.models[str(source.model)].fields,
            "prompt": source.prompt,
            "max_tokens": source.max_tokens,
            **PROMPTS,
        }

        def make(tables: Inputs) -> Operation:
            examples = tables[roles.EXAMPLES]
            return judge.judge(source, examples, tables[roles.RESPONSES], place)

        name = step_names.rewards(dataset.name, strategy.name, metric.label)
        return _rewards(name, dataset, strategy, fields, make)

    def judgements(self, dataset: DatasetEntry, strategy: StrategyEntry, entry: JudgeEntry) -> Step:
        """The recipe's judge's rewards for a strategy's responses."""
        place = self._of.loaded.at(JUDGE)
        fields = {
            **self._judge_fields(entry),
            "scale": list(entry.scale),
            "examples": [example.model_dump() for example in entry.examples],
        }

        def make(tables: Inputs) -> Operation:
            examples = tables[roles.EXAMPLES]
            return judging.score_responses(entry, examples, tables[roles.RESPONSES], place)

        name = step_names.rewards(dataset.name, strategy.name, JUDGE)
        return _rewards(name, dataset, strategy, fields, make)

    def preferences(
        self, dataset: DatasetEntry, strategy: StrategyEntry, other: str, entry: JudgeEntry
    ) -> Step:
        """The recipe's judge's comparisons of a strategy's responses with those of another one."""
        place = self._of.loaded.at(JUDGE)
        one = roles.responses_of(strategy.name)
        against = roles.responses_of(other)

        def make(tables: Inputs) -> Operation:
            examples = tables[roles.EXAMPLES]
            return judging.compare_responses(entry, examples, tables[one], tables[against], place)

        return Step(
            name=step_names.preferences(dataset.name, strategy.name, other),
            op="preferences",
            version=judge.VERSION,
            fields=self._judge_fields(entry),
            inputs={
                roles.EXAMPLES: step_names.examples(dataset.name),
                one: step_names.responses(dataset.name, strategy.name),
                against: step_names.responses(dataset.name, other),
            },
            table=PREFERENCES,
            make=make,
            calls_per_example=(2, 2),
            failures=JUDGING_FAILURES,
        )

    def _judge_fields(self, entry: JudgeEntry) -> dict[str, Any]:
        """What of the judge is in the keys of scores and comparisons alike."""
        return {
            "model": self._of.models[entry.model].fields,
            "rubric": entry.rubric,
            "reference": entry.reference,
            "max_tokens": entry.max_tokens,
            "asking": judge_prompt.VERSION,
            "reading": judge_answers.VERSION,
            **PROMPTS,
        }


def _reached(tables: Inputs, strategy: str) -> int | None:
    """How many examples a race came to; None without its laps, which is about all responses."""
    laps = tables.get(roles.RACE)
    return None if laps is None else race_rule.reach_of(laps, strategy)


def _rewards(
    name: str,
    dataset: DatasetEntry,
    strategy: StrategyEntry,
    fields: Mapping[str, Any],
    make: Callable[[Inputs], Operation],
) -> Step:
    """A step that asks a model for a reward of each response of a strategy."""
    return Step(
        name=name,
        op="rewards",
        version=judge.VERSION,
        fields=fields,
        inputs={
            roles.EXAMPLES: step_names.examples(dataset.name),
            roles.RESPONSES: step_names.responses(dataset.name, strategy.name),
        },
        table=SCORES,
        make=make,
        calls_per_example=(1, 1),
        failures=JUDGING_FAILURES,
    )
