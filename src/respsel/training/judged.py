"""Which responses the recipe's judge leaves out of a training set, and why.

Knows nothing of formats or of other reasons. Invariant: without `least_reward` it leaves out none;
with it, a response that the judge gave no score is left out too.
"""

from __future__ import annotations

from collections.abc import Mapping

from respsel.graph import names as step_names
from respsel.recipe.judge import JUDGE
from respsel.tables.problems import is_failed_call
from respsel.training.apply import Applied


def judged_out(applied: Applied, dataset: str) -> Mapping[tuple[str, str], str]:
    """By strategy and example, why a response of a dataset is left out."""
    recipe = applied.graph.loaded.recipe
    least = recipe.training.least_reward
    reasons: dict[tuple[str, str], str] = {}
    if least is None:
        return reasons
    for strategy in recipe.strategies_for(dataset):
        name = step_names.rewards(dataset, strategy.name, JUDGE)
        for score in applied.rows(name) if name in applied.graph.steps else ():
            if score.value is None:
                failed = is_failed_call(score.problem)
                why = "the judge's call failed" if failed else score.problem
                reasons[strategy.name, score.id] = f"not judged: {why}"
            elif score.value < least:
                reasons[strategy.name, score.id] = f"judged below {least:.10g}"
    return reasons
