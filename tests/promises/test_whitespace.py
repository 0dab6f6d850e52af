"""Promise: white space decides no verdict: one rule for the texts of every strategy, and the report
says what it changed.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from respsel.records import OwnOutput, Response
from respsel.tables.kinds import RESPONSES
from respsel.text.whitespace import BLANKS, normalised
from tests.conftest import Bench, jsonl, rows

RECIPE = """\
format = 1
{rule}
[target]
model = "target"
[models.target]
backend = "fake"
[[datasets]]
name = "d"
path = "d.csv"
label = "label"
answer = "number"
{strategies}
[own_outputs]
path = "own.jsonl"
[[metrics]]
name = "perplexity"
[[metrics]]
name = "self-aligned-perplexity"
k = 1
[[metrics]]
name = "response-tokens"
"""
TEXT = "Add them up.\nThat is\xa0 {n}  in all:\n\n  {n}"
# The same text as files of several origins have it.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "final": lambda text: text + "\n",
    "windows": lambda text: text.replace("\n", "\r\n") + "\r\n\r\n",
    "mac": lambda text: text.replace("\n", "\r"),
    "twice": lambda text: text.replace("\n", "\r\r\n"),
    "lead": lambda text: "\n\n" + text,
    "blank": lambda text: "\u3000 " + text + "\xa0\t",
    "marked": lambda text: "\ufeff" + text + "\u200b",
}


def make_bench(folder: Path, rule: str = "") -> Bench:
    """Six examples whose responses are spelled in each of SPELLINGS; one spelling is in a file, one
    in a batch's output.
    """
    bench = Bench(folder)
    texts = [TEXT.replace("{n}", str(i)) for i in range(6)]
    with (folder / "d.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", "input", "label", *SPELLINGS])
        writer.writeheader()
        for i, text in enumerate(texts):
            spelled = {name: spell(text) for name, spell in SPELLINGS.items()}
            writer.writerow(
                {"id": f"e{i}", "input": f"How many are {i}?\r\n", "label": i, **spelled}
            )
    bench.write(
        "file.jsonl",
        jsonl([{"id": f"e{i}", "response": f" {text}\r\n"} for i, text in enumerate(texts)]),
    )
    chats = [
        {"choices": [{"message": {"content": f"\r\n{text}"}, "finish_reason": "stop"}]}
        for text in texts
    ]
    lines = [
        {"custom_id": f"e{i}", "response": {"status_code": 200, "body": chat}}
        for i, chat in enumerate(chats)
    ]
    bench.write("batch.jsonl", jsonl(lines))
    bench.write(
        "own.jsonl", jsonl([{"id": f"e{i}", "response": f"\r\nIt is\r\n{i}."} for i in range(6)])
    )
    columns = [
        f'[[strategies]]\nname = "{name}"\nfrom = "column"\ncolumn = "{name}"\n'
        for name in SPELLINGS
    ]
    columns += ['[[strategies]]\nname = "file"\nfrom = "file"\npath = "file.jsonl"\n']
    columns += [
        '[[strategies]]\nname = "batch"\nfrom = "file"\npath = "batch.jsonl"\nformat = "batch"\n'
    ]
    bench.write("a.toml", RECIPE.format(rule=rule, strategies="".join(columns)))
    return bench


def report(bench: Bench) -> Any:
    return json.loads((bench.folder / "runs/a/report.json").read_text("utf-8"))["datasets"][0]


def means(bench: Bench) -> dict[str, tuple[float, ...]]:
    return {
        item["strategy"]: tuple(mean["mean"] for mean in item["means"])
        for item in report(bench)["strategies"]
    }


def test_the_same_texts_have_the_same_numbers_however_they_are_spelled(tmp_path: Path) -> None:
    """Line ends, outer blanks and byte order marks change no score and no text, from columns, files
    and batches alike.
    """
    bench = make_bench(tmp_path)
    bench.run()
    assert len(set(means(bench).values())) == 1
    texts = pl.read_parquet(tmp_path / "runs/a/responses.parquet")
    assert len(texts) == 6 * len(means(bench))
    assert {row["text"] for row in texts.iter_rows(named=True)} == {
        TEXT.replace("{n}", str(i)) for i in range(6)
    }
    assert texts["correct"].all()


def test_the_report_counts_the_texts_that_were_changed_and_how(tmp_path: Path) -> None:
    """Each strategy has the number of changed texts by kind, own outputs too, and both pages say so
    in words.
    """
    bench = make_bench(tmp_path)
    bench.run()
    data = report(bench)
    counts = {item["strategy"]: item["white_space"] for item in data["strategies"]}
    assert counts["plain"] == {"texts": 6, "changed": 0, "line_ends": 0, "outer_blanks": 0}
    assert counts["windows"] == {"texts": 6, "changed": 6, "line_ends": 6, "outer_blanks": 6}
    assert counts["mac"] == {"texts": 6, "changed": 6, "line_ends": 6, "outer_blanks": 0}
    assert (
        counts["lead"]
        == counts["file"]
        == counts["batch"]
        == {"texts": 6, "changed": 6, "line_ends": 0, "outer_blanks": 6}
    )
    assert data["own_outputs"]["white_space"] == {
        "texts": 6,
        "changed": 6,
        "line_ends": 6,
        "outer_blanks": 6,
    }
    for page in ("report.md", "report.html"):
        text = (tmp_path / "runs/a" / page).read_text("utf-8")
        assert "mac 6 of 6 (line ends of 6)" in text
        assert "own outputs 6 of 6 (line ends of 6 and outer blanks of 6)" in text
        assert "plain 0" not in text


def test_keep_leaves_every_text_as_it_is(tmp_path: Path) -> None:
    """With whitespace = "keep" the texts are the files' own, their numbers differ, and nothing
    counts as changed.
    """
    bench = make_bench(tmp_path)
    bench.run()
    before = means(bench)
    again = make_bench(tmp_path, 'whitespace = "keep"')
    assert again.run()["steps_run"] > 0
    texts = pl.read_parquet(tmp_path / "runs/a/responses.parquet").filter(id="e1")
    assert {row["strategy"]: row["text"] for row in texts.iter_rows(named=True)} == {
        **{name: spell(TEXT.replace("{n}", "1")) for name, spell in SPELLINGS.items()},
        "file": " " + TEXT.replace("{n}", "1") + "\r\n",
        "batch": "\r\n" + TEXT.replace("{n}", "1"),
    }
    assert means(again)["plain"][0] == before["plain"][0]
    assert means(again)["windows"][0] != before["windows"][0]
    assert not any(item["white_space"]["changed"] for item in report(again)["strategies"])


def test_training_sets_have_exactly_the_text_that_was_scored(tmp_path: Path) -> None:
    """Whatever the format, the training set of a strategy with Windows line ends holds the scored
    text.
    """
    forms = ["messages", "prompt-completion", "sdft", "axolotl", "llama-factory", "openai"]
    forms += ["parquet"]
    bench = make_bench(tmp_path)
    bench.run()
    assert bench.respsel("apply", "a.toml", "--strategy", "windows").code == 0
    wanted = [word for form in forms for word in ("--format", form)]
    assert bench.respsel("export", "a.toml", *wanted, "--out", "out").code == 0
    for form in forms[:-1]:
        (data,) = (tmp_path / "out" / form).glob("train.*")
        content = data.read_text("utf-8")
        assert json.dumps(TEXT.replace("{n}", "1"), ensure_ascii=False) in content, form
        # Inputs stay as they are.
        assert "\\r" not in content.replace("?\\r\\n", ""), form
    table = pl.read_parquet(tmp_path / "out/parquet/train.parquet")
    assert set(table["response"]) == {TEXT.replace("{n}", str(i)) for i in range(6)}


def test_a_text_of_nothing_but_blanks_is_an_empty_one(bench: Bench) -> None:
    """What is empty once its blanks are gone counts as empty: it is not scored, and the report says
    why.
    """
    bench.edit(
        'column = "rationale"',
        'column = "rationale"\n\n[[strategies]]\nname = "late"\nfrom = "column"\ncolumn = "late"',
    )
    bench.write(
        "sums.jsonl",
        jsonl([{**row, "late": "\u200b" if i == 2 else "x"} for i, row in enumerate(rows(6))]),
    )
    bench.run()
    assert {item["strategy"]: item["unusable"] for item in report(bench)["strategies"]}["late"] == {
        "empty": 1
    }


MODEL = """
import sys
from dataclasses import replace
from respsel.backends import fake
generate = fake.FakeModel.generate
def windows(self, calls):
    for index, made in generate(self, calls):
        yield index, replace(made, text=made.text.replace(" ", "\\r\\n", 1))
