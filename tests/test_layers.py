"""The design's rules on who may import whom, held by reading the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "respsel"
# From the bottom up: folders, and the few modules beside them. A room imports only from rooms below
# it.
LAYERS = (
    {"respsel"},
    {"errors", "hashing", "records"},
    {"system", "text", "sandbox", "replies", "plugins", "tables"},
    {"recipe", "store"},
    {"answers", "health", "selection", "remote"},
    {"data", "metrics"},
    {"workspace"},
    {"backends"},
    {"calls"},
    {"strategies"},
    {"scoring"},
    {"graph"},
    {"plan", "run"},
    {"watch"},
    {"report"},
    {"history", "training", "draft"},
    {"study"},
    {"compare"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def top(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards(path: Path) -> None:
    """A module imports only from its own room or from rooms of lower layers."""
    room = top(path)
    for name in imports(path):
        if name.startswith("respsel."):
            other = name.split(".")[1]
            below = RANK.get(other, 0) < RANK[room]
            assert other == room or below, f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize(
    ("library", "only"),
    [
        ("hashlib", {"hashing"}),
        ("diskcache", {"store"}),
        ("llama_cpp", {"backends"}),
        ("sys", {"cli"}),
    ],
)
def test_some_libraries_have_one_home(library: str, only: set[str]) -> None:
    """hashlib, diskcache, llama_cpp and sys are imported in one place each."""
    homes = {
        top(path)
        for path in MODULES
        if any(name == library or name.startswith(f"{library}.") for name in imports(path))
    }
    assert homes == only


def test_help_is_light() -> None:
    """`respsel --help` imports no engine, no polars, no scipy and no numpy."""
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom respsel.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = ('torch', 'transformers', 'llama_cpp', 'polars', 'scipy', 'numpy', 'diskcache', "
        "'rich')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("options", [["--json"], []])
def test_a_cached_run_imports_neither_polars_nor_an_engine(
    tmp_path: Path, options: list[str]
) -> None:
    """When nothing is to be done, nothing heavy is loaded."""
    from tests.conftest import RECIPE, Bench, jsonl, rows

    bench = Bench(tmp_path)
    bench.write("a.toml", RECIPE)
    bench.write("sums.jsonl", jsonl(rows(12)))
    bench.run()
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom respsel.cli import app\n"
        f"assert CliRunner().invoke(app, ['run', 'a.toml', *{options}]).exit_code == 0\n"
        "heavy = ('llama_cpp', 'polars', 'scipy', 'numpy', 'sacrebleu', 'jinja2', 'rich', "
        "'respsel.plan.nearest')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"


def test_names_of_steps_have_one_owner() -> None:
    """No module but graph/names.py spells or takes apart the name of a step."""
    ops = (
        "examples|responses|own-outputs|race|token-scores|representations|rewards|preferences|"
        "scores|mixes|choices|verdict"
    )
    spelled = re.compile(rf"""["'](?:{ops}):["'{{]|name\.(?:r?partition|split)\(":"\)""")
    assert not [
        path.name
        for path in MODULES
        if path.name != "names.py" and spelled.search(path.read_text())
    ]
