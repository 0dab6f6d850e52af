"""Chat templates: messages to the text that a model was trained to read.

Knows no tokenizer. Invariant: text in a message is data. If it spells a control token
(`<|im_end|>`), `split_text` and `place` return that stretch marked as plain, so that no user text
can end a turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from respsel.backends.placed_chat import PlacedChat, Stretch, cut_stretches, place_kinds
from respsel.backends.placement import AND_ALSO, find_place
from respsel.backends.read_parts import ReadParts
from respsel.backends.turn_fields import as_turn, map_message, split_tools, texts_in
from respsel.backends.turn_kinds import Ends
from respsel.backends.turn_marks import MarkedEnvironment, Piece, TurnMarks
from respsel.backends.turn_parts import PartFinder
from respsel.backends.turn_places import TokenEnds, TurnFinder, Unplaced
from respsel.errors import PreflightError, Problem, suggest
from respsel.records import ASSISTANT, Message
from respsel.sandbox.environment import FAULTS, BoundedEnvironment, BoundedTemplate, fault_text

# A template that asks for the date gets this one: with the real date, prompts and keys change
# overnight.
FROZEN_DATE = "01 Jan 2025"
_MARK = "\ue000"
# What a template is given in any case.
_GIVEN = ("messages", "add_generation_prompt", "bos_token", "eos_token")


class _Generation(Extension):
    """`{% generation %}` marks what an assistant wrote, for trainers; a prompt ignores it."""

    tags: set[str] = {"generation"}  # noqa: RUF012  # an instance variable, says jinja2

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return what stands within it."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@dataclass(frozen=True)
class PlacedStretches:
    """A trained text in three pieces, each as stretches.

    told, verbatim, problem: see placement.TextPlace.
    """

    before: Sequence[Stretch]
    response: Sequence[Stretch]
    after: Sequence[Stretch]
    told: str = ""
    verbatim: bool = True
    problem: str = ""


class ChatTemplate:
    """A compiled Jinja2 chat template, as Hugging Face tokenizers and GGUF files carry it."""

    def __init__(
        self,
        source: str,
        bos: str,
        eos: str,
        origin: str,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """options: more variables for the template, such as enable_thinking."""
        self._origin = origin
        self._variables = {**options, "bos_token": bos, "eos_token": eos}
        self._source = source
        env = _environment(BoundedEnvironment, _Generation)
        try:
            self._template = BoundedTemplate(env, source)
            used = self._template.names if options else frozenset()
        except FAULTS as error:
            raise PreflightError(
                self._problem(f"the template failed: {fault_text(error)}")
            ) from error
        if unused := sorted(set(options) - used):
            known = used - {*_GIVEN, *env.globals}
            what = f"the template has no variable '{unused[0]}', which 'template_options' sets"
            raise PreflightError(
                Problem(origin, "chat template", what, suggest(unused[0], known) or "Take it out")
            )
        self._read = ReadParts(lambda messages: self.render(messages, False))

    def render(self, messages: Sequence[Message], ask: bool = True) -> str:
        """Return the text of the chat.

        ask: whether it ends where the assistant's turn begins.
        """
        return self._fill(self._template, messages, ask)

    @property
    def has_blocks(self) -> bool:
        """Whether the template marks with `{% generation %}` what is trained."""
        return "generation" in self._source and self._marked[1]

    def pieces(self, messages: Sequence[Message], ask: bool, text: str) -> list[Piece] | None:
        """What of the chat's text is written for which message.

        None where the template cannot be marked without a change of its text.
        """
        template, _ = self._marked
        marks = TurnMarks.beside(text)
        if template is None or marks is None:
            return None
        try:
            found = marks.read(self._fill(template, messages, ask, marks))
        except PreflightError:
            # The marks are some more work, which may be too much.
            return None
        return found[1] if found and found[0] == text else None

    @cached_property
    def _marked(self) -> tuple[BoundedTemplate | None, bool]:
        """The template with marks, and whether it has generation blocks."""
        env = _environment(MarkedEnvironment)
        try:
            template = BoundedTemplate(env, self._source)
        except FAULTS:
            # With marks it is too long.
            return None, False
        return template, env.has_blocks

    def _fill(
        self,
        template: BoundedTemplate,
        messages: Sequence[Message],
        ask: bool,
        marks: TurnMarks | None = None,
    ) -> str:
        try:
            try:
                return template.fill(self._given(messages, ask, marks, nulls=False))
            except FAULTS:
                # Templates that ask whether a text is null may need one.
                if not any("null" in message.fields for message in messages):
                    raise
                return template.fill(self._given(messages, ask, marks, nulls=True))
        except FAULTS as error:
            raise PreflightError(
                self._problem(f"the template failed: {fault_text(error)}")
            ) from error

    def _given(
        self, messages: Sequence[Message], ask: bool, marks: TurnMarks | None, nulls: bool
    ) -> dict[str, Any]:
        """The variables of the template."""
        tools, turns = split_tools(messages)
        given = [as_turn(message, nulls) for message in turns]
        variables = {"messages": given, "add_generation_prompt": ask, **self._variables}
        if tools is not None:
            variables["tools"] = tools
        if marks is None:
            return variables
        places = enumerate(given, len(messages) - len(turns))
        return {**variables, **marks.given(places)}

    def split_text(
        self, messages: Sequence[Message], control_texts: Iterable[str]
    ) -> list[Stretch]:
        """Return the prompt as stretches, in order.

        That is one stretch, unless a message spells a control token: each spelling is a stretch
        of its own.
        """
        marked, marks = _Marks.of(messages, control_texts)
        return marks.stretches(self.render(marked))

    def place(
        self, messages: Sequence[Message], response: str, control_texts: Iterable[str]
    ) -> PlacedStretches:
        """Return the text that a trainer makes of the chat and its response.

        Raises PreflightError where the template writes no assistant's turn.
        """
        control = list(control_texts)
        marked, marks = _Marks.of(messages, control)
        found = find_place(self.render, marked, response)
        if found is None:
            raise PreflightError(
                self._problem("the template does not write an assistant's turn once, as it stands")
            )
        (spelled,), own = _Marks.of([Message(ASSISTANT, found.response)], control)
        return PlacedStretches(
            marks.stretches(found.before),
            own.stretches(spelled.content),
            marks.stretches(found.after),
            found.told,
            found.verbatim,
            found.problem,
        )

    def place_turns(
        self,
        messages: Sequence[Message],
        control_texts: Iterable[str],
        token_ends: TokenEnds = lambda _text: None,
    ) -> PlacedChat:
        """Return the text of a whole conversation, and what of it is trained.

        token_ends: see turn_places.TokenEnds.
        """
        control = list(control_texts)
        marked, marks = _Marks.of(messages, control)
        finder = TurnFinder(self, marked, token_ends)
        try:
            spans = finder.spans()
        except Unplaced as error:
            return PlacedChat(marks.stretches(finder.text), problem=str(error))
        stretches, places = cut_stretches(finder.text, spans, marks.stretches)
        ends = Ends(control, str(self._variables["eos_token"]))
        parts = PartFinder(self, marked, finder.text, spans, marks.spelled)
        placed = place_kinds(parts, messages, stretches, places, ends, self.has_blocks)
        if placed.problem:
            return placed
        told = (placed.told, *self._read.left_out(marked, finder.text))
        return replace(placed, told=AND_ALSO.join(part for part in told if part))

    def _problem(self, what: str) -> Problem:
        return Problem(
            self._origin, "chat template", what, "Give a template of your own with 'chat_template'"
        )


class _Marks:
    """Stand-ins for control tokens that messages spell, and the way back from them."""

    def __init__(self, pattern: re.Pattern[str] | None, mark: str) -> None:
        self._pattern = pattern
        self._mark = mark
        self._found: list[str] = []

    @classmethod
    def of(
        cls, messages: Sequence[Message], control_texts: Iterable[str]
    ) -> tuple[Sequence[Message], _Marks]:
        """Return the messages with stand-ins, and what those stand for."""
        texts = "\0".join(text for message in messages for text in texts_in(message))
        spelled = [control for control in control_texts if control in texts]
        if not spelled:
            return messages, cls(None, _MARK)
        mark = _MARK
        while mark in texts:
            mark += _MARK
        pattern = re.compile(
            "|".join(re.escape(text) for text in sorted(spelled, key=len, reverse=True))
        )
        marks = cls(pattern, mark)
        return [map_message(message, marks.replace) for message in messages], marks

    def replace(self, text: str) -> str:
        """A text with stand-ins."""
        return text if self._pattern is None else self._pattern.sub(self._stand_in, text)

    def _stand_in(self, match: re.Match[str]) -> str:
        self._found.append(match.group())
        return f"{self._mark}{len(self._found) - 1};"

    def spelled(self, text: str) -> str:
        """A text with what its stand-ins stand for."""
        return "".join(part for part, _ in self.stretches(text))

    def stretches(self, text: str) -> list[Stretch]:
        """A text with stand-ins as stretches."""
        if self._pattern is None:
            return [(text, True)] if text else []
        # Hazard: a template may write such marks too, which stand for nothing.
        parts = re.split(f"({self._mark}\\d+;)", text)
        known = {f"{self._mark}{place};": spelled for place, spelled in enumerate(self._found)}
        return [(known.get(part, part), part not in known) for part in parts if part]


_Environment = TypeVar("_Environment", bound=BoundedEnvironment)


def _environment(kind: type[_Environment], *extensions: type[Extension]) -> _Environment:
    """What chat templates find around them, as in transformers."""
    env = kind(
        own_filters={"tojson": _to_json},
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", *extensions],
    )
    env.globals["raise_exception"] = _raise
    env.globals["strftime_now"] = lambda _format: FROZEN_DATE
    return env


def _to_json(
    value: Any,
    indent: int | None = None,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        indent=indent,
        ensure_ascii=ensure_ascii,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
