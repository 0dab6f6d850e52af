"""Users' files to rows, and rows to examples. The only module that reads data files.

Read line by line with our own checks, since every fault must name its file and line. A byte order mark
and CRLF line ends are accepted. Knows nothing of models. Invariant: examples come in hash order of
(seed, id), so a larger sample contains the smaller one as its beginning, whatever the file's order.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from respsel.answers import find_answer
from respsel.errors import InputError, Problem, suggest
from respsel.hashing import digest
from respsel.recipe import DatasetEntry
from respsel.records import Example

VERSION = 2
FORMATS = (".jsonl", ".json", ".csv", ".parquet")
_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class FileRow:
    """A row of a data file and where it stands ("line 7" or "row 7")."""

    where: str
    fields: Mapping[str, Any]


def read_rows(path: Path, shown: str) -> Iterator[FileRow]:
    """Yield a data file's rows. Raises InputError naming file and place."""
    kind = path.suffix.lower()
    if kind == ".parquet":
        yield from _parquet_rows(path, shown)
        return
    text = _read_text(path, shown)
    readers = {".jsonl": _jsonl_rows, ".json": _json_rows, ".csv": _csv_rows}
    if kind not in readers:
        raise InputError(Problem(shown, "", f"'{kind}' is no format that is read here", f"Use one of {', '.join(FORMATS)}"))
    yield from readers[kind](text, shown)


def load_examples(entry: DatasetEntry, path: Path, shown: str) -> list[Example]:
    """Return the sampled examples of a dataset, in hash order.

    Raises InputError with every bad row (the first 20): no id, an id used twice, no input.
    """
    problems: list[Problem] = []
    first_seen: dict[str, str] = {}
    examples = []
    for row in read_rows(path, shown):
        example = _example(entry, row, shown, problems)
        if example is None:
            continue
        if example.id in first_seen:
            what = f"id '{example.id}' stands also in {first_seen[example.id]}"
            problems.append(Problem(shown, row.where, what, "Make the ids unique"))
        first_seen.setdefault(example.id, row.where)
        examples.append(example)
    if not examples and not problems:
        problems.append(Problem(shown, "", "holds no rows", "Give at least one example"))
    raise_problems(problems)
    examples.sort(key=lambda example: digest("sample", str(entry.seed), example.id))
    return examples[: entry.sample]


def check_labels(entry: DatasetEntry, examples: Sequence[Example], shown: str) -> None:
    """Raise InputError naming the examples whose labels no answer can be checked against.

    For examples that are read from the store: they may be from before the recipe had this answer check.
    """
    found = [_label_problem(entry, example.label, shown, f"id '{example.id}'") for example in examples if example.label]
    raise_problems([problem for problem in found if problem])


def raise_problems(problems: list[Problem]) -> None:
    """Raise InputError if there are any problems: each fault once with its first place, the first 20."""
    alike: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        alike.setdefault((problem.file, problem.what), []).append(problem)
    shown = []
    for first, *others in alike.values():
        where = f"{first.where} and {len(others)} more" if others else first.where
        shown.append(Problem(first.file, where, first.what, first.remedy))
    if len(shown) > _MOST_PROBLEMS:
        rest = len(shown) - _MOST_PROBLEMS
        shown = [*shown[:_MOST_PROBLEMS], Problem(shown[0].file, "", f"and {rest} more problems like these", "")]
    if shown:
        raise InputError(shown)


