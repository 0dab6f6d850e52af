"""A recipe file to everything that is needed to plan it: checked, with its models and metrics
found.

Invariant: every problem that can be seen without reading data or weights is reported at once.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respsel.data.files import path_fault
from respsel.data.prompts import check_doubled, check_template, is_template
from respsel.errors import InputError, Problem, suggest
from respsel.hashing import digest
from respsel.metrics.contract import ChosenMetric, RewardSource
from respsel.metrics.registry import choose
from respsel.recipe.model import NamedModel
from respsel.recipe.schema import OVERALL, FileStrategy, MetricEntry, ModelStrategy, Recipe
from respsel.recipe.validation import check_shape, parse_toml, read_file, text_of
from respsel.store.notes import RecipePlace
from respsel.workspace.workspace import Workspace, find_workspace

# What a run writes in its recipe's folder under runs/. A recipe or folder of such a name has one of
# its own, as a recipe `report.html.toml` in a folder `a` beside the recipe `a`.
_WRITTEN = re.compile(
    r"(report\.(html|md|json)|manifest\.json|\w+\.parquet|\d{8}-\d{6}-[0-9a-f]{8}|\..*\.part.*)(\.toml)*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe, where it is, and what its names stand for. `shown` is its path as the user gave it;
    name: what its runs are kept under; content: the file's, which may be edited or moved while a
    run goes on; purpose: what the recipe is changed for, if it is not as the file has it."""

    recipe: Recipe
    path: Path
    shown: str
    name: str
    content: bytes
    workspace: Workspace
    models: Mapping[str, NamedModel]
    metrics: Sequence[ChosenMetric]
    purpose: str = ""

    @property
    def typed(self) -> str:
        """Its path as a shell takes it, for commands that are told."""
        return shlex.quote(self.shown)

    @property
    def text(self) -> str:
        """The file's text."""
        return text_of(self.content)

    @property
    def place(self) -> str:
        """The recipe's path within the workspace, so that it is the same recipe when the folder is
        moved.
        """
        return place_in(self.workspace, self.path)

    @property
    def key(self) -> str:
        """Tells this recipe from others in the store, for "what changed since the last run"."""
        # Of two workspaces with one store, both may have a recipe at this place.
        others = [] if self.workspace.owns_store else [self.workspace.roots[0]]
        return digest(
            "recipe", self.place, *([self.purpose, *others] if self.purpose or others else [])
        )

    @property
    def recipe_place(self) -> RecipePlace:
        """Where it is, as notes in the store tell it."""
        return RecipePlace(self.place, self.workspace.roots)

    def resolve(self, path: str, dataset: str = "") -> Path:
        """A path in the recipe, relative to the recipe's folder; {dataset} stands for a dataset
        where there is one.
        """
        return self.path.parent / (path.replace("{dataset}", dataset) if dataset else path)

    def show(self, path: str, dataset: str = "") -> str:
        """A path in the recipe as messages show it."""
        try:
            target = self.resolve(path, dataset).resolve()
        except (OSError, ValueError, RuntimeError):
            # A NUL, or links in a circle.
            return path
        here = Path.cwd()
        return readable(target.relative_to(here) if target.is_relative_to(here) else target)


def readable(path: Path | str) -> str:
    """A path as text that any file and any message can hold: bytes that are not UTF-8
    are escapes.
    """
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def place_in(workspace: Workspace, path: Path) -> str:
    """A file's path relative to the workspace's root, with forward slashes."""
    return Path(os.path.relpath(path.resolve(), workspace.root)).as_posix()


def run_name(workspace: Workspace, path: Path) -> str:
    """What a recipe's runs are kept under: the file's name, with its folder if that is not the root
    or `recipes`; with `recipes` too where a recipe in the root has the name."""
    place = place_in(workspace, path)
    short = place.removeprefix("recipes/")
    place = place if (workspace.root / short).is_file() else short
    # Hazard: polars takes no path that is not UTF-8.
    name = readable(place.removesuffix(".toml").replace("../", "").lstrip("/"))
    return "/".join(
        f"{part}.toml" if _WRITTEN.fullmatch(part) else part for part in name.split("/")
    )


