"""A judge that is declared wrongly is one clear error, at its place."""

from __future__ import annotations

import pytest

from respsel.errors import InputError
from respsel.workspace.loading import load_recipe
from tests.conftest import Bench
from tests.judges import with_judge

EXAMPLE = '{{ input = "{}", response = "b", score = {}, why = "c" }}'


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("scale = [10, 1]", "judge.scale: the lowest score comes first, and 10 is not below 1"),
        ("scale = [5, 5]", "judge.scale: the lowest score comes first, and 5 is not below 5"),
        ("scale = 10", "judge.scale: a scale is two numbers, as [1, 10], and not 10"),
        ("scale = [1, 5, 10]", "judge.scale: a scale is two numbers, as [1, 10], and not [1, 5"),
        ('scale = ["a", "b"]', "judge.scale: a scale is two numbers"),
        ("scale = [1, inf]", "judge.scale"),
        (
            f"examples = [{EXAMPLE.format('a', 3)}, {EXAMPLE.format('a', 11)}]",
            "judge.examples, item 2, score: 11 is outside the scale 1 to 10",
        ),
        (f"examples = [{EXAMPLE.format(' ', 3)}]", "judge.examples, item 1, input: is empty"),
        (
            'examples = [{ input = "a", response = "b", score = 3 }]',
            "examples, item 1, why: is missing",
        ),
        ("refrence = true", "judge.refrence: unknown key. Did you mean 'reference'?"),
        ("max_tokens = 0", "judge.max_tokens"),
        ('against = "human"', "judge.against: names the strategy of comparisons, and there are"),
        (
            'pairs = true\nagainst = "humam"',
            "judge.against: 'humam' is not a strategy of this recipe. Did you mean 'human'?",
        ),
        ("[training]\nleast_reward = 11", "training.least_reward: 11 leaves out all responses or"),
        ("[training]\nleast_reward = 1", "training.least_reward: 1 leaves out all responses or"),
        (
            '[[metrics]]\nname = "reward"\nlabel = "judge"\ncolumn = "answer"',
            "metric 'judge', label: 'judge' is what the rewards of the recipe's [judge] are called",
        ),
    ],
)
def test_a_wrong_judge_is_told(bench: Bench, more: str, told: str) -> None:
    """The error names the place, what is wrong with it and what to do."""
    with_judge(bench, more + "\n")
    with pytest.raises(InputError) as error:
        load_recipe(bench.recipe)
    assert told in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'model = "teacher"\nrubric',
            'model = "techer"\nrubric',
            "judge.model: 'techer' is not a model of this recipe or of respsel.toml. Did you mean",
        ),
        ("It gives the right sum.", " ", "judge.rubric: is empty: say it in words"),
        ("It gives the right sum.", "{{ label", "judge.rubric: line 1 of the template"),
        ('rubric = "It gives the right sum."\n', "", "judge.rubric: is missing"),
    ],
)
def test_a_judge_without_model_or_rubric_is_told(
    bench: Bench, old: str, new: str, told: str
) -> None:
    """Both are needed, and a rubric is a template that can be filled in."""
    with_judge(bench)
    bench.edit(old, new)
    with pytest.raises(InputError, match="judge") as error:
        load_recipe(bench.recipe)
    assert told in str(error.value)


def test_a_rubric_with_an_unknown_field_is_told_before_any_call(bench: Bench) -> None:
    """The response is no field of it: it would stand there without its tags."""
    with_judge(bench)
    bench.edit("It gives the right sum.", "It is better than {{ response }}.")
    done = bench.respsel("plan", "a.toml")
    assert done.code == 2
    assert "judge.rubric: 'response' is not a field of example" in done.err


def test_what_reads_the_judge_needs_one(bench: Bench) -> None:
    """A reward without a source, and the least reward of a training set."""
    more = '[training]\nleast_reward = 5\n[[metrics]]\nname = "reward"\n'
    bench.write("a.toml", bench.recipe.read_text() + more)
    with pytest.raises(InputError) as error:
        load_recipe(bench.recipe)
    assert "metric 'reward': a reward needs a source, and the recipe has no [judge]" in str(
        error.value
    )
    assert "training.least_reward: needs a judge" in str(error.value)


def test_references_that_no_dataset_has_cannot_be_shown(bench: Bench) -> None:
    """`reference = true` is an error where there is neither a reference nor a label."""
    with_judge(bench, "reference = true\n")
    load_recipe(bench.recipe)
    bench.edit('reference = "rationale"\nlabel = "answer"\n', "")
    bench.edit('answer = "number"\n', "")
    with pytest.raises(InputError, match=r"judge\.reference: no dataset has a 'reference' or a"):
        load_recipe(bench.recipe)


def test_comparisons_need_two_strategies(bench: Bench) -> None:
    """With one in each dataset there is nothing to compare; `against` is for all datasets."""
    with_judge(bench, "pairs = true\n")
    bench.edit('column = "rationale"', 'column = "rationale"\ndatasets = ["other"]')
    bench.edit('prompt = "Solve', 'datasets = ["sums"]\nprompt = "Solve')
    bench.edit("[own_outputs]", '[[datasets]]\nname = "other"\npath = "sums.jsonl"\n[own_outputs]')
    with pytest.raises(InputError, match=r"judge\.pairs: compares strategies, and no dataset has"):
        load_recipe(bench.recipe)
    bench.edit('datasets = ["other"]', 'datasets = ["other", "sums"]')
    load_recipe(bench.recipe)
    bench.edit("pairs = true", 'pairs = true\nagainst = "teacher"')
    load_recipe(bench.recipe)
