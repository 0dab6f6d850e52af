"""Comparing recorded runs."""

from __future__ import annotations

from tests.conftest import Bench


def test_the_last_two_runs_of_a_recipe(bench: Bench) -> None:
    """A changed prompt shows in recipe, responses, scores and verdict; what did not change is left out."""
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    found = bench.respsel("diff", "a.toml", "--json").json
    assert [change["where"] for change in found["recipe"]] == ["strategies.teacher.prompt"]
    (response,) = found["responses"]
    assert response["name"] == "responses:sums/teacher"
    assert response["counts"]["changed"] == 6
    assert len(response["texts"]) == 3
    assert {score["name"].split("/")[1] for score in found["scores"]} == {"teacher"}
    for score in found["scores"]:
        comparison = score["comparison"]
        assert comparison["examples"] == 6
        assert comparison["low"] <= comparison["difference"] <= comparison["high"]
    assert [verdict["dataset"] for verdict in found["verdicts"]] == ["sums"]
    text = bench.respsel("diff", "a.toml").out
    assert "strategies.teacher.prompt: Solve: {{ input }} -> Solve this: {{ input }}" in text


def test_a_run_that_changes_nothing_is_not_recorded_again(bench: Bench) -> None:
    """Recorded runs are those that differ; one is too few to compare, and that is said."""
    bench.run()
    bench.run()
    assert len(list((bench.folder / "runs/a").glob("*/run.json"))) == 1
    done = bench.respsel("diff", "a.toml")
    assert done.code == 2
    assert "a.toml: has 1 recorded runs that differ, and two are needed" in done.err


def test_strategies_that_come_and_go_are_named(bench: Bench) -> None:
    """A strategy that only one run has is listed as such; runs can be given by their folders."""
    bench.run()
    bench.edit('name = "teacher"', 'name = "tutor"')
    bench.run()
    first, second = sorted((bench.folder / "runs/a").glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    found = bench.respsel("diff", str(first.parent), str(second), "--json").json
    assert "responses:sums/teacher" in found["only_before"]
    assert "responses:sums/tutor" in found["only_after"]
    assert found["responses"] == []
    assert found["not_stored"] == []


def test_runs_given_by_folder_find_their_store(bench: Bench) -> None:
    """Without a respsel.toml too, two folders are compared with the store that they were made with."""
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    folders = sorted(
        (path.parent for path in (bench.folder / "runs/a").glob("*/run.json")), key=lambda path: path.stat().st_mtime
    )
    found = bench.respsel("diff", *map(str, folders), "--json").json
    assert found["responses"][0]["counts"]["changed"] == 6
    assert not (folders[0] / "cache").exists()


def test_a_damaged_record_is_told(bench: Bench) -> None:
    """A run.json that is no record is exit code 2, not a crash."""
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    for text in ('{"steps": []}', "{}", "no json"):
        next((bench.folder / "runs/a").glob("*/run.json")).write_text(text)
        done = bench.respsel("diff", "a.toml")
        assert done.code == 2
        assert "is no recorded run" in done.err


def test_runs_are_never_needed(bench: Bench) -> None:
    """Deleting all recorded runs and reports costs no call."""
    import shutil

    bench.run()
    shutil.rmtree(bench.folder / "runs")
    done = bench.run()
    assert (done["calls_made"], done["steps_run"]) == (0, 0)
    assert (bench.folder / "runs/a/report.html").exists()


def test_tables_that_are_no_longer_stored_are_said(bench: Bench) -> None:
    """After gc an old run's tables may be gone: diff says so and compares the rest."""
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    assert bench.respsel("cache", "gc", "--yes").code == 0
    done = bench.respsel("diff", "a.toml")
    assert done.code == 0
    assert "no longer in the store: responses:sums/teacher" in done.out


def test_what_is_no_run_is_told(bench: Bench) -> None:
    """A path that is no recorded run is exit code 2."""
    done = bench.respsel("diff", "runs/x", "runs/y")
    assert done.code == 2
    assert "runs/x: is no recorded run: No such file or directory" in done.err
