"""Values written as TOML read back as they were."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from respsel.recipe.toml_text import toml_text, value_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES: Any = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_reads_back(data: dict[str, Any]) -> None:
    """Any values come back, as a document and as a value on one line."""
    assert tomli.loads(toml_text(data)) == data
    assert tomli.loads(f"value = {value_text(data)}")["value"] == data


def test_a_document_looks_as_people_write_it() -> None:
    """Tables have headers, lists of tables too, and texts of several lines are shown as such."""
    data = {
        "format": 1,
        "models": {"small": {"backend": "fake", "sampling": {"seed": 3}}},
        "datasets": [{"name": "a", "tools": [{"name": "t"}]}],
        "strategies": [{"name": "s", "prompt": 'Say "\\n":\n{{ input }}\r\n', "of": []}],
        "day": date(2026, 1, 2),
    }
    text = toml_text(data)
    assert tomli.loads(text) == data
    assert (
        text
        == '''format = 1
day = 2026-01-02

[models.small]
backend = "fake"

[models.small.sampling]
seed = 3

[[datasets]]
name = "a"

[[datasets.tools]]
name = "t"

[[strategies]]
name = "s"
prompt = """
Say \\"\\\\n\\":
{{ input }}\\r
"""
of = []
'''
    )


def test_what_toml_has_no_word_for_is_refused() -> None:
    """Nothing, and objects, are no values."""
    for value in (None, [None], object()):
        with pytest.raises(TypeError, match="is no TOML value"):
            value_text(value)
