"""The step of how strategies stand before the ranking: answers, rewards, texts, author.

Knows nothing of scores. Invariant: it reads no likelihood, and asks no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from respsel.data.prompts import shows_label
from respsel.graph import names as step_names
from respsel.graph import roles
from respsel.graph.context import GraphContext
from respsel.graph.step import Inputs, Rows, Step
from respsel.health.summary import UNSOUND, TextHealth, text_health
from respsel.health.summary import VERSION as HEALTH_VERSION
from respsel.recipe.judge import JUDGE
from respsel.recipe.schema import DatasetEntry, StrategyEntry
from respsel.records import Example, Response
from respsel.selection import gates
from respsel.selection.standing import STANDINGS, Held
from respsel.tables.problems import WRONG


class GateSteps:
    """Makes the steps of gates."""

    def __init__(self, of: GraphContext) -> None:
        self._of = of

    def gates(self, dataset: DatasetEntry, strategies: Sequence[StrategyEntry]) -> Step:
        names = [strategy.name for strategy in strategies]
        rule = self._of.gate_rule
        by_target = self._by_target(strategies)
        showing = self._showing(dataset, strategies)
        chosen_by = self._chosen_by(strategies)

        def make(tables: Inputs) -> Rows:
            examples = tables[roles.EXAMPLES]
            held = {
                name: _held(
                    examples,
                    tables[roles.responses_of(name)],
                    self._rewards(name, examples, tables),
                    by_target=by_target.get(name, ()),
                    shows_label=name in showing,
                    chosen_by=chosen_by.get(name, ""),
                )
                for name in names
            }
            return gates.pass_gates(held, rule)

        return Step(
            name=step_names.gates(dataset.name),
            op="gates",
            version=gates.VERSION,
            fields={
                "rule": asdict(rule),
                "health": HEALTH_VERSION,
                "strategies": names,
                "by_target": by_target,
                "shows_label": showing,
                "chosen_by": chosen_by,
                "rewards": self._column,
            },
            inputs=self._inputs(dataset.name, names),
            table=STANDINGS,
            make=make,
        )

    def _by_target(self, strategies: Sequence[StrategyEntry]) -> Mapping[str, Sequence[int]]:
        """By strategy, the places of the members that the target wrote; 0 where it has none."""
        authors = self._of.authors
        return {
            entry.name: [
                place for place, name in enumerate(entry.members, 1) if authors[name].is_target
            ]
            or [0]
            for entry in strategies
            if authors[entry.name].is_target
        }

    def _chosen_by(self, strategies: Sequence[StrategyEntry]) -> Mapping[str, str]:
        """By strategy whose texts were chosen to be likely, by which metric."""
        metrics = {metric.label: metric for metric in self._of.loaded.metrics}
        return {
            entry.name: entry.chosen_by
            for entry in strategies
            if entry.chosen_by in metrics and metrics[entry.chosen_by].favours_own_text
        }

    def _showing(self, dataset: DatasetEntry, strategies: Sequence[StrategyEntry]) -> Sequence[str]:
        """The strategies that were written from a prompt with the label, in all or in part."""
        origins = self._of.recipe.origins
        return [
            entry.name
            for entry in strategies
            if any(shows_label(origin, dataset) for origin in origins(entry))
        ]

    @property
    def _column(self) -> str | None:
        """The column that rewards are in, if they are in one."""
        metric = self._of.rewarding
        if self._of.recipe.judge is not None or metric is None or metric.needs.reward is None:
            return None
        return metric.needs.reward.column

    def _inputs(self, dataset: str, names: Sequence[str]) -> Mapping[str, str]:
        inputs = {roles.EXAMPLES: step_names.examples(dataset)}
        inputs |= {roles.responses_of(name): step_names.responses(dataset, name) for name in names}
        rewarding = self._of.rewarding
        label = JUDGE if self._of.recipe.judge else rewarding.label if rewarding else ""
        if label and self._column is None:
            inputs |= {
                roles.rewards_of(name): step_names.rewards(dataset, name, label) for name in names
            }
        return inputs

    def _rewards(
        self, strategy: str, examples: Sequence[Example], tables: Inputs
    ) -> Mapping[str, float]:
        """By example, the reward of a strategy's response; without those that have none."""
        if self._column is not None and "{strategy}" not in self._column:
            # The same numbers for all strategies say nothing of any.
            return {}
        if self._column is None:
            rows = tables.get(roles.rewards_of(strategy), ())
        else:
            # Late: a cached run reads no columns.
            from respsel.scoring.evidence import column_rewards

            rows = column_rewards(self._column, examples, strategy)
        return {row.id: row.value for row in rows if row.value is not None}


def _held(
    examples: Sequence[Example],
    responses: Sequence[Response],
    rewards: Mapping[str, float],
    *,
    by_target: Sequence[int],
    shows_label: bool,
    chosen_by: str,
) -> Held:
    """What is known of a strategy's usable responses.

    by_target: the places of the members whose texts are the target's; 0 where there are none.
    """
    usable = [response for response in responses if not response.problem]
    used = {response.id for response in usable}
    texts = text_health(usable, examples)
    return Held(
        correct={one.id: one.correct for one in usable if one.correct is not None},
        rewards={name: value for name, value in rewards.items() if name in used},
        texts=len(usable),
        whole=texts.whole if usable else None,
        distinct=texts.distinct if usable else None,
        sound=texts.sound if usable else None,
        faults=_commonest(texts),
        by_target=any(response.member in by_target for response in usable),
        shows_label=shows_label,
        dropped=sum(response.problem == WRONG for response in responses),
        chosen_by=chosen_by,
    )


def _commonest(texts: TextHealth) -> str:
    """The fault that most unsound texts have, in words; empty if none has any."""
    unsound = {fault: count for fault, count in texts.counts.items() if fault in UNSOUND}
    return max(unsound, key=lambda fault: unsound[fault]).words if unsound else ""
