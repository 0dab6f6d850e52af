"""Explaining: what changed, old and new, and how far it reaches."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from typing import Any

import pytest

from respsel.strategies import VERSION
from tests.conftest import Bench, jsonl, rows


def explained(bench: Bench, *args: str, recipe: str = "a.toml") -> dict[str, Any]:
    done = bench.respsel("explain", recipe, *args, "--json")
    assert done.code == 0, done.err
    return {item["step"]["name"]: item for item in done.json}


def test_a_changed_prompt_is_shown_old_and_new(bench: Bench) -> None:
    """The field, its old and its new value, and the number of examples that must be asked again."""
    bench.run()
    bench.edit("Solve:", "Solve this:")
    item = explained(bench)["responses:sums/teacher"]
    assert item["changes"] == [
        {
            "where": "strategies.teacher.prompt",
            "old": "Solve: {{ input }}",
            "new": "Solve this: {{ input }}",
        }
    ]
    assert (item["step"]["calls"], item["step"]["examples"]) == (6, 6)
    assert item["inputs"] == []
    text = bench.respsel("explain", "a.toml", "responses:sums/teacher").out
    assert (
        "strategies.teacher.prompt changed: Solve: {{ input }} -> Solve this: {{ input }}" in text
    )
    assert "6 calls for 6 examples" in text


def test_a_larger_sample_counts_the_rows_that_are_new(bench: Bench) -> None:
    """An input that grew says how many rows are new, gone, changed and the same."""
    bench.run()
    bench.edit("sample = 6", "sample = 8")
    item = explained(bench)["own-outputs:sums"]
    assert item["inputs"] == [
        {"name": "examples:sums", "added": 2, "gone": 0, "changed": 0, "same": 6, "words": ""}
    ]
    assert (item["step"]["calls"], item["step"]["examples"]) == (4, 2)


def test_a_changed_row_is_counted(bench: Bench) -> None:
    """One example whose text changed is one changed row."""
    bench.run()
    first = next(iter(explained(bench)))
    assert first == "examples:sums"
    changed = [{**row, "rationale": "another"} for row in rows(12)]
    bench.write("sums.jsonl", jsonl(changed))
    items = explained(bench)
    assert items["examples:sums"]["changes"][0]["where"] == "datasets.sums.path (its content)"
    assert items["responses:sums/human"]["inputs"][0]["changed"] == 6


def test_a_judges_changed_prompt_is_the_metrics(bench: Bench) -> None:
    """What changed of a judge or of a mix is shown at its place among the metrics."""
    judge = '[[metrics]]\nname = "reward"\nmodel = "teacher"\nprompt = "Rate {{ response }}"\n\n'
    bench.edit(
        "[selection]", f'{judge}[[metrics]]\nname = "alignment-perplexity-mix"\n\n[selection]'
    )
    bench.run()
    bench.edit("Rate", "Judge")
    bench.edit(
        'name = "alignment-perplexity-mix"', 'name = "alignment-perplexity-mix"\nweight = 0.4'
    )
    items = explained(bench)
    assert items["rewards:sums/human/reward"]["changes"][0]["where"] == "metrics.reward.prompt"
    mix = items["scores:sums/human/alignment-perplexity-mix"]
    assert mix["changes"][0]["where"] == "metrics.alignment-perplexity-mix.weight"


# Stops before the first score in a short prompt: the plain view comes after the race.
STOPPED = """
import sys
from respsel.backends import fake
score = fake.FakeModel.score
def hooked(self, calls):
    for index, made in score(self, calls):
        if len(calls[index].prompt_ids) < 60:
            raise KeyboardInterrupt
        yield index, made
