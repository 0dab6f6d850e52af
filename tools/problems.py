"""Every message of the package: what is wrong, what to do, and which exit code it ends with.

Reads the source and runs nothing. Invariant: each place that makes a `Problem` has at least one
entry, with the texts that it can have there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tools.source import Function, Source, argument, called_as
from tools.wording import Wording, reaching

ERRORS = {"RespselError": 1, "InputError": 2, "PreflightError": 3, "StoreError": 4, "RunError": 1}
WARNING = "warning"
# Functions that raise what they are given.
_RAISING = {"raise_problems": "2", "stop_at_many": "2"}
_KEPT_IN = {"damage": WARNING, "lost": WARNING}


@dataclass(frozen=True)
class Message:
    """What one place in the source may say.

    room: the folder of the package that it is in.
    file: the file within the package, and the line.
    what: the fault, with <names>.
    remedy: what to do.
    codes: the exit codes that it can end with, or "warning".
    """

    room: str
    file: str
    what: str
    remedy: str
    codes: tuple[str, ...]


def messages(source: Source) -> list[Message]:
    """All messages of a package, each once for a room."""
    wording = Wording(source)
    fates = _Fates(source)
    found: dict[tuple[str, str, str], Message] = {}
    said = sites(source)
    for site in said:
        module = source.module(site.call)
        codes = tuple(sorted(fates.of_site(site)))
        place = f"{module.name}:{site.call.lineno}"
        for what, remedy in _texts(site, wording):
            message = Message(module.room, place, what.strip(), remedy.strip(), codes)
            if message.what and not _is_bare(message.what):
                found.setdefault((module.room, message.what, message.remedy), message)
    for site, codes in _carried(source, said, fates):
        module = source.module(site.call)
        for what, remedy in _texts(site, wording):
            if what.strip() and not _is_bare(what):
                advice = "" if _is_bare(remedy) else remedy
                place = f"{module.name}:{site.call.lineno}"
                message = Message(module.room, place, what.strip(), advice.strip(), codes)
                found.setdefault((module.room, what, advice), message)
    return list(found.values())


def _carried(
    source: Source, said: Sequence[Site], fates: _Fates
) -> Iterator[tuple[Site, tuple[str, ...]]]:
    """What a class of the package's own carries to a problem: a fault with its remedy.

    It ends as the problems do that are made of it: in its module, or where it is known.
    """
    makers: dict[str, tuple[Function, tuple[str, ...]]] = {}
    for node in source.nodes():
        if isinstance(node, ast.ClassDef) and node.name != "Problem" and (maker := _carrier(node)):
            home = source.module(node)
            made = [site for site in said if source.module(site.call) is home]
            made = made or [site for site in said if _unpacks(site, source, node)]
            ends = sorted({code for site in made for code in fates.of_site(site)})
            makers[node.name] = (maker, tuple(ends))
    for node in source.nodes():
        if isinstance(node, ast.Call) and called_as(node) in makers:
            maker, codes = makers[called_as(node)]
            yield _site(node, "what", "remedy", maker), codes


def _unpacks(site: Site, source: Source, kind: ast.ClassDef) -> bool:
    """Whether a problem is made of what a class carries: in its room, or where it is imported."""
    is_carried = site.what is not None and ".what" in ast.unparse(site.what)
    here = source.module(site.call)
    return is_carried and (here.room == source.module(kind).room or kind.name in here.imports)


def _carrier(kind: ast.ClassDef) -> Function | None:
    """How a class is made, if it is made of a fault and a remedy."""
    maker = _maker(kind)
    if maker is None:
        fields = [one for one in kind.body if isinstance(one, ast.AnnAssign)]
        if not {"what", "remedy"} <= {ast.unparse(one.target) for one in fields}:
            return None
        given = [
            ast.unparse(one.target) + (f"={ast.unparse(one.value)}" if one.value else "")
            for one in fields
        ]
        maker = _function(f"def __init__(self, {', '.join(given)}): ...")
    named = {one.arg for one in maker.args.args} if maker is not None else set()
    return maker if {"what", "remedy"} <= named else None


def reasons(source: Source) -> list[Message]:
    """What else is raised in words: it stands in a message, behind what it is about."""
    wording = Wording(source)
    kinds = {node.name: node for node in source.nodes() if isinstance(node, ast.ClassDef)}
    found: dict[tuple[str, str], Message] = {}
    for call, what, remedy in _raised(source, kinds):
        module = source.module(call)
        for text, advice in wording.pair(what, remedy):
            if " " in text and not _is_bare(text):
                place = f"{module.name}:{call.lineno}"
                kept = "" if _is_bare(advice) else advice
                found.setdefault((module.room, text), Message(module.room, place, text, kept, ()))
    return list(found.values())


Raised = tuple[ast.Call, ast.expr, ast.expr | None]


def _raised(source: Source, kinds: Mapping[str, ast.ClassDef]) -> Iterator[Raised]:
    """What makes an exception that is not the user's own: the call, its fault and its remedy."""
    for node in source.nodes():
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = called_as(node)
        if name in kinds and _carrier(kinds[name]) is not None:
            continue
        if name == "ValueError":
            yield node, node.args[0], None
        elif name in kinds and (bases := _bases(kinds, name)) and bases[-1].endswith("Exception"):
            makers = [_maker(kinds[base]) for base in (name, *bases) if base in kinds]
            maker = next((one for one in makers if one is not None), None)
            if maker is None:
                yield node, node.args[0], None
            elif (what := argument(node, maker, _first_of(maker))) is not None:
                yield node, what, argument(node, maker, "remedy")


