"""A recipe that was read and checked: its entries by name, its files, and its key in the store.

Knows nothing of how it was read. Invariant: nothing here reads the recipe's file again.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from respsel.data.file_sets import FileSet, local_files
from respsel.hashing import digest
from respsel.metrics.contract import ChosenMetric
from respsel.recipe.model import NamedModel
from respsel.recipe.places import Place, Source
from respsel.recipe.schema import DatasetEntry, Recipe, StrategyEntry
from respsel.recipe.toml import text_of
from respsel.remote.kinds import is_address
from respsel.store.notes import RecipePlace
from respsel.workspace.variant import AS_IT_IS, Variant
from respsel.workspace.workspace import Workspace


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe, where it is, and what its names stand for.

    recipe: what the file says.
    path: the file, absolute.
    shown: its path as the user gave it.
    name: the folder under `runs` that its runs are kept in.
    content: the file's bytes as they were read; it may be edited or moved while a run goes on.
        Where it extends others or was changed, all of it written out.
    source: where in the file, or in others, each value stands.
    workspace: where its store and runs are.
    models: by name, the models of the recipe and of the workspace.
    metrics: the metrics in the recipe's order.
    purpose: what the recipe was changed for, if it is not as the file has it.
    variant: what the user changed it by.
    """

    recipe: Recipe
    path: Path
    shown: str
    name: str
    content: bytes
    source: Source
    workspace: Workspace
    models: Mapping[str, NamedModel]
    metrics: Sequence[ChosenMetric]
    purpose: str = ""
    variant: Variant = AS_IT_IS

    def at(self, *path: str | int) -> Place:
        """A place in the recipe, by keys and numbers, for problems."""
        return Place(self.source, path)

    def dataset(self, name: str) -> DatasetEntry:
        """The dataset with a name."""
        return next(entry for entry in self.recipe.datasets if entry.name == name)

    def strategy(self, name: str) -> StrategyEntry:
        """The strategy with a name."""
        return next(entry for entry in self.recipe.strategies if entry.name == name)

    def metric(self, label: str) -> ChosenMetric:
        """The metric with a label."""
        return next(metric for metric in self.metrics if metric.label == label)

    @property
    def selected_metric(self) -> ChosenMetric:
        """The metric that decides."""
        return self.metric(self.recipe.selection_metric)

    @property
    def typed(self) -> str:
        """Its path as a shell takes it, with the options that changed it.

        For commands in messages.
        """
        path = shlex.quote(self.shown)
        return f"{path} {self.variant.options}" if self.variant else path

    @property
    def typed_without_limit(self) -> str:
        """As `typed`, for the recipe's own number of examples."""
        return replace(self, variant=replace(self.variant, limit=None)).typed

    @property
    def unchanged_name(self) -> str:
        """The name of the recipe as its file has it."""
        return self.name.removesuffix(f"/{self.variant.folder}") if self.variant else self.name

    @property
    def title(self) -> str:
        """Its name for people, with what the user changed it by."""
        changed = f" ({self.variant.words})" if self.variant else ""
        return f"{self.unchanged_name}{changed}"

    @property
    def changed_for(self) -> str:
        """What it was changed for and by, in words; empty if it is as the file has it."""
        return ", ".join(part for part in (self.purpose, self.variant.words) if part)

    @property
    def text(self) -> str:
        """The file's text."""
        return text_of(self.content)

    @property
    def place(self) -> str:
        """The recipe's path within the workspace; it stays when the workspace is moved."""
        return place_in(self.workspace, self.path)

    @property
    def key(self) -> str:
        """What tells this recipe from others in the store's notes."""
        # Two workspaces with one store may both have a recipe at this place.
        root = [] if self.workspace.owns_store else [self.workspace.roots[0]]
        details = [self.purpose, *root] if self.purpose or root else []
        details += ["variant", self.variant.options] if self.variant else []
        return digest("recipe", self.place, *details)

    @property
    def recipe_place(self) -> RecipePlace:
        """Where it is, as notes in the store say it."""
        return RecipePlace(self.place, self.workspace.roots)

    def resolve(self, path: str, dataset: str = "") -> Path:
        """A path in the recipe, relative to the recipe's folder.

        dataset: what {dataset} in the path stands for, if anything.
        """
        return self.path.parent / (path.replace("{dataset}", dataset) if dataset else path)

    def local_files(self, path: str, dataset: str = "") -> FileSet:
        """The files of a path that is no address; see resolve."""
        return local_files(self.resolve(path, dataset), self.show(path, dataset))

    def show(self, path: str, dataset: str = "") -> str:
        """A path or an address in the recipe as messages show it."""
        if is_address(path):
            from respsel.remote.addresses import shown as shown_address

            return shown_address(path.replace("{dataset}", dataset) if dataset else path)
        try:
            target = self.resolve(path, dataset).resolve()
        except (OSError, ValueError, RuntimeError):
            # A NUL, or links in a circle.
            return path
        here = Path.cwd()
        return readable(target.relative_to(here) if target.is_relative_to(here) else target)


def readable(path: Path | str) -> str:
    """A path as text for any file and any message: bytes that are not UTF-8 are escaped."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def place_in(workspace: Workspace, path: Path) -> str:
    """A file's path relative to the workspace's root, with forward slashes."""
    return Path(os.path.relpath(path.resolve(), workspace.root)).as_posix()