fake.FakeModel.score = hooked
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml"]
app()
"""


def test_a_race_that_went_otherwise_is_said(bench: Bench) -> None:
    """A race has no rows to count: after a stopped run it is said in words of what its laps
    changed.
    """
    bench.write("sums.jsonl", jsonl(rows(14)))
    bench.edit("sample = 6", "sample = 14")
    bench.edit("resamples = 500", 'metric = "self-aligned-perplexity"\nresamples = 500')
    bench.run()
    bench.edit("resamples = 500", 'resamples = 500\nbudget = "race"')

    def stop() -> str:
        done = subprocess.run(
            [sys.executable, "-c", STOPPED], cwd=bench.folder, capture_output=True, check=False
        )
        assert done.returncode == 130, done.stderr
        found = explained(bench)["token-scores:sums/human/plain"]["inputs"]
        return str(next(item["words"] for item in found if item["name"] == "race:sums"))

    bench.edit('variant = "teacher"', 'variant = "other"')
    assert stop() == "there was no race"
    bench.run()
    bench.edit("resamples = 500", "resamples = 500\nconfidence = 0.9")
    bench.edit("Solve:", "Explain:")
    assert stop() == "the race went differently"
    told = bench.respsel("explain", "a.toml", "token-scores:sums/human/plain").out
    assert "race:sums changed: the race went differently" in told
    assert "no longer in the store" not in told


PROMPT = 'prompt = "Solve: {{ input }}"'
TEACHER = "responses:sums/teacher"


def test_a_copied_recipe_is_compared_with_the_one_it_was_copied_from(bench: Bench) -> None:
    """Under another name a recipe has no run of its own: what really differs is told, and against
    what.
    """
    bench.run()
    bench.write("b.toml", bench.recipe.read_text().replace("Solve:", "Solve this:"))
    item = explained(bench, recipe="b.toml")[TEACHER]
    assert [change["where"] for change in item["changes"]] == ["strategies.teacher.prompt"]
    assert item["against"] == "responses:sums/teacher of a.toml"
    assert (item["step"]["calls"], item["step"]["examples"]) == (6, 6)
    reason = "prompt changed (against responses:sums/teacher of a.toml)"
    assert (
        f"{TEACHER}: to run, {reason}; 6 calls for 6 examples"
        in bench.respsel("explain", "b.toml", TEACHER).out
    )
    planned = {
        step["name"]: step for step in bench.respsel("plan", "b.toml", "--json").json["steps"]
    }
    assert planned[TEACHER]["reason"] == reason


def test_a_renamed_strategy_is_compared_with_what_it_was(bench: Bench) -> None:
    """A new name and a new prompt: the prompt is what changed, and its inputs are the same."""
    bench.run()
    bench.edit('name = "teacher"', 'name = "tutor"')
    bench.edit("Solve:", "Solve this:")
    item = explained(bench)["responses:sums/tutor"]
    assert [change["where"] for change in item["changes"]] == ["strategies.tutor.prompt"]
    assert item["inputs"] == []
    assert item["against"] == "responses:sums/teacher of a.toml"


def test_a_reverted_strategy_is_compared_with_the_run_before_last(bench: Bench) -> None:
    """After a detour, the nearest of all stored steps is told, not the last one."""
    bench.run()
    bench.edit(PROMPT, 'prompt = "Think. Solve: {{ input }}"\nsystem = "s"')
    bench.run()
    bench.edit('prompt = "Think. Solve: {{ input }}"\nsystem = "s"', PROMPT + "\nattempts = 2")
    item = explained(bench)[TEACHER]
    assert [change["where"] for change in item["changes"]] == ["strategies.teacher.attempts"]
    assert item["against"].startswith("a step stored 20")
    assert item["against"].endswith("that no latest run has")


def test_of_equally_near_steps_the_recipes_own_last_run_is_told(bench: Bench) -> None:
    """Where another recipe's step is as near, though newer, the own last run is compared with,
    without a word.
    """
    bench.run()
    bench.write("b.toml", bench.recipe.read_text().replace("Solve:", "Another:"))
    assert bench.respsel("run", "b.toml").code == 0
    bench.edit("Solve:", "Solve this:")
    item = explained(bench)[TEACHER]
    assert item["changes"][0]["old"] == "Solve: {{ input }}"
    assert item["against"] is None


def test_of_equally_near_steps_of_others_the_newest_is_told(bench: Bench) -> None:
    """Without an own run, the newest of the equally near ones."""
    for name in ("One", "Two"):
        bench.write("b.toml", bench.recipe.read_text().replace("Solve:", f"{name}:"))
        assert bench.respsel("run", "b.toml").code == 0
    assert explained(bench)[TEACHER]["changes"][0]["old"] == "Two: {{ input }}"


def test_another_version_of_an_operation_is_named(bench: Bench) -> None:
    """A step that a newer respsel would run anew says that its operation changed."""
    bench.run()
    code = "import respsel.strategies as s; s.VERSION += 1; from respsel.cli import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", code, "explain", "a.toml", TEACHER],
        cwd=bench.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{TEACHER}: to run, operation changed" in done.stdout
    assert (
        f"respsel's operation 'responses' changed: version {VERSION} -> version {VERSION + 1}"
        in done.stdout
    )


def test_a_step_whose_result_is_gone_says_so(bench: Bench) -> None:
    """Where nothing changed, what became of the stored result is the reason."""
    bench.run()
    with sqlite3.connect(bench.folder / "cache/cache.db") as db:
        db.execute("DELETE FROM Cache WHERE key LIKE 'step/%'")
    db.close()
    reasons = {name: item["step"]["reason"] for name, item in explained(bench).items()}
    assert reasons["examples:sums"] == "its stored result is damaged or gone"
    assert reasons[TEACHER] == "a call failed in its last run, or its record was damaged"


def test_a_cached_step_says_since_when_it_is_stored(bench: Bench) -> None:
    """For a cached step: how many rows, and since when."""
    begun = time.time()
    bench.run()
    item = explained(bench)[TEACHER]
    assert begun - 1 < item["stored_at"] < time.time()
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(item["stored_at"]))
    assert (
        f"{TEACHER}: cached, unchanged; 6 rows, stored since {since}"
        in bench.respsel("explain", "a.toml").out
    )


def test_an_unchanged_recipe_is_all_cached(bench: Bench) -> None:
    """After a run every step is cached and nothing has changed."""
    bench.run()
    assert all(
        item["step"]["state"] == "cached" and not item["changes"]
        for item in explained(bench).values()
    )


@pytest.mark.parametrize(
    ("old", "new", "step", "where"),
    [
        (
            "k = 2",
            "k = 1",
            "scores:sums/human/self-aligned-perplexity",
            "metrics.self-aligned-perplexity.k",
        ),
        ("resamples = 500", "resamples = 600", "verdict:sums", "selection.resamples"),
        ("samples = 2", "samples = 3", "own-outputs:sums", "own_outputs.samples"),
        (
            'answer = "number"',
            'answer = "exact"',
            "responses:sums/human",
            "datasets.sums.answer.kind",
        ),
        (
            'variant = "teacher"',
            'variant = "other"',
            "responses:sums/teacher",
            "strategies.teacher.model.variant",
        ),
    ],
)
def test_places_are_those_of_the_recipe(
    bench: Bench, old: str, new: str, step: str, where: str
) -> None:
    """A change is named by its place in the recipe."""
    bench.run()
    bench.edit(old, new)
    item = explained(bench)[step]
    if item["step"]["state"] == "run":
        assert where in [change["where"] for change in item["changes"]]
    else:
        assert item["step"]["state"] == "waits"


def test_an_unknown_step_is_told(bench: Bench) -> None:
    """A misspelt step name gets a suggestion; a beginning of a name gives all that begin so."""
    done = bench.respsel("explain", "a.toml", "response:sums/teacher")
    assert done.code == 2
    assert (
        "a.toml: response:sums/teacher: is not a step of this recipe. Did you mean "
        "'responses:sums/teacher'?" in done.err
    )
    assert set(explained(bench, "responses:")) == {"responses:sums/human", "responses:sums/teacher"}


def test_a_tokenizer_that_is_read_differently_is_said(bench: Bench) -> None:
    """Scores from before there was a version are of the first one: the plan, explain and diff say
    what changed, once.
    """
    bench.run()
    code = (
        "import respsel.backends.registry as r\n"
        "from respsel.hashing import canonical_json, digest\n"
        "made = r.KnownModel\n"
        "def known(named, fields, identity, weights, template):\n"
        "    fields = {**fields, 'tokenizer_reading': 2}\n"
        "    return made(named, fields, digest('model', canonical_json(fields)), weights, "
        "template)\n"
        "r.KnownModel = known\n"
        "from respsel.cli import app; app()"
    )

    def later(*args: str) -> str:
        command = [sys.executable, "-c", code, *args]
        done = subprocess.run(
            command, cwd=bench.folder, capture_output=True, check=False, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = later("explain", "a.toml", "token-scores:sums/human/plain")
    assert "reading of its tokenizer changed" in told
    assert "    respsel's reading of the GGUF's tokenizer changed: version 1 -> version 2\n" in told
    assert "target.model" not in told
    bench.edit("resamples = 500", "resamples = 600")
    later("run", "a.toml")
    done = bench.respsel("diff", "a.toml")
    assert done.code == 0, done.err
    told = done.out
    assert (
        told.count(
            "outside the recipe: respsel's reading of the GGUF's tokenizer: version 1 -> version 2"
        )
        == 1
    )
    assert "tokenizer_reading" not in told
