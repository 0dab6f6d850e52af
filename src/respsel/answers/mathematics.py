"""The kind `math`: expressions, sets, intervals, tuples and matrices, compared by value.

It takes the stated answer out of a response itself. It gives only that short piece to a process of
its own, which uses math-verify (math_worker).

Knows nothing of datasets. Invariant: no response takes longer than the worker's limit, however it
is written.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from importlib.metadata import version

from respsel.answers.digits import Number
from respsel.answers.numbers import is_same_number, read_one
from respsel.answers.plain import last_part
from respsel.answers.statements import statements
from respsel.answers.worker import Worker

PACKAGE = "math-verify"
# A longer piece is not an answer but a derivation.
LONGEST = 500
_DISPLAYED = re.compile(
    r"\$\$((?:[^$\\]|\\.){1,500})\$\$|\$((?:[^$\\]|\\.){1,500})\$|"
    r"\\\(([^\n]{1,500}?)\\\)|\\\[(.{1,500}?)\\\]",
    re.DOTALL,
)
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mbox)\s?\{([^{}]{0,80})\}")
_UNIT = re.compile(
    r"(?:\\,|~|\s){0,3}\\(?:text|mathrm|mbox)\s?\{\s?[^{}\d]{1,30}\}(?:\^\{?[23]\}?)?\.?$"
)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_KNOWN_WORDS = (
    "and sin cos tan cot sec csc log exp sqrt arcsin arccos arctan sinh cosh tanh lim max min gcd "
    "lcm det "
    "mod inf pmatrix bmatrix matrix vmatrix begin end cases array frac"
)
_KNOWN = frozenset(_KNOWN_WORDS.split())
_CONNECTED = re.compile(r"[\s.,;]*(?:and|or|,|;)?[\s.,;]*")
# sympy never finishes some inputs, so it runs where it can be ended.
_WORKER = Worker("-m", "respsel.answers.math_worker")
_EXPLAINED = re.compile(r",? (?:because|since|which|where|as|so|for)\b")


def read_math(text: str) -> str | None:
    """The piece of mathematics that a text states, else its last formula or line."""
    for statement in statements(text):
        content = statement.content.strip()
        if statement.boxed:
            return _piece(content)
        if content:
            return _piece(_said(content))
    if len(text) <= LONGEST and "\n" not in text.strip():
        return _piece(_said(text.strip()))
    end = last_part(text, 4 * LONGEST)
    formulas = list(_DISPLAYED.finditer(end))
    return _piece(_inner(formulas[-1]) if formulas else end.strip().rpartition("\n")[2])


def math_label_problem(label: str) -> str:
    """Why a label is not mathematics that can be compared; nothing if it is."""
    piece = read_math(label)
    if piece is None:
        return "is longer than an answer"
    if isinstance(read_one(piece), Number):
        return ""
    if any(word.casefold() not in _KNOWN for word in _WORD.findall(piece)):
        return "is words, no mathematics"
    return "" if _compare(piece, piece)[0] else "cannot be read as mathematics"


def is_same_math(found: str, right: str) -> bool:
    """Whether two pieces of mathematics have the same value."""
    if found.replace(" ", "") == right.replace(" ", ""):
        return True
    mine = read_one(found)
    theirs = read_one(right)
    if isinstance(mine, Number) and isinstance(theirs, Number):
        return is_same_number(mine, theirs)
    return _compare(found, right)[1]


def package_version() -> str:
    """The version of math-verify, which results depend on."""
    return version(PACKAGE)


def _said(content: str) -> str:
    """The formula of a stated line, or the line without its explanation."""
    opened = _DISPLAYED.match(content)
    line = (
        content.partition("\n")[0]
        if opened is None or (opened[1] is None and opened[4] is None)
        else opened.group()
    )
    formulas = list(_DISPLAYED.finditer(line))
    if not formulas:
        return _EXPLAINED.split(line)[0]
    parts = [_inner(formulas[0])]
    for before, formula in itertools.pairwise(formulas):
        if not _CONNECTED.fullmatch(line[before.end() : formula.start()]):
            break
        parts.append(_inner(formula))
    return ", ".join(parts)


def _inner(formula: re.Match[str]) -> str:
    return next(group for group in formula.groups() if group is not None)


def _piece(text: str) -> str | None:
    """A piece for math-verify: without words' commands, a unit, marks around it, a full stop."""
    text = " ".join(text.split()).strip("*` ").removesuffix(".").strip("$ ")
    text = _UNIT.sub("", text) or text
    text = _TEXT.sub(lambda found: f" {found[1].strip()} ", text)
    text = " ".join(
        text.replace("\u2212", "-").replace("π", "\\pi ").replace("√", "\\sqrt ").split()
    )
    text = re.sub(r"(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi ", text)
    return text if 0 < len(text) <= LONGEST else None


@lru_cache(maxsize=4096)
def _compare(found: str, right: str) -> tuple[bool, bool]:
    """Whether the right one can be read, and whether both are the same."""
    answer = _WORKER.ask([found, right])
    # It ran into its limit of time, and ended.
    readable, same = answer or (False, False)
    return bool(readable), bool(same)
