"""Held-out examples as they are read: what is shown of them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from respsel.data.validation import RowsFile, load_validation
from respsel.errors import InputError
from respsel.recipe.schema import DatasetEntry, ValidationEntry
from respsel.records import Example
from tests.conftest import jsonl

TRAINED = [{"id": f"e{i}", "q": f"What is {i}?", "a": f"It is {i}."} for i in range(4)]


def load(
    folder: Path,
    held_out: list[dict[str, Any]],
    trained: list[dict[str, Any]] | None = None,
    **more: Any,
) -> list[Example]:
    (folder / "dev.jsonl").write_text(jsonl(held_out))
    (folder / "train.jsonl").write_text(jsonl(TRAINED if trained is None else trained))
    dataset = DatasetEntry(
        name="d", path="train.jsonl", id=more.pop("dataset_id", None), input="q", reference="a"
    )
    entry = ValidationEntry(path="dev.jsonl", **more)
    return load_validation(
        RowsFile(entry.rows_for(dataset), folder / "dev.jsonl", "dev.jsonl"),
        RowsFile(dataset, folder / "train.jsonl", "train.jsonl"),
        "normalise",
    )


def test_only_what_is_shown_is_kept(tmp_path: Path) -> None:
    """Columns are the dataset's unless the recipe names others; a reference is read as responses
    are, without outer blanks.
    """
    held_out = [{"id": "d0", "q": "Why? ", "a": " So.\r\nThus. ", "note": "x"}]
    assert load(tmp_path, held_out) == [Example("d0", "Why? ", "So.\nThus.")]
    renamed = [{"key": 7, "ask": "Why?", "say": "So."}]
    found = load(tmp_path, renamed, id="key", input="Q: {{ ask }}", reference="say")
    assert found == [Example("7", "Q: Why?", "So.")]


@pytest.mark.parametrize(
    "question", ["What is 2?", " what  is 2? ", "What is\n2?", "WHAT IS 2?", "What is \uff12?"]
)
def test_an_input_that_is_trained_on_is_refused(tmp_path: Path, question: str) -> None:
    """The same question in other case, width or white space is the same; the error names both
    examples.
    """
    held_out = [{"id": "d0", "q": "Why?", "a": "So."}, {"id": "d1", "q": question, "a": "Two."}]
    with pytest.raises(InputError) as error:
        load(tmp_path, held_out)
    (problem,) = error.value.problems
    assert (problem.file, problem.where) == ("dev.jsonl", "id 'd1'")
    assert problem.what == "its input is also that of 'e2' in train.jsonl"
    assert "not held out" in problem.remedy


def test_an_id_that_is_trained_on_is_refused(tmp_path: Path) -> None:
    """The same id may be the same example in other words. Another column as id says that it is
    not.
    """
    held_out = [{"id": "e1", "q": "Which one is it?", "a": "The first."}]
    with pytest.raises(InputError, match=r"train\.jsonl has an example of this id.*validation\.id"):
        load(tmp_path, held_out)
    assert [row.id for row in load(tmp_path, held_out, id="q")] == ["Which one is it?"]


def test_the_whole_dataset_counts(tmp_path: Path) -> None:
    """What the sample leaves out is trained on as well, so it is looked at. Rows without ids are
    known by their content.
    """
    trained = [{"q": f"What is {i}?", "a": f"It is {i}."} for i in range(300)]
    with pytest.raises(InputError, match="its input is also that of"):
        load(tmp_path, [{"q": "What is 299?", "a": "x"}], trained)
    assert len(load(tmp_path, [{"q": "What is 300?", "a": "x"}], trained)) == 1


def test_many_shared_rows_are_counted(tmp_path: Path) -> None:
    """Of fifty shared rows the first twenty are named, and the rest counted."""
    trained = [{"id": f"e{i}", "q": f"What is {i}?", "a": "x"} for i in range(50)]
    held_out = [{**row, "id": f"d{i}"} for i, row in enumerate(trained)]
    with pytest.raises(InputError) as error:
        load(tmp_path, held_out, trained)
    assert len(error.value.problems) == 21
    assert "30 more" in error.value.problems[-1].what


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"id": "d0", "q": "Why?"}, "no column 'a'"),
        ({"id": "d0", "q": "Why?", "a": ""}, "empty"),
        ({"id": "d0", "q": "Why?", "a": "\u200b"}, "its reference is empty"),
        ({"id": "d0", "a": "So."}, "no column 'q'"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict[str, Any], what: str) -> None:
    """A held-out example needs an input and a reference."""
    with pytest.raises(InputError, match=rf"dev\.jsonl.*{what}"):
        load(tmp_path, [row])
