"""The package's source as trees: who defines a name, who calls a function, what is around a node.

Reads text and runs nothing of it. Knows nothing of problems. Invariant: a name that cannot be told
is nobody's, so nothing is guessed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(eq=False)
class Module:
    """One file.

    name: as it is imported, such as `respsel.data.rows`.
    room: the folder below the package, or the file's own name.
    tree: what is in it.
    constants: the values of names at its top.
    imports: where a name is from, as module and name.
    """

    name: str
    room: str
    tree: ast.Module
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)


class Source:
    """All modules of a package."""

    def __init__(self, package: Path) -> None:
        self.modules: dict[str, Module] = {}
        self._parents: dict[ast.AST, ast.AST] = {}
        self._homes: dict[ast.AST, Module] = {}
        for path in sorted(package.rglob("*.py")):
            parts = path.relative_to(package).with_suffix("").parts
            name = ".".join([package.name, *(part for part in parts if part != "__init__")])
            module = Module(name, parts[0], ast.parse(path.read_text(encoding="utf-8")))
            self.modules[name] = module
            self._read(module)

    def _read(self, module: Module) -> None:
        for node in ast.walk(module.tree):
            self._homes[node] = module
            for child in ast.iter_child_nodes(node):
                self._parents[child] = node
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    module.imports[alias.asname or alias.name] = (node.module, alias.name)
        for node in module.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                module.constants[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                module.constants[ast.unparse(node.target)] = node.value

    def nodes(self) -> Iterator[ast.AST]:
        """Every node of every module, file by file."""
        return iter(self._homes)

    def module(self, node: ast.AST) -> Module:
        """The module that a node is in."""
        return self._homes[node]

    def parent(self, node: ast.AST) -> ast.AST | None:
        """What a node is directly in."""
        return self._parents.get(node)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node is in, from the inside out."""
        above = self.parent(node)
        while above is not None:
            yield above
            above = self.parent(above)

    def function(self, node: ast.AST) -> Function | None:
        """The function that a node is in."""
        return next((above for above in self.around(node) if isinstance(above, Function)), None)

    def constant(self, module: Module, name: str) -> ast.expr | None:
        """The value of a name at the top of a module, or of what it imports."""
        if name in module.constants:
            return module.constants[name]
        home, original = module.imports.get(name, ("", ""))
        return self.modules[home].constants.get(original) if home in self.modules else None

    def called(self, call: ast.Call) -> Function | None:
        """The function of the package that a call is of; None where that cannot be told."""
        module = self.module(call)
        if isinstance(call.func, ast.Name):
            home, name = module.imports.get(call.func.id, (module.name, call.func.id))
            found = [
                one
                for one in self._functions.get(name, ())
                if self.module(one).name == home and not self._is_method(one)
            ]
        elif isinstance(call.func, ast.Attribute):
            found = [one for one in self._functions.get(call.func.attr, ()) if self._is_method(one)]
            if isinstance(call.func.value, ast.Name) and call.func.value.id in ("self", "cls"):
                found = [one for one in found if self.module(one) is module] or found
            elif len(found) > 1 and (caught := self._caught(call.func.value)):
                found = [one for one in found if self._class_name(one) in caught]
        else:
            return None
        return found[0] if len(found) == 1 else None

    def calls_of(self, function: Function) -> list[ast.Call]:
        """Every call of a function."""
        named = self._calls.get(function.name, [])
        return [call for call in named if self.called(call) is function]

    def calls_named(self, function: Function) -> list[ast.Call]:
        """Every call that may be of a function: of a method, all that have its name."""
        named = self._calls.get(function.name, [])
        kinds = (ast.Attribute,) if self._is_method(function) else (ast.Name, ast.Attribute)
        return [
            call
            for call in named
            if self.called(call) is function
            or (
                self.called(call) is None
                and self._is_method(function)
                and isinstance(call.func, kinds)
            )
        ]

    def uses(self, name: str, function: Function) -> list[ast.Name | ast.Attribute]:
        """Where a function uses a name; where any does, if it is of an object (self.x).

        Its own module comes first: only where that never reads it do others.
        """
        if "." not in name:
            return self._uses.get((function, name), [])
        last = name.rpartition(".")[2]
        named = self._uses.get((self.module(function), last), [])
        here = [use for use in named if ast.unparse(use) == name]
        if any(isinstance(use.ctx, ast.Load) for use in here):
            return here
        return [use for uses in self._by_attribute.get(last, ()) for use in uses]

    def _caught(self, node: ast.expr) -> set[str]:
        """The classes of an exception that a name is of."""
        for above in self.around(node):
            if isinstance(above, ast.ExceptHandler) and above.name == ast.unparse(node):
                return {one.id for one in ast.walk(above.type or node) if isinstance(one, ast.Name)}
        return set()

    def _class_name(self, function: Function) -> str:
        home = self.parent(function)
        return home.name if isinstance(home, ast.ClassDef) else ""

    def _is_method(self, function: Function) -> bool:
        return isinstance(self.parent(function), ast.ClassDef)

    @cached_property
    def _functions(self) -> dict[str, list[Function]]:
        found: dict[str, list[Function]] = {}
        for node in self._homes:
            if isinstance(node, Function):
                found.setdefault(node.name, []).append(node)
        return found

    @cached_property
    def _uses(self) -> dict[tuple[object, str], list[ast.Name | ast.Attribute]]:
        """Names by the function that they are in; attributes by the module."""
        found: dict[tuple[object, str], list[ast.Name | ast.Attribute]] = {}
        for node in self._homes:
            if isinstance(node, ast.Name):
                found.setdefault((self.function(node), node.id), []).append(node)
            elif isinstance(node, ast.Attribute):
                found.setdefault((self.module(node), node.attr), []).append(node)
        return found

    @cached_property
    def _by_attribute(self) -> dict[str, list[list[ast.Name | ast.Attribute]]]:
        found: dict[str, list[list[ast.Name | ast.Attribute]]] = {}
        for (home, name), uses in self._uses.items():
            if isinstance(home, Module):
                found.setdefault(name, []).append(uses)
        return found

    @cached_property
    def _calls(self) -> dict[str, list[ast.Call]]:
        found: dict[str, list[ast.Call]] = {}
        for node in self._homes:
            if isinstance(node, ast.Call):
                home = self.module(node)
                name = called_as(node)
                _, original = home.imports.get(name, ("", name))
                found.setdefault(original, []).append(node)
        return found


def called_as(call: ast.Call) -> str:
    """The last word of what a call calls."""
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def argument(call: ast.Call, function: Function, name: str) -> ast.expr | None:
    """What a call gives a parameter; its default where it gives nothing."""
    parameters = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    shift = 1 if parameters[:1] in (["self"], ["cls"]) else 0
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if name not in parameters:
        return None
    place = parameters.index(name)
    given = place - shift
    if any(isinstance(one, ast.Starred) for one in call.args[: given + 1]):
        return None
    if 0 <= given < len(call.args):
        return call.args[given]
    from_end = place - len(parameters)
    defaults = function.args.defaults
    return defaults[from_end] if -from_end <= len(defaults) else None
