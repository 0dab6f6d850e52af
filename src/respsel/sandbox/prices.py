"""The price of each function of templates: paid, or refused, before the function is called.

Each price takes the meter and the function's own arguments. Knows the arguments of Jinja2's filters
and of Python's methods, and no syntax. Invariant: a price is an upper bound of the time that a
function takes, and refuses what would be longer than a text may be.
"""

from __future__ import annotations

from operator import length_hint
from typing import Any

from respsel.sandbox.meter import ITEM_BYTES, ITEM_CHARACTERS, Meter, TemplateLimitError

_MAX_INDENT = 100
_MAX_DIGITS = 300
# `pprint` writes an item behind all the keys that it is in.
_MAX_PRETTY = 50_000


def free(meter: Meter, *_: Any, **__: Any) -> None:
    """Takes no longer for a longer value, and gives what is there."""


def key(meter: Meter, own: Any, name: Any, default: Any = None) -> None:
    """Looks for a key, and gives what is there."""
    meter.read(name)


def read(meter: Meter, *values: Any, **named: Any) -> None:
    """Looks at all of its values, and gives nothing much longer."""
    for value in (*values, *named.values()):
        meter.read(value)


def compare(meter: Meter, *values: Any, **named: Any) -> None:
    """Compares what is in its values, each some twenty times."""
    for value in (*values, *named.values()):
        if isinstance(value, str):
            # Its characters, and the keys that they are compared by.
            meter.make(2 * ITEM_BYTES * len(value))
        meter.pay(20 * (meter.measure(value) >> 4))


def each(meter: Meter, items: Any, *more: Any, **named: Any) -> None:
    """Goes through items. What it does with each has its own price."""
    _keep(meter, items)
    read(meter, *more, **named)


def as_list(meter: Meter, items: Any) -> None:
    """Makes a list of items; of a text, one of its characters."""
    meter.make(ITEM_BYTES * length_hint(meter.each(items)))


def pad(meter: Meter, text: Any, width: Any = 80, *_: Any) -> None:
    """Fills a text up to a width."""
    meter.fit(meter.measure(text) + (width if isinstance(width, int) else 0))


def expand_tabs(meter: Meter, text: str, tabsize: int = 8) -> None:
    """Writes blanks for tabs."""
    meter.fit(len(text) + text.count("\t") * max(tabsize, 0))


def indent(meter: Meter, text: Any, width: Any = 4, *_: Any, **__: Any) -> None:
    """Writes blanks, or a text, before each line."""
    n_lines = 1 + len(_text(meter, text).splitlines())
    meter.fit(
        meter.measure(text) + n_lines * (len(width) if isinstance(width, str) else int(width))
    )


def replace(meter: Meter, text: Any, old: Any, new: Any, *_: Any, **__: Any) -> None:
    """Writes one text for another."""
    own, old, new = (_text(meter, value) for value in (text, old, new))
    meter.fit(len(own) + own.count(old) * max(len(new) - len(old), 0))


def join(meter: Meter, items: Any, between: Any = "", *_: Any, d: Any = "", **__: Any) -> None:
    """Joins items. d: the name that Jinja2 has for what is between them."""
    n_items = length_hint(meter.each(items))
    size = meter.measure(items)
    size -= 0 if isinstance(items, str) else ITEM_CHARACTERS * n_items
    meter.fit(size + n_items * max(meter.measure(between), meter.measure(d)))


def join_with(meter: Meter, text: str, items: Any) -> None:
    """Joins items, as the text's own method."""
    join(meter, items, text)


def batch(meter: Meter, items: Any, linecount: Any, fill_with: Any = None) -> None:
    """Makes lists of one length; fills up the last one."""
    _keep(meter, items)
    meter.make(2 * ITEM_BYTES * (length_hint(items) // max(int(linecount), 1)))
    if fill_with is not None:
        meter.make(ITEM_BYTES * max(int(linecount), 0))


def in_slices(meter: Meter, items: Any, slices: Any, fill_with: Any = None) -> None:
    """Makes a number of lists."""
    _keep(meter, items)
    meter.make(ITEM_BYTES * max(int(slices), 0))


def to_digits(meter: Meter, value: Any, precision: Any = 0, *_: Any, **__: Any) -> None:
    """Rounds; Python raises 10 to the number of digits."""
    if abs(precision) > _MAX_DIGITS:
        raise TemplateLimitError(f"it rounds to more than {_MAX_DIGITS} digits")


def to_json(meter: Meter, value: Any, indent: Any = None, **_: Any) -> None:
    """Writes JSON."""
    width = len(indent) if isinstance(indent, str) else (indent or 0)
    if width > _MAX_INDENT:
        raise TemplateLimitError(f"it indents by more than {_MAX_INDENT}")
    meter.fit(meter.measure(value, indent=max(width, 0)))


def pretty(meter: Meter, value: Any) -> None:
    """Writes a value in lines, each level further in."""
    size = meter.measure(value)
    if size > _MAX_PRETTY:
        raise TemplateLimitError(f"it gives 'pprint' more than {_MAX_PRETTY:,} characters")
    meter.pay(size)


def titled(meter: Meter, text: Any) -> None:
    """Takes a text apart at its words, twice."""
    meter.make(60 * meter.measure(text))


def strip(meter: Meter, text: Any, chars: Any = None) -> None:
    """Looks for each character at an end of a text among others."""
    own = _text(meter, text)
    meter.pay(1 + (len(own) >> 6) + (len(own) * len(_text(meter, chars or "")) >> 8))


def find_last(meter: Meter, text: str, part: Any = None, *_: Any, **named: Any) -> None:
    """Looks from the end on, comparing a part at each place."""
    part = named.get("sep", part)
    meter.pay(1 + (len(text) * (1 + len(_text(meter, part or ""))) >> 6))


def strip_tags(meter: Meter, text: Any) -> None:
    """Copies the whole text for each tag in it."""
    own = _text(meter, text)
    meter.pay(len(own) * (1 + own.count("<")) >> 8)


def wrap_words(
    meter: Meter,
    text: Any,
    width: Any = 79,
    longer: Any = True,
    wrapstring: Any = None,
    *_: Any,
    **__: Any,
) -> None:
    """Goes back and forth within each word, and writes a text behind each line."""
    own = _text(meter, text)
    words = own.split()
    n_lines = own.count("\n")
    meter.pay(4 * len(words) + 8 * n_lines + (len(own) * max(map(len, words), default=0) >> 4))
    n_ends = len(words) + n_lines + own.count("-") + len(own) // max(int(width), 1)
    meter.fit(len(own) + n_ends * len(_text(meter, wrapstring or "")))


def only_number(meter: Meter, value: Any, *_: Any) -> None:
    """Works with `%`. Hazard: this formats where the value is a text."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"a number is needed here, not {type(value).__name__}")


def _keep(meter: Meter, items: Any) -> None:
    """Counts that all of some items are gone through and kept. Those of a text are made for it."""
    meter.each(items)
    if isinstance(items, str):
        meter.make(ITEM_BYTES * len(items))


def _text(meter: Meter, value: Any) -> str:
    return value if isinstance(value, str) else str(meter.read(value))
