"""Sealed records in one database: str keys, bytes values.

Each value is sealed with the digest of (key, body). A damaged or swapped value is never served: it
counts as missing, is reported, and moves to `quarantine/`.

Knows nothing of what the records mean, nor how diskcache keeps them. Invariants: nothing is ever
evicted, and a value that `put` returned from survives kill -9. SQLite has committed it by then, or
its file was renamed first.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from respsel.errors import Problem, StoreError
from respsel.hashing import digest, seal
from respsel.store.disk import TIMEOUT_S, RefusedRecord, open_cache, open_disk
from respsel.store.faults import MOVE_AWAY, in_words, is_read_only, read_only
from respsel.store.folder import (
    DATABASE,
    LOCKS,
    MARK,
    QUARANTINE,
    check_folder,
    is_linked,
    is_value,
    make_own,
)
from respsel.store.locks import Holder, holder_of, take_lock, try_lock
from respsel.store.read_only import ReadOnlyDatabase
from respsel.store.write_ahead import find_loss
from respsel.system.parts import remove_dead_parts, write_beside

_SMALLEST_PAGE_BYTES = 512
_SEAL_BYTES = 32
# How many open stores of this process have a database; see write_ahead.find_loss.
_OPEN: Counter[str] = Counter()


class _Damaged(Exception):
    """What is stored under a key cannot be used.

    sealed: the seal and body that were found, if any.
    """

    def __init__(self, why: str, sealed: bytes = b"") -> None:
        super().__init__(why)
        self.sealed = sealed


@dataclass(frozen=True)
class Entry:
    """A stored record as the database lists it.

    row: its row in the database.
    key: its key, or None where that is not text.
    size_bytes: how much disk its value takes.
    stored_at: when it was stored (seconds since 1970).
    """

    row: int
    key: str | None
    size_bytes: int
    stored_at: float


class SealedRecords:
    """An open store.

    folder: the store's folder.
    read_only: it cannot be written, or is not there. Then `put` raises, damage stays where it is,
        and every lock is free.
    closed: nothing can be read any more.
    damage: what was found damaged since the store was opened.
    lost: what was gone when the store was opened.
    about: the recipe that it was opened for, as others who wait are told it.
    """

    def __init__(self, folder: Path, reading: bool = False) -> None:
        """Open the store in a folder.

        reading: nothing will be written. So a store that cannot be written is opened too, and
        where there is none, none is made.
        """
        self.folder = folder
        self.read_only = False
        self.closed = False
        self.about = ""
        self.damage: list[Problem] = []
        self.lost: list[Problem] = []
        self._sql: Callable[..., Any]
        self._disk: Any
        self._close: Callable[[], None]
        with in_words(self.folder):
            check_folder(folder)
            self._refuse_lost_database()
            try:
                if reading and not (folder / DATABASE).exists():
                    self._open_read_only()
                else:
                    self._open()
            except (OSError, sqlite3.OperationalError) as error:
                if not reading or not is_read_only(error):
                    raise
                self._open_read_only()

    def _open(self) -> None:
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        self._note_lost_commits()
        self._cache = open_cache(folder)
        # Only now: another process that makes the store at this moment finds it made or not begun.
        if not (folder / MARK).exists():
            remove_dead_parts(folder, MARK)
            write_beside(folder / MARK, b"A store of respsel, format 1.\n")
        _OPEN[self._place] += 1
        self._sql = self._cache._sql
        self._disk = self._cache.disk
        self._close = self._close_cache

    def _close_cache(self) -> None:
        self._cache.close()
        _OPEN[self._place] -= 1

    def _note_lost_commits(self) -> None:
        """Note the commits that a damaged log lost. SQLite itself would say nothing of them."""
        database = self.folder / DATABASE
        self._place = os.path.realpath(database)
        if _OPEN[self._place] or not database.exists():
            return
        if (loss := find_loss(database)) is not None:
            self.lost.append(loss)

    def _open_read_only(self) -> None:
        database = ReadOnlyDatabase(self.folder / DATABASE)
        self.read_only = True
        self._sql = database.sql
        self._disk = open_disk(self.folder)
        self._close = database.close

    def _refuse_lost_database(self) -> None:
        """Raise StoreError for a store whose database is empty or gone.

        SQLite takes a database of a few bytes for a new one. Everything would be made again in
        silence.
        """
        database = self.folder / DATABASE
        if (self.folder / MARK).exists() and not (
            database.exists() and database.stat().st_size >= _SMALLEST_PAGE_BYTES
        ):
            what = "the store is damaged: its database is empty or gone"
            raise StoreError(Problem(str(database), "", what, MOVE_AWAY))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Hazard: diskcache would open its database again for whoever reads on.
        self.closed = True
        with in_words(self.folder):
            self._close()

    def get(self, key: str) -> bytes | None:
        """Return the body under a key, or None. A damaged one is quarantined and counts as none."""
        with in_words(self.folder):
            try:
                return self._read(key)
            except _Damaged:
                pass
            # Hazard: another process may have stored the key again by now, and relies on it. So
            # look once more while nobody else can write, and take out only what is then damaged.
            with nullcontext() if self.read_only else self._cache.transact(retry=True):
                try:
                    return self._read(key)
                except _Damaged as error:
                    self._quarantine(key, error)
                    return None

    def _read(self, key: str) -> bytes | None:
        try:
            sealed = self._fetch(key)
        except RefusedRecord as error:
            raise _Damaged(f"{error} was written by something else") from error
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
                raise
            raise _Damaged("text that is not UTF-8 was written by something else") from error
        except FileNotFoundError as error:
            raise _Damaged("its file is gone") from error
        if sealed is None:
            return None
        body = bytes(sealed[_SEAL_BYTES:])
        if sealed[:_SEAL_BYTES] != seal(key, body):
            raise _Damaged("it does not match its seal", sealed)
        return body

    def _fetch(self, key: str) -> bytes | None:
        """The sealed value under a key, or None. Raises FileNotFoundError where its file is gone.

        diskcache's own `get` would return None for that too.
        """
        before = None
        while True:
            columns = self._sql(
                "SELECT mode, filename, value FROM Cache WHERE key = ? AND raw = 1", (key,)
            ).fetchone()
            if columns is None:
                return None
            try:
                value: bytes = self._disk.fetch(*columns, False)
                return value
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                # Another process may have stored the key again since, which removes the old file.
                if columns == before:
                    raise FileNotFoundError from None
                before = columns

    def put(self, key: str, body: bytes) -> None:
        """Store a body; when this returns it survives kill -9 of this process."""
        self._refuse_writing()
        with in_words(self.folder):
            self._cache.set(key, seal(key, body) + body, retry=True)

    def has(self, key: str) -> bool:
        """Whether something is stored under a key. Only reading shows whether it is damaged."""
        with in_words(self.folder):
            row = self._sql("SELECT 1 FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchone()
            return row is not None

    @contextmanager
    def lock(self, name: str, wait: Callable[[Holder], None]) -> Iterator[None]:
        """Hold the only lock, among all processes that use this store; see locks.take_lock."""
        with in_words(self.folder):
            lock = (
                nullcontext()
                if self.read_only
                else take_lock(self.folder / LOCKS, name, wait, self.about)
            )
        with lock:
            yield

    def try_lock(self, name: str) -> AbstractContextManager[None] | Holder:
        """Take a lock if it is free, else say who has it; see locks.try_lock."""
        if self.read_only:
            return nullcontext()
        with in_words(self.folder):
            return try_lock(self.folder / LOCKS, name, self.about)

    def holder_of(self, name: str) -> Holder | None:
        """Who holds a lock now, if anybody does; see locks.holder_of."""
        return holder_of(self.folder / LOCKS, name)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Put what is put inside in one transaction: at its end all of it is stored, or nothing."""
        self._refuse_writing()
        with in_words(self.folder), self._cache.transact(retry=True):
            yield

    def entries(self) -> Iterator[Entry]:
        """Yield every record that is stored, damaged ones too, without reading a value."""
        last = -1
        while True:
            with in_words(self.folder):
                # As bytes, since text that is not UTF-8 cannot be fetched as text.
                rows = self._sql(
                    "SELECT rowid, raw = 1 AND typeof(key) = 'text', CAST(key AS BLOB), size, "
                    "length(value), store_time"
                    " FROM Cache WHERE rowid > ? ORDER BY rowid LIMIT 5000",
                    (last,),
                ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            for row, is_text, key, size, inline, stored_at in rows:
                yield Entry(
                    row,
                    _text(key) if is_text else None,
                    _number(size) + (inline or 0),
                    _number(stored_at),
                )

    def discard(self, entry: Entry) -> None:
        """Take a record out for good."""
        self._refuse_writing()
        self._delete("rowid = ?", entry.row)

    def strays(self) -> list[Path]:
        """Value files that no record names: what is left of a put that the disk had no room for.

        They have diskcache's names and places. Other files in the folder may be somebody else's.
        """
        with in_words(self.folder):
            rows = self._sql("SELECT filename FROM Cache WHERE filename IS NOT NULL").fetchall()
            named = {name for (name,) in rows}
            files = [str(path.relative_to(self.folder)) for path in self.folder.glob("??/??/*.val")]
            strays = [name for name in files if is_value(name) and name not in named]
            # Hazard: through a link lies what somebody else keeps.
            return [self.folder / name for name in strays if not is_linked(self.folder, name)]

    def integrity(self) -> str:
        """What SQLite finds wrong with the database; "ok" if nothing."""
        with in_words(self.folder):
            return str(self._sql("PRAGMA integrity_check").fetchone()[0])

    def forget(self, key: str) -> None:
        """Take the record under a key out for good, unless the store is read-only."""
        if not self.read_only:
            self._delete("key = ?", key)

    def _delete(self, which: str, value: object) -> None:
        # diskcache's own `delete` skips records that claim to have expired.
        with in_words(self.folder), self._cache._transact(retry=True) as (sql, remove_file_after):
            for (name,) in sql(
                f"SELECT CAST(filename AS BLOB) FROM Cache WHERE {which}", (value,)
            ).fetchall():
                remove_file_after(_text(name) if name else None)
            sql(f"DELETE FROM Cache WHERE {which}", (value,))

    def checkpoint(self) -> None:
        """Have SQLite move its log into the database, so that damage to the log loses less."""
        if self.read_only:
            return
        with in_words(self.folder):
            # This waits for nobody: what another process still reads stays in the log, whole.
            self._sql("PRAGMA busy_timeout = 0")
            try:
                with suppress(sqlite3.OperationalError):
                    self._sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._sql(f"PRAGMA busy_timeout = {TIMEOUT_S * 1000}")

    def shrink(self) -> None:
        """Give the disk back what discarded records took."""
        self._refuse_writing()
        with in_words(self.folder):
            self._sql("VACUUM")

    def keys(self, kind: str) -> list[tuple[str, float]]:
        """The keys of one kind, and when each was stored (seconds since 1970)."""
        with in_words(self.folder):
            rows = self._sql(
                "SELECT key, store_time FROM Cache WHERE key >= ? AND key < ? AND raw = 1",
                (f"{kind}/", f"{kind}0"),
            )
            return [(key, _number(stored_at)) for key, stored_at in rows.fetchall()]

    def stored_at(self, key: str) -> float | None:
        """When the record under a key was stored (seconds since 1970), or None."""
        with in_words(self.folder):
            row = self._sql(
                "SELECT store_time FROM Cache WHERE key = ? AND raw = 1", (key,)
            ).fetchone()
        return None if row is None else float(_number(row[0]))

    def _refuse_writing(self) -> None:
        if self.read_only:
            raise StoreError(read_only(self.folder, "it was opened to be read"))

    def _quarantine(self, key: str, error: _Damaged) -> None:
        what = f"a damaged record: {error}"
        if self.read_only:
            remedy = (
                "It stays where it is, since the store is read-only; a run that can write "
                "makes it again"
            )
            self.damage.append(Problem(str(self.folder), key, what, remedy))
            return
        folder = self.folder / QUARANTINE
        make_own(folder)
        remove_dead_parts(folder)
        name = f"{digest('quarantine', key, error.sealed)[:24]}.bin"
        write_beside(folder / name, key.encode() + b"\n" + error.sealed)
        self.forget(key)
        remedy = "It is moved to quarantine/ and will be made again"
        self.damage.append(Problem(str(self.folder), key, what, remedy))


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _number(value: Any) -> Any:
    """The value of a column of numbers; a poisoned record may have anything there."""
    return value if isinstance(value, (int, float)) else 0
