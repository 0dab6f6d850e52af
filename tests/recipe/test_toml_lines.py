"""The line of each key of a TOML file."""

from __future__ import annotations

from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from respsel.recipe.key_paths import KeyPath
from respsel.recipe.toml_lines import key_lines, nearest_line

TEXT = '''# a comment with [brackets] and "quotes
format = 1
"quoted key".'lit.eral' = { a = 1, "b" = [1, 2,
  3] }

[target]  # model = "no"
prompt = """
[[strategies]]
name = "not this one" # \\""" """
after = 1979-05-27 07:32:00

[[strategies]]
name = 'a"b'
sampling = { temperature = 0.5 }
[[strategies]]
name = "b"
sampling.temperature = 0.7
sampling.seed = 3
[strategies.more]
literal = \'\'\'
x = 1\'\'\'\'\'
[strategies.more.deep]
x = 2
[[strategies.more.list]]
y = [
  # one
  { z = 1 },

  { z = 2,
    w = +inf },
]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("format",), 2),
        (("quoted key",), 3),
        (("quoted key", "lit.eral", "a"), 3),
        (("quoted key", "lit.eral", "b", 1), 3),
        (("quoted key", "lit.eral", "b", 2), 4),
        (("target",), 6),
        (("target", "prompt"), 7),
        (("target", "after"), 10),
        (("target", "missing"), 6),
        (("strategies",), 12),
        (("strategies", 0), 12),
        (("strategies", 0, "name"), 13),
        (("strategies", 0, "sampling", "temperature"), 14),
        (("strategies", 0, "sampling", "missing"), 14),
        (("strategies", 0, "missing"), 12),
        (("strategies", 1), 15),
        (("strategies", 1, "sampling", "temperature"), 17),
        (("strategies", 1, "sampling", "seed"), 18),
        (("strategies", 1, "more"), 19),
        (("strategies", 1, "more", "literal"), 20),
        (("strategies", 1, "more", "deep", "x"), 23),
        (("strategies", 1, "more", "list", 0, "y"), 25),
        (("strategies", 1, "more", "list", 0, "y", 0, "z"), 27),
        (("strategies", 1, "more", "list", 0, "y", 1), 29),
        (("strategies", 1, "more", "list", 0, "y", 1, "w"), 30),
        (("nowhere",), None),
        ((), None),
    ],
)
def test_each_key_has_its_line(path: KeyPath, line: int | None) -> None:
    """Whatever kind of table or text it stands in, or behind."""
    assert nearest_line(key_lines(TEXT), path) == line


def _paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return {path} - {()} | {found for key, item in inner for found in _paths(item, (*path, key))}


def test_no_path_is_left_out_or_made_up() -> None:
    """The paths are those that tomli reads."""
    assert set(key_lines(TEXT)) == _paths(tomli.loads(TEXT))


_KEYS = st.sampled_from(["a", "b", '"b c"', "'d.e'", '"\\u0041"', "1", '""', '"a"'])
_DOTTED = st.lists(_KEYS, min_size=1, max_size=3).map(" . ".join)
_SCALARS = st.sampled_from(
    [
        *("1", "1.5e3", "-inf", "true", "2020-01-01 00:00:00Z", '"[x]"', "'{'", '"\\""', '""'),
        *('"""\n"x" [[a]]\n\\""" """', "'''''\n'''''", '"""\\\n  """', '"#"', "07:32:00"),
    ]
)


def _inside(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(_DOTTED, values).map(" = ".join)
    return st.one_of(
        st.lists(values, max_size=3).map(lambda items: "[\n" + ", # ]\n".join(items) + "\n]"),
        st.lists(values, max_size=3).map(lambda items: f"[{','.join(items)}]"),
        st.lists(pairs, max_size=3).map(lambda items: f"{{ {', '.join(items)} }}"),
    )


_VALUES = st.recursive(_SCALARS, _inside, max_leaves=4)
_STATEMENTS = st.one_of(
    st.tuples(_DOTTED, _VALUES).map(" = ".join),
    _DOTTED.map("[{}]".format),
    _DOTTED.map("[[{}]] # [".format),
    st.sampled_from(["", '# """ [']),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_STATEMENTS, max_size=8).map("\n".join))
def test_any_toml_has_the_lines_of_its_paths(text: str) -> None:
    """Of statements put together at random, those that are TOML have a line for each path."""
    try:
        value = tomli.loads(text)
    except tomli.TOMLDecodeError:
        key_lines(text)
        return
    lines = key_lines(text)
    assert set(lines) == _paths(value)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
