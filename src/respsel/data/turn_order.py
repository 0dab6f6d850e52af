"""Whether the turns of a conversation follow each other as trainers and chat templates take them.

The rules: a system turn comes first. User and assistant take turns. Results of tools stand behind
the assistant's turn that calls them, and each call has its result unless it ends the conversation.
An assistant's turn before any user's is a greeting, if a user's turn follows. Knows nothing of
files. Invariant: the first turn that breaks a rule is named.
"""

from __future__ import annotations

from collections.abc import Sequence

from respsel.data.tool_calls import call_ids
from respsel.data.turns import Turn, TurnFault
from respsel.errors import name_list
from respsel.records import ASSISTANT, SYSTEMS
from respsel.text.tags import CALL_MARKS
from respsel.text.transcript import RESULT, fields_of, tool_calls_of


def check_order(turns: Sequence[Turn]) -> None:
    """Raise TurnFault at the first turn that is out of order."""
    calling: _Calling | None = None
    for i, turn in enumerate(turns):
        if turn.message.role == RESULT:
            if calling is None and not _calls_in_text(turns, i):
                what = "is a tool's result without a tool call before it"
                raise TurnFault(turn.place, what, "Put the call before it, or take the row out")
            if calling is not None:
                calling.take(turn)
            continue
        if calling is not None:
            calling.close()
        _check_role(turns, i)
        calling = _Calling(turn) if tool_calls_of(turn.message) else None
    if calling is not None and calling.turn is not turns[-1]:
        calling.close()
    if not any(turn.message.role == "user" for turn in turns):
        raise TurnFault("", "is a conversation without a user turn", "Add one or take the row out")


class _Calling:
    """An assistant's turn whose calls wait for their results."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._calls = tool_calls_of(turn.message)
        self._ids = call_ids(self._calls)
        self._answered: set[str] = set()
        self._results = 0

    def take(self, turn: Turn) -> None:
        """A result. Raises TurnFault where it is of no call before it."""
        self._results += 1
        given = fields_of(turn.message).get("tool_call_id")
        if given in (None, ""):
            return
        name = str(given)
        if name not in self._ids:
            what = f"is the result of call '{name}', which no call before it is"
            known = f"Its tool_call_id must be one of {name_list(list(map(repr, self._ids)))}"
            remedy = known if self._ids else "Give the call this id, or take tool_call_id out"
            raise TurnFault(turn.place, what, remedy)
        if name in self._answered:
            raise TurnFault(turn.place, f"is a second result of call '{name}'", "Keep one of them")
        self._answered.add(name)

    def close(self) -> None:
        """Raise TurnFault where a call has no result."""
        expected = 1 if self.turn.is_joint else len(self._calls)
        if self._results >= expected:
            return
        open_ids = [name for name in self._ids if name not in self._answered]
        if self._results and open_ids:
            which = f"call '{open_ids[0]}'"
        elif expected > 1:
            which = f"{expected - self._results} of its {expected} tool calls"
        else:
            which = "its tool call"
        what = f"calls a tool, and {which} has no result behind it"
        remedy = "Add a turn of role tool with the result, or end the conversation with the call"
        raise TurnFault(self.turn.place, what, remedy)


def _calls_in_text(turns: Sequence[Turn], i: int) -> bool:
    """Whether the assistant's turn that a result stands behind writes its calls as text."""
    before = next((t.message for t in reversed(turns[:i]) if t.message.role != RESULT), None)
    return (
        before is not None
        and before.role == ASSISTANT
        and any(mark in before.content for mark in CALL_MARKS)
    )


def _check_role(turns: Sequence[Turn], i: int) -> None:
    """Raise TurnFault if a turn that is no result has a role that does not follow."""
    turn = turns[i]
    role = turn.message.role
    before = turns[i - 1].message.role if i else ""
    if role in SYSTEMS:
        if i and not (i == 1 and before == "system" and role == "developer"):
            what = f"is a {role} turn behind others"
            raise TurnFault(turn.place, what, "Put it first, or make it a part of a user turn")
    elif role == before:
        what = f"is the second {role} turn in a row"
        raise TurnFault(turn.place, what, "Join the two, or put the other's turn between them")
    elif role == ASSISTANT and before in ("", *SYSTEMS):
        following = [after.message.role for after in turns[i + 1 : i + 2]]
        if tool_calls_of(turn.message) or following != ["user"]:
            what = "is an assistant turn before any user turn"
            raise TurnFault(turn.place, what, "Put the user turn that it answers before it")
