"""Values as they are typed in a shell: TOML, or else a text without quotes.

Knows nothing of what a value is for. Invariant: the text of a value stands for that value again.
"""

from __future__ import annotations

import re
from datetime import date, time
from typing import Any

from respsel.errors import InputError
from respsel.recipe.toml import parse_toml
from respsel.recipe.toml_text import value_text

# Numbers as most programs take them, and TOML does not: .9 and 1.
_NUMBER = re.compile(r"[+-]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)\.)(?:[eE][+-]?[0-9]+)?")


def value_of(text: str) -> Any:
    """The value that a text stands for: a TOML value, a number as .9, or else the text itself."""
    text = text.strip(" \t")
    if _NUMBER.fullmatch(text):
        return float(text)
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
