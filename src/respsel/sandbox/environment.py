"""Jinja2 within bounds: it compiles and fills prompts and chat templates.

Knows neither recipes nor models. Invariants: a template reaches only the values that it is given
(Jinja2's immutable sandbox). It gives the same text each time. It ends within the meter's limits,
in a text or in one of FAULTS. No limit rests on another process's clock, a signal or a child, so
the limits hold in any thread and on any system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from threading import Lock
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError
from jinja2.compiler import Frame
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

from respsel.sandbox.code import PRELUDE, BoundedCode
from respsel.sandbox.functions import Function, bounded_range, call_method, filters, refused, tests
from respsel.sandbox.meter import Meter, TemplateLimitError
from respsel.sandbox.operators import MarkupFormatter, Operators, PlainFormatter

# What a template raises that is wrong, or that would use more than it may.
FAULTS = (
    *(TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError),
    *(RuntimeError, MemoryError, SyntaxError, NameError, AssertionError),
)
# Longer than any prompt that a model reads.
MAX_SOURCE = 1_000_000
# Words and signs. Parsing takes 5 microseconds for each, and the code has its own limit
# (MAX_NODES).
_MAX_TOKENS = 150_000
_MAX_MESSAGE = 300
_FUNCTIONS = (FunctionType, MethodType, BuiltinMethodType)
# Functions are the globals and `format`; methods are those of `loop` and `cycler`.
_CALLABLE = (FunctionType, MethodType, BlockReference, Joiner)
_CLASSES = (dict, Cycler, Joiner, Namespace)
# What Jinja2 gives a call in a loop or a block besides the template's own values.
_OF_JINJA = ("_loop_vars", "_block_vars")
# What a call of these makes: a dict of its own, at the least.
_OBJECT_BYTES = 512


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Compiles templates, and keeps the account of the one that is filled."""

    code_generator_class = BoundedCode
    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(
        self,
        *,
        written: Callable[[Any], Any] | None = None,
        own_filters: Mapping[str, Function] | None = None,
        **options: Any,
    ) -> None:
        """written: gives what is written for a value, if that is not the value."""
        super().__init__(optimized=False, **options)
        self.meter = Meter()
        self._written = written
        self.lock = Lock()
        self._operators = Operators(self.meter)
        self.filters = filters(self.meter, self._operators, own_filters or {})
        self.tests = tests(self.meter)
        self.globals |= {"range": bounded_range, "lipsum": refused("lipsum")}
        self.concat = self._concat  # type: ignore[method-assign]
        meter = self.meter
        values = (
            meter.pay,
            meter.make,
            meter.made,
            meter.read,
            meter.each,
            meter.spread,
            meter.pairs,
        )
        self.metered = (*values, self._write, self._operators.join)

    def _tokenize(self, *args: Any, **options: Any) -> TokenStream:
        return TokenStream(_limited(super()._tokenize(*args, **options)), None, None)

    def _generate(self, *args: Any, **options: Any) -> str:
        return PRELUDE + super()._generate(*args, **options)

    def _concat(self, pieces: Iterable[str]) -> str:
        pieces = list(pieces)
        size = sum(map(len, pieces))
        self.meter.fit(size)
        self.meter.make(size)
        return "".join(pieces)

    def _write(self, value: Any) -> str:
        """The text of a value that is written."""
        if type(value) is str:
            return value
        if self._written is not None:
            value = self._written(value)
        if isinstance(value, (Iterator, Cycler)) or (
            callable(value) and not isinstance(value, Undefined)
        ):
            raise TypeError(
                f"it writes no text, but a {type(value).__name__}. Call it, or make a list or a "
                "text of it"
            )
        self.meter.fit(self.meter.measure(value))
        return str(value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return what an operator gives."""
        return self._operators.apply(operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a template may call.

        The underscores keep the names free for the template's own.
        """
        meter = __self.meter
        kind = type(__obj)
        if kind is Macro:
            meter.pay(2 + len(args) + len(kwargs))
        elif kind is BuiltinMethodType or (kind is MethodType and isinstance(__obj.__self__, str)):
            named = {name: value for name, value in kwargs.items() if name not in _OF_JINJA}
            return call_method(meter, __obj, args, named)
        elif kind is LoopContext:
            meter.each(args[0] if args else ())
        elif kind in _CALLABLE or any(__obj is known for known in _CLASSES):
            meter.make(_OBJECT_BYTES if isinstance(__obj, type) else 0)
            for value in (*args, *kwargs.values()):
                meter.read(value)
            if args and (__obj is dict or __obj is Namespace):
                args = (meter.pairs(args[0]), *args[1:])
        elif not isinstance(__obj, Undefined):
            raise TypeError(f"a template cannot call a {kind.__name__}")
        return __context.call(__obj, *args, **kwargs)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item, or an attribute where there is none."""
        # A filter's attribute, such as 'a.b.c', comes here for each part of it and each item.
        if type(argument) is str:
            self.meter.pay(3)
        else:
            self.meter.read(argument)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may see an attribute: not of functions and classes."""
        return not isinstance(obj, (type, *_FUNCTIONS)) and super().is_safe_attribute(
            obj, attr, value
        )

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return the methods `format` and `format_map` of a text within bounds."""
        found = super().wrap_str_format(value)
        if found is None:
            return None
        text: str = value.__self__
        by_map = value.__name__ == "format_map"

        def fill(*args: Any, **named: Any) -> str:
            formatter = (
                MarkupFormatter(self, escape=text.escape)
                if hasattr(text, "escape")
                else PlainFormatter(self)
            )
            formatter.meter = self.meter
            self.meter.pay(len(text))
            if by_map and (named or len(args) != 1):
                raise TypeError("'format_map' takes one mapping")
            return type(text)(
                formatter.vformat(text, () if by_map else args, args[0] if by_map else named)
            )

        return fill


def _limited(tokens: Iterable[Token]) -> Iterator[Token]:
    for place, token in enumerate(tokens):
        if place == _MAX_TOKENS:
            raise TemplateSyntaxError(
                f"the template is too long: it has more than {_MAX_TOKENS:,} words and signs",
                token.lineno,
            )
        yield token


class BoundedTemplate:
    """A compiled template. Raises one of FAULTS where it is not well formed."""

    def __init__(self, environment: BoundedEnvironment, source: str) -> None:
        if len(source) > MAX_SOURCE:
            raise TemplateLimitError(f"it is longer than {MAX_SOURCE:,} characters")
        self._environment = environment
        self._source = source
        self._template = environment.from_string(source)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that it looks up among what it is given."""
        finder = _NameFinder(self._environment, None, None, optimized=False)
        finder.visit(self._environment.parse(self._source))
        return frozenset(finder.names)

    def fill(self, fields: Mapping[str, Any]) -> str:
        """Return the template's text.

        Raises one of FAULTS, or what the environment's `written` raises.
        """
        environment = self._environment
        with environment.lock:
            environment.meter.start()
            text = environment.concat(
                self._template.root_render_func(self._template.new_context(dict(fields)))
            )
        if not text.isascii():
            # Raises UnicodeEncodeError, which is a ValueError.
            text.encode("utf-8")
        return text


class _NameFinder(BoundedCode):
    """Finds the names that a template does not make itself."""

    names: set[str]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.names = set()

    def write(self, x: str) -> None:
        """Write nothing."""

    def enter_frame(self, frame: Frame) -> None:
        """Remember the names that come from outside."""
        super().enter_frame(frame)
        loads = frame.symbols.loads.values()
        self.names |= {
            name
            for action, name in loads
            if action == "resolve" and name not in self.environment.globals
        }


def fault_text(error: BaseException) -> str:
    """What is wrong, for people, in one short sentence."""
    if isinstance(error, RecursionError):
        return "it calls itself without end, or nests too deep"
    if isinstance(error, UnicodeEncodeError):
        return "it gives half a surrogate pair, which is no Unicode"
    if isinstance(error, SyntaxError):
        return f"Python cannot compile it: {error.msg}"
    text = str(error) or type(error).__name__
    text = text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}..."
    return f"line {error.lineno}: {text}" if isinstance(error, TemplateSyntaxError) else text
