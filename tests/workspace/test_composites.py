"""What is told of strategies that take from others where a recipe has them wrong."""

from __future__ import annotations

import re

import pytest

from respsel.errors import InputError
from respsel.workspace.loading import load_recipe
from tests.conftest import TAKING, Bench


def faults(bench: Bench) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_recipe(bench.recipe)
    prefix = re.compile(r"^.*?: (line \d+, )?")
    return [prefix.sub("", str(problem), count=1) for problem in caught.value.problems]


@pytest.fixture
def with_composites(bench: Bench) -> Bench:
    bench.edit("[own_outputs]", TAKING)
    return bench


def test_a_good_one_loads(with_composites: Bench) -> None:
    """Its members and what chooses are known."""
    mixed, chosen = load_recipe(with_composites.recipe).recipe.strategies[2:]
    assert (mixed.members, mixed.chosen_by) == (("teacher", "human"), "")
    assert (chosen.members, chosen.chosen_by) == (("teacher", "human"), "perplexity")


def test_origins_are_found_through_others(with_composites: Bench) -> None:
    """A strategy's texts are in the end of those that take from no other, each once."""
    bench = with_composites
    bench.edit('of = ["teacher", "human"]\nn = 2', 'of = ["mixed", "teacher"]\nn = 2')
    recipe = load_recipe(bench.recipe).recipe
    origins = [entry.name for entry in recipe.origins(recipe.strategies[3])]
    assert origins == ["teacher", "human"]
    assert recipe.origins(recipe.strategies[0]) == [recipe.strategies[0]]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'from = "first"\nof = ["teacher", "human"]',
            'from = "first"\nof = ["techer", "human"]',
            "strategy 'mixed', of, item 1: 'techer' is not a strategy of this recipe. "
            "Did you mean 'teacher'?",
        ),
        (
            'from = "first"\nof = ["teacher", "human"]',
            'from = "first"\nof = ["human", "human"]',
            "strategy 'mixed', of, item 2: 'human' stands twice. Name it once.",
        ),
        (
            'from = "first"\nof = ["teacher", "human"]',
            'from = "first"\nof = ["teacher", "mixed"]',
            "strategy 'mixed', of: takes from itself: mixed from mixed. Take one of them out.",
        ),
        (
            'from = "first"\nof = ["teacher", "human"]',
            'from = "first"\nof = ["teacher"]',
            "strategy 'mixed', of: has one member, so there is nothing to choose from. Add a "
            "member.",
        ),
        (
            'from = "first"\nof = ["teacher", "human"]',
            'from = "first"\nof = []',
            "strategy 'mixed', of: should have at least 1 item, and has 0.",
        ),
        (
            'name = "teacher"\nfrom',
            'name = "teacher"\nif_wrong = "fail"\nfrom',
            "strategy 'mixed', of, item 1: 'teacher' has if_wrong = \"fail\", so the run ends "
            "where the "
            "next one is for it. Set if_wrong of 'teacher' to 'keep' or 'drop'.",
        ),
        (
            'n = 2\nby = "perplexity"',
            'n = 2\nby = "perplexty"',
            "strategy 'chosen', by: 'perplexty' is not a metric of this recipe. "
            "Did you mean 'perplexity'?",
        ),
        (
            "n = 2\n",
            "n = 0\n",
            "strategy 'chosen', n: should be at least 1, and is 0.",
        ),
        (
            'of = ["teacher", "human"]\nn = 2',
            'of = ["human", "mixed"]\nn = 2',
            "strategy 'chosen', n: is 2, but no member is written by a model, and only those have "
            "several. Take 'n' out.",
        ),
        (
            'of = ["teacher", "human"]\nn = 2',
            'of = ["human"]',
            "strategy 'chosen', of: has one member and n = 1, so there is nothing to choose from. "
            "Add a member, or raise 'n'.",
        ),
        (
            '\nby = "perplexity"',
            '\nby = "judge"',
            "strategy 'chosen', by: is the judge, and the recipe has no [judge]. "
            "Add a [judge], or choose by a metric.",
        ),
        (
            '\nby = "perplexity"',
            "",
            "strategy 'chosen', by: is missing. Add 'by'.",
        ),
        (
            'name = "chosen"',
            'name = "chosen"\ncompare = false',
            "strategy 'chosen', compare: is false, but no strategy's 'of' names it, so it is for "
            "nothing. Take 'compare' out, or the strategy.",
        ),
        (
            'prompt = "Solve: {{ input }}"',
            'prompt = "Solve: {{ input }}"\nsampling = { temperature = 0 }',
            "strategy 'chosen', of, item 1: 'teacher' is sampled at temperature 0, so its 2 "
            "draws are one "
            "text. Raise its temperature, or take 'n' out.",
        ),
        (
            'name = "alignment"',
            'name = "alignment"\n\n[[metrics]]\nname = "reward"\ncolumn = "r"',
            None,
        ),
    ],
)
def test_a_fault_is_told(with_composites: Bench, old: str, new: str, told: str | None) -> None:
    """With its place and what to do."""
    bench = with_composites
    bench.edit(old, new)
    if told is None:
        bench.edit('n = 2\nby = "perplexity"', 'n = 2\nby = "reward"')
        told = (
            "strategy 'chosen', by: 'reward' is in a column, which has no value for each draw. "
            "Choose by a model's judgement, or set n = 1."
        )
    assert told in faults(bench)


