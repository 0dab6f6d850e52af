"""A recipe file to a LoadedRecipe: read, checked, with its models and metrics found.

Knows nothing of data and weights. Invariant: every problem that can be seen without reading them is
reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from respsel.errors import InputError, Problem
from respsel.metrics.contract import ChosenMetric
from respsel.metrics.registry import choose
from respsel.recipe.model import NamedModel
from respsel.recipe.places import Place, Source, file_source
from respsel.recipe.schema import MetricEntry, Recipe
from respsel.recipe.toml import parse_toml, read_file
from respsel.recipe.validation import check_shape
from respsel.workspace.checks import check_recipe
from respsel.workspace.loaded_recipe import LoadedRecipe, place_in, readable
from respsel.workspace.variant import AS_IT_IS, NO_CHANGES, Changes, Variant
from respsel.workspace.workspace import Workspace, find_workspace

# What a run writes in its recipe's folder under runs/. A recipe or folder of such a name keeps
# `.toml` in the name of its own folder: `report.html.toml` in a folder `a` next to the recipe `a`.
_WRITTEN = re.compile(
    r"(report\.(html|md|json)|manifest\.json|\w+\.parquet|\d{8}-\d{6}-[0-9a-f]{8}|\..*\.part.*"
    r"|with-.*-[0-9a-f]{8})"
    r"(\.toml)*",
    re.IGNORECASE,
)
_PAGES = re.compile(r"examples(\.toml)*", re.IGNORECASE)


def load_recipe(path: Path, changes: Changes = NO_CHANGES) -> LoadedRecipe:
    """Read and check a recipe, with what it extends and with changes.

    Raises InputError with every problem found.
    """
    shown = readable(path)
    content = read_file(path, shown)
    workspace = find_workspace(path.resolve().parent)
    data = parse_toml(content, shown)
    if changes or "extends" in data or "without" in data:
        return _load_changed(data, content, path, workspace, changes)
    return checked_recipe(data, content, path, workspace, AS_IT_IS)


def _load_changed(
    data: dict[str, Any], content: bytes, path: Path, workspace: Workspace, changes: Changes
) -> LoadedRecipe:
    """A recipe that extends others or is changed, from its file's data."""
    # Late: most recipes are as their files have them.
    from respsel.workspace.bases import compose
    from respsel.workspace.origins import Origins, written_out

    shown = readable(path)
    composed = compose(data, path, shown)
    whole = composed.data
    variant = AS_IT_IS
    if changes:
        from respsel.workspace.changes import change

        whole, variant = change(whole, changes, _declared(workspace, path.resolve().parent))
    own = file_source(shown, whole, content)
    source = Source(shown, whole, Origins(own, composed.layers, variant).origin)
    written = written_out(whole, composed.layers, variant)
    return checked_recipe(whole, written, path, workspace, variant, source)


def checked_recipe(
    data: dict[str, Any],
    content: bytes,
    path: Path,
    workspace: Workspace,
    variant: Variant = AS_IT_IS,
    source: Source | None = None,
) -> LoadedRecipe:
    """A recipe's data as a LoadedRecipe. Raises InputError with every problem found.

    source: where the data is from, if not all of it is from the content.
    """
    shown = readable(path)
    source = source or file_source(shown, data, content)
    recipe, problems = check_shape(Recipe, data, Place(source))
    metrics, more = _choose_metrics(data.get("metrics"), Place(source, ("metrics",)))
    problems += more
    if recipe is None:
        raise InputError(problems)
    own = {
        name: NamedModel(name, entry, path.resolve().parent, shown, source)
        for name, entry in recipe.models.items()
    }
    name = run_name(workspace, path)
    loaded = LoadedRecipe(
        recipe=recipe,
        path=path.resolve(),
        shown=shown,
        name=f"{name}/{variant.folder}" if variant else name,
        content=content,
        source=source,
        workspace=workspace,
        models={**workspace.models, **own},
        metrics=metrics,
        variant=variant,
    )
    if problems := [*problems, *check_recipe(loaded, deeply=not problems)]:
        raise InputError(problems)
    return loaded


def _declared(workspace: Workspace, folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """By name, the workspace's models as a recipe in a folder would declare them."""
    from respsel.workspace.bases import moved_entry

    entries = {
        name: named.entry.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for name, named in workspace.models.items()
    }
    home = workspace.root
    return {name: moved_entry("models", item, home, folder) for name, item in entries.items()}


def _choose_metrics(entries: Any, place: Place) -> tuple[list[ChosenMetric], list[Problem]]:
    """The metrics, and what is wrong with their parameters.

    They are checked even where the rest of the recipe is wrong, so that all is reported at once.
    """
    chosen = []
    problems = []
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        shaped, wrong = (
            check_shape(MetricEntry, entry, place.at(i)) if isinstance(entry, dict) else (None, [])
        )
        if wrong or shaped is None:
            continue  # Recipe's own check says so.
        metric, more = choose(shaped, place.at(i))
        problems += more
        if metric is not None:
            chosen.append(metric)
    return chosen, problems


def run_name(workspace: Workspace, path: Path) -> str:
    """The folder under `runs` that a recipe's runs are kept in: the file's name without `.toml`.

    The recipe's folder comes before it, unless that is the root or `recipes`. `recipes` comes
    before it too where a recipe in the root has the same name.
    """
    place = place_in(workspace, path)
    short = place.removeprefix("recipes/")
    place = place if (workspace.root / short).is_file() else short
    # Hazard: polars takes only paths that are UTF-8.
    name = readable(place.removesuffix(".toml").replace("../", "").lstrip("/"))
    # Nothing is written at the top of runs/, where folders of recipes may be called `examples`.
    return "/".join(
        f"{part}.toml" if _WRITTEN.fullmatch(part) or (deep and _PAGES.fullmatch(part)) else part
        for deep, part in enumerate(name.split("/"))
    )
