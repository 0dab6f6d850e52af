"""A recipe as it stands, or changed for one command: `--set` and `--limit`.

Knows nothing of files and of how values are changed; see workspace.changes. Invariants: a variant's
options make it again in a shell, and no two variants have the same. Imports are late, since most
recipes are as they stand.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from respsel.hashing import digest

Parts = tuple[str, ...]
_LONGEST_SLUG = 40
_IN_NAMES = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.")


@dataclass(frozen=True)
class Changes:
    """What is asked to change: nothing, values by their keys, a limit.

    settings: keys and values, as they were given.
    limit: the most examples of each dataset.
    option: what gave the settings, for messages.
    """

    settings: tuple[tuple[str, Any], ...] = ()
    limit: int | None = None
    option: str = "--set"

    def __bool__(self) -> bool:
        return bool(self.settings) or self.limit is not None


NO_CHANGES = Changes()


@dataclass(frozen=True)
class Setting:
    """A value that was set, and the place in the recipe that it was set at."""

    parts: Parts
    value: Any

    @property
    def key(self) -> str:
        """The key's text."""
        from respsel.recipe.dotted_keys import join_key

        return join_key(self.parts)

    @property
    def text(self) -> str:
        """As it is typed: KEY=VALUE."""
        return f"{self.key}={self.shown}"

    @property
    def shown(self) -> str:
        """The value as it is typed."""
        from respsel.recipe.typed_values import typed_value

        return typed_value(self.value)


@dataclass(frozen=True)
class Variant:
    """What a recipe was changed by; nothing for the recipe as its file has it.

    option: what gave the settings, for messages.
    """

    settings: tuple[Setting, ...] = ()
    limit: int | None = None
    option: str = "--set"

    def __bool__(self) -> bool:
        return bool(self.settings) or self.limit is not None

    @property
    def words(self) -> str:
        """The changes in short, for people: `target.model=small, limit 5`."""
        limit = () if self.limit is None else (f"limit {self.limit}",)
        return ", ".join([*(setting.text for setting in self.settings), *limit])

    @property
    def options(self) -> str:
        """The options that ask for it, as a shell takes them. No other variant has them."""
        parts = [f"--set {shlex.quote(setting.text)}" for setting in self.settings]
        parts += [] if self.limit is None else [f"--limit {self.limit}"]
        return " ".join(parts)

    @property
    def folder(self) -> str:
        """The folder, in that of its recipe's runs, that its own runs are kept in."""
        words = [f"{setting.parts[-1]}-{setting.shown}" for setting in self.settings]
        words += [] if self.limit is None else [f"limit-{self.limit}"]
        plain = ["".join(c if c in _IN_NAMES else "-" for c in word) for word in words]
        slug = "-".join(part for part in "-".join(plain).split("-") if part)[:_LONGEST_SLUG]
        slug = slug.strip("-.")
        return f"with-{slug}-{digest('variant', self.options)[:8]}"

    def setting_at(self, parts: Parts) -> Setting | None:
        """The setting that a place is from, or that lies in it."""
        holding = [item for item in self.settings if parts[: len(item.parts)] == item.parts]
        within = [item for item in self.settings if item.parts[: len(parts)] == parts]
        return next(iter(holding[-1:] or within), None)


AS_IT_IS = Variant()
