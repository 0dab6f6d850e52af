"""Promise: a store of an earlier version is read, and what its records lack is asked once more.

What they lack is the sum of squared probabilities. It is never taken for a number.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest

from respsel.backends.contract import ScoreCall
from respsel.calls.keys import find_call, request_key, score_key
from respsel.calls.records import from_record, to_record
from respsel.calls.requests import Scored, ScoreRequest
from respsel.records import Message, ScoredResponse, TokenScores
from respsel.store.store import Store
from respsel.tables.kinds import TOKEN_SCORES
from tests.conftest import Bench, jsonl, rows

# respsel as it was: neither calls nor tables have sums of squares.
EARLIER = """
import respsel.calls.caller as caller
from respsel.scoring import token_scores
from respsel.selection import race_rule
from respsel.tables import kinds
to_record = caller.to_record
def without(answer):
    return {name: part for name, part in to_record(answer).items() if name != "squares"}
caller.to_record = without
token_scores.VERSION = 3
race_rule.VERSION = 2
del kinds.TOKEN_SCORES.column_types["squares"]
nothing = lambda scores: replace(scores, squares=None)
"""
NOW = "nothing = lambda scores: scores\n"
# An engine that gives neither entropies nor sums of squares, as an endpoint.
SILENT = """
nothing = lambda scores: replace(
    scores, entropy=np.full(len(scores), np.nan, np.float32), squares=None
)
"""
RUN = """
import sys
from dataclasses import replace
import numpy as np
from respsel.backends import fake
{how}
score = fake.FakeModel.score
def changed(self, calls):
    for index, made in score(self, calls):
        yield index, nothing(made)
fake.FakeModel.score = changed
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml", "--json"]
app()
"""


def run(bench: Bench, how: str) -> Any:
    """Run the recipe with respsel changed; return what `--json` prints."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(how=how)],
        cwd=bench.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_earlier_store_is_scored_once_more_and_says_why(bench: Bench) -> None:
    """Six examples, two strategies and two views: 24 calls once, announced by plan and explain in
    words; all that does not read the new column comes out as before.
    """
    before = run(bench, EARLIER)
    for command in ("cache verify", "cache ls", "plan", "explain"):
        words = command.split()
        recipe = [] if words[0] == "cache" else ["a.toml"]
        assert bench.respsel(*words, *recipe).code == 0, command
    planned = bench.respsel("plan", "a.toml", "--json").json["steps"]
    assert sum(step["calls"] for step in planned) == 24
    told = bench.respsel("explain", "a.toml", "token-scores:sums/human/plain").out
    assert (
        "respsel's operation 'token-scores' changed: version 3 -> version 4: token scores now have "
        "the sum of squared probabilities of each position, so responses are scored once more"
        in told
    )
    again = bench.run()
    assert again["calls_made"] == 24
    assert again["verdicts"] == before["verdicts"]
    assert bench.run()["steps_run"] == 0
    assert bench.respsel("cache", "verify").code == 0


def test_an_earlier_race_is_run_once_more(bench: Bench) -> None:
    """A race asks for what it scored before, and the scoring behind it for nothing more."""
    bench.write("sums.jsonl", jsonl(rows(14)))
    bench.edit("sample = 6", "sample = 14")
    bench.edit("resamples = 500", 'resamples = 500\nbudget = "race"')
    before = run(bench, EARLIER)
    planned = bench.respsel("plan", "a.toml", "--json").json["steps"]
    raced = next(step for step in planned if step["name"] == "race:sums")
    assert 0 < raced["calls"] <= raced["calls_at_most"]
    again = bench.run()
    assert again["calls_made"] > 0
    assert again["verdicts"] == before["verdicts"]
    assert bench.run()["steps_run"] == 0


