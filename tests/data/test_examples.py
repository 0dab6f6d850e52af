"""Users' files: formats, faults with their lines, and samples that grow."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pytest

from respsel.data import parquet_rows
from respsel.data.examples import check_labels, load_examples
from respsel.data.files import read_rows
from respsel.errors import InputError
from respsel.recipe.schema import ColumnStrategy, DatasetEntry
from respsel.records import Example
from respsel.strategies.column import column_responses
from respsel.tables.kinds import EXAMPLES

ROWS = [{"id": f"e{i}", "input": f"question {i}", "label": i} for i in range(8)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def entry(**more: object) -> DatasetEntry:
    return DatasetEntry.model_validate({"name": "d", "path": "d.jsonl", **more})


def told(path: Path, **more: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_examples(entry(**more), path, path.name)
    return [str(problem) for problem in caught.value.problems]


def write(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_all_formats_give_the_same_examples(tmp_path: Path) -> None:
    """jsonl, json, csv and parquet of the same rows are the same dataset."""
    frame = pl.DataFrame(ROWS)
    frame.write_csv(tmp_path / "d.csv")
    frame.write_parquet(tmp_path / "d.parquet")
    paths = [
        write(tmp_path, "d.jsonl", LINES),
        write(tmp_path, "d.json", json.dumps(ROWS)),
        tmp_path / "d.csv",
        tmp_path / "d.parquet",
    ]
    found = [
        [(e.id, e.input, e.label) for e in load_examples(entry(label="label"), path, path.name)]
        for path in paths
    ]
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]) == 8


def test_a_byte_order_mark_and_crlf_change_nothing(tmp_path: Path) -> None:
    """A file saved by a Windows editor gives the same examples."""
    plain = load_examples(entry(), write(tmp_path, "a.jsonl", LINES), "a.jsonl")
    path = write(tmp_path, "b.jsonl", b"\xef\xbb\xbf" + LINES.replace("\n", "\r\n").encode())
    assert load_examples(entry(), path, "b.jsonl") == plain


def test_a_larger_sample_begins_with_the_smaller(tmp_path: Path) -> None:
    """Raising `sample` keeps the examples that were there, in their order, whatever the file's
    order.
    """
    path = write(tmp_path, "a.jsonl", LINES)
    turned = write(tmp_path, "b.jsonl", "".join(reversed(LINES.splitlines(keepends=True))))
    small = load_examples(entry(sample=3), path, "")
    large = load_examples(entry(sample=6), turned, "")
    assert large[:3] == small
    assert load_examples(entry(sample=3, seed=1), path, "") != small


def test_a_key_that_first_appears_late_is_kept(tmp_path: Path) -> None:
    """Columns are not decided by the first rows."""
    path = write(
        tmp_path, "a.jsonl", LINES + '{"id": "x", "input": "q", "label": 1, "late": "here"}\n'
    )
    assert any(
        example.columns.get("late") == "here" for example in load_examples(entry(), path, "")
    )


def test_a_line_separator_inside_a_string_is_no_line_end(tmp_path: Path) -> None:
    """U+2028 is legal inside a JSON string."""
    path = write(tmp_path, "a.jsonl", '{"id": 1, "input": "a\u2028b"}\n')
    assert load_examples(entry(), path, "")[0].input == "a\u2028b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"id": 1, "input": "q"}\n{"id": 2, "input": \n',
            "a.jsonl: line 2, column 20: is not JSON: Expecting value. Fix it.",
        ),
        (
            '{"id": 1, "input": "q"}\n\n{"id": 1, "input": "r"}\n',
            "a.jsonl: line 3: id '1' is also in line 1. Make the ids unique.",
        ),
        (
            '{"id": 1, "inptu": "q"}\n',
            "a.jsonl: line 1: has no column 'input'. Did you mean 'inptu'?",
        ),
        (
            '{"id": 1, "input": "  "}\n',
            "a.jsonl: line 1: column 'input' is empty. Fill it in or take the row out.",
        ),
        (
            '{"id": 1, "input": ["q", "r"]}\n',
            "a.jsonl: line 1: column 'input' holds several different texts. Name one of them, "
            "such as 'input.0'.",
        ),
        (
            '["q"]\n',
            'a.jsonl: row 1: is a text, not an object. Write each row as {"id": ..., ...}.',
        ),
        (
            '{"id": 1, "input": NaN}\n',
            "a.jsonl: line 1: is not JSON: NaN is not a JSON value. Write null in its place.",
        ),
        (
            '{"id": 1, "input": "\\ud800"}\n',
            "a.jsonl: line 1: holds half a surrogate pair. Fix the text's encoding.",
        ),
        ("", "a.jsonl: is empty. Give at least one row."),
        (
            b'{"id": 1, "input": "q"}\n{"id": 2, "input": "\xff"}\n',
            "a.jsonl: line 2: is not UTF-8: byte 0xFF, which in Windows-1252 would read 'ÿ'. "
            "Save the file as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW.",
        ),
        (
            '{"id": 1, "input": "q"}\n\ufeff{"id": 2, "input": "r"}\n',
            "a.jsonl: line 2, column 1: is not JSON: Unexpected UTF-8 BOM (decode using "
            "utf-8-sig). "
            "A byte order mark inside the file: was it joined from two files?",
        ),
    ],
)
def test_a_fault_is_told_with_file_and_line(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    """Each fault of a file gives one message with file, line, problem and remedy."""
    assert told(write(tmp_path, "a.jsonl", text)) == [message]


def test_numbers_that_json_cannot_hold_are_refused_or_null(tmp_path: Path) -> None:
    """1e999 is told; NaN in parquet, which means "none" there, is null.

    Neither ends in a traceback.
    """
    assert told(write(tmp_path, "a.jsonl", '{"id": 1, "input": "q", "x": 1e999}\n')) == [
        "a.jsonl: line 1: is not JSON: 1e999 is too large. Fix it."
    ]
    pl.DataFrame({"id": ["a"], "input": ["q"], "x": [float("nan")]}).write_parquet(
        tmp_path / "a.parquet"
    )
    assert load_examples(entry(), tmp_path / "a.parquet", "")[0].columns["x"] is None


def test_a_label_that_cannot_be_checked_is_told(tmp_path: Path) -> None:
    """A label without a number would make every answer wrong."""
    path = write(tmp_path, "a.jsonl", '{"id": 1, "input": "q", "label": "twelve"}\n')
    assert told(path, label="label", answer="number") == [
        "a.jsonl: line 1: label 'twelve' holds no number to check answers against. Fix the label, "
        "or choose another 'answer'."
    ]


def test_labels_of_stored_examples_are_told_by_id(tmp_path: Path) -> None:
    """Examples that were read without this answer check are named by their ids; those without a
    label are not checked.
    """
    examples = [Example("a", "q", label="12"), Example("b", "q", label="twelve"), Example("c", "q")]
    check_labels(entry(label="label"), examples, "a.jsonl")
    with pytest.raises(InputError) as caught:
        check_labels(entry(label="label", answer="number"), examples, "a.jsonl")
    assert [str(problem) for problem in caught.value.problems] == [
        "a.jsonl: id 'b': label 'twelve' holds no number to check answers against. Fix the label, "
        "or choose another 'answer'."
    ]


def test_the_same_fault_in_many_rows_is_told_once(tmp_path: Path) -> None:
    """A missing column is one message, not one for every row."""
    assert told(write(tmp_path, "a.jsonl", LINES), reference="answer") == [
        "a.jsonl: line 1 and 7 more: has no column 'answer'. Known here: id, input, label."
    ]


def test_a_csv_row_of_another_length_is_told(tmp_path: Path) -> None:
    """A comma too many does not shift the columns silently."""
    path = write(tmp_path, "a.csv", "id,input\n1,a\n2,b,c\n")
    assert told(path) == [
        "a.csv: line 3: has 3 fields, and the header has 2. Quote texts that contain commas."
    ]


def test_an_unknown_format_is_told(tmp_path: Path) -> None:
    """A file of another kind names the kinds that are read."""
    with pytest.raises(
        InputError, match=r"a\.txt: has a format that is not read here\. Use JSON lines"
    ):
        list(read_rows(write(tmp_path, "a.txt", "x"), "a.txt"))


def test_text_as_plain_bytes_is_text(tmp_path: Path) -> None:
    """Parquet's bytes are decoded; an image in a column that is not used harms nothing, and is no
    text where it is.
    """
    pl.DataFrame({"id": ["a"], "input": ["Café?".encode()], "image": [b"\xff\x00"]}).write_parquet(
        tmp_path / "a.parquet"
    )
    (example,) = load_examples(entry(), tmp_path / "a.parquet", "")
    assert example.input == "Café?"
    assert example.columns["image"] == {"bytes": 2}
    assert told(tmp_path / "a.parquet", input="image") == [
        "a.parquet: row 1: column 'image' holds bytes that are not text. Give text."
    ]


ALPACA = [
    {"instruction": "Sort these.", "input": "9, 4", "n": None},
    {"instruction": "Name a colour.", "input": "", "n": None},
]


def inputs(tmp_path: Path, rows: list[dict[str, Any]], **more: Any) -> list[str]:
    path = write(tmp_path, "t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return sorted(example.input for example in load_examples(entry(**more), path, "t.jsonl"))


def test_an_input_may_be_made_of_several_columns(tmp_path: Path) -> None:
    """A template is filled from the row's own columns; what an empty column leaves at the ends is
    taken off.
    """
    assert inputs(tmp_path, ALPACA, input="{{ instruction }}\n\n{{ input }}") == [
        "Name a colour.",
        "Sort these.\n\n9, 4",
    ]
    guarded = "{{ instruction }}{% if input %} ({{ input }}){% endif %}{% if n %}{{ n }}{% endif %}"
    assert inputs(tmp_path, ALPACA, input=guarded) == ["Name a colour.", "Sort these. (9, 4)"]
    nested = [{"q": {"text": "Which?"}, "choices": ["iron", "wood"]}]
    assert inputs(tmp_path, nested, input="{{ q.text }} {{ choices | join(' or ') }}") == [
        "Which? iron or wood"
    ]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{{ instructions }}",
            "t.jsonl: line 1 and 1 more: has no column 'instructions' (the template of 'input'). "
            "Did you mean",
        ),
        (
            "{{ instruction }} {{ n }}",
            "column 'n' is null (the template of 'input'). Fill it in, or leave it out where it "
            "is null",
        ),
        ("{{ m }}", "column 'm' is a list (the template of 'input'). Name a part of it"),
        ("{{ instruction.x.y }}", "the template failed"),
        ("{{ instruction / 2 }}", "the template failed"),
        (
            "{% if False %}x{% endif %}",
            "gives no text (the template of 'input'). Fill in the columns or take the row out",
        ),
    ],
)
def test_a_template_that_gives_no_text_is_told_at_its_row(
    tmp_path: Path, template: str, message: str
) -> None:
    """Python's words for nothing, lists and objects never get into an input unnoticed."""
    path = write(
        tmp_path,
        "t.jsonl",
        "".join(json.dumps({"id": i, "m": [1, 2], **row}) + "\n" for i, row in enumerate(ALPACA)),
    )
    with pytest.raises(InputError, match=re.escape(message)):
        load_examples(entry(input=template), path, "t.jsonl")


