"""A data file to a first recipe that runs: drafted, checked, and written where nothing was.

Knows nothing of terminals. Invariants: no file that exists is changed, and a recipe is written only
if `respsel validate` would find nothing wrong with it. It is written last, so it is never there
without what it needs.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from respsel.draft import names
from respsel.draft.columns import CONVERSATION, LookedAt, one_text
from respsel.draft.proposal import Proposal, used_columns
from respsel.draft.recipe_text import SCHEMAS, Facts, recipe_text, workspace_text
from respsel.draft.target import Target, TargetWish, choose_target, relative_path
from respsel.errors import InputError, Problem, RunError
from respsel.plan.check import Checked, check_study
from respsel.recipe.model import ModelEntry, NamedModel
from respsel.recipe.schema import Recipe
from respsel.recipe.schema_line import RECIPE_SCHEMA, WORKSPACE_SCHEMA, schema_text
from respsel.recipe.toml import parse_toml
from respsel.system.disk import remedy_of, why_of
from respsel.system.parts import write_new
from respsel.workspace.loaded_recipe import LoadedRecipe, readable
from respsel.workspace.loading import checked_recipe
from respsel.workspace.workspace import (
    FILE_NAME,
    Workspace,
    WorkspaceEntry,
    find_workspace,
)

IGNORED = ".gitignore"
_IGNORED_TEXT = "# What respsel makes: results that it reuses, and reports.\n/cache/\n/runs/\n"


@dataclass(frozen=True)
class Place:
    """Where a draft is written.

    recipe: the recipe's file.
    workspace: the one that it belongs to.
    is_new: whether that has no respsel.toml yet.
    """

    recipe: Path
    workspace: Workspace
    is_new: bool

    @property
    def folder(self) -> Path:
        """The recipe's folder."""
        return self.recipe.parent

    @property
    def shown(self) -> str:
        """The recipe's path from here, as messages show it."""
        return shown_from_here(self.recipe)

    @property
    def command(self) -> str:
        """What runs the recipe."""
        return f"respsel run {shlex.quote(self.shown)}"


@dataclass(frozen=True)
class Draft:
    """A checked recipe that is not written yet.

    files: what is written, in this order; the recipe is the last one.
    checked: what the check of the recipe found.
    """

    place: Place
    target: Target
    files: Mapping[Path, str]
    checked: Checked

    @property
    def examples(self) -> int:
        """How many examples the dataset has."""
        return sum(item.examples for item in self.checked.datasets)


def find_place(folder: Path, name: str, option: str = "--name") -> Place:
    """Where a recipe of a name goes. Raises InputError if something is there already."""
    folder = folder.absolute()
    root = next((f for f in (folder, *folder.parents) if os.path.lexists(f / FILE_NAME)), None)
    workspace = find_workspace(folder)
    recipe = folder / f"{name}.toml"
    if recipe.name.casefold() == FILE_NAME:
        what = f"{FILE_NAME} is the name of the workspace's file"
        raise InputError(Problem(shown_from_here(recipe), "", what, f"Give another {option}"))
    refuse_existing(recipe, f"Give the recipe another name ({option} NAME), or move that away")
    return Place(recipe, workspace, root is None)


