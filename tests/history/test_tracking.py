"""Verdicts go to trackers only when that is asked for, once, and without texts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from respsel import open_study
from tests.conftest import Bench


class Mlflow:
    """Stands in for mlflow's client; keeps what it is given."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: list[dict[str, Any]] = []
        self.fails = ""

    def get_experiment_by_name(self, name: str) -> Any:
        place = self.experiments.get(name)
        return place and SimpleNamespace(experiment_id=place)

    def create_experiment(self, name: str) -> str:
        self.experiments[name] = f"e{len(self.experiments)}"
        return self.experiments[name]

    def create_run(self, place: str, run_name: str, tags: dict[str, str]) -> Any:
        made = {"place": place, "name": run_name, "tags": tags, "metrics": {}, "params": {}}
        self.runs.append({**made, "files": []})
        return SimpleNamespace(info=SimpleNamespace(run_id=str(len(self.runs) - 1)))

    def log_batch(self, run: str, metrics: Any = (), params: Any = ()) -> None:
        if self.fails:
            raise ConnectionError(self.fails)
        self.runs[int(run)]["metrics"].update({m.key: m.value for m in metrics})
        self.runs[int(run)]["params"].update({p.key: p.value for p in params})

    def log_artifact(self, run: str, path: str) -> None:
        self.runs[int(run)]["files"].append(path)

    def set_terminated(self, run: str, status: str) -> None:
        self.runs[int(run)]["status"] = status


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    """MLflow's packages, with one client that remembers."""
    client = Mlflow()

    def pair(key: str, value: Any, *_: Any) -> Any:
        return SimpleNamespace(key=key, value=value)

    entities = SimpleNamespace(Metric=pair, Param=pair)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    tracking = SimpleNamespace(MlflowClient=lambda: client)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", tracking)
    return client


@contextmanager
def ran(bench: Bench) -> Iterator[Any]:
    with open_study(bench.recipe) as study:
        yield SimpleNamespace(result=study.run(), study=study)


def test_nothing_is_logged_unasked(bench: Bench, mlflow: Mlflow) -> None:
    """A package that is installed is not reason enough."""
    with ran(bench):
        assert mlflow.runs == []


def test_a_verdict_is_logged_once(bench: Bench, mlflow: Mlflow) -> None:
    """Scores, intervals and the answer; again only when the run differs."""
    bench.write("respsel.toml", '[tracking]\nto = ["mlflow"]\nproject = "mine"\n')
    with ran(bench) as first:
        (verdict,) = first.result.verdicts
    with ran(bench):
        (run,) = mlflow.runs
    assert mlflow.experiments == {"mine": "e0"}
    assert (run["place"], run["name"], run["status"]) == ("e0", "a", "FINISHED")
    for ranked in verdict.ranking:
        assert run["metrics"][f"sums/{ranked.strategy}/score"] == ranked.score
        assert run["metrics"][f"sums/{ranked.strategy}/low"] == ranked.low
    assert run["metrics"]["sums/decided"] == float(verdict.decided)
    assert run["params"]["target"] == "target"
    assert run["tags"]["sums/leads"] == verdict.winner
    bench.edit("sample = 6", "sample = 7")
    with ran(bench):
        assert len(mlflow.runs) == 2


@pytest.mark.parametrize("report", [False, True])
def test_texts_stay_here_unless_the_report_is_asked_for(
    bench: Bench, mlflow: Mlflow, report: bool
) -> None:
    """No input and no response is in what is logged; with `report = true` the page is."""
    said = f'[tracking]\nto = ["mlflow"]\nreport = {str(report).lower()}\n'
    bench.write("respsel.toml", said)
    with ran(bench) as first:
        page = str(first.result.page)
    (run,) = mlflow.runs
    assert run["files"] == ([page] if report else [])
    assert "What is" not in str({**run, "files": []})


def test_a_prompt_that_was_set_stays_here(bench: Bench, mlflow: Mlflow) -> None:
    """The keys that were set are logged, and runs can be told apart."""
    bench.write("respsel.toml", '[tracking]\nto = ["mlflow"]\n')
    for prompt in ("Secret {{ input }}", "Other secret {{ input }}"):
        with open_study(bench.recipe, changes={"strategies.teacher.prompt": prompt}) as study:
            study.run()
    first, second = mlflow.runs
    assert "ecret" not in str(mlflow.runs)
    assert first["name"] == second["name"] == "a"
    assert first["params"]["changed"] == "strategies.teacher.prompt"
    assert first["params"]["variant"] != second["params"]["variant"]


def test_a_tracker_that_fails_stops_nothing(bench: Bench, mlflow: Mlflow) -> None:
    """The run is whole, the failure is told, and the next run logs it."""
    bench.write("respsel.toml", '[tracking]\nto = ["mlflow"]\n')
    mlflow.fails = "no route to host\nand more"
    with ran(bench) as first:
        (problem,) = first.study.untracked
        assert first.result.page.exists()
    assert str(problem) == (
        "respsel.toml: tracking.to: mlflow did not take the verdict: no route to host. "
        "The next run tries again."
    )
    assert mlflow.runs[0]["status"] == "FAILED"
    mlflow.fails = ""
    with ran(bench) as second:
        assert second.study.untracked == ()
    assert [run["status"] for run in mlflow.runs] == ["FAILED", "FINISHED"]


def test_a_tracker_that_is_not_installed_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the extra to install."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    bench.write("respsel.toml", '[tracking]\nto = ["wandb"]\n')
    with ran(bench) as first:
        (problem,) = first.study.untracked
    assert "tracking.to: 'wandb' is not installed" in str(problem)
    assert "pip install 'respsel[wandb]'" in str(problem)


def test_an_unknown_tracker_is_refused(bench: Bench) -> None:
    """Before anything runs."""
    bench.write("respsel.toml", '[tracking]\nto = ["tensorboard"]\n')
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert "respsel.toml: line 2, tracking.to, item 1" in done.err
