"""The recipe's shape, its defaults, and how faults are told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from respsel.errors import InputError
from respsel.recipe.model import SamplingEntry, merge_sampling
from respsel.recipe.schema import ModelStrategy, Recipe
from respsel.workspace.loaded_recipe import LoadedRecipe
from respsel.workspace.loading import load_recipe
from tests.conftest import Bench, jsonl, rows

ROOT = Path(__file__).parents[2]


def told_of(bench: Bench) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_recipe(bench.recipe)
    return [str(problem) for problem in caught.value.problems]


def fault(bench: Bench) -> list[str]:
    """The faults without file and line."""
    prefix = re.compile(r"^.*?: (line \d+, )?")
    return [prefix.sub("", problem, count=1) for problem in told_of(bench)]


def load(bench: Bench) -> LoadedRecipe:
    return load_recipe(bench.recipe)


def test_a_good_recipe_loads(bench: Bench) -> None:
    """The test recipe is well formed, and what it leaves out has the documented defaults."""
    loaded = load(bench)
    strategy = loaded.recipe.strategies[1]
    assert isinstance(strategy, ModelStrategy)
    assert strategy.if_wrong == "keep"
    assert loaded.recipe.selection_metric == "perplexity"
    assert loaded.recipe.selection.confidence == 0.95


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("prompt =", "promt =", "strategy 'teacher', promt: unknown key. Did you mean 'prompt'?"),
        ("sample = 6", "sampel = 6", "dataset 'sums', sampel: unknown key. Did you mean 'sample'?"),
        ("[own_outputs]", "[own_output]", "own_output: unknown key. Did you mean 'own_outputs'?"),
        (
            'variant = "teacher"',
            'varient = "t"',
            "model 'teacher', varient: unknown key. Did you mean 'variant'?",
        ),
        (
            "samples = 2",
            "sampling = { temprature = 1 }",
            "own_outputs.sampling.temprature: unknown key. Did you mean 'temperature'?",
        ),
        ("k = 2", "kk = 2", "metric 'self-aligned-perplexity', kk: unknown key. Did you mean 'k'?"),
        ("k = 2", "k = 0", "metric 'self-aligned-perplexity', k: should be at least 1, and is 0."),
        (
            'name = "alignment"',
            'name = "alignement"',
            "metric 'alignement', name: 'alignement' is not a metric. Did you mean 'alignment'?",
        ),
        (
            'model = "teacher"',
            'model = "teach"',
            "strategy 'teacher', model: 'teach' is not a model of this recipe or of respsel.toml. ",
        ),
        ('path = "sums.jsonl"', 'path = "sum.jsonl"', "dataset 'sums', path: there is no file "),
        (
            'from = "column"',
            'from = "colum"',
            "strategy 'human', from: 'colum' is not a source of responses. Did you mean 'column'?",
        ),
        ('from = "column"', "", "strategy 'human': 'from' says where responses come from. "),
        ('name = "teacher"', 'name = "human"', "strategy 'human', name: 'human' is used twice. "),
        (
            'prompt = "Solve: {{ input }}"',
            'prompt = "{{ input }"',
            "strategy 'teacher', prompt: line 1 of the template: ",
        ),
        (
            'answer = "number"',
            'answer = "nummer"',
            "dataset 'sums', answer: 'nummer' is not one of number, choice, math, exact, regex. "
            "Did "
            "you mean 'number'?",
        ),
        ('answer = "number"', 'answer = "regex"', "dataset 'sums': answer 'regex' needs a pattern"),
        (
            "resamples = 500",
            'metric = "perplexty"',
            "selection.metric: 'perplexty' is not a metric of this recipe. Did you mean",
        ),
        (
            'name = "sums"',
            'name = "overall"',
            "dataset 'overall', name: 'overall' is the name of the verdict over all datasets.",
        ),
        ("format = 1", "format = 2", "format: should be 1, and is the number 2."),
        (
            'label = "answer"\n',
            "",
            "dataset 'sums': 'answer' needs 'label', the column of the right answer.",
        ),
        (
            'variant = "teacher"',
            'variant = "teacher"\ntimeout_s = inf',
            "model 'teacher', timeout_s: inf is not a finite number. ",
        ),
        (
            'variant = "teacher"',
            'variant = "teacher"\ntimeout_s = 1e300',
            "model 'teacher', timeout_s: should be at most 1,000,000, and",
        ),
        (
            'variant = "teacher"',
            'variant = "teacher"\nprice = { input = nan, output = 1 }',
            "model 'teacher', price.input: nan is not a finite number. Give one that is.",
        ),
        (
            "samples = 2",
            "sampling = { temperature = nan }",
            "own_outputs.sampling.temperature: nan is not a finite number. ",
        ),
        (
            "resamples = 500",
            "confidence = 0.9999999999999999",
            "selection.confidence: should be at most 0.9999, and",
        ),
        (
            'name = "alignment"',
            'name = "car"\ncolumn = "x"\nbeta = inf',
            "metric 'car', beta: inf is not a finite number. ",
        ),
        (
            'from = "column"\ncolumn = "rationale"',
            'from = "plugin"\nplugin = "p"\noptions = { since = 2024-01-01, more = [1, { most = '
            'inf }], fine = [0.5, "x"] }',
            "strategy 'human', options: not a JSON value: since = 2024-01-01, more[1].most = inf. "
            "Write it as text, in quotes.",
        ),
        (
            'backend = "fake"\nvariant = "teacher"',
            'backend = "plugin"\nplugin = "p"\noptions = { at = 12:00:00 }',
            "model 'teacher', options: not a JSON value: at = 12:00:00. "
            "Write it as text, in quotes.",
        ),
        (
            'backend = "fake"\n\n[models.teacher]',
            'backend = "llama-cpp"\n\n[models.teacher]',
            "model 'target': needs exactly one of path, package",
        ),
    ],
)
def test_a_fault_is_told_with_place_and_remedy(bench: Bench, old: str, new: str, told: str) -> None:
    """Each fault gives one message, with its place in the file and what to do."""
    bench.edit(old, new)
    found = fault(bench)
    assert any(told in line for line in found), found
    assert len(found) <= 2


def test_all_faults_are_told_at_once(bench: Bench) -> None:
    """A recipe with three faults gives three messages in one go, those of metrics included."""
    bench.edit("prompt =", "promt =")
    bench.edit("sample = 6", "sample = 0")
    bench.edit('name = "alignment"', 'name = "alignement"')
    assert len([line for line in fault(bench) if "is missing" not in line]) == 3


def test_what_is_not_toml_is_told_with_its_line(bench: Bench) -> None:
    """A syntax error names line and column."""
    bench.edit("samples = 2", "samples = = 2")
    (line,) = fault(bench)
    assert line.startswith("column 11: is not TOML")
    assert "a.toml: line 34, column 11: " in told_of(bench)[0]


def test_a_byte_order_mark_and_crlf_are_accepted(bench: Bench) -> None:
    """A recipe saved by a Windows editor is the same recipe."""
    before = load(bench).recipe
    bench.write("a.toml", b"\xef\xbb\xbf" + bench.recipe.read_bytes().replace(b"\n", b"\r\n"))
    assert load(bench).recipe == before


def test_no_two_recipes_share_a_folder_of_runs(bench: Bench) -> None:
    """Runs are kept under the recipe's name without `recipes`, but for a recipe whose name one in
    the root has.
    """
    bench.write("respsel.toml", "")
    places = [
        "recipes/b.toml",
        "a.toml",
        "recipes/a.toml",
        "recipes/recipes/a.toml",
        "more/a.toml",
        "more/recipes/a.toml",
    ]
    names = {}
    for place in places:
        path = bench.write(place, bench.recipe.read_text())
        bench.write(f"{path.parent}/sums.jsonl", jsonl(rows(12)))
        names[place] = load_recipe(path).name
    assert list(names.values()) == [
        "b",
        "a",
        "recipes/a",
        "recipes/recipes/a",
        "more/a",
        "more/recipes/a",
    ]


def test_sampling_comes_from_the_nearest_that_says_it() -> None:
    """The strategy's value wins over the model's, and that over the default."""
    sampling, seed = merge_sampling(
        SamplingEntry(temperature=0.1), SamplingEntry(temperature=0.5, max_tokens=7, seed=3)
    )
    assert (sampling.temperature, sampling.max_tokens, sampling.top_p, seed) == (0.1, 7, 0.95, 3)


def test_the_printed_schema_is_the_committed_one(bench: Bench) -> None:
    """docs/recipe.schema.json is what `respsel schema` prints."""
    assert json.loads(bench.respsel("schema").out) == json.loads(
        (ROOT / "docs" / "recipe.schema.json").read_text()
    )


def test_the_quickstart_fits_the_schema() -> None:
    """The shipped recipe is valid by the published JSON Schema."""
    import jsonschema
    import tomli

    recipe = tomli.loads((ROOT / "recipes" / "quickstart.toml").read_text())
    jsonschema.validate(recipe, Recipe.model_json_schema(by_alias=True))


def test_the_hint_names_every_kind_of_strategy(bench: Bench) -> None:
    """An unknown `from` is answered with all kinds that there are."""
    bench.edit('from = "column"', 'from = "nowhere"')
    done = bench.respsel("plan", "a.toml")
    for kind in json.loads((ROOT / "docs" / "recipe.schema.json").read_text())["$defs"].values():
        if start := kind["properties"].get("from"):
            assert f'"{start["const"]}"' in done.err
