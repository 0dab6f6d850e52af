"""A value of a row to the turns of a conversation, from the shapes in which files have them.

Shapes: OpenAI's messages (role, content), ShareGPT (from, value), Gemini's contents (role, parts),
pairs of question and answer (LLaMA-Factory's history), an object of lists (how `datasets` keeps a
list of objects), and the JSON text of each. Knows nothing of the order of roles. Invariant: every
key of a turn that a chat template may read is kept as the file has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from respsel.data.rows import FileRow
from respsel.data.tool_calls import read_calls, refuse_equal_ids, written_calls
from respsel.data.turn_content import read_content, refuse_reasoning
from respsel.data.turns import MARKS, Turn, TurnFault, parsed, refuse_deep, without_nulls
from respsel.errors import close_match
from respsel.records import ASSISTANT, SYSTEMS, Message
from respsel.text.transcript import REASONING_KEYS, RESULT, fields_text

_CALLING = ("function_call", "tool_call", "tool_calls")
# By the names that files give to roles, in small letters: the role.
_ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys((ASSISTANT, "gpt", "model", "chatgpt", "bot", "ai", *_CALLING), ASSISTANT),
    **{name: name for name in SYSTEMS},
    **dict.fromkeys(
        (
            "tool",
            "function",
            "ipython",
            "observation",
            "tool_response",
            "tool_result",
            "tool_results",
            "function_response",
        ),
        RESULT,
    ),
}
_ROLE_KEYS = ("role", "from")
_CONTENT_KEYS = ("content", "value", "parts", "text")
_SHAPE = 'Write a list of turns: [{"role": "user", "content": "..."}, ...]'


def without_filling(row: FileRow) -> FileRow:
    """A row whose turns have no nulls but written ones, as far as its file lets one know.

    It is for every row that conversations are read of. All but the turns stays as it is.
    """
    if not row.is_filled:
        return row
    return replace(row, fields={name: _unfilled(value) for name, value in row.fields.items()})


def read_turns(value: Any, mark: str = "") -> list[Turn]:
    """The turns of a conversation, in order. Raises TurnFault.

    value: as it stands in a row of `without_filling`.
    mark: the key of a turn that says whether it is trained.
    """
    if isinstance(value, str):
        if value.lstrip()[:1] not in ("[", "{"):
            raise TurnFault("", "is a text, not a conversation", _SHAPE)
        value = parsed(value, "", "is text that")
    if isinstance(value, Mapping):
        value = _turned(value)
    if not isinstance(value, list):
        raise TurnFault("", "is not a conversation", _SHAPE)
    refuse_deep(value, "", "it")
    if not any(item is not None for item in value):
        raise TurnFault("", "is a conversation without turns", "Fill it in or take the row out")
    if all(isinstance(item, list) for item in value):
        return _pairs(value)
    return [_turn(item, f"turn {i}", mark) for i, item in enumerate(value, 1)]


def looks_like_turns(value: Any) -> bool:
    """Whether a value, or its JSON text, is a conversation in one of the shapes with roles."""
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return False
        try:
            value = parsed(value, "", "")
        except TurnFault:
            return False
    if isinstance(value, Mapping):
        return _is_turned(value)
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(item, Mapping) and any(key in item for key in _ROLE_KEYS) for item in value
        )
    )


def _unfilled(value: Any) -> Any:
    """A value without the nulls inside its turns, at whatever depth these are.

    A turn's own keys stay: whether they are null is the same in every format.
    """
    if isinstance(value, list):
        return [_unfilled(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    is_turn = _is_turned(value) or any(_is_role(value.get(key)) for key in _ROLE_KEYS)
    clean = without_nulls if is_turn else _unfilled
    return {key: clean(item) for key, item in value.items()}


def _is_role(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in _ROLES


def _is_turned(value: Mapping[str, Any]) -> bool:
    return any(isinstance(value.get(key), list) for key in _ROLE_KEYS) and all(
        item is None or isinstance(item, list) for item in value.values()
    )


def _turned(value: Mapping[str, Any]) -> list[Any]:
    """The turns of an object of lists. Raises TurnFault for any other object."""
    if not _is_turned(value):
        inner = [str(key) for key, item in value.items() if isinstance(item, list)]
        remedy = f"Name a part of it: it has '{inner[0]}'" if inner else _SHAPE
        raise TurnFault("", "is an object, not a conversation", remedy)
    columns = {key: items for key, items in value.items() if items is not None}
    lengths = {len(items) for items in columns.values()}
    if len(lengths) > 1:
        raise TurnFault("", "is an object of lists that are not of one length", _SHAPE)
    return [dict(zip(columns, items, strict=True)) for items in zip(*columns.values(), strict=True)]


def _pairs(pairs: Sequence[Sequence[Any]]) -> list[Turn]:
    """Turns from pairs of question and answer; the last may have no answer."""
    turns = []
    for number, pair in enumerate(pairs, 1):
        place = f"pair {number}"
        if any(isinstance(item, (list, Mapping)) for item in pair):
            remedy = "Name one of them by its place, such as '<column>.0'"
            raise TurnFault("", "is a list of lists, not of turns", remedy)
        if len(pair) != 2 or not all(item is None or isinstance(item, str) for item in pair):
            raise TurnFault(place, "is not a pair of texts", 'Write ["question", "answer"]')
        question, answer = (item or "" for item in pair)
        is_open = number == len(pairs) and not answer.strip()
        if not question.strip() or not (answer.strip() or is_open):
            which = "answer" if question.strip() else "question"
            raise TurnFault(place, f"has an empty {which}", "Fill it in or take the row out")
        turns.append(Turn(place, Message("user", question)))
        turns += [] if is_open else [Turn(place, Message(ASSISTANT, answer))]
    return turns


@dataclass(frozen=True)
class _Raw:
    """A turn's keys that are not null, and its role.

    role: as the file has it, in small letters.
    content_key: the key of the content; empty if it has none.
    """

    fields: Mapping[str, Any]
    role_key: str
    role: str
    content_key: str


def _turn(item: Any, place: str, mark: str) -> Turn:
    raw = _raw(item, place)
    fields = {
        key: value
        for key, value in raw.fields.items()
        if key not in (raw.role_key, raw.content_key, mark, *MARKS)
    }
    refuse_reasoning(fields, place)
    role = _ROLES[raw.role]
    is_joint = raw.role in _CALLING
    given = raw.fields.get(raw.content_key)
    if is_joint:
        text = None
        fields["tool_calls"] = written_calls(given, place)
    else:
        content = read_content(given, place, role == RESULT)
        text = content.text
        if content.result_of:
            role = RESULT
            fields.setdefault("name", content.result_of)
        if content.calls and "tool_calls" in fields:
            what = "calls tools in its parts, and also in tool_calls"
            raise TurnFault(place, what, "Keep one of them")
        if content.calls:
            fields["tool_calls"] = list(content.calls)
        if "function_call" in fields and role == ASSISTANT:
            # OpenAI's older key, which no chat template reads.
            is_joint = True
            fields["tool_calls"] = written_calls(fields.pop("function_call"), place)
    _take_calls(fields, role, place)
    _refuse_empty(role, text, fields, place)
    if text is None:
        fields["content"] = None
    message = Message(role, text or "", fields_text(fields))
    return Turn(place, message, raw.fields.get(mark) if mark else None, is_joint)


def _raw(item: Any, place: str) -> _Raw:
    """The keys of a turn. Raises TurnFault."""
    if not isinstance(item, Mapping):
        kind = "a text without a role" if isinstance(item, str) else "no turn"
        raise TurnFault(place, f"is {kind}", _SHAPE)
    fields = {key: value for key, value in item.items() if value is not None}
    role_key = next((key for key in _ROLE_KEYS if key in fields), "")
    if not role_key:
        raise TurnFault(place, "has no role", "Give it 'role' and 'content', or 'from' and 'value'")
    role = fields[role_key]
    name = role.strip().lower() if isinstance(role, str) else ""
    if name not in _ROLES:
        known = "Use system, user, assistant or tool"
        hint = close_match(name, _ROLES)
        remedy = f"{hint} {known}" if hint else known
        raise TurnFault(place, f"has the unknown role '{role}'", remedy)
    return _Raw(fields, role_key, name, next((key for key in _CONTENT_KEYS if key in fields), ""))


def _take_calls(fields: dict[str, Any], role: str, place: str) -> None:
    """Check a turn's tool calls, and leave an empty list of them out, as a null is."""
    if "tool_calls" not in fields:
        return
    value = fields.pop("tool_calls")
    calls = [] if value == "" else read_calls(value, place)
    if not calls:
        return
    if role != ASSISTANT:
        what = f"is a turn of role '{role}' that calls tools"
        raise TurnFault(place, what, "Only assistant turns call tools")
    refuse_equal_ids(calls, place)
    fields["tool_calls"] = calls


def _refuse_empty(role: str, text: str | None, fields: Mapping[str, Any], place: str) -> None:
    """Raise TurnFault for a turn that says nothing.

    A system turn may be empty, and so may a tool's result: trainers write both.
    """
    has_thoughts = any(
        isinstance(fields.get(key), str) and fields[key].strip() for key in REASONING_KEYS
    )
    says = bool(text and text.strip()) or (
        role == ASSISTANT and ("tool_calls" in fields or has_thoughts)
    )
    if says or (text is not None and role in (RESULT, *SYSTEMS)):
        return
    raise TurnFault(place, f"is empty (role '{role}')", "Fill it in or take the row out")
