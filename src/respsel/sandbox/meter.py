"""What one rendering of a template may use, and how the size of a value is estimated.

Knows no Jinja2 syntax. Invariant: a template pays for everything before it is done, or just after
it where the price is small. So a rendering ends, within the limits below, in one clear error.

Why these limits: they leave room for a prompt that loops over a text of 1 MB, character by
character.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sized
from copy import copy
from operator import length_hint
from time import thread_time
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

from jinja2 import TemplateRuntimeError
from jinja2.runtime import LoopContext, Macro
from jinja2.utils import Cycler, Namespace

# One step is a small part of a template that runs, or 64 characters that are read: 0.1 to 0.5
# microseconds.
MAX_STEPS = 10_000_000
# Processor time of this thread, which other programs do not take away.
MAX_SECONDS = 5.0
# The texts and lists that a rendering makes, together; those that it drops again count too.
MAX_BYTES = 200_000_000
# One text, in characters. A model that reads a million tokens reads no more.
MAX_TEXT = 4_000_000
# A list with all that is in it, written out.
MAX_WRITTEN = 4 * MAX_TEXT
# A number, in bits; Python writes out none of more than 4,300 digits.
MAX_BITS = 14_000
# Lists within lists. Hazard: Python hashes nested tuples without a look at its own stack.
MAX_DEPTH = 100
# What an item of a list adds to the item's own text: in memory, and written.
ITEM_BYTES = 64
ITEM_CHARACTERS = 8
# What takes no longer than the step that it is in.
_SHORT = 512
# Few, so that the clock holds where a price is too low.
_STEPS_BETWEEN_LOOKS = 500
_SOME: dict[Any, Any] = {}
_SOME_VIEWS: tuple[Any, ...] = (_SOME.keys(), _SOME.values(), _SOME.items())
_VIEWS: tuple[Any, ...] = tuple(type(view) for view in _SOME_VIEWS)
_ITERATORS: tuple[Any, ...] = (
    *(type(iter(some)) for some in ([*_SOME], (*_SOME,), "", b"", _SOME, *_SOME_VIEWS, range(0))),
    *(type(reversed(some)) for some in ([*_SOME], _SOME, *_SOME_VIEWS)),
)
_FUNCTIONS = (FunctionType, MethodType, BuiltinMethodType)


class TemplateLimitError(TemplateRuntimeError):
    """A template that would use more than a rendering may."""


class Meter:
    """The account of one rendering. One thread at a time."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin another rendering."""
        self._steps = MAX_STEPS
        self._bytes = MAX_BYTES
        self._next_look = MAX_STEPS - _STEPS_BETWEEN_LOOKS
        self._end = thread_time() + MAX_SECONDS

    def pay(self, steps: int) -> None:
        """Count what is done, and look at the clock now and then."""
        self._steps -= steps
        if self._steps < self._next_look:
            self._look()

    def _look(self) -> None:
        if self._steps < 0:
            raise TemplateLimitError(
                f"it takes more than {MAX_STEPS:,} steps: its loops or macros run too often"
            )
        if thread_time() > self._end:
            raise TemplateLimitError(f"it takes longer than {MAX_SECONDS:g} seconds")
        self._next_look = self._steps - _STEPS_BETWEEN_LOOKS

    def make(self, n_bytes: int) -> None:
        """Count memory for something new."""
        self._bytes -= n_bytes
        if self._bytes < 0:
            raise TemplateLimitError(
                f"it makes more than {MAX_BYTES // 10**6:,} MB of texts and lists"
            )
        if n_bytes > _SHORT:
            self.pay(n_bytes >> 7)

    def fit(self, n_characters: int) -> None:
        """Refuse a text that would be too long, before it is there."""
        if n_characters > MAX_TEXT:
            raise TemplateLimitError(f"it makes a text of more than {MAX_TEXT:,} characters")

    def made(self, value: Any) -> Any:
        """Count a value that was just made, and return it."""
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                self.fit(len(value))
            self.make(value.__sizeof__())
        elif isinstance(value, int):
            self.check_bits(value.bit_length())
        elif isinstance(value, Sized):
            self.make(ITEM_BYTES * len(value))
        elif isinstance(value, _ITERATORS):
            self.make(ITEM_BYTES * length_hint(value))
        return value

    def check_bits(self, n_bits: int) -> None:
        """Refuse a number that is too long to be written."""
        if n_bits > MAX_BITS:
            raise TemplateLimitError(
                f"it makes a number of more than {MAX_BITS * 3 // 10:,} digits"
            )

    def read(self, value: Any) -> Any:
        """Count that all of a value is looked at, and return it."""
        if type(value) is str:
            if len(value) > _SHORT:
                self.pay(len(value) >> 6)
        else:
            self.pay((self.measure(value) >> 6) + 1)
        return value

    def each(self, items: Any) -> Any:
        """Count that all of some items are gone through, and return them."""
        self.pay(length_hint(items, 1) if not isinstance(items, LoopContext) else 1)
        return items

    def spread(self, items: Any) -> Any:
        """Count what a call makes of some items, an argument of each, and return them."""
        self.make(2 * ITEM_BYTES * length_hint(self.each(items)))
        return items

    def pairs(self, pairs: Any) -> Any:
        """Count that a dict is made of pairs, and return them."""
        if isinstance(pairs, Mapping):
            return pairs
        pairs = [pair if isinstance(pair, (list, tuple)) else tuple(pair) for pair in pairs]
        self.tell_apart([self.read(pair[0]) for pair in pairs if pair])
        return pairs

    def tell_apart(self, keys: Iterable[Any]) -> None:
        """Count that keys are hashed: those that share a hash are compared, each with each.

        Such numbers, and tuples of numbers, are easily found. Python keeps the hashes of texts
        secret.
        """
        hashes = {repr(key): hash(key) for key in keys if isinstance(key, (int, tuple))}
        self.pay(sum(count * count for count in Counter(hashes.values()).values()) >> 2)

    def measure(self, value: Any, indent: int = 0, depth: int = 1) -> int:
        """About how many characters a value takes when it is written.

        What it contains twice counts twice.

        indent: the white space that is written before an item, for each level.
        """
        if isinstance(value, (str, bytes)):
            return len(value)
        if isinstance(value, int):
            return 1 + value.bit_length() // 3
        if isinstance(value, _FUNCTIONS):
            # Its address, which Python would write, is another each time.
            raise TypeError("it writes no text, but a function. Call it")
        items = _items(value)
        if items is None:
            return ITEM_CHARACTERS + (len(value.name) if isinstance(value, Macro) else 0)
        if depth > MAX_DEPTH:
            raise TemplateLimitError(f"it makes lists within lists, more than {MAX_DEPTH} deep")
        total = ITEM_CHARACTERS
        per_item = ITEM_CHARACTERS + indent * depth
        for item in items:
            total += per_item + (
                len(item) if type(item) is str else self.measure(item, indent, depth + 1)
            )
            if total > MAX_WRITTEN:
                raise TemplateLimitError(f"it makes a list of more than {MAX_WRITTEN:,} characters")
        self.pay(total >> 6)
        return total


def _items(value: Any) -> Iterable[Any] | None:
    """What is in a value; None for what is not a container."""
    items: Iterable[Any] | None = None
    if isinstance(value, (list, tuple, range, set, frozenset)):
        items = value
    elif isinstance(value, _VIEWS):
        items = list(value)
    elif isinstance(value, Mapping):
        items = [part for pair in value.items() for part in pair]
    elif isinstance(value, _ITERATORS):
        # A copy, for an iterator can be gone through once.
        items = copy(value)
    elif isinstance(value, LoopContext):
        items = _items(value._iterable)
    elif isinstance(value, Namespace):
        items = _items(value._Namespace__attrs)
    elif isinstance(value, Cycler):
        items = value.items
    return items