def test_an_engine_without_the_column_is_not_asked_again(bench: Bench) -> None:
    """Scores of an endpoint stay: its steps are read once more, without a call, and nothing that
    follows from them is made again.
    """
    before = run(bench, EARLIER + SILENT)
    again = run(bench, NOW + SILENT)
    # Two strategies in two views.
    assert (again["calls_made"], again["steps_run"]) == (0, 4)
    assert again["verdicts"] == before["verdicts"]
    metrics = "".join(f'[[metrics]]\nname = "{name}"\n\n' for name in ("mean-brier", "lark"))
    bench.edit("[selection]", f"{metrics}[selection]")
    assert run(bench, NOW + SILENT)["calls_made"] == 0
    found = pl.read_parquet(bench.folder / "runs/a/scores.parquet")
    found = found.filter(pl.col("metric").is_in(["mean-brier", "lark"]))
    assert (len(found), set(found["value"])) == (24, {None})
    assert set(found["problem"]) == {"the endpoint gives no sums of squared probabilities"}


def test_a_zero_is_no_sum_of_squares(bench: Bench) -> None:
    """An engine that writes 0 or NaN for what it does not know has no scores, and the next run asks
    again.
    """
    for value in ("0", "np.nan"):
        run(bench, f"nothing = lambda s: replace(s, squares=np.full(len(s), {value}, np.float32))")
        problems = pl.read_parquet(bench.folder / "runs/a/token_scores.parquet")["problem"]
        assert set(problems) == {"a score is not a finite number"}
    assert bench.run()["calls_made"] == 24


PINNED = "d85ddb90e8eca61b4a5990f4915f529249aa8614d4f6e45448281ddbbdc4db4d"


def scores(entropy: float, squares: list[float] | None) -> TokenScores:
    ids = np.array([3, 4], np.int32)
    known = None if squares is None else np.array(squares, np.float32)
    nll = np.array([0.5, 1.0], np.float32)
    return TokenScores(ids, nll, ids, np.full(2, entropy, np.float32), squares=known)


@pytest.mark.parametrize(
    ("entropy", "has", "found"), [(1.0, True, True), (1.0, False, False), (np.nan, False, True)]
)
def test_a_call_is_found_if_its_record_is_whole(
    tmp_path: Any, entropy: float, has: bool, found: bool
) -> None:
    """A record of an engine that gives entropies is not found without sums of squares; one of an
    endpoint is, and has none.
    """
    request = ScoreRequest("m", (Message("user", "hi"),), "text", "about", "e1")
    key = score_key("id", ScoreCall((1, 2), (3, 4)))
    record = dict(to_record(Scored(2, 2, scores(entropy, [0.5, 0.25]))))
    if not has:
        del record["squares"]
    with Store(tmp_path / "cache") as store:
        store.save_json(key, record)
        store.put(request_key("id", request), key.encode())
        assert (find_call(store, "id", request) == key) == found
    answer = from_record(record)
    assert (answer is not None) == found
    if answer is not None:
        assert isinstance(answer, Scored)
        assert answer.scores is not None
        assert (answer.scores.squares is not None) == has


def test_an_earlier_table_is_read() -> None:
    """A table without the column gives None for it. Its digest is pinned: what follows from an
    endpoint's scores stays.
    """
    row = ScoredResponse("a", 7, 2, scores(1.0, None))
    packed = TOKEN_SCORES.pack([row])
    frame = TOKEN_SCORES.read(packed.data).drop("squares")
    (found,) = TOKEN_SCORES.rows_of(frame)
    assert found.scores is not None
    assert found.scores.squares is None
    assert TOKEN_SCORES.digest([found]) == packed.digest == PINNED
    more = ScoredResponse("a", 7, 2, scores(1.0, [0.5, 0.25]))
    assert TOKEN_SCORES.digest([more]) != packed.digest
    (read,) = TOKEN_SCORES.decode(TOKEN_SCORES.pack([more]).data)
    assert read.scores is not None
    assert read.scores.squares is not None
    assert read.scores.squares.tolist() == [0.5, 0.25]
