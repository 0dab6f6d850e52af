"""Values as they are typed in a shell: TOML, or else a text without quotes.

Knows nothing of what a value is for. Invariant: the text of a value stands for that value again.
"""

from __future__ import annotations

from datetime import date, time
from typing import Any

from respsel.errors import InputError
from respsel.recipe.toml import parse_toml
from respsel.recipe.toml_text import value_text


def value_of(text: str) -> Any:
    """The value that a text stands for: a TOML value, or else the text itself."""
    text = text.strip(" \t")
    try:
        data = parse_toml(f"value = {text}".encode(), "")
    except (InputError, UnicodeEncodeError):
        return text
    # A text of several lines may look like several keys. No recipe has dates.
    if list(data) != ["value"] or isinstance(data["value"], (date, time)):
        return text
    return data["value"]


def typed_value(value: Any) -> str:
    """The text that stands for a value."""
    if isinstance(value, str) and value.isprintable() and value_of(value) == value:
        return value
    return value_text(value)
