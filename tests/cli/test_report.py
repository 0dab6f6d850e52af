"""`respsel report`: from the store alone."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import respsel
from respsel.cli import app
from respsel.cli.browser import open_page
from respsel.report.analysis.samples import choose_samples
from tests.conftest import Bench, jsonl, rows


def files(bench: Bench) -> dict[str, bytes]:
    folder = bench.folder / "runs/a"
    return {path.name: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}


def test_it_writes_the_report_again(bench: Bench) -> None:
    """What was deleted or changed by hand is written anew from the store, the same but for its time
    and counts.
    """
    bench.run()
    before = files(bench)
    (bench.folder / "runs/a/report.html").write_text("scribbled over")
    (bench.folder / "runs/a/scores.parquet").unlink()
    done = bench.respsel("report", "a.toml")
    assert done.code == 0, done.err
    assert done.out == f"Report: {Path('runs/a/report.html')}\n"
    after = files(bench)
    assert after.keys() == before.keys()
    assert after["scores.parquet"] == before["scores.parquet"]
    old = json.loads(before["report.json"])
    new = json.loads(after["report.json"])
    del old["provenance"], new["provenance"]
    assert old == new


@pytest.mark.parametrize("kind", ["html", "md", "json"])
def test_a_format_is_printed_and_nothing_written(bench: Bench, kind: str) -> None:
    """--format prints the report alone and leaves the files as they are."""
    bench.run()
    before = files(bench)
    done = bench.respsel("report", "a.toml", "--format", kind)
    assert done.code == 0, done.err
    which = json.loads(before["report.json"])["headline"]["which"]
    assert which in done.out
    if kind == "json":
        assert done.json["headline"]["which"] == which
    assert files(bench) == before


def test_it_opens_no_model(bench: Bench) -> None:
    """A recipe whose models can no longer be opened still has its report."""
    bench.run()
    (bench.folder / "sitecustomize.py").write_text(
        "from respsel.backends import fake\n"
        "def explode(*args, **options): raise AssertionError('a model was opened')\n"
        "fake.FakeBackend.__init__ = explode\n"
    )
    done = bench.respsel(
        "report",
        "a.toml",
        env={"PYTHONPATH": f"{bench.folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
    )
    assert done.code == 0, done.err


def test_what_was_not_run_has_no_report(bench: Bench) -> None:
    """Missing steps are named with the command that makes them, and nothing is written."""
    done = bench.respsel("report", "a.toml")
    assert done.code == 1
    assert "error: a.toml: " in done.err
    assert (
        "steps are not in the store, the first is examples:sums. Run: respsel run a.toml"
        in done.err
    )
    bench.run()
    before = files(bench)
    bench.edit("Solve:", "Please solve:")
    done = bench.respsel("report", "a.toml")
    assert done.code == 1
    assert "the first is responses:sums/teacher. Run: respsel run a.toml" in done.err
    assert files(bench) == before


def test_a_damaged_result_is_not_made_again_here(bench: Bench) -> None:
    """Damage is reported with the command that mends it, since that may take a model."""
    bench.run()
    with sqlite3.connect(bench.folder / "cache/cache.db") as database:
        touched = database.execute(
            "UPDATE Cache SET value = zeroblob(9) WHERE key LIKE 'rows/%' AND value IS NOT NULL"
        )
        assert touched.rowcount > 0
    database.close()
    done = bench.respsel("report", "a.toml")
    assert done.code == 1
    assert "a stored result is damaged. Run: respsel run a.toml" in done.err
    assert bench.respsel("run", "a.toml").code == 0
    assert bench.respsel("report", "a.toml").code == 0


def test_the_samples_are_not_picked() -> None:
    """Shown are the first three in sample order, and the one where leader and runner-up differ
    most.
    """
    scores = np.zeros((8, 3))
    scores[6, 1] = 5
    chosen = choose_samples([f"e{i}" for i in range(8)], scores, ["a", "b", "c"])
    assert list(chosen) == ["e0", "e1", "e2", "e6"]
    assert chosen["e6"] == "where a and b differ most"
    assert len(choose_samples(["e0"], np.full((1, 2), np.nan), ["a", "b"])) == 1


def test_the_page_stays_small(bench: Bench) -> None:
    """Long responses do not make a page of more than 2 MB; what is left out is said."""
    long = [{**row, "rationale": f"<&> {row['rationale']} " * 8000} for row in rows(12)]
    bench.write("sums.jsonl", jsonl(long))
    bench.edit(
        'backend = "fake"\n\n[models.teacher]',
        'backend = "fake"\ncontext_tokens = 2000000\n\n[models.teacher]',
    )
    bench.run()
    page = files(bench)["report.html"]
    assert len(page) < 2_000_000
    assert b"characters more" in page


@pytest.mark.parametrize(
    ("environment", "found", "told"),
    [
        ({"DISPLAY": ":0"}, True, ""),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True, ""),
        ({"BROWSER": "firefox"}, True, ""),
        ({"DISPLAY": ":0"}, False, "no browser is found"),
        ({}, True, "there is no display"),
        ({"DISPLAY": "for lynx"}, True, "no browser is found"),
        ({"DISPLAY": ":0", "BROWSER": "w3m"}, True, "BROWSER is w3m, which needs a terminal"),
        ({"DISPLAY": ":0"}, OSError("no such file"), "the browser cannot be started: no such file"),
    ],
)
def test_a_page_is_opened_where_there_is_a_browser(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    environment: dict[str, str],
    found: bool | OSError,
    told: str,
) -> None:
    """Where there is none it is said why; nothing is raised, and none in the terminal starts."""
    opened: list[str] = []

    class Browser:
        name = "lynx" if environment.get("DISPLAY") == "for lynx" else "firefox"

        def open(self, address: str) -> bool:
            opened.append(address)
            if isinstance(found, OSError):
                raise found
            return found

    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("webbrowser.get", Browser)
    page = tmp_path / "a b.html"
    assert open_page(page) == told
    if not told:
        assert opened == [page.as_uri()]


def test_open_says_the_path_where_there_is_no_browser(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is written and the command succeeds; with --format there is no file to open."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.chdir(bench.folder)
    with respsel.open_study(bench.recipe) as study:
        study.run()
    done = CliRunner().invoke(app, ["report", "a.toml", "--open"])
    assert done.exit_code == 0, done.output
    page = bench.folder / "runs/a/report.html"
    assert f"Not opened: there is no display. Open this file yourself: {page}" in done.output
    assert CliRunner().invoke(app, ["report", "a.toml", "--open", "--format", "md"]).exit_code == 2
