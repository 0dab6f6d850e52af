"""Whether SQLite can read every commit in the write-ahead log that a killed process left.

SQLite ends a log at the first frame that does not match its checksum, and says nothing of what
follows. Two things show that commits were lost:

- The log's index (`-shm`) says how many frames were committed. It outlives a killed process.
- Without an index, frames behind the end do, if they have the log's salts and end a commit. What a
  process was writing when it was killed ends no commit, and is not a loss.

See SQLite's documents "WAL-mode File Format" and "Database File Format".

Knows nothing of records. Invariants: a log that another process is writing is never taken for
damaged, and only SQLite itself writes to the files.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from respsel.errors import Problem

_HEAD = struct.Struct(">8I")
_HEAD_BYTES = 32
_FRAME_HEAD_BYTES = 24
_INDEX_BYTES = 136
# A frame that ends a commit has the size of the database here.
_NO_COMMIT = bytes(4)


@dataclass(frozen=True)
class _Index:
    """What the log's index says.

    salts: which log it belongs to.
    committed: how many frames are committed.
    merged: how many of them are already in the database.
    """

    salts: bytes
    committed: int
    merged: int


def find_loss(database: Path) -> Problem | None:
    """Have SQLite read the log. Returns the problem of the commits that it cannot find, if any.

    Hazard: no connection to the database may be open in this process. When the process closes a
    file, the system drops all of the process's locks on it. Raises sqlite3.Error.
    """
    log = database.with_name(f"{database.name}-wal")
    if (count := _lost_commits(database, log)) == 0:
        return None
    some = "some are" if count is None else "about 1 is" if count == 1 else f"about {count:,} are"
    what = f"the store's write-ahead log is damaged: of the last records stored {some} lost"
    return Problem(str(log), "", what, "What is missing is made again when it is needed")


def _lost_commits(database: Path, log: Path) -> int | None:
    """About how many commits SQLite cannot find; None where their number is not known."""
    shm = database.with_name(f"{database.name}-shm")
    index = _read_index(shm)
    head = _read(log, _HEAD_BYTES)
    size = _size(log)
    if min(size, len(head) + 1) <= _HEAD_BYTES:
        lost = index is not None and index.committed > index.merged
        # Hazard: a process that has just emptied the log may not have noted it yet.
        return None if lost and (_read_index(shm), _size(log)) == (index, size) else 0
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        ((page_bytes,),) = connection.execute("PRAGMA page_size").fetchall()
        ((busy, found, _),) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        # Another process is at work there if it is merging the log.
        if busy or found < 0 or _behind(log, head, index, found, page_bytes) == 0:
            return 0
        # Hazard: what another process has written since is behind what was found. While we hold
        # the write lock, nobody else writes.
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return 0
        now = _read_index(shm)
        return _behind(log, head, index, found if now is None else now.committed, page_bytes)


def _behind(
    log: Path, head: bytes, index: _Index | None, found: int, page_bytes: int
) -> int | None:
    """About how many commits the log has behind the last frame that SQLite found.

    None where their number is not known.
    """
    # Another process has begun a new log, or is about to.
    if _read(log, _HEAD_BYTES) != head or (not found and _begins_whole(log, head, page_bytes)):
        return 0
    whole = _is_whole(head)
    if index is not None and whole and index.salts != head[16:24]:
        # A new log was about to begin, so the database has all of the old one.
        index = None
    frames = list(_frames(log, page_bytes, found))
    if index is not None:
        ends = sum(
            1
            for place, salts, ends in frames
            if ends and salts == index.salts and place <= index.committed
        )
        is_cut = index.committed > found + len(frames)
        return 0 if index.committed <= found else None if is_cut or not ends else ends
    salts = head[16:24] if whole or not frames else frames[0][1]
    own = [(place, ends) for place, of, ends in frames if of == salts]
    ends_at = [place for place, ends in own if ends]
    # Hazard: the last one alone, with older frames behind it, may be what a killed process had not
    # finished.
    is_damage = ends_at and (not whole or own[-1][0] > ends_at[0] or own[-1] == frames[-1][::2])
    return len(ends_at) if is_damage else 0


def _begins_whole(log: Path, head: bytes, page_bytes: int) -> bool:
    """Whether the header and the first commit match their checksums, so SQLite would find them."""
    order = _order(head)
    sums = _HEAD.unpack(head)[6:]
    if order is None or not _is_whole(head):
        return False
    with log.open("rb") as file:
        file.seek(_HEAD_BYTES)
        while (
            len(frame := file.read(_FRAME_HEAD_BYTES + page_bytes))
            == _FRAME_HEAD_BYTES + page_bytes
        ):
            sums = _checksum(frame[:8] + frame[_FRAME_HEAD_BYTES:], order, sums)
            if frame[8:16] != head[16:24] or struct.unpack(">2I", frame[16:24]) != sums:
                return False
            if frame[4:8] != _NO_COMMIT:
                return True
    return False


def _frames(log: Path, page_bytes: int, found: int) -> Iterator[tuple[int, bytes, bool]]:
    """The frames behind one, counted from 1: place, salts, and whether it ends a commit."""
    with log.open("rb") as file:
        for place in range(
            found, max(0, _size(log) - _HEAD_BYTES) // (_FRAME_HEAD_BYTES + page_bytes)
        ):
            file.seek(_HEAD_BYTES + place * (_FRAME_HEAD_BYTES + page_bytes))
            head = file.read(_FRAME_HEAD_BYTES)
            yield place + 1, head[8:16], head[4:8] != _NO_COMMIT


def _is_whole(head: bytes) -> bool:
    """Whether a log's header matches its checksum."""
    order = _order(head)
    return order is not None and _checksum(head[:24], order) == _HEAD.unpack(head)[6:]


def _order(head: bytes) -> str | None:
    """The byte order of a log's checksums, by its first word."""
    return {0x377F0682: "<", 0x377F0683: ">"}.get(_HEAD.unpack(head)[0])


def _read_index(shm: Path) -> _Index | None:
    """The index, if either of its two copies is whole."""
    data = _read(shm, _INDEX_BYTES)
    if len(data) < _INDEX_BYTES:
        return None
    for copy in (data[:48], data[48:96]):
        # It has this machine's byte order. Its 13th byte says that it is in use.
        if copy[12] == 1 and _checksum(copy[:40], "=") == struct.unpack("=2I", copy[40:]):
            return _Index(
                copy[32:40],
                struct.unpack("=I", copy[16:20])[0],
                struct.unpack("=I", data[96:100])[0],
            )
    return None


def _checksum(data: bytes, order: str, before: tuple[int, ...] = (0, 0)) -> tuple[int, int]:
    first, second = before
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for place in range(0, len(words), 2):
        first = (first + words[place] + second) & 0xFFFFFFFF
        second = (second + words[place + 1] + first) & 0xFFFFFFFF
    return first, second


def _read(path: Path, count: int) -> bytes:
    with suppress(FileNotFoundError), path.open("rb") as file:
        return file.read(count)
    return b""


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return os.stat(path).st_size
    return 0
