"""The steps of all strategies' responses, also of those that take from other strategies.

Knows nothing of verdicts or races. Invariants: a strategy's level is above that of what it takes
from. What a `first` needs of a member that is nothing else is asked only where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from respsel import strategies
from respsel.graph import names as step_names
from respsel.graph import roles
from respsel.graph.context import GraphContext
from respsel.graph.model_steps import ModelSteps
from respsel.graph.score_steps import ScoreSteps
from respsel.graph.step import Inputs, Rows, Step
from respsel.graph.text_steps import TextSteps
from respsel.metrics.contract import ChosenMetric
from respsel.recipe.judge import JUDGE
from respsel.recipe.schema import (
    BestStrategy,
    CompositeStrategy,
    DatasetEntry,
    FirstStrategy,
    ModelStrategy,
    StrategyEntry,
)
from respsel.strategies import passing
from respsel.strategies.base import settled
from respsel.tables.kinds import RESPONSES

_REMEDY = "Add a member that is right, or set if_wrong to 'keep' or 'drop'"


class Composites:
    """The responses of one dataset's strategies."""

    def __init__(
        self,
        of: GraphContext,
        dataset: DatasetEntry,
        texts: TextSteps,
        asked: ModelSteps,
        scored: ScoreSteps,
    ) -> None:
        self._of = of
        self._dataset = dataset
        self._texts = texts
        self._asked = asked
        self._scored = scored
        self._made = {entry.name: entry for entry in of.recipe.made_for(dataset.name)}

    def steps(self) -> list[Step]:
        """Every strategy's responses, and what is asked and scored to choose among them."""
        steps: dict[str, Step] = {}
        for entry in self._made.values():
            for step in self._of_strategy(entry):
                steps.setdefault(step.name, step)
        compared = [entry.name for entry in self._made.values() if entry.compare]
        return list(_needed(steps, [step_names.responses(self._dataset.name, n) for n in compared]))

    @property
    def depth(self) -> int:
        """The highest level: what is scored at the end is made then."""
        return max(self._level(entry.name) for entry in self._made.values())

    def _of_strategy(self, entry: StrategyEntry) -> Iterator[Step]:
        if isinstance(entry, BestStrategy):
            for member, candidate in self._candidates(entry):
                yield from self._candidate_steps(entry, member, candidate)
            yield self._best(entry)
        elif isinstance(entry, FirstStrategy):
            yield self._first(entry)
        else:
            step = self._texts.responses(self._dataset, entry, earlier=self._earlier(entry.name))
            yield replace(step, level=self._level(entry.name))

    def _level(self, name: str) -> int:
        return self._levels[name]

    @cached_property
    def _levels(self) -> Mapping[str, int]:
        levels: dict[str, int] = {}

        def level(name: str) -> int:
            if name not in levels:
                before = [*self._made[name].members, *self._earlier(name)]
                levels[name] = 1 + max(map(level, before)) if before else 0
            return levels[name]

        for name in self._made:
            level(name)
        return levels

    def _earlier(self, name: str) -> Sequence[str]:
        """The members before a strategy in the one `first` that it is for.

        Empty if it is asked for every example: it is compared, or others take from it too.
        """
        entry = self._made[name]
        takers = [taker for taker in self._made.values() if name in taker.members]
        if entry.compare or not isinstance(entry, ModelStrategy) or len(takers) != 1:
            return ()
        members = takers[0].members
        only = isinstance(takers[0], FirstStrategy)
        return members[: members.index(name)] if only else ()

    def _first(self, entry: FirstStrategy) -> Step:
        def make(tables: Inputs) -> Rows:
            # Late here and below: a cached run makes no responses.
            from respsel.strategies.first import first_responses

            members = [tables[roles.responses_of(name)] for name in entry.of]
            taken = list(first_responses(tables[roles.EXAMPLES], members))
            return settled(taken, entry, self._texts.place(entry), _REMEDY)

        inputs = self._texts.responses_by_role(self._dataset, entry.of)
        return self._composite(entry, {}, inputs, make)

    def _best(self, entry: BestStrategy) -> Step:
        judged = entry.by == JUDGE
        direction = "higher" if judged else self._of.loaded.metric(entry.by).direction
        candidates = self._candidates(entry)

        def make(tables: Inputs) -> Rows:
            from respsel.strategies.best import Candidate, best_responses

            found = [
                Candidate(
                    entry.of.index(member) + 1,
                    tables[roles.responses_of(candidate.name)],
                    tables[roles.scores_of(candidate.name)],
                )
                for member, candidate in candidates
            ]
            chosen = list(best_responses(tables[roles.EXAMPLES], found, direction))
            return settled(chosen, entry, self._texts.place(entry), _REMEDY)

        inputs: dict[str, str] = {}
        for _, candidate in candidates:
            name = candidate.name
            dataset = self._dataset.name
            inputs[roles.responses_of(name)] = step_names.responses(dataset, name)
            inputs[roles.scores_of(name)] = self._scores_name(entry, name)
        # Which member a candidate is of is in its rows.
        members = [entry.of.index(member) + 1 for member, _ in candidates]
        return self._composite(entry, {"direction": direction, "members": members}, inputs, make)

    def _composite(
        self,
        entry: CompositeStrategy,
        fields: Mapping[str, Any],
        inputs: Mapping[str, str],
        make: Any,
    ) -> Step:
        more = {} if entry.if_wrong == "keep" else {"if_wrong": entry.if_wrong}
        return Step(
            name=step_names.responses(self._dataset.name, entry.name),
            op="composites",
            version=strategies.VERSION,
            fields={"from": entry.from_, "passing": passing.VERSION, **fields, **more},
            inputs={roles.EXAMPLES: step_names.examples(self._dataset.name), **inputs},
            table=RESPONSES,
            make=make,
            level=self._level(entry.name),
        )

    def _candidates(self, entry: BestStrategy) -> list[tuple[str, StrategyEntry]]:
        """Member and candidate: each draw of what a model writes, and all others as they are."""
        candidates: list[tuple[str, StrategyEntry]] = []
        for name in entry.of:
            member = self._made[name]
            if isinstance(member, ModelStrategy) and entry.n > 1:
                candidates += [(name, _drawn(member, number)) for number in range(1, entry.n + 1)]
            else:
                candidates.append((name, member))
        return candidates

    def _scores_name(self, entry: BestStrategy, candidate: str) -> str:
        """The step of what a candidate is chosen by."""
        if entry.by == JUDGE:
            return step_names.rewards(self._dataset.name, candidate, JUDGE)
        label = step_names.unraced(entry.by) if self._of.races else entry.by
        return step_names.scores(self._dataset.name, candidate, label)

    def _candidate_steps(
        self, entry: BestStrategy, member: str, candidate: StrategyEntry
    ) -> Iterator[Step]:
        """A candidate's responses, if they are a draw, and all that its score takes."""
        if candidate.name != member and isinstance(candidate, ModelStrategy):
            number = int(candidate.name.rpartition("@")[2])
            drawn = self._texts.responses(self._dataset, candidate, draw=number - 1)
            yield replace(drawn, level=self._level(member))
        judge = self._of.recipe.judge
        metrics = [metric for metric in self._of.loaded.metrics if metric.label == entry.by]
        rewards = [metric.needs.reward for metric in metrics if metric.needs.reward]
        if judge and (entry.by == JUDGE or any(reward.is_judges for reward in rewards)):
            judged = self._asked.judgements(self._dataset, candidate, judge)
            yield replace(judged, level=self._level(member))
        if entry.by != JUDGE:
            for step in self._measuring_steps(candidate, metrics[0]):
                yield replace(step, level=self._level(member))

    def _measuring_steps(self, candidate: StrategyEntry, metric: ChosenMetric) -> Iterator[Step]:
        """A metric's scores of a candidate, and what models are asked for them."""
        dataset = self._dataset
        needs = metric.needs
        for view in needs.views:
            yield self._asked.token_scores(dataset, candidate, view, raced=False)
        if needs.hidden:
            yield self._asked.representations(dataset, candidate)
            yield self._asked.representations(dataset, None)
        if needs.reward and needs.reward.model:
            yield self._asked.rewards(dataset, candidate, metric, needs.reward)
        yield self._scored.scores(dataset, candidate, metric, raced=False)


def _drawn(entry: ModelStrategy, number: int) -> ModelStrategy:
    """One draw of a strategy: as its attempt of this number, right or wrong."""
    changes = {
        "name": step_names.draw(entry.name, number),
        "attempts": 1,
        "if_wrong": "keep",
    }
    return entry.model_copy(update=changes)


def _needed(steps: Mapping[str, Step], wanted: Sequence[str]) -> Iterator[Step]:
    """The steps that the wanted ones take from, themselves included, in their order."""
    left = list(wanted)
    found = set[str]()
    while left:
        if (name := left.pop()) in steps and name not in found:
            found.add(name)
            left += steps[name].inputs.values()
    yield from (step for name, step in steps.items() if name in found)
