"""Reports: what they say, and that nothing in them runs or loads anything."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import polars as pl

from respsel.text.numbers import number
from tests.conftest import Bench, jsonl, rows


class Tags(HTMLParser):
    """Collects what a page opens and refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.refers: list[str] = []
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        self.refers += [
            str(value) for name, value in attrs if name in ("src", "href", "onload", "onclick")
        ]


def report(bench: Bench, suffix: str) -> str:
    return (bench.folder / "runs" / "a" / f"report.{suffix}").read_text()


def test_the_page_is_self_contained(bench: Bench) -> None:
    """report.html has no script and loads nothing from outside itself."""
    bench.run()
    tags = Tags()
    tags.feed(report(bench, "html"))
    assert "script" not in tags.opened
    assert "link" not in tags.opened
    # A link leads into the page itself, or to the pages of examples beside it.
    assert all(link.startswith(("#", "examples/")) for link in tags.refers)
    assert "http" not in report(bench, "html")
    assert "svg" in tags.opened


def test_text_from_models_and_data_is_escaped(bench: Bench) -> None:
    """Markup in an input or a response is shown, not obeyed."""
    evil = [
        {**row, "rationale": '<script>alert(1)</script> <img src=x onerror="y"> & "q"'}
        for row in rows(12)
    ]
    bench.write("sums.jsonl", jsonl(evil))
    bench.run()
    tags = Tags()
    tags.feed(report(bench, "html"))
    assert "script" not in tags.opened
    assert "img" not in tags.opened
    assert '<script>alert(1)</script> <img src=x onerror="y"> & "q"' in tags.text


def test_all_formats_say_the_same(bench: Bench) -> None:
    """json, markdown, html and the run's own output agree on the verdict."""
    verdict = bench.run()["verdicts"][0]
    data = json.loads(report(bench, "json"))
    assert data["datasets"][0]["verdict"] == verdict
    for suffix in ("md", "html"):
        text = report(bench, suffix)
        assert data["headline"]["which"] in text
        assert number(verdict["ranking"][0]["score"]) in text


def test_the_tables_hold_the_numbers_behind_it(bench: Bench) -> None:
    """The ranking can be worked out again from scores.parquet, and perplexity from
    token_scores.parquet.
    """
    verdict = bench.run()["verdicts"][0]
    folder = bench.folder / "runs" / "a"
    scores = pl.read_parquet(folder / "scores.parquet").filter(pl.col("metric") == "perplexity")
    means = dict(scores.group_by("strategy").agg(pl.col("value").log().mean().exp()).iter_rows())
    for ranked in verdict["ranking"]:
        assert abs(means[ranked["strategy"]] - ranked["score"]) < 1e-6
    tokens = pl.read_parquet(folder / "token_scores.parquet").filter(pl.col("view") == "plain")
    again = tokens.select("strategy", "id", pl.col("nll").list.mean().exp().alias("again")).join(
        scores, on=["strategy", "id"]
    )
    assert all(abs(a / b - 1) < 1e-4 for a, b in again.select("again", "value").iter_rows())


def test_the_audit_counts_every_token(bench: Bench) -> None:
    """For each strategy and view, as many tokens are scored as the responses have."""
    bench.run()
    for row in json.loads(report(bench, "json"))["datasets"][0]["audit"]:
        assert row["responses"] == row["scored_responses"] == 6
        assert row["tokens_expected"] == row["tokens_scored"] > 0


def test_a_winner_with_wrong_answers_carries_a_caution(bench: Bench) -> None:
    """A strategy that leads with wrong answers is not recommended without saying so."""
    wrong = [{**row, "rationale": f"It is surely {row['answer'] + 1}"} for row in rows(12)]
    bench.write("sums.jsonl", jsonl(wrong))
    bench.edit(
        '[[strategies]]\nname = "teacher"\nfrom = "model"\nmodel = "teacher"\nprompt = "Solve: {{ '
        'input }}"\n',
        "",
    )
    done = bench.respsel("run", "a.toml")
    assert "Caution: 0 of 6 checked responses of human have the right answer." in done.out
    assert "fix or drop those, or choose another strategy" in done.out
    assert "0 of 6 checked responses of human have the right answer" in report(bench, "html")
    assert "**Caution:** 0 of 6" in report(bench, "md")


