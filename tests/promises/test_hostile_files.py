"""Promise: a damaged or hostile file gives one clear error with exit code 2, in bounded time and
memory.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import socket
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from respsel.backends.gguf.fields import read_fields
from respsel.data import examples as datasets
from respsel.data import json_rows, lines, parquet_rows
from respsel.data.examples import load_examples
from respsel.data.files import read_rows
from respsel.data.rows import FileRow
from respsel.errors import InputError, PreflightError, Problem, suggest
from respsel.recipe.schema import DatasetEntry
from respsel.system.disk import remedy_of
from tests.conftest import Bench, jsonl, rows

DEEP_TOML = {
    "lists": b"x = " + b"[" * 400 + b"]" * 400,
    "tables": b"x = " + b"{a = " * 990 + b"1" + b"}" * 990,
    "dots": b"a." * 990 + b"b = 1",
    "headers": b"[" + b"a." * 300 + b"b]",
}
BAD_TOML = {
    **DEEP_TOML,
    "digits": b"x = 1" + b"0" * 5000,
    "hexadecimal digits": b"x = 0x" + b"f" * 9000 + b"g",
    "a date that is none": b"x = 2020-99-99",
    "latin-1": b'x = "caf\xe9"',
    "nothing but a bracket": b"[" * 5000,
}


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def socket_at(path: Path) -> None:
    # The address of a socket has at most 107 bytes.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with closing(socket.socket(socket.AF_UNIX)) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def holes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link to itself": (link_to_itself, "remove the link, or make it again"),
    "a link to an endless device": (
        lambda path: path.symlink_to("/dev/zero"),
        "is a pipe, socket or device, not a file",
    ),
    "a pipe": (os.mkfifo, "is a pipe, socket or device, not a file"),
    "a socket": (socket_at, "a.toml: "),
    "a folder": (Path.mkdir, "is a folder, not a file. Name one file in it"),
    "a terabyte of nothing": (holes, "a.toml"),
    "a file of the kernel's": (lambda path: path.symlink_to("/proc/version"), "a.toml"),
}


def only_error(bench: Bench, *command: str) -> str:
    done = bench.respsel(*command)
    assert done.code == 2, done.err
    assert done.err.count("error: ") == done.err.count("\n"), done.err
    assert "Traceback" not in done.err
    return done.err


@pytest.mark.parametrize("kind", NO_FILES)
def test_a_recipe_that_is_no_file_is_told(bench: Bench, kind: str) -> None:
    """Nothing is waited for and nothing is read without end, whatever lies where the recipe should
    be.
    """
    make, message = NO_FILES[kind]
    bench.recipe.unlink()
    make(bench.recipe)
    assert message in only_error(bench, "plan", "a.toml")


@pytest.mark.parametrize("kind", ["a link to itself", "a folder", "a pipe"])
def test_a_workspace_file_that_is_no_file_is_told(bench: Bench, kind: str) -> None:
    """A respsel.toml that cannot be read is never taken for one that is not there."""
    NO_FILES[kind][0](bench.folder / "respsel.toml")
    assert only_error(bench, "plan", "a.toml").startswith("error: respsel.toml: ")


@pytest.mark.parametrize("kind", [*NO_FILES])
def test_data_that_is_no_file_is_told(tmp_path: Path, kind: str) -> None:
    """The same for a data file."""
    NO_FILES[kind][0](tmp_path / "a.toml")
    with pytest.raises(InputError):
        next(read_rows(tmp_path / "a.toml", "a.toml"))


def test_names_that_are_not_utf8_are_read(bench: Bench) -> None:
    """A recipe and its data may lie in a folder whose name is no text."""
    folder = os.fsencode(bench.folder) + b"/caf\xe9"
    os.mkdir(folder)
    for name in ("a.toml", "sums.jsonl"):
        os.rename(bench.folder / name, os.path.join(folder, name.encode()))
    done = bench.respsel("run", os.fsdecode(b"caf\xe9/a.toml"))
    assert done.code == 0, done.err


@pytest.mark.parametrize("name", ["a.toml", "respsel.toml"])
@pytest.mark.parametrize("kind", BAD_TOML)
def test_toml_that_cannot_be_read_is_told(tmp_path: Path, name: str, kind: str) -> None:
    """However deeply it nests and however long its numbers are, TOML gives an error that names the
    file.
    """
    from respsel.recipe.toml import read_toml

    (tmp_path / name).write_bytes(BAD_TOML[kind] + b"\n")
    with pytest.raises(InputError) as caught:
        read_toml(tmp_path / name, name)
    assert str(caught.value).startswith(f"{name}: ")
    assert ("nests more than 50 levels deep" in str(caught.value)) == (kind in DEEP_TOML)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"steps": {"a": ' + "1" * 5000 + "}}", "[1]", '{"steps": 1e999}', "\ud800"],
)
def test_a_run_record_that_was_edited_is_told(bench: Bench, text: str) -> None:
    """A run.json that is no record of a run."""
    bench.write("r/run.json", text.encode("utf-8", "surrogatepass"))
    assert "is not a recorded run" in only_error(bench, "diff", "r", "r")


def entry(**more: object) -> DatasetEntry:
    return DatasetEntry.model_validate({"name": "d", "path": "a", "input": "question", **more})


def examples(path: Path, **more: object) -> list[str]:
    return [example.id for example in load_examples(entry(**more), path, path.name)]


def told(path: Path, **more: object) -> str:
    with pytest.raises(InputError) as caught:
        examples(path, **more)
    return str(caught.value)


def parquet_of(path: Path, frame: pl.DataFrame) -> Path:
    frame.write_parquet(path)
    return path


def same(count: int, text: str) -> pl.DataFrame:
    return pl.select(id=pl.int_range(count), question=pl.lit(text))


def categories(count: int, text: str) -> pl.DataFrame:
    return same(count, text).with_columns(pl.col("question").cast(pl.Categorical))


BOMBS: dict[str, Callable[[], pl.DataFrame]] = {
    "many equal rows": lambda: pl.select(id=pl.repeat("a", 4_000_000), question=pl.lit("q")),
    "many equal long texts": lambda: same(1000, "x" * 100_000),
    "many equal categories": lambda: categories(1000, "x" * 100_000),
    "one long list": lambda: pl.select(
        id=1, question=pl.lit("q"), more=pl.repeat(0, 20_000_000).implode()
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_parquet_file_of_far_too_much_is_refused(tmp_path: Path, kind: str) -> None:
    """A few kilobytes that unpack to gigabytes are refused with the limit, before they are rows."""
    path = parquet_of(tmp_path / "a.parquet", BOMBS[kind]())
    assert path.stat().st_size < 200_000
    assert (
        told(path, sample=4)
        == "a.parquet: unpacks to more than 64 MiB. If that is right, write it as JSON lines."
    )


@pytest.mark.parametrize("end", ["signal", "memory"])
def test_a_parquet_file_that_ends_the_process_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """What makes polars abort ends the process that tries it, and not the run."""
    path = parquet_of(tmp_path / "a.parquet", same(3, "q"))
    if end == "memory":
        monkeypatch.setattr(parquet_rows, "_MEMORY_BYTES", 1 << 20)
    else:
        whole = subprocess.run

        def run(command: list[str], **how: object) -> object:
            return whole([command[0], "-c", "import os; os.abort()"], **how)  # type: ignore[call-overload]

        monkeypatch.setattr(subprocess, "run", run)
    assert "a.parquet: is not parquet that can be read: " in told(path)


@pytest.mark.parametrize("system", ["limits less", "lets no limit be set"])
def test_where_the_system_limits_memory_by_itself_that_is_enough(system: str) -> None:
    """A machine that lets nobody have 4 GiB, and one that takes no such limit: a process for hard
    work starts there, too.
    """
    program = f"""if True:
        import resource
        from respsel.system.child_process import limit_memory
        def refuse(*_): raise ValueError("current limit exceeds maximum limit")
        if "{system}" == "limits less":
            resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        else:
            resource.setrlimit = refuse
        limit_memory(4 << 30)
    """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


LOOKS = """
import sys
from pathlib import Path
from respsel.answers.mathematics import is_same_math
from respsel.answers.patterns import last_match
from respsel.data.files import read_rows
from respsel.data.rows import FileRow
same = is_same_math(r"\\frac{x}{2}", "0.5x")
print(len(list(read_rows(Path(sys.argv[1]), "a"))), last_match("b", "abc"), same)
"""


@pytest.mark.parametrize("name", ["json", "polars", "types", "math_verify"])
def test_no_program_of_the_folder_where_the_user_is_is_run(tmp_path: Path, name: str) -> None:
    """Data from elsewhere may lie beside files called as modules are: they are neither run nor in
    the way.
    """
    parquet_of(tmp_path / "a.parquet", same(3, "q"))
    (tmp_path / f"{name}.py").write_text("open('run', 'w'); raise SystemExit(3)")
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOOKS, "a.parquet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "3 b True\n", done.stderr
    assert not (tmp_path / "run").exists()


def test_each_process_of_ours_keeps_to_a_limit_that_it_is_given(tmp_path: Path) -> None:
    """Where the system allows less than they would allow themselves, parquet, patterns and
    mathematics are read all the same.
    """
    parquet_of(tmp_path / "a.parquet", same(3, "q"))
    limited = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n{LOOKS}"
    )
    command = [sys.executable, "-P", "-c", limited, "a.parquet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout == "3 b True\n", done.stderr


def test_columns_called_as_patterns_are_columns(tmp_path: Path) -> None:
    """A parquet file may have a column `*`, or one that looks like a regular expression."""
    path = parquet_of(
        tmp_path / "a.parquet",
        pl.DataFrame({"id": ["a"], "*": ["b"], "^i.*$": ["c"], "question": ["d"]}),
    )
    (example,) = load_examples(entry(sample=1, reference="*"), path, "a")
    assert example.reference == "b"
    assert dict(example.columns) == {"id": "a", "*": "b", "^i.*$": "c", "question": "d"}


def test_of_a_parquet_file_the_sampled_rows_are_whole(tmp_path: Path) -> None:
    """Every row is looked at in the columns in use, and those that are sampled have all of theirs,
    as from JSON lines.
    """
    made = [{"id": f"e{i}", "question": f"q{i}", "extra": {"n": [i]}} for i in range(300)]
    parquet_of(tmp_path / "a.parquet", pl.DataFrame(made))
    (tmp_path / "a.jsonl").write_text(jsonl(made))
    for sample in (1, 7, 300, None):
        found = [
            load_examples(entry(sample=sample), tmp_path / name, "a")
            for name in ("a.parquet", "a.jsonl")
        ]
        assert found[0] == found[1]


def test_a_parquet_file_that_is_written_anew_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is cut short between two looks at it is no bug."""
    path = parquet_of(tmp_path / "a.parquet", same(300, "q").with_columns(more=1))

    def read(path: Path, *columns: Any, **places: Any) -> Iterator[FileRow]:
        if places:
            parquet_of(path, same(1, "q"))
        return read_rows(path, *columns, **places)

    monkeypatch.setattr(datasets, "read_rows", read)
    assert told(path, sample=7) == "a.parquet: changed while it was read. Run again."


