"""Races in a run: what they save, that they go on, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from respsel.selection.race_rule import FIRST, STEP
from tests.conftest import Bench, jsonl, rows
from tests.promises.test_interruption import start

RACE = """\
format = 1
target = { model = "target" }

[models.target]
backend = "fake"

[[datasets]]
name = "sums"
path = "sums.jsonl"
input = "question"
sample = 30

[[strategies]]
name = "human"
from = "column"
column = "rationale"

[[strategies]]
name = "again"
from = "column"
column = "again"

[[strategies]]
name = "odd"
from = "column"
column = "odd"

[[metrics]]
name = "self-aligned-perplexity"
k = 2

[[metrics]]
name = "perplexity"

[selection]
budget = "race"
resamples = 500
"""


@pytest.fixture
def racing(bench: Bench) -> Bench:
    """Two strategies that are nearly the same, and one whose pairs of bytes the fake target finds
    unlikely.
    """
    bench.write("a.toml", RACE)
    data = [{**row, "again": f"{row['rationale']}.", "odd": "fq" * 20} for row in rows(60)]
    bench.write("sums.jsonl", jsonl(data))
    return bench


def report(bench: Bench) -> Any:
    return json.loads((bench.folder / "runs/a/report.json").read_text())


def test_a_race_scores_less_and_says_what_it_saved(racing: Bench) -> None:
    """Who is far behind is scored over the first batch alone; the calls are those of the race and
    the other views after it.
    """
    done = racing.run()
    (data,) = report(racing)["datasets"]
    race = data["race"]
    verdict = data["verdict"]
    scored = {item["strategy"]: item["examples"] for item in verdict["ranking"]}
    assert min(scored.values()) == FIRST
    assert race["scored"] == sum(scored.values()) < race["possible"] == 90
    # 30 own outputs; the race's view and the plain one.
    assert done["calls_made"] == 30 + 2 * race["scored"]
    audit = {(row["strategy"], row["view"]): row["scored_responses"] for row in data["audit"]}
    assert audit == {
        (name, view): n for name, n in scored.items() for view in ("self-aligned-2", "plain")
    }
    assert verdict["unscored"] == dict.fromkeys(scored, 0)
    shown = racing.respsel("run", "a.toml").out
    assert f"the race scored {race['scored']} of 90 responses" in shown
    assert f"after {FIRST} examples" in shown


def test_a_race_that_ends_early_lacks_nothing(racing: Bench) -> None:
    """What a race did not come to is no missing score: a winner after the first batch is decided
    without a caution.
    """
    racing.edit('[[strategies]]\nname = "again"\nfrom = "column"\ncolumn = "again"\n', "")
    data = [{**row, "rationale": "bg" * 20, "odd": "fq" * 20} for row in rows(30)]
    racing.write("sums.jsonl", jsonl(data))
    (verdict,) = racing.run()["verdicts"]
    assert (verdict["examples"], verdict["winner"], verdict["decided"]) == (FIRST, "human", True)
    assert verdict["unscored"] == {"human": 0, "odd": 0}
    assert not [
        caution for caution in report(racing)["headline"]["cautions"] if "have a score" in caution
    ]


def test_a_finished_race_is_cached(racing: Bench) -> None:
    """Run again: nothing is run, nothing asked; plan says so too."""
    racing.run()
    done = racing.run()
    assert (done["steps_run"], done["calls_made"], done["calls_reused"]) == (0, 0, 0)
    assert racing.respsel("plan", "a.toml", "--json").json["run"] == 0


def test_a_larger_sample_goes_on_with_no_call_twice(racing: Bench) -> None:
    """A race over 30 and then 50 examples makes as many calls as one over 50."""
    first = racing.run()["calls_made"]
    racing.edit("sample = 30", "sample = 50")
    more = racing.run()["calls_made"]
    scored = report(racing)["datasets"][0]["race"]["scored"]
    assert more > 0
    assert first + more == 50 + 2 * scored


def test_all_after_a_race_scores_the_rest_alone(racing: Bench) -> None:
    """With budget = "all" after a race, what the race scored is not scored again."""
    first = racing.run()["calls_made"]
    racing.edit('budget = "race"', 'budget = "all"')
    assert first + racing.run()["calls_made"] == 30 + 2 * 90


def test_a_race_over_the_same_is_the_same(racing: Bench) -> None:
    """Without its store, a race goes as before."""
    racing.run()
    before = report(racing)["datasets"]
    racing.edit('name = "odd"', 'name = "strange"')
    done = racing.run()
    assert done["calls_made"] == 0
    after = json.dumps(report(racing)["datasets"]).replace("strange", "odd")
    assert json.loads(after)[0]["race"] == before[0]["race"]


def test_a_killed_race_goes_on(racing: Bench) -> None:
    """After kill -9 in the middle of a race exactly the calls that are missing are made, and the
    race is the same.
    """
    whole = Bench(racing.folder / "whole")
    for name in ("a.toml", "sums.jsonl"):
        whole.write(name, (racing.folder / name).read_bytes())
    calls = whole.run()["calls_made"]
    process = start(racing, "if count == 75: os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate(timeout=60)
    assert racing.run()["calls_made"] == calls - 75
    assert report(racing)["datasets"][0]["race"] == report(whole)["datasets"][0]["race"]


def test_a_plan_says_how_many_calls_a_race_makes_at_most(racing: Bench) -> None:
    """Before the race, its first batch is certain once its inputs are known, and every response
    once the most.
    """
    racing.write("own.jsonl", jsonl([{"id": f"e{i}", "response": f"I say {i}"} for i in range(60)]))
    racing.edit("[selection]", '[own_outputs]\npath = "own.jsonl"\n\n[selection]')
    steps = {
        step["name"]: step for step in racing.respsel("plan", "a.toml", "--json").json["steps"]
    }
    assert (steps["race:sums"]["calls"], steps["race:sums"]["calls_at_most"]) == (3 * FIRST, 90)
    at_most = sum(step["calls_at_most"] for step in steps.values())
    assert at_most == 180
    assert racing.run()["calls_made"] <= at_most


def test_a_metric_without_token_scores_cannot_be_raced(racing: Bench) -> None:
    """Racing by what costs no call is a clear error of the recipe."""
    racing.edit(
        "[selection]", '[[metrics]]\nname = "alignment"\n\n[selection]\nmetric = "alignment"'
    )
    done = racing.respsel("run", "a.toml")
    assert done.code == 2
    assert "selection.budget: 'alignment' is not from token scores" in done.err


def test_what_does_not_fit_the_context_is_told_before_a_race(racing: Bench) -> None:
    """A response that the race would come to late is an error before the first call, as without a
    race.
    """
    data = [
        {**row, "again": "x" * (9000 if row["id"] == "e3" else 9), "odd": "~~"} for row in rows(30)
    ]
    racing.write("sums.jsonl", jsonl(data))
    racing.write("own.jsonl", jsonl([{"id": f"e{i}", "response": f"I say {i}"} for i in range(30)]))
    racing.edit("[selection]", '[own_outputs]\npath = "own.jsonl"\n\n[selection]')
    racing.edit('backend = "fake"', 'backend = "fake"\ncontext_tokens = 4000')
    done = racing.respsel("run", "a.toml")
    assert done.code == 2
    assert "example 'e3'" in done.err


def test_laps_come_in_batches(racing: Bench) -> None:
    """The timeline holds every batch up to the sample or the end."""
    racing.run()
    laps = report(racing)["datasets"][0]["race"]["laps"]
    counts = [lap["examples"] for lap in laps]
    assert counts == [*range(FIRST, 30, STEP), 30][: len(counts)]


def test_what_was_dropped_too_early_to_decide_has_a_remedy(racing: Bench) -> None:
    """Where the asked confidence is more than a race's, the report says how to get it."""
    racing.edit('budget = "race"', 'budget = "race"\nconfidence = 0.9999')
    racing.run()
    headline = report(racing)["headline"]
    assert not headline["decided"]
    assert 'set selection.budget = "all"' in headline["next_step"]
