"""Where the values of a recipe are from that was put together: its files, and what was set.

Knows nothing of what is wrong with a value. Invariant: a problem names the place that a user has to
change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respsel.recipe.dotted_keys import Parts, called, holds, join_key
from respsel.recipe.key_paths import KeyPath
from respsel.recipe.places import AN_OPTION, Origin, Source
from respsel.recipe.toml_text import toml_text
from respsel.workspace.bases import Layer
from respsel.workspace.variant import Variant


@dataclass(frozen=True)
class Origins:
    """Where a recipe's data is from.

    source: the recipe's own file, with the data of all.
    layers: what each file says, the recipe's own first; none if there is one file only.
    """

    source: Source
    layers: Sequence[Layer]
    variant: Variant

    def origin(self, path: KeyPath) -> Origin:
        """The file that a value is from and its line there, or the option that set it."""
        parts = _named(self.source.data, path)
        if setting := self.variant.setting_at(parts):
            behind = join_key(parts) if len(parts) > len(setting.parts) else setting.key
            return f"{self.variant.option} {behind}", AN_OPTION
        if not self.layers:
            return self.source.origin(path)
        # Where something is missing, the place itself is nowhere.
        for end in range(len(parts), 0, -1):
            for layer in self.layers:
                if holds(layer.data, parts[:end]):
                    return layer.shown, layer.line_of(parts[:end], path[:end])
                if layer.took_out(parts[:end]):
                    return layer.shown, layer.line_of(("without",), ("without",))
        return self.source.shown, None


def _named(data: Mapping[str, Any], path: KeyPath) -> Parts:
    """A path as parts, with the names of entries for their numbers."""
    parts = [part if isinstance(part, str) else f"[{part}]" for part in path]
    entries = data.get(parts[0]) if len(path) > 1 else None
    if isinstance(entries, list) and isinstance(path[1], int) and path[1] < len(entries):
        parts[1] = called(parts[0], entries[path[1]]) or parts[1]
    return tuple(parts)


def written_out(data: Mapping[str, Any], layers: Sequence[Layer], variant: Variant) -> bytes:
    """The text of a recipe that was put together, as it would be written in one file."""
    files = [layer.shown for layer in layers]
    made = [f"# Made from {', '.join(dict.fromkeys(files))}."] if files else []
    made += [f"# Changed by {variant.options}."] if variant else []
    # A line break in a name or value would end the comment.
    comments = [" ".join(line.split()) for line in made]
    return ("\n".join([*comments, ""]) + "\n" + toml_text(data)).encode()