def test_a_sample_takes_no_more_memory_than_its_rows(tmp_path: Path) -> None:
    """A file much larger than its sample is read row by row, packed or not."""
    text = "".join(
        json.dumps({"id": f"e{i}", "question": f"q{i} " + "x" * 6000}) + "\n" for i in range(3000)
    )
    (tmp_path / "a.jsonl").write_text(text)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text.encode(), 1))
    (tmp_path / "c.json").write_text("[" + text.strip().replace("\n", ",") + "]")
    table = "id,question\n" + "".join(f'e{i},"q{i} {"x" * 6000}"\n' for i in range(3000))
    (tmp_path / "d.csv").write_text(table)
    first = examples(tmp_path / "a.jsonl", sample=4)
    for name in ("a.jsonl", "b.jsonl.gz", "c.json", "d.csv"):
        tracemalloc.start()
        try:
            assert examples(tmp_path / name, sample=4) == first
            assert tracemalloc.get_traced_memory()[1] < len(text) / 2
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"id": "a", "question": '
b'"' + b"x" * 6000 + b'"}', "line 1: is longer than "
"5,000 characters"),
        ("a.json", b'{"data": [' + b"{}," * 3000 + b"{}]}", "is longer than 5,000 characters"),
        ("a.json", b'{"data": '
b'[\n' + b"{},\n" * 3000 + b"{}]}", "is one JSON value of more than "
"5,000 characters"),
        ("a.json", b'[{"question": '
b'"' + b"x" * 12_000 + b'"}]', "row 1: is longer than 5,000 "
"characters"),
        ("a.csv", b"id,question\n1," + b"x" * 6000, "line 2: is longer than 5,000 characters"),
        ("a.csv", b'id,question\n1,"' + b"x\n" * 3000, "line 2: is not CSV: the row that begins "
"here has more than 5,000"),
        ("a.csv", b"id,question\n" + b'1,"a\n"\n' * 9 + b'2,"' + b'x","\n' * 3000, "line 20: "),
        ("a.jsonl", b'{"id": 1, '
b'"question": ' + b"1" * 4400 + b"}", "line 1: is not JSON: Exceeds "
"the limit"),
    ],
)  # fmt: skip
def test_a_line_or_row_without_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, message: str
) -> None:
    """A file that is one endless line, a quote that is never closed: an error at its line, and not
    a full memory.
    """
    from respsel.data import csv_rows, json_text

    for module in (lines, csv_rows, json_text):
        monkeypatch.setattr(module, "LONGEST", 5000)
    monkeypatch.setattr(json_rows, "_HEAD", 1000)
    (tmp_path / name).write_bytes(content)
    assert message in told(tmp_path / name, id="id")


