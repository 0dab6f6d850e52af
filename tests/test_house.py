"""The house rules that can be counted: its size, its circles, and how dense its code is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "respsel"
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_MODULES_AT_THE_TOP = 8
MOST_COLUMNS = 100
MOST_LINES_A_FUNCTION = 40


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imported(path: Path, modules: set[str]) -> Iterator[str]:
    """Our own modules that a module imports, also inside functions and for types only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in modules or node.module in modules:
                    yield full if full in modules else node.module


def test_few_modules_stand_at_the_top() -> None:
    """What belongs to a folder lies in it."""
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_MODULES_AT_THE_TOP


def test_every_folder_says_what_it_is() -> None:
    """The docstring of a package is its line in ARCHITECTURE.md's tree."""
    folders = {path.parent for path in MODULES} - {PACKAGE}
    tree = (ROOT / "ARCHITECTURE.md").read_text()
    for folder in folders:
        assert f"{folder.name}/" in tree, folder
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder


def test_imports_make_no_circle() -> None:
    """No module imports itself by way of others."""
    modules = {name_of(path) for path in MODULES}
    graph = {name_of(path): {*imported(path, modules)} - {name_of(path)} for path in MODULES}
    # The public face names what it hands out, and is imported for its version.
    graph["respsel"] = set()
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_code_is_not_dense(path: Path) -> None:
    """Lines and functions are short, and a statement assigns one value."""
    text = path.read_text()
    # A pattern without a blank cannot be broken; ruff counts as this does.
    lines = [line.partition("  # type: ")[0] for line in text.splitlines()]
    assert not [line for line in lines if len(line) > MOST_COLUMNS and " " in line.strip()]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            assert node.end_lineno - node.lineno < MOST_LINES_A_FUNCTION, node.name
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            assert not isinstance(node.targets[0], ast.Tuple), f"line {node.lineno} assigns several"
