"""What all steps of a recipe are made from: the loaded recipe, its models, its verdict's rule.

Knows nothing of steps. Invariant: it is the same for all steps of a graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from respsel.backends.registry import KnownModel
from respsel.calls import keys
from respsel.data import prompts
from respsel.graph.authors import Author, how_target
from respsel.hashing import DigestMemo
from respsel.metrics.contract import ChosenMetric, View
from respsel.recipe.schema import Recipe
from respsel.selection.gates import GateRule
from respsel.selection.rule import Rule
from respsel.store.store import Store
from respsel.workspace.loaded_recipe import LoadedRecipe

# Versions of what turns a recipe into the token ids that a model sees, or is scored on.
PROMPTS = {"prompts": prompts.VERSION, "rendering": keys.RENDERING_VERSION}
SCORED = {**PROMPTS, "placing": keys.PLACING_VERSION}


@dataclass(frozen=True)
class GraphContext:
    """A loaded recipe, the models it may ask, and the digests of files that are known.

    authors: by strategy, who wrote its texts.
    """

    loaded: LoadedRecipe
    models: Mapping[str, KnownModel]
    authors: Mapping[str, Author]
    memo: DigestMemo

    @property
    def store(self) -> Store | None:
        """The store, where there is one: what is downloaded is in it."""
        return self.memo if isinstance(self.memo, Store) else None

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.loaded.recipe

    @property
    def target(self) -> str:
        """The target's name among the models."""
        return self.recipe.target.model

    @property
    def target_fields(self) -> Mapping[str, Any]:
        """What of the target is in keys."""
        return self.models[self.target].fields

    @property
    def races(self) -> bool:
        """Whether strategies are dropped on the way."""
        return self.recipe.selection.budget == "race"

    @property
    def selected(self) -> ChosenMetric:
        """The metric that decides the selection."""
        return self.loaded.selected_metric

    @property
    def raced_view(self) -> View:
        """The view that a race scores in; loading allows only a metric that has just one."""
        return self.selected.needs.views[0]

    @property
    def gate_rule(self) -> GateRule:
        """What strategies must pass before they may be recommended."""
        require = self.recipe.selection.require
        return GateRule(
            right=require.right,
            reward=require.reward,
            whole=require.whole,
            distinct=require.distinct,
            sound=require.sound,
            confidence=self.recipe.selection.confidence,
            favours_own_text=self.selected.favours_own_text,
            judge_is_target=self._target_judges,
        )

    @property
    def _target_judges(self) -> bool:
        judge = self.recipe.judge.model if self.recipe.judge else None
        if judge is None and self.rewarding is not None and self.rewarding.needs.reward:
            judge = self.rewarding.needs.reward.model
        return judge is not None and bool(how_target(judge, self.loaded, self.models))

    @property
    def rewarding(self) -> ChosenMetric | None:
        """The metric whose rewards gates read, if there is no judge: the first one with rewards."""
        return next((metric for metric in self.loaded.metrics if metric.needs.reward), None)

    @property
    def rule(self) -> Rule:
        """The rule of the verdicts."""
        metric = self.selected
        chosen = self.recipe.selection
        return Rule(
            metric=metric.label,
            direction=metric.direction,
            scale=metric.metric.scale,
            confidence=chosen.confidence,
            resamples=chosen.resamples,
            seed=chosen.seed,
        )
