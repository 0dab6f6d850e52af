"""Responses that stand in a column of the dataset."""

from __future__ import annotations

from collections.abc import Sequence

from respsel.datasets import FileRow, raise_problems, text_field
from respsel.errors import Problem
from respsel.prompts import template_fields
from respsel.recipe import AnswerEntry, ColumnStrategy
from respsel.records import Example, Response
from respsel.strategies.base import checked


def column_responses(entry: ColumnStrategy, examples: Sequence[Example], check: AnswerEntry | None, shown: str) -> list[Response]:
    """Return the column's texts. Raises InputError naming every example where it is missing or empty."""
    problems: list[Problem] = []
    responses = []
    for example in examples:
        # The row's own columns go before the names that the dataset gives to some of them.
        row = FileRow(f"example '{example.id}'", {**template_fields(example), **example.columns})
        text = text_field(row, entry.column, shown, problems)
        if text is not None:
            responses.append(checked(Response(example.id, text), example, check))
    raise_problems(problems)
    return responses