@pytest.mark.parametrize("window", [1, 2, 3, 7, 64])
def test_a_list_is_read_the_same_through_any_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """Where a piece of the file ends is seen neither in its rows nor in its faults."""
    monkeypatch.setattr(json_rows, "_HEAD", window)
    path = tmp_path / "a.json"
    made = [
        {"id": i, "n": -1.5e-7 * i, "t": 'é "\\\n\U0001f600', "l": [True, None, {}]}
        for i in range(5)
    ]
    for indent in (None, 1):
        path.write_text(json.dumps(made, indent=indent))
        assert [dict(row.fields) for row in read_rows(path, "a")] == made
    path.write_text('[{"id": 1},\n {"id": 2,, "n": 3}]')
    with pytest.raises(InputError, match="line 2, column 11: is not JSON: Expecting property name"):
        list(read_rows(path, "a"))
    path.write_text('[{"id": 1},\n {"id": 2}\n] 5')
    with pytest.raises(InputError, match="line 3, column 3: is not JSON: Extra data"):
        list(read_rows(path, "a"))


def test_equal_rows_without_ids_are_one_example_wherever_they_stand(tmp_path: Path) -> None:
    """Copies are counted although only the sample is kept, and a row with an id asks for one in
    every row.
    """
    made = [{"question": f"q{i % 50}"} for i in range(500)]
    (tmp_path / "a.jsonl").write_text(jsonl(made))
    assert [
        example.copies for example in load_examples(entry(sample=5), tmp_path / "a.jsonl", "a")
    ] == [10] * 5
    (tmp_path / "b.jsonl").write_text(jsonl([*made, {"id": "x", "question": "q"}]))
    assert "b.jsonl: line 1 and 499 more: has no column 'id'" in told(
        tmp_path / "b.jsonl", sample=5
    )