def load_recipe(path: Path) -> LoadedRecipe:
    """Read and check a recipe. Raises InputError with every problem found."""
    shown = readable(path)
    content = read_file(path, shown)
    data = parse_toml(content, shown)
    workspace = find_workspace(path.resolve().parent)
    recipe, problems = check_shape(Recipe, data, shown)
    metrics, more = _choose_metrics(data.get("metrics"), shown)
    problems += more
    if recipe is None:
        raise InputError(problems)
    own = {
        name: NamedModel(name, entry, path.resolve().parent, shown)
        for name, entry in recipe.models.items()
    }
    models = {**workspace.models, **own}
    name = run_name(workspace, path)
    loaded = LoadedRecipe(recipe, path.resolve(), shown, name, content, workspace, models, metrics)
    problems += [
        *_check_names(loaded),
        *_check_models(loaded),
        *_check_templates(loaded),
        *_check_files(loaded),
    ]
    problems += _check_endpoint(loaded)
    # Templates that are well formed can be looked into.
    problems += [] if problems else check_doubled(recipe, shown)
    if problems:
        raise InputError(problems)
    return loaded


def _choose_metrics(entries: Any, shown: str) -> tuple[list[ChosenMetric], list[Problem]]:
    """Metrics are checked even where the rest of the recipe is wrong, so that all is reported at
    once.
    """
    chosen = []
    problems = []
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        shaped, wrong = (
            check_shape(MetricEntry, entry, shown) if isinstance(entry, dict) else (None, [])
        )
        if wrong or shaped is None:
            continue  # Recipe's own check says so.
        metric, more = choose(shaped, shown, f"metrics[{i}]")
        problems += more
        if metric is not None:
            chosen.append(metric)
    return chosen, problems


def _check_names(loaded: LoadedRecipe) -> list[Problem]:
    recipe = loaded.recipe
    shown = loaded.shown
    datasets = [entry.name for entry in recipe.datasets]
    metrics = [entry.known_as for entry in recipe.metrics]
    problems = [
        *_used_twice(shown, "datasets", datasets, "Give each its own name"),
        *_used_twice(
            shown,
            "strategies",
            [entry.name for entry in recipe.strategies],
            "Give each its own name",
        ),
        *_used_twice(shown, "metrics", metrics, "Give one of them a 'label'"),
        *_check_limits(loaded, datasets),
    ]
    if OVERALL in datasets:
        what = f"'{OVERALL}' is the name of the verdict over all datasets"
        problems.append(
            Problem(shown, f"datasets[{datasets.index(OVERALL)}].name", what, "Choose another name")
        )
    if (name := recipe.selection_metric) not in metrics:
        problems.append(
            Problem(
                shown,
                "selection.metric",
                f"'{name}' is no metric of this recipe",
                suggest(name, metrics),
            )
        )
    for metric in loaded.metrics:
        if (
            recipe.selection.budget == "race"
            and metric.label == recipe.selection_metric
            and not metric.can_race
        ):
            what = f"'{metric.label}' is not from token scores, so scoring less of it saves no call"
            problems.append(
                Problem(
                    shown, "selection.budget", what, 'Select by a perplexity, or set budget = "all"'
                )
            )
    if recipe.own_outputs.keep == "correct":
        what = 'own_outputs.keep = "correct" needs an answer check'
        unchecked = [
            f"datasets[{i}]" for i, entry in enumerate(recipe.datasets) if entry.check is None
        ]
        problems += [
            Problem(shown, where, what, "Set 'answer' and 'label', or keep = \"all\"")
            for where in unchecked
        ]
    return problems


def _used_twice(shown: str, kind: str, names: Sequence[str], remedy: str) -> list[Problem]:
    again = [(i, name) for i, name in enumerate(names) if name in names[:i]]
    return [
        Problem(shown, f"{kind}[{i}].name", f"'{name}' is used twice", remedy) for i, name in again
    ]


