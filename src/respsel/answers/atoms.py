"""A text as a sequence of atoms: numbers, words, and the signs between them.

A number has its fractions, powers and percents. Knows how one number is written, LaTeX included,
but not which number answers a question. Invariant: a text is read once from its beginning to its
end, whatever it contains.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from respsel.answers.digits import Number, over, parse_digits, raised, repeating, times_power

# bad: digits that are not a single number (a date, several numbers, an expression).
# math: a root, a variable, a function.
Kind = Literal[
    "number",
    "bad",
    "math",
    "word",
    "op",
    "equals",
    "comma",
    "open",
    "close",
    "stop",
    "line",
    "money",
    "unit",
]


@dataclass(frozen=True)
class Atom:
    """A piece of a text.

    kind: what it is.
    text: how it is written.
    start: where it begins in the text.
    end: where it ends.
    number: its value, if it is a number.
    """

    kind: Kind
    text: str
    start: int
    end: int
    number: Number | None = None


_LETTERS = "A-Za-zªµºÀ-ÖØ-öø-\u02af\u0370-\u1fff"
_TOKEN = re.compile(
    rf"""(?P<digits>(?:\d+(?:(?:[.,'_]|[ ](?=\d{{3}}(?!\d)))\d+)*|(?<![\d.])\.\d+)
        (?:[eE][-+]?\d{{1,9}}(?!\w))?)
    |(?P<vulgar>[¼½¾⅐-⅞↉])
    |(?P<command>\\[A-Za-z]+)
    |(?P<money>(?:USD|EUR|GBP|INR|JPY|CNY|RMB|CHF|AUD|CAD|Rs\.?|kr)(?=[ ]?\d)|[$€£¥₹₽₩฿¢])
    |(?P<word>[{_LETTERS}][{_LETTERS}\d_']*|[^\W\d_])
    |(?P<line>\n)
    |(?P<sign>[^\s])""",
    re.VERBOSE,
)
_FRACTIONS = {"frac", "dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"}
_TEXTS = {
    *("text textbf textit textrm texttt mathrm mathbf mathit mathsf mathtt mbox hbox").split(),
    *("boxed fbox emph underline operatorname displaystyle textstyle big Big bigg Bigg").split(),
    *(
        "bf rm it textnormal boldsymbol mathnormal therefore color quad qquad unit ldots dots"
    ).split(),
}
_TIMES = {"times", "cdot", "ast", "div"}
_UNITS = {"circ", "degree", "mu", "Omega", "angstrom", "prime", "celsius"}
_REPEATS = {"overline", "bar", "dot"}
_SCALES = {
    **dict.fromkeys(("hundred",), 2),
    **dict.fromkeys(("thousand", "thousands", "tausend", "mille", "тысяч", "тысячи"), 3),
    **dict.fromkeys(("lakh", "lakhs"), 5),
    **dict.fromkeys(
        ("million millions millionen millones millón milhões milioni miljoen mln").split(),
        6,
    ),
    **dict.fromkeys(("миллион", "миллиона", "миллионов"), 6),
    **dict.fromkeys(("crore", "crores"), 7),
    **dict.fromkeys(
        ("billion billions bn milliarde milliarden milliard milliards miljard").split(),
        9,
    ),
    **dict.fromkeys(("trillion", "trillions"), 12),
    **dict.fromkeys(("万", "萬", "만"), 4),
    **dict.fromkeys(("亿", "億", "억"), 8),
}
# Behind an amount of money these are not units: $5k, $2M, $3B.
_MONEY_SCALES = {"k": 3, "K": 3, "m": 6, "M": 6, "b": 9, "B": 9}
VARIABLES = frozenset("abijnpqruvwxyzXYZe") | {"xy", "yz", "xyz", "ab", "abc"}
# 0x10, 8x5, 2h30, 5 R2: no unit has such a name, except m2 and m3.
_DIGIT_BEHIND = re.compile(r"(?!m[23]$)[A-Za-z]\d+")
_GREEK = re.compile(r"π|[α-λν-ω]$")
_MATH_SIGNS = set("^<>√∞∪∩∈±≤≥≠∫∑∅")
_SIGNS: dict[str, Kind] = {
    "=": "equals",
    **dict.fromkeys("+-*/:", "op"),
    **dict.fromkeys(",;", "comma"),
    **dict.fromkeys("([{", "open"),
    **dict.fromkeys(")]}", "close"),
    **dict.fromkeys(".?!", "stop"),
    **dict.fromkeys("%°‰℃℉", "unit"),
}
_IGNORED = set("\\\"'`#&~_@|…“”„«»◦•")
# A star behind one of these multiplies; other stars make a text bold.
_LEFT = ("number", "close", "math")
_DEEPEST = 12


class Reader:
    """Reads a text in plain spelling from the left to the right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [
            (str(m.lastgroup), m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)
        ]
        self._closes = self._match_braces()
        self._ends = [i for i, token in enumerate(self._tokens) if token[1] == "\\end"]
        self._sets: set[int] = set()
        self._at = 0

    def atoms(self) -> list[Atom]:
        """All atoms of the text."""
        return self._read(len(self._tokens), 0)

    def _match_braces(self) -> dict[int, int]:
        opened: list[int] = []
        closes = {}
        for i, (_, text, _, _) in enumerate(self._tokens):
            if text == "{":
                opened.append(i)
            elif text == "}" and opened:
                closes[opened.pop()] = i
        return closes

    def _read(self, end: int, depth: int) -> list[Atom]:
        found: list[Atom] = []
        while self._at < end:
            kind, text, start, stop = self._tokens[self._at]
            if kind in ("digits", "vulgar") or (kind == "command" and text[1:] in _FRACTIONS):
                found.append(self._number(depth, bool(found) and found[-1].kind == "money"))
                continue
            self._at += 1
            if kind == "command":
                self._command(text[1:], start, stop, found)
            elif kind == "word":
                self._word(text, start, stop, found)
            elif kind in ("money", "line"):
                found.append(Atom(kind, text, start, stop))  # type: ignore[arg-type]
            else:
                self._sign(text, start, stop, found)
        return found

    def _command(self, name: str, start: int, stop: int, found: list[Atom]) -> None:
        if name in _TEXTS:
            return
        if name in _UNITS:
            found.append(Atom("unit", name, start, stop))
        elif name in _TIMES:
            found.append(Atom("op", "/" if name == "div" else "*", start, stop))
        else:
            found.append(Atom("math", name, start, stop))
            later = bisect_left(self._ends, self._at)
            if name == "begin" and later < len(self._ends):
                # A matrix or the like: all of it is one expression.
                self._at = self._ends[later] + 1

    def _word(self, text: str, start: int, stop: int, found: list[Atom]) -> None:
        """A word with what is raised or set below it: cm^2, m/s^2, x_{1}, CO_2."""
        before = found[-1] if found else None
        stop = self._raised(stop)
        touches = before is not None and before.kind in ("number", "math") and before.end == start
        behind = before is not None and (
            before.kind == "number" or (before.kind == "op" and before.text != ":")
        )
        ends = self._at >= len(self._tokens) or self._tokens[self._at][0] in (
            "sign",
            "line",
            "command",
            "digits",
        )
        is_part = before is not None and before.kind == "number" and (touches or text[0] in "rR")
        if (
            (is_part and _DIGIT_BEHIND.fullmatch(text))
            or _GREEK.match(text)
            or (text in VARIABLES and (touches or (behind and ends)))
        ):
            found.append(Atom("math", text, start, stop))
        else:
            found.append(Atom("word", text, start, stop))

    def _raised(self, stop: int) -> int:
        """Step over exponents and indexes at the end of a word, and over a unit behind a slash."""
        while self._at < len(self._tokens) and self._tokens[self._at][2] == stop:
            text = self._tokens[self._at][1]
            if text in ("^", "_") and self._at + 1 < len(self._tokens):
                self._at += 1
                if self._tokens[self._at][1] == "-" and self._at + 1 < len(self._tokens):
                    self._at += 1
                self._at = self._closes.get(self._at, self._at) + 1
            elif (
                text == "}"
                and self._at + 1 < len(self._tokens)
                and self._tokens[self._at + 1][1] == "^"
            ):
                self._at += 1
            elif (
                text == "/"
                and self._at + 1 < len(self._tokens)
                and self._tokens[self._at + 1][0] == "word"
            ):
                self._at += 2
            else:
                break
            stop = self._tokens[self._at - 1][3]
        return stop

    def _sign(self, text: str, start: int, stop: int, found: list[Atom]) -> None:
        last = self._tokens[self._at - 2] if self._at > 1 else None
        if text == "}" and self._at - 1 not in self._sets:
            return
        if text == "{":
            if last is not None and (last[0] == "command" or last[1] in ("^", "_", "}")):
                return
            self._sets.add(self._closes.get(self._at - 1, -1))
        if text in _IGNORED:
            return
        if text == "*" and (
            "**" in self._text[max(0, start - 1) : stop + 1]
            or not (found and found[-1].kind in _LEFT)
        ):
            return
        if text in "<>" and (
            "<<" in self._text[max(0, start - 1) : stop + 1]
            or ">>" in self._text[max(0, start - 1) : stop + 1]
        ):
            return
        kind = _SIGNS.get(text, "math" if text in _MATH_SIGNS else "word")
        found.append(Atom(kind, text, start, stop))

    # One number: what follows its digits belongs to it as long as it can.

    def _number(self, depth: int, money: bool) -> Atom:
        start = self._tokens[self._at][2]
        number = self._simple(depth)
        if (
            number is not None
            and number.value.denominator == 1
            and number.places == 0
            and self._peek_fraction()
        ):
            before = self._at
            part = self._simple(depth)
            if part is not None and self._peek("/"):
                part = self._divided(part, depth)
            if part is not None and 0 < part.value < 1 and part.places is None:
                number = Number(number.value + part.value, None)
            else:
                number = None
                self._at = max(self._at, before + 1)
        elif number is not None and self._peek("/") and self._kind(1) in ("digits", "vulgar"):
            number = self._divided(number, depth)
        if number is not None:
            number = self._scaled(number, money)
        stop = self._tokens[self._at - 1][3]
        return Atom(
            "bad" if number is None else "number", self._text[start:stop], start, stop, number
        )

    def _simple(self, depth: int) -> Number | None:
        """Digits, a vulgar fraction or a LaTeX fraction, with its power."""
        kind, text, _, stop = self._tokens[self._at]
        self._at += 1
        if kind in ("vulgar", "command"):
            part = _vulgar(text) if kind == "vulgar" else self._fraction(depth)
            return self._power(part, self._tokens[self._at - 1][3])
        number = parse_digits(text)
        if (again := self._repeated(text)) is not None:
            return again
        if self._peek("_", stop) and (self._kind(1) == "digits" or self._peek("{", stop + 1, 1)):
            # A number in another base than ten.
            self._at += 1
            self._at = self._closes.get(self._at, self._at) + 1
            return None
        return self._power(number, stop)

    def _repeated(self, text: str) -> Number | None:
        at = self._at + (self._peek(".") and "." not in text)
        if (
            at + 2 >= len(self._tokens)
            or self._tokens[at][1][1:] not in _REPEATS
            or self._tokens[at][0] != "command"
        ):
            return None
        whole = text if "." in text else f"{text}."
        cycle = self._tokens[at + 2][1]
        close = self._closes.get(at + 1)
        if close != at + 3:
            return None
        self._at = close + 1
        return repeating(whole, cycle)

    def _power(self, number: Number | None, stop: int) -> Number | None:
        if not self._peek("^", stop):
            return number
        at = self._at + 1
        end = self._closes.get(at, -1)
        words = (
            self._tokens[at + 1 : end]
            if end > 0
            else self._tokens[at : at + 1 + (self._peek("-", offset=1))]
        )
        written = "".join(word[1] for word in words).lstrip("+")
        if written in ("\\circ", "o", "\\degree", "'", "\\prime"):
            self._at = end + 1 if end > 0 else at + 1
            return number
        self._at = end + 1 if end > 0 else at + len(words)
        whole = re.fullmatch(r"-?\d{1,4}", written)
        return raised(number, int(written)) if whole and number is not None else None

    def _fraction(self, depth: int) -> Number | None:
        above = self._argument(depth, 0)
        below = self._argument(depth, 1)
        return over(above, below) if above is not None and below is not None else None

    def _argument(self, depth: int, place: int) -> Number | None:
        """One argument of a fraction: in braces, or a single digit."""
        if self._at >= len(self._tokens):
            return None
        close = self._closes.get(self._at)
        if close is not None:
            self._at += 1
            inner = self._read(close, depth + 1) if depth < _DEEPEST else []
            self._at = close + 1
            return _only(inner)
        kind, text, start, stop = self._tokens[self._at]
        if kind != "digits":
            return None
        # Of \frac12 the first digit is above, the second below; what follows is not part of it.
        if len(text) == 1:
            self._at += 1
        else:
            self._tokens[self._at] = (kind, text[1:], start + 1, stop)
        return parse_digits(text[0]) if text[0].isdigit() else None

    def _divided(self, above: Number, depth: int) -> Number | None:
        self._at += 1
        below = self._simple(depth)
        if self._peek("/") and self._kind(1) == "digits":
            # 5/12/2023 is a date.
            self._at += 2
            return None
        return over(above, below) if below is not None else None

    def _scaled(self, number: Number, money: bool) -> Number | None:
        """The number times a power of ten, as digits (x 10^8) or as a word."""
        kind, text, start, _ = (
            self._tokens[self._at] if self._at < len(self._tokens) else ("", "", -1, -1)
        )
        behind = self._tokens[self._at + 1 : self._at + 3]
        times = text in ("*", "x", "X", "\\times", "\\cdot") and len(behind) == 2
        if times and behind[0][1] == "10" and behind[1][1] == "^":
            self._at += 2
            power = self._power(parse_digits("10"), behind[0][3])
            if power is None or number.places is None:
                return None
            exponent = len(str(power.value.numerator)) - len(str(power.value.denominator))
            return times_power(number, exponent)
        stop = self._tokens[self._at - 1][3]
        scale = _SCALES.get(text.casefold()) if kind == "word" and start - stop <= 1 else None
        if start == stop and scale is None:
            scale = _MONEY_SCALES.get(text) if money else (3 if text == "k" else None)
        if scale is not None:
            self._at += 1
            return times_power(number, scale)
        return number

    def _peek(self, text: str, start: int = -1, offset: int = 0) -> bool:
        at = self._at + offset
        return (
            at < len(self._tokens)
            and self._tokens[at][1] == text
            and start in (-1, self._tokens[at][2])
        )

    def _kind(self, offset: int) -> str:
        return self._tokens[self._at + offset][0] if self._at + offset < len(self._tokens) else ""

    def _peek_fraction(self) -> bool:
        r"""Whether a fraction follows that makes a mixed number: 2 1/2, 2½, 1\frac{1}{2}."""
        if self._at >= len(self._tokens):
            return False
        kind, text, start, _ = self._tokens[self._at]
        if start - self._tokens[self._at - 1][3] > 1:
            return False
        plain = (
            kind == "digits"
            and self._peek("/", offset=1)
            and self._kind(2) == "digits"
            and text.isdigit()
        )
        return plain or kind == "vulgar" or (kind == "command" and text[1:] in _FRACTIONS)


def _vulgar(text: str) -> Number | None:
    import unicodedata

    value = Fraction(unicodedata.numeric(text)).limit_denominator(20)
    return Number(value, None)


def _only(atoms: list[Atom]) -> Number | None:
    """The number that atoms are, with a sign at most."""
    sign = 1
    while atoms and (atoms[0].kind == "money" or atoms[0].text in ("-", "+")):
        sign = -sign if atoms[0].text == "-" else sign
        atoms = atoms[1:]
    if len(atoms) != 1 or atoms[0].number is None:
        return None
    return Number(sign * atoms[0].number.value, atoms[0].number.places)
