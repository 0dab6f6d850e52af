"""Digests: what makes two things "the same" to respsel. The only module that imports hashlib.

Every digest is SHA-256 over a tag and length-prefixed parts. So a step key can never equal a call
key, and ("ab", "c") never equals ("a", "bc").

Knows nothing of what is digested. Invariant: golden tests pin the values below. Changing any of
them reruns every user's work and needs a changelog entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_RACY_SECONDS = 2.0
_CHUNK_BYTES = 1 << 20


def canonical_json(value: object) -> bytes:
    """Encode a JSON value in one way only: sorted keys, no spaces, ASCII, no NaN.

    Raises ValueError for NaN or infinity, TypeError for what JSON cannot hold.
    """
    text = json.dumps(
        value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
    )
    return text.encode("ascii")


def content_digest(content: bytes) -> str:
    """The `file_digest` of a file with this content."""
    return hashlib.sha256(content).hexdigest()


def digest(tag: str, *parts: bytes | str) -> str:
    """Return the SHA-256 hex digest of a tag and its parts, each prefixed by its length."""
    return _fed(hashlib.sha256(), (tag, *parts)).hexdigest()


class Beginning:
    """The digest of parts that differ only in the end of the last part.

    A long beginning is digested once for all of them.
    """

    def __init__(self, tag: str, *parts: bytes | str, begun: bytes, size: int) -> None:
        """Take what the parts have in common.

        begun: the beginning of the last part. size: the whole length of that part.
        """
        self._state = _fed(hashlib.sha256(), (tag, *parts))
        self._state.update(size.to_bytes(8, "little"))
        self._state.update(begun)

    def digest(self, rest: bytes) -> str:
        """The `digest` of the parts, where the last one ends in `rest`."""
        state = self._state.copy()
        state.update(rest)
        return state.hexdigest()


def seal(key: str, body: bytes) -> bytes:
    """Return the 32 bytes that bind a stored body to the key it was stored under."""
    return bytes.fromhex(digest("seal", key, body))


class RunningDigest:
    """A digest over many parts that are not all in memory at once."""

    def __init__(self, tag: str) -> None:
        self._state = hashlib.sha256(digest(tag).encode())

    def update(self, part: bytes) -> None:
        """Add one length-prefixed part."""
        self._state.update(len(part).to_bytes(8, "little"))
        self._state.update(part)

    def hexdigest(self) -> str:
        """Return the digest of the parts so far."""
        return self._state.hexdigest()


@dataclass(frozen=True)
class FileStat:
    """What the file system says of a file. Equal stats of an old file mean equal content."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileStat:
        """The stat of a file. Raises OSError if it is not there."""
        info = os.stat(path)
        return cls(info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


class DigestMemo(Protocol):
    """Where file digests are remembered between runs (the store)."""

    def load_file_digest(self, path: str, stat: FileStat) -> str | None: ...

    def save_file_digest(self, path: str, stat: FileStat, value: str) -> None: ...


def file_digest(path: Path, memo: DigestMemo | None, now: Callable[[], float] = time.time) -> str:
    """Return the SHA-256 of a file's content, without opening it if its stat is remembered.

    Raises OSError if the file cannot be read.
    """
    where = str(path.resolve())
    stat = FileStat.of(path)
    if memo is not None and (known := memo.load_file_digest(where, stat)):
        return known
    state = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            state.update(chunk)
    value = state.hexdigest()
    # Hazard: a file that is written again within the clock's resolution keeps its stat (git's
    # "racy" problem). So a file that is this young, or changed meanwhile, is not remembered.
    settled = (
        FileStat.of(path) == stat
        and now() - max(stat.mtime_ns, stat.ctime_ns) / 1e9 > _RACY_SECONDS
    )
    if memo is not None and settled:
        memo.save_file_digest(where, stat, value)
    return value


def _fed(state: hashlib._Hash, parts: Iterable[bytes | str]) -> hashlib._Hash:
    for part in parts:
        # A path has surrogates for bytes that are not UTF-8.
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state
