"""Damaged files of every format: reading gives rows that can be written as JSON, or an
InputError.
"""

from __future__ import annotations

import gzip
import io
import json
import random
from pathlib import Path

import polars as pl
import pytest

from respsel.data.files import read_rows
from respsel.data.rows import find_value, row_id, text_field
from respsel.errors import InputError, Problem

ROWS = [
    {
        "id": i,
        "input": f'What is {i}; or {i}, and "{i}"?',
        "m": [{"role": "user", "content": f"é{i}"}],
    }
    for i in range(5)
]
FLAT = [{"id": str(i), "input": f'"What is {i}, or {i}?"', "out": f"{i}"} for i in range(5)]
ODD = [
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 5000,
    b"[" * 2000,
    b'{"a":' * 2000,
    b'"\\ud800"',
    b"\r",
    b"\n\n",
    b'"',
    b",",
    b";",
    b"\t",
    b"|",
    b"}",
    b"]",
    b":",
    b"\xe2\x80\xa8",
    b"\xed\xa0\x80",
    b'{"id":1,"id":2}\n',
    b"null\n",
    b"[]\n",
    b"\x1f\x8b",
    b"PAR1",
    b"sep=;\n",
    b"\\",
]


def delimited(mark: str) -> bytes:
    lines = [list(FLAT[0]), *([row["id"], row["input"], row["out"]] for row in FLAT)]
    return "\r\n".join(mark.join(cells) for cells in lines).encode()


def parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(ROWS).write_parquet(buffer, compression="uncompressed")
    return buffer.getvalue()


LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
VALID: dict[str, bytes] = {
    "a.jsonl": LINES,
    "a.json": json.dumps(ROWS, indent=1).encode(),
    "b.json": json.dumps(
        {name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in ROWS[0]}
    ).encode(),
    "c.json": json.dumps({"data": ROWS}).encode(),
    "a.csv": delimited(","),
    "b.csv": delimited(";"),
    "a.tsv": delimited("\t"),
    "a.txt": delimited("|").decode().encode("utf-16"),
    "a.jsonl.gz": gzip.compress(LINES, mtime=0),
    "a.parquet": parquet(),
}


def damage(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = chance.randrange(len(data) + 1)
        how = chance.random()
        if how < 0.15:
            del data[place:]
        elif how < 0.35:
            del data[place : place + chance.choice([1, 3, 30])]
        elif how < 0.65:
            data[place:place] = chance.choice(ODD)
        elif how < 0.9 and place < len(data):
            data[place] ^= 1 << chance.randrange(8)
        else:
            data += data[place:]
    return bytes(data)


def try_reading(path: Path) -> int:
    """Read a file and look at all of it as the program does; how many rows it gave."""
    problems: list[Problem] = []
    count = 0
    told = tuple[Problem, ...]()
    try:
        for row in read_rows(path, path.name):
            row_id(row.fields)
            for name in (*row.fields, "m.0.content", "m[-1].role", "id.x"):
                find_value(row.fields, name)
                text_field(row, name, path.name, problems)
            count += 1
    except InputError as error:
        told = error.problems
    assert all(
        problem.file == path.name and problem.what and len(str(problem)) < 1000 for problem in told
    )
    assert len(told) <= 21
    return count


@pytest.mark.parametrize("name", VALID)
def test_a_damaged_file_gives_rows_or_an_error(tmp_path: Path, name: str) -> None:
    """Whatever happened to a file: no traceback, and every problem names it."""
    chance = random.Random(7)
    path = tmp_path / name
    path.write_bytes(VALID[name])
    assert try_reading(path) == 5
    rounds = 20 if name == "a.parquet" else 60
    for _ in range(rounds):
        path.write_bytes(damage(VALID[name], chance))
        try_reading(path)
