"""Plug-ins of other packages: found through entry points, in the keys with their version, and
refused by name.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tomli

from tests.conftest import Bench

EXAMPLE = Path(__file__).parents[1] / "docs" / "example_plugin"


def install(bench: Bench, version: str = "1.0", entry: str | None = None) -> dict[str, str]:
    """Lay the example of the docs out as an installer would; return the environment
    that finds it.
    """
    site = bench.folder / "site"
    site.mkdir(exist_ok=True)
    shutil.copy(EXAMPLE / "respsel_worst_token.py", site)
    project = tomli.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    for old in site.glob("*.dist-info"):
        shutil.rmtree(old)
    info = site / f"respsel_worst_token-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {entry or target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return {"PYTHONPATH": f"{site}:{Path(__file__).parents[1] / 'src'}"}


def test_the_example_of_the_docs_runs(bench: Bench) -> None:
    """A recipe uses the plug-in's metric over a scored view without a call, and `respsel metrics`
    names where it is from.
    """
    bench.run()
    env = install(bench)
    bench.edit('name = "alignment"', 'name = "alignment"\n\n[[metrics]]\nname = "worst-token"')
    done = bench.respsel("run", "a.toml", "--json", env=env)
    assert done.code == 0, done.err
    assert done.json["calls_made"] == 0
    assert "worst-token" in (bench.folder / "runs/a/report.md").read_text()
    listed = bench.respsel("metrics", env=env)
    assert "[respsel-worst-token 1.0]" in listed.out
    again = bench.respsel("run", "a.toml", "--json", env=env)
    assert again.json["steps_run"] == 0


def test_another_version_of_a_plugin_is_computed_anew(bench: Bench) -> None:
    """The distribution's version is in the keys of its scores, and in no other."""
    bench.edit('name = "alignment"', 'name = "alignment"\n\n[[metrics]]\nname = "worst-token"')
    first = bench.respsel("run", "a.toml", "--json", env=install(bench))
    assert first.code == 0, first.err
    done = bench.respsel("run", "a.toml", "--json", env=install(bench, version="1.1"))
    assert (done.json["steps_run"], done.json["calls_made"]) == (2, 0)


def test_runs_can_be_compared_without_the_plugin(bench: Bench) -> None:
    """diff names a score whose metric is no longer installed, and compares the rest."""
    bench.edit('name = "alignment"', 'name = "alignment"\n\n[[metrics]]\nname = "worst-token"')
    env = install(bench)
    assert bench.respsel("run", "a.toml", env=env).code == 0
    bench.edit('column = "rationale"', 'column = "question"')
    assert bench.respsel("run", "a.toml", env=env).code == 0
    done = bench.respsel("diff", "a.toml")
    assert done.code == 0, done.err
    assert "not compared, its metric is not installed: scores:sums/human/worst-token" in done.out
    assert "scores:sums/human/perplexity: " in done.out


def test_a_broken_plugin_is_one_error(bench: Bench) -> None:
    """A plug-in that cannot be imported, or is no metric, is an error that names its package."""
    bench.edit('name = "alignment"', 'name = "worst-token"')
    for entry, message in (
        ("nowhere:X", "cannot be loaded: ModuleNotFoundError"),
        ("json:dumps", "is a function, not a Metric"),
    ):
        done = bench.respsel("plan", "a.toml", env=install(bench, entry=entry))
        assert done.code == 3
        assert (
            f"error: respsel-worst-token 1.0: respsel.metrics: worst-token: {message}" in done.err
        )
        assert "Traceback" not in done.err


def test_a_plugin_takes_no_name_of_ours(bench: Bench) -> None:
    """A plug-in cannot put itself in the place of a metric that respsel has."""
    env = install(bench)
    info = next((bench.folder / "site").glob("*.dist-info"))
    (info / "entry_points.txt").write_text(
        "[respsel.metrics]\nperplexity = respsel_worst_token:WORST_TOKEN\n"
    )
    done = bench.respsel("metrics", env=env)
    assert done.code == 3
    assert "has a name that is taken" in done.err


STRATEGY = """
[[strategies]]
name = "backwards"
from = "plugin"
plugin = "reversed"
options = { words = 3 }

[own_outputs]"""


def test_a_strategy_of_a_plugin_is_one_like_others(bench: Bench) -> None:
    """Its texts are scored and ranked beside the others; other options are other responses, and
    only those are scored.
    """
    env = install(bench)
    bench.edit("[own_outputs]", STRATEGY)
    done = bench.respsel("run", "a.toml", "--json", env=env)
    assert done.code == 0, done.err
    assert "backwards" in {ranked["strategy"] for ranked in done.json["verdicts"][0]["ranking"]}
    bench.edit("words = 3", "words = 4")
    assert bench.respsel("run", "a.toml", "--json", env=env).json["calls_made"] == 12


