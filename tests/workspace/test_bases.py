"""Recipes that extend others: what merges, what replaces, paths, circles, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from respsel.errors import InputError
from respsel.graph import build_graph
from respsel.graph.ledger import Ledger
from respsel.recipe.schema import Recipe
from respsel.store.store import Store
from respsel.workspace.bases import PATH_KEYS, moved
from respsel.workspace.loading import load_recipe
from tests.conftest import RECIPE, Bench

CHILD = """\
extends = "a.toml"

[[strategies]]
name = "teacher"
sampling = { temperature = 0.2 }

[[strategies]]
name = "third"
from = "model"
model = "teacher"
prompt = "Explain: {{ input }}"

[selection]
resamples = 600
"""


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        load_recipe(path)
    return str(refused.value)


def step_keys(path: Path, store: Path) -> dict[str, str | None]:
    """The keys of the steps that a recipe has before anything is known."""
    with Store(store) as opened:
        graph = build_graph(load_recipe(path), opened)
        ledger = Ledger(graph, opened)
        return {step.name: str((ledger.key(step), step.fields)) for step in graph.steps.values()}


def test_tables_and_named_entries_merge_and_other_values_replace(bench: Bench) -> None:
    """An entry of the same name keeps what is not said again, new ones come behind."""
    loaded = load_recipe(bench.write("b.toml", CHILD))
    recipe = loaded.recipe
    assert [entry.name for entry in recipe.strategies] == ["human", "teacher", "third"]
    teacher = loaded.strategy("teacher")
    assert teacher.templates == {"prompt": "Solve: {{ input }}"}
    assert teacher.sampling.temperature == 0.2  # type: ignore[union-attr]
    assert recipe.selection.resamples == 600
    assert recipe.selection.require.right == 0
    assert [entry.name for entry in recipe.metrics] == [
        "perplexity",
        "self-aligned-perplexity",
        "alignment",
    ]


def test_step_keys_are_those_of_the_recipe_written_out(bench: Bench, tmp_path: Path) -> None:
    """A chain of recipes in several folders has the steps of the same recipe in one file."""
    bench.write("lib/deep/base.toml", RECIPE.replace('"sums.jsonl"', '"../../sums.jsonl"'))
    bench.write("lib/middle.toml", CHILD.replace("a.toml", "deep/base.toml"))
    child = bench.write("b.toml", 'extends = ["lib/middle.toml"]\nwithout = ["strategies.human"]\n')
    whole = (
        RECIPE.replace('prompt = "Solve', 'sampling = { temperature = 0.2 }\nprompt = "Solve')
        .replace("resamples = 500", "resamples = 600")
        .replace('[[strategies]]\nname = "human"\nfrom = "column"\ncolumn = "rationale"\n', "")
        .replace(
            "[own_outputs]",
            CHILD[CHILD.index('[[strategies]]\nname = "third"') :].replace(
                "[selection]\nresamples = 600\n", "[own_outputs]"
            ),
        )
    )
    flat = bench.write("c.toml", whole)
    assert step_keys(child, tmp_path / "s") == step_keys(flat, tmp_path / "s")
    # What is recorded is the whole of it.
    written = tomli.loads(load_recipe(child).text)
    assert written == tomli.loads(whole)


def test_a_path_of_a_base_is_relative_to_the_base(bench: Bench) -> None:
    """Paths of data, responses, models and held-out examples lead to the same files."""
    base = RECIPE.replace(
        "[own_outputs]\nsamples = 2",
        """\
[[strategies]]
name = "filed"
from = "file"
path = "r/{dataset}.jsonl"

[own_outputs]
path = "own/{dataset}.jsonl"

[validation]
path = "/held/out.jsonl"

[models.gguf]
backend = "llama-cpp"
path = "weights.gguf"
chat_template = "t.jinja"
""",
    )
    for name in ("sums.jsonl", "r/sums.jsonl", "own/sums.jsonl"):
        bench.write(f"lib/{name}", (bench.folder / "sums.jsonl").read_bytes())
    bench.write("lib/base.toml", base.replace('"/held/out.jsonl"', '"sums.jsonl"'))
    child = bench.write("x/b.toml", 'extends = "../lib/base.toml"\n[validation]\npath = "d.jsonl"')
    bench.write("x/d.jsonl", "{}")
    loaded = load_recipe(child)
    recipe = loaded.recipe
    assert recipe.datasets[0].path == "../lib/sums.jsonl"
    assert loaded.strategy("filed").source == "../lib/r/{dataset}.jsonl"
    assert recipe.own_outputs.path == "../lib/own/{dataset}.jsonl"
    assert recipe.validation is not None
    assert recipe.validation.path == "d.jsonl"
    assert recipe.models["gguf"].path == "../lib/weights.gguf"
    assert recipe.models["gguf"].chat_template == "../lib/t.jinja"


def test_every_path_of_the_schema_is_moved() -> None:
    """No key that holds a path is forgotten; addresses and absolute paths stay."""
    known = {key for keys in PATH_KEYS.values() for key in keys}
    schema = Recipe.model_json_schema(by_alias=True)
    holders = {
        (name, key)
        for name, entry in schema["$defs"].items()
        for key in entry.get("properties", {})
        if key in known or key.rpartition("_")[2] == "file"
    }
    assert holders == {
        ("DatasetEntry", "path"),
        ("FileStrategy", "path"),
        ("ModelEntry", "path"),
        ("ModelEntry", "chat_template"),
        # Within 'package'.
        ("ModelEntry", "file"),
        ("OwnOutputsEntry", "path"),
        ("ValidationEntry", "path"),
    }


def test_an_entry_of_another_kind_replaces_the_base_s(bench: Bench) -> None:
    """Another `from`, backend or metric has other keys, so nothing of the base's is left."""
    child = bench.write(
        "b.toml",
        'extends = "a.toml"\n'
        '[[strategies]]\nname = "teacher"\nfrom = "column"\ncolumn = "rationale"\n'
        '[[metrics]]\nname = "perplexity"\npart = "answer"\n',
    )
    loaded = load_recipe(child)
    assert loaded.strategy("teacher").source == "column 'rationale'"
    assert loaded.recipe.metrics[0].part == "answer"