def test_a_longer_circle_is_told(with_composites: Bench) -> None:
    """With the way round, once for each strategy on it."""
    bench = with_composites
    bench.edit(
        'from = "first"\nof = ["teacher", "human"]', 'from = "first"\nof = ["chosen", "human"]'
    )
    bench.edit('of = ["teacher", "human"]\nn = 2', 'of = ["teacher", "mixed"]\nn = 2')
    found = faults(bench)
    assert found == [
        "strategy 'mixed', of: takes from itself: mixed from chosen from mixed. Take one of "
        "them out.",
        "strategy 'chosen', of: takes from itself: chosen from mixed from chosen. Take one of "
        "them out.",
    ]


def test_a_mix_cannot_choose(with_composites: Bench) -> None:
    """It weighs by the spread over all strategies, which are made later."""
    bench = with_composites
    bench.edit(
        'name = "alignment"', 'name = "alignment"\n\n[[metrics]]\nname = "alignment-perplexity-mix"'
    )
    bench.edit('n = 2\nby = "perplexity"', 'n = 2\nby = "alignment-perplexity-mix"')
    (told,) = faults(bench)
    assert told.startswith(
        "strategy 'chosen', by: 'alignment-perplexity-mix' weighs by the spread over all"
    )


def test_datasets_must_fit(with_composites: Bench) -> None:
    """Each dataset of a strategy must be one of its members' too."""
    bench = with_composites
    text = bench.recipe.read_text()
    second = '[[datasets]]\nname = "more"\npath = "sums.jsonl"\ninput = "question"\n\n'
    head, tail = text.split("[[strategies]]", 1)
    tail = tail.replace('name = "human"', 'name = "human"\ndatasets = ["sums"]', 1)
    bench.recipe.write_text(f"{head}{second}[[strategies]]{tail}")
    told = faults(bench)
    assert (
        "strategy 'mixed', of, item 2: 'human' is not for dataset 'more', and 'mixed' is. "
        "Give both the same 'datasets'." in told
    )


def test_something_must_be_compared(bench: Bench) -> None:
    """A dataset whose strategies are all only taken from has none to rank."""
    bench.edit("[own_outputs]", TAKING)
    text = bench.recipe.read_text()
    for name in ("human", "teacher", "mixed", "chosen"):
        text = text.replace(f'name = "{name}"\nfrom', f'name = "{name}"\ncompare = false\nfrom')
    bench.recipe.write_text(text)
    assert (
        "strategies: none that is compared is for dataset 'sums'. Add one, or take the dataset out."
        in faults(bench)
    )
