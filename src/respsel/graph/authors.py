"""Who wrote the texts of a strategy, and whether that is the target itself.

A model finds its own text likely, whatever it says; so does the same model under another name, in
another quantisation, or behind an endpoint. Knows nothing of texts. Invariant: it opens no model,
and looks at weights only where two models could be one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from respsel.backends.fingerprint import is_same
from respsel.backends.registry import KnownModel
from respsel.recipe.schema import StrategyEntry
from respsel.workspace.loaded_recipe import LoadedRecipe

# What of a file's or repository's name says how weights are stored, not which they are.
_STORAGE = re.compile(
    r"(?:^|[-_.])(?:i?q\d+(?:[-_][0-9kmslx]+)*|[bf]p?f?(?:16|32|8)|int[48]|[48]bit|bits?|awq|gptq|exl[23]"
    r"|gguf|ggml|mlx|bnb|w\d+a\d+|ud|imatrix|safetensors|onnx|dynamic)(?=[-_.]|$)"
)
# Names that say nothing of whose weights they are.
_ANYONES = frozenset(
    "model models weights default main small large base target teacher student local llm ggml "
    "merged best last final final-model best-model hf-model adapter output outputs unsloth "
    "checkpoint".split()
)


@dataclass(frozen=True)
class Author:
    """Who wrote a strategy's texts.

    name: for people; empty if nobody says.
    target: how it is known that the target did; empty if it did not, as far as is known.
    """

    name: str
    target: str = ""

    @property
    def is_target(self) -> bool:
        """Whether the target wrote the texts."""
        return bool(self.target)

    @property
    def shown(self) -> str:
        """For a column of a table."""
        if not self.is_target:
            return self.name or "–"
        return f"{self.name} (the target)"


def find_authors(loaded: LoadedRecipe, models: Mapping[str, KnownModel]) -> Mapping[str, Author]:
    """By strategy, who wrote its texts.

    models: those of the recipe that were found, by name; the target is one of them.
    """
    known = {name: how_target(name, loaded, models) for name in _named(loaded)}
    return {entry.name: _author(entry, loaded, known) for entry in loaded.recipe.strategies}


def _author(entry: StrategyEntry, loaded: LoadedRecipe, known: Mapping[str, str]) -> Author:
    """Who wrote a strategy's texts; those of one that takes from others have several authors."""
    origins = loaded.recipe.origins(entry)
    names = dict.fromkeys(origin.author or "others" for origin in origins)
    hows = dict.fromkeys(how for name in names if (how := known.get(name, "")))
    shown = "" if list(names) == ["others"] else ", ".join(names)
    return Author(shown, " and ".join(hows))


def model_named(loaded: LoadedRecipe, author: str) -> str | None:
    """The recipe's model that an author's name stands for; case does not tell models apart."""
    return next((name for name in loaded.models if name.casefold() == author.casefold()), None)


def _named(loaded: LoadedRecipe) -> set[str]:
    return {entry.author for entry in loaded.recipe.strategies if entry.author}


def how_target(author: str, loaded: LoadedRecipe, models: Mapping[str, KnownModel]) -> str:
    """How it is known that an author is the target; empty if it is not.

    models: those of the recipe that were found, by name.
    """
    target = loaded.recipe.target.model
    name = model_named(loaded, author)
    if name is None:
        names = set(_names_of(loaded, target))
        return "has the target's name" if _bare(author) in names else ""
    if name == target:
        return "is the target"
    if name in models and (how := _compared(models[name], models[target])) is not None:
        return how
    shared = set(_names_of(loaded, name)) & set(_names_of(loaded, target))
    return "has the target's name" if shared else ""


def _compared(one: KnownModel, target: KnownModel) -> str | None:
    """How it is known that a model is the target; empty if it is known not to be, None if neither.

    Where the weights of both are known, a name says nothing.
    """
    if one.identity == target.identity or _same_fields(one.fields, target.fields):
        return "is the target"
    if not one.fingerprint or not target.fingerprint:
        return None
    same = is_same(one.fingerprint, target.fingerprint)
    return "has the target's weights" if same else ""


def _same_fields(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two identities differ in settings alone, not in whose weights they are."""
    weights = one.get("weights")
    if weights is not None and weights == other.get("weights"):
        return True
    for which in (("repo", "revision"), ("endpoint", "model"), ("plugin", "identity")):
        mine = [one.get(part) for part in which]
        if None not in mine and mine == [other.get(part) for part in which]:
            return True
    return False


def _names_of(loaded: LoadedRecipe, name: str) -> Iterator[str]:
    """What a model is called by those who publish it, without how it is stored."""
    entry = loaded.models[name].entry
    for given in (entry.model, entry.repo, entry.path, entry.file):
        if given is not None and (bare := _bare(given)):
            yield bare


def _bare(name: str) -> str:
    """A model's own name; empty if it has none."""
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].casefold()
    # Behind a colon stands a tag, as Ollama writes sizes and quantisations.
    last = last.removesuffix(".gguf").replace(":", "-").removesuffix("-latest")
    while (shorter := _STORAGE.sub("", last)) != last:
        last = shorter
    bare = re.sub(r"[-_. ]+", "-", last).strip("-")
    anyones = bare in _ANYONES or bare.rstrip("0123456789").rstrip("-") in _ANYONES
    return "" if anyones or len(bare) < 4 else bare