def test_ids_that_stand_twice_are_named_by_their_lines_in_a_long_file(tmp_path: Path) -> None:
    """Of rows that are not sampled hardly anything is kept, and yet an id that stands twice names
    both lines.
    """
    made = [{"id": i, "question": "q"} for i in range(5000)]
    (tmp_path / "a.jsonl").write_text(jsonl([*made, made[17]]))
    assert (
        told(tmp_path / "a.jsonl", sample=2)
        == "a.jsonl: line 5001: id '17' is also in line 18. Make the ids unique."
    )
    (tmp_path / "b.jsonl").write_text(jsonl([{"id": "e", "question": "q"}] * 9000))
    assert told(tmp_path / "b.jsonl", sample=2).startswith(
        "b.jsonl: line 2 and at least 999 more: id 'e' is also in line 1."
    )


def test_a_table_of_very_many_columns_is_read(tmp_path: Path) -> None:
    """The time is linear in their number, and a message lists a few of them."""
    names = [f"c{i}" for i in range(100_000)]
    (tmp_path / "a.csv").write_text(
        ",".join([*names, "question"]) + "\n" + "1," * len(names) + "q\n"
    )
    assert examples(tmp_path / "a.csv", id="c7") == ["1"]
    assert len(told(tmp_path / "a.csv", id="nothing")) < 1000


