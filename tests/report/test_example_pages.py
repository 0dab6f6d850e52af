"""Pages of all examples: each is on one, found by its id, in the order that the index says."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

import respsel
from respsel.report.analysis import example_layout
from respsel.report.analysis.example_layout import DatasetPages, anchor
from respsel.report.example_index import beginnings, by_id
from tests.conftest import Bench, jsonl, rows
from tests.judges import teach_the_fake, with_judge
from tests.report.test_write import Tags, report

_LINK = re.compile(r'<li><a href="([0-9]+\.html)#([^"]+)">([^<]*)</a>')


def run(bench: Bench) -> Path:
    """Run the recipe in this process; return the folder of the pages."""
    with respsel.open_study(bench.recipe) as study:
        study.run()
    return bench.folder / "runs/a/examples"


def text(page: Path) -> str:
    return page.read_text("utf-8")


def test_every_example_is_found_by_its_id(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index lists all ids, each with a link to the one place that shows it; links of the report
    lead there too.
    """
    monkeypatch.setattr(example_layout, "_ON_A_PAGE", 4)
    ids = ["a b", "ж/日本", "x" * 300, 'q"<&', "e10", "e9"]
    given = [{**row, "id": key} for row, key in zip(rows(12), ids, strict=False)]
    bench.write("sums.jsonl", jsonl(given))
    pages = run(bench)
    links = [
        (page, unquote(place), unescape(key))
        for page, place, key in _LINK.findall(text(pages / "index.html"))
    ]
    assert sorted(key for _, _, key in links) == sorted(ids)
    assert [key for _, _, key in links if key.startswith("e")] == ["e9", "e10"]
    assert {page for page, _, _ in links} == {"1.html", "2.html"}
    for page, place, key in links:
        shown = text(pages / page)
        assert shown.count(f'id="{place}"') == 1
        assert f"<h2>{key} <bdi>" in unescape(shown)
    tags = Tags()
    tags.feed(report(bench, "html"))
    for link in tags.refers:
        file, _, place = link.partition("#")
        target = text(bench.folder / "runs/a" / (file or "report.html"))
        assert not place or f'id="{unquote(place)}"' in target, link


def test_ids_that_say_nothing_have_the_input_beside_them(bench: Bench) -> None:
    """An id that respsel made is said to be so, and the index is then in the order of inputs."""
    bench.edit('path = "sums.jsonl"', 'path = "bare.jsonl"')
    bare = [{key: value for key, value in row.items() if key != "id"} for row in rows(12)]
    bench.write("bare.jsonl", jsonl(bare))
    pages = run(bench)
    index = text(pages / "index.html")
    assert "The data has no ids. respsel made them" in index
    begins = re.findall(r'">[0-9a-f]{16}</a> <bdi>([^<]*)</bdi>', index)
    assert len(begins) == 6
    assert begins == by_id(begins)
    shown = text(pages / "1.html")
    assert re.findall(r"<h2>[0-9a-f]{16} <bdi>What is \d+ plus \d+\?</bdi></h2>", shown)
    assert shown.count("The id is made by respsel; ") == 6


def test_how_inputs_begin() -> None:
    """Worked out by hand: in one line, cut at 60 characters, without what all have in common."""
    assert beginnings({"a": " x\n y ", "b": "z" * 61}) == {"a": "x y", "b": "z" * 59 + "…"}
    start = "Answer the following question in one word: "
    assert beginnings({"a": f"{start}who?", "b": f"{start}why?"}) == {"a": "… who?", "b": "… why?"}
    assert beginnings({"a": start}) == {"a": start.strip()}
    assert beginnings({"a": "", "b": ""}) == {"a": "", "b": ""}


def test_examples_come_in_the_order_of_the_differences(bench: Bench) -> None:
    """The first example of the pages is the one that the report shows as most apart."""
    pages = run(bench)
    shown = re.findall(
        r"(\d+) of 6; (\w+) and (\w+) are ([0-9.]+) times apart", text(pages / "1.html")
    )
    assert [place for place, *_ in shown] == ["1", "2", "3", "4", "5", "6"]
    gaps = [float(gap) for *_, gap in shown]
    assert gaps == sorted(gaps, reverse=True)
    first = re.search(r"<h2>(\w+) <bdi>", text(pages / "1.html"))
    apart = re.search(r'#id-(\w+)">\w+</a></b> <span class="note">where', report(bench, "html"))
    assert first is not None
    assert apart is not None
    assert first[1] == apart[1]


