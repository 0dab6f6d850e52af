"""All steps of a recipe, inputs before their users.

Knows nothing of how a step is made. Invariant: building opens no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec

from respsel.backends.registry import KnownModel, identify
from respsel.errors import PreflightError, RespselError
from respsel.graph.authors import find_authors, model_named
from respsel.graph.composites import Composites
from respsel.graph.context import GraphContext
from respsel.graph.gate_steps import GateSteps
from respsel.graph.model_steps import ModelSteps
from respsel.graph.score_steps import ScoreSteps
from respsel.graph.step import Graph, Step
from respsel.graph.text_steps import TextSteps
from respsel.hashing import DigestMemo
from respsel.metrics.contract import EXTRAS
from respsel.metrics.registry import components
from respsel.recipe.judge import JudgeEntry
from respsel.recipe.schema import OVERALL, DatasetEntry, ModelStrategy, StrategyEntry
from respsel.workspace.loaded_recipe import LoadedRecipe

# They take nothing from strategies.
_FIRST = ("examples", "dataset-size", "validation", "own-outputs")


def build_graph(loaded: LoadedRecipe, memo: DigestMemo) -> Graph:
    """Return a recipe's steps. Digests files (not those whose stat is known) and opens no model.

    Raises InputError and PreflightError where files, weights or packages are missing.
    """
    check_extras(loaded)
    names = asked_models(loaded)
    models = {name: identify(loaded.models[name], memo) for name in sorted(names)}
    models |= _authors_models(loaded, models, memo)
    authors = find_authors(loaded, models)
    steps = _Builder(GraphContext(loaded, models, authors, memo)).build()
    return Graph(loaded, models, {step.name: step for step in steps}, authors)


def sketch_graph(loaded: LoadedRecipe, memo: DigestMemo) -> Graph:
    """A recipe's steps without looking for weights and packages.

    They give the texts and prompts of a run, but their keys are no run's.
    """
    models = {
        name: KnownModel(loaded.models[name], {"name": name}, name, None, None)
        for name in sorted(asked_models(loaded))
    }
    authors = find_authors(loaded, models)
    steps = _Builder(GraphContext(loaded, models, authors, memo)).build()
    return Graph(loaded, models, {step.name: step for step in steps}, authors)


def asked_models(loaded: LoadedRecipe) -> set[str]:
    """The names of the models that a recipe may ask."""
    recipe = loaded.recipe
    names = {recipe.target.model} | {
        s.model for s in recipe.strategies if isinstance(s, ModelStrategy)
    }
    names |= {
        source.model
        for metric in loaded.metrics
        if (source := metric.needs.reward) and source.model
    }
    if recipe.judge is not None:
        names.add(recipe.judge.model)
    return names


def _authors_models(
    loaded: LoadedRecipe, models: Mapping[str, KnownModel], memo: DigestMemo
) -> Mapping[str, KnownModel]:
    """Further models that wrote texts, as far as their weights are here. None of them is asked."""
    found = {}
    for entry in loaded.recipe.strategies:
        name = model_named(loaded, entry.author) if entry.author else None
        if name is None or name in models:
            continue
        try:
            found[name] = identify(loaded.models[name], memo)
        except RespselError:
            continue
    return found


class _Builder:
    def __init__(self, of: GraphContext) -> None:
        loaded = of.loaded
        self._of = of
        self._texts = TextSteps(of)
        self._asked = ModelSteps(of)
        self._gates = GateSteps(of)
        self._scored = ScoreSteps(of)
        self._recipe = loaded.recipe
        self._metrics = [
            part for metric in loaded.metrics for part in (*components(metric), metric)
        ]
        needs = [metric.needs for metric in self._metrics]
        self._views = list(dict.fromkeys(view for need in needs for view in need.views))
        self._wants_own = any(need.own_outputs for need in needs) or any(
            view.k and not view.is_held_out for view in self._views
        )
        self._wants_held_out = any(view.is_held_out for view in self._views)
        self._wants_hidden = any(need.hidden for need in needs)
        self._race = self._recipe.selection.budget == "race"

    def build(self) -> list[Step]:
        steps: dict[str, Step] = {}
        depth = 0
        for dataset in self._recipe.datasets:
            first = Composites(self._of, dataset, self._texts, self._asked, self._scored)
            steps |= {step.name: step for step in first.steps()}
            depth = max(depth, first.depth)
        compared = [step for dataset in self._recipe.datasets for step in self._compared(dataset)]
        # An overall ranking without the strategies that some dataset lacks would name the wrong
        # winner.
        if len(self._recipe.datasets) > 1 and all(
            strategy.datasets is None for strategy in self._recipe.strategies if strategy.compare
        ):
            names = [dataset.name for dataset in self._recipe.datasets]
            compared.append(self._scored.verdict(OVERALL, names))
        for step in compared:
            # What strategies that are chosen from take has its own, earlier level.
            level = 0 if step.op in _FIRST else depth
            steps.setdefault(step.name, replace(step, level=level))
        return sorted(steps.values(), key=lambda step: step.stage)

    def _compared(self, dataset: DatasetEntry) -> Iterator[Step]:
        """A dataset's steps, but for those of its strategies' responses."""
        yield self._texts.examples(dataset)
        yield self._texts.dataset_size(dataset)
        if self._wants_held_out:
            yield self._texts.validation(dataset)
        strategies = self._recipe.strategies_for(dataset.name)
        if self._wants_own:
            yield self._texts.own_outputs(dataset)
        if self._wants_hidden:
            yield self._asked.representations(dataset, None)
        yield self._gates.gates(dataset, strategies)
        if self._race:
            yield self._asked.race(dataset, strategies)
        for strategy in strategies:
            yield from self._asking_steps(dataset, strategy)
        if self._recipe.judge is not None:
            yield from self._judging_steps(dataset, self._recipe.judge)
        for metric in self._metrics:
            make = self._scored.mixes if metric.metric.combine else self._scored.scores
            yield from (make(dataset, strategy, metric) for strategy in strategies)
        if self._recipe.selection.mode == "per-example":
            names = [strategy.name for strategy in strategies]
            yield self._scored.choices(dataset, names)
        yield self._scored.verdict(dataset.name, [dataset.name])

    def _asking_steps(self, dataset: DatasetEntry, strategy: StrategyEntry) -> list[Step]:
        """What models are asked about a strategy's responses."""
        steps = [self._asked.token_scores(dataset, strategy, view) for view in self._views]
        if self._wants_hidden:
            steps.append(self._asked.representations(dataset, strategy))
        for metric in self._metrics:
            if (source := metric.needs.reward) and source.model:
                steps.append(self._asked.rewards(dataset, strategy, metric, source))
        return steps

    def _judging_steps(self, dataset: DatasetEntry, judge: JudgeEntry) -> Iterator[Step]:
        """What the recipe's judge is asked about a dataset's responses."""
        for strategy in self._recipe.strategies_for(dataset.name):
            yield self._asked.judgements(dataset, strategy, judge)
        other = self._recipe.compared_with(dataset.name)
        for strategy in self._recipe.strategies_for(dataset.name) if other else ():
            if strategy.name != other:
                yield self._asked.preferences(dataset, strategy, other, judge)


def check_extras(loaded: LoadedRecipe) -> None:
    """Raise PreflightError for metrics and answer checks whose packages are missing.

    That is before any model is asked.
    """
    problems = []
    for i, dataset in enumerate(loaded.recipe.datasets):
        if (
            dataset.check is not None
            and dataset.check.kind == "math"
            and find_spec("math_verify") is None
        ):
            what = "answer 'math' needs math-verify, which is not installed"
            remedy = "Run: pip install 'respsel[math]'"
            problems.append(loaded.at("datasets", i, "answer").problem(what, remedy))
    for i, metric in enumerate(loaded.metrics):
        for extra in {part.needs.extra for part in (metric, *components(metric))}:
            missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
            if missing:
                what = f"'{metric.label}' needs {', '.join(missing)}, which is not installed"
                remedy = f"Run: pip install 'respsel[{extra}]'"
                problems.append(loaded.at("metrics", i).problem(what, remedy))
    if problems:
        raise PreflightError(problems)
