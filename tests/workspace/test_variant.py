"""Recipes changed for one command: keys, values, limits, and what a variant is called."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from respsel.errors import InputError
from respsel.recipe.typed_values import typed_value, value_of
from respsel.study import open_study
from respsel.workspace.changes import changes_of
from respsel.workspace.loaded_recipe import LoadedRecipe
from respsel.workspace.loading import load_recipe
from tests.conftest import Bench


def changed(bench: Bench, *settings: str, limit: int | None = None, **more: Any) -> LoadedRecipe:
    return load_recipe(bench.recipe, changes_of(settings, more.get("values"), limit))


def refusal(bench: Bench, *settings: str) -> str:
    with pytest.raises(InputError) as refused:
        changed(bench, *settings)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.2", 0.2),
        ("50", 50),
        ("true", True),
        ('"50"', "50"),
        ("[1, 2]", [1, 2]),
        ("{ a = 1 }", {"a": 1}),
        ("small", "small"),
        ("Solve: {{ input }}", "Solve: {{ input }}"),
        ("two\nlines = 3", "two\nlines = 3"),
        ("1\nb = 3", "1\nb = 3"),
        ("2026-01-02", "2026-01-02"),
        (" small ", "small"),
        ("", ""),
        ("é", "é"),
    ],
)
def test_a_value_is_toml_or_else_a_text(text: str, value: Any) -> None:
    """What is no TOML value is a text, and a value's own text stands for it again."""
    assert value_of(text) == value
    assert value_of(typed_value(value)) == value


def test_values_are_set_by_names(bench: Bench) -> None:
    """Keys lead through names of datasets, strategies, metrics and models."""
    loaded = changed(
        bench,
        "strategies.teacher.sampling.temperature=0.2",
        "datasets.sums.sample=4",
        "metrics.self-aligned-perplexity.k=1",
        "models.teacher.variant=other",
        "target.model=teacher",
        "selection.require.right=0.1",
    )
    recipe = loaded.recipe
    assert loaded.strategy("teacher").sampling.temperature == 0.2  # type: ignore[union-attr]
    assert recipe.datasets[0].sample == 4
    assert recipe.metrics[1].parameters == {"k": 1}
    assert recipe.models["teacher"].variant == "other"
    assert recipe.target.model == "teacher"
    assert recipe.selection.require.right == 0.1


@pytest.mark.parametrize("key", ["strategies.v1.5.prompt", 'strategies."v1.5".prompt'])
def test_names_with_dots_may_be_quoted(bench: Bench, key: str) -> None:
    """The longest name that fits is meant."""
    bench.edit('name = "teacher"\nfrom', 'name = "v1.5"\nfrom')
    loaded = changed(bench, f"{key}=Say {{{{ input }}}}")
    assert loaded.strategy("v1.5").templates == {"prompt": "Say {{ input }}"}
    assert loaded.typed.endswith("""--set 'strategies."v1.5".prompt=Say {{ input }}'""")


def test_a_model_of_the_workspace_can_be_changed(bench: Bench) -> None:
    """Its entry is taken over with its path, and respsel.toml stays."""
    text = '[models.w]\nbackend = "llama-cpp"\npath = "w.gguf"\n'
    bench.write("respsel.toml", text)
    moved = bench.write(
        "sub/a.toml", bench.recipe.read_text().replace("sums.jsonl", "../sums.jsonl")
    )
    loaded = load_recipe(moved, changes_of(["models.w.context_tokens=2048"]))
    assert loaded.models["w"].entry.context_tokens == 2048
    assert (loaded.models["w"].folder / str(loaded.models["w"].entry.path)).resolve() == (
        bench.folder / "w.gguf"
    )
    assert (bench.folder / "respsel.toml").read_text() == text


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "strategies.teach.prompt=x",
            "--set strategies.teach.prompt: no strategy 'teach'. Did you mean 'teacher'?",
        ),
        ("datasets.suns.sample=3", "--set datasets.suns.sample: no dataset 'suns'. Did you mean"),
        ("metrics.perplex.k=3", "--set metrics.perplex.k: no metric 'perplex'. Did you mean"),
        ("models.teache.variant=b", "--set models.teache.variant: no model 'teache'. Did you mean"),
        (
            "strategies.teacher.promt=x",
            "--set strategies.teacher.promt: unknown key. Did you mean 'prompt'?",
        ),
        ("targt.model=x", "--set targt.model: unknown key. Did you mean 'target'?"),
        (
            "target.model=teache",
            "--set target.model: 'teache' is not a model of this recipe or of respsel.toml. Did",
        ),
        (
            "target.model.x=1",
            "--set target.model.x: 'target.model' is a text, which has no 'x'. Set 'target.model'",
        ),
        (
            "strategies.teacher.sampling.temperature=9",
            "--set strategies.teacher.sampling.temperature: ",
        ),
        (
            "strategies.teacher={ prompt = 'x' }",
            "--set strategies.teacher: 'from' says where responses come from.",
        ),
        ("strategies.teacher.prompt={{ input", "--set strategies.teacher.prompt: "),
        ("datasets.sums.path=no.jsonl", "--set datasets.sums.path: "),
        ("extends=b.toml", "--set extends: is about the file, which is not changed."),
        ("target.model", "--set target.model: is not KEY=VALUE. Write for instance target.model="),
        ("=3", "--set =3: does not begin with a key."),
    ],
)
def test_what_cannot_be_set_is_named_with_the_option(
    bench: Bench, setting: str, message: str
) -> None:
    """One error with the key as it was typed, what is wrong and a suggestion."""
    said = refusal(bench, setting)
    assert message in said
    assert len(said.splitlines()) == 1


