"""Whatever stands at whichever key: the problem names the entry and line, and no class of ours."""

from __future__ import annotations

import copy
import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import respsel.recipe.judge
import respsel.recipe.model
import respsel.recipe.schema
import respsel.workspace.workspace
from respsel.errors import Problem
from respsel.metrics.registry import choose
from respsel.recipe.key_paths import KeyPath
from respsel.recipe.places import Place, Source, file_source
from respsel.recipe.schema import MetricEntry, Recipe
from respsel.recipe.toml import parse_toml
from respsel.recipe.toml_lines import key_lines, nearest_line
from respsel.recipe.validation import check_shape
from respsel.workspace.workspace import WorkspaceEntry

ROOT = Path(__file__).parents[2]
_MODULES = (
    respsel.recipe.judge,
    respsel.recipe.model,
    respsel.recipe.schema,
    respsel.workspace.workspace,
)
_CLASSES = {
    name
    for module in _MODULES
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, BaseModel)
}
# pydantic's and Python's words; and indices, which nobody counts.
_FOREIGN = re.compile(
    r"Input should|instance of|\bdict|tuple|NoneType|literal\[|function-|\bstr\b|\bint\b|pydantic|"
    r"validat\w+ error|(?:strategies|datasets|metrics|models|examples)\[|Strategy\b|Entry\b"
)
_VALUES: tuple[Any, ...] = (
    *(3, -1, 0.5, 1e300, float("nan"), True, "", "no such word", [], [1], [[]], {}, {"x": 1}),
    *([{"x": 1}], {"name": 1}, ["a", "b", "c"], datetime.date(2024, 1, 1)),
)


def _pages() -> list[str]:
    """The recipe of docs/recipe.md, which has nearly every key, and the shipped ones."""
    page = (ROOT / "docs" / "recipe.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    return ["\n".join(blocks), *(path.read_text() for path in ROOT.glob("recipes/*.toml"))]


def _paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    items: Any = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _changed(data: Any, path: KeyPath, value: Any) -> Any:
    """A copy with another value at a path. Ellipsis takes it out."""
    made = copy.deepcopy(data)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return made


def _problems(kind: type[BaseModel], data: Any, text: str, path: KeyPath) -> list[Problem]:
    origin = file_source("a.toml", data, text.encode()).origin
    place = Place(Source("a.toml", data, origin))
    problems = check_shape(kind, data, place)[1]
    metrics = data.get("metrics") if path[0] == "metrics" else []
    for i, entry in enumerate(metrics if isinstance(metrics, list) else []):
        if isinstance(entry, dict):
            at = place.at("metrics", i)
            shaped, _ = check_shape(MetricEntry, entry, at)
            problems += choose(shaped, at)[1] if shaped else []
    return problems


def _check(problems: list[Problem], lines: set[str]) -> None:
    for problem in problems:
        said = str(problem)
        assert not _FOREIGN.search(said), said
        assert not _CLASSES.intersection(re.findall(r"\w+", said)), said
        assert any(problem.where.startswith(line) for line in lines), (said, lines)


def _mutations(kind: type[BaseModel], text: str, seen: set[KeyPath]) -> Iterator[list[Problem]]:
    """The problems of the text with each kind of path changed once, checked on the way."""
    data = parse_toml(text.encode(), "a.toml")
    lines = key_lines(text)
    for path in list(_paths(data)):
        named = path[:2] if path[0] == "models" else ()
        generic = tuple("#" if isinstance(key, int) else key for key in path[len(named) :])
        generic = ("models", "#", *generic) if named else generic
        if generic in seen:
            continue
        seen.add(generic)
        at = nearest_line(lines, path)
        around = nearest_line(lines, path[:-1])
        places = {f"line {line}" for line in (at, around) if line} | ({""} if not around else set())
        for value in (*_VALUES, ...):
            found = _problems(kind, _changed(data, path, value), text, path)
            # A wrong value may also leave its neighbours without sense, in the same table.
            inner = {f"line {line}" for key, line in lines.items() if key[:2] == path[:2]}
            _check(found, places | inner)
            yield found
        if isinstance(path[-1], str):
            found = _problems(kind, _changed(data, (*path[:-1], "unknwon"), 1), text, path)
            _check(found, places | {""})
            yield found


def test_no_wrong_value_is_told_in_the_words_of_python() -> None:
    """Each value of the recipes replaced by others, taken out, and with an unknown neighbour."""
    seen: set[KeyPath] = set()
    count = sum(bool(found) for text in _pages() for found in _mutations(Recipe, text, seen))
    assert count > 500
    workspace = (ROOT / "respsel.toml").read_text()
    assert sum(bool(found) for found in _mutations(WorkspaceEntry, workspace, set())) > 50
