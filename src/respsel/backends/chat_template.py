"""Chat templates: messages to the text that a model was trained to read.

Knows no tokenizer. Invariant: text in a message is data. If it spells a control token
(`<|im_end|>`), `split_text` and `place` return that stretch marked as plain, so that no user text
can end a turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from respsel.backends.placement import find_place
from respsel.errors import PreflightError, Problem, suggest
from respsel.records import Message
from respsel.sandbox.environment import FAULTS, BoundedEnvironment, BoundedTemplate, fault_text

# A template that asks for the date gets this one: with the real date, prompts and keys change
# overnight.
FROZEN_DATE = "01 Jan 2025"
_MARK = "\ue000"
# What a template is given in any case.
_GIVEN = ("messages", "add_generation_prompt", "bos_token", "eos_token")
# (text, whether it may hold control tokens)
Stretch = tuple[str, bool]


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
        env = BoundedEnvironment(
            own_filters={"tojson": _to_json},
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _Generation],
        )
        env.globals["raise_exception"] = _raise
        env.globals["strftime_now"] = lambda _format: FROZEN_DATE
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

    def render(self, messages: Sequence[Message], ask: bool = True) -> str:
        """Return the text of the chat.

        ask: whether it ends where the assistant's turn begins.
        """
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.fill(
                {"messages": turns, "add_generation_prompt": ask, **self._variables}
            )
        except FAULTS as error:
            raise PreflightError(
                self._problem(f"the template failed: {fault_text(error)}")
            ) from error

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
        (spelled,), own = _Marks.of([Message("assistant", found.response)], control)
        return PlacedStretches(
            marks.stretches(found.before),
            own.stretches(spelled.content),
            marks.stretches(found.after),
            found.told,
            found.verbatim,
            found.problem,
        )

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
        spelled = [
            text for text in control_texts if any(text in message.content for message in messages)
        ]
        if not spelled:
            return messages, cls(None, _MARK)
        mark = _MARK
        while any(mark in message.content for message in messages):
            mark += _MARK
        pattern = re.compile(
            "|".join(re.escape(text) for text in sorted(spelled, key=len, reverse=True))
        )
        marks = cls(pattern, mark)
        return [Message(m.role, pattern.sub(marks._stand_in, m.content)) for m in messages], marks

    def _stand_in(self, match: re.Match[str]) -> str:
        self._found.append(match.group())
        return f"{self._mark}{len(self._found) - 1};"

    def stretches(self, text: str) -> list[Stretch]:
        """A text with stand-ins as stretches."""
        if self._pattern is None:
            return [(text, True)] if text else []
        # Hazard: a template may write such marks too, which stand for nothing.
        parts = re.split(f"({self._mark}\\d+;)", text)
        known = {f"{self._mark}{place};": spelled for place, spelled in enumerate(self._found)}
        return [(known.get(part, part), part not in known) for part in parts if part]


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
