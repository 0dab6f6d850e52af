"""The steps of a recipe's judge: which there are, what is in their keys, and what uses them."""

from __future__ import annotations

import pytest

import respsel
from respsel.graph import Graph, build_graph
from respsel.graph import names as step_names
from respsel.plan.plan import PlannedStep
from respsel.store.store import Store
from respsel.workspace.loading import load_recipe
from tests.conftest import Bench
from tests.judges import teach_the_fake, with_judge

REWARD = '[[metrics]]\nname = "reward"\n\n[[metrics]]\nname = "car"\n'
HUMAN = "rewards:sums/human/judge"
TEACHER = "rewards:sums/teacher/judge"
PAIRS = "preferences:sums/teacher/human"


def graph(bench: Bench) -> Graph:
    with Store(bench.folder / "cache") as store:
        return build_graph(load_recipe(bench.recipe), store)


def keys(bench: Bench) -> dict[str, str]:
    steps = graph(bench).steps
    return {name: step.key(["input"] * len(step.inputs)) for name, step in steps.items()}


def test_each_strategy_is_judged_and_compared_with_the_first(bench: Bench) -> None:
    """Rewards are always there; comparisons on request, and with the strategy that is asked for."""
    with_judge(bench)
    assert {HUMAN, TEACHER} < set(graph(bench).steps)
    assert PAIRS not in graph(bench).steps
    bench.edit('rubric = "', 'pairs = true\nrubric = "')
    assert PAIRS in graph(bench).steps
    bench.edit("pairs = true", 'pairs = true\nagainst = "teacher"')
    assert step_names.preferences("sums", "human", "teacher") in graph(bench).steps
    assert PAIRS not in graph(bench).steps


def test_a_judge_changes_no_other_step(bench: Bench) -> None:
    """The keys of all other steps stay as they were, but for the gates, which read the rewards."""
    before = keys(bench)
    with_judge(bench, "pairs = true\n")
    after = keys(bench)
    assert [name for name in before if before[name] != after[name]] == ["gates:sums"]
    assert set(after) - set(before) == {HUMAN, TEACHER, PAIRS}


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (
            'model = "teacher"\nrubric',
            'model = "target"\nrubric',
            # The target is no advocate of its own text.
            {HUMAN, TEACHER, PAIRS, "gates:sums"},
        ),
        ("the right sum", "a sum", {HUMAN, TEACHER, PAIRS}),
        ("pairs", "reference = true\npairs", {HUMAN, TEACHER, PAIRS}),
        ("pairs", "max_tokens = 99\npairs", {HUMAN, TEACHER, PAIRS}),
        ("pairs", "scale = [0, 10]\npairs", {HUMAN, TEACHER}),
        ("pairs", "scale = [1, 10]\npairs", set()),
        (
            "pairs",
            'examples = [{ input = "a", response = "b", score = 3, why = "c" }]\npairs',
            {HUMAN, TEACHER},
        ),
    ],
)
def test_what_changes_a_judgement_changes_its_key(
    bench: Bench, old: str, new: str, changed: set[str]
) -> None:
    """A scale and examples are no matter of comparisons, and a default is as if it were written."""
    with_judge(bench, "pairs = true\n")
    before = keys(bench)
    bench.edit(old, new)
    after = keys(bench)
    assert {name for name in before if before[name] != after[name]} == changed


def test_rewards_of_the_judge_cost_metrics_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`reward` and `car` without a source read them: 12 calls for 6 examples of 2 strategies, and
    24 for both orders of 6 pairs. The metrics then need none.
    """
    teach_the_fake(monkeypatch)
    with_judge(bench, "pairs = true\n")
    calls = {name: step.calls for name, step in planned(bench).items()}
    assert calls[HUMAN] == 6
    with respsel.open_study(bench.recipe) as study:
        study.run()
    bench.write("a.toml", bench.recipe.read_text() + REWARD)
    with respsel.open_study(bench.recipe) as study:
        result = study.run()
        assert result.calls_made == 0
        found = result.scores("sums", "human", "reward")["value"].to_list()
    assert found == [9.0] * 6
    with respsel.open_study(bench.recipe) as study:
        assert study.run().steps_run == 0


def planned(bench: Bench) -> dict[str, PlannedStep]:
    with respsel.open_study(bench.recipe) as study:
        return {step.name: step for step in study.plan().steps}


def test_a_plan_counts_the_judges_calls(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls for each pair, whose rows are known after a run."""
    teach_the_fake(monkeypatch)
    with_judge(bench)
    with respsel.open_study(bench.recipe) as study:
        study.run()
    bench.edit('rubric = "', 'pairs = true\nrubric = "')
    step = planned(bench)[PAIRS]
    assert (step.calls, step.calls_at_most, step.examples, step.model) == (12, 12, 6, "teacher")


def test_a_changed_rubric_is_the_judges(bench: Bench) -> None:
    """`explain` names its place in the recipe, for scores and comparisons; `diff` does not blame
    anything outside of it.
    """
    with_judge(bench, "pairs = true\n")
    bench.run()
    bench.edit("the right sum", "a sum")
    for name in (HUMAN, PAIRS):
        (item,) = bench.respsel("explain", "a.toml", name, "--json").json
        assert [change["where"] for change in item["changes"]] == ["judge.rubric"]
    bench.run()
    assert bench.respsel("diff", "a.toml", "--json").json["outside"] == []


def test_a_silent_judge_is_asked_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer without text is no judgement: the run goes on, and the next one asks again."""
    teach_the_fake(monkeypatch)
    monkeypatch.setattr("tests.judges.verdict_on", lambda prompt: "")
    with_judge(bench, "pairs = true\n" + REWARD)
    with respsel.open_study(bench.recipe) as study:
        result = study.run()
        assert set(result.frame(HUMAN)["problem"]) == {"the judge wrote nothing"}
        assert set(result.scores("sums", "human", "reward")["problem"]) == {
            "the judge wrote nothing"
        }
    monkeypatch.setattr("tests.judges.verdict_on", lambda prompt: "Score: 3\nBetter: A")
    with respsel.open_study(bench.recipe) as study:
        assert study.run().calls_made == 12 + 12


def test_a_renamed_column_is_read_for_the_rubric(bench: Bench) -> None:
    """A rubric may name what the dataset calls otherwise, as prompts may."""
    with_judge(bench)
    bench.edit("It gives the right sum.", "It gives {{ label }}, as in {{ reference }}.")
    bench.run()
