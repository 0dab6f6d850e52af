"""What an expression may say, as texts with <names> where the values differ.

Knows how Python makes texts, and nothing of problems. Invariant: two parts of one message never
come from two branches of one decision.

Backwards from a name it looks for the assignments that may reach it. Each text carries the way
that it is said: which branch, which `return`, which caller. Ways that contradict are not joined.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tools.source import Function, Module, Source, argument, called_as

_DEEPEST = 6
_MOST = 16
_PASSED = ("join", "str", "repr", "sorted", "visible", "one_line", "names", "next", "list")
_OF_ITSELF = ("replace", "split", "removeprefix", "removesuffix", "strip", "lower", "get", "items")
# What these say depends on the case alone.
_SAID = {
    "suggest": "Did you mean '<nearest>'? (or: Known here: <names>)",
    "close_match": "Did you mean '<nearest>'?",
    "name_list": "<names>",
    "first_line": "<what the library said>",
    "fault_text": "<why>",
}


@dataclass(frozen=True)
class Said:
    """One thing that may be said.

    text: with <names>.
    way: for each decision, what was decided.
    """

    text: str
    way: Mapping[str, str] = field(default_factory=dict)

    def joined(self, other: Said, between: str = "") -> Said | None:
        """Both, one behind the other; None where they are said in different cases."""
        if any(other.way.get(key, value) != value for key, value in self.way.items()):
            return None
        return Said(self.text + between + other.text, {**self.way, **other.way})

    def where(self, key: str, value: str) -> Said | None:
        """The same under one more decision."""
        return self.joined(Said("", {key: value}))


class Wording:
    """Reads expressions of one source."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def of(self, node: ast.expr | None, depth: int = 0) -> list[Said]:
        """What an expression may say; one <name> where that cannot be told."""
        if node is None:
            return [Said("")]
        found = self._known(node, depth) if depth < _DEEPEST else []
        return found if 0 < len(found) <= _MOST else [Said(f"<{placeholder(node)}>")]

    def pair(self, what: ast.expr | None, remedy: ast.expr | None) -> list[tuple[str, str]]:
        """Faults with the remedies that are said in the same case."""
        mark = "\0"
        both = _joined([self.of(what), [Said(mark)], self.of(remedy)])
        return [(one, other) for one, _, other in (said.text.partition(mark) for said in both)]

    def items(self, node: ast.expr, count: int) -> list[tuple[str, ...]]:
        """What `*node` may be, as so many texts."""
        mark = "\0"
        parts = [self._item(node, index, 0) for index in range(count)]
        split: list[list[Said]] = []
        for part in parts:
            split += [part, [Said(mark)]]
        return [tuple(said.text.split(mark)[:count]) for said in _joined(split[:-1])]

    def _known(self, node: ast.expr, depth: int) -> list[Said]:
        if isinstance(node, ast.Constant):
            return [Said(_shown(node.value))]
        if isinstance(node, ast.JoinedStr):
            return _joined([self._part(value, depth) for value in node.values])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return _joined([self.of(node.left, depth + 1), self.of(node.right, depth + 1)])
        if isinstance(node, ast.IfExp):
            key = ast.unparse(node.test)
            yes = _under(self.of(node.body, depth + 1), key, "yes")
            return [*yes, *_under(self.of(node.orelse, depth + 1), key, "no")]
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return [said for value in node.values for said in self.of(value, depth + 1)]
        if isinstance(node, ast.Name):
            return self._name(node, depth)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        return []

    def _part(self, node: ast.expr, depth: int) -> list[Said]:
        """A part of an f-string; a name in it is only followed where it is a few fixed texts."""
        if not isinstance(node, ast.FormattedValue):
            return self.of(node, depth)
        found = self.of(node.value, depth + 1)
        few = len(found) <= 3 and all(not said.text.startswith("<") for said in found)
        return found if few else [Said(f"<{placeholder(node.value)}>")]

    def _name(self, node: ast.Name, depth: int) -> list[Said]:
        function = self._source.function(node)
        if function is None:
            return self._constant(self._source.module(node), node.id, depth)
        if (whole := self._round(node)) is not None:
            return self._each(whole, depth + 1)
        found: list[Said] = []
        for value, way in reaching(self._source, node, function):
            if value is None:
                return []
            if isinstance(value, tuple):
                inner = self._item(value[0], value[1], depth + 1)
            else:
                inner = self.of(value, depth + 1)
            found += [kept for said in inner if (kept := said.joined(Said("", way)))]
        if found:
            return found
        if node.id in _parameters(function):
            return self._given(function, node.id, depth)
        return self._constant(self._source.module(node), node.id, depth)

    def _round(self, node: ast.Name) -> ast.expr | None:
        """What a name goes through, if it is the name of a comprehension."""
        for above in self._source.around(node):
            for part in getattr(above, "generators", ()):
                if isinstance(part, ast.comprehension) and ast.unparse(part.target) == node.id:
                    return part.iter
        return None

    def _each(self, node: ast.expr, depth: int) -> list[Said]:
        """What the items of a list may say."""
        if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            return self.of(node.elt, depth + 1)
        if isinstance(node, (ast.List, ast.Tuple)):
            return [said for item in node.elts for said in self.of(item, depth + 1)]
        inside = self._source.function(node)
        if not isinstance(node, ast.Name) or inside is None or depth > _DEEPEST:
            return []
        found: list[Said] = []
        for value, way in reaching(self._source, node, inside):
            if isinstance(value, ast.expr):
                said = self._each(value, depth + 1)
                found += [kept for one in said if (kept := one.joined(Said("", way)))]
        return found

    def _constant(self, module: Module, name: str, depth: int) -> list[Said]:
        value = self._source.constant(module, name)
        return [] if value is None else self.of(value, depth + 1)

    def _given(self, function: Function, name: str, depth: int) -> list[Said]:
        """What callers give a parameter."""
        found: list[Said] = []
        for call in self._source.calls_of(function):
            value = argument(call, function, name)
            if value is None:
                return []
            key = f"call of {function.name}"
            found += _under(self.of(value, depth + 1), key, str(id(call)))
        return found

    def _call(self, node: ast.Call, depth: int) -> list[Said]:
        name = called_as(node)
        if name in _SAID:
            return [Said(_SAID[name])]
        if name == "remedy_of" and len(node.args) == 2:
            return self.of(node.args[1], depth + 1)
        if name in ("str", "one_line", "visible") and node.args:
            return self.of(node.args[0], depth + 1)
        if name in ("rstrip", "strip", "removesuffix") and isinstance(node.func, ast.Attribute):
            return self.of(node.func.value, depth + 1)
        function = self._source.called(node)
        if function is None:
            return []
        found: list[Said] = []
        for back in _returns(function):
            said = self.of(back.value, depth + 1)
            found += _under(said, f"return of {function.name}", str(id(back)))
        return found

    def _item(self, node: ast.expr, index: int, depth: int) -> list[Said]:
        """What one item of a pair may say."""
        unknown = [Said(f"<{('what', 'remedy')[index % 2]}>")]
        if depth >= _DEEPEST:
            return unknown
        if isinstance(node, ast.Tuple) and index < len(node.elts):
            return self.of(node.elts[index], depth + 1)
        if isinstance(node, ast.IfExp):
            key = ast.unparse(node.test)
            yes = _under(self._item(node.body, index, depth + 1), key, "yes")
            return [*yes, *_under(self._item(node.orelse, index, depth + 1), key, "no")]
        if isinstance(node, ast.BoolOp):
            return [said for one in node.values for said in self._item(one, index, depth + 1)]
        if isinstance(node, ast.Call):
            return self._item_of_call(node, index, depth) or unknown
        if isinstance(node, ast.Name):
            return self._item_of_name(node, index, depth) or unknown
        return unknown

    def _item_of_call(self, node: ast.Call, index: int, depth: int) -> list[Said]:
        function = self._source.called(node)
        found: list[Said] = []
        for back in _returns(function) if function is not None else ():
            if back.value is not None and not _is_none(back.value):
                said = self._item(back.value, index, depth + 1)
                found += _under(said, f"return of {called_as(node)}", str(id(back)))
        return found

    def _item_of_name(self, node: ast.Name, index: int, depth: int) -> list[Said]:
        inside = self._source.function(node)
        found: list[Said] = []
        for value, way in reaching(self._source, node, inside) if inside is not None else ():
            if isinstance(value, ast.expr) and not _is_none(value):
                said = self._item(value, index, depth + 1)
                found += [kept for one in said if (kept := one.joined(Said("", way)))]
        return found