def test_a_path_of_very_many_parts_is_told(tmp_path: Path) -> None:
    """A column's name of 100 kB with dots takes no minutes."""
    (tmp_path / "a.jsonl").write_text(jsonl(rows(12)))
    assert "has no column 'a.a." in told(tmp_path / "a.jsonl", label="a." * 50_000)


def test_messages_stay_short() -> None:
    """A name or text of a megabyte is not told whole."""
    assert len(str(Problem("a", "b", "x" * 1_000_000, "y" * 1_000_000))) < 5000
    assert len(str(Problem("a", "b", "c", suggest("x" * 100_000, ["y" * 100_000] * 100)))) < 5000


def gguf(*parts: bytes, count: int = 1) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, count) + b"".join(parts)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


HUGE = struct.pack("<Q", 1 << 60)
GGUFS = {
    "nothing": b"",
    "another file": b"GGML" * 9,
    "cut short": b"GGUF\3\0",
    "so many fields": gguf(count=1 << 60),
    "a name so long": gguf(HUGE, b"x"),
    "a text so long": gguf(text("a"), struct.pack("<I", 8), HUGE),
    "so many numbers": gguf(text("a"), struct.pack("<II", 9, 4), HUGE),
    "so many texts": gguf(text("a"), struct.pack("<II", 9, 8), HUGE),
    "so many texts without letters": gguf(
        text("a"), struct.pack("<IIQ", 9, 8, 1 << 40), b"\0" * 800
    ),
    "lists in lists": gguf(
        text("a"), struct.pack("<IIQ", 9, 9, 1), struct.pack("<IQ", 9, 1) * 2000
    ),
    "an unknown type": gguf(text("a"), struct.pack("<I", 77)),
    "a name that is no text": gguf(struct.pack("<Q", 2), b"\xff\xfe", struct.pack("<II", 4, 1)),
}


@pytest.mark.parametrize("kind", GGUFS)
@pytest.mark.parametrize("wanted", [(), ("a",)])
def test_a_gguf_header_is_believed_only_within_its_file(
    tmp_path: Path, kind: str, wanted: tuple[str, ...]
) -> None:
    """Counts and lengths of 2^60 are an error at once: nothing of that size is read, kept or
    counted to.
    """
    (tmp_path / "a.gguf").write_bytes(GGUFS[kind])
    with pytest.raises(ValueError, match="it"):
        read_fields(tmp_path / "a.gguf", wanted)


VAST = {
    "so many texts": gguf(text("a"), struct.pack("<IIQ", 9, 8, 1 << 34)),
    "so many numbers": gguf(text("a"), struct.pack("<IIQ", 9, 4, 1 << 35)),
    "a text so long": gguf(text("a"), struct.pack("<IQ", 8, 1 << 36)),
    "so many fields": gguf(count=1 << 33),
}


@pytest.mark.parametrize("kind", VAST)
@pytest.mark.parametrize("wanted", [(), ("a",)])
def test_a_vast_gguf_file_of_nothing_is_refused(
    tmp_path: Path, kind: str, wanted: tuple[str, ...]
) -> None:
    """A file with holes may hold as much as it says, and yet nobody counts to billions."""
    path = tmp_path / "a.gguf"
    path.write_bytes(VAST[kind])
    os.truncate(path, 1 << 40)
    with pytest.raises(ValueError, match="it names more than 64 MiB"):
        read_fields(path, wanted)


