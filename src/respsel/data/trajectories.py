"""A response that is a whole conversation, put together with the example that it is of.

Knows nothing of where responses come from. Invariants: a trajectory asks what its example asks, so
strategies are compared on the same questions. Its system turn and its tools are the example's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from respsel.data.trained_turns import EVERY, LAST, is_marked, with_trained
from respsel.data.turn_order import check_order
from respsel.data.turn_shapes import looks_like_turns, read_turns
from respsel.data.turns import Turn, TurnFault
from respsel.records import ASSISTANT, SYSTEMS, TOOLS, Example, Message, Response, trained_places
from respsel.text.transcript import trained_text, untrained

# Raised when the same value would give another trajectory or response.
VERSION = 1


def is_trajectory(value: Any) -> bool:
    """Whether a response is turns, and not a text."""
    if isinstance(value, list):
        return any(isinstance(item, (Mapping, list)) for item in value)
    return _is_turn(value) or looks_like_turns(value)


def response_of(example: Example, turns: Sequence[Message]) -> Response:
    """The response that a conversation's trained turns are.

    It is a text where that says all: one plain turn behind the example's own.
    """
    last = turns[-1]
    is_plain = not last.fields and trained_places(turns) == [len(turns) - 1]
    if is_plain and untrained(turns[:-1]) == untrained(example.asked):
        return Response(example.id, last.content)
    return Response(example.id, trained_text(turns), turns=tuple(turns))


def refuse_text(example: Example, place: str) -> None:
    """Raise TurnFault where one text cannot be the response to an example."""
    if (count := len(trained_places(example.turns))) > 1:
        what = f"is one text, and the example has {count} turns that are trained"
        remedy = 'Bring the whole conversation as a list of turns, or set train = "last"'
        raise TurnFault(place, what, remedy)


def read_trajectory(
    value: Any, example: Example, train: str, fields: Mapping[str, Any]
) -> tuple[Message, ...]:
    """The whole conversation of a response. Raises TurnFault.

    value: its turns, from the beginning or from behind the example's context.
    train: as the dataset has it. fields: the row of the value's file, which may have marks, too.
    """
    mark = "" if train in (LAST, EVERY) else train
    given = read_turns([value] if _is_turn(value) else value, mark)
    head = _head(example.turns)
    own = example.turns[len(head) :]
    skipped = next((i for i, t in enumerate(given) if t.message.role not in SYSTEMS), len(given))
    if skipped == len(given):
        raise TurnFault("", "is a conversation without a response", "Add the assistant's turns")
    before = [] if _is_whole(given[skipped:], own) else _context(example, len(head))
    turns = _asked_alike([*before, *given[skipped:]], example, own)
    check_order(turns)
    if train in (LAST, EVERY):
        if train == LAST and turns[-1].message.role != ASSISTANT:
            what = f"ends the conversation with role '{turns[-1].message.role}'"
            remedy = "Add the assistant's turn that is the response"
            raise TurnFault(turns[-1].place, what, remedy)
        return (*head, *with_trained(turns, train, {}))
    if len(turns) == len(own):
        return (*head, *_same_places(turns, own))
    if not is_marked(given, train, fields):
        what = f"has {len(turns)} turns, the example has {len(own)}, and none is marked as trained"
        raise TurnFault("", what, f"Mark its turns with '{train}', or set train = \"every\"")
    marked = with_trained(given, train, fields)[skipped:]
    trained = [False] * len(before) + [message.trained for message in marked]
    return (
        *head,
        *(replace(t.message, trained=flag) for t, flag in zip(turns, trained, strict=True)),
    )


def _is_turn(value: Any) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(value.get(key), str) for key in ("role", "from")
    )


def _head(turns: Sequence[Message]) -> Sequence[Message]:
    """The tools and system turns that a chat begins with."""
    is_head = [turn.role in (TOOLS, *SYSTEMS) for turn in turns]
    return turns[: is_head.index(False)] if False in is_head else turns


def _is_whole(given: Sequence[Turn], own: Sequence[Message]) -> bool:
    """Whether a conversation begins where the example's own does, and not behind its context."""
    first = given[0].message.role
    greets = own[0].role == ASSISTANT and [t.message.role for t in given[1:2]] == ["user"]
    return first == "user" or (first == ASSISTANT and greets and _alike(given[1].message, own[1]))


def _context(example: Example, start: int) -> list[Turn]:
    """The chat before the response, from a place on; the tools of the chat count as no turn."""
    skipped = sum(turn.role == TOOLS for turn in example.turns)
    return [
        Turn(f"turn {i} of the example", message)
        for i, message in enumerate(untrained(example.context[start:]), start + 1 - skipped)
    ]


def _asked_alike(turns: Sequence[Turn], example: Example, own: Sequence[Message]) -> list[Turn]:
    """The turns with the user's as the example has them. Raises TurnFault if they differ."""
    asked = [message for message in own if message.role == "user"]
    found: list[Turn] = []
    number = 0
    for turn in turns:
        if turn.message.role == "user":
            if number == len(asked) or not _alike(turn.message, asked[number]):
                what = f"asks otherwise than example '{example.id}'"
                raise TurnFault(turn.place, what, "Keep the user turns of the dataset")
            turn = replace(turn, message=asked[number])
            number += 1
        found.append(turn)
    needed = sum(message.role == "user" for message in example.asked)
    if number < needed:
        what = f"has {number} of the {needed} user turns of example '{example.id}'"
        raise TurnFault("", what, "Keep the user turns of the dataset")
    return found


def _same_places(turns: Sequence[Turn], own: Sequence[Message]) -> list[Message]:
    """The turns, trained where the example's own are. Raises TurnFault."""
    for turn, message in zip(turns, own, strict=True):
        if message.trained and turn.message.role != ASSISTANT:
            what = f"has role '{turn.message.role}', and the example's turn there is trained"
            raise TurnFault(turn.place, what, "Mark the turns of the response, or keep the order")
    pairs = zip(turns, own, strict=True)
    return [replace(turn.message, trained=message.trained) for turn, message in pairs]


def _alike(one: Message, other: Message) -> bool:
    """Whether two users' turns ask the same, up to white space."""
    return one.content.split() == other.content.split()
