"""What is checked of strategies that take from others: names, circles, datasets, what chooses.

Knows nothing of steps. Invariant: a recipe that passes has a member for each example of a strategy
that takes from others, and no strategy that is made for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from respsel.errors import Problem, suggest
from respsel.recipe.judge import JUDGE
from respsel.recipe.model import merge_sampling
from respsel.recipe.schema import BestStrategy, FirstStrategy, ModelStrategy, StrategyEntry
from respsel.workspace.loaded_recipe import LoadedRecipe


def check_composites(loaded: LoadedRecipe) -> list[Problem]:
    """Everything that is wrong with what strategies take from others."""
    entries = loaded.recipe.strategies
    problems: list[Problem] = []
    for i, entry in enumerate(entries):
        problems += _check_members(loaded, i, entry)
        problems += _check_circle(loaded, i, entry)
        if isinstance(entry, FirstStrategy):
            problems += _check_first(loaded, i, entry)
        if isinstance(entry, BestStrategy):
            problems += _check_best(loaded, i, entry)
            problems += _check_draws(loaded, i, entry)
    taken = {name for entry in entries for name in entry.members}
    for i, entry in enumerate(entries):
        if not entry.compare and entry.name not in taken:
            what = "is false, but no strategy's 'of' names it, so it is for nothing"
            remedy = "Take 'compare' out, or the strategy"
            problems.append(loaded.at("strategies", i, "compare").problem(what, remedy))
    return problems


def _check_members(loaded: LoadedRecipe, i: int, entry: StrategyEntry) -> Iterator[Problem]:
    named = {other.name: other for other in loaded.recipe.strategies}
    for j, name in enumerate(entry.members):
        place = loaded.at("strategies", i, "of", j)
        if name not in named:
            what = f"'{name}' is not a strategy of this recipe"
            others = [other for other in named if other != entry.name]
            yield place.problem(what, suggest(name, others))
            continue
        if name in entry.members[:j]:
            yield place.problem(f"'{name}' stands twice", "Name it once")
        lacking = _datasets_without(loaded, entry, named[name])
        if lacking:
            what = f"'{name}' is not for dataset '{lacking[0]}', and '{entry.name}' is"
            remedy = "Give both the same 'datasets'"
            yield place.problem(what, remedy)


def _datasets_without(
    loaded: LoadedRecipe, entry: StrategyEntry, member: StrategyEntry
) -> Sequence[str]:
    """The datasets that a strategy is for and its member is not."""
    every = [dataset.name for dataset in loaded.recipe.datasets]
    return [
        name
        for name in (every if entry.datasets is None else entry.datasets)
        if name in every and member.datasets is not None and name not in member.datasets
    ]


def _check_circle(loaded: LoadedRecipe, i: int, entry: StrategyEntry) -> Iterator[Problem]:
    named = {other.name: other for other in loaded.recipe.strategies}

    def circle(path: tuple[str, ...]) -> tuple[str, ...]:
        """A path from the entry back to it; empty if there is none."""
        for name in named[path[-1]].members:
            if name == entry.name:
                return (*path, name)
            if name in named and name not in path and (found := circle((*path, name))):
                return found
        return ()

    found = circle((entry.name,))
    if found:
        what = f"takes from itself: {' from '.join(found)}"
        yield loaded.at("strategies", i, "of").problem(what, "Take one of them out")


def _check_first(loaded: LoadedRecipe, i: int, entry: FirstStrategy) -> Iterator[Problem]:
    named = {other.name: other for other in loaded.recipe.strategies}
    if len(entry.of) == 1:
        what = "has one member, so there is nothing to choose from"
        yield loaded.at("strategies", i, "of").problem(what, "Add a member")
    for j, name in enumerate(entry.of[:-1]):
        if name in named and named[name].if_wrong == "fail":
            what = f"'{name}' has if_wrong = \"fail\", so the run ends where the next one is for it"
            remedy = f"Set if_wrong of '{name}' to 'keep' or 'drop'"
            yield loaded.at("strategies", i, "of", j).problem(what, remedy)


def _check_draws(loaded: LoadedRecipe, i: int, entry: BestStrategy) -> Iterator[Problem]:
    """Several draws of greedy sampling are one text."""
    for j, name in enumerate(entry.of):
        member = next((m for m in loaded.recipe.strategies if m.name == name), None)
        if not isinstance(member, ModelStrategy) or member.model not in loaded.models:
            continue
        sampling, _ = merge_sampling(member.sampling, loaded.models[member.model].entry.sampling)
        if entry.n > 1 and not sampling.temperature:
            what = f"'{name}' is sampled at temperature 0, so its {entry.n} draws are one text"
            remedy = "Raise its temperature, or take 'n' out"
            yield loaded.at("strategies", i, "of", j).problem(what, remedy)


def _check_best(loaded: LoadedRecipe, i: int, entry: BestStrategy) -> Iterator[Problem]:
    place = loaded.at("strategies", i)
    members = [other for other in loaded.recipe.strategies if other.name in entry.of]
    written = [other for other in members if isinstance(other, ModelStrategy)]
    if entry.n > 1 and not written and len(members) == len(entry.of):
        what = f"is {entry.n}, but no member is written by a model, and only those have several"
        yield place.at("n").problem(what, "Take 'n' out")
    if entry.n == 1 and len(entry.of) == 1:
        what = "has one member and n = 1, so there is nothing to choose from"
        yield place.at("of").problem(what, "Add a member, or raise 'n'")
    labels = [metric.known_as for metric in loaded.recipe.metrics]
    if entry.by == JUDGE and loaded.recipe.judge is None:
        what = "is the judge, and the recipe has no [judge]"
        yield place.at("by").problem(what, "Add a [judge], or choose by a metric")
    elif entry.by not in (JUDGE, *labels):
        what = f"'{entry.by}' is not a metric of this recipe"
        yield place.at("by").problem(what, suggest(entry.by, labels))
    for metric in loaded.metrics:
        if metric.label != entry.by:
            continue
        if metric.metric.combine:
            what = f"'{entry.by}' weighs by the spread over all strategies, which come later"
            remedy = f"Choose by {' or '.join(metric.metric.combine)}"
            yield place.at("by").problem(what, remedy)
        reward = metric.needs.reward
        if reward and reward.column and (entry.n > 1 and written):
            what = f"'{entry.by}' is in a column, which has no value for each draw"
            yield place.at("by").problem(what, "Choose by a model's judgement, or set n = 1")