def text_field(row: FileRow, column: str, shown: str, problems: list[Problem], required: bool = True) -> str | None:
    """Return a column as text, or None after noting the problem. Numbers and booleans become text."""
    if column not in row.fields:
        if required:
            problems.append(Problem(shown, row.where, f"has no column '{column}'", suggest(column, row.fields)))
        return None
    value = row.fields[column]
    if isinstance(value, (int, float, bool)):
        value = json.dumps(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        if required:
            problems.append(Problem(shown, row.where, f"column '{column}' is empty", "Fill it in or take the row out"))
        return None
    if not isinstance(value, str):
        problems.append(Problem(shown, row.where, f"column '{column}' is a {type(value).__name__}, not text", "Give text"))
        return None
    return value


def _example(entry: DatasetEntry, row: FileRow, shown: str, problems: list[Problem]) -> Example | None:
    before = len(problems)
    values = {
        "id": text_field(row, entry.id, shown, problems),
        "input": text_field(row, entry.input, shown, problems),
        "reference": text_field(row, entry.reference, shown, problems) if entry.reference else None,
        "label": text_field(row, entry.label, shown, problems) if entry.label else None,
    }
    label = values["label"]
    if label is not None and (problem := _label_problem(entry, label, shown, row.where)):
        problems.append(problem)
    if len(problems) > before:
        return None
    return Example(str(values["id"]), str(values["input"]), values["reference"], label, dict(row.fields))


def _label_problem(entry: DatasetEntry, label: str, shown: str, where: str) -> Problem | None:
    """What is wrong with a label: without an answer of the check's kind it would make every response wrong."""
    check = entry.check
    if check is None or check.kind not in ("number", "choice") or find_answer(check, label) is not None:
        return None
    what = f"label '{label}' holds no {check.kind} to check answers against"
    return Problem(shown, where, what, "Mend the label, or choose another 'answer'")


def _read_text(path: Path, shown: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(Problem(shown, "", f"cannot be read: {error.strerror}", "Check the path")) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(Problem(shown, f"line {line}", "is not UTF-8", "Save the file as UTF-8")) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _parse(text: str, shown: str, where: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        if "\\ud" in text.lower():
            # Half a surrogate pair is legal in JSON and in Python, and in no UTF-8 text.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except UnicodeEncodeError as error:
        raise InputError(Problem(shown, where, "holds half a surrogate pair", "Mend the text's encoding")) from error
    except ValueError as error:
        place = where
        if isinstance(error, json.JSONDecodeError):
            place = f"line {error.lineno}, column {error.colno}" if not where else f"{where}, column {error.colno}"
        hint = "A byte order mark inside the file: was it joined from two files?" if "\ufeff" in text else "Mend it"
        said = error.msg.removesuffix(" starting at") if isinstance(error, json.JSONDecodeError) else str(error)
        what = f"is not JSON: {said}"
        raise InputError(Problem(shown, place, what, hint)) from error


def _as_row(value: Any, shown: str, where: str) -> FileRow:
    if not isinstance(value, dict):
        what = f"is a {type(value).__name__}, not an object"
        raise InputError(Problem(shown, where, what, 'Write each row as {"id": ..., ...}'))
    return FileRow(where, value)


def _jsonl_rows(text: str, shown: str) -> Iterator[FileRow]:
    # Not splitlines(): that also splits at U+2028, which JSON allows inside a string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _as_row(_parse(line, shown, f"line {number}"), shown, f"line {number}")


def _json_rows(text: str, shown: str) -> Iterator[FileRow]:
    value = _parse(text, shown, "")
    if not isinstance(value, list):
        raise InputError(Problem(shown, "", "is not a list of objects", "Write [{...}, {...}], or use .jsonl"))
    for number, item in enumerate(value, 1):
        yield _as_row(item, shown, f"row {number}")


def _csv_rows(text: str, shown: str) -> Iterator[FileRow]:
    csv.field_size_limit(1 << 30)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            where = f"line {reader.line_num}"
            if None in row or None in row.values():
                raise InputError(Problem(shown, where, "has another number of fields than the header", "Quote commas in text"))
            yield FileRow(where, row)
    except csv.Error as error:
        raise InputError(Problem(shown, f"line {reader.line_num}", f"is not CSV: {error}", "Mend the quotes")) from error


def _parquet_rows(path: Path, shown: str) -> Iterator[FileRow]:
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except OSError as error:
        raise InputError(Problem(shown, "", f"cannot be read: {error.strerror or error}", "Check the path")) from error
    except pl.exceptions.PolarsError as error:
        raise InputError(Problem(shown, "", f"is not parquet: {error}", "Write it again")) from error
    for number, row in enumerate(frame.iter_rows(named=True), 1):
        yield FileRow(f"row {number}", {name: _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:
    """Bytes, dates and the like become text, and NaN becomes null, so that every row is JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return _decoded(value) if isinstance(value, bytes) else str(value)


def _decoded(value: bytes) -> Any:
    """The text that some programs write as plain bytes; of an image and the like how long it is, which no text column takes."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"bytes": len(value)}
