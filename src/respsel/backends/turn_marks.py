"""Marks around what a chat template writes for each message and in its generation blocks.

The template's syntax tree gets two more words in every loop, one at each end of a round. They write
a private mark where the loop's variable is a message, and nothing for all else. So reversed loops,
`messages[1:]` and macros need no rules of their own.

Knows no tokenizer and no rule of a trainer. Invariant: a text that is read without its marks is
compared with the plain one by the caller, so marks never change what is trained.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.utils import pass_context

from respsel.sandbox.environment import BoundedEnvironment

# No template can spell these names, for they have a blank.
_BEGIN = "begin turn"
_END = "end turn"
_BEGIN_BLOCK = "begin block"
_END_BLOCK = "end block"
_GIVEN = "turn marks"
# Private characters in blocks of 16: four signs and ten digits. Texts seldom have any of them.
_FIRST_BLOCK = 0xF0000
_BLOCK_SIZE = 16
_N_BLOCKS = 4000
_SIGNS = {_BEGIN: 0, _END: 1, _BEGIN_BLOCK: 2, _END_BLOCK: 3}
_DIGITS = 4


@dataclass(frozen=True)
class Piece:
    """A stretch of a rendered text between two marks.

    place: the message that it is written for; None for the template's own words.
    start, end: where it is in the text without marks.
    generated: whether it is in a generation block.
    """

    place: int | None
    start: int
    end: int
    generated: bool


class TurnMarks:
    """The marks of one rendering.

    They are made of characters that the plain text does not have.
    """

    def __init__(self, block: int) -> None:
        self._first = _FIRST_BLOCK + block * _BLOCK_SIZE

    @classmethod
    def beside(cls, text: str) -> TurnMarks | None:
        """Marks that a text does not hold; None if it holds all of them."""
        if text.isascii():
            return cls(0)
        used = {(ord(character) - _FIRST_BLOCK) // _BLOCK_SIZE for character in {*text}}
        free = next((block for block in range(_N_BLOCKS) if block not in used), None)
        return None if free is None else cls(free)

    def given(self, turns: Iterable[tuple[int, object]]) -> Mapping[str, Any]:
        """What a marked template is given besides its own variables.

        turns: each message's place and the object that the template gets for it.
        """
        return {_GIVEN: (self, {id(turn): place for place, turn in turns})}

    def sign(self, name: str, place: int | None = None) -> str:
        """One mark."""
        digits = "" if place is None else str(place)
        numbers = (_SIGNS[name], *(_DIGITS + int(digit) for digit in digits))
        return "".join(chr(self._first + number) for number in numbers)

    def read(self, text: str) -> tuple[str, list[Piece]] | None:
        """A marked text without its marks, and its pieces in order.

        None where the marks do not fit together, since the template cut or repeated some.
        """
        found = re.split(f"([{self._span(0, 3)}][{self._span(_DIGITS, _DIGITS + 9)}]*)", text)
        reader = _Reader()
        for number, part in enumerate(found):
            if number % 2 == 0:
                reader.write(part)
            elif not reader.mark(*self._meaning(part)):
                return None
        return reader.result()

    def _span(self, first: int, last: int) -> str:
        return f"{chr(self._first + first)}-{chr(self._first + last)}"

    def _meaning(self, mark: str) -> tuple[int, int | None]:
        sign, *digits = (ord(character) - self._first for character in mark)
        place = "".join(str(digit - _DIGITS) for digit in digits)
        return sign, int(place) if place else None


class _Reader:
    """Puts the pieces of a marked text together."""

    def __init__(self) -> None:
        self._written: list[str] = []
        self._pieces: list[Piece] = []
        self._at = 0
        self._open: list[int] = []
        self._blocks = 0

    def write(self, text: str) -> None:
        """Take text between marks."""
        if not text:
            return
        place = self._open[-1] if self._open else None
        end = self._at + len(text)
        self._pieces.append(Piece(place, self._at, end, self._blocks > 0))
        self._written.append(text)
        self._at = end

    def mark(self, sign: int, place: int | None) -> bool:
        """Take a mark, and say whether it fits."""
        if sign in (_SIGNS[_BEGIN_BLOCK], _SIGNS[_END_BLOCK]):
            self._blocks += 1 if sign == _SIGNS[_BEGIN_BLOCK] else -1
            return place is None and self._blocks >= 0
        if place is None:
            return False
        if sign == _SIGNS[_BEGIN]:
            self._open.append(place)
            return True
        return bool(self._open) and self._open.pop() == place

    def result(self) -> tuple[str, list[Piece]] | None:
        """All that was taken; None if a mark is left open."""
        if self._open or self._blocks:
            return None
        return "".join(self._written), self._pieces


class MarkedEnvironment(BoundedEnvironment):
    """Compiles templates that write marks. It keeps the bounds of all templates."""

    def __init__(self, **options: Any) -> None:
        extensions = [*options.pop("extensions"), _MarkedGeneration]
        super().__init__(extensions=extensions, **options)
        # They take no longer for a longer message, so they have no price.
        self.filters |= {_BEGIN: _turn_mark(_BEGIN), _END: _turn_mark(_END)}
        self.filters |= {name: _block_mark(name) for name in (_BEGIN_BLOCK, _END_BLOCK)}
        self.has_blocks = False

    def _parse(self, *args: Any, **options: Any) -> nodes.Template:
        tree = super()._parse(*args, **options)
        self.has_blocks = next(_blocks(tree), None) is not None
        tree.body = _Marker(None).statements(tree.body)
        tree.set_environment(self)
        return tree


class _MarkedGeneration(Extension):
    """`{% generation %}` with a mark at each end."""

    tags: set[str] = {"generation"}  # noqa: RUF012  # an instance variable, says jinja2

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return what stands within it, between marks."""
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        ends = [_output(name, nodes.Const(""), lineno) for name in (_BEGIN_BLOCK, _END_BLOCK)]
        return [ends[0], *body, ends[1]]


