"""Responses that stand in a file of their own, matched to the examples by id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from respsel.datasets import raise_problems, read_rows, text_field
from respsel.errors import Problem
from respsel.recipe import AnswerEntry, FileStrategy
from respsel.records import Example, Response
from respsel.strategies.base import checked


def file_responses(
    entry: FileStrategy, path: Path, shown: str, examples: Sequence[Example], check: AnswerEntry | None
) -> list[Response]:
    """Return the file's texts for the examples; rows with other ids are left out.

    Raises InputError naming every bad row, every id that stands twice, and every example without a row.
    """
    problems: list[Problem] = []
    texts: dict[str, str] = {}
    wanted = {example.id for example in examples}
    for row in read_rows(path, shown):
        name = text_field(row, entry.id, shown, problems)
        if name is None or name not in wanted:
            continue
        if name in texts:
            problems.append(Problem(shown, row.where, f"id '{name}' stands twice", "Keep one response for each id"))
        text = text_field(row, entry.response, shown, problems)
        texts[name] = text or ""
    for name in sorted(wanted - set(texts)):
        problems.append(Problem(shown, "", f"has no response for example '{name}'", "Add a row with this id"))
    raise_problems(problems)
    return [checked(Response(example.id, texts[example.id]), example, check) for example in examples]
