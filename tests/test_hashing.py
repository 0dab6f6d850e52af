"""Digests: golden values, and what makes them differ."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.hashing import FileStat, canonical_json, content_digest, digest, file_digest


def test_golden_digests() -> None:
    """These values are pinned: another one reruns every user's work."""
    assert (
        digest("step", b"abc") == "38f3389a0b72b14bee992559776649e2bebdf6c0229885680d123647a8487590"
    )
    assert canonical_json({"b": [1, 2.5, None], "a": "ä"}) == b'{"a":"\\u00e4","b":[1,2.5,null]}'


@given(st.lists(st.binary(), max_size=4), st.lists(st.binary(), max_size=4))
def test_parts_do_not_run_together(left: list[bytes], right: list[bytes]) -> None:
    """Two lists of parts have one digest only if they are equal, however their bytes join up."""
    assert (digest("t", *left) == digest("t", *right)) == (left == right)


def test_tags_keep_kinds_apart() -> None:
    """The same parts under another tag have another digest."""
    assert digest("step", "x") != digest("call", "x")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_has_not_are_refused(value: float) -> None:
    """NaN and infinity never get into a key."""
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"x": value})


def test_a_content_has_the_digest_of_its_file(tmp_path: Path) -> None:
    """What was read once need not be read again for its digest."""
    (tmp_path / "f").write_bytes(b"abc")
    assert content_digest(b"abc") == file_digest(tmp_path / "f", None)


class Memo:
    """Remembers like the store, and counts."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[FileStat, str]] = {}

    def load_file_digest(self, path: str, stat: FileStat) -> str | None:
        stored = self.known.get(path)
        return stored[1] if stored and stored[0] == stat else None

    def save_file_digest(self, path: str, stat: FileStat, value: str) -> None:
        self.known[path] = (stat, value)


def test_a_known_file_is_not_opened(tmp_path: Path) -> None:
    """A file whose stat is remembered is not read again."""
    path = tmp_path / "weights"
    memo = Memo()
    path.write_bytes(b"abc")
    later = path.stat().st_ctime + 60
    first = file_digest(path, memo, now=lambda: later)
    assert memo.known[str(path)] == (FileStat.of(path), first)
    # Only a digest that is not taken anew can be what the memo says.
    memo.known[str(path)] = (FileStat.of(path), "remembered")
    assert file_digest(path, memo) == "remembered"


def test_an_edit_that_restores_the_time_stamp_is_seen(tmp_path: Path) -> None:
    """Other content of the same size under the same modification time is another stat
    all the same.
    """
    path = tmp_path / "data"
    path.write_bytes(b"abc")
    os.utime(path, (1, 1))
    before = FileStat.of(path)
    path.write_bytes(b"xyz")
    os.utime(path, (1, 1))
    assert FileStat.of(path) != before


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    """A young file could change again within its time stamp, so its digest is taken anew."""
    path = tmp_path / "data"
    memo = Memo()
    path.write_bytes(b"abc")
    file_digest(path, memo)
    assert not memo.known


def test_a_changed_file_has_another_digest(tmp_path: Path) -> None:
    """The digest is the content's, not the name's."""
    path = tmp_path / "data"
    memo = Memo()
    path.write_bytes(b"abc")
    first = file_digest(path, memo)
    path.write_bytes(b"abd")
    assert file_digest(path, memo) != first
