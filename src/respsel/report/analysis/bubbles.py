"""The turns of a conversation as a report shows them: who speaks, and which tokens were scored.

Knows nothing of markup. Invariant: a trained turn with scores shows exactly what was scored, the
end of the turn included; every other turn shows what it says. Of tools only what a caller needs to
know is shown: names, parameters and descriptions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from respsel.records import TOOLS, Example, Message, Response, ScoredResponse
from respsel.report.analysis.shading import Piece, pieces
from respsel.scoring.trained_turns import common_turns, trained_chat
from respsel.text.transcript import fields_of, turn_text


@dataclass(frozen=True)
class ShownTurn:
    """A turn.

    speaker: its role, and the tool's name where it has one.
    trained: whether the target is trained on it.
    pieces: its text, or its beginning.
    left_out: how many characters follow.
    """

    speaker: str
    trained: bool
    pieces: tuple[Piece, ...]
    left_out: int = 0


def shown_context(example: Example, characters: int) -> tuple[ShownTurn, ...]:
    """The turns before the first trained one, the tools of the chat too; none without turns.

    characters: so many are shown, the last ones first.
    """
    if not example.turns:
        return ()
    turns = [_plain(turn) for turn in example.context]
    return tuple(reversed(_cut(reversed(turns), characters)))


def shown_turns(
    example: Example,
    response: Response,
    scored: ScoredResponse | None,
    tokens: int,
    characters: int,
) -> tuple[ShownTurn, ...]:
    """A response's turns behind those that the example shows.

    tokens: so many are shaded. characters: so many are shown.
    """
    if not response.text and not response.turns:
        return ()
    chat = trained_chat(example, response)
    same = common_turns(example.context, chat)
    shown = []
    for place, turn in enumerate(chat[same:], same):
        if turn.trained and scored is not None and (found := _scored(scored, place, tokens)):
            shown.append(ShownTurn(_speaker(turn), True, found))
            tokens = max(0, tokens - len(found))
        else:
            shown.append(_plain(turn))
    return tuple(_cut(shown, characters))


def _scored(scored: ScoredResponse, place: int, most: int) -> tuple[Piece, ...]:
    """The scored text of the turn at a place of the conversation; none if it was not scored."""
    scores = scored.scores
    if scores is None or scores.turns is None or scores.lengths is None:
        return ()
    own = scores.turns == place
    before = int(scores.lengths[scores.turns < place].sum())
    data = scored.text.encode("utf-8")[before : before + int(scores.lengths[own].sum())]
    return pieces(data.decode("utf-8"), scores.chosen(own), most)


def _plain(turn: Message) -> ShownTurn:
    text = _tools_text(turn.content) if turn.role == TOOLS else turn_text(turn)
    return ShownTurn(_speaker(turn), turn.trained, (Piece(text, None, 0),) if text else ())


def _tools_text(tools: str) -> str:
    """One line for each tool of a chat: `name(parameters): description`."""
    return "\n".join(map(_tool_line, json.loads(tools)))


def _tool_line(tool: Mapping[str, Any]) -> str:
    inner = tool.get("function")
    inner = inner if isinstance(inner, Mapping) else tool
    parameters = inner.get("parameters") or inner.get("input_schema")
    properties = parameters.get("properties") if isinstance(parameters, Mapping) else None
    names = ", ".join(properties) if isinstance(properties, Mapping) else ""
    description = inner.get("description")
    told = f": {description}" if isinstance(description, str) and description else ""
    return f"{inner.get('name', '')}({names}){told}"


def _speaker(turn: Message) -> str:
    if turn.role == TOOLS:
        return "tools that can be called"
    name = fields_of(turn).get("name")
    return f"{turn.role} {name}" if isinstance(name, str) else turn.role


def _cut(turns: Iterable[ShownTurn], characters: int) -> list[ShownTurn]:
    """The turns with so many characters of their texts."""
    room = characters
    found = []
    for turn in turns:
        shown = []
        left = 0
        for piece in turn.pieces:
            if room > 0:
                shown.append(replace(piece, text=piece.text[:room]))
            left += max(0, len(piece.text) - max(0, room))
            room -= len(piece.text)
        found.append(replace(turn, pieces=tuple(shown), left_out=left))
    return found