def test_a_column_that_the_mapping_hides_is_told(tmp_path: Path) -> None:
    """Alpaca's own `input` is a part of the question; leaving it out takes saying so."""
    with pytest.raises(InputError) as caught:
        inputs(tmp_path, ALPACA, input="instruction")
    assert str(caught.value) == (
        "t.jsonl: line 1: has a column 'input' of its own, which input = \"instruction\" hides. "
        'Set input = "{{ instruction }}\\n\\n{{ input }}" to ask both, or input = "{{ instruction '
        '}}" to leave it out.'
    )
    assert inputs(tmp_path, ALPACA, input="{{ instruction }}") == ["Name a colour.", "Sort these."]
    assert inputs(tmp_path, ALPACA[1:], input="instruction") == ["Name a colour."]
    same: list[dict[str, Any]] = [
        {"question": "Why?", "input": "Why?"},
        {"question": "How?", "input": None},
    ]
    assert inputs(tmp_path, same, input="question") == ["How?", "Why?"]
    assert inputs(tmp_path, [{"input": {"text": "Why?"}}], input="input.text") == ["Why?"]


def test_other_hidden_columns_matter_where_prompts_say_their_names(tmp_path: Path) -> None:
    """A column `reference` beside a mapped one is told only if a prompt would get the other one."""
    row = {
        "id": 1,
        "input": "q",
        "label": "4",
        "answer": "5",
        "reference": "draft",
        "solution": "final",
    }
    path = write(tmp_path, "a.jsonl", json.dumps(row))
    mapped = entry(reference="solution", label="answer")
    assert load_examples(mapped, path, "a.jsonl")[0].reference == "final"
    with pytest.raises(InputError) as caught:
        load_examples(mapped, path, "a.jsonl", ["reference", "label"])
    assert [problem.what for problem in caught.value.problems] == [
        "has a column 'reference' of its own, which reference = \"solution\" hides",
        "has a column 'label' of its own, which label = \"answer\" hides",
    ]