fake.FakeModel.generate = windows
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml", "--json"]
app()
"""


def test_texts_that_models_write_follow_the_rule_and_their_calls_are_reused(bench: Bench) -> None:
    """A model's line ends are made the same; switching the rule off makes no call again."""
    done = subprocess.run(
        [sys.executable, "-c", MODEL], cwd=bench.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = report(bench)
    assert {item["strategy"]: item["white_space"]["line_ends"] for item in found["strategies"]} == {
        "human": 0,
        "teacher": 6,
    }
    assert found["own_outputs"]["white_space"]["line_ends"] == 12
    bench.edit("format = 1", 'format = 1\nwhitespace = "keep"')
    plan = json.loads(bench.respsel("plan", "a.toml", "--json").out)
    assert {
        step["name"]: step["calls"]
        for step in plan["steps"]
        if step["op"] in ("responses", "own-outputs")
    } == {
        "responses:sums/human": 0,
        "responses:sums/teacher": 0,
        "own-outputs:sums": 0,
    }


def test_another_word_for_the_rule_is_an_error_at_its_place(bench: Bench) -> None:
    """whitespace takes "normalise" or "keep"."""
    bench.edit("format = 1", 'format = 1\nwhitespace = "none"')
    done = bench.respsel("plan", "a.toml")
    assert done.code == 2
    assert "a.toml: line 2, whitespace" in done.err


@given(st.text(st.sampled_from("ab \n\r\t\xa0\u2028\x85\v\ufeff"), max_size=30))
def test_the_rule_changes_a_text_once_and_nothing_inside_it(text: str) -> None:
    """Applied twice it is applied once; no return is left, no outer blank, and all other characters
    stand in their order.
    """
    once = normalised(Response("e", text), "normalise")
    assert normalised(once, "normalise") == once
    assert "\r" not in once.text
    assert once.text == once.text.strip(BLANKS)
    assert bool(once.changed) == (once.text != text)
    inner = text.strip(BLANKS)
    assert once.text.replace("\n", "") == inner.replace("\n", "").replace("\r", "")
    assert normalised(OwnOutput("e", 0, text), "keep").text == text


def test_every_character_that_python_calls_space_is_a_blank() -> None:
    """What str.strip would take goes too, so that a model's stripped text and a column's are the
    same.
    """
    assert {char for char in map(chr, range(0x11000)) if char.isspace()} <= set(BLANKS)


def test_a_long_text_takes_linear_time() -> None:
    """A megabyte of returns or blanks is normalised in a moment."""
    begun = time.perf_counter()
    for text in ("\r" * 10**6, "a" + " " * 10**6 + "b", "\r\n" * 500_000 + "x"):
        normalised(Response("e", text), "normalise")
    assert time.perf_counter() - begun < 5


def test_tables_of_earlier_versions_are_read_and_keep_their_digest() -> None:
    """A table without the newer column is read; where nothing was changed its digest is
    as it was.
    """
    row = Response("e", "text", correct=True)
    old = RESPONSES.read(RESPONSES.pack([row]).data).drop("changed")
    assert RESPONSES.rows_of(old) == [row]
    assert (
        RESPONSES.digest([row])
        == "97ae5d90d635300c9034c01028181b45d289eff7c8849714653c8fdc7686bbd7"
    )
    assert RESPONSES.digest([row]) != RESPONSES.digest(
        [Response("e", "text", correct=True, changed="line ends")]
    )
