"""The prompts of users' templates and of the views.

Knows nothing of tokens, or of chat templates, which belong to the backends. Invariant: a template
sees the example's fields and nothing else, within bounds (`sandbox`). An unknown name is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from respsel.errors import InputError, Problem, suggest
from respsel.records import ASSISTANT, SYSTEMS, TEXT, TOOLS, Example, Message, trained_places

if TYPE_CHECKING:
    from respsel.recipe.judge import JudgeEntry
    from respsel.recipe.places import Place
    from respsel.recipe.schema import DatasetEntry, Recipe, StrategyEntry
    from respsel.sandbox.environment import BoundedEnvironment, BoundedTemplate

# Raised when the same fields and template would give another text, or a view another prompt.
VERSION = 1

# The published prompt of self-aligned perplexity (arXiv 2502.11779 and its code), spelled as there.
_SELF_ALIGNED = (
    "Question: {question}\n\n"
    "We have inference examples below to show you how to solve the problem. "
    "please follow the inference style and solve the problem\n\n"
    "{examples}"
    "now, according to the inference examples, please solve the problem. \n\n\n"
)
_SYSTEM = "<<SYS>>\nYou are a helpful assistant.\n<</SYS>>\n\n"
# How Jinja2 says that a name is not there.
_UNDEFINED = re.compile(r"'(\w+)' is undefined$")
# A template of nothing else is checked without Jinja2, which keeps cached runs quick.
_PLAIN_FIELD = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


def plain_messages(question: str) -> tuple[Message, ...]:
    """The `plain` view: the input alone, as the user's turn."""
    return (Message("user", question),)


def shown_in_question(
    chat: Sequence[Message], own_outputs: Sequence[str], template: str = "native"
) -> tuple[Message, ...]:
    """The `self-aligned` view of a chat: own outputs to other inputs beside its last question.

    That is the last user's turn before the first trained one. The published prompts know no
    conversation, so with another template than "native" the chat is that question alone.
    """
    first = min(trained_places(chat), default=len(chat))
    place = max((i for i in range(first) if chat[i].role == "user"), default=None)
    if place is None:
        raise ValueError("the chat has no user's turn")
    (asked,) = self_aligned_messages(chat[place].content, own_outputs, template)
    if template != "native":
        return (asked,)
    return (*chat[:place], replace(chat[place], content=asked.content), *chat[place + 1 :])


def shown_behind(
    chat: Sequence[Message], demonstrations: Sequence[tuple[str, str]]
) -> tuple[Message, ...]:
    """A chat with inputs and their responses as earlier turns, behind its system turn."""
    is_said = [turn.role not in (TOOLS, *SYSTEMS) for turn in chat]
    start = is_said.index(True) if True in is_said else len(chat)
    return (*chat[:start], *_demonstrated(demonstrations), *chat[start:])


def self_aligned_messages(
    question: str, own_outputs: Sequence[str], template: str = "native"
) -> tuple[Message, ...]:
    """The `self-aligned` view: the input and own outputs to other inputs, as the user's turn.

    template: "native" is the model's own chat template. The others wrap the prompt as the published
        code does.
    """
    examples = "".join(f"inference example: {text}\n\n" for text in own_outputs)
    prompt = _SELF_ALIGNED.format(question=question, examples=examples)
    if template == "native":
        return (Message("user", prompt),)
    return (
        Message(TEXT, f"[INST] {_SYSTEM if template == 'paper-system' else ''}{prompt} [/INST]"),
    )


def demonstration_messages(
    question: str, demonstrations: Sequence[tuple[str, str]]
) -> tuple[Message, ...]:
    """Inputs with their responses as earlier turns of the chat, and the question as the last.

    Without demonstrations it is the `plain` view. Prompts with the same demonstrations begin alike.
    """
    return shown_behind(plain_messages(question), demonstrations)


def _demonstrated(demonstrations: Sequence[tuple[str, str]]) -> list[Message]:
    return [
        message
        for asked, answered in demonstrations
        for message in (Message("user", asked), Message(ASSISTANT, answered))
    ]


