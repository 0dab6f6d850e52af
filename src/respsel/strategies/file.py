"""Responses that are in a file of their own, matched to the examples by id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from respsel.data.response_files import SHOWN_IDS, Found, note_missing, read_texts
from respsel.errors import Problem, raise_problems
from respsel.recipe.schema import AnswerEntry, FileStrategy
from respsel.records import Example, Response
from respsel.strategies.base import checked
from respsel.text.whitespace import WhiteSpace

MISSING = "no response in the file"


def file_responses(
    entry: FileStrategy,
    path: Path,
    shown: str,
    examples: Sequence[Example],
    check: AnswerEntry | None,
    white_space: WhiteSpace = "normalise",
) -> list[Response]:
    """Return the file's texts for the examples; rows with other ids are left out.

    Of several rows with one id, those without a text give way to the one that has it, as retries
    leave them. Raises InputError naming every bad row, every id with different texts, and every
    example without one.
    """
    problems: list[Problem] = []
    texts: dict[str, Found] = {}
    others: list[str] = []
    wanted = {example.id for example in examples}
    for found in read_texts(entry, path, shown, wanted, problems):
        if found.id not in wanted:
            others += [found.id] if len(others) < SHOWN_IDS else []
            continue
        known = texts.setdefault(found.id, found)
        if known.text and found.text and known.text.strip() != found.text.strip():
            problems.append(_several(known, found, shown))
        elif not known.text and (found.text or found.problem):
            texts[found.id] = found
    missing = {name: texts.get(name) for name in sorted(wanted) if _is_missing(texts.get(name))}
    note_missing(missing, others, "response", entry, shown, problems, examples)
    raise_problems(problems)
    nothing = Found("", "", "", MISSING)
    rows = [
        (example, nothing if example.id in missing else texts[example.id]) for example in examples
    ]
    made = [
        (e, Response(e.id, found.text, found.problem, truncated=found.truncated))
        for e, found in rows
    ]
    return [checked(response, example, check, white_space) for example, response in made]


def _is_missing(found: Found | None) -> bool:
    return found is None or not (found.text or found.problem)


def _several(known: Found, found: Found, shown: str) -> Problem:
    if known.where == found.where:
        return Problem(
            shown,
            found.where,
            f"id '{found.id}' has several responses",
            "Keep one response for each id",
        )
    what = f"id '{found.id}' stands twice: {known.where} has another response"
    return Problem(shown, found.where, what, "Keep one response for each id")