LLAMA = {
    "model_type": "llama",
    "vocab_size": 3,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
}
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [],
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2}, "merges": []},
}
DIRECTORIES = {
    "a list": ("config.json", b"[]"),
    "nothing": ("config.json", b"null"),
    "of other types": ("config.json", json.dumps({**LLAMA, "hidden_size": "x"}).encode()),
    "so many layers": ("config.json", json.dumps({**LLAMA, "num_hidden_layers": 10**9}).encode()),
    "no heads": ("config.json", json.dumps({**LLAMA, "num_attention_heads": 0}).encode()),
    "nested deeply": ("config.json", b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "a tokenizer that is a number": ("tokenizer.json", b"1"),
    "a tokenizer without anything": ("tokenizer.json", b""),
    "settings that are a list": ("tokenizer_config.json", b"[]"),
    "weights of so many bytes": ("model.safetensors", HUGE + b"{}"),
}


@pytest.mark.parametrize("kind", DIRECTORIES)
def test_a_damaged_directory_of_a_model_is_told(tmp_path: Path, kind: str) -> None:
    """Whatever stands in a model's files, transformers' own faults are an error that names the
    directory.
    """
    pytest.importorskip("transformers")
    from respsel.backends.transformers.files import Source, load

    whole = {
        "config.json": json.dumps(LLAMA).encode(),
        "tokenizer.json": json.dumps(TOKENIZER).encode(),
        "tokenizer_config.json": b'{"tokenizer_class": "PreTrainedTokenizerFast"}',
        "model.safetensors": struct.pack("<Q", 2) + b"{}",
    }
    name, content = DIRECTORIES[kind]
    for file, text in {**whole, name: content}.items():
        (tmp_path / file).write_bytes(text)
    with pytest.raises(PreflightError, match="transformers cannot load this model"):
        load(Source(str(tmp_path)), "float32", None)


def test_a_recipe_named_like_a_report_has_a_place_of_its_own(bench: Bench) -> None:
    """Recipe `a` and, in a folder `a` beside it, `report.html.toml` and the like all have their
    reports.
    """
    bench.write("respsel.toml", "")
    source = bench.recipe.read_text().replace('path = "sums.jsonl"', 'path = "../sums.jsonl"')
    for name in ("report.html", "scores.parquet"):
        bench.write(f"a/{name}.toml", source)
    for recipe in ("a/report.html.toml", "a.toml", "a/scores.parquet.toml", "a.toml"):
        done = bench.respsel("run", recipe)
        assert done.code == 0, done.err
    assert (bench.folder / "runs/a/report.html").is_file()
    assert (bench.folder / "runs/a/report.html.toml/report.html").is_file()
    assert (bench.folder / "runs/a/scores.parquet.toml/report.html").is_file()


@pytest.mark.parametrize("key", ["store", "runs"])
def test_a_place_that_cannot_be_has_its_own_remedy(bench: Bench, key: str) -> None:
    """A path that is too long, or behind a link to itself, is told as that and not as one without
    permission.
    """
    link_to_itself(bench.folder / "loop")
    for place, remedy in (
        ("n" * 300, "shorter name or path"),
        ("loop/x", "leads back to itself"),
        ("a.toml/x", "is a file"),
    ):
        bench.write("respsel.toml", f'{key} = "{place}"\n')
        done = bench.respsel("run", "a.toml")
        assert done.code in (1, 2, 4), done.err
        assert remedy in done.err
        assert "permission" not in done.err
        assert "Traceback" not in done.err


def test_every_cause_that_a_disk_has_is_told_by_its_remedy() -> None:
    """No two of them are told alike, but for the two kinds of full disks and of missing rights."""
    causes = (
        "ENAMETOOLONG",
        "ENOSPC",
        "EROFS",
        "EISDIR",
        "ENOTDIR",
        "ELOOP",
        "EACCES",
        "EMFILE",
        "EIO",
    )
    assert len(
        {remedy_of(OSError(getattr(errno, name), ""), "?") for name in causes} - {"?"}
    ) == len(causes)


@pytest.mark.parametrize(
    ("file", "line", "place"),
    [
        ("respsel.toml", 'store = "a\\u0000b"', "line 2, store"),
        ("respsel.toml", 'runs = "\\u0000"', "line 2, runs"),
        (
            "a.toml",
            '[models.other]\nbackend = "fake"\nvariant = "a\\u0000"',
            "line 53, model 'other', variant",
        ),
        ("a.toml", '[models."o\\u0000"]\nbackend = "fake"', "line 51, model 'o\\x00'"),
    ],
)
def test_a_nul_in_toml_is_told_at_its_place(bench: Bench, file: str, line: str, place: str) -> None:
    """No path of any system has one."""
    bench.write(file, f"{(bench.folder / file).read_text() if file == 'a.toml' else ''}\n{line}\n")
    done = bench.respsel("plan", "a.toml")
    assert done.code == 2, done.err
    assert f"error: {file}: {place}: holds the character U+0000" in done.err