def _bases(kinds: Mapping[str, ast.ClassDef], name: str) -> list[str]:
    """The bases of a class, outwards, down to the first that is not the package's own."""
    found: list[str] = []
    while name in kinds and kinds[name].bases:
        name = ast.unparse(kinds[name].bases[0])
        found.append(name)
    if found and found[-1] in ("ValueError", "TemplateRuntimeError", "OpenAIError"):
        found.append("Exception")
    return [] if set(found) & set(ERRORS) else found


def _maker(kind: ast.ClassDef) -> Function | None:
    named = (node for node in kind.body if isinstance(node, Function))
    return next((node for node in named if node.name == "__init__"), None)


def _first_of(maker: Function) -> str:
    names = [one.arg for one in maker.args.args[1:]]
    return "what" if "what" in names else names[0] if names else ""


@dataclass(frozen=True)
class Site:
    """A place that says what is wrong.

    call: where it is said. what, remedy: the words.
    pair: both, where they are given as one.
    inside: what makes the problem in the end, if that is a function which this place calls.
    """

    call: ast.Call
    what: ast.expr | None
    remedy: ast.expr | None
    pair: ast.expr | None = None
    inside: tuple[ast.Call, ...] = ()


def sites(source: Source) -> list[Site]:
    """Every place that says what is wrong: it makes a Problem, or calls what makes one of words."""
    waiting = [_site(node, "what", "remedy", _PROBLEM) for node in _made(source)]
    waiting += [Site(node, node.args[0], node.args[1]) for node in _handed(source)]
    found: list[Site] = []
    seen: set[ast.Call] = set()
    while waiting:
        site = waiting.pop(0)
        callers = [] if site.call in seen else _callers(site, source)
        seen.add(site.call)
        waiting += callers
        if not callers:
            found.append(site)
    return found


def _made(source: Source) -> Iterator[ast.Call]:
    for node in source.nodes():
        if isinstance(node, ast.Call) and called_as(node) == "Problem":
            yield node


def _handed(source: Source) -> Iterator[ast.Call]:
    """Calls of a parameter that makes a problem of a fault and a remedy."""
    for node in source.nodes():
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        function = source.function(node)
        for one in function.args.args if function is not None else ():
            kind = "" if one.annotation is None else ast.unparse(one.annotation)
            if one.arg == node.func.id and kind == "Callable[[str, str], Problem]":
                yield node


def _function(text: str) -> Function:
    made = ast.parse(text).body[0]
    assert isinstance(made, Function)
    return made


_PROBLEM = _function("def Problem(file, where, what, remedy): ...")


def _site(
    call: ast.Call, what: str, remedy: str | ast.expr | None, maker: Function, *inside: ast.Call
) -> Site:
    """A call of what makes a problem, by the names of that one's parameters."""
    last = call.args[-1] if call.args else None
    if isinstance(last, ast.Starred):
        return Site(call, None, None, last.value, inside)
    words = argument(call, maker, what)
    advice = argument(call, maker, remedy) if isinstance(remedy, str) else remedy
    return Site(call, words, advice, None, inside)


def _callers(site: Site, source: Source) -> list[Site]:
    """The calls of the function that a place is in, if that one is given the words."""
    maker = source.function(site.call)
    if maker is None or not isinstance(site.what, ast.Name):
        return []
    given = {one.arg for one in (*maker.args.args, *maker.args.kwonlyargs)}
    if site.what.id not in given or reaching(source, site.what, maker):
        return []
    is_given = isinstance(site.remedy, ast.Name) and site.remedy.id in given
    remedy = site.remedy.id if is_given and isinstance(site.remedy, ast.Name) else site.remedy
    inside = (site.call, *site.inside)
    return [
        _site(call, site.what.id, remedy, maker, *inside)
        for call in source.calls_named(maker)
        if call is not site.call
    ]


def _texts(site: Site, wording: Wording) -> list[tuple[str, str]]:
    if site.pair is not None:
        return [(both[0], both[1]) for both in wording.items(site.pair, 2)]
    return wording.pair(site.what, site.remedy)


