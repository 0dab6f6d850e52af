"""Several files as one dataset: which ones a path stands for, their order, and their faults."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import polars as pl
import pytest

from respsel.data.examples import load_examples
from respsel.data.file_sets import FileSet, local_files
from respsel.data.files import path_fault
from respsel.errors import InputError
from respsel.graph.sources import read_unchanged
from respsel.hashing import canonical_json, digest, file_digest
from respsel.recipe.schema import DatasetEntry
from respsel.system.patterns import is_pattern, matcher
from tests.conftest import Bench, jsonl, rows

ENTRY = DatasetEntry(name="d", path="-", input="input")


def fill(folder: Path, **files: object) -> None:
    for name, ids in files.items():
        place = folder / name.replace("__", "/").replace("_", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(json.dumps({"id": i, "input": f"q{i}"}) + "\n" for i in ids))  # type: ignore[attr-defined]


def names(found: FileSet, folder: Path) -> list[str]:
    return [file.path.relative_to(folder).as_posix() for file in found.files]


def load(folder: Path, pattern: str, entry: DatasetEntry = ENTRY) -> list[str]:
    found = local_files(folder / pattern, pattern)
    read = lambda: load_examples(entry, found, found.shown)
    return [row.id for row in read_unchanged(found, found.digest(None), read)]


def fault(folder: Path, pattern: str, entry: DatasetEntry = ENTRY) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, pattern, entry)
    return str(caught.value)


def test_files_come_in_the_order_of_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`*` stays in a folder, `**` goes into all, hidden names are left out."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, d__b_jsonl="1", d__a_jsonl="2", d__x__c_jsonl="3", d__x__y__e_jsonl="4")
    (tmp_path / "d" / ".hidden.jsonl").write_text("{}")
    (tmp_path / "d" / "folder.jsonl").mkdir()
    assert names(local_files(tmp_path / "d/*.jsonl", "p"), tmp_path) == ["d/a.jsonl", "d/b.jsonl"]
    assert names(local_files(tmp_path / "d/**/*.jsonl", "p"), tmp_path) == [
        "d/a.jsonl",
        "d/b.jsonl",
        "d/x/c.jsonl",
        "d/x/y/e.jsonl",
    ]
    assert names(local_files(tmp_path / "d/[ab].jsonl", "p"), tmp_path) == [
        "d/a.jsonl",
        "d/b.jsonl",
    ]
    assert [file.shown for file in local_files(tmp_path / "d/*.jsonl", "p").files] == [
        "d/a.jsonl",
        "d/b.jsonl",
    ]


def test_a_file_of_that_name_is_that_file(tmp_path: Path) -> None:
    """Brackets and stars in the names of what exists stand for themselves, folders included."""
    fill(tmp_path, **{"e[1]__a*_jsonl": "1", "e[1]__ab_jsonl": "2", "data[1]_jsonl": "3"})
    fill(tmp_path, e1__ab_jsonl="4", data1_jsonl="5")
    assert names(local_files(tmp_path / "e[1]/a*.jsonl", "p"), tmp_path) == ["e[1]/a*.jsonl"]
    assert names(local_files(tmp_path / "e[1]/?b.jsonl", "p"), tmp_path) == ["e[1]/ab.jsonl"]
    assert names(local_files(tmp_path / "data[1].jsonl", "p"), tmp_path) == ["data[1].jsonl"]
    # One character in brackets is no pattern, so another file never takes the place of this one.
    (tmp_path / "data[1].jsonl").unlink()
    what, _ = path_fault("p", tmp_path / "data[1].jsonl", "data[1].jsonl") or ("", "")
    assert what == "there is no file data[1].jsonl"


def test_folders_linked_in_circles_give_each_file_once(tmp_path: Path) -> None:
    """A link back to a folder above would give each file many names."""
    fill(tmp_path, d__a_jsonl="1")
    (tmp_path / "d" / "again").symlink_to(tmp_path / "d")
    assert names(local_files(tmp_path / "d/**/*.jsonl", "p"), tmp_path) == ["d/a.jsonl"]


def test_a_pattern_that_matches_nothing_says_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy names what is near, or what is there."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, d__train_jsonl="1")
    assert path_fault("", tmp_path / "d/train.*l.gz", "d/train.*l.gz") == (
        "no file matches d/train.*l.gz",
        "Did you mean 'train.jsonl'?",
    )
    assert path_fault("", tmp_path / "d/*.csv", "d/*.csv") == (
        "no file matches d/*.csv",
        "In d there is: train.jsonl",
    )
    what = path_fault("", tmp_path / "e/*.csv", "e/*.csv")
    assert what is not None
    assert what[1] == "There is no folder e; paths are relative to the recipe"


def test_rows_are_named_by_their_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad rows, ids used twice and unreadable files each say which file they are in."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, a_jsonl="12", b_jsonl="3", c_jsonl="1")
    assert fault(tmp_path, "*.jsonl") == (
        "c.jsonl: line 1: id '1' is also in a.jsonl: line 1. Make the ids unique."
    )
    (tmp_path / "c.jsonl").write_text('{"id": "4", "inptu": "q"}\n')
    assert fault(tmp_path, "*.jsonl") == (
        "c.jsonl: line 1: has no column 'input'. Did you mean 'inptu'?"
    )
    (tmp_path / "c.jsonl").write_text('{"id": "4", "input": "q"}\n{broken\n')
    assert fault(tmp_path, "*.jsonl").startswith("c.jsonl: line 2, column 2: is not JSON")
    (tmp_path / "c.jsonl").write_text("")
    assert fault(tmp_path, "*.jsonl") == "c.jsonl: is empty. Give at least one row."


def test_files_of_other_formats_or_columns_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their endings before anything is read, and by their content whatever they are called."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, a_jsonl="12")
    (tmp_path / "b.csv").write_text("id,input\n3,q\n")
    assert path_fault("", tmp_path / "*.*", "*.*") == (
        "matches files of different formats: a.jsonl and b.csv",
        "Narrow the pattern, so that all have the same ending",
    )
    (tmp_path / "b.csv").rename(tmp_path / "b.txt")
    (tmp_path / "a.jsonl").rename(tmp_path / "a.txt")
    assert "b.txt: is CSV, and a.txt is JSON." in fault(tmp_path, "*.txt")
    for name, columns in [("a.csv", "id,input,more"), ("b.csv", "id,input,other")]:
        (tmp_path / name).write_text(f"{columns}\n{name},q,x\n")
    assert fault(tmp_path, "*.csv") == (
        "b.csv: has other columns than a.csv: it lacks 'more' and has 'other' besides. Give all "
        "files the same columns, or name only those that have them."
    )


def test_packed_shards_of_parquet_are_sampled_as_one_file(tmp_path: Path) -> None:
    """A sample takes the same rows from shards as from one file, with all their columns."""
    table = pl.DataFrame([{"id": f"i{i}", "input": f"q{i}", "rest": [str(i)]} for i in range(30)])
    table.write_parquet(tmp_path / "one.parquet")
    for number, start in enumerate((0, 7, 19)):
        end = (7, 19, 30)[number]
        table[start:end].write_parquet(tmp_path / f"s-{number}.parquet")
    entry = ENTRY.model_copy(update={"sample": 9})
    whole = load_examples(entry, tmp_path / "one.parquet", "one")
    shards = local_files(tmp_path / "s-*.parquet", "s-*.parquet")
    assert load_examples(entry, shards, shards.shown) == whole
    assert whole[0].columns.keys() == {"id", "input", "rest"}


def test_the_digest_is_of_the_content_in_order(tmp_path: Path) -> None:
    """Of one file it is the file's own; of several it is made of theirs, and of no name."""
    fill(tmp_path, a_jsonl="1", b_jsonl="2")
    one = file_digest(tmp_path / "a.jsonl", None)
    two = file_digest(tmp_path / "b.jsonl", None)
    assert local_files(tmp_path / "a*.jsonl", "p").digest(None) == one
    both = local_files(tmp_path / "*.jsonl", "p").digest(None)
    assert both == digest("files", canonical_json([one, two]))
    (tmp_path / "a.jsonl").rename(tmp_path / "A.jsonl")
    assert local_files(tmp_path / "*.jsonl", "p").digest(None) == both


