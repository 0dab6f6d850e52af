"""Digits and separators to a value: 1,200.50, 1.200,50, 12,34,567, 1'200, 1 200.

Knows nothing of texts around a number. Invariant: what can be read in two ways has one documented
reading (docs/answers.md). What fits no reading is not a number, and no part of it is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

# More digits than any answer has, and fewer than Python refuses to convert.
_MOST_DIGITS = 300
_MOST_EXPONENT = 400
_SEPARATORS = re.compile(r"[.,'_ ]")


@dataclass(frozen=True)
class Number:
    """A value as it was written.

    value: the value.
    places: how many digits were behind the point; None for a fraction.
    """

    value: Fraction
    places: int | None = 0

    def __str__(self) -> str:
        if self.places is None or (self.value * 10**self.places).denominator != 1:
            return str(self.value)
        whole = abs(self.value.numerator) * 10**self.places // self.value.denominator
        digits = f"{whole:0{self.places + 1}d}"
        point = f".{digits[-self.places :]}" if self.places else ""
        return ("-" if self.value < 0 else "") + digits[: len(digits) - self.places] + point


def parse_digits(written: str) -> Number | None:
    """The number of digits, separators and an exponent (1e3); None where they are several."""
    mantissa, _, exponent = written.replace("E", "e").partition("e")
    plain = _without_separators(mantissa)
    if plain is None or len(plain) > _MOST_DIGITS or len(exponent) > 5:
        return None
    places = len(plain.partition(".")[2])
    number = Number(Fraction(plain if plain[0] != "." else f"0{plain}"), places)
    return times_power(number, int(exponent)) if exponent else number


def times_power(number: Number, exponent: int) -> Number | None:
    """The number times ten to a power."""
    if abs(exponent) > _MOST_EXPONENT:
        return None
    places = None if number.places is None else max(number.places - exponent, 0)
    return Number(number.value * Fraction(10) ** exponent, places)


def raised(number: Number, exponent: int) -> Number | None:
    """The number to a whole power, unless that is too long to be an answer."""
    size = max(len(str(abs(number.value.numerator))), len(str(number.value.denominator)))
    if abs(exponent) * size > _MOST_EXPONENT or (exponent < 0 and not number.value):
        return None
    places = number.places * exponent if number.places is not None and exponent >= 0 else None
    return Number(number.value**exponent, places)


def over(above: Number, below: Number) -> Number | None:
    """The fraction of two numbers."""
    return Number(above.value / below.value, None) if below.value else None


def repeating(before: str, cycle: str) -> Number | None:
    """0.1 with the repeating digits 6 is 1/6."""
    start = parse_digits(before + "0") if "." in before else None
    if start is None or start.places is None or not cycle.isdigit() or len(cycle) > _MOST_DIGITS:
        return None
    tail = Fraction(int(cycle), (10 ** len(cycle) - 1) * 10 ** (start.places - 1))
    return Number(start.value + tail, None)


def _without_separators(written: str) -> str | None:
    """Digits with at most a point; None where the separators fit no way to write one number."""
    kinds = _SEPARATORS.findall(written)
    groups = _SEPARATORS.split(written)
    if not kinds or written[0] == ".":
        return written if kinds in ([], ["."]) else None
    last = kinds[-1]
    before = kinds[:-1]
    # The last separator is the decimal one: 1.5, 1,5, 1 200,50, 1,200.50.
    if len(kinds) == 1:
        if last == "." or (
            last == "," and (len(groups[1]) != 3 or len(groups[0]) > 3 or groups[0] == "0")
        ):
            return ".".join(groups)
    elif (
        last in ".,"
        and len(set(before)) == 1
        and before[0] != last
        and _grouped(groups[:-1], before[0])
    ):
        return "".join(groups[:-1]) + "." + groups[-1]
    return "".join(groups) if len(set(kinds)) == 1 and _grouped(groups, last) else None


def _grouped(groups: list[str], separator: str) -> bool:
    """Whether digits are in groups of three, or with commas as in India: 12,34,567."""
    first, *rest = groups
    if not 1 <= len(first) <= 3 or first.strip("0") == "":
        return False
    if all(len(group) == 3 for group in rest):
        return True
    indian = len(first) <= 2 and all(len(group) == 2 for group in rest[:-1]) and len(rest[-1]) == 3
    return separator == "," and indian