def test_a_page_shows_what_is_known_of_each_response(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts, scores by every metric, right and wrong, the label, problems, the judge's words."""
    teach_the_fake(monkeypatch)
    wrong = [{**row, "answer": 77} if row["id"] == "e3" else row for row in rows(6)]
    bench.write("sums.jsonl", jsonl(wrong))
    bench.edit('column = "rationale"', 'column = "rationale"\nif_wrong = "drop"')
    with_judge(bench, "pairs = true\n")
    pages = run(bench)
    shown = text(pages / "1.html")
    plain = unescape(re.sub("<[^>]+>", "", shown))
    for i in range(6):
        assert f"What is {i} plus {i}?" in plain
        assert f"{i} + {i} = {2 * i}" in plain
    assert "label 77" in plain
    assert "wrong answer" in plain
    assert 'class="right">right' in shown
    assert 'class="wrong">wrong' in shown
    assert re.search(r"perplexity [0-9.]+; self-aligned-perplexity [0-9.]+; alignment", plain)
    assert "The judge: 9.00" in plain
    assert "The judge: 2.00, against human worse in both orders" in plain


def test_texts_are_cut_so_that_pages_stay_small(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page holds fewer examples where texts are long, and a text says how much of it is left."""
    monkeypatch.setattr(example_layout, "_RESPONSE", 1000)
    monkeypatch.setattr(example_layout, "_PAGE", 2500)
    long = [{**row, "rationale": f"{row['id']} " + "word " * 700} for row in rows(6)]
    bench.write("sums.jsonl", jsonl(long))
    pages = run(bench)
    assert {path.name for path in pages.iterdir()} == {"index.html", "1.html", "2.html", "3.html"}
    assert "… and 2,502 characters more, in responses.parquet" in text(pages / "1.html")
    assert all(path.stat().st_size < 30_000 for path in pages.iterdir())


def test_a_page_that_is_gone_is_made_again_and_an_old_one_goes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages belong to the report: one that is missing or cut is noticed; with fewer examples
    no page of the earlier report stays. A run with nothing to do writes none.
    """
    monkeypatch.setattr(example_layout, "_ON_A_PAGE", 2)
    bench.edit("k = 2", "k = 1")
    bench.edit("samples = 2", 'samples = 2\nkeep = "all"')
    pages = run(bench)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in pages.iterdir()}
    assert set(before) == {"index.html", "1.html", "2.html", "3.html"}
    run(bench)
    assert before == {
        path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in pages.iterdir()
    }
    (pages / "2.html").write_text("cut")
    (pages / "3.html").unlink()
    run(bench)
    assert {path.name: path.read_bytes() for path in pages.iterdir()} == {
        name: data for name, (_, data) in before.items()
    }
    bench.edit("sample = 6", "sample = 2")
    run(bench)
    assert {path.name for path in pages.iterdir()} == {"index.html", "1.html"}
    assert not [path for path in pages.parent.iterdir() if ".part" in path.name]


def test_a_copy_of_the_report_has_no_link_that_leads_nowhere(bench: Bench) -> None:
    """What --format html prints, and what is kept of each run, has no pages beside it."""
    with respsel.open_study(bench.recipe) as study:
        study.run()
        printed = study.report_text("html")
    (kept,) = (bench.folder / "runs/a").glob("2*/report.html")
    for page in (printed, kept.read_text("utf-8")):
        tags = Tags()
        tags.feed(page)
        assert tags.refers
        assert all(link.startswith("#") for link in tags.refers)
        assert "Responses side by side" in page
        assert page.rstrip().endswith("</html>")


def test_a_folder_with_other_files_is_left_alone(bench: Bench) -> None:
    """What somebody put where the pages go is not removed; the message says what to do."""
    bench.write("runs/a/examples/mine.txt", "mine")
    with pytest.raises(respsel.RespselError, match="Move what is not respsel's out of it"):
        run(bench)
    assert (bench.folder / "runs/a/examples/mine.txt").read_text() == "mine"


def test_a_recipe_called_examples_keeps_its_runs(bench: Bench) -> None:
    """Recipe `a`, and one called `examples` in a folder `a` beside it, write to two places."""
    bench.write("respsel.toml", "")
    bench.write("a/examples.toml", bench.recipe.read_text().replace("sums.jsonl", "../sums.jsonl"))
    run(bench)
    with respsel.open_study(bench.folder / "a/examples.toml") as study:
        study.run()
    run(bench)
    assert (bench.folder / "runs/a/examples/1.html").is_file()
    assert (bench.folder / "runs/a/examples.toml/report.html").is_file()


def test_anchors_and_the_order_of_ids() -> None:
    """Worked out by hand: what is no letter is spelt by its number, and digits sort as numbers."""
    assert anchor("e5") == "id-e5"
    assert anchor("a b~") == "id-a~20~b~7e~"
    assert anchor("日本 1") == "id-日本~20~1"
    assert len(anchor("x" * 5000)) < 130
    assert anchor("x" * 5000) != anchor("x" * 5001)
    assert by_id(["e10", "e9", "E1", "10", "9", "e009"]) == ["9", "10", "E1", "e9", "e009", "e10"]


def test_each_example_has_one_place() -> None:
    """125 examples, 50 on a page, from page 4: 50, 50 and 25."""
    ids = tuple(f"e{i}" for i in range(125))
    data = DatasetPages("d", ("a", "b"), (), ids, (None,) * 125, True, 4, 50, 100)
    assert list(data.pages) == [4, 5, 6]
    assert [len(data.places_on(page)) for page in data.pages] == [50, 50, 25]
    assert [data.link(f"e{i}") for i in (0, 49, 50, 124)] == [
        "4.html#id-e0",
        "4.html#id-e49",
        "5.html#id-e50",
        "6.html#id-e124",
    ]
