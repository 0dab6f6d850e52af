"""The store: what is put comes back, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from respsel.errors import StoreError
from respsel.store.store import Store

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(key=TEXT.filter(bool), body=st.binary(max_size=100_000))
def test_a_body_comes_back(tmp_path: Path, key: str, body: bytes) -> None:
    """Any bytes under any key, small (in SQLite) or large (in a file)."""
    with Store(tmp_path / "cache") as store:
        store.put(key, body)
        assert store.get(key) == body
    with Store(tmp_path / "cache") as store:
        assert store.get(key) == body
        assert not store.damage


def test_a_missing_key_is_none_and_no_damage(tmp_path: Path) -> None:
    """A miss is not a fault."""
    with Store(tmp_path) as store:
        assert store.get("x") is None
        assert not store.has("x")
        assert not store.damage


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A store where a file stands is an error with a remedy, exit code 4."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(
        StoreError, match=r"the store cannot be used.*is a file.*'store' in respsel\.toml"
    ) as caught:
        Store(tmp_path / "cache")
    assert caught.value.exit_code == 4
