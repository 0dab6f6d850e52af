"""The workspace: respsel.toml says where the store and the runs are, and which models have names.

Knows nothing of recipes. Invariant: there is always a workspace. Without a respsel.toml the
recipe's own folder is one, with the defaults.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from respsel.errors import InputError
from respsel.recipe.model import ModelEntry, Name, NamedModel
from respsel.recipe.places import Place, Source, file_source
from respsel.recipe.toml import parse_toml, read_file
from respsel.recipe.validation import check_shape

FILE_NAME = "respsel.toml"
DEFAULT_GIB = 20.0


class TrackingEntry(BaseModel):
    """Experiment trackers that get the verdict of each run that differs."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    to: tuple[Literal["mlflow", "wandb"], ...] = Field(
        (), description="The trackers. Default: none."
    )
    project: str = Field(
        "respsel", min_length=1, description="MLflow's experiment, or W&B's project."
    )
    report: bool = Field(
        False, description="Log the report's page too. It has texts of the data and of models."
    )


class WorkspaceEntry(BaseModel):
    """What respsel.toml may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    store: str = Field("cache", description="Folder of the store, relative to this file.")
    runs: str = Field("runs", description="Folder of the reports, relative to this file.")
    largest_download_gib: float = Field(
        DEFAULT_GIB, gt=0, description="The most that one address of data may download, in GiB."
    )
    models: Mapping[Name, ModelEntry] = Field(
        default_factory=dict, description="Models by name, for all recipes of the workspace."
    )
    tracking: TrackingEntry = Field(
        default_factory=lambda: TrackingEntry(), description="Where runs are also logged."
    )


@dataclass(frozen=True)
class Workspace:
    """Where things are kept; all paths are absolute.

    root: the folder of respsel.toml.
    store: the folder of the store.
    runs: the folder of the reports.
    models: by name, the models that respsel.toml declares.
    tracking: where the verdicts of its runs are logged.
    most_download_bytes: the most that one address of data may download.
    """

    root: Path
    store: Path
    runs: Path
    models: Mapping[str, NamedModel]
    tracking: TrackingEntry
    most_download_bytes: int = int(DEFAULT_GIB * (1 << 30))

    @cached_property
    def owns_store(self) -> bool:
        """Whether the store, or a link to it, is in this workspace and not in one within it.

        Others may use the store too.
        """
        store = Path(os.path.normpath(self.store))
        return store.is_relative_to(self.root) and _marked_folder(store) in (self.root, None)

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """The root's paths from the store, with forward slashes.

        The first is from where the store is. A second is from the link to the store, if the
        workspace has one. They stay when both are moved together.
        """
        stores = (self.store.resolve(), Path(os.path.normpath(self.store)))
        return tuple(
            dict.fromkeys(Path(os.path.relpath(self.root, store)).as_posix() for store in stores)
        )


def find_workspace(start: Path) -> Workspace:
    """Return the workspace of the nearest respsel.toml in `start` or above it.

    Raises InputError for a respsel.toml that is wrong.
    """
    # Path.resolve raises for a link that leads back to itself.
    start = Path(os.path.realpath(start))
    root = _marked_folder(start)
    if root is None:
        return _workspace(start, WorkspaceEntry())
    content = read_file(root / FILE_NAME, FILE_NAME)
    data = parse_toml(content, FILE_NAME)
    place = Place(file_source(FILE_NAME, data, content))
    entry, problems = check_shape(WorkspaceEntry, data, place)
    if problems:
        raise InputError(problems)
    workspace = _workspace(root, entry, place.source)
    store = Path(os.path.realpath(workspace.store))
    runs = Path(os.path.realpath(workspace.runs))
    # A store around the workspace is refused when it is opened, for what it holds.
    if runs.is_relative_to(store) and not root.is_relative_to(store):
        what = "is the store's folder, or in it, and the store wants that for itself"
        raise InputError(place.at("runs").problem(what, "Name another folder"))
    return workspace


def _marked_folder(start: Path) -> Path | None:
    # What is there but is not a file, such as a folder or a link to itself, is an error on reading.
    return next(
        (folder for folder in (start, *start.parents) if os.path.lexists(folder / FILE_NAME)), None
    )


def _workspace(root: Path, entry: WorkspaceEntry, source: Source | None = None) -> Workspace:
    models = {
        name: NamedModel(name, model, root, FILE_NAME, source)
        for name, model in entry.models.items()
    }
    most_bytes = int(entry.largest_download_gib * (1 << 30))
    return Workspace(
        root, root / entry.store, root / entry.runs, models, entry.tracking, most_bytes
    )