def _check_limits(loaded: LoadedRecipe, datasets: Sequence[str]) -> list[Problem]:
    """Strategies limited to datasets: the names exist, and no dataset is left without a
    strategy.
    """
    strategies = loaded.recipe.strategies
    shown = loaded.shown
    problems = [
        Problem(
            shown,
            f"strategies[{i}].datasets",
            f"'{name}' is no dataset of this recipe",
            suggest(name, datasets),
        )
        for i, strategy in enumerate(strategies)
        for name in strategy.datasets or ()
        if name not in datasets
    ]
    for name in datasets:
        if not loaded.recipe.strategies_for(name):
            problems.append(
                Problem(
                    shown,
                    "strategies",
                    f"none is for dataset '{name}'",
                    "Add one, or take the dataset out",
                )
            )
    return problems


def _check_models(loaded: LoadedRecipe) -> list[Problem]:
    wanted = [("target.model", loaded.recipe.target.model)]
    wanted += [
        (f"strategies[{i}].model", s.model)
        for i, s in enumerate(loaded.recipe.strategies)
        if isinstance(s, ModelStrategy)
    ]
    wanted += [
        (f"metrics[{i}].model", source.model) for i, source in _rewards(loaded) if source.model
    ]
    return [
        Problem(
            loaded.shown,
            where,
            f"'{name}' is no model of this recipe or of respsel.toml",
            suggest(name, loaded.models),
        )
        for where, name in wanted
        if name not in loaded.models
    ]


def _check_endpoint(loaded: LoadedRecipe) -> list[Problem]:
    """A target behind an endpoint is scored there, which takes its tokenizer."""
    named = loaded.models.get(loaded.recipe.target.model)
    if named is None or named.entry.backend != "openai":
        return []
    where = f"models.{named.name}"
    entry = named.entry
    problems = []
    if any(metric.needs.views for metric in loaded.metrics) and not (
        entry.path or entry.package or entry.repo
    ):
        what = (
            "is the target, and scoring through an endpoint needs its own tokenizer, to know "
            "what the scores are of"
        )
        remedy = "Add where it is: 'package' and 'file', 'path', or 'repo' and 'revision'"
        problems.append(Problem(named.declared_in, where, what, remedy))
    for i, metric in enumerate(loaded.metrics):
        if metric.needs.hidden:
            what = f"'{metric.label}' needs hidden states, which an endpoint does not hand out"
            problems.append(
                Problem(
                    loaded.shown,
                    f"metrics[{i}]",
                    what,
                    "Take it out, or use backend 'transformers'",
                )
            )
    return problems


def _check_templates(loaded: LoadedRecipe) -> list[Problem]:
    problems = []
    for i, strategy in enumerate(loaded.recipe.strategies):
        if isinstance(strategy, ModelStrategy):
            problems += check_template(strategy.prompt, loaded.shown, f"strategies[{i}].prompt")
            if strategy.system is not None:
                problems += check_template(strategy.system, loaded.shown, f"strategies[{i}].system")
    for i, entry in enumerate(loaded.recipe.datasets):
        for name, text in (("input", entry.input), ("reference", entry.reference)):
            if text is not None and is_template(text):
                problems += check_template(text, loaded.shown, f"datasets[{i}].{name}")
    for i, source in _rewards(loaded):
        problems += check_template(source.prompt or "", loaded.shown, f"metrics[{i}].prompt")
    return problems


def _rewards(loaded: LoadedRecipe) -> list[tuple[int, RewardSource]]:
    """The sources of rewards, by the metric's place in the recipe."""
    return [
        (i, source) for i, metric in enumerate(loaded.metrics) if (source := metric.needs.reward)
    ]


def _check_files(loaded: LoadedRecipe) -> list[Problem]:
    recipe = loaded.recipe
    wanted = [(f"datasets[{i}].path", entry.path, "") for i, entry in enumerate(recipe.datasets)]
    for i, strategy in enumerate(recipe.strategies):
        if isinstance(strategy, FileStrategy):
            names = strategy.datasets or [entry.name for entry in recipe.datasets]
            wanted += [(f"strategies[{i}].path", strategy.path, name) for name in names]
    if recipe.own_outputs.path is not None:
        wanted += [
            ("own_outputs.path", recipe.own_outputs.path, entry.name) for entry in recipe.datasets
        ]
    faults = {}
    for where, path, dataset in wanted:
        shown = loaded.show(path, dataset)
        if fault := path_fault(path, loaded.resolve(path, dataset), shown):
            faults[where, shown] = Problem(loaded.shown, where, *fault)
    return list(faults.values())