def _blocks(tree: nodes.Template) -> Iterator[nodes.Filter]:
    return (found for found in tree.find_all(nodes.Filter) if found.name == _BEGIN_BLOCK)


def _turn_mark(name: str) -> Callable[..., str]:
    @pass_context
    def mark(context: Context, value: object, *within: object) -> str:
        """within: the variables of the loop around it, which go before it if one is a message."""
        marks, places = context.parent[_GIVEN]
        if id(value) not in places or any(id(other) in places for other in within):
            return ""
        text: str = marks.sign(name, places[id(value)])
        return text

    return mark


def _block_mark(name: str) -> Callable[..., str]:
    @pass_context
    def mark(context: Context, value: object) -> str:
        text: str = context.parent[_GIVEN][0].sign(name)
        return text

    return mark


def _output(name: str, value: nodes.Expr, lineno: int, within: Sequence[str] = ()) -> nodes.Node:
    args: list[nodes.Expr] = [nodes.Name(other, "load") for other in within]
    marked = nodes.Filter(value, name, args, [], None, None)
    return nodes.Output([marked]).set_lineno(lineno)


class _Marker:
    """Writes marks into the statements of one loop, or of no loop.

    variables: the loop's own variables; None outside of loops.
    """

    def __init__(self, variables: Sequence[str] | None) -> None:
        self._variables = variables
        # What is to be written before the round is left.
        self._ends: list[nodes.Node] = []

    def statements(self, body: list[nodes.Node]) -> list[nodes.Node]:
        """Statements with marks in them."""
        marked: list[nodes.Node] = []
        n_open = len(self._ends)
        for statement in body:
            if type(statement) in _LEAVING:
                marked += reversed(self._ends)
            self._within(statement)
            marked.append(statement)
            if name := self._taken(statement):
                marked.append(self._open(name, statement.lineno, self._variables or ()))
        marked += reversed(self._ends[n_open:])
        del self._ends[n_open:]
        return marked

    def _open(self, name: str, lineno: int, within: Sequence[str] = ()) -> nodes.Node:
        self._ends.append(_output(_END, nodes.Name(name, "load"), lineno, within))
        return _output(_BEGIN, nodes.Name(name, "load"), lineno, within)

    def _taken(self, statement: nodes.Node) -> str:
        """The name of a message that a loop over numbers takes from the list of messages."""
        if self._variables is None or not isinstance(statement, nodes.Assign):
            return ""
        taken = isinstance(statement.node, nodes.Getitem)
        is_name = isinstance(statement.target, nodes.Name)
        return statement.target.name if taken and is_name else ""  # type: ignore[attr-defined]

    def _within(self, statement: nodes.Node) -> None:
        if isinstance(statement, nodes.For):
            statement.body = _round(statement)
            statement.else_ = self.statements(statement.else_)
            return
        inner = _Marker(None) if isinstance(statement, _ALONE) else self
        for field, value in list(statement.iter_fields()):
            if isinstance(value, list) and value and isinstance(value[0], nodes.Stmt):
                setattr(statement, field, inner.statements(value))

    def round(self, loop: nodes.For) -> list[nodes.Node]:
        """The body of a loop, between marks for its variables."""
        begins = [self._open(name, loop.lineno) for name in self._variables or ()]
        body = self.statements(loop.body)
        return [*begins, *body, *reversed(self._ends)]


def _round(loop: nodes.For) -> list[nodes.Node]:
    """The marked body of a loop. A variable that it sets anew is kept under another name."""
    names = _names(loop.target)
    stored = (name for statement in loop.body for name in statement.find_all(nodes.Name))
    anew = {name.name for name in stored if name.ctx == "store"}
    kept = {name: f"{name}_of_this_round" for name in names if name in anew}
    keep = [
        nodes.Assign(nodes.Name(other, "store"), nodes.Name(name, "load")).set_lineno(loop.lineno)
        for name, other in kept.items()
    ]
    return [*keep, *_Marker([kept.get(name, name) for name in names]).round(loop)]


_LEAVING = (nodes.Break, nodes.Continue)
# A round of the loop around them cannot be left from within these.
_ALONE = (nodes.Macro, nodes.CallBlock, nodes.Block)


def _names(target: nodes.Node) -> list[str]:
    if isinstance(target, nodes.Name):
        return [target.name]
    return [name.name for name in target.find_all(nodes.Name)]
