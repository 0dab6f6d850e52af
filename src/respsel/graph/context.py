"""What all steps of a recipe are made from: the loaded recipe, its models, and the rule of its
verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from respsel.backends.registry import KnownModel
from respsel.calls import keys
from respsel.data import prompts
from respsel.hashing import DigestMemo
from respsel.metrics.contract import ChosenMetric, View
from respsel.recipe.schema import Recipe
from respsel.selection.rule import Rule
from respsel.workspace.loaded_recipe import LoadedRecipe

# What stands between a recipe and the token ids that a model sees, and those that it is scored on.
PROMPTS = {"prompts": prompts.VERSION, "rendering": keys.RENDERING_VERSION}
SCORED = {**PROMPTS, "placing": keys.PLACING_VERSION}


@dataclass(frozen=True)
class GraphContext:
    """A loaded recipe, the models it may ask, and the digests of files that are known."""

    loaded: LoadedRecipe
    models: Mapping[str, KnownModel]
    memo: DigestMemo

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
        """The metric that the selection goes by."""
        return next(
            metric for metric in self.loaded.metrics if metric.label == self.recipe.selection_metric
        )

    @property
    def raced_view(self) -> View:
        """The view that a race scores in; loading asks for a metric that has just one."""
        return self.selected.needs.views[0]

    @property
    def rule(self) -> Rule:
        """The rule of the verdicts."""
        metric = self.selected
        chosen = self.recipe.selection
        return Rule(
            metric.label,
            metric.direction,
            metric.metric.scale,
            chosen.confidence,
            chosen.resamples,
            chosen.seed,
        )
