"""Data files as tools write them: read by their content, or told what they are."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from respsel.data import packed
from respsel.data.files import path_fault, read_rows
from respsel.errors import InputError

ROWS = [
    {
        "id": f"r{i}",
        "input": f"naïve; {i}, or |{i}|?",
        "out": "two\nlines" if i else "it's 5\" wide",
    }
    for i in range(3)
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def records(delimiter: str) -> list[str]:
    quoted = ['"' + value.replace('"', '""') + '"' for row in ROWS for value in row.values()]
    lines = [list(ROWS[0]), *(quoted[i : i + 3] for i in range(0, 9, 3))]
    return [delimiter.join(cells) + "\r\n" for cells in lines]


def table(delimiter: str) -> str:
    return "".join(records(delimiter))


def parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    return buffer.getvalue()


def fields(tmp_path: Path, name: str, content: bytes | str) -> list[dict[str, Any]]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [dict(row.fields) for row in read_rows(path, name)]


def told(tmp_path: Path, name: str, content: bytes | str) -> str:
    with pytest.raises(InputError) as caught:
        fields(tmp_path, name, content)
    return str(caught.value)


WRITTEN = {
    "lines under .json": ("a.json", LINES),
    "lines under .txt": ("a.txt", LINES),
    "lines under .csv": ("a.csv", LINES),
    "lines without an ending": ("a", LINES),
    "ndjson": ("a.ndjson", LINES),
    "old Mac's line ends": ("a.jsonl", LINES.replace("\n", "\r")),
    "a list": ("a.json", json.dumps(ROWS)),
    "a pretty list under .jsonl": ("a.jsonl", json.dumps(ROWS, indent=2)),
    "a list in one line under .jsonl": ("a.jsonl", json.dumps(ROWS)),
    "wrapped": ("a.json", json.dumps({"version": "1.1", "meta": {"n": 3}, "data": ROWS})),
    "wrapped over several lines": (
        "a.json",
        '{"data": [\n' + ",\n".join(json.dumps(row) for row in ROWS) + "\n]}",
    ),
    "columns of objects": (
        "a.json",
        json.dumps({k: {str(i): r[k] for i, r in enumerate(ROWS)} for k in ROWS[0]}),
    ),
    "rows by number": ("a.json", json.dumps({str(i): row for i, row in enumerate(ROWS)})),
    "split": (
        "a.json",
        json.dumps(
            {
                "columns": list(ROWS[0]),
                "index": [4, 5, 6],
                "data": [list(row.values()) for row in ROWS],
            }
        ),
    ),
    "table": (
        "a.json",
        json.dumps({"schema": {"fields": [], "pandas_version": "1.4.0"}, "data": ROWS}),
    ),
    "columns of lists": ("a.json", json.dumps({k: [r[k] for r in ROWS] for k in ROWS[0]})),
    "gzip": ("a.jsonl.gz", gzip.compress(LINES.encode())),
    "gzip of two parts": (
        "a.jsonl.gz",
        gzip.compress(LINES[:60].encode()) + gzip.compress(LINES[60:].encode()),
    ),
    "gzip under another name": ("a.jsonl", gzip.compress(LINES.encode())),
    "a packed table": ("a.csv.gz", gzip.compress(table(";").encode())),
    "bz2": ("a.json.bz2", bz2.compress(LINES.encode())),
    "xz": ("a.jsonl.xz", lzma.compress(LINES.encode())),
    "parquet": ("a.parquet", parquet(ROWS)),
    "parquet under another name": ("a.bin", parquet(ROWS)),
    "packed parquet": ("a.parquet.gz", gzip.compress(parquet(ROWS))),
    "commas": ("a.csv", table(",")),
    "semicolons": ("a.csv", table(";")),
    "tabs under .csv": ("a.csv", table("\t")),
    "tabs": ("a.tsv", table("\t")),
    "bars": ("a.csv", table("|")),
    "a table under .txt": ("a.txt", table("\t")),
    "Excel's first line": ("a.csv", "sep=;\r\n" + table(";")),
    "Excel's Unicode text": ("a.txt", table("\t").encode("utf-16")),
    "UTF-16, most significant byte first": ("a.csv", b"\xfe\xff" + table(",").encode("utf-16-be")),
    "lines in UTF-16": ("a.jsonl", LINES.encode("utf-16")),
    "a byte order mark": ("a.csv", b"\xef\xbb\xbf" + table(";").encode()),
    "blank lines and Excel's empty rows": (
        "a.csv",
        table(";").replace("\r\n", "\r\n;;\r\n\r\n", 2),
    ),
    "pandas' row numbers": (
        "a.csv",
        "".join(f"{i}," + line for i, line in zip(["", 0, 1, 2], records(","), strict=True)),
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_same_rows_however_they_are_written(tmp_path: Path, name: str) -> None:
    """What pandas, Excel and hubs write gives the same rows, whatever the file's ending."""
    assert fields(tmp_path, *WRITTEN[name]) == ROWS  # type: ignore[arg-type]


