"""Chat templates: messages to the text that a model was trained to read. Knows no tokeniser.

Invariant: text inside a message is data. Where it spells a control token (`<|im_end|>`), `split_text`
hands that stretch back marked as plain, so that no user text can end a turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from respsel.errors import PreflightError, Problem
from respsel.records import Message

# A template that asks for the date gets this one: with the real date, prompts and keys change overnight.
FROZEN_DATE = "01 Jan 2025"
_MARK = "\ue000"


class _Generation(Extension):
    """`{% generation %}` marks what an assistant wrote, for those who train on it; in a prompt it is nothing."""

    tags: set[str] = {"generation"}  # noqa: RUF012  # an instance variable, says jinja2

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return what stands within it."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """A compiled Jinja2 chat template, as Hugging Face tokenizers and GGUF files carry it."""

    def __init__(self, source: str, bos: str, eos: str, origin: str) -> None:
        self._origin = origin
        self._tokens = {"bos_token": bos, "eos_token": eos}
        env = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
        )
        env.filters["tojson"] = _to_json
        env.globals["raise_exception"] = _raise
        env.globals["strftime_now"] = lambda _format: FROZEN_DATE
        try:
            self._template = env.from_string(source)
        except TemplateError as error:
            raise PreflightError(self._problem(error)) from error

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt text, ending where the assistant's turn begins."""
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.render(messages=turns, add_generation_prompt=True, **self._tokens)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise PreflightError(self._problem(error)) from error

    def split_text(self, messages: Sequence[Message], control_texts: Iterable[str]) -> list[tuple[str, bool]]:
        """Return the prompt as (text, may hold control tokens) stretches, in order.

        One stretch, but where a message spells a control token: that spelling is a stretch of its own.
        """
        spelled = [text for text in control_texts if any(text in message.content for message in messages)]
        if not spelled:
            return [(self.render(messages), True)]
        pattern = re.compile("|".join(re.escape(text) for text in sorted(spelled, key=len, reverse=True)))
        mark = _MARK
        while any(mark in message.content for message in messages):
            mark += _MARK
        found: list[str] = []

        def replace(match: re.Match[str]) -> str:
            found.append(match.group())
            return f"{mark}{len(found) - 1};"

        marked = [Message(m.role, pattern.sub(replace, m.content)) for m in messages]
        parts = re.split(f"{mark}(\\d+);", self.render(marked))
        stretches = [(part, True) if i % 2 == 0 else (found[int(part)], False) for i, part in enumerate(parts)]
        return [(text, control) for text, control in stretches if text]

    def _problem(self, error: Exception) -> Problem:
        return Problem(
            self._origin, "chat template", f"the template failed: {error}", "Give a template of your own with 'chat_template'"
        )


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
