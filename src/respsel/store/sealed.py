"""Sealed records in one diskcache: str keys, bytes values. The only module that imports diskcache.

Each value is sealed with the digest of (key, body), so a damaged or swapped value is a miss that is
reported and moved to `quarantine/`, never served. Nothing is ever evicted. A value that `put`
returned from survives kill -9 (SQLite commit, or a file renamed first).

Knows nothing of what the records mean. Hazard: diskcache unpickles by default (CVE-2025-69872: a
poisoned record runs code on read); `_BytesDisk` refuses everything but str keys and bytes values
both ways.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import diskcache
from diskcache.core import MODE_BINARY, MODE_RAW, UNKNOWN

from respsel.errors import Problem, RunError, StoreError
from respsel.hashing import digest, seal
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
from respsel.store.locks import Holder, take_lock, try_lock
from respsel.store.read_only import ReadOnlyDatabase
from respsel.store.write_ahead import find_loss
from respsel.system.atomic_folder import is_refused
from respsel.system.disk import remedy_of
from respsel.system.parts import remove_dead_parts, write_beside

_ANEW = "Move the folder away and run again; its results are then made again"
_SMALLEST_PAGE_BYTES = 512
_SEAL_BYTES = 32
# How long a statement waits for another process; diskcache's own default.
_TIMEOUT_S = 60
# How often the place of a value file is drawn before links are an error.
_MOST_DRAWS = 64
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
# How many open stores of this process have a database; see write_ahead.find_loss.
_OPEN: Counter[str] = Counter()


class _Refused(Exception):
    """A record of a kind that this store never writes."""


class _Damaged(Exception):
    """What is found under a key cannot be used."""

    def __init__(self, why: str, found: bytes = b"") -> None:
        super().__init__(why)
        self.found = found


class _Literal(str):
    """A path that diskcache takes as it stands.

    It would put the variable's value in the place of $NAME in a folder's name.
    """

    def __str__(self) -> str:
        return self

    def __contains__(self, part: object) -> bool:
        return part not in ("$", "%") and super().__contains__(str(part))


class _BytesDisk(diskcache.Disk):  # type: ignore[misc]
    def put(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise _Refused(f"key of type {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        if not raw or not isinstance(key, str):
            raise _Refused("a key that is not text")
        return key

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> Any:
        if not isinstance(value, bytes):
            raise _Refused(f"value of type {type(value).__name__}")
        return super().store(value, read, key=key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode not in (MODE_RAW, MODE_BINARY):
            raise _Refused(f"a value of mode {mode}")
        if filename is not None and not (isinstance(filename, str) and is_value(filename)):
            raise _Refused("a value outside the store")
        if filename is not None and is_linked(Path(self._directory), filename):
            raise _Refused("a value whose place is a link or no file")
        found = super().fetch(mode, filename, value, read)
        if not isinstance(found, bytes):
            raise _Refused(f"a value of type {type(found).__name__}")
        return found

    def filename(self, key: Any = UNKNOWN, value: Any = UNKNOWN) -> tuple[str, str]:
        """Draw the place of a new value file, behind no link; a link is met only in a store that
        others changed.
        """
        name, path = super().filename(key, value)
        for _ in range(_MOST_DRAWS):
            if not is_linked(Path(self._directory), name):
                break
            name, path = super().filename(key, value)
        else:
            for part in (Path(path).parent.parent, Path(path).parent):
                make_own(part)
        return name, path

    def remove(self, file_path: str) -> None:
        # Hazard: a poisoned record could name any file of the user's, and be deleted with it.
        if is_value(file_path) and not is_linked(Path(self._directory), file_path):
            super().remove(file_path)


@dataclass(frozen=True)
class Entry:
    """A stored record as the database lists it; key is None where it is not text."""

    row: int
    key: str | None
    size_bytes: int
    stored_at: float


class SealedRecords:
    """An open store. `damage` lists what was found damaged since it was opened, `lost` what was
    gone when it was.

    read_only: it cannot be written, or is not there. Then `put` raises, damage stays where it is,
    and nobody is kept from a lock.
    """

    def __init__(self, folder: Path, reading: bool = False) -> None:
        """reading: nothing must be written, so a store that cannot be is opened too, and none is
        made.
        """
        self.folder = folder
        self.read_only = False
        self.closed = False
        self.damage: list[Problem] = []
        self.lost: list[Problem] = []
        self._sql: Callable[..., Any]
        self._disk: Any
        self._close: Callable[[], None]
        with self._guard():
            check_folder(folder)
            self._refuse_lost_database()
            try:
                if reading and not (folder / DATABASE).exists():
                    self._open_read_only()
                else:
                    self._open()
            except (OSError, sqlite3.OperationalError) as error:
                if not reading or not _is_read_only(error):
                    raise
                self._open_read_only()

    def _open(self) -> None:
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        self._note_lost_commits()
        self._cache = diskcache.Cache(
            _Literal(folder),
            disk=_BytesDisk,
            eviction_policy="none",
            cull_limit=0,
            size_limit=2**62,
            statistics=0,
            # Hazard: with a mapped file, one cut short by others kills the process instead of
            # raising.
            sqlite_mmap_size=0,
            sqlite_cache_size=2**11,
            timeout=_TIMEOUT_S,
            # Keys are digests, so every call changes other pages; merging 32 MiB of them at once
            # writes a third faster.
            sqlite_wal_autocheckpoint=2**13,
        )
        # Only now, so that a process beside this one that also makes the store finds it made or not
        # begun.
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
        """Notice a log that was damaged after a process was killed; nobody else would say that
        commits are gone.
        """
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
        self._disk = _BytesDisk(_Literal(self.folder))
        self._close = database.close

    def _refuse_lost_database(self) -> None:
        """SQLite takes a database of a few bytes for a new one, and what was stored would be made
        again in silence.
        """
        database = self.folder / DATABASE
        if (self.folder / MARK).exists() and not (
            database.exists() and database.stat().st_size >= _SMALLEST_PAGE_BYTES
        ):
            what = "the store is damaged: its database is empty or gone"
            raise StoreError(Problem(str(database), "", what, _ANEW))

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
        with self._guard():
            self._close()

    def get(self, key: str) -> bytes | None:
        """Return the body under a key, or None. A damaged one is quarantined and counts as none."""
        with self._guard():
            try:
                return self._read(key)
            except _Damaged:
                pass
            # Hazard: by now another process may have stored the key anew, and has been told that
            # this is kept. What is taken out is what is damaged while nobody else can write.
            with nullcontext() if self.read_only else self._cache.transact(retry=True):
                try:
                    return self._read(key)
                except _Damaged as error:
                    self._quarantine(key, error)
                    return None

    def _read(self, key: str) -> bytes | None:
        try:
            sealed = self._fetch(key)
        except _Refused as error:
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
        """What is stored under a key, in one look; diskcache's own `get` takes a file that is gone
        for no record.
        """
        before = None
        while True:
            found = self._sql(
                "SELECT mode, filename, value FROM Cache WHERE key = ? AND raw = 1", (key,)
            ).fetchone()
            if found is None:
                return None
            try:
                value: bytes = self._disk.fetch(*found, False)
                return value
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                # Another process may have stored the key anew since, and its old file is gone.
                if found == before:
                    raise FileNotFoundError from None
                before = found

    def put(self, key: str, body: bytes) -> None:
        """Store a body; when this returns it survives kill -9 of this process."""
        self._refuse_writing()
        with self._guard():
            self._cache.set(key, seal(key, body) + body, retry=True)

    def has(self, key: str) -> bool:
        """Whether something is stored under a key; it is checked only when it is read."""
        with self._guard():
            return (
                self._sql("SELECT 1 FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchone()
                is not None
            )

    @contextmanager
    def lock(self, name: str, wait: Callable[[Holder], None]) -> Iterator[None]:
        """Hold the only lock, among all processes that use this store; see locks.take_lock."""
        with self._guard():
            lock = nullcontext() if self.read_only else take_lock(self.folder / LOCKS, name, wait)
        with lock:
            yield

    def try_lock(self, name: str) -> AbstractContextManager[None] | Holder:
        """Take a lock if it is free, else say who has it; see locks.try_lock."""
        if self.read_only:
            return nullcontext()
        with self._guard():
            return try_lock(self.folder / LOCKS, name)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make the puts inside one transaction: all are acknowledged when it ends, or none."""
        self._refuse_writing()
        with self._guard(), self._cache.transact(retry=True):
            yield

    def entries(self) -> Iterator[Entry]:
        """Yield every record that is stored, damaged ones too; no value is read and nothing
        unpickled.
        """
        last = -1
        while True:
            with self._guard():
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
        Only where and as diskcache writes them, since a store's folder may hold files of others."""
        with self._guard():
            named = {
                name
                for (name,) in self._sql(
                    "SELECT filename FROM Cache WHERE filename IS NOT NULL"
                ).fetchall()
            }
            found = [str(path.relative_to(self.folder)) for path in self.folder.glob("??/??/*.val")]
            strays = [name for name in found if is_value(name) and name not in named]
            # Hazard: through a link lies what somebody else keeps.
            return [self.folder / name for name in strays if not is_linked(self.folder, name)]

    def integrity(self) -> str:
        """What SQLite finds wrong with the database; "ok" if nothing."""
        with self._guard():
            return str(self._sql("PRAGMA integrity_check").fetchone()[0])

    def forget(self, key: str) -> None:
        """Take the record under a key out for good; what is read-only keeps it."""
        if not self.read_only:
            self._delete("key = ?", key)

    def _delete(self, which: str, value: object) -> None:
        # diskcache's own `delete` passes over records that claim to have expired.
        with self._guard(), self._cache._transact(retry=True) as (sql, remove_file_after):
            for (name,) in sql(
                f"SELECT CAST(filename AS BLOB) FROM Cache WHERE {which}", (value,)
            ).fetchall():
                remove_file_after(_text(name) if name else None)
            sql(f"DELETE FROM Cache WHERE {which}", (value,))

    def checkpoint(self) -> None:
        """Have the database take over what stands in its log, so that damage to the log loses no
        more than what follows.
        """
        if self.read_only:
            return
        with self._guard():
            # Nobody is waited for: what another process still reads stays in the log, whole.
            self._sql("PRAGMA busy_timeout = 0")
            try:
                with suppress(sqlite3.OperationalError):
                    self._sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._sql(f"PRAGMA busy_timeout = {_TIMEOUT_S * 1000}")

    def shrink(self) -> None:
        """Give the disk back what discarded records took."""
        self._refuse_writing()
        with self._guard():
            self._sql("VACUUM")

    def keys(self, kind: str) -> list[tuple[str, float]]:
        """The keys of one kind and since when each is stored."""
        with self._guard():
            rows = self._sql(
                "SELECT key, store_time FROM Cache WHERE key >= ? AND key < ? AND raw = 1",
                (f"{kind}/", f"{kind}0"),
            )
            return [(key, _number(stored_at)) for key, stored_at in rows.fetchall()]

    def stored_at(self, key: str) -> float | None:
        """Since when something is stored under a key (seconds since 1970), or None."""
        with self._guard():
            found = self._sql(
                "SELECT store_time FROM Cache WHERE key = ? AND raw = 1", (key,)
            ).fetchone()
        return None if found is None else float(_number(found[0]))

    def _refuse_writing(self) -> None:
        if self.read_only:
            raise StoreError(_read_only(self.folder, "it was opened to be read"))

    def _quarantine(self, key: str, what: _Damaged) -> None:
        if self.read_only:
            remedy = (
                "It stays where it is, since the store is read-only; a run that can write "
                "makes it again"
            )
            self.damage.append(Problem(str(self.folder), key, f"a damaged record: {what}", remedy))
            return
        folder = self.folder / QUARANTINE
        make_own(folder)
        remove_dead_parts(folder)
        write_beside(
            folder / f"{digest('quarantine', key, what.found)[:24]}.bin",
            key.encode() + b"\n" + what.found,
        )
        self.forget(key)
        remedy = "It is moved to quarantine/ and will be made again"
        self.damage.append(Problem(str(self.folder), key, f"a damaged record: {what}", remedy))

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn what SQLite and the file system raise into errors that name the store
        and a remedy.
        """
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise RunError(self._full(str(error))) from error
            if _is_read_only(error):
                raise StoreError(_read_only(self.folder, str(error))) from error
            remedy = remedy_of(error, "Check the path") + ", or set another 'store' in respsel.toml"
            raise StoreError(
                Problem(str(self.folder), "", f"the store cannot be used: {error}", remedy)
            ) from error
        except (sqlite3.DatabaseError, diskcache.Timeout) as error:
            kind = getattr(error, "sqlite_errorname", "SQLITE_BUSY")
            if kind.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
                raise RunError(self._full(str(error))) from error
            if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                problem = Problem(
                    str(self.folder),
                    "",
                    f"another program keeps the store locked: {error}",
                    "Wait for it, then run again",
                )
                raise StoreError(problem) from error
            if _is_read_only(error):
                raise StoreError(_read_only(self.folder, str(error))) from error
            raise StoreError(
                Problem(str(self.folder / DATABASE), "", f"the store is damaged: {error}", _ANEW)
            ) from error

    def _full(self, why: str) -> Problem:
        return Problem(
            str(self.folder),
            "",
            f"nothing more can be written: {why}",
            "Free some space and run again; nothing done is lost",
        )


def _is_read_only(error: Exception) -> bool:
    """Whether the system allows no writing (or no reading) there; nothing is wrong with what is
    stored.
    """
    kind = getattr(error, "sqlite_errorname", "")
    return is_refused(error) or kind.startswith(
        ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
    )


def _read_only(folder: Path, why: str) -> Problem:
    hidden = os.path.exists(folder) and not os.access(folder, os.R_OK | os.X_OK)
    if hidden or (os.path.exists(folder / DATABASE) and not os.access(folder / DATABASE, os.R_OK)):
        return Problem(
            str(folder),
            "",
            f"the store cannot be read: {why}",
            "Check the permissions of its files",
        )
    if all(
        os.access(path, os.W_OK) for path in (folder, folder / DATABASE) if os.path.exists(path)
    ) and os.path.exists(folder):
        return Problem(
            str(folder), "", f"the store cannot be opened: {why}", "Check what its folder contains"
        )
    remedy = (
        "plan, report, explain and diff work on it. To run, make it writable, or copy the "
        "workspace and run there"
    )
    return Problem(str(folder), "", f"the store is read-only: {why}", remedy)


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _number(value: Any) -> Any:
    """What stands in a column of numbers; a poisoned record may hold anything there."""
    return value if isinstance(value, (int, float)) else 0
