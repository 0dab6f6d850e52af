"""The kind `number`: the one number of a label or a response, and whether two are the same.

Knows nothing of files or recipes. Invariants: one grammar (atoms, items) reads labels and
responses, so a label given back as the answer is right. What is not one number is never read as a
part of it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from fractions import Fraction

from respsel.answers.atoms import Atom
from respsel.answers.digits import Number
from respsel.answers.items import EXPRESSION, FORMULA, SEVERAL, Entry, Item, read_items
from respsel.answers.plain import last_part
from respsel.answers.statements import Statement, statements

# A text of at most this length is first read whole, as one statement.
_SHORT = 2_000
_FILLERS_WORDS = (
    "about approximately around roughly exactly only just simply therefore thus hence still now "
    "then so "
    "also is are be equals equal to option circa etwa ungefähr rund environ cerca unos the a an "
    "that it "
    "its indeed clearly x n"
)
_FILLERS = frozenset(_FILLERS_WORDS.split())
# What an explanation begins with, behind the answer.
_EXPLANATIONS_WORDS = (
    "because since which where as weil da denn car parce porque perché poiché потому omdat"
)
_EXPLANATIONS = frozenset(_EXPLANATIONS_WORDS.split())
# What begins a conclusion: "3 + 5, so 8", "3 + 5, which is 8".
_CONCLUDES = frozenset(("so", "thus", "therefore", "hence", "giving", "making"))
_EQUALS = frozenset(("is", "equals", "gives", "makes"))
# A number behind these is not what a sentence is about: "2 buses for 45 people", "in 2023", "not
# 20".
_ASIDES_WORDS = "in after within during per every each on since until before for not than"
_ASIDES = frozenset(_ASIDES_WORDS.split())
_FEW_ASIDES = frozenset({("out", "of"), ("instead", "of")})
_IS_ANSWER = re.compile(
    r"[ ](?:is|are)[ ](?:the|our|my)[ ](?:(?:final|correct|right)[ ])?answer\b", re.IGNORECASE
)
_LONGEST_LINE = 60
_FEWEST_DIGITS = 6
NOTHING = "no number"
EQUATION = "an equation"


def read_label(text: str) -> Number | str:
    """The number of a label, or what it is instead."""
    for statement in statements(text):
        found = read_one(statement.content)
        if found != NOTHING or statement.boxed:
            return found
    return read_one(text)


def read_one(text: str) -> Number | str:
    """The only number of a text, or the result of an equation; or what the text is instead."""
    entries = read_items(text)
    items = [entry for entry in entries if isinstance(entry, Item)]
    if not items:
        return NOTHING
    equals = [
        i for i, entry in enumerate(entries) if isinstance(entry, Atom) and entry.kind == "equals"
    ]
    if len(items) > 1 and _in_sentences(entries) > 1:
        return SEVERAL
    if equals:
        return _read_equation(entries, equals)
    if len(items) > 1:
        return SEVERAL
    last = text.rstrip()
    if items[0].number is not None and last.endswith("!") and last[-2:-1].isdigit():
        return EXPRESSION
    return items[0].number or items[0].why


def read_response(text: str) -> Number | None:
    """The number that a response states, else the last one in it."""
    subject, start = _subject(text)
    for statement in statements(text):
        if subject is not None and start > statement.start:
            return subject
        if statement.several:
            return None
        found = _read_statement(statement)
        if not isinstance(found, str):
            return found
        if statement.boxed:
            return None
    if subject is not None:
        return subject
    whole = read_one(text) if len(text) <= _SHORT else NOTHING
    if isinstance(whole, Number):
        return whole
    return _read_first_line(text) or _read_last(_without_aside(last_part(text)))


def _subject(text: str) -> tuple[Number | None, int]:
    """The number of "45 is the answer, since ...", and where that stands."""
    start = max((match.start() for match in _IS_ANSWER.finditer(text)), default=-1)
    if start < 0:
        return None, start
    before = re.split(r"\n|[.!?:] ", text[max(0, start - _LONGEST_LINE) : start])[-1]
    found = read_one(before)
    return (found if isinstance(found, Number) else None), start


def _read_first_line(text: str) -> Number | None:
    """The number on a first line of its own, with a blank line and an explanation behind it."""
    first, _, rest = text.strip().partition("\n")
    if (
        len(first) > _LONGEST_LINE
        or not rest.startswith(("\n", "\r\n", " \n"))
        or _alone(rest.rpartition("\n")[2])
    ):
        return None
    # "1." numbers a step.
    return None if first.strip() in ("1.", "1)") else _alone(first)


def _alone(line: str) -> Number | None:
    """The number of a line that holds nothing else."""
    if len(line) > _LONGEST_LINE:
        return None
    entries = [
        entry for entry in read_items(line) if isinstance(entry, Item) or entry.kind != "stop"
    ]
    return entries[0].number if len(entries) == 1 and isinstance(entries[0], Item) else None


def _without_aside(text: str) -> str:
    """A text without the brackets that end its last line, as in "$18 (9 at $2 each)".

    Only if there is a number before them.
    """
    line = text.rstrip().rpartition("\n")[2].rstrip(" .!*")
    before, opened, _ = line.rpartition(" (")
    if (
        not opened
        or not line.endswith(")")
        or len(line) > _SHORT
        or not any(map(str.isdigit, before))
    ):
        return text
    sentence = re.split(r"[.!?] ", before)[-1]
    items = [entry for entry in read_items(sentence) if isinstance(entry, Item)]
    return sentence if items and items[-1].number is not None else text


def _read_statement(statement: Statement) -> Number | str | None:
    """The number of a statement.

    None if what it gives is not one number. A text says that it gives nothing of the kind.
    """
    line = statement.content.strip().partition("\n")[0]
    for part in (line, statement.content):
        whole = read_one(part)
        if isinstance(whole, Number):
            return whole
    sentence = _first_sentence(read_items(statement.content))
    if sentence is None:
        return NOTHING
    equals = [
        i for i, entry in enumerate(sentence) if isinstance(entry, Atom) and entry.kind == "equals"
    ]
    if equals:
        return _result(sentence, equals)
    items = [i for i, entry in enumerate(sentence) if isinstance(entry, Item)]
    first = sentence[items[0]]
    assert isinstance(first, Item)
    begins = all(
        isinstance(entry, Atom) and entry.text.casefold() in _FILLERS
        for entry in sentence[: items[0]]
    )
    main = first if begins else _main(sentence)
    concluded = _concluded(read_items(statement.content), main)
    return concluded or main.number


def _main(sentence: Sequence[Entry]) -> Item:
    """The last item of a sentence that is not an aside, if there is such."""
    items = [i for i, entry in enumerate(sentence) if isinstance(entry, Item)]
    free = [i for i in items if not _is_aside(sentence, i)]
    main = sentence[(free or items)[-1]]
    assert isinstance(main, Item)
    return main


def _is_aside(sentence: Sequence[Entry], at: int) -> bool:
    words = [
        entry.text.casefold() for entry in sentence[max(0, at - 3) : at] if isinstance(entry, Atom)
    ]
    while words and words[-1] in ("the", "about", "only"):
        words.pop()
    item = sentence[at]
    is_price = isinstance(item, Item) and item.money and words[-1:] == ["for"]
    return (
        bool(words) and not is_price and (words[-1] in _ASIDES or tuple(words[-2:]) in _FEW_ASIDES)
    )


def _concluded(entries: Sequence[Entry], main: Item) -> Number | None:
    """What the first sentence concludes: "3 + 5, which is 8", "9 eggs at $2, so $18"."""
    seen = False
    for i, entry in enumerate(entries[:-1]):
        if isinstance(entry, Item):
            seen = True
            continue
        if seen and entry.kind in ("stop", "line", "open"):
            return None
        word = entry.text.casefold()
        after = i + 1
        following = entries[after]
        which = (
            word == "which" and isinstance(following, Atom) and following.text.casefold() in _EQUALS
        )
        if not seen or not (which or word in _CONCLUDES):
            continue
        item = entries[after + which] if after + which < len(entries) else None
        if (
            isinstance(item, Item)
            and item.number is not None
            and _concludes(entries[after + which + 1 :], main, which)
        ):
            return item.number
    return None


def _concludes(rest: Sequence[Entry], main: Item, which: bool) -> bool:
    """Whether the number before `rest` is the conclusion of a sentence.

    A sentence that has its answer already ends with it.
    """
    if main.number is None:
        return which or main.why == EXPRESSION
    return not which and not (
        rest and isinstance(rest[0], Atom) and rest[0].kind not in ("stop", "line")
    )


def _first_sentence(entries: Sequence[Entry]) -> list[Entry] | None:
    """The first sentence that holds an item, without the explanation behind it."""
    sentence: list[Entry] = []
    found = False
    for i, entry in enumerate(entries):
        if isinstance(entry, Item):
            found = True
        elif entry.kind in ("stop", "line"):
            if found:
                break
            sentence = []
            continue
        elif found and (entry.kind == "open" or entry.text in (";",) or _explains(entries, i)):
            break
        sentence.append(entry)
    return sentence if found else None


def _explains(entries: Sequence[Entry], at: int) -> bool:
    entry = entries[at]
    return (
        isinstance(entry, Atom) and entry.kind == "word" and entry.text.casefold() in _EXPLANATIONS
    )


def _result(sentence: Sequence[Entry], equals: Sequence[int]) -> Number | None:
    """The result of an equation in a sentence; None for several of variables (x = 2 or x = -3)."""
    concluding = [
        i
        for i, entry in enumerate(sentence)
        if isinstance(entry, Atom) and entry.text.casefold() in _CONCLUDES
    ]
    if concluding and any(i > concluding[-1] for i in equals):
        sentence = sentence[concluding[-1] + 1 :]
        equals = [i - concluding[-1] - 1 for i in equals if i > concluding[-1]]
    found = _read_equation(sentence, equals, strict=False)
    return found if isinstance(found, Number) else None


def _read_equation(
    entries: Sequence[Entry], equals: Sequence[int], strict: bool = True
) -> Number | str:
    """The result of a calculation: the number alone on a side of 5 + 7 = 12, x = 7, 12 = 5 + 7."""
    sides = [
        entries[start + 1 : end]
        for start, end in zip((-1, *equals), (*equals, len(entries)), strict=True)
    ]
    named = [_names_variable(side) for side in sides[:-1]]
    # Between two equations stands more than what the first one gives: x = 2 or x = -3.
    if sum(named) > 1 and any(_items(side) for side in sides[1:-1]):
        return SEVERAL
    left = sides[0]
    right = _items(sides[-1])
    if strict and len(right) > 1:
        return SEVERAL
    if strict and any(_is_formula(side) for side in sides[:-1]):
        return EQUATION
    if right and right[0].number is not None:
        return right[0].number
    alone = _items(left)
    if right and len(equals) == 1 and len(alone) == 1 and alone[0].number is not None:
        return alone[0].number
    return right[0].why if right else EQUATION


def _in_sentences(entries: Sequence[Entry]) -> int:
    """In how many sentences or lines there are items."""
    count = 0
    found = False
    for entry in entries:
        if isinstance(entry, Item):
            count = count + (not found)
            found = True
        elif entry.kind in ("stop", "line"):
            found = False
    return count


def _items(side: Sequence[Entry]) -> list[Item]:
    return [entry for entry in side if isinstance(entry, Item)]


def _names_variable(side: Sequence[Entry]) -> bool:
    """Whether a side of an equation ends with the name of a variable."""
    last = side[-1] if side else None
    return isinstance(last, Atom) and last.kind == "word" and len(last.text.partition("_")[0]) == 1


def _is_formula(side: Sequence[Entry]) -> bool:
    """Whether a side of an equation holds a variable and more: 2x + 3, x^2 + y^2."""
    return any(item.why == FORMULA for item in _items(side))


def _read_last(text: str) -> Number | None:
    """The last number of a text in which none is stated."""
    entries = read_items(text)
    end = len(entries)
    for start in range(len(entries) - 1, -2, -1):
        entry = entries[start] if start >= 0 else None
        if entry is not None and not (isinstance(entry, Atom) and entry.kind in ("stop", "line")):
            continue
        sentence = entries[start + 1 : end]
        end = max(start, 0)
        items = _items(sentence)
        if not items:
            continue
        equals = [i for i, e in enumerate(sentence) if isinstance(e, Atom) and e.kind == "equals"]
        if equals and (
            items[-1].number is None or sum(_names_variable(sentence[:i]) for i in equals) > 1
        ):
            return _result(sentence, equals)
        return _main(sentence).number
    return None


def is_same_number(found: Number, right: Number, tolerance: float = 0, relative: float = 0) -> bool:
    """Whether two numbers are the same, or as near as a recipe allows."""
    apart = abs(found.value - right.value)
    allowed = max(Fraction(tolerance), Fraction(relative) * abs(right.value))
    if apart <= allowed or _is_rounded(found, right) or _is_rounded(right, found):
        return True
    single = _as_float32(right)
    return single is not None and _float32(found.value) == single


def _is_rounded(fraction: Number, decimal: Number) -> bool:
    """Whether a decimal is an endless fraction, rounded or cut at 6 digits or more.

    0.666667 is 2/3.
    """
    if fraction.places is not None or decimal.places is None or not _is_endless(fraction.value):
        return False
    digits = len(
        str(abs(decimal.value.numerator * 10**decimal.places // decimal.value.denominator))
    )
    if min(digits, decimal.places) < _FEWEST_DIGITS:
        return False
    # Seven and sixteen digits are what a float32 and a float64 hold: their last digit may be
    # further off.
    single = digits <= 9 and _float32(fraction.value) == _float32(decimal.value)
    double = digits >= 15 and _float(fraction.value) == _float(decimal.value)
    return single or double or abs(fraction.value - decimal.value) * 10**decimal.places < 1


def _is_endless(value: Fraction) -> bool:
    below = value.denominator
    for factor in (2, 5):
        while below % factor == 0:
            below //= factor
    return below > 1


def _as_float32(number: Number) -> float | None:
    """The value of a label that can only come from a float32: 0.10000000149011612 is 0.1."""
    if not number.places or len(str(number.value.numerator)) < _FEWEST_DIGITS:
        return None
    digits = len(str(abs(number.value.numerator * 10**number.places // number.value.denominator)))
    value = _float(number.value)
    return value if digits >= 10 and value is not None and _float32(number.value) == value else None


def _float(value: Fraction) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _float32(value: Fraction) -> float | None:
    try:
        return float(struct.unpack("f", struct.pack("f", float(value)))[0])
    except OverflowError:
        return None