def test_old_mac_line_ends_in_a_table(tmp_path: Path) -> None:
    """A carriage return alone ends a row."""
    assert fields(tmp_path, "a.csv", "id,input\r1,q\r2,r\r") == [
        {"id": "1", "input": "q"},
        {"id": "2", "input": "r"},
    ]


def test_a_table_of_one_column_keeps_its_commas(tmp_path: Path) -> None:
    """No delimiter is found in texts: only the header has a say."""
    text = 'input\n"a, b; c | d"\nwhy; how|when\n"e, f, g"\n'
    assert [row["input"] for row in fields(tmp_path, "a.csv", text)] == [
        "a, b; c | d",
        "why; how|when",
        "e, f, g",
    ]


def test_a_delimiter_in_a_header_is_tried_on_the_rows(tmp_path: Path) -> None:
    """`id;a, b` is two columns by semicolons where the rows say so, and by commas where they do."""
    assert fields(tmp_path, "a.csv", "id;a, b\n1;x\n2;y, z, w\n") == [
        {"id": "1", "a, b": "x"},
        {"id": "2", "a, b": "y, z, w"},
    ]
    assert fields(tmp_path, "a.csv", "id,a;b\n1,x\n2,y;z\n") == [
        {"id": "1", "a;b": "x"},
        {"id": "2", "a;b": "y;z"},
    ]


def test_what_two_delimiters_fit_is_told(tmp_path: Path) -> None:
    """Nothing is guessed: the remedy is a first line that says it, which is then obeyed."""
    text = "id;a|b\n1;x|y\n"
    assert (
        "a.txt: line 1: may be delimited by semicolons or by bars. Say which in a first line"
        in told(tmp_path, "a.txt", text)
    )
    assert fields(tmp_path, "a.txt", "sep=|\n" + text) == [{"id;a": "1;x", "b": "y"}]


def test_blanks_behind_commas_are_not_part_of_names(tmp_path: Path) -> None:
    """A header written with blanks has rows written with blanks, quotes included."""
    text = 'id, input, out\n1, "a, b", yes\n'
    assert fields(tmp_path, "a.csv", text) == [{"id": "1", "input": "a, b", "out": "yes"}]


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jsonl"), io.BytesIO())
    return buffer.getvalue()


def arrow() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(ROWS).write_ipc(buffer)
    return buffer.getvalue()