def test_a_backend_of_a_plugin_is_one_like_others(bench: Bench) -> None:
    """It is asked through the contract, and what it says of its model's identity is in the keys."""
    env = install(bench)
    entry = '[models.target]\nbackend = "plugin"\nplugin = "seeded"\noptions = { seed = 1 }'
    bench.edit('[models.target]\nbackend = "fake"', entry)
    first = bench.respsel("run", "a.toml", "--json", env=env)
    assert (first.code, first.json["calls_made"]) == (0, 42), first.err
    bench.edit("seed = 1", "seed = 2")
    assert bench.respsel("run", "a.toml", "--json", env=env).json["calls_made"] == 36
    bench.edit("seed = 2", "seed = 1")
    assert bench.respsel("run", "a.toml", "--json", env=env).json["calls_made"] == 0


def test_a_plugin_that_is_not_there_is_told(bench: Bench) -> None:
    """A name that no installed package gives is an error at its place in the recipe."""
    bench.edit("[own_outputs]", STRATEGY.replace("reversed", "reverse"))
    done = bench.respsel("plan", "a.toml", env=install(bench))
    assert done.code == 2
    where = "strategy 'backwards', plugin"
    assert (
        f"{where}: no installed package gives a plug-in 'reverse'. Did you mean 'reversed'?"
        in done.err
    )


DATED = """
from dataclasses import replace
from datetime import date
from typing import Any
from respsel.metrics.contract import Parameters
from respsel_worst_token import WORST_TOKEN
class Dated(Parameters):
    since: date
    most: Any = 1.0
DATED = replace(WORST_TOKEN, parameters=Dated)
"""


def test_a_metrics_parameters_may_be_of_any_type_that_a_key_can_hold(bench: Bench) -> None:
    """A date is one, as TOML has it or as text; infinity is an error at its place before anything
    is planned.
    """
    bench.write("site/dated.py", DATED)
    env = install(bench, entry="dated:DATED")
    bench.edit('name = "alignment"', 'name = "worst-token"\nsince = 2024-01-01')
    first = bench.respsel("run", "a.toml", "--json", env=env)
    assert first.code == 0, first.err
    bench.edit("2024-01-01", '"2024-01-01"')
    assert bench.respsel("run", "a.toml", "--json", env=env).json["steps_run"] == 0
    bench.edit('"2024-01-01"', '"2024-01-02"\nmost = [inf]')
    done = bench.respsel("plan", "a.toml", env=env)
    assert done.code == 2
    assert (
        "metric 'worst-token': not a JSON value: most[0] = inf. Write it as text, in quotes."
        in done.err
    )


def test_a_strategy_that_fails_is_told(bench: Bench) -> None:
    """What a plug-in raises is an error that names its package; the store keeps what was done."""
    bench.edit("[own_outputs]", STRATEGY.replace("words = 3", 'words = "x"'))
    done = bench.respsel("run", "a.toml", env=install(bench))
    assert done.code == 1
    assert "the plug-in of respsel-worst-token 1.0 failed: TypeError" in done.err


ENDING = """
from dataclasses import replace
import respsel_worst_token as example
class Gone(BaseException):
    pass
def end(*_args, **_options):
    raise ERROR
WORST_TOKEN = replace(example.WORST_TOKEN, measure=end)
REVERSED = replace(example.REVERSED, respond=end)
SEEDED = example.BackendPlugin(example.identify, end)
class Model:
    def __init__(self, of):
        self._of = of
    def __getattr__(self, name):
        if name == "text":
            return Model(self._of.text)
        return end if name == "prompt_ids" else getattr(self._of, name)
ASKED = example.BackendPlugin(example.identify, lambda *given: Model(example.open_model(*given)))
NAMED = example.BackendPlugin(end, example.open_model)
"""
SEEDED = '[models.target]\nbackend = "plugin"\nplugin = "seeded"\noptions = { seed = 1 }'


@pytest.mark.parametrize(
    ("entry", "old", "new", "code", "error"),
    [
        ("ending:WORST_TOKEN", 'name = "alignment"', 'name = "worst-token"', 1, "SystemExit(0)"),
        ("ending:REVERSED", "[own_outputs]", STRATEGY, 1, "SystemExit('bye')"),
        ("ending:SEEDED", '[models.target]\nbackend = "fake"', SEEDED, 1, "Gone('away')"),
        ("ending:ASKED", '[models.target]\nbackend = "fake"', SEEDED, 1, "SystemExit(0)"),
        ("ending:NAMED", '[models.target]\nbackend = "fake"', SEEDED, 1, "SystemExit(2)"),
        (
            "ending_at_once:WORST_TOKEN",
            'name = "alignment"',
            'name = "worst-token"',
            3,
            "SystemExit(0)",
        ),
    ],
)
def test_a_plugin_that_ends_the_program_is_named(
    bench: Bench, entry: str, old: str, new: str, code: int, error: str
) -> None:
    """sys.exit in a metric, strategy or backend, at import, when opened or asked, is a failure with
    the package's name.
    """
    source = ENDING.replace("ERROR", error)
    bench.write("site/ending.py", source)
    bench.write("site/ending_at_once.py", f"{source}\nend()\n")
    env = install(bench, entry=entry)
    bench.edit(old, new)
    done = bench.respsel("run", "a.toml", env=env)
    assert done.code == code, done.err
    last = done.err.rstrip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "respsel-worst-token 1.0" in last
    assert error.partition("(")[0] in last
