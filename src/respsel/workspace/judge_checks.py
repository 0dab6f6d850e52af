"""What is checked of a recipe's judge besides its shape, and of what uses its rewards.

Knows nothing of TOML. Invariant: every check reports all that it finds.
"""

from __future__ import annotations

from collections.abc import Iterator

from respsel.data.prompts import check_template
from respsel.errors import Problem, suggest
from respsel.recipe.judge import JUDGE, JudgeEntry
from respsel.workspace.loaded_recipe import LoadedRecipe


def check_judge(loaded: LoadedRecipe) -> list[Problem]:
    """What is wrong with the judge, or with what asks for one."""
    judge = loaded.recipe.judge
    if judge is None:
        return list(_missed(loaded))
    return [
        *_check_model(loaded, judge),
        *_check_rubric(loaded, judge),
        *_check_scores(loaded, judge),
        *_check_label(loaded),
        *_check_pairs(loaded, judge),
    ]


def _missed(loaded: LoadedRecipe) -> Iterator[Problem]:
    """What reads a judge's rewards in a recipe without a judge."""
    for i, metric in enumerate(loaded.metrics):
        if metric.needs.reward and metric.needs.reward.is_judges:
            what = "a reward needs a source, and the recipe has no [judge]"
            remedy = "Add a [judge], or give a 'column', or a 'model' with a 'prompt'"
            yield loaded.at("metrics", i).problem(what, remedy)
    if loaded.recipe.training.least_reward is not None:
        what = "needs a judge, and the recipe has no [judge]"
        yield loaded.at("training", "least_reward").problem(what, "Add one, or take this out")


def _check_model(loaded: LoadedRecipe, judge: JudgeEntry) -> Iterator[Problem]:
    if judge.model not in loaded.models:
        what = f"'{judge.model}' is not a model of this recipe or of respsel.toml"
        remedy = suggest(judge.model, loaded.models)
        yield loaded.at(JUDGE, "model").problem(what, remedy)


def _check_rubric(loaded: LoadedRecipe, judge: JudgeEntry) -> Iterator[Problem]:
    yield from check_template(judge.rubric, loaded.at(JUDGE, "rubric"))
    shown = [entry.reference or entry.label for entry in loaded.recipe.datasets]
    if judge.reference and not any(shown):
        what = "no dataset has a 'reference' or a 'label' to show"
        remedy = "Name the column in [[datasets]], or take this out"
        yield loaded.at(JUDGE, "reference").problem(what, remedy)


def _check_scores(loaded: LoadedRecipe, judge: JudgeEntry) -> Iterator[Problem]:
    low, high = judge.scale
    scale = f"the scale {low:.10g} to {high:.10g}"
    for i, example in enumerate(judge.examples):
        if not low <= example.score <= high:
            what = f"{example.score:.10g} is outside {scale}"
            remedy = "Give a score on it, or change 'scale'"
            yield loaded.at(JUDGE, "examples", i, "score").problem(what, remedy)
    least = loaded.recipe.training.least_reward
    if least is not None and not low < least <= high:
        what = f"{least:.10g} leaves out all responses or none: it is not within {scale}"
        remedy = f"Give a number above {low:.10g} and at most {high:.10g}"
        yield loaded.at("training", "least_reward").problem(what, remedy)


def _check_label(loaded: LoadedRecipe) -> Iterator[Problem]:
    for i, metric in enumerate(loaded.metrics):
        source = metric.needs.reward
        if metric.label == JUDGE and source is not None and not source.is_judges:
            what = f"'{JUDGE}' is what the rewards of the recipe's [judge] are called"
            yield loaded.at("metrics", i, "label").problem(what, "Choose another label")


def _check_pairs(loaded: LoadedRecipe, judge: JudgeEntry) -> Iterator[Problem]:
    recipe = loaded.recipe
    names = [entry.name for entry in recipe.strategies]
    by_dataset = {
        entry.name: [strategy.name for strategy in recipe.strategies_for(entry.name)]
        for entry in recipe.datasets
    }
    place = loaded.at(JUDGE, "against")
    if judge.pairs and all(len(some) < 2 for some in by_dataset.values()):
        what = "compares strategies, and no dataset has two"
        yield loaded.at(JUDGE, "pairs").problem(what, "Add a strategy, or take this out")
    if judge.against is None:
        return
    if not judge.pairs:
        what = "names the strategy of comparisons, and there are none"
        yield place.problem(what, "Add pairs = true, or take this out")
    if judge.against not in names:
        what = f"'{judge.against}' is not a strategy of this recipe"
        yield place.problem(what, suggest(judge.against, names))
        return
    for dataset, some in by_dataset.items():
        if len(some) > 1 and judge.against not in some:
            what = f"'{judge.against}' is not for dataset '{dataset}'"
            yield place.problem(what, "Name one that is for all datasets")