REFUSED: list[tuple[str, bytes | str, str]] = [
    ("a.jsonl", b"", "a.jsonl: is empty"),
    ("a.csv", b"\n \n", "a.csv: holds no rows"),
    (
        "a.parquet",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "is a Git LFS pointer, not the data",
    ),
    (
        "a.xlsx",
        zipped("[Content_Types].xml", "xl/workbook.xml"),
        "is an Excel workbook (.xlsx). Export it as CSV (UTF-8)",
    ),
    (
        "a.csv",
        zipped("a.csv"),
        "is a zip archive (it holds a.csv). Unpack it, and give the file inside",
    ),
    ("a.tar.gz", gzip.compress(tarred()), "is a tar archive"),
    ("a.arrow", arrow(), "is an Arrow (Feather) file, which is not read here. Write it as parquet"),
    (
        "a.jsonl.zst",
        b"\x28\xb5\x2f\xfd\x00\x00",
        "is compressed with zstd, which is not read here. Unpack it: zstd -d FILE",
    ),
    ("a.json", b"<!DOCTYPE html><html>404", "is a web page or XML"),
    ("a.pkl", b"\x80\x04\x95", "is a pickle, which is not read here because it can run code"),
    ("a.csv", table(",").encode("utf-16-le"), "is UTF-16 without a byte order mark"),
    ("a.parquet", parquet(ROWS)[2:], "is not parquet: it does not begin with PAR1"),
    ("a.parquet", parquet(ROWS)[:-9], "is not parquet"),
    ("a.jsonl.gz", gzip.compress(LINES.encode())[:-20], "cannot be unpacked"),
    ("a.jsonl.xz", lzma.compress(LINES.encode())[:-20], "cannot be unpacked"),
    ("a.jsonl.gz.gz", gzip.compress(gzip.compress(LINES.encode())), "is packed twice"),
    (
        "a.csv",
        'id,input\n1,"caf\xe9"\n'.encode("cp1252"),
        "line 2: is not UTF-8: byte 0xE9, which in Windows-1252 would read 'café'",
    ),
    (
        "a.csv",
        b"id,input\r1,x\r2,\xe9t\xe9\r",
        "line 3: is not UTF-8: byte 0xE9, which in Windows-1252 would read 'été'",
    ),
    ("a.csv", b"id,input\n1,a\0b\n", "a.csv: line 2: holds a NUL character"),
    (
        "a.csv",
        "id,input\n1,a\n\ufeffid,input\n",
        "line 3: a byte order mark inside the file. Was it joined",
    ),
    (
        "a.csv",
        'id,input\n1,"a\n2,b\n',
        "line 2: is not CSV: a quote that begins here is never closed",
    ),
    ("a.csv", 'id,input\n1,"a" b\n', "line 2: is not CSV: "),
    ("a.csv", "id,input,\n1,a,lost\n", "line 2: has a text in column 3, which has no name"),
    ("a.csv", "id,input,input\n1,a,b\n", "line 1: the column 'input' comes twice in the header"),
    ("a.csv", "id;input; input\n1;a;b\n", "line 1: the column 'input' comes twice in the header"),
    (
        "a.json",
        "id,input\n1,a\n",
        "is not JSON: Expecting value. Fix it; if it is CSV, name the file .csv",
    ),
    ("a.json", '[{"id": 1},]', "There is a comma too many before it"),
    (
        "a.json",
        '{"id": 1\n}\n{"id": 2\n}\n',
        "line 3, column 1: is not JSON: Extra data. Write one value on each line",
    ),
    (
        "a.jsonl",
        '{"id": 1, "m": {"a": 1, "a": 1}}\n',
        "a.jsonl: line 1, column 25: has the name 'a' twice in one object",
    ),
    (
        "a.json",
        '[{"id": 1},\n {"id": 2,\n  "q": "\\"id\\":", "id": 3}]',
        "line 3, column 19: has the name 'id' twice",
    ),
    (
        "a.jsonl",
        '{"id": 1}\n{"m": ' + "[" * 5000 + "]" * 5000 + "}\n",
        "line 2: nests more than 100 levels deep",
    ),
    (
        "a.json",
        '[{"id": 1},\n{"m": ' + "[" * 5000 + "]" * 5000 + "}]",
        "line 2, column 105: nests more than 100 levels deep",
    ),
    (
        "a.jsonl",
        '{"m": ' + "[" * 200 + "]" * 200 + "}\n",
        "line 1: nests more than 100 levels deep",
    ),
    (
        "a.json",
        '{"train": [{"id": 1}], "test": [{"id": 2}]}',
        "holds several lists of rows: 'train', 'test'. Save the one",
    ),
    (
        "a.json",
        '{"q1": {"input": "a"}, "q2": {"input": "b"}}',
        "is an object of objects, which may be columns or rows",
    ),
    (
        "a.json",
        '{"id": [1, 2], "input": ["a"]}',
        "is an object of lists that are not of one length",
    ),
    ("a.json", '{"columns": ["a", "a"], "data": [[1, 2]]}', "columns: the name 'a' comes twice"),
    (
        "a.json",
        '{"columns": ["a", "b"], "data": [[1]]}',
        "data, row 1: has 1 values, and there are 2 columns",
    ),
    ("a.json", '"text"', "is not a list of objects"),
    ("a", b"a line of prose\n", "has a format that is not read here"),
]


