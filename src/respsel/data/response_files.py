"""Texts that another program made: rows of a file, or the output of a batch run, by example id.

Sources: OpenAI's Batch API has an envelope with `custom_id`, `response` and `error` on each line.
`vllm run-batch` and Mistral write the same. Anthropic's message batches have `custom_id` and
`result`.

Knows nothing of strategies. Invariant: only its id makes a text an example's, and every row that
cannot be used is named.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from respsel.data.file_sets import FileSet
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
from respsel.data.trajectories import is_trajectory
from respsel.data.turn_shapes import without_filling
from respsel.errors import InputError, Problem, stop_at_many
from respsel.recipe.schema import FileStrategy, OwnOutputsEntry
from respsel.records import Example

# Raised when the same lines of a batch run would give other texts or problems.
BATCH_VERSION = 2
# How the problem begins of a text that another program failed to make.
FAILED_THERE = "it failed where it was made: "
# How many of a file's ids a message shows.
SHOWN_IDS = 3
_LONGEST_MESSAGE = 300


@dataclass(frozen=True)
class Found:
    """A text for an example, or why there is none.

    id: the example's id.
    where: the row's place in the file.
    text: the text; empty where there is none.
    problem: why it cannot be used, if it cannot.
    truncated: it was cut short at a limit of tokens.
    turns: the conversation that it is, as the file has it; the text is then its JSON. None for all
        others.
    row: where the conversation is from.
    """

    id: str
    where: str
    text: str
    problem: str = ""
    truncated: bool = False
    turns: Any = None
    row: FileRow | None = None


def read_texts(
    entry: FileStrategy | OwnOutputsEntry,
    path: Path | FileSet,
    shown: str,
    wanted: Container[str],
    problems: list[Problem],
    marks: str | None = None,
) -> Iterator[Found]:
    """Yield the file's texts as they come, and note what is wrong with rows.

    A row may have several texts, which have its id. A row without a text gives an empty one, and so
    does a row whose id is not wanted.

    marks: the column that may mark trained turns, where a row may hold a conversation.
    """
    is_batch = entry.format == "batch"
    column = "custom_id" if is_batch else entry.id
    columns = None if is_batch else (entry.id, entry.response)
    first = None
    has_texts = is_batch
    for row in read_rows(path, shown, columns, ("custom_id", *([marks] if marks else []))):
        stop_at_many(problems)
        if not is_batch:
            _refuse_batch(row, shown)
        if (name := text_field(row, column, shown, problems)) is None:
            continue
        first = first or row
        has_texts = has_texts or find_value(row.fields, entry.response) is not ABSENT
        blank = Found(name, row.where, "")
        if name not in wanted:
            yield blank
        elif is_batch:
            yield from _batch_row(row, blank, shown, problems)
        else:
            yield from _row_texts(entry, row, blank, shown, problems, marks)
    if first is not None and not has_texts:
        problems.append(absent(first, entry.response, shown))


def _refuse_batch(row: FileRow, shown: str) -> None:
    if "custom_id" in row.fields and isinstance(row.fields.get("response"), Mapping):
        what = "is a line of a batch run's output"
        raise InputError(Problem(shown, row.where, what, 'Set format = "batch"'))


def _row_texts(
    entry: FileStrategy | OwnOutputsEntry,
    row: FileRow,
    blank: Found,
    shown: str,
    problems: list[Problem],
    marks: str | None,
) -> Iterator[Found]:
    """The texts of a row: several where it has a list of own outputs.

    A missing text is an empty one here; whether that matters is known after the last row.
    """
    if marks is not None:
        row = without_filling(row)
    value = find_value(row.fields, entry.response)
    if marks is not None and is_trajectory(value):
        written = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        yield replace(blank, text=written, turns=value, row=row)
        return
    if isinstance(entry, OwnOutputsEntry) and isinstance(value, list) and not is_blank(value):
        samples = [FileRow(row.where, {entry.response: item}) for item in value]
    else:
        samples = [row]
    for sample in samples:
        before = len(problems)
        wrong = wrong_turn(sample, entry.response, False, shown)
        problems += [wrong] if wrong else []
        text = text_field(sample, entry.response, shown, problems, required=False)
        # A text that cannot be read is already a problem, and is not missing.
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

    missing: by id, the row that has no text, if there is one. what: what is missing, in a word.
    ids: some of the file's.
    """
    if entry.if_missing == "drop" or not missing:
        return
    hint = "Add a row with this id"
    if ids:
        hint += (
            f" (it has ids like {', '.join(map(repr, ids[:SHOWN_IDS]))}), or set "
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
    # Some versions of vllm write the body in place of the response.
    body = response.get("body", response)
    if response.get("status_code", 200) != 200 or not isinstance(body, Mapping):
        yield _failed(blank, body or response.get("status_code"))
        return
    yield from _body(body, row, blank, shown, problems)


def _anthropic_row(
    result: Mapping[str, Any], row: FileRow, blank: Found, shown: str, problems: list[Problem]
) -> Iterator[Found]:
    """A line of Anthropic's message batches: its `result` has a message, or says why not."""
    if isinstance(message := result.get("message"), Mapping) and result.get("type") == "succeeded":
        yield from _body(message, row, blank, shown, problems)
    else:
        yield _failed(blank, result.get("error") or result.get("type") or "no result")


def _body(
    body: Mapping[str, Any], row: FileRow, blank: Found, shown: str, problems: list[Problem]
) -> Iterator[Found]:
    from respsel.replies.completions import written_in

    choices = written_in(body)
    if not choices and (body.get("error") or body.get("object") == "error"):
        yield _failed(blank, body)
    elif not choices:
        what = "holds no chat completion, completion or response"
        problems.append(Problem(shown, row.where, what, "Is it a batch's output?"))
    for choice in choices:
        problem = FAILED_THERE + _short(choice.problem) if choice.problem else ""
        yield replace(blank, text=choice.text, problem=problem, truncated=choice.truncated)


def _failed(blank: Found, error: Any) -> Found:
    from respsel.replies.server_words import words_of

    return replace(blank, problem=FAILED_THERE + _short(words_of(error)))


def _short(words: str) -> str:
    from respsel.replies.server_words import one_line

    line = one_line(words)
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"