Reached = tuple["ast.expr | tuple[ast.expr, int] | None", dict[str, str]]


def reaching(source: Source, use: ast.Name, function: Function) -> list[Reached]:
    """The values that a name may have where it is used, with the way to each.

    A value is an expression, or an expression and the place in it; None where it cannot be told.
    """
    found: list[Reached] = []
    way: dict[str, str] = {}
    node: ast.AST = use
    for above in source.around(use):
        for block in _blocks(above):
            if node in block:
                # Hazard: the statement itself may assign the name that it reads.
                before = block[: block.index(node)]
                if _backwards(use.id, before, way, found):
                    return found
        if isinstance(above, (ast.If, ast.While, ast.IfExp)) and node is not above.test:
            for inner in ast.walk(above.test):
                if isinstance(inner, ast.NamedExpr) and inner.target.id == use.id:
                    return [*found, (inner.value, way)]
        if isinstance(above, ast.If) and node in (*above.body, *above.orelse):
            way = {**way, ast.unparse(above.test): "yes" if node in above.body else "no"}
        node = above
        if above is function:
            break
    return found


def _backwards(
    name: str, statements: list[ast.stmt], way: Mapping[str, str], found: list[Reached]
) -> bool:
    """Add the last assignments of some statements; return whether one is sure to have happened."""
    kept = dict(way)
    for statement in reversed(statements):
        value = _assigned(statement, name)
        if value is not False:
            found.append((value, kept))  # type: ignore[arg-type]
            return True
        if isinstance(statement, ast.If):
            key = ast.unparse(statement.test)
            sure = [
                _branch(name, block, {**kept, key: answer}, found)
                for block, answer in ((statement.body, "yes"), (statement.orelse, "no"))
            ]
            if all(sure):
                return True
            if any(sure):
                kept[key] = "no" if sure[0] else "yes"
        else:
            for block in _blocks(statement):
                _branch(name, block, kept, found)
    return False


