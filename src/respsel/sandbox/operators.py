"""The operators of templates within bounds: + - * / // % and **, ~, and the formatting of text.

Knows no syntax. Invariant: how large a result can be is known before Python computes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import add, floordiv, mod, mul, pow, sub, truediv
from typing import Any

from jinja2.runtime import Undefined
from jinja2.sandbox import SandboxedEscapeFormatter, SandboxedFormatter

from respsel.sandbox.meter import Meter, TemplateLimitError

# The widest field that `%10d`, `{:10}` or an indentation may ask for.
MAX_WIDTH = 10_000
# A conversion: its key, its width and its precision. A key with a bracket in it is found as "("
# alone.
_CONVERSION = re.compile(r"%(\([^()]*\)|\()?[#0\- +]*(\*|\d*)(?:\.(\*|\d*))?")
_NUMBERS = (int, float, complex, Undefined, type(None))


class Operators:
    """What an operator gives, paid for."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._of: Mapping[str, Callable[[Any, Any], Any]] = {
            "+": self._add,
            "*": self._multiply,
            "**": self._raise_to,
            "%": self.format_percent,
            "-": self._only_numbers(sub, "-"),
            "/": self._only_numbers(truediv, "/"),
            "//": self._only_numbers(floordiv, "//"),
        }

    def apply(self, operator: str, left: Any, right: Any) -> Any:
        """Return what an operator gives. Raises TypeError for values that it does not take."""
        return self._of[operator](left, right)

    def join(self, join: Callable[[Sequence[Any]], str], parts: Sequence[Any]) -> Any:
        """Return what `~` makes of its parts."""
        self._meter.fit(
            sum(len(part) if type(part) is str else self._meter.measure(part) for part in parts)
        )
        return self._meter.made(join(parts))

    def _add(self, left: Any, right: Any) -> Any:
        if isinstance(left, str) and isinstance(right, str):
            self._meter.fit(len(left) + len(right))
        elif isinstance(left, int) and isinstance(right, int):
            return self._meter.made(left + right)
        total = add(left, right)
        self._meter.make(total.__sizeof__())
        return total

    def _multiply(self, left: Any, right: Any) -> Any:
        if isinstance(left, int) and isinstance(right, int):
            self._meter.check_bits(left.bit_length() + right.bit_length())
        for some, times in ((left, right), (right, left)):
            if isinstance(some, (str, bytes, list, tuple)) and isinstance(times, int) and times > 0:
                self._meter.fit(len(some) * times)
        total = mul(left, right)
        self._meter.make(total.__sizeof__())
        return total

    def _raise_to(self, left: Any, right: Any) -> Any:
        if isinstance(left, int) and isinstance(right, int) and right > 0:
            self._meter.check_bits((left.bit_length() if abs(left) > 1 else 0) * right)
        return pow(left, right)

    def _only_numbers(
        self, function: Callable[[Any, Any], Any], sign: str
    ) -> Callable[[Any, Any], Any]:
        def apply(left: Any, right: Any) -> Any:
            # Sets, which views of a dict give, have an order that differs in each process.
            if not isinstance(left, _NUMBERS) or not isinstance(right, _NUMBERS):
                raise TypeError(
                    f"'{sign}' takes numbers, not {type(left).__name__} and {type(right).__name__}"
                )
            return self._meter.made(function(left, right))

        return apply

    def format_percent(self, left: Any, right: Any) -> Any:
        """Return what `%` gives: a remainder, or a text with its fields filled in."""
        if isinstance(left, str):
            self._check_conversions(left, right)
            return self._meter.made(left % right)
        if isinstance(left, bytes):
            raise TypeError("'%' takes numbers and texts, not bytes")
        return self._meter.made(mod(left, right))

    def _check_conversions(self, text: str, fields: Any) -> None:
        self._meter.pay(4 * text.count("%"))
        found = _CONVERSION.findall(text)
        asked = [width for _, *both in found for width in both if width]
        widths = [width for width in asked if width != "*"]
        if "*" in asked:
            # These widths are among the values.
            values = fields if isinstance(fields, tuple) else (fields,)
            widths += [str(abs(value)) for value in values if isinstance(value, int)]
        if any(_is_wide(width) for width in widths):
            raise TemplateLimitError(f"it formats a text more than {MAX_WIDTH:,} wide")
        if any(key == "(" for key, *_ in found):
            raise TemplateLimitError("it formats a text with brackets in a field's name")
        # A named field can be written again and again.
        times = len(found) if isinstance(fields, Mapping) else 1
        self._meter.fit(len(text) + times * self._meter.measure(fields) + sum(map(int, widths)))


def _is_wide(digits: str) -> bool:
    return len(digits) > len(str(MAX_WIDTH)) or int(digits) > MAX_WIDTH


class _MeteredFields:
    """What both formatters do: each field is paid for before it is written."""

    meter: Meter
    size = 0

    def format_field(self, value: Any, format_spec: str) -> Any:
        widths = re.findall(r"\d+", format_spec)
        if any(_is_wide(width) for width in widths):
            raise TemplateLimitError(f"it formats a text more than {MAX_WIDTH:,} wide")
        self.size += self.meter.measure(value) + sum(map(int, widths))
        self.meter.fit(self.size)
        self.meter.pay(20)
        return super().format_field(value, format_spec)  # type: ignore[misc]

    def convert_field(self, value: Any, conversion: Any) -> Any:
        self.meter.fit(self.meter.measure(value))
        return super().convert_field(value, conversion)  # type: ignore[misc]


class PlainFormatter(_MeteredFields, SandboxedFormatter):
    """Formats a text."""


class MarkupFormatter(_MeteredFields, SandboxedEscapeFormatter):
    """Formats a text that is marked as HTML, which `|safe` and `|tojson` give."""