def test_without_ids_the_rows_content_is_the_id(tmp_path: Path) -> None:
    """Ids are stable, equal rows are one example, and a row without the id that others have is a
    fault.
    """
    rows = [{"input": "a", "x": 1}, {"input": "b", "x": 2}, {"x": 1, "input": "a"}]
    path = write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    one, other = sorted(load_examples(entry(), path, "a.jsonl"), key=lambda example: example.input)
    assert (one.input, one.copies, other.copies) == ("a", 2, 1)
    again = write(tmp_path, "b.jsonl", json.dumps(rows[1]) + "\n" + json.dumps(rows[0]) + "\n")
    assert {example.id for example in load_examples(entry(), again, "b.jsonl")} == {
        one.id,
        other.id,
    }
    assert told(write(tmp_path, "c.jsonl", '{"id": 1, "input": "a"}\n{"input": "b"}\n')) == [
        "c.jsonl: line 2: has no column 'id'. Known here: input."
    ]
    assert told(path, id="key") == [
        "a.jsonl: line 1 and 2 more: has no column 'key'. Known here: input, x."
    ]


def test_tables_of_earlier_versions_are_read() -> None:
    """A stored table of examples without the count of copies has one of each, and new digests are
    what they were.
    """
    old = replace(
        EXAMPLES, column_types={k: v for k, v in EXAMPLES.column_types.items() if k != "copies"}
    )
    rows = [Example("a", "q", columns={"x": 1})]
    assert list(EXAMPLES.decode(old.pack(rows).data)) == rows
    assert EXAMPLES.digest(rows) != EXAMPLES.digest([replace(rows[0], copies=2)])
    assert EXAMPLES.decode(EXAMPLES.pack([replace(rows[0], copies=2)]).data)[0].copies == 2


