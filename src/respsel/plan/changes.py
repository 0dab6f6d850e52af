"""What differs between two nested values, place by place, old and new as text.

Knows nothing of steps or recipes, but for one field. Invariant: a place is reported once, and both
texts are cut to where they differ.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The text of a place that is not there.
NOTHING = "nothing"
# The field of a model's identity that no key of the model's entry sets.
TOKENIZER_READING = "model.tokenizer_reading"
_MOST_SHOWN = 70


@dataclass(frozen=True)
class Change:
    """A field that changed: its place in the recipe, its old and its new value as text."""

    where: str
    old: str
    new: str


def flatten(value: Any, path: str = "") -> dict[str, str]:
    """A nested value as {dotted path: text}; named items of lists have their names in it."""
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif (
        isinstance(value, (list, tuple))
        and value
        and all(isinstance(item, Mapping) for item in value)
    ):
        # A metric that is used twice is known by its label. A dataset's "label" is one of its
        # columns.
        names = ("label", "name") if path.endswith("metrics") else ("name",)
        items = [
            (next((str(item[n]) for n in names if n in item), str(i)), item)
            for i, item in enumerate(value)
        ]
    else:
        return {path: value if isinstance(value, str) else "none" if value is None else str(value)}
    flat: dict[str, str] = {}
    for key, item in items:
        flat |= flatten(item, f"{path}.{key}" if path else key)
    return flat


def changes_between(old: Any, new: Any) -> list[Change]:
    """The places where two nested values differ, with both values cut to what differs."""
    before = flatten(old)
    after = flatten(new)
    places = [place for place in {**before, **after} if before.get(place) != after.get(place)]
    return [
        Change(place, *_shortened(before.get(place, NOTHING), after.get(place, NOTHING)))
        for place in places
    ]


def _shortened(old: str, new: str) -> Sequence[str]:
    """Cut two texts to the stretch around their first difference."""
    start = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
        min(len(old), len(new)),
    )
    start = max(0, start - 20) if max(len(old), len(new)) > _MOST_SHOWN else 0
    return [_window(text, start) for text in (old, new)]


def _window(text: str, start: int) -> str:
    end = start + _MOST_SHOWN
    cut = text[start:end].replace("\n", "\\n")
    return f"{'…' if start else ''}{cut}{'…' if end < len(text) else ''}"


def reading_of_tokenizer(changes: Collection[Change]) -> Change | None:
    """The change that respsel reads a GGUF's tokenizer differently now.

    None if something else of the model changed with it. Steps from before there was a version have
    no such field: theirs was the first.
    """
    fields = [change for change in changes if change.where.startswith("model.")]
    if [change.where for change in fields] != [TOKENIZER_READING] or fields[0].new == NOTHING:
        return None
    old = "1" if fields[0].old == NOTHING else fields[0].old
    return Change(
        "respsel's reading of the GGUF's tokenizer", f"version {old}", f"version {fields[0].new}"
    )