def refuse_existing(path: Path, remedy: str) -> None:
    """Raise InputError where something is already, or where no file can be."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        what = f"cannot be written: {why_of(error)}"
        remedy = remedy_of(error, "Give another DIR")
        raise InputError(Problem(shown_from_here(path), "", what, remedy)) from error
    else:
        raise InputError(Problem(shown_from_here(path), "", "exists, and is left as it is", remedy))


def draft_recipe(
    data: Path, looked: LookedAt, proposal: Proposal, place: Place, wish: TargetWish
) -> Draft:
    """Draft the recipe for a data file and check it. Raises InputError; nothing is written."""
    target = choose_target(wish, place.workspace, place.folder)
    facts = _facts(data, looked, proposal, place, target)
    text = recipe_text(proposal, target, facts)
    with _made(place.folder):
        # Only where its folder is there can be said that the name is too long.
        refuse_existing(place.recipe, "Move it away, and run this again")
        checked = _check(text, place, target)
    return Draft(place, target, {**support_files(place, target), place.recipe: text}, checked)


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Have a folder while a draft is checked: the way to its data may lead through it.

    What was made for it goes again. Raises RunError if it cannot be made.
    """
    missing = [part for part in (folder, *folder.parents) if not os.path.lexists(part)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield
    finally:
        for part in missing:
            with suppress(OSError):
                part.rmdir()


def _check(text: str, place: Place, target: Target) -> Checked:
    """Check a recipe that is not written yet. Raises InputError with all that is wrong."""
    checked = check_study(_load(text, place, target))
    if checked.problems:
        raise InputError(checked.problems)
    return checked


def support_files(place: Place, target: Target) -> dict[Path, str]:
    """What is written beside a recipe, as far as it is not there."""
    files = {}
    folder = place.folder
    if place.is_new:
        files[folder / IGNORED] = _IGNORED_TEXT
        files[folder / SCHEMAS / WORKSPACE_SCHEMA] = schema_text(WorkspaceEntry, WORKSPACE_SCHEMA)
    files[folder / SCHEMAS / RECIPE_SCHEMA] = schema_text(Recipe, RECIPE_SCHEMA)
    if place.is_new:
        files[folder / FILE_NAME] = workspace_text(target)
    return {path: text for path, text in files.items() if not os.path.lexists(path)}


def write_files(files: Mapping[Path, str]) -> None:
    """Write files where nothing is. Raises InputError where something came meanwhile.

    Raises RunError where they cannot be written.
    """
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_new(path, text.encode())
        except FileExistsError as error:
            refuse_existing(path, "Move it away, and run this again")
            raise _unwritable(path, error) from error
        except OSError as error:
            raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> RunError:
    what = f"cannot be written: {why_of(error)}"
    return RunError(Problem(shown_from_here(path), "", what, remedy_of(error, "Give another DIR")))


def shown_from_here(path: Path) -> str:
    """A path as a user here would type it."""
    here = Path.cwd()
    return readable(path.relative_to(here) if path.is_relative_to(here) else path)


def _load(text: str, place: Place, target: Target) -> LoadedRecipe:
    """The drafted recipe as it will be loaded. Raises InputError."""
    content = text.encode()
    workspace = place.workspace
    if place.is_new and target.entry is not None:
        entry = ModelEntry.model_validate(target.entry)
        model = NamedModel(target.name, entry, workspace.root, FILE_NAME)
        workspace = replace(workspace, models={target.name: model})
    shown = Path(place.shown)
    return checked_recipe(parse_toml(content, place.shown), content, shown, workspace)


def _facts(data: Path, looked: LookedAt, proposal: Proposal, place: Place, target: Target) -> Facts:
    responses = [name for name in proposal.responses if name in looked.columns]
    lengths = {name: _lengths(looked, name) for name in used_columns(looked, proposal)}
    asked = sum(max(lengths[name], default=0) for name in lengths if name not in proposal.responses)
    path = relative_path(data, place.folder)
    _refuse_unwritable(path, data)
    return Facts(
        command=place.command,
        dataset=_dataset_name(data),
        path=path,
        rows=looked.rows if looked.is_whole else None,
        empty={name: looked.rows - looked.columns[name].filled for name in responses},
        row_bytes=int(max((median(lengths[name] or [0]) for name in responses), default=400)),
        longest_bytes=asked + max((max(lengths[name], default=0) for name in responses), default=0),
        declares=target.entry is not None and not place.is_new,
    )


def _lengths(looked: LookedAt, name: str) -> Sequence[int]:
    column = looked.columns[name]
    if column.kind == CONVERSATION:
        return [len(json.dumps(value, ensure_ascii=False).encode()) for value in column.values]
    texts = (one_text(value) for value in column.values)
    return [len((text or "").encode(errors="replace")) for text in texts]


def _dataset_name(data: Path) -> str:
    stem = data.name
    for ending in (".gz", ".bz2", ".xz"):
        stem = stem.removesuffix(ending)
    name = names.slug(Path(stem).stem, "data")
    return "data" if name == "overall" else name


def recipe_name(data: Path) -> str:
    """The name of a recipe for a data file."""
    name = _dataset_name(data)
    return "my-data" if f"{name.casefold()}.toml" == FILE_NAME else name


def _refuse_unwritable(path: str, data: Path) -> None:
    """Raise InputError for a path that TOML cannot hold."""
    try:
        path.encode()
    except UnicodeEncodeError:
        what = "has a name that is not UTF-8"
        raise InputError(Problem(readable(data), "", what, "Rename it")) from None
