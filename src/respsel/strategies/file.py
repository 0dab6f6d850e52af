"""Responses that are in a file of their own, matched to the examples by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from respsel.data.file_sets import FileSet
from respsel.data.response_files import SHOWN_IDS, Found, note_missing, read_texts
from respsel.data.trajectories import read_trajectory, refuse_text, response_of
from respsel.data.turns import TurnFault
from respsel.errors import Problem, raise_problems
from respsel.recipe.schema import AnswerEntry, FileStrategy
from respsel.records import Example, Response
from respsel.strategies.base import checked
from respsel.text.whitespace import WhiteSpace

MISSING = "no response in the file"


def file_responses(
    entry: FileStrategy,
    path: Path | FileSet,
    shown: str,
    examples: Sequence[Example],
    check: AnswerEntry | None,
    white_space: WhiteSpace = "normalise",
    train: str = "last",
) -> list[Response]:
    """Return the file's texts or conversations for the examples, without rows of other ids.

    Of several rows with one id, those without a text give way to the one that has it, as retries
    leave them. Raises InputError naming every bad row, every id with different texts, and every
    example without one.

    train: which turns of a conversation are trained, as the dataset says.
    """
    problems: list[Problem] = []
    texts: dict[str, Found] = {}
    others: list[str] = []
    wanted = {example.id for example in examples}
    marks = train if any(example.turns for example in examples) else None
    for found in read_texts(entry, path, shown, wanted, problems, marks):
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
    kept = {name: found for name, found in texts.items() if name not in missing}
    made = _responses(examples, kept, train, shown)
    pairs = zip(made, examples, strict=True)
    return [checked(response, example, check, white_space) for response, example in pairs]


def _responses(
    examples: Sequence[Example], texts: Mapping[str, Found], train: str, shown: str
) -> list[Response]:
    """One response per example. Raises InputError naming every bad conversation."""
    nothing = Found("", "", "", MISSING)
    problems = []
    made = []
    for example in examples:
        found = texts.get(example.id, nothing)
        try:
            made.append(_response(example, found, train))
        except TurnFault as fault:
            problems.append(fault.problem(shown, found.where))
    raise_problems(problems)
    return made


def _response(example: Example, found: Found, train: str) -> Response:
    """Raises TurnFault."""
    if found.row is not None:
        turns = read_trajectory(found.turns, example, train, found.row.fields)
        return response_of(example, turns)
    if found.text:
        refuse_text(example, "")
    return Response(example.id, found.text, found.problem, truncated=found.truncated)


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
