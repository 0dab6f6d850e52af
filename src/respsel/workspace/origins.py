"""Where the values of a recipe are from that was put together: its files, and what was set.

Knows nothing of what is wrong with a value. Invariant: a problem names the place that a user has to
change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from respsel.errors import Problem
from respsel.recipe.dotted_keys import Parts, find, join_key, parts_of_place
from respsel.recipe.toml_text import toml_text
from respsel.workspace.bases import Layer
from respsel.workspace.variant import Variant


@dataclass(frozen=True)
class Origins:
    """A recipe's data and where it is from.

    layers: what each file says, the recipe's own first; none if there is one file only.
    shown: the recipe's path as messages show it.
    """

    data: Mapping[str, Any]
    layers: Sequence[Layer]
    variant: Variant
    shown: str

    def placed(self, problem: Problem) -> Problem:
        """A problem with the file or the option that its place is from."""
        if problem.file != self.shown or not (self.layers or self.variant):
            return problem
        parts = parts_of_place(self.data, problem.where)
        if setting := self.variant.setting_at(parts):
            behind = join_key(parts) if len(parts) > len(setting.parts) else setting.key
            return replace(problem, file="", where=f"{self.variant.option} {behind}")
        if not self.layers:
            return problem
        return replace(problem, file=self._file_of(parts), where=join_key(parts))

    def _file_of(self, parts: Parts) -> str:
        # Where something is missing, the place itself is nowhere.
        for end in range(len(parts), 0, -1):
            for layer in self.layers:
                if _has(layer.data, parts[:end]):
                    return layer.shown
        return self.shown


def written_out(data: Mapping[str, Any], layers: Sequence[Layer], variant: Variant) -> bytes:
    """The text of a recipe that was put together, as it would be written in one file."""
    files = [layer.shown for layer in layers]
    made = [f"# Made from {', '.join(dict.fromkeys(files))}."] if files else []
    made += [f"# Changed by {variant.options}."] if variant else []
    # A line break in a name or value would end the comment.
    comments = [" ".join(line.split()) for line in made]
    return ("\n".join([*comments, ""]) + "\n" + toml_text(data)).encode()


def _has(data: Mapping[str, Any], parts: Parts) -> bool:
    try:
        find(data, parts)
    except LookupError:
        return False
    return True
