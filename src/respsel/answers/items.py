"""Atoms to items: what belongs together as one number, or as something that is not one number.

An item is a number, or compound: an expression, a tuple, a range, several numbers. Knows nothing of
answers or labels. Invariant: a number that is part of something larger is never an item of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from respsel.answers.atoms import VARIABLES, Atom, Reader
from respsel.answers.digits import Number
from respsel.answers.plain import plain

EXPRESSION = "an expression"
FORMULA = "a formula"
TUPLE = "a tuple, set or interval"
RANGE = "a range"
SEVERAL = "several numbers"
RATIO = "a time or a ratio"
_OPERANDS = ("number", "bad", "math")
_JOINS = {
    "and",
    "or",
    "und",
    "oder",
    "et",
    "ou",
    "y",
    "o",
    "e",
    "и",
    "или",
    "和",
    "或",
    "en",
    "of",
    "to",
    "bis",
    "through",
    "till",
}
_RANGES = {"to", "bis", "through", "till"}
_NEGATIONS = {"minus", "negative", "moins", "menos", "meno", "минус"}
# Units that are written one after the other: 5 feet 11 inches.
_UNITS_WORDS = (
    "feet foot ft inch inches hour hours h hr hrs minute minutes min mins second seconds s sec "
    "pound "
    "pounds lb lbs ounce ounces oz dollar dollars cent cents euro euros year years month months "
    "week "
    "weeks day days kg g m cm km mm yard yards mile miles degrees stunden minuten heures horas "
    "gallon "
    "gallons quart quarts pint pints"
)
_UNITS = frozenset(_UNITS_WORDS.split())
_FUNCTIONS_WORDS = "log ln lg exp sin cos tan sqrt max min gcd lcm arcsin arccos arctan abs"
_FUNCTIONS = frozenset(_FUNCTIONS_WORDS.split())
# Behind these a sign with a blank after it is the number's: "it is - 3".
_SAYS = {"is", "be", "equals", "ist", "lautet", "est", "es", "é", "è"}
_LONGEST_BRACKET = 40


@dataclass(frozen=True)
class Item:
    """One number, or why it is not one.

    number: the number, or None.
    why: why it is not one number.
    money: whether a currency's sign comes before it.
    """

    number: Number | None
    why: str = ""
    money: bool = False


Entry = Item | Atom


def read_items(text: str) -> list[Entry]:
    """The items of a text, and between them its words, signs of equality, stops and line ends."""
    return _Grouping(Reader(plain(text)).atoms()).entries()


class _Grouping:
    """One walk over atoms."""

    def __init__(self, atoms: Sequence[Atom]) -> None:
        self._atoms = atoms
        self._entries: list[Entry] = []

    def entries(self) -> list[Entry]:
        at = 0
        while at < len(self._atoms):
            item, after = self._item(at)
            if item is None:
                atom = self._atoms[at]
                if atom.kind not in ("money", "unit", "op", "close"):
                    self._entries.append(atom)
                after = at + 1
            else:
                self._entries.append(item)
            at = after
        return self._entries

    def _item(self, at: int) -> tuple[Item | None, int]:
        """The item that begins at an atom, and where it ends; None if there is none."""
        item, after = self._operand(at)
        if item is None:
            return None, at
        why = item.why
        while after < len(self._atoms):
            joined, behind, reason = self._joined(after)
            if joined is None:
                break
            why = FORMULA if FORMULA in (why, joined.why) else why or reason or joined.why
            after = behind
        return Item(None if why else item.number, why, item.money), after

    def _operand(self, at: int) -> tuple[Item | None, int]:
        """A number with its sign, something in brackets, a root and the like."""
        sign = 1
        start = at
        money = False
        if self._is_sign(at):
            sign = 1 if self._atoms[at].text == "+" else -1
            at = at + 1
        # US$ and the like are two; a longer row of such signs is no amount.
        while (atom := self._get(at)) is not None and atom.kind == "money" and at < start + 3:
            money = True
            at = at + 1
        if atom is not None and money and atom.text == "-" and self._kind(at + 1) == "number":
            sign = -1
            atom = self._get(at + 1)
            at = at + 1
        if atom is None:
            return None, start
        if atom.kind == "number":
            assert atom.number is not None
            number = Number(sign * atom.number.value, atom.number.places)
            return Item(number, "", money), self._units(at + 1)
        if atom.kind in ("bad", "math"):
            several = SEVERAL if atom.text.replace(",", "").isdigit() else EXPRESSION
            return Item(None, FORMULA if atom.text in VARIABLES else several), at + 1
        if atom.kind == "open":
            item, after = self._bracket(at)
            if item is not None and item.number is not None and sign < 0:
                item = Item(Number(-item.number.value, item.number.places))
            return item, after
        if atom.kind == "word" and self._is_variable(at):
            return Item(None, EXPRESSION if self._kind(at + 1) == "open" else FORMULA), at + 1
        return None, start

    def _units(self, at: int) -> int:
        while self._kind(at) in ("unit", "money"):
            if self._kind(at) == "money" and self._kind(at + 1) == "number":
                break
            at += 1
        return at

    def _is_sign(self, at: int) -> bool:
        atom = self._get(at)
        before = self._get(at - 1)
        following = self._get(at + 1)
        if atom is None or following is None or following.kind not in (*_OPERANDS, "money", "open"):
            return False
        if atom.kind == "word":
            return atom.text.casefold() in _NEGATIONS
        if atom.kind != "op" or atom.text not in "+-":
            return False
        if before is not None and before.kind == "word" and before.end == atom.start:
            # step-12
            return False
        if before is not None and before.text in _SAYS:
            return True
        spaced = following.start > atom.end
        return (
            not spaced
            or before is None
            or before.kind in ("equals", "open", "comma")
            or before.text == ":"
        )

    def _is_variable(self, at: int) -> bool:
        """Whether a word is a letter of a formula: x + 3, f(3), log(100)."""
        atom = self._atoms[at]
        following = self._get(at + 1)
        if following is None:
            return False
        if following.kind == "open" and following.start == atom.end:
            name = atom.text.partition("_")[0]
            return (len(name) == 1 or name.casefold() in _FUNCTIONS) and self._bracket(at + 1)[
                0
            ] is not None
        operand = self._get(at + 2)
        if (
            atom.text not in VARIABLES
            or following.kind != "op"
            or following.text == ":"
            or operand is None
        ):
            return False
        even = (following.start > atom.end) == (operand.start > following.end)
        return even and (operand.kind in (*_OPERANDS, "open") or operand.text in VARIABLES)

    def _bracket(self, at: int) -> tuple[Item | None, int]:
        """What is in brackets, if that is mathematics and not words."""
        depth = 1
        end = at + 1
        limit = min(len(self._atoms), at + _LONGEST_BRACKET)
        while end < limit and depth:
            atom = self._atoms[end]
            if atom.kind not in (*_OPERANDS, "op", "comma", "open", "close", "money", "unit"):
                return None, at
            depth += (atom.kind == "open") - (atom.kind == "close")
            end += 1
        inner = [
            atom for atom in self._atoms[at + 1 : end - 1] if atom.kind not in ("money", "unit")
        ]
        if depth or not any(atom.kind in _OPERANDS for atom in inner):
            return None, at
        if any(atom.kind == "comma" for atom in inner):
            return Item(None, TUPLE), end
        sign = -1 if inner[0].text == "-" else 1
        digits = inner[1:] if inner[0].text in ("-", "+") else inner
        while len(digits) > 2 and digits[0].kind == "open" and digits[-1].kind == "close":
            digits = digits[1:-1]
        if len(digits) != 1 or digits[0].number is None:
            return Item(None, EXPRESSION), end
        if "," in digits[0].text and len(inner) == end - at - 2:
            # (1,234) may well be a pair.
            return Item(None, TUPLE), end
        return Item(Number(sign * digits[0].number.value, digits[0].number.places)), self._units(
            end
        )

    def _joined(self, at: int) -> tuple[Item | None, int, str]:
        """What an item is joined with at an atom, where that ends, and what they are together."""
        atom = self._atoms[at]
        if atom.kind == "op":
            return self._by_operator(at)
        if atom.kind == "comma":
            item, after = self._operand(at + 1)
            return item, after, SEVERAL
        if atom.kind in (*_OPERANDS, "money") or (
            atom.kind == "open" and atom.start == self._atoms[at - 1].end
        ):
            item, after = self._operand(at)
            return item, after, EXPRESSION if item is not None and item.number is None else SEVERAL
        if atom.kind == "word":
            return self._by_words(at)
        return None, at, ""

    def _by_operator(self, at: int) -> tuple[Item | None, int, str]:
        atom = self._atoms[at]
        before = self._atoms[at - 1]
        following = self._get(at + 1)
        if following is None:
            return None, at, ""
        if atom.text == ":" and (following.start > atom.end) != (atom.start > before.end):
            return None, at, ""
        if following.kind == "word" and following.text in VARIABLES and atom.text != ":":
            return Item(None, FORMULA), at + 2, FORMULA
        item, after = self._operand(at + 1)
        reason = {":": RATIO, "-": RANGE}.get(atom.text, EXPRESSION)
        return item, after, reason if item is not None and item.number is not None else EXPRESSION

    def _by_words(self, at: int) -> tuple[Item | None, int, str]:
        """2 hours and 30 minutes, 3 to 5, 5 feet 11 inches; not "12 of the 30", "45 in 3 days"."""
        for place in range(at, min(at + 3, len(self._atoms))):
            atom = self._atoms[place]
            if atom.kind != "word" or (place > at and self._get(place - 1) is None):
                break
            word = atom.text.casefold()
            if word in _JOINS - {"of"}:
                behind = place + 1
                if self._kind(behind) == "word" and self._atoms[behind].text.casefold() in {
                    "a",
                    "an",
                }:
                    break
                item, after = self._operand(behind)
                return item, after, RANGE if word in _RANGES else SEVERAL
        if self._atoms[at].text.casefold() in _UNITS and self._kind(at + 1) == "number":
            unit = self._get(at + 2)
            if unit is not None and unit.kind == "word" and unit.text.casefold() in _UNITS:
                item, after = self._operand(at + 1)
                return item, after, SEVERAL
        return None, at, ""

    def _get(self, at: int) -> Atom | None:
        return self._atoms[at] if 0 <= at < len(self._atoms) else None

    def _kind(self, at: int) -> str:
        atom = self._get(at)
        return atom.kind if atom is not None else ""