def template_fields(example: Example) -> Mapping[str, Any]:
    """By name, what a prompt template can use for an example.

    These are the row's columns. A mapped name replaces a column of the same name.
    """
    named = {
        "id": example.id,
        "input": example.input,
        "reference": example.reference,
        "label": example.label,
    }
    return {
        **example.columns,
        **{name: value for name, value in named.items() if value is not None},
    }


def is_template(source: str) -> bool:
    """Whether a recipe's text is a template, and not the name of a column."""
    return "{{" in source or "{%" in source


class TemplateFault(Exception):
    """Why a template gives no text for a row.

    unknown: the column that the row does not have, if that is why.
    """

    def __init__(self, what: str, unknown: str = "", remedy: str = "Fix the template") -> None:
        super().__init__(what)
        self.unknown = unknown
        self.remedy = remedy


class BlankText(TemplateFault):
    """A template gives no text for a row."""


def fill_columns(source: str, columns: Mapping[str, Any]) -> str:
    """Fill a template with a row's columns alone.

    Outer white space, which empty columns leave behind, is removed. Raises TemplateFault for a
    missing column, and where it would write a null, a list or an object.
    """
    from jinja2 import UndefinedError

    from respsel.sandbox.environment import FAULTS, fault_text

    try:
        text = _template(source, strict=True).fill(columns).strip()
    except UndefinedError as error:
        named = _UNDEFINED.match(str(error))
        if named is None or named[1] in columns:
            raise TemplateFault(f"the template failed: {error}") from error
        raise TemplateFault(f"has no column '{named[1]}'", named[1]) from error
    except _Unwritable as error:
        raise _unwritable(source, columns, error) from error
    except FAULTS as error:
        raise TemplateFault(f"the template failed: {fault_text(error)}") from error
    if not text:
        raise BlankText("gives no text", remedy="Fill in the columns or take the row out")
    return text


def check_template(source: str, place: Place) -> list[Problem]:
    """Return what is wrong with a template's syntax. place: where it stands."""
    if _is_plain(source):
        return []
    from jinja2 import TemplateSyntaxError

    from respsel.sandbox.environment import FAULTS, fault_text

    try:
        # The names are read again later, where no error is caught.
        _ = _template(source).names
    except TemplateSyntaxError as error:
        what = f"line {error.lineno} of the template: {error.message}"
        return [place.problem(what, "Fix the template")]
    except FAULTS as error:
        what = f"the template cannot be used: {fault_text(error)}"
        return [place.problem(what, "Fix the template")]
    return []


@lru_cache(maxsize=64)
def template_names(source: str) -> Set[str]:
    """The names that a template uses."""
    if _is_plain(source):
        return frozenset(_PLAIN_FIELD.findall(source))
    return _template(source).names


def used_fields(source: str) -> Set[str]:
    """The names that a template takes from an example. Its syntax is right."""
    names = template_names(source)
    return names if not names or _is_plain(source) else names - set(_environment(False).globals)


def check_doubled(recipe: Recipe, place: Place) -> list[Problem]:
    """The problems of prompts that ask a model something twice.

    They use `input`, and also the columns that the recipe makes `input` of. place: the recipe.
    """
    problems = []
    for i, strategy in enumerate(recipe.strategies):
        if strategy.from_ != "model":
            continue
        used = template_names(strategy.prompt) | template_names(strategy.system or "")
        for entry in recipe.datasets:
            twice = _asked_twice(entry, used)
            if twice and strategy in recipe.made_for(entry.name):
                what = (
                    f"asks '{twice}' twice: in prompts, 'input' is what the recipe makes "
                    f"the input of '{entry.name}'"
                )
                at = place.at("strategies", i, "prompt")
                problems.append(at.problem(what, _once_remedy(entry)))
    return problems


def _asked_twice(entry: DatasetEntry, used: Set[str]) -> str:
    """A column that a prompt with these names asks twice; empty if there is none."""
    inside = template_names(entry.input) if is_template(entry.input) else {entry.input}
    again = sorted(inside & used - {"input"})
    # If the row's own `input` is a part, the prompt is older than the template. If it is not, a
    # prompt may well repeat some of the parts, but not all.
    is_doubled = again and "input" in used and ("input" in inside or inside <= used)
    return again[0] if is_doubled else ""


