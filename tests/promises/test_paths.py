"""Promise: a path is a path.

Whatever a folder or file is called, it alone is read and written, and nothing else is.
"""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import RECIPE, Bench, jsonl, rows

NAMES = [
    "[lab] x",
    "what?",
    "a*b",
    "{a,b}",
    "~",
    "-dash",
    "größe 日本",
    "$HOME",
    "s3:",
    "C:\\data",
    "lang=en",
    "[red]",
]


def parquet(items: list[dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(items).write_parquet(buffer)
    return buffer.getvalue()


def texts(bench: Bench) -> list[str]:
    frame = pl.read_parquet((bench.folder / "runs/a/responses.parquet").read_bytes())
    return frame.filter(pl.col("strategy") == "human")["text"].to_list()


@pytest.mark.parametrize("name", NAMES)
def test_a_project_may_be_called_anything(tmp_path: Path, name: str) -> None:
    """In a folder of any name, with data files of that name, a run reads and writes in it, and
    export does.
    """
    bench = Bench(tmp_path / "outer" / name)
    data = f"{name}.parquet"
    own = f"{name}.jsonl"
    quoted = RECIPE.replace('"sums.jsonl"', f"'{data}'").replace("samples = 2", f"path = '{own}'")
    bench.write("a.toml", quoted)
    bench.write(data, parquet(rows(12)))
    bench.write(
        own, jsonl([{"id": f"e{i}", "response": [f"It is {2 * i}.", "So."]} for i in range(12)])
    )
    bench.run()
    assert len(texts(bench)) == 6
    for command in (
        ["apply", "a.toml", "--strategy", "human"],
        ["export", "a.toml", "--format", "parquet", "--out", name],
    ):
        done = bench.respsel(
            *command[:2], *command[2:-1], f"./{name}" if command[-1] == name else command[-1]
        )
        assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "outer").iterdir()} == {name}
    assert (bench.folder / "cache" / "cache.db").exists()


@pytest.mark.parametrize(
    ("name", "taken"),
    [("train[1].parquet", "train1.parquet"), ("train[1].v2.parquet", "train1.v2.parquet")],
)
def test_a_file_beside_it_is_never_read_in_its_place(bench: Bench, name: str, taken: str) -> None:
    """Brackets as browsers put them into names are no pattern: without the right file there is an
    error, not another one's rows.
    """
    others = [{**row, "rationale": "ANOTHER FILE"} for row in rows(12)]
    bench.write(taken, parquet(others))
    bench.edit('"sums.jsonl"', f'"{name}"')
    done = bench.respsel("run", "a.toml")
    assert (done.code, f"there is no file {name}" in done.err) == (2, True)
    bench.write(name, parquet(rows(12)))
    bench.run()
    assert "ANOTHER FILE" not in texts(bench)


def test_an_address_is_refused_before_anything_is_opened(bench: Bench) -> None:
    """Addresses that are not read, or whose content may change, are told at once, and no library
    is given one to look elsewhere.
    """
    bench.edit('"sums.jsonl"', '"s3://bucket/y.parquet"')
    bench.edit("samples = 2", 'path = "http://127.0.0.1:9/own.jsonl"')
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert (
        "dataset 'sums', path: 's3://bucket/y.parquet' is an address of a kind that is not read"
        in done.err
    )
    assert "own_outputs.path: 'http://127.0.0.1:9/own.jsonl' is not encrypted" in done.err


def test_a_prompt_from_before_a_template_is_told(bench: Bench) -> None:
    """Once `input` is made of `question` and the row's own `input`, a prompt that says both asks
    the question twice.
    """
    bench.write("sums.jsonl", jsonl([{**row, "input": "in words"} for row in rows(12)]))
    bench.edit('input = "question"', 'input = "{{ question }} {{ input }}"')
    bench.edit('prompt = "Solve: {{ input }}"', 'prompt = "{{ question }} {{ input }}"')
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert "strategy 'teacher', prompt: asks 'question' twice" in done.err
    bench.edit('prompt = "{{ question }} {{ input }}"', 'prompt = "{{ input }}"')
    bench.run()
    frame = pl.read_parquet((bench.folder / "runs/a/responses.parquet").read_bytes())
    assert all(text.endswith("? in words") for text in frame["input"])


def test_a_hidden_label_is_told_when_a_prompt_comes_to_say_it(bench: Bench) -> None:
    """The rows are looked at again for it, though they were read before."""
    bench.write("sums.jsonl", jsonl([{**row, "label": "odd"} for row in rows(12)]))
    bench.run()
    bench.edit("Solve: {{ input }}", "Solve: {{ input }} ({{ label }})")
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert "has a column 'label' of its own, which label = \"answer\" hides" in done.err


def test_equal_rows_without_ids_are_told_in_the_report(bench: Bench) -> None:
    """They are one example, and the first screen says how many rows there are of it."""
    plain = [{key: value for key, value in row.items() if key != "id"} for row in rows(8)]
    bench.write("sums.jsonl", jsonl([*plain, plain[0], plain[0], plain[3]]))
    bench.edit("sample = 6\n", "")
    done = bench.respsel("run", "a.toml")
    assert done.code == 0, done.err
    assert (
        "3 rows are equal to others in sums: without ids, equal rows are one example."
        in " ".join(done.out.split())
    )
    assert len(texts(bench)) == 8
