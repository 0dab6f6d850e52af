"""`respsel validate`: all of a recipe that needs no model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from respsel.cli import app
from tests.conftest import TAKING, Bench, jsonl, rows


@pytest.fixture(autouse=True)
def here(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.folder)


def validate(*args: str) -> Result:
    return CliRunner().invoke(app, ["validate", "a.toml", *args])


def test_a_sound_recipe_is_told_in_a_few_lines(bench: Bench) -> None:
    """Datasets with their numbers, strategies, metrics and models; exit 0; nothing is written."""
    before = sorted(path.name for path in bench.folder.rglob("*"))
    done = validate()
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "a.toml is fine. Checked without a model:",
        "  dataset   sums                     6 of 12 examples, answers checked as 'number'",
        "                                     sums.jsonl",
        "  strategy  human                    column 'rationale': 6 responses, 6 right",
        "  strategy  teacher                  model 'teacher': 6 prompts",
        "  metric    perplexity               decides",
        "  metric    self-aligned-perplexity",
        "  metric    alignment",
        "  model     target                   fake, the target",
        "  model     teacher                  fake",
    ]
    assert sorted(path.name for path in bench.folder.rglob("*")) == before


def test_it_tells_the_same_as_json(bench: Bench) -> None:
    """--json has the counts, and an empty list of problems."""
    told = json.loads(validate("--json").output)
    assert told["valid"] is True
    assert told["problems"] == []
    assert told["datasets"][0]["examples"] == 12
    assert [item["prompts"] for item in told["strategies"]] == [0, 6]


def test_all_problems_of_the_files_come_at_once(bench: Bench) -> None:
    """A column that is not there, a response file that lacks ids, a prompt that cannot be rendered:
    exit 2, and each is told with its place.
    """
    bench.write("more.jsonl", jsonl([{"id": "e1", "response": "2"}]))
    bench.edit('column = "rationale"', 'column = "rationales"')
    bench.edit("Solve: {{ input }}", "Solve: {{ inputs }}")
    bench.edit(
        "[own_outputs]",
        '[[strategies]]\nname = "more"\nfrom = "file"\npath = "more.jsonl"\n\n[own_outputs]',
    )
    done = validate()
    assert done.exit_code == 2
    assert "has no column 'rationales'" in done.output
    assert "'inputs' is not a field of example" in done.output
    assert "more.jsonl: " in done.output
    told = validate("--json")
    assert told.exit_code == 2
    assert json.loads(told.stdout)["valid"] is False
    assert len(json.loads(told.stdout)["problems"]) >= 3


def test_every_prompt_is_rendered(bench: Bench) -> None:
    """A prompt that fails on some examples only names those, also behind a strategy that comes
    first.
    """
    items = rows(12)
    for item in items[:3]:
        item["hints"] = ["a"]
    for item in items[3:]:
        item["hints"] = []
    bench.write("sums.jsonl", jsonl(items))
    bench.edit("sample = 6\n", "")
    bench.edit("[own_outputs]", TAKING)
    bench.edit("Solve: {{ input }}", "{{ hints[0].upper() }}")
    done = validate()
    assert done.exit_code == 2
    assert "the template failed on example 'e" in done.output
    assert " (and 8 more like it). Fix the template." in done.output


def test_labels_are_compared_with_the_kind_of_answers(bench: Bench) -> None:
    """A label that the answer check cannot read is an error at its row."""
    items = rows(12)
    items[4]["answer"] = "many"
    bench.write("sums.jsonl", jsonl(items))
    done = validate()
    assert done.exit_code == 2
    assert "sums.jsonl: line 5: label 'many' holds no number" in done.output


def test_what_the_machine_lacks_is_a_note(bench: Bench) -> None:
    """Weights, packages and keys that are not here are told, and the recipe is fine."""
    bench.edit(
        '[models.target]\nbackend = "fake"',
        '[models.target]\nbackend = "llama-cpp"\npath = "absent.gguf"',
    )
    bench.edit(
        'backend = "fake"\nvariant = "teacher"',
        'backend = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
        'api_key_env = "NO_SUCH_KEY"',
    )
    done = validate()
    assert done.exit_code == 0, done.output
    assert "note: a.toml: line 8, model 'target': no file at" in done.output
    assert (
        "note: a.toml: line 14, model 'teacher', api_key_env: the environment variable"
        in done.output
    )
    assert "a.toml is fine" in done.output


def test_a_recipe_that_is_no_recipe_is_refused(bench: Bench) -> None:
    """What cannot be loaded exits with 2 too, and --json says so."""
    bench.write("a.toml", "format = 1\n")
    done = validate("--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["valid"] is False
    assert CliRunner().invoke(app, ["validate", "b.toml"]).exit_code == 2


def test_a_store_that_is_damaged_does_not_matter(bench: Bench) -> None:
    """It opens no store."""
    Path("cache").write_text("no folder")
    assert validate().exit_code == 0


def test_changes_for_one_command_are_checked(bench: Bench) -> None:
    """--set and --limit are those of a run."""
    assert "2 of 12 examples" in validate("--limit", "2").output
    done = validate("--set", "strategies.teacher.prompt={{ inputs }}")
    assert done.exit_code == 2
    assert "'inputs' is not a field" in done.output
