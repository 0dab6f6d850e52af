"""Responses that are in a column of the dataset."""

from __future__ import annotations

from collections.abc import Sequence

from respsel.data.prompts import template_fields
from respsel.data.rows import FileRow, has_column, text_field, wrong_turn
from respsel.errors import Problem, raise_problems
from respsel.recipe.schema import AnswerEntry, ColumnStrategy
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
) -> list[Response]:
    """Return the column's texts.

    Raises InputError naming every example where it is missing or empty, unless the recipe leaves
    those out, and where no example has the column.
    """
    problems: list[Problem] = []
    responses = []
    # The row's own columns go before the names that the dataset gives to some of them.
    rows = [FileRow(f"example '{e.id}'", {**template_fields(e), **e.columns}) for e in examples]
    required = entry.if_missing == "fail" or not has_column(rows, entry.column)
    for example, row in zip(examples, rows, strict=True):
        text = text_field(
            row, entry.column, shown, problems, required, 'Fill it in, or set if_missing = "drop"'
        )
        wrong = wrong_turn(row, entry.column, False, shown) if text else None
        problems += [wrong] if wrong else []
        response = Response(example.id, text or "", "" if text else MISSING)
        responses.append(checked(response, example, check, white_space))
    raise_problems(problems)
    return responses
