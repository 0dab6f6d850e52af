"""The filters, tests, methods and functions that a template may use, each with its price.

Knows no syntax. Invariant: what is not listed here cannot be called. `random` and `lipsum` are not
listed, since they give another text each time. `urlize`, `encode` and `translate` are not, since no
prompt needs them and each would need a price of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from types import GeneratorType
from typing import Any

from jinja2.filters import FILTERS, make_attrgetter
from jinja2.sandbox import safe_range
from jinja2.tests import TESTS
from jinja2.utils import pass_environment, pass_eval_context

from respsel.sandbox import prices
from respsel.sandbox.meter import Meter, TemplateLimitError
from respsel.sandbox.operators import Operators

Function = Callable[..., Any]
Price = Callable[..., None]

# Larger whole numbers can be made to share their hashes; a set of them would take for ever.
_MAX_RANGE_END = 2**53
_FILTERS_OF_JINJA: Mapping[str, Any] = FILTERS
_TESTS_OF_JINJA: Mapping[str, Any] = TESTS
# What these give was there before, or is paid for with the price.
_MAKE_NOTHING = (prices.free, prices.key, prices.as_list)


def _priced(price: Price, names: str) -> dict[str, Price]:
    return dict.fromkeys(names.split(), price)


_FILTERS: Mapping[str, Price] = {
    **_priced(prices.free, "attr count d default first last length"),
    **_priced(
        prices.read,
        "abs capitalize e escape filesizeformat float forceescape int lower reverse safe string",
    ),
    **_priced(prices.read, "truncate upper urlencode wordcount xmlattr"),
    **_priced(prices.compare, "dictsort groupby max min sort unique"),
    **_priced(prices.each, "items map reject rejectattr select selectattr"),
    "batch": prices.batch,
    "center": prices.pad,
    "indent": prices.indent,
    "join": prices.join,
    "list": prices.as_list,
    "pprint": prices.pretty,
    "replace": prices.replace,
    "round": prices.to_digits,
    "slice": prices.in_slices,
    "striptags": prices.strip_tags,
    "title": prices.titled,
    "tojson": prices.to_json,
    "trim": prices.strip,
    "wordwrap": prices.wrap_words,
}
_TESTS: Mapping[str, Price] = {
    **_priced(
        prices.free,
        "boolean callable defined escaped false float integer iterable mapping none number sameas",
    ),
    **_priced(prices.free, "sequence string true undefined"),
    **_priced(
        prices.read,
        "== eq equalto != ne > gt greaterthan ge >= < lt lessthan <= le in lower upper filter test",
    ),
    **_priced(prices.only_number, "odd even divisibleby"),
}
_METHODS: Mapping[type, Mapping[str, Price]] = {
    str: {
        **_priced(
            prices.read,
            "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal "
            "isdigit",
        ),
        **_priced(
            prices.read,
            "isidentifier islower isnumeric isprintable isspace istitle isupper lower partition",
        ),
        **_priced(
            prices.read,
            "removeprefix removesuffix split splitlines startswith swapcase title upper",
        ),
        **_priced(prices.strip, "lstrip rstrip strip"),
        **_priced(prices.find_last, "rfind rindex rpartition rsplit"),
        **_priced(prices.pad, "center ljust rjust zfill"),
        "expandtabs": prices.expand_tabs,
        "join": prices.join_with,
        "replace": prices.replace,
    },
    list: _priced(prices.read, "index count copy"),
    tuple: _priced(prices.read, "index count"),
    dict: {**_priced(prices.free, "items keys values"), "get": prices.key, "copy": prices.read},
    float: _priced(prices.free, "is_integer"),
    int: _priced(prices.free, "is_integer bit_length"),
}


def call_method(meter: Meter, method: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    """Return what a method of a built-in value gives.

    Raises TypeError where a template may not call it.
    """
    owner = method.__self__
    name = method.__name__
    price = next(
        (known.get(name) for kind, known in _METHODS.items() if isinstance(owner, kind)), None
    )
    if price is None:
        raise TypeError(f"a template cannot call '{name}' of {type(owner).__name__}")
    meter.pay(1)
    price(meter, owner, *args, **named)
    given = method(*args, **named)
    return given if price in _MAKE_NOTHING else meter.made(given)


def _with_price(meter: Meter, function: Function, price: Price) -> Function:
    """A filter or test that is paid for. It gives a list where it would give a generator."""
    if price is prices.free:
        return function
    # Jinja2 gives some filters its own state first, and marks these.
    first = 1 if hasattr(function, "jinja_pass_arg") else 0
    if price in (prices.read, prices.strip) and not first:
        return _with_price_to_read(meter, function, price)

    @wraps(function)
    def apply(*args: Any, **named: Any) -> Any:
        meter.pay(1)
        price(meter, *args[first:], **named)
        given = function(*args, **named)
        if isinstance(given, GeneratorType):
            # Hazard: generators that draw from generators, 100,000 of them, end the process when
            # they are freed.
            given = iter(list(given))
        return given if price in _MAKE_NOTHING else meter.made(given)

    return apply


def _with_price_to_read(meter: Meter, function: Function, price: Price) -> Function:
    """The same, quicker, for what chat templates do most: trim a text and the like."""

    @wraps(function)
    def apply(value: Any, *args: Any, **named: Any) -> Any:
        if args or named:
            price(meter, value, *args, **named)
        else:
            meter.read(value)
        return meter.made(function(value, *args, **named))

    return apply


def filters(meter: Meter, operators: Operators, own: Mapping[str, Function]) -> dict[str, Any]:
    """The filters by name. own: those that take the place of Jinja2's."""

    def fill(text: Any, *values: Any, **named: Any) -> Any:
        if values and named:
            raise TypeError("'format' takes values by place or by name, not both")
        return operators.format_percent(
            text if isinstance(text, str) else str(meter.read(text)), named or values
        )

    known = {
        name: _with_price(meter, own.get(name, _FILTERS_OF_JINJA[name]), price)
        for name, price in _FILTERS.items()
    }
    known |= {
        "join": _join(meter, known["join"]),
        "unique": _unique(meter, known["unique"]),
        "sum": _sum(meter, operators),
    }
    return {**known, "format": fill, "random": refused("random")}