def test_a_strategy_with_wrong_answers_is_not_recommended(bench: Bench) -> None:
    """Where most answers of the only strategy are wrong, the first line says that none is left."""
    wrong = [{**row, "rationale": f"It is surely {row['answer'] + 1}"} for row in rows(12)]
    bench.write("sums.jsonl", jsonl(wrong))
    bench.edit("sample = 6", "sample = 12")
    bench.edit("require = { right = 0 }", "")
    bench.edit(
        '[[strategies]]\nname = "teacher"\nfrom = "model"\nmodel = "teacher"\nprompt = "Solve: {{ '
        'input }}"\n',
        "",
    )
    done = bench.run()
    assert done["verdicts"][0]["winner"] is None
    assert done["verdicts"][0]["ranking"][0]["strategy"] == "human"
    headline = json.loads(report(bench, "json"))["headline"]
    assert headline["which"] == "No strategy can be recommended"
    assert "most of its answers are wrong (0 of 12 answers are right)" in headline["how_sure"]
    assert not headline["ready"]
    assert bench.respsel("apply", "a.toml").code == 1


def test_a_prompt_with_the_label_carries_a_caution(bench: Bench) -> None:
    """Right answers say little where the prompt gives them away."""
    bench.edit("Solve: {{ input }}", "Solve: {{ input }} It is {{ label }}.")
    bench.edit('[[strategies]]\nname = "human"\nfrom = "column"\ncolumn = "rationale"\n', "")
    bench.edit('answer = "number"', 'answer = { kind = "regex", pattern = "\\\\d" }')
    bench.write("sums.jsonl", jsonl([{**row, "answer": 5} for row in rows(12)]))
    bench.edit('It is {{ label }}."', 'It is {{ label }}."\nattempts = 100\nif_wrong = "drop"')
    assert "The prompt of teacher contains the label" in bench.respsel("run", "a.toml").out


def test_the_fake_backend_says_that_it_is_one(bench: Bench) -> None:
    """Numbers of a fake model mean nothing."""
    assert (
        "The fake backend stands in for a model: these numbers mean nothing."
        in bench.respsel("run", "a.toml").out
    )


def test_responses_come_with_their_inputs(bench: Bench) -> None:
    """responses.parquet is a training set by itself: input and text side by side."""
    bench.run()
    frame = pl.read_parquet(bench.folder / "runs/a/responses.parquet")
    assert frame.columns[:5] == ["dataset", "strategy", "id", "input", "text"]
    assert all(
        row["input"] == f"What is {row['id'][1:]} plus {row['id'][1:]}?"
        for row in frame.iter_rows(named=True)
    )


def test_the_report_follows_what_it_says(bench: Bench) -> None:
    """A change that alters no result but something that the report says writes it again."""
    bench.run()
    bench.edit("sample = 6", "sample = 12")
    bench.run()
    bench.edit("sample = 12", "sample = 50")
    assert bench.run()["steps_run"] == 1
    assert "The recipe asks for 50 examples; the dataset has 12." in report(bench, "html")


def test_no_comparable_example_is_said(bench: Bench) -> None:
    """Where no example has all scores there is a report that says so, and no winner."""
    bench.edit('prompt = "Solve: {{ input }}"', 'prompt = "Solve: {{ input }}"\nif_wrong = "drop"')
    bench.write("sums.jsonl", jsonl([{**row, "answer": 77} for row in rows(12)]))
    done = bench.run()
    assert done["verdicts"][0]["winner"] is None
    assert "No strategy can be ranked" in report(bench, "html")
    assert "teacher lacks 6 (wrong answer)" in report(bench, "html")
    assert "No example has a score for every strategy." in report(bench, "md")


def test_provenance_names_models_and_files(bench: Bench) -> None:
    """What was run on what: identities of models, digests of files, versions."""
    bench.run()
    data = json.loads(report(bench, "json"))["provenance"]
    assert set(data["models"]) == {"target", "teacher"}
    assert re.fullmatch("[0-9a-f]{64}", data["models"]["target"]["identity"])
    assert re.fullmatch("[0-9a-f]{64}", data["files"]["examples:sums"])


def test_a_damaged_report_is_written_again(bench: Bench) -> None:
    """A report file that is gone or cut short is made again from the store, with no call."""
    bench.run()
    (bench.folder / "runs/a/report.html").write_text("cut")
    (bench.folder / "runs/a/scores.parquet").unlink()
    assert bench.run()["calls_made"] == 0
    assert report(bench, "html").endswith("</html>")
    assert (bench.folder / "runs/a/scores.parquet").exists()