def _branch(name: str, block: list[ast.stmt], way: Mapping[str, str], found: list[Reached]) -> bool:
    """As _backwards; a branch that leaves the function or the round reaches nothing behind it."""
    if block and isinstance(block[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break)):
        return True
    return _backwards(name, block, way, found)


def _assigned(statement: ast.stmt, name: str) -> object:
    """The value that a statement gives a name; False if it gives none."""
    if isinstance(statement, ast.Assign):
        target = statement.targets[0]
        if isinstance(target, ast.Name) and target.id == name:
            return statement.value
        places = map(ast.unparse, target.elts if isinstance(target, ast.Tuple) else ())
        found = [index for index, part in enumerate(places) if part == name]
        return (statement.value, found[0]) if found else False
    if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == name:
        return statement.value
    if isinstance(statement, ast.AugAssign) and ast.unparse(statement.target) == name:
        return None
    if isinstance(statement, ast.For) and name in _names(statement.target):
        return None
    return False


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for field_name in ("body", "orelse", "finalbody"):
        block = getattr(node, field_name, None)
        if isinstance(block, list):
            yield block
    for handler in getattr(node, "handlers", ()):
        yield handler.body


def _names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _parameters(function: Function) -> set[str]:
    arguments = function.args
    return {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}


def _returns(function: Function) -> Iterator[ast.Return]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            yield node


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _under(said: Iterable[Said], key: str, value: str) -> list[Said]:
    return [kept for one in said if (kept := one.where(key, value))]


def _joined(parts: Iterable[list[Said]]) -> list[Said]:
    whole = [Said("")]
    for part in parts:
        whole = [kept for one in whole for other in part if (kept := one.joined(other))]
        if len(whole) > _MOST * _MOST:
            return []
    return whole


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)


def placeholder(node: ast.expr) -> str:
    """A name for what an expression gives."""
    word = "text"
    if isinstance(node, ast.Call):
        return _of_call(node)
    if isinstance(node, ast.Name):
        word = node.id
    elif isinstance(node, ast.Attribute):
        word = "kind" if node.attr == "__name__" else node.attr
    elif isinstance(node, (ast.Subscript, ast.Starred, ast.Await, ast.FormattedValue)):
        return placeholder(node.value)
    elif isinstance(node, ast.BinOp):
        return placeholder(node.left)
    elif isinstance(node, (ast.GeneratorExp, ast.ListComp)):
        return placeholder(node.elt)
    elif isinstance(node, ast.JoinedStr):
        values = [one for one in node.values if isinstance(one, ast.FormattedValue)]
        return placeholder(values[0]) if values else word
    return _in_words(word)


def _of_call(node: ast.Call) -> str:
    name = called_as(node)
    if name == "len":
        return "number"
    if name in _PASSED and node.args:
        return placeholder(node.args[0])
    if name in _OF_ITSELF and isinstance(node.func, ast.Attribute):
        return placeholder(node.func.value)
    return _in_words(name.removesuffix("_of"))


def _in_words(name: str) -> str:
    return name.strip("_").replace("_", " ").lower() or "text"
