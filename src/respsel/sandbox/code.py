"""The Python that Jinja2 makes of a template, with a payment before whatever costs time.

Knows no prices. Invariant: no code that runs more than once in a rendering runs unpaid, and nothing
of a template is computed while it is compiled.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, operators

# Longer templates take long to compile. The longest of a model has 6,000.
MAX_NODES = 30_000
# Jinja2 copies its table of names at each condition, loop and macro.
_MAX_COPIED = 1_000_000
_ALONE = (nodes.Extends, nodes.Import, nodes.FromImport, nodes.Include)
# Of which about half runs, for the rest is what a condition leaves out.
_NODES_IN_A_STEP = 3
# What runs once for each item or call. All else runs at most once where one of these does.
_OFTEN = (nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)
# Jinja2 looks through the whole of each of these before it writes its code.
_MAX_LOOKED_THROUGH = 10 * MAX_NODES
_SPREADING = (nodes.Call, nodes.Filter, nodes.Test)
# Python looks up a number of more bits by a hash that others share: a thousand of these take long
# to compile.
_BITS_OF_A_HASH = 60
# What the code finds in its first line, from the environment. No name of a template begins like
# these.
PRELUDE = "_pay, _make, _made, _read, _each, _spread, _pairs, _write, _join = environment.metered; "


class BoundedCode(CodeGenerator):
    """Writes the code of one template."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._n_nodes = 0
        # The weight of what may run often, by the list of its statements.
        self._often: dict[int, tuple[int, int]] = {}
        self._n_looked_through = 0

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        """Refuse what is too long or needs other templates, and have each loop count its items."""
        n_copies = 0
        names = set[str]()
        for inner in node.find_all(nodes.Node):
            self._n_nodes += 1
            if self._n_nodes > MAX_NODES:
                self.fail(
                    f"the template is too long: it has more than {MAX_NODES:,} parts", inner.lineno
                )
            if isinstance(inner, _ALONE):
                self.fail(
                    f"a template stands alone, without '{type(inner).__name__.lower()}'",
                    inner.lineno,
                )
            if isinstance(inner, (nodes.Name, nodes.Macro)):
                names.add(inner.name)
            n_copies += isinstance(inner, (nodes.If, *_OFTEN))
            if n_copies * len(names) > _MAX_COPIED:
                self.fail(
                    "the template is too long: it has too many conditions for its many names",
                    inner.lineno,
                )
        self._prepare(node)
        super().visit_Template(node, frame)

    def _prepare(self, node: nodes.Node) -> tuple[int, int]:
        """Mark what loops go through and what calls spread, and weigh what may run often.

        Returns a node's own weight.
        """
        n_nodes = 1
        n_bytes = _n_bytes(node)
        for inner in node.iter_child_nodes():
            more_nodes, more_bytes = self._prepare(inner)
            n_nodes = n_nodes + more_nodes
            n_bytes = n_bytes + more_bytes
        # No template can spell these nodes, so they mark what `visit_MarkSafe` and the one below
        # write.
        if isinstance(node, nodes.For):
            node.iter = nodes.MarkSafe(node.iter, lineno=node.lineno)
        if isinstance(node, _SPREADING):
            for name in ("dyn_args", "dyn_kwargs"):
                if (spread := getattr(node, name)) is not None:
                    setattr(node, name, nodes.MarkSafeIfAutoescape(spread, lineno=node.lineno))
        if isinstance(node, _OFTEN):
            self._often[id(node.body)] = n_nodes, n_bytes
            self._n_looked_through += n_nodes
            if self._n_looked_through > _MAX_LOOKED_THROUGH:
                self.fail(
                    "the template is too long for its loops and macros within each other",
                    node.lineno,
                )
        return n_nodes, n_bytes

    def visit_MarkSafe(self, node: nodes.MarkSafe, frame: Frame) -> None:
        """Write what a loop goes through."""
        self._write_call("_each", node.expr, frame)

    def visit_MarkSafeIfAutoescape(self, node: nodes.MarkSafeIfAutoescape, frame: Frame) -> None:
        """Write what a call spreads over its arguments."""
        self._write_call("_spread", node.expr, frame)

    def blockvisit(self, statements: Iterable[nodes.Node], frame: Frame) -> None:
        """Write the statements of a block.

        Where it may run often, the payment for all that is in it comes first.
        """
        if id(statements) in self._often:
            n_nodes, n_bytes = self._often[id(statements)]
            self.writeline(f"_pay({1 + n_nodes // _NODES_IN_A_STEP})")
            if n_bytes:
                self.writeline(f"_make({n_bytes})")
        super().blockvisit(statements, frame)

    def visit_Block(self, node: nodes.Block, frame: Frame) -> None:
        """A block that sees the names around it gets a copy of all."""
        if node.scoped:
            self.writeline(f"_pay({self._n_nodes})")
        super().visit_Block(node, frame)

    def visit_ScopedEvalContextModifier(
        self, node: nodes.ScopedEvalContextModifier, frame: Frame
    ) -> None:
        """Refuse what makes HTML of each value that is written."""
        self.fail("'autoescape' is for HTML, which no prompt is", node.lineno)

    def visit_Const(self, node: nodes.Const, frame: Frame) -> None:
        """Write a constant. Python has no word for a number without end."""
        if isinstance(node.value, float) and not isfinite(node.value):
            self.fail("a number is too large", node.lineno)
        if _is_large(node):
            self.write(f"int('{node.value}')")
            return
        super().visit_Const(node, frame)

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        """Write a comparison, which looks at all of its values."""
        read = self.visit if _is_short(node) else self._write_read
        self.write("(")
        read(node.expr, frame)
        for operand in node.ops:
            self.write(f" {operators[operand.op]} ")
            read(operand.expr, frame)
        self.write(")")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """Write `a ~ b`."""
        self.write("_join(str_join, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        """Write a part of a text or a list; several items are a copy of these."""
        if not isinstance(node.arg, nodes.Slice):
            return super().visit_Getitem(node, frame)
        # Python warns of a slice of a number that is written so, and not of one that a function
        # gives.
        self.write("_made(identity(" if isinstance(node.node, nodes.Const) else "_made((")
        self.visit(node.node, frame)
        self.write(")[")
        self.visit(node.arg, frame)
        self.write("])")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        """Write a dict, whose keys are hashed."""
        if all(
            isinstance(item.key, nodes.Const) and not _is_large(item.key) for item in node.items
        ):
            return super().visit_Dict(node, frame)
        self.write("dict(_pairs([")
        for item in node.items:
            self.write("(")
            self.visit(item.key, frame)
            self.write(", ")
            self.visit(item.value, frame)
            self.write("), ")
        self.write("]))")

    def _write_read(self, node: nodes.Expr, frame: Frame) -> None:
        if isinstance(node, nodes.Const):
            self.visit(node, frame)
        else:
            self._write_call("_read", node, frame)

    def _write_call(self, name: str, node: nodes.Node, frame: Frame) -> None:
        self.write(f"{name}(")
        self.visit(node, frame)
        self.write(")")

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if isinstance(node, nodes.TemplateData) or (
            isinstance(node, nodes.Const) and isinstance(node.value, str)
        ):
            return str(node.as_const(frame.eval_ctx))
        raise nodes.Impossible

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("_write(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")


def _n_bytes(node: nodes.Node) -> int:
    """What a list in the template's own words takes, of Python's memory."""
    if isinstance(node, nodes.Dict):
        return 128 + 64 * len(node.items)
    return 64 + 16 * len(node.items) if isinstance(node, (nodes.List, nodes.Tuple)) else 0


def _is_large(node: nodes.Const) -> bool:
    return isinstance(node.value, int) and node.value.bit_length() > _BITS_OF_A_HASH


def _is_short(node: nodes.Compare) -> bool:
    """Whether a comparison ends soon for any value, since one side of it is in the template."""
    if len(node.ops) != 1:
        return False
    (operand,) = node.ops
    if operand.op in ("in", "notin"):
        return isinstance(operand.expr, (nodes.List, nodes.Tuple)) and _are_constants(
            operand.expr.items
        )
    return _are_constants([node.expr]) or _are_constants([operand.expr])


def _are_constants(values: Iterable[nodes.Node]) -> bool:
    return all(isinstance(value, nodes.Const) for value in values)
