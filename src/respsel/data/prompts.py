"""The words that a model is asked with: users' prompt templates and the views' prompts.

Knows nothing of tokens; chat templates are the backends' matter. Invariant: a template sees the
example's fields and nothing else, within bounds (`sandbox`), and an unknown name is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from respsel.errors import InputError, Problem, suggest
from respsel.records import TEXT, Example, Message

if TYPE_CHECKING:
    from respsel.recipe.schema import DatasetEntry, ModelStrategy, Recipe
    from respsel.sandbox.environment import BoundedEnvironment, BoundedTemplate

# Raised when the same fields and template would give another text, or a view another prompt.
VERSION = 1

# The published prompt of self-aligned perplexity (arXiv 2502.11779 and its code), spelling as
# published.
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
# A template of nothing else needs no Jinja2 to be found well formed, which keeps cached runs quick.
_PLAIN_FIELD = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


def plain_messages(question: str) -> tuple[Message, ...]:
    """The `plain` view: the input alone, as the user's turn."""
    return (Message("user", question),)


def self_aligned_messages(
    question: str, own_outputs: Sequence[str], template: str = "native"
) -> tuple[Message, ...]:
    """The `self-aligned` view: the input and own outputs to other inputs, as the user's turn.

    template: "native" is the model's own chat template; the others are the published code's
    wrapping instead.
    """
    examples = "".join(f"inference example: {text}\n\n" for text in own_outputs)
    prompt = _SELF_ALIGNED.format(question=question, examples=examples)
    if template == "native":
        return (Message("user", prompt),)
    return (
        Message(TEXT, f"[INST] {_SYSTEM if template == 'paper-system' else ''}{prompt} [/INST]"),
    )


def template_fields(example: Example) -> Mapping[str, Any]:
    """The names that a prompt template can use for an example: the row's columns, and over them the
    mapped ones.
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


def fill_columns(source: str, columns: Mapping[str, Any]) -> str:
    """Fill a template with a row's columns alone; outer white space, which empty columns leave
    behind, is taken off.

    Raises TemplateFault: for a column that is missing, and where a null, a list or an object would
    be written.
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
        raise TemplateFault("gives no text", remedy="Fill in the columns or take the row out")
    return text


def check_template(source: str, shown: str, where: str) -> list[Problem]:
    """Return what is wrong with a template's syntax."""
    if _is_plain(source):
        return []
    from jinja2 import TemplateSyntaxError

    from respsel.sandbox.environment import FAULTS, fault_text

    try:
        # Names are looked for in the same way later, where nothing is caught.
        _ = _template(source).names
    except TemplateSyntaxError as error:
        return [
            Problem(
                shown,
                where,
                f"line {error.lineno} of the template: {error.message}",
                "Fix the template",
            )
        ]
    except FAULTS as error:
        return [
            Problem(
                shown,
                where,
                f"the template cannot be used: {fault_text(error)}",
                "Fix the template",
            )
        ]
    return []


@lru_cache(maxsize=64)
def template_names(source: str) -> Set[str]:
    """The names that a template uses."""
    if _is_plain(source):
        return frozenset(_PLAIN_FIELD.findall(source))
    return _template(source).names


def check_doubled(recipe: Recipe, shown: str) -> list[Problem]:
    """Prompts that say `input` and again the columns that it is made of, so that a model is asked
    them twice.
    """
    problems = []
    for i, strategy in enumerate(recipe.strategies):
        if strategy.from_ != "model":
            continue
        said = template_names(strategy.prompt) | template_names(strategy.system or "")
        for entry in recipe.datasets:
            inside = template_names(entry.input) if is_template(entry.input) else {entry.input}
            again = sorted(inside & said - {"input"})
            # Where the row's own `input` is a part, the prompt is from before the template. Else
            # one part may be said again.
            is_doubled = again and "input" in said and ("input" in inside or inside <= said)
            if is_doubled and strategy in recipe.strategies_for(entry.name):
                what = (
                    f"asks '{again[0]}' twice: in prompts, 'input' is what the recipe makes "
                    f"the input of '{entry.name}'"
                )
                remedy = "Say {{ input }} alone"
                if not is_template(entry.input):
                    both = f"{{{{ {entry.input} }}}}\\n\\n{{{{ input }}}}"
                    remedy += (
                        f'; if the rows have a column input of their own, set input = "{both}"'
                    )
                problems.append(Problem(shown, f"strategies[{i}].prompt", what, remedy))
    return problems


def shows_label(entry: ModelStrategy, dataset: DatasetEntry) -> bool:
    """Whether a strategy's prompt tells the model the label, by whatever name."""
    if dataset.label is None:
        return False
    names = template_names(entry.prompt) | template_names(entry.system or "")
    made = {"input": dataset.input, "reference": dataset.reference}
    showing = {
        name
        for name, source in made.items()
        if source is not None and _holds(source, dataset.label)
    }
    return not names.isdisjoint({"label", dataset.label, _root(dataset.label)} | showing)


def _holds(source: str, label: str) -> bool:
    """Whether a template, or a column or a part of one, has the label in it."""
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
    shown: str,
    where: str,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Fill a template with an example's fields and some more.

    Raises InputError naming the template and the example.
    """
    from respsel.sandbox.environment import FAULTS, fault_text

    fields = {**template_fields(example), **more}
    unknown = template_names(source) - set(fields) - set(_environment(False).globals)
    if unknown:
        name = min(unknown)
        raise InputError(
            Problem(
                shown,
                where,
                f"'{name}' is no field of example '{example.id}'",
                suggest(name, fields),
            )
        )
    try:
        text = _template(source).fill(fields)
    except FAULTS as error:
        what = f"the template failed on example '{example.id}': {fault_text(error)}"
        raise InputError(Problem(shown, where, what, "Fix the template")) from error
    if not text.strip():
        raise InputError(
            Problem(
                shown,
                where,
                f"the template gives no text for example '{example.id}'",
                "Fix the template",
            )
        )
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
    said = f"column '{name}' is {kind}" if name else f"a value is {kind}"
    return TemplateFault(
        said, remedy=f"Name a part of it, such as {{{{ {name or 'name'}[0] }}}}, or join it"
    )


def _written(value: Any) -> Any:
    """What a template writes for a value. Python's words for what is no text would go unnoticed."""
    if value is None:
        raise _Unwritable("null")
    if isinstance(value, (list, dict)):
        raise _Unwritable("a list" if isinstance(value, list) else "an object")
    return value


@lru_cache(maxsize=64)
def _template(source: str, strict: bool = False) -> BoundedTemplate:
    """A template, compiled once. strict: where it writes a null, a list or an object it fails."""
    from respsel.sandbox.environment import BoundedTemplate

    return BoundedTemplate(_environment(strict), source)


@cache
def _environment(strict: bool) -> BoundedEnvironment:
    from jinja2 import StrictUndefined

    from respsel.sandbox.environment import BoundedEnvironment

    return BoundedEnvironment(
        written=_written if strict else None, undefined=StrictUndefined, keep_trailing_newline=True
    )