def _sum(meter: Meter, operators: Operators) -> Function:
    @pass_environment
    def sum_up(environment: Any, items: Any, attribute: Any = None, start: Any = 0) -> Any:
        get = make_attrgetter(environment, meter.read(attribute)) if attribute is not None else None
        parts = [get(item) if get else item for item in meter.each(items)]
        if isinstance(start, (int, float)) and all(
            isinstance(part, (int, float)) for part in parts
        ):
            return meter.made(sum(parts, start))
        if isinstance(start, str):
            raise TypeError("'sum' takes no texts. Use 'join'")
        for part in parts:
            start = operators.apply("+", start, part)
        return start

    return sum_up


def _join(meter: Meter, join_texts: Function) -> Function:
    @pass_eval_context
    def join(eval_ctx: Any, items: Any, d: Any = "", attribute: Any = None) -> Any:
        if attribute is not None:
            # What is joined may be longer than the items.
            items = list(
                map(make_attrgetter(eval_ctx.environment, meter.read(attribute)), meter.each(items))
            )
        return join_texts(eval_ctx, items, d)

    return join


def _unique(meter: Meter, take_once: Function) -> Function:
    @pass_environment
    def unique(
        environment: Any, items: Any, case_sensitive: Any = False, attribute: Any = None
    ) -> Any:
        items = list(meter.spread(items))
        meter.tell_apart(map(meter.read, map(make_attrgetter(environment, attribute), items)))
        return take_once(environment, items, case_sensitive, attribute)

    return unique


def tests(meter: Meter) -> dict[str, Any]:
    """The tests by name."""
    return {
        name: _with_price(meter, _TESTS_OF_JINJA[name], price) for name, price in _TESTS.items()
    }


def bounded_range(*args: int) -> range:
    """The function `range` of templates."""
    if any(isinstance(arg, int) and abs(arg) > _MAX_RANGE_END for arg in args):
        raise TemplateLimitError("it makes a range of numbers that are too large")
    return safe_range(*args)


def refused(name: str) -> Function:
    """What replaces a function that gives another text each time."""

    def refuse(*_: Any, **__: Any) -> None:
        raise TemplateLimitError(
            f"'{name}' gives another text each time, and a prompt must stay the same"
        )

    return refuse