def _is_bare(what: str) -> bool:
    """Whether a text says nothing but what another place said."""
    return what.startswith("<") and what.endswith(">") and what.count("<") == 1


class _Fates:
    """What becomes of a problem that a place makes."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen: set[tuple[Function | None, str]] = set()

    def of_site(self, site: Site) -> set[str]:
        """The exit codes of what a place says, and of what it calls for that."""
        found = self.of(site.call)
        for call in site.inside:
            # Where the problem is handed back, the caller's own way counts.
            self._seen = {(self._source.function(call), "")}
            found |= self.of(call, 1)
        return found

    def of(self, node: ast.AST, depth: int = 0) -> set[str]:
        """The exit codes that it may end with."""
        if depth == 0:
            self._seen = set()
        child = node
        for above in self._source.around(node):
            if isinstance(above, ast.Call) and child is not above.func:
                known = self._call(above, depth)
                if known is not None:
                    return known
            elif isinstance(above, (ast.Return, ast.Yield, ast.YieldFrom)):
                return self._of_callers(self._source.function(above), depth)
            elif isinstance(above, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr)):
                target = above.targets[0] if isinstance(above, ast.Assign) else above.target
                parts = target.elts if isinstance(target, ast.Tuple) else [target]
                inside = self._source.function(above)
                return {
                    code for part in parts for code in self._of_name(_base(part), inside, depth)
                }
            elif isinstance(above, ast.For) and child is above.iter:
                return self._of_name(ast.unparse(above.target), self._source.function(above), depth)
            child = above
        return set()

    def _call(self, call: ast.Call, depth: int) -> set[str] | None:
        """What a call does with a problem among what it is given; None where it only passes it."""
        name = called_as(call)
        if name in ERRORS:
            return {str(ERRORS[name])}
        if name == "__init__" and (kind := self._class_of(call)) in ERRORS:
            return {str(ERRORS[kind])}
        if name in _RAISING:
            return {_RAISING[name]}
        if name == "tell" and isinstance(call.args[0], ast.Constant):
            return {WARNING if call.args[0].value == "warning" else "1"}
        if name in ("append", "extend", "setdefault") and isinstance(call.func, ast.Attribute):
            kept = _base(call.func.value)
            known = {code for word, code in _KEPT_IN.items() if kept.endswith(word)}
            return known or self._of_name(kept, self._source.function(call), depth)
        return None

    def _class_of(self, node: ast.AST) -> str:
        """The first base of the class that a node is in."""
        for above in self._source.around(node):
            if isinstance(above, ast.ClassDef) and above.bases:
                return ast.unparse(above.bases[0])
        return ""

    def _of_callers(self, function: Function | None, depth: int) -> set[str]:
        found: set[str] = set()
        if function is not None and self._is_new(function, ""):
            for call in self._source.calls_of(function):
                found |= self.of(call, depth + 1)
        return found

    def _of_name(self, name: str, function: Function | None, depth: int) -> set[str]:
        """What becomes of what a name holds: where it is used, and where it was given from."""
        if function is None or not self._is_new(function, name):
            return set()
        found = {code for word, code in _KEPT_IN.items() if name.endswith(word)}
        if found:
            return found
        for use in self._source.uses(name, function):
            parent = self._source.parent(use)
            if isinstance(parent, ast.Attribute) and parent.attr not in ("values", "items", "copy"):
                continue
            if isinstance(use.ctx, ast.Load):
                found |= self._use(parent if isinstance(parent, ast.Attribute) else use, depth)
        if name in {one.arg for one in function.args.args}:
            for call in self._source.calls_of(function):
                given = argument(call, function, name)
                if given is not None:
                    inside = self._source.function(call)
                    found |= self._of_name(_base(given), inside, depth + 1)
        return found

    def _is_new(self, function: Function, name: str) -> bool:
        """Whether a name of a function, or "" for what it returns, was not followed yet."""
        key = (function, name)
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new

    def _use(self, use: ast.AST, depth: int) -> set[str]:
        child = use
        for above in self._source.around(use):
            if isinstance(above, ast.Call) and child is not above.func:
                known = self._call(above, depth + 1)
                if known is not None:
                    return known
            elif isinstance(above, (ast.Return, ast.Yield, ast.YieldFrom)):
                return self._of_callers(self._source.function(above), depth)
            elif isinstance(above, ast.For) and child is above.iter:
                name = ast.unparse(above.target)
                return self._of_name(name, self._source.function(above), depth)
            elif isinstance(above, ast.stmt):
                is_kept = isinstance(above, (ast.Assign, ast.AugAssign, ast.AnnAssign))
                return self.of(use, depth + 1) if is_kept else set()
            child = above
        return set()


def _base(node: ast.AST) -> str:
    """The name that something is kept under."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return ast.unparse(node)
