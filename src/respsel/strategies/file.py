"""Responses that stand in a file of their own, matched to the examples by id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from respsel.datasets import raise_problems
from respsel.elsewhere import Found, note_missing, read_texts
from respsel.errors import Problem
from respsel.recipe import AnswerEntry, FileStrategy
from respsel.records import Example, Response
from respsel.strategies.base import checked

MISSING = "no response in the file"


def file_responses(
    entry: FileStrategy, path: Path, shown: str, examples: Sequence[Example], check: AnswerEntry | None
) -> list[Response]:
    """Return the file's texts for the examples; rows with other ids are left out.

    Raises InputError naming every bad row, every id that stands twice, and every example without a row.
    """
    problems: list[Problem] = []
    texts: dict[str, Found] = {}
    others: list[str] = []
    wanted = {example.id for example in examples}
    for found in read_texts(entry, path, shown, wanted, problems):
        if found.id not in wanted:
            others.append(found.id)
            continue
        if found.id in texts:
            problems.append(Problem(shown, found.where, f"id '{found.id}' stands twice", "Keep one response for each id"))
        texts[found.id] = found
    note_missing(sorted(wanted - set(texts)), others, "response", entry, shown, problems)
    raise_problems(problems)
    nothing = Found("", "", "", MISSING)
    rows = [(example, texts.get(example.id, nothing)) for example in examples]
    return [checked(Response(e.id, found.text, found.problem, truncated=found.truncated), e, check) for e, found in rows]
