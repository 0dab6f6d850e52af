"""The words that a model is asked with: users' prompt templates and the views' prompts.

Knows nothing of tokens; chat templates are the backends' matter. Invariant: a template sees the
example's fields and nothing else (Jinja2's immutable sandbox), and an unknown name is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from respsel.errors import InputError, Problem, suggest
from respsel.records import TEXT, Example, Message

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    from respsel.recipe import DatasetEntry, ModelStrategy

# Raised when the same fields and template would give another text, or a view another prompt.
VERSION = 1

# The published prompt of self-aligned perplexity (arXiv 2502.11779 and its code), spelling as published.
_SELF_ALIGNED = (
    "Question: {question}\n\n"
    "We have inference examples below to show you how to solve the problem. "
    "please follow the inference style and solve the problem\n\n"
    "{examples}"
    "now, according to the inference examples, please solve the problem. \n\n\n"
)
_SYSTEM = "<<SYS>>\nYou are a helpful assistant.\n<</SYS>>\n\n"
# A template of nothing else needs no Jinja2 to be found well formed, which keeps cached runs quick.
_PLAIN_FIELD = re.compile(r"\{\{\s*[A-Za-z_]\w*\s*\}\}")


def plain_messages(question: str) -> tuple[Message, ...]:
    """The `plain` view: the input alone, as the user's turn."""
    return (Message("user", question),)


def self_aligned_messages(question: str, own_outputs: Sequence[str], template: str = "native") -> tuple[Message, ...]:
    """The `self-aligned` view: the input and own outputs to other inputs, as the user's turn.

    template: "native" is the model's own chat template; the others are the published code's wrapping instead.
    """
    examples = "".join(f"inference example: {text}\n\n" for text in own_outputs)
    prompt = _SELF_ALIGNED.format(question=question, examples=examples)
    if template == "native":
        return (Message("user", prompt),)
    return (Message(TEXT, f"[INST] {_SYSTEM if template == 'paper-system' else ''}{prompt} [/INST]"),)


def template_fields(example: Example) -> Mapping[str, Any]:
    """The names that a prompt template can use for an example: the row's columns, and over them the mapped ones."""
    named = {"id": example.id, "input": example.input, "reference": example.reference, "label": example.label}
    return {**example.columns, **{name: value for name, value in named.items() if value is not None}}


def check_template(source: str, shown: str, where: str) -> list[Problem]:
    """Return what is wrong with a template's syntax."""
    rest = _PLAIN_FIELD.sub("", source)
    if not any(mark in rest for mark in ("{{", "{%", "{#")):
        return []
    from jinja2 import TemplateSyntaxError

    try:
        _environment().from_string(source)
    except TemplateSyntaxError as error:
        return [Problem(shown, where, f"line {error.lineno} of the template: {error.message}", "Mend the template")]
    return []


def template_names(source: str) -> set[str]:
    """The names that a template uses."""
    from jinja2 import meta

    return meta.find_undeclared_variables(_environment().parse(source))


def shows_label(entry: ModelStrategy, dataset: DatasetEntry) -> bool:
    """Whether a strategy's prompt tells the model the label, by whatever name."""
    if dataset.label is None:
        return False
    names = template_names(entry.prompt) | template_names(entry.system or "")
    return not names.isdisjoint({"label", dataset.label, *(["reference"] if dataset.reference == dataset.label else [])})


def render(source: str, example: Example, shown: str, where: str, more: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Fill a template with an example's fields and some more. Raises InputError naming the template and the example."""
    from jinja2 import TemplateError

    fields = {**template_fields(example), **more}
    unknown = template_names(source) - set(fields) - set(_environment().globals)
    if unknown:
        name = min(unknown)
        raise InputError(Problem(shown, where, f"'{name}' is no field of example '{example.id}'", suggest(name, fields)))
    try:
        text = _environment().from_string(source).render(fields)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        what = f"the template failed on example '{example.id}': {error}"
        raise InputError(Problem(shown, where, what, "Mend the template")) from error
    if not text.strip():
        raise InputError(Problem(shown, where, f"the template gives no text for example '{example.id}'", "Mend the template"))
    return text


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