@pytest.mark.parametrize(
    ("name", "content", "message"), REFUSED, ids=[str(i) for i in range(len(REFUSED))]
)
def test_what_is_not_read_is_named(
    tmp_path: Path, name: str, content: bytes | str, message: str
) -> None:
    """One error says what the file is or where its fault is, and what to do."""
    assert message in told(tmp_path, name, content)


def test_all_bad_lines_are_told_at_once(tmp_path: Path) -> None:
    """Each bad line has its message, up to 20; so has each bad row of a table."""
    lines = told(tmp_path, "a.jsonl", '{"id": 1}\n{"id": 2\n[3]\n{"id": 4, "id": 5}\n').splitlines()
    assert [line.split(": ")[1].split(",")[0] for line in lines] == ["line 2", "line 3", "line 4"]
    lines = told(tmp_path, "a.csv", "id,input\n1\n1,2,3\n2,b\n").splitlines()
    assert [line.split(": ")[1] for line in lines] == ["line 2", "line 3"]


def test_a_row_over_several_lines_is_named_by_its_first(tmp_path: Path) -> None:
    """Quoted line ends do not shift the places of faults."""
    assert "a.csv: line 4: has 3 fields" in told(
        tmp_path, "a.csv", 'id,input\n1,"a\nb"\n2,"c\nd",e\n'
    )


def test_a_packed_file_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What unpacks to far more than packed texts do is refused before it is all unpacked."""
    monkeypatch.setattr(packed, "FREE_UNPACKED_BYTES", 1 << 20)
    assert "a.jsonl.gz: unpacks to more than 1 MiB" in told(
        tmp_path, "a.jsonl.gz", gzip.compress(b" " * (8 << 20))
    )


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    """A folder, a pipe and a name that cannot be are told before anything waits for them."""
    os.mkfifo(tmp_path / "pipe")
    for path, what in [
        (tmp_path, "is a folder, not a file"),
        (tmp_path / "pipe", "is a pipe, socket or device, not a file"),
        (tmp_path / "gone", "there is no file"),
        (tmp_path / ("n" * 300), "cannot be read: File name too long"),
        (tmp_path / "a\0b", "cannot be read: embedded null byte"),
    ]:
        fault = path_fault(path.name, path, path.name)
        assert fault is not None
        assert what in fault[0]
        with pytest.raises(InputError):
            list(read_rows(path, "it"))
    fault = path_fault("~/a.csv", tmp_path / "~/a.csv", "a.csv")
    assert fault is not None
    assert "~ does not stand for your home" in fault[1]


def test_only_the_columns_that_are_looked_at_are_read(tmp_path: Path) -> None:
    """Of a wide parquet file the others stay where they are; with a misspelt one all are there to
    suggest from.
    """
    (tmp_path / "a.parquet").write_bytes(
        parquet([{"id": 1, "made": {"text": "x"}, "image": b"\xff" * 99}])
    )
    rows = list(read_rows(tmp_path / "a.parquet", "a", ["id", "made.text"]))
    assert rows[0].fields == {"id": 1, "made": {"text": "x"}}
    assert "image" in next(iter(read_rows(tmp_path / "a.parquet", "a", ["id", "mad"]))).fields


def test_a_markdown_table_is_no_csv(tmp_path: Path) -> None:
    """The line below its header would be an example; it is named, and bars alone are read as
    before.
    """
    table = "| id | input |\n|----|:-----:|\n| a | q |\n"
    assert told(tmp_path, "a.txt", table) == (
        "a.txt: line 2: is a line of a Markdown table, not of CSV. Take it out, and the bars at "
        "both ends."
    )
    assert fields(tmp_path, "a.txt", "id|input\na|---\n") == [{"id": "a", "input": "---"}]


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ("null", "null"),
        ("3", "a number"),
        ('"x"', "a text"),
        ("[1]", "a list"),
        ("true", "true or false"),
    ],
)
def test_what_is_no_row_is_named_as_json_names_it(tmp_path: Path, item: str, kind: str) -> None:
    """Not by the names of Python's types."""
    assert f"row 2: is {kind}, not an object" in told(
        tmp_path, "a.json", f'[{{"id": "a"}}, {item}]'
    )
