"""The chat of a dataset's row: its conversation or its input, with system turn, tools and marks.

Knows nothing of strategies and models. Invariant: a chat that is read is one that trainers take.
Each bad row has one problem, which names its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from respsel.data.prompts import BlankText, TemplateFault, fill_columns, is_template, template_names
from respsel.data.rows import ABSENT, FileRow, absent, find_value, text_field
from respsel.data.tool_calls import read_tools
from respsel.data.trained_turns import EVERY, LAST, is_marked, with_trained
from respsel.data.turn_order import check_order
from respsel.data.turn_shapes import read_turns, without_filling
from respsel.data.turns import Turn, TurnFault, says_nothing
from respsel.errors import Problem, suggest
from respsel.recipe.schema import DatasetEntry
from respsel.records import ASSISTANT, SYSTEMS, TOOLS, Message, trained_places

# What prompts call the chat, as text.
CONVERSATION = "conversation"
Read = TypeVar("Read")
# Raised when the same row would give another chat.
VERSION = 1


@dataclass(frozen=True)
class ChatRules:
    """What a recipe says of chats besides its dataset's entry.

    system: the system turn of chats that have none; empty for none.
    must_answer: whether a conversation must end with the response, because a strategy takes it.
    """

    system: str = ""
    must_answer: bool = False


class ChatReader:
    """Reads the chats of a dataset's rows, and remembers which of its columns it has met."""

    def __init__(self, entry: DatasetEntry, rules: ChatRules, shown: str) -> None:
        self._entry = entry
        self._rules = rules
        self._shown = shown
        self._first: FileRow | None = None
        self._met: set[str] = set()

    @property
    def columns(self) -> list[str]:
        """The columns that chats are made of."""
        entry = self._entry
        tools = entry.tools if isinstance(entry.tools, str) else None
        named = [name for name in (entry.messages, entry.history, tools) if name is not None]
        if entry.system is not None:
            named += template_names(entry.system) if is_template(entry.system) else [entry.system]
        return named

    @property
    def more_columns(self) -> list[str]:
        """Columns that chats are made of if the file has them."""
        return [] if self._entry.train in (LAST, EVERY) else [self._entry.train]

    def read(self, row: FileRow, question: str | None) -> tuple[Message, ...] | Problem:
        """The chat of a row, or what is wrong with it; question: the input, if it is one text.

        Empty where there is nothing but the input.
        """
        row = without_filling(row)
        self._first = self._first or row
        try:
            turns = self._turns(row, question)
            tools = self._tools(row)
            system = self._system(row)
        except TurnFault as fault:
            return fault.problem(self._shown, row.where)
        has_system = bool(turns) and turns[0].role in SYSTEMS
        first = [Message(TOOLS, tools)] if tools else []
        if not has_system and (system or self._rules.system):
            first.append(Message("system", system or self._rules.system))
        is_bare = question is not None and not first and len(turns) == 1
        return () if is_bare else (*first, *turns)

    def missing(self) -> list[Problem]:
        """The problems of columns that may be absent in some rows, and are in all."""
        entry = self._entry
        row = self._first
        if row is None:
            return []
        tools = entry.tools if isinstance(entry.tools, str) else None
        system = entry.system if entry.system and not is_template(entry.system) else None
        wanted = [name for name in (entry.history, tools, system) if name is not None]
        problems = [absent(row, name, self._shown) for name in wanted if name not in self._met]
        train = entry.train
        if train not in (LAST, EVERY) and train not in self._met:
            what = f"has no column '{train}', and its turns have no key '{train}' either"
            known = suggest(train, row.fields)
            remedy = known or 'Set train to "last" or "every", or mark the turns'
            problems.append(Problem(self._shown, row.where, what, remedy))
        return problems

    def _turns(self, row: FileRow, question: str | None) -> tuple[Message, ...]:
        entry = self._entry
        if question is None:
            assert entry.messages is not None
            turns = self._conversation(row, entry.messages, required=True)
            check_order(turns)
            self._met |= {entry.train} if is_marked(turns, entry.train, row.fields) else set()
            if self._rules.must_answer and entry.train == LAST:
                _check_end(turns)
            return with_trained(turns, entry.train, row.fields)
        earlier = self._conversation(row, entry.history) if entry.history else []
        turns = [*earlier, Turn("the input", Message("user", question))]
        check_order(turns)
        return tuple(turn.message for turn in turns)

    def _conversation(self, row: FileRow, column: str, required: bool = False) -> list[Turn]:
        value = find_value(row.fields, column)
        if value is ABSENT and required:
            problem = absent(row, column, "")
            raise TurnFault("", problem.what, problem.remedy)
        self._met |= set() if value is ABSENT else {column}
        if value is ABSENT or says_nothing(value):
            if required:
                raise TurnFault("", f"column '{column}' is empty", "Fill it in or take the row out")
            return []
        mark = "" if self._entry.train in (LAST, EVERY) else self._entry.train
        return in_column(column, lambda: read_turns(value, mark))

    def _tools(self, row: FileRow) -> str:
        tools = self._entry.tools
        if tools is None:
            return ""
        if not isinstance(tools, str):
            return read_tools(list(tools), False)
        value: Any = find_value(row.fields, tools)
        if value is ABSENT:
            return ""
        self._met.add(tools)
        return in_column(tools, lambda: read_tools(value, row.is_filled))

    def _system(self, row: FileRow) -> str:
        source = self._entry.system
        if source is None:
            return ""
        if is_template(source):
            return _filled(source, row)
        if find_value(row.fields, source) is not ABSENT:
            self._met.add(source)
        problems: list[Problem] = []
        text = text_field(row, source, "", problems, required=False)
        if problems:
            raise TurnFault("", problems[0].what, problems[0].remedy)
        return text or ""


def in_column(column: str, read: Callable[[], Read]) -> Read:
    """What a reader gives; a fault of the whole value names the column."""
    try:
        return read()
    except TurnFault as fault:
        if fault.place:
            raise
        raise TurnFault("", f"column '{column}' {fault.what}", fault.remedy) from fault


def question_of(turns: Sequence[Message]) -> str:
    """What the target is asked in a chat: the last user's turn before the first trained one."""
    first = min(trained_places(turns), default=len(turns))
    before = [turn.content for turn in turns[:first] if turn.role == "user"]
    # Only a greeting has none before it.
    return before[-1] if before else next(t.content for t in turns if t.role == "user")


def _check_end(turns: Sequence[Turn]) -> None:
    """Raise TurnFault where no assistant's turn ends a conversation that must have one."""
    last = turns[-1]
    if last.message.role == ASSISTANT:
        return
    if not any(turn.message.role == ASSISTANT for turn in turns):
        what = "has no assistant turn, and a strategy takes its last one"
        raise TurnFault(last.place, what, "Add the response, or take the row out")
    what = f"ends the conversation with role '{last.message.role}', and a strategy takes its answer"
    remedy = 'Take the turn out, add the response, or set train = "every"'
    raise TurnFault(last.place, what, remedy)


def _filled(source: str, row: FileRow) -> str:
    try:
        return fill_columns(source, row.fields)
    except BlankText:
        return ""
    except TemplateFault as fault:
        hint = suggest(fault.unknown, row.fields) if fault.unknown else fault.remedy
        raise TurnFault("", f"{fault} (the template of 'system')", hint) from fault