def test_content_split_differently_makes_nothing_behind_it_again(bench: Bench) -> None:
    """Only the examples are read again: their table is the same, so the steps behind it are."""
    first = bench.run()
    text = jsonl(rows(12)).splitlines(keepends=True)
    bench.write("parts/1.jsonl", "".join(text[:5]))
    bench.write("parts/2.jsonl.gz", gzip.compress("".join(text[5:]).encode()))
    bench.edit('"sums.jsonl"', '"parts/*"')
    second = bench.run()
    assert (second["calls_made"], second["verdicts"]) == (0, first["verdicts"])
    # Examples and how many there are.
    assert second["steps_run"] == 2


@pytest.mark.parametrize(
    ("pattern", "fits", "not_fits"),
    [
        ("data/train-*.parquet", ["data/train-0.parquet"], ["data/x/train-0.parquet"]),
        ("**/*.parquet", ["a.parquet", "x/y/a.parquet"], ["x/.y/a.parquet", ".a.parquet"]),
        ("data/**", ["data/a", "data/x/a"], ["a", "data/.a"]),
        ("[a-c]?.csv", ["a1.csv"], ["d1.csv", "a/.csv"]),
        ("[!ab].csv", ["c.csv"], ["a.csv", "/.csv"]),
        ("x[1]*.csv", ["x[1]a.csv"], ["x1a.csv"]),
    ],
)
def test_lists_of_names_are_matched_as_folders_are(
    pattern: str, fits: list[str], not_fits: list[str]
) -> None:
    """What the hub lists is matched as the module glob matches a folder."""
    expression = matcher(pattern)
    assert isinstance(expression, re.Pattern)
    assert [name for name in fits + not_fits if expression.fullmatch(name)] == fits
    assert is_pattern(pattern)
