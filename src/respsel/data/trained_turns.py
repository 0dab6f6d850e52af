"""Which turns of a conversation are trained: the last, every one, or those that are marked.

Knows nothing of files' formats. Invariant: only assistant turns are trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from respsel.data.rows import ABSENT, find_value
from respsel.data.turns import Turn, TurnFault, parsed
from respsel.records import ASSISTANT, Message

LAST = "last"
EVERY = "every"


def with_trained(turns: Sequence[Turn], train: str, row: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages of the turns, with `trained` as the recipe's `train` says. Raises TurnFault.

    row: where a column of marks may be. A conversation that no assistant ends has no last turn to
    train, which is no fault here.
    """
    places = _places(turns, train, row)
    return tuple(
        replace(turn.message, trained=True) if i in places else turn.message
        for i, turn in enumerate(turns)
    )


def is_marked(turns: Sequence[Turn], train: str, row: Mapping[str, Any]) -> bool:
    """Whether the row or one of the turns has marks."""
    if train in (LAST, EVERY):
        return False
    return _column(train, row) is not None or any(turn.mark is not None for turn in turns)


def _places(turns: Sequence[Turn], train: str, row: Mapping[str, Any]) -> set[int]:
    assistants = {i for i, turn in enumerate(turns) if turn.message.role == ASSISTANT}
    if train == LAST:
        return assistants & {len(turns) - 1}
    if not assistants:
        raise TurnFault("", "has no assistant turn to train", "Add one or take the row out")
    if train == EVERY:
        return assistants
    column = _column(train, row)
    if column is None:
        # As OpenAI's `weight`: a turn that says nothing is trained.
        marks = [
            turn.message.role == ASSISTANT if turn.mark is None else _is_set(turn.mark, turn, train)
            for turn in turns
        ]
    else:
        marks = _column_marks(column, turns, train)
    places = {i for i, mark in enumerate(marks) if mark}
    if others := sorted(places - assistants):
        turn = turns[others[0]]
        what = f"is marked as trained by '{train}', and its role is '{turn.message.role}'"
        raise TurnFault(turn.place, what, "Mark assistant turns only")
    if not places:
        what = f"has no turn that '{train}' marks as trained"
        raise TurnFault("", what, "Mark an assistant turn with 1, or take the row out")
    return places


def _column(train: str, row: Mapping[str, Any]) -> Any:
    """The marks that the row has for all turns; None if it has none."""
    value = find_value(row, train)
    return None if value is ABSENT else value


def _column_marks(value: Any, turns: Sequence[Turn], train: str) -> list[bool]:
    name = f"column '{train}'"
    marks = parsed(value, "", name) if isinstance(value, str) else value
    remedy = f"Give a list with 0 or 1 for each of the {len(turns)} turns"
    if not isinstance(marks, list):
        raise TurnFault("", f"{name} is not a list of marks", remedy)
    if len(marks) != len(turns):
        what = f"{name} has {len(marks)} marks for {len(turns)} turns"
        raise TurnFault("", what, remedy)
    return [_is_set(mark, turn, train) for mark, turn in zip(marks, turns, strict=True)]


def _is_set(mark: Any, turn: Turn, train: str) -> bool:
    if isinstance(mark, (bool, int, float)) and mark in (0, 1):
        return bool(mark)
    what = f"has '{train}' {str(mark)[:40]!r}, which is neither 0 nor 1"
    raise TurnFault(turn.place, what, "Only whole turns are trained or not: write 0 or 1")
