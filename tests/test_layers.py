"""The design's rules on who may import whom, held by reading the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "respsel"
# From the bottom up; a module imports only from lower layers or its own.
LAYERS = (
    {"changes", "characters", "child_process", "disk", "errors", "hashing", "number_text", "records"} | {"respsel", "whitespace"},
    {"endings", "sandbox", "server_words", "completions", "sample"},
    {"data", "shape", "tables", "recipe", "model_entry", "plugins", "statistics", "gaps", "parts", "publish", "read_only"}
    | {"request_parameters"},
    {"workspace", "answers", "steps", "datasets", "prompts", "sealed", "store", "turns", "costs"}
    | {"verdict"}
    | {"store_folder", "write_ahead", "notes", "unfinished", "upkeep"},
    {"backends", "metrics"},
    {"requests", "loading", "elsewhere", "tokenizer_check"},
    {"call_records"},
    {"calls", "strategies", "selection", "choices", "racing", "race_scores", "token_scores", "own_outputs", "measuring"},
    {"graph", "models", "given_scores"},
    {"ledger", "nearest"},
    {"planner", "runner"},
    {"progress", "report", "runs", "doctor", "training_text", "applying"},
    {"training"},
    {"export"},
    {"causes", "explain", "diff"},
    {"study"},
    {"text", "model_text"},
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
    """A module imports only from its own layer or lower ones."""
    for name in imports(path):
        if name.startswith("respsel."):
            part = name.split(".")[1]
            assert RANK.get(part, 0) <= RANK[top(path)], f"{path.name} imports {name}"


@pytest.mark.parametrize(
    ("library", "only"), [("hashlib", {"hashing"}), ("diskcache", {"sealed"}), ("llama_cpp", {"backends"}), ("sys", {"cli"})]
)
def test_some_libraries_have_one_home(library: str, only: set[str]) -> None:
    """hashlib, diskcache, llama_cpp and sys are imported in one place each."""
    homes = {top(path) for path in MODULES if any(name == library or name.startswith(f"{library}.") for name in imports(path))}
    assert homes == only


def test_help_is_light() -> None:
    """`respsel --help` imports no engine, no polars, no scipy and no numpy."""
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom respsel.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = ('torch', 'transformers', 'llama_cpp', 'polars', 'scipy', 'numpy', 'diskcache', 'rich')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("options", [["--json"], []])
def test_a_cached_run_imports_neither_polars_nor_an_engine(tmp_path: Path, options: list[str]) -> None:
    """When nothing is to be done, nothing heavy is loaded."""
    from tests.conftest import RECIPE, Bench, jsonl, rows

    bench = Bench(tmp_path)
    bench.write("a.toml", RECIPE)
    bench.write("sums.jsonl", jsonl(rows(12)))
    bench.run()
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom respsel.cli import app\n"
        f"assert CliRunner().invoke(app, ['run', 'a.toml', *{options}]).exit_code == 0\n"
        "heavy = ('llama_cpp', 'polars', 'scipy', 'numpy', 'sacrebleu', 'jinja2', 'rich', 'respsel.nearest')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"


def test_names_of_steps_have_one_owner() -> None:
    """No module but graph/names.py spells or takes apart the name of a step."""
    ops = "examples|responses|own-outputs|race|token-scores|representations|rewards|scores|mixes|choices|verdict"
    spelled = re.compile(rf"""["'](?:{ops}):["'{{]|name\.(?:r?partition|split)\(":"\)""")
    assert not [path.name for path in MODULES if path.name != "names.py" and spelled.search(path.read_text())]


def test_modules_that_know_the_store_alone_import_nothing_else() -> None:
    """What looks after the store and its unfinished runs reads notes, and no recipe, graph or run."""
    known = {"errors", "hashing", "notes", "parts", "sealed", "store", "store_folder", "turns", "unfinished"}
    for name in ("notes", "unfinished", "upkeep"):
        found = {part.split(".")[1] for part in imports(PACKAGE / f"{name}.py") if part.startswith("respsel.")}
        assert found <= known, name
