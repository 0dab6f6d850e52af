"""Responses that are in a column of the dataset."""

from __future__ import annotations

from collections.abc import Sequence

from respsel.data.conversations import in_column
from respsel.data.prompts import template_fields
from respsel.data.rows import (
    ABSENT,
    FileRow,
    find_value,
    has_column,
    is_blank,
    text_field,
    wrong_turn,
)
from respsel.data.trajectories import is_trajectory, read_trajectory, refuse_text, response_of
from respsel.data.turns import TurnFault
from respsel.errors import Problem, raise_problems
from respsel.recipe.schema import AnswerEntry, ColumnStrategy, DatasetEntry
from respsel.records import Example, Response
from respsel.strategies.base import checked
from respsel.text.whitespace import WhiteSpace

MISSING = "no response in the column"


def column_responses(
    entry: ColumnStrategy,
    examples: Sequence[Example],
    check: AnswerEntry | None,
    shown: str,
    white_space: WhiteSpace = "normalise",
    dataset: DatasetEntry | None = None,
) -> list[Response]:
    """Return the column's texts or conversations.

    Raises InputError naming every example where it is missing or empty, unless the recipe leaves
    those out, and where no example has the column.

    dataset: of chats, whose own conversations may be the column.
    """
    problems: list[Problem] = []
    responses = []
    # The row's own columns go before the names that the dataset gives to some of them.
    rows = [FileRow(f"example '{e.id}'", {**template_fields(e), **e.columns}) for e in examples]
    required = entry.if_missing == "fail" or not has_column(rows, entry.column)
    for example, row in zip(examples, rows, strict=True):
        try:
            response = _chat_response(entry, example, row, dataset)
        except TurnFault as fault:
            problems.append(fault.problem(shown, row.where))
            continue
        if response is None:
            response = _text_response(entry, example, row, shown, required, problems)
        responses.append(checked(response, example, check, white_space))
    raise_problems(problems)
    return responses


def _text_response(
    entry: ColumnStrategy,
    example: Example,
    row: FileRow,
    shown: str,
    required: bool,
    problems: list[Problem],
) -> Response:
    text = text_field(
        row, entry.column, shown, problems, required, 'Fill it in, or set if_missing = "drop"'
    )
    wrong = wrong_turn(row, entry.column, False, shown) if text else None
    problems += [wrong] if wrong else []
    return Response(example.id, text or "", "" if text else MISSING)


def _chat_response(
    entry: ColumnStrategy, example: Example, row: FileRow, dataset: DatasetEntry | None
) -> Response | None:
    """The response to a chat, if it is the chat's own or a conversation. Raises TurnFault."""
    if not example.turns or dataset is None:
        return None
    if entry.column == dataset.messages:
        if any(turn.trained for turn in example.turns):
            return response_of(example, example.turns)
        if entry.if_missing == "drop":
            return Response(example.id, "", MISSING)
        what = "has no assistant turn at its end, and the strategy takes it"
        raise TurnFault("", what, 'Add the response, or set if_missing = "drop"')
    value = find_value(row.fields, entry.column)
    if not is_trajectory(value):
        if not (value is ABSENT or is_blank(value)):
            in_column(entry.column, lambda: refuse_text(example, ""))
        return None
    turns = in_column(entry.column, lambda: read_trajectory(value, example, dataset.train, {}))
    return response_of(example, turns)
