"""A turn of a conversation as a file has it, and the fault that it may have.

Knows nothing of shapes and order. Invariant: a fault names the turn as the file counts it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from respsel.data.json_text import DEEPEST, parse, too_deep
from respsel.data.rows import is_blank
from respsel.errors import InputError, Problem
from respsel.records import Message

# The keys of a turn that say whether it is trained, and nothing to a model.
MARKS = ("weight", "train", "training")
# How a list or an object begins that Python wrote, and not JSON.
_PYTHON = re.compile(r"\s*[\[{(][\s\[{(]*'")
# JSON texts that say nothing.
_NOTHING = ("[]", "{}", "null")


@dataclass(frozen=True)
class Turn:
    """One turn.

    place: what it is called in messages to the user: "turn 3".
    message: the turn.
    mark: what it says itself of whether it is trained; None if it says nothing.
    is_joint: whether the results of all of its calls may stand in one turn.
    """

    place: str
    message: Message
    mark: Any = None
    is_joint: bool = False


class TurnFault(Exception):
    """What is wrong with a conversation.

    place: the turn, or nothing for the whole.
    what: the fault. remedy: what to do.
    """

    def __init__(self, place: str, what: str, remedy: str) -> None:
        super().__init__(what)
        self.place = place
        self.what = what
        self.remedy = remedy

    def problem(self, shown: str, where: str) -> Problem:
        """The fault in a file; where: the row."""
        place = ", ".join(part for part in (where, self.place) if part)
        return Problem(shown, place, self.what, self.remedy)


def parsed(text: str, place: str, name: str) -> Any:
    """The value of a JSON text inside a row. Raises TurnFault.

    name: what the text is, as the sentence begins.
    """
    try:
        value = parse(text, "", "")
    except InputError as error:
        problem = error.problems[0]
        remedy = problem.remedy
        if _PYTHON.match(text):
            remedy = "It looks like Python's way of writing it: write the column with json.dumps"
        raise TurnFault(place, f"{name} {problem.what}", remedy) from error
    refuse_deep(value, place, name)
    return value


def says_nothing(value: Any) -> bool:
    """Whether a value, or its JSON text, is blank."""
    return is_blank(value) or (isinstance(value, str) and value.strip() in _NOTHING)


def refuse_deep(value: Any, place: str, name: str) -> None:
    """Raise TurnFault if a value nests too deeply to be written again."""
    level = [value]
    for _ in range(DEEPEST):
        if not level:
            return
        level = [
            item
            for outer in level
            if isinstance(outer, (list, Mapping))
            for item in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
    if any(isinstance(item, (list, Mapping)) for item in level):
        problem = too_deep("", "")
        raise TurnFault(place, f"{name} {problem.what}", problem.remedy)


def without_nulls(value: Any) -> Any:
    """A value without the keys that are null, at any depth."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