def test_of_several_bases_the_last_one_counts(bench: Bench) -> None:
    """And the recipe itself counts most."""
    bench.write("x.toml", "[selection]\nconfidence = 0.9\nseed = 1\n")
    bench.write("y.toml", "[selection]\nconfidence = 0.8\nseed = 2\n")
    child = bench.write("b.toml", 'extends = ["a.toml", "x.toml", "y.toml"]\nselection.seed = 3\n')
    selection = load_recipe(child).recipe.selection
    assert (selection.confidence, selection.seed, selection.resamples) == (0.8, 3, 500)


def test_without_takes_out_entries_and_keys(bench: Bench) -> None:
    """Strategies, metrics, single keys and whole tables; a recipe may then say them anew."""
    child = bench.write(
        "b.toml",
        'extends = "a.toml"\n'
        'without = ["metrics.alignment", "datasets.sums.sample", "own_outputs"]\n',
    )
    recipe = load_recipe(child).recipe
    assert len(recipe.metrics) == 2
    assert recipe.datasets[0].sample is None
    assert recipe.own_outputs.samples == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "b.toml"', "b.toml: line 1, extends: it extends itself. Take it out."),
        ('extends = "c.toml"', "c.toml: line 1, extends: "),
        (f'extends = "{"n" * 300}"', "b.toml: line 1, extends: there is no file "),
        ('extends = "https://u:p@h/a.toml"', "b.toml: line 1, extends: is an address, and only"),
        ('extends = "no.toml"', "b.toml: line 1, extends: there is no file "),
        (
            "extends = 3",
            "b.toml: extends: 3 is not a path or a list of paths. Write for instance "
            'extends = "base.toml".',
        ),
        (
            'extends = "a.toml"\nwithout = ["teacher"]',
            "b.toml: line 2, without[0]: 'teacher': does not say of what kind. Did you mean "
            "'strategies.teacher'?",
        ),
        (
            'extends = "a.toml"\nwithout = ["strategies.teach"]',
            "b.toml: line 2, without[0]: 'strategies.teach': no strategy 'teach'. Did you mean "
            "'teacher'?",
        ),
        (
            'extends = "a.toml"\nwithout = ["judge"]',
            "b.toml: line 2, without[0]: 'judge' is not in what this recipe extends. Take it out.",
        ),
        (
            'extends = "a.toml"\n[[metrics]]\nname="perplexity"\n[[metrics]]\nname="perplexity"\n',
            "b.toml: line 4, metrics.perplexity: 'perplexity' is used twice. Give each its own "
            "name.",
        ),
    ],
)
def test_what_cannot_be_put_together_is_refused(bench: Bench, text: str, message: str) -> None:
    """Circles, missing files and unknown names, each with its place and a remedy."""
    child = bench.write("b.toml", text)
    bench.write("c.toml", 'extends = "b.toml"')
    assert message in refusal(child)


def test_a_problem_names_the_file_that_it_is_in(bench: Bench) -> None:
    """What the base says wrong is the base's, what the recipe says the recipe's."""
    bench.edit('column = "rationale"', 'colum = "rationale"')
    child = bench.write("b.toml", 'extends = "a.toml"\nselection.metric = "perplexitty"\n')
    said = refusal(child)
    assert f"{bench.folder / 'a.toml'}: line 25, strategy 'human', colum: unknown key" in said
    bench.edit("colum =", "column =")
    assert f"{child}: line 2, selection.metric: 'perplexitty' is not a metric" in refusal(child)


def test_dots_behind_a_link_lead_up_from_where_it_leads(tmp_path: Path) -> None:
    """As they do in the base."""
    old = tmp_path / "real/deep"
    inner = tmp_path / "real/far/in"
    for folder in (old, inner, tmp_path / "other"):
        folder.mkdir(parents=True)
    (old / "link").symlink_to("../far/in")
    (tmp_path / "real/far/sums.jsonl").write_text("here")
    there = moved({"datasets": [{"path": "link/../sums.jsonl"}]}, old, tmp_path / "other")
    again = moved(there, tmp_path / "other", tmp_path)
    assert (tmp_path / "other" / there["datasets"][0]["path"]).read_text() == "here"
    assert (tmp_path / again["datasets"][0]["path"]).read_text() == "here"


@pytest.mark.parametrize(
    ("gone", "missing"),
    [("strategies.human.column", "strategy 'human', column"), ("target.model", "target.model")],
)
def test_what_was_taken_out_is_missing_where_that_is_said(
    bench: Bench, gone: str, missing: str
) -> None:
    """Not in the base, which has it."""
    child = bench.write("b.toml", f'extends = "a.toml"\nwithout = ["{gone}"]\n')
    assert f"b.toml: line 2, {missing}: is missing" in refusal(child)