def _once_remedy(entry: DatasetEntry) -> str:
    remedy = "Say {{ input }} alone"
    if is_template(entry.input):
        return remedy
    both = f"{{{{ {entry.input} }}}}\\n\\n{{{{ input }}}}"
    return f'{remedy}; if the rows have a column input of their own, set input = "{both}"'


def shows_label(entry: StrategyEntry | JudgeEntry, dataset: DatasetEntry) -> bool:
    """Whether the templates of a strategy or a judge show the label, by whatever name."""
    if dataset.label is None:
        return False
    names = {name for text in entry.templates.values() for name in template_names(text)}
    made = {"input": dataset.input, "reference": dataset.reference}
    showing = {
        name
        for name, source in made.items()
        if source is not None and _holds(source, dataset.label)
    }
    return not names.isdisjoint({"label", dataset.label, _root(dataset.label)} | showing)


def _holds(source: str, label: str) -> bool:
    """Whether a template or column, or a part of one, contains the label."""
    if is_template(source):
        return not template_names(source).isdisjoint({label, _root(label)})
    return (
        source == label
        or label.startswith((f"{source}.", f"{source}["))
        or source.startswith((f"{label}.", f"{label}["))
    )


def _root(path: str) -> str:
    """The column that a path begins in."""
    return path.replace("[", ".").split(".")[0]


def render(
    source: str,
    example: Example,
    place: Place,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Fill a template with an example's fields and some more.

    place: where the template stands. Raises InputError naming it and the example.
    """
    from respsel.sandbox.environment import FAULTS, fault_text

    fields = {**template_fields(example), **more}
    unknown = template_names(source) - set(fields) - set(_environment(False).globals)
    if unknown:
        name = min(unknown)
        what = f"'{name}' is not a field of example '{example.id}'"
        raise InputError(place.problem(what, suggest(name, fields)))
    try:
        text = _template(source).fill(fields)
    except FAULTS as error:
        what = f"the template failed on example '{example.id}': {fault_text(error)}"
        raise InputError(place.problem(what, "Fix the template")) from error
    if not text.strip():
        what = f"the template gives no text for example '{example.id}'"
        raise InputError(place.problem(what, "Fix the template"))
    return text


def _is_plain(source: str) -> bool:
    rest = _PLAIN_FIELD.sub("", source)
    return not any(mark in rest for mark in ("{{", "{%", "{#"))


class _Unwritable(Exception):
    """A template would write a null, a list or an object."""


def _unwritable(source: str, columns: Mapping[str, Any], error: _Unwritable) -> TemplateFault:
    kind = str(error)
    kinds = (type(None),) if kind == "null" else (list, dict)
    names = [
        name for name in sorted(template_names(source)) if isinstance(columns.get(name, ""), kinds)
    ]
    name = names[0] if names else ""
    if kind == "null":
        return TemplateFault(
            f"column '{name}' is null" if name else "a value is null",
            remedy=f"Fill it in, or leave it out where it is null: {{% if {name or 'name'} %}} "
            f"... {{% endif %}}",
        )
    what = f"column '{name}' is {kind}" if name else f"a value is {kind}"
    return TemplateFault(
        what, remedy=f"Name a part of it, such as {{{{ {name or 'name'}[0] }}}}, or join it"
    )


def _written(value: Any) -> Any:
    """What a template writes for a value.

    Raises _Unwritable for what is not text: nobody would notice Python's words for it.
    """
    if value is None:
        raise _Unwritable("null")
    if isinstance(value, (list, dict)):
        raise _Unwritable("a list" if isinstance(value, list) else "an object")
    return value


@lru_cache(maxsize=64)
def _template(source: str, strict: bool = False) -> BoundedTemplate:
    """A template, compiled once. strict: it fails where it writes a null, a list or an object."""
    from respsel.sandbox.environment import BoundedTemplate

    return BoundedTemplate(_environment(strict), source)


@cache
def _environment(strict: bool) -> BoundedEnvironment:
    from jinja2 import StrictUndefined

    from respsel.sandbox.environment import BoundedEnvironment

    return BoundedEnvironment(
        written=_written if strict else None, undefined=StrictUndefined, keep_trailing_newline=True
    )