def test_a_limit_is_a_smaller_sample(bench: Bench) -> None:
    """A limit takes no more than the recipe's own sample."""
    assert changed(bench, limit=4).recipe.datasets[0].sample == 4
    assert changed(bench, limit=9).recipe.datasets[0].sample == 6
    bench.edit("sample = 6\n", "")
    assert changed(bench, limit=9).recipe.datasets[0].sample == 9
    with pytest.raises(InputError, match="--limit: 0 is not a number of examples"):
        changed(bench, limit=0)


def test_the_same_changes_are_the_same_variant(bench: Bench) -> None:
    """Their order and spelling do not matter, and of one key the last value counts."""
    first = changed(bench, "target.model=teacher", "datasets.sums.seed=3", limit=4)
    second = changed(
        bench,
        "datasets.sums.seed=1",
        ' datasets."sums".seed = 3',
        'target.model="teacher"',
        limit=4,
    )
    assert (first.key, first.name, first.typed) == (second.key, second.name, second.typed)
    assert first.typed == (
        f"{bench.recipe} --set datasets.sums.seed=3 --set target.model=teacher --limit 4"
    )
    assert first.name.startswith("a/with-seed-3-model-teacher-limit-4-")
    others = [
        changed(bench),
        changed(bench, limit=4),
        changed(bench, "target.model=teacher", "datasets.sums.seed=3"),
        changed(bench, "target.model=teacher", "datasets.sums.seed=4", limit=4),
    ]
    for attribute in ("key", "name", "typed"):
        assert len({getattr(item, attribute) for item in [first, *others]}) == len(others) + 1


def test_what_is_typed_makes_the_variant_again(bench: Bench) -> None:
    """Whatever is in a value: quotes, line ends, dollars, texts that look like numbers."""
    for value in ("a \"b\" 'c'", "two\nlines\r\n", "$HOME `x`", "3", " ends ", "é", "true", "x=1"):
        value = f"{value}{{{{ input }}}}{value}"
        loaded = changed(bench, values={"strategies.teacher.prompt": value})
        words = shlex.split(loaded.typed)
        again = changed(bench, *words[2::2])
        assert again.strategy("teacher").templates == {"prompt": value}
        assert again.key == loaded.key


def test_values_from_python(bench: Bench) -> None:
    """Tuples are lists; what no recipe can hold is refused with its key."""
    loaded = changed(bench, values={"strategies.teacher.datasets": ("sums",)})
    assert loaded.strategy("teacher").datasets == ("sums",)
    for value in (None, object(), "\0", "\ud800"):
        with pytest.raises(InputError, match=r"changes: target\.model: "):
            changed(bench, values={"target.model": value})


def test_a_recipe_called_like_a_variant_keeps_its_own_folder(bench: Bench) -> None:
    """A recipe in a folder of the recipe's name cannot write where a variant does."""
    bench.write("respsel.toml", "")
    variant = changed(bench, limit=3).name
    bench.write(f"{variant}.toml", bench.recipe.read_text().replace("sums.js", "../sums.js"))
    assert load_recipe(bench.folder / f"{variant}.toml").name == f"{variant}.toml"


@pytest.mark.parametrize("changes", [{1: 2}, "x", ["target.model"]])
def test_changes_of_another_type_are_refused(bench: Bench, changes: Any) -> None:
    """With what they should be."""
    with pytest.raises(InputError, match="changes: are not values by their keys"):
        open_study(bench.recipe, changes=changes)
