"""What is checked of templates: that they show the example, in Jinja2's braces.

Knows nothing of data: a field is one that every example has, or a column that the recipe names.
Invariant: braces that stand for themselves, as in JSON or LaTeX, are no fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from respsel.data.prompts import is_template, used_fields
from respsel.errors import Problem
from respsel.recipe.places import Place
from respsel.recipe.schema import DatasetEntry, ModelStrategy
from respsel.workspace.loaded_recipe import LoadedRecipe

# What a prompt says that is to be the same for every example.
_SAME = re.compile(r"\{#-?\s*same for all\s*-?#\}", re.IGNORECASE)
_ADVICE = "or say that it is meant so: {# same for all #}"
# {input} and ${input} of other languages. Hazard: \frac{id} is LaTeX, and {{ input }} is right.
_BRACED = re.compile(r"(?<![\w}{$\\])(?<!\\\w)\$?\{\s*([A-Za-z_]\w*)\s*\}(?!\})")
# What else people write who know other tools; only where a template has no field at all.
_OTHERS = re.compile(
    r"<([A-Za-z_]\w*)>|\[([A-Za-z_]\w*)\]|\$([A-Za-z_]\w*)|%\(([A-Za-z_]\w*)\)s|(%s|\{\}|\{0\})"
)
# What Jinja2 reads itself, and what it is told to leave alone.
_JINJA = re.compile(
    r"\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL
)
_FIELDS = ("input", "reference", "label", "id")
_LONGEST = 160
_SHOWN = "\n\n{{ input }}"


@dataclass(frozen=True)
class _Text:
    """A template, its key and place, and the fields that its examples have."""

    text: str
    place: Place
    fields: Collection[str]

    @property
    def plain(self) -> str:
        """The text with blanks in the place of what is Jinja2's."""
        return _JINJA.sub(lambda found: " " * len(found[0]), self.text)

    @property
    def key(self) -> str:
        return str(self.place.path[-1])

    def problem(self, what: str, remedy: str) -> Problem:
        return self.place.problem(what, remedy)


def check_fields(loaded: LoadedRecipe) -> list[Problem]:
    """The prompts that show nothing of the example.

    The templates' syntax is right.
    """
    return [problem for texts in _prompts(loaded) for problem in _unshown(texts)]


def doubtful_fields(loaded: LoadedRecipe) -> Iterator[Problem]:
    """The fields in single braces beside others in double ones.

    Hazard: they may be meant so, as in a prompt about code. So this refuses nothing.
    """
    for texts in (*_prompts(loaded), *([text] for text in _other_texts(loaded))):
        shown = {name for text in texts for name in used_fields(text.text)}
        for text in texts:
            yield from _doubtful(text, shown)


def _prompts(loaded: LoadedRecipe) -> Iterator[list[_Text]]:
    """The templates of each strategy and reward, which are sent together."""
    fields = _columns(loaded.recipe.datasets)
    for i, strategy in enumerate(loaded.recipe.strategies):
        if isinstance(strategy, ModelStrategy):
            yield [
                _Text(text, loaded.at("strategies", i, key), fields)
                for key, text in strategy.templates.items()
            ]
    for i, metric in enumerate(loaded.metrics):
        source = metric.needs.reward
        if source and source.prompt:
            more = (*fields, "response", "conversation")
            yield [_Text(source.prompt, loaded.at("metrics", i, "prompt"), more)]


def _other_texts(loaded: LoadedRecipe) -> Iterator[_Text]:
    """The templates that need show nothing."""
    fields = _columns(loaded.recipe.datasets)
    if loaded.recipe.judge is not None:
        yield _Text(loaded.recipe.judge.rubric, loaded.at("judge", "rubric"), fields)
    for i, entry in enumerate(loaded.recipe.datasets):
        for key in ("input", "system", "reference"):
            source = getattr(entry, key)
            if source is not None and is_template(source):
                yield _Text(source, loaded.at("datasets", i, key), fields)


def _unshown(texts: Sequence[_Text]) -> Iterator[Problem]:
    """The fault of texts that are sent together, of which one must show the example."""
    if any(used_fields(text.text) or _SAME.search(text.text) for text in texts):
        return
    first = next((text for text in texts if _misspelt(text)), texts[0])
    what = "shows nothing of the example, so every example gets the same text"
    yield first.problem(what, f"{_remedy(first)}, {_ADVICE}")


def _doubtful(text: _Text, shown: Collection[str]) -> Iterator[Problem]:
    """shown: the fields that the texts use that are sent together."""
    for found, name in _misspelt(text):
        if name not in shown:
            what = f"'{found}' stands there as it is, and is not the example's {name}"
            yield text.place.problem(what, f"If that is not meant, write {{{{ {name} }}}}")


def _misspelt(text: _Text) -> list[tuple[str, str]]:
    """The known fields in single braces: as they stand there, and their names."""
    known = {name.lower(): name for name in text.fields}
    found = [(match[0], known.get(match[1].lower())) for match in _BRACED.finditer(text.plain)]
    return [(word, name) for word, name in found if name is not None]


def _remedy(text: _Text) -> str:
    """The line that a prompt without any field should have been."""
    known = {name.lower(): name for name in text.fields}
    for found in (*_BRACED.finditer(text.plain), *_OTHERS.finditer(text.plain)):
        word = next((group for group in found.groups() if group), "")
        name = known.get(word.lower()) or ("input" if found.lastindex == 5 else "")
        # A closing tag behind it makes it a tag of the prompt's own.
        if name and f"</{word}>" not in text.text:
            return _written(text, found, name)
    line = text.text.rstrip("\n").split("\n")[-1]
    return f"Add {{{{ input }}}}: {text.key} = {_quoted(line + _SHOWN)}"


def _written(text: _Text, found: re.Match[str], name: str) -> str:
    field = f"{{{{ {name} }}}}"
    start = text.text.rfind("\n", 0, found.start()) + 1
    end = text.text.find("\n", found.end())
    line = text.text[start : end if end >= 0 else None]
    at = found.start() - start
    line = f"{line[:at]}{field}{line[at + len(found[0]) :]}"
    is_whole = "\n" not in text.text.strip("\n")
    where = f"{text.key} = " if is_whole else ""
    return f"Write {field}: {where}{_quoted(line, at)}"


def _quoted(text: str, at: int = 0) -> str:
    """A text as TOML has it; of a long one, what is about a place."""
    if len(text) > _LONGEST:
        start = max(0, at - _LONGEST // 2)
        end = start + _LONGEST
        text = ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")
    return json.dumps(text, ensure_ascii=False)


def _columns(datasets: Sequence[DatasetEntry]) -> tuple[str, ...]:
    """The fields that templates have, and the columns that the datasets name."""
    named = [
        source.replace("[", ".").split(".")[0]
        for entry in datasets
        for source in (entry.input, entry.reference, entry.label, entry.id)
        if source and not is_template(source)
    ]
    inside = [
        name
        for entry in datasets
        for source in (entry.input, entry.reference, entry.system)
        if source and is_template(source)
        for name in used_fields(source)
    ]
    return tuple(dict.fromkeys((*_FIELDS, "conversation", *named, *inside)))