def test_a_turn_of_another_role_is_told(tmp_path: Path) -> None:
    """Where some conversations begin with a system's turn, one place is the question in some rows
    and not in others.
    """

    def conversation(*roles: str) -> dict[str, Any]:
        return {"messages": [{"role": role, "content": f"text of {role}"} for role in roles]}

    turns = [conversation("user", "assistant"), conversation("system", "user", "assistant")]
    with pytest.raises(
        InputError,
        match=r"line 2: column 'messages.0.content' is a turn of role 'system' here, not the "
        r"user's",
    ):
        inputs(tmp_path, turns, input="messages.0.content")
    assert inputs(tmp_path, turns[1:], input="messages[1].content") == ["text of user"]
    shared = [
        {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]}
    ]
    assert inputs(tmp_path, shared, input="conversations.0.value") == ["Why?"]
    with pytest.raises(InputError, match="is a turn of role 'gpt' here, not the user's"):
        inputs(tmp_path, shared, input="conversations.1.value")
    entry = ColumnStrategy.model_validate(
        {"name": "s", "from": "column", "column": "messages.1.content"}
    )
    examples = [Example(str(i), "x", columns=row) for i, row in enumerate(turns)]
    with pytest.raises(
        InputError,
        match=r"example '1': column 'messages.1.content' is a turn of role 'user' here, not the "
        r"assis",
    ):
        column_responses(entry, examples, None, "t.jsonl")
    assert [found.text for found in column_responses(entry, examples[:1], None, "t.jsonl")] == [
        "text of assistant"
    ]


@pytest.mark.parametrize(
    "columns", [{"input": ["a", "b"]}, {"id": ["1", "2"], "input": ["a", "b"]}]
)
def test_a_parquet_file_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: dict[str, list[str]]
) -> None:
    """With ids or without: to try it takes a process that reads all of it."""
    pl.DataFrame(columns).write_parquet(tmp_path / "a.parquet")
    tried = list[str]()
    try_reading = parquet_rows._try_reading

    def counted(handle: BinaryIO, shown: str, wish: list[Any]) -> tuple[list[str], bool]:
        tried.append(shown)
        return try_reading(handle, shown, wish)

    monkeypatch.setattr(parquet_rows, "_try_reading", counted)
    assert len(load_examples(entry(sample=5), tmp_path / "a.parquet", "a")) == 2
    assert tried == ["a"]
