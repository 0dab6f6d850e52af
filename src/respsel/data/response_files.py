"""Texts that were made elsewhere: rows of a file, or the output of a batch run, by the example's
id.

Sources: OpenAI's Batch API (an envelope with `custom_id`, `response` and `error` on each line),
which `vllm run-batch` and Mistral write, too; Anthropic's message batches (`custom_id` and
`result`). Invariant: a text is taken for an example's only by its id, and every row that cannot be
used is named.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from respsel.data.files import read_rows
from respsel.data.rows import (
    ABSENT,
    FileRow,
    absent,
    find_value,
    is_blank,
    row_id,
    text_field,
    wrong_turn,
)
from respsel.errors import InputError, Problem, stop_at_many
from respsel.recipe.schema import FileStrategy, OwnOutputsEntry
from respsel.records import Example
from respsel.replies.completions import written_in
from respsel.replies.server_words import one_line, words_of

# Raised when the same lines of a batch run would give other texts or problems.
BATCH_VERSION = 2
# How the problem begins of a text whose making failed elsewhere.
FAILED_THERE = "it failed where it was made: "
# How many of a file's ids a message shows.
SHOWN_IDS = 3
_LONGEST_MESSAGE = 300


@dataclass(frozen=True)
class Found:
    """A text for an example, or why there is none.

    truncated: it was cut short at a limit of tokens.
    """

    id: str
    where: str
    text: str
    problem: str = ""
    truncated: bool = False


def read_texts(
    entry: FileStrategy | OwnOutputsEntry,
    path: Path,
    shown: str,
    wanted: Container[str],
    problems: list[Problem],
) -> Iterator[Found]:
    """Yield the file's texts as they come, several of one row with the same id; note what is wrong
    with rows.

    Of rows with other ids than those wanted only the id is looked at. A row without a text is
    yielded with none.
    """
    batch = entry.format == "batch"
    column = "custom_id" if batch else entry.id
    first = None
    found = batch
    for row in read_rows(
        path, shown, None if batch else (entry.id, entry.response), ("custom_id",)
    ):
        stop_at_many(problems)
        if (
            not batch
            and "custom_id" in row.fields
            and isinstance(row.fields.get("response"), Mapping)
        ):
            raise InputError(
                Problem(
                    shown, row.where, "is a line of a batch run's output", 'Set format = "batch"'
                )
            )
        if (name := text_field(row, column, shown, problems)) is None:
            continue
        first = first or row
        blank = Found(name, row.where, "")
        if batch:
            yield from _batch_row(row, blank, shown, problems) if name in wanted else [blank]
            continue
        found = found or find_value(row.fields, entry.response) is not ABSENT
        yield from _row_texts(entry, row, blank, shown, problems) if name in wanted else [blank]
    if first is not None and not found:
        problems.append(absent(first, entry.response, shown))


def _row_texts(
    entry: FileStrategy | OwnOutputsEntry,
    row: FileRow,
    blank: Found,
    shown: str,
    problems: list[Problem],
) -> Iterator[Found]:
    """A row's text, or one without: whether that matters is seen when all rows are. A list is
    several own outputs.
    """
    value = find_value(row.fields, entry.response)
    if isinstance(entry, OwnOutputsEntry) and isinstance(value, list) and not is_blank(value):
        samples = [FileRow(row.where, {entry.response: item}) for item in value]
    else:
        samples = [row]
    for sample in samples:
        before = len(problems)
        wrong = wrong_turn(sample, entry.response, False, shown)
        problems += [wrong] if wrong else []
        text = text_field(sample, entry.response, shown, problems, required=False)
        # A text that cannot be read is told already, and is not missing.
        yield replace(
            blank, text=text or "", problem="" if len(problems) == before else "unreadable"
        )


def note_missing(
    missing: Mapping[str, Found | None],
    ids: Sequence[str],
    what: str,
    entry: FileStrategy | OwnOutputsEntry,
    shown: str,
    problems: list[Problem],
    examples: Sequence[Example],
) -> None:
    """Note the examples that the file has no text for, unless the recipe leaves them out.

    missing: by id the row that has no text, if there is one. ids: some of the file's.
    """
    if entry.if_missing == "drop" or not missing:
        return
    hint = "Add a row with this id"
    if ids:
        hint += (
            f" (it has ids like {', '.join(repr(name) for name in ids[:SHOWN_IDS])}), or set "
            'if_missing = "drop"'
        )
    if any(example.id == row_id(example.columns) for example in examples[:1]):
        what = (
            "cannot be matched: the dataset has no ids, so that no row can name its "
            f"{len(missing)} examples"
        )
        problems.append(Problem(shown, "", what, "Add an id column to both files"))
        return
    for name, row in missing.items():
        if row is None:
            problems.append(Problem(shown, "", f"has no {what} for example '{name}'", hint))
        else:
            empty = f"column '{entry.response}' is empty"
            problems.append(
                Problem(shown, row.where, empty, 'Fill it in, or set if_missing = "drop"')
            )


def _batch_row(row: FileRow, blank: Found, shown: str, problems: list[Problem]) -> Iterator[Found]:
    if isinstance(result := row.fields.get("result"), Mapping):
        yield from _anthropic_row(result, row, blank, shown, problems)
        return
    response = row.fields.get("response")
    if row.fields.get("error") or not isinstance(response, Mapping):
        yield _failed(blank, row.fields.get("error") or "no response")
        return
    # vllm has written the body in place of the response in some versions.
    body = response.get("body", response)
    if response.get("status_code", 200) != 200 or not isinstance(body, Mapping):
        yield _failed(blank, body or response.get("status_code"))
        return
    yield from _body(body, row, blank, shown, problems)


def _anthropic_row(
    result: Mapping[str, Any], row: FileRow, blank: Found, shown: str, problems: list[Problem]
) -> Iterator[Found]:
    """A line of Anthropic's message batches: a `result` that has a message or says why there is
    none.
    """
    if isinstance(message := result.get("message"), Mapping) and result.get("type") == "succeeded":
        yield from _body(message, row, blank, shown, problems)
    else:
        yield _failed(blank, result.get("error") or result.get("type") or "no result")


def _body(
    body: Mapping[str, Any], row: FileRow, blank: Found, shown: str, problems: list[Problem]
) -> Iterator[Found]:
    written = written_in(body)
    if not written and (body.get("error") or body.get("object") == "error"):
        yield _failed(blank, body)
    elif not written:
        problems.append(
            Problem(
                shown,
                row.where,
                "holds no chat completion, completion or response",
                "Is it a batch's output?",
            )
        )
    for made in written:
        problem = FAILED_THERE + _short(made.problem) if made.problem else ""
        yield replace(blank, text=made.text, problem=problem, truncated=made.truncated)


def _failed(blank: Found, error: Any) -> Found:
    return replace(blank, problem=FAILED_THERE + _short(words_of(error)))


def _short(words: str) -> str:
    line = one_line(words)
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"
