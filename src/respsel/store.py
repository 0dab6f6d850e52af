"""The store: every result that must not be computed twice. The only module that imports diskcache.

One diskcache in `cache/`: str keys, bytes values. Each value is sealed with the digest of (key, body), so
a damaged or swapped value is a miss that is reported and moved to `quarantine/`, never served. Nothing is
ever evicted. A value that `put` returned from survives kill -9 (SQLite commit, or a file renamed first).

Knows nothing of recipes or models. Hazard: diskcache unpickles by default (CVE-2025-69872: a poisoned
record runs code on read); `_BytesDisk` refuses everything but str keys and bytes values both ways.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import diskcache
from diskcache.core import MODE_BINARY, MODE_RAW, UNKNOWN

from respsel.errors import Problem, RunError, StoreError
from respsel.hashing import FileStat, canonical_json, digest, seal
from respsel.tables import Document, Packed, Table

if TYPE_CHECKING:
    import polars

_SEAL_BYTES = 32
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
Row = TypeVar("Row")


class _Refused(Exception):
    """A record of a kind that this store never writes."""


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
        if filename is not None and not self._is_inside(filename):
            raise _Refused("a value outside the store")
        found = super().fetch(mode, filename, value, read)
        if not isinstance(found, bytes):
            raise _Refused(f"a value of type {type(found).__name__}")
        return found

    def remove(self, file_path: str) -> None:
        # Hazard: a poisoned record could name any file of the user's, and be deleted with it.
        if self._is_inside(file_path):
            super().remove(file_path)

    def _is_inside(self, name: str) -> bool:
        folder = Path(self._directory).resolve()
        return (folder / name).resolve().is_relative_to(folder)


@dataclass(frozen=True)
class StepRecord:
    """What a finished step left: the key's parts, the table and digest under which its output is stored,
    and whether it may have asked a model."""

    op: str
    version: int
    fields: Mapping[str, Any]
    inputs: Mapping[str, str]
    table: str
    output: str
    rows: int
    asks: bool


@dataclass(frozen=True)
class Entry:
    """A stored record as the database lists it; key is None where it is not text."""

    row: int
    key: str | None
    size_bytes: int
    stored_at: float


@dataclass(frozen=True)
class Holder:
    """Who computes now: a process, and since when (seconds since 1970). Both None where that is not known."""

    pid: int | None
    since: float | None


class Store:
    """An open store. `damage` lists what was found damaged since it was opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damage: list[Problem] = []
        with self._guard():
            folder.mkdir(parents=True, exist_ok=True)
            self._cache = diskcache.Cache(
                str(folder),
                disk=_BytesDisk,
                eviction_policy="none",
                cull_limit=0,
                size_limit=2**62,
                statistics=0,
                sqlite_mmap_size=0,
                sqlite_cache_size=2**11,
            )

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cache.close()

    def get(self, key: str) -> bytes | None:
        """Return the body under a key, or None. A damaged one is quarantined and counts as none."""
        with self._guard():
            try:
                sealed = self._fetch(key)
            except _Refused as error:
                self._quarantine(key, b"", f"{error} was written by something else")
                return None
            except sqlite3.OperationalError as error:
                if "decode" not in str(error):
                    raise
                self._quarantine(key, b"", "text that is not UTF-8 was written by something else")
                return None
            except FileNotFoundError:
                self._quarantine(key, b"", "its file is gone")
                return None
            if sealed is None:
                return None
            body = bytes(sealed[_SEAL_BYTES:])
            if sealed[:_SEAL_BYTES] != seal(key, body):
                self._quarantine(key, sealed, "it does not match its seal")
                return None
            return body

    def _fetch(self, key: str) -> bytes | None:
        """What is stored under a key, in one look; diskcache's own `get` takes a file that is gone for no record."""
        for again in (True, False):
            found = self._cache._sql("SELECT mode, filename, value FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchone()
            if found is None:
                return None
            try:
                value: bytes = self._cache.disk.fetch(*found, False)
                return value
            except FileNotFoundError:
                # Another process may have stored the key anew since, and its old file is gone.
                if not again:
                    raise
        raise AssertionError("unreachable")

    def put(self, key: str, body: bytes) -> None:
        """Store a body; when this returns it survives kill -9 of this process."""
        with self._guard():
            self._cache.set(key, seal(key, body) + body, retry=True)

    def has(self, key: str) -> bool:
        """Whether something is stored under a key; it is checked only when it is read."""
        with self._guard():
            return self._cache._sql("SELECT 1 FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchone() is not None

    @contextmanager
    def turn(self, name: str, wait: Callable[[Holder], None]) -> Iterator[None]:
        """Hold the only turn, among all processes, to compute what `name` stands for.

        A live holder is waited for, after `wait` is told who it is. The lock is the operating system's, so
        a killed process holds nothing.
        """
        from filelock import FileLock, Timeout

        path = self.folder / "locks" / f"{digest('turn', name)[:32]}.lock"
        note = path.with_suffix(".json")
        with self._guard():
            path.parent.mkdir(exist_ok=True)
            lock = FileLock(path, is_singleton=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                wait(_read_holder(note))
                lock.acquire()
        try:
            note.write_bytes(canonical_json({"pid": os.getpid(), "since": time.time()}))
            yield
        finally:
            lock.release()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make the puts inside one transaction: all are acknowledged when it ends, or none."""
        with self._guard(), self._cache.transact(retry=True):
            yield

    def load_json(self, key: str) -> Any:
        """Return the JSON value under a key, or None."""
        body = self.get(key)
        return None if body is None else json.loads(body)

    def save_json(self, key: str, value: object) -> None:
        """Store a JSON value."""
        self.put(key, canonical_json(value))

    def load_step(self, key: str) -> StepRecord | None:
        """Return the record of a finished step, or None. Its output is not read."""
        found = self.load_json(f"step/{key}")
        return None if found is None else StepRecord(**found)

    def save_step(self, key: str, record: StepRecord) -> None:
        """Record a finished step; its output must be stored before."""
        self.save_json(f"step/{key}", asdict(record))

    def entries(self) -> Iterator[Entry]:
        """Yield every record that is stored, damaged ones too; no value is read and nothing unpickled."""
        last = -1
        while True:
            with self._guard():
                # As bytes, since text that is not UTF-8 cannot be fetched as text.
                rows = self._cache._sql(
                    "SELECT rowid, raw = 1 AND typeof(key) = 'text', CAST(key AS BLOB), size, length(value), store_time"
                    " FROM Cache WHERE rowid > ? ORDER BY rowid LIMIT 5000",
                    (last,),
                ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            for row, is_text, key, size, inline, stored_at in rows:
                yield Entry(row, _text(key) if is_text else None, _number(size) + (inline or 0), _number(stored_at))

    def discard(self, entry: Entry) -> None:
        """Take a record out for good."""
        self._delete("rowid = ?", entry.row)

    def strays(self) -> list[Path]:
        """Value files that no record names: what is left of a put that the disk had no room for."""
        with self._guard():
            named = {name for (name,) in self._cache._sql("SELECT filename FROM Cache WHERE filename IS NOT NULL").fetchall()}
            return [path for path in self.folder.rglob("*.val") if str(path.relative_to(self.folder)) not in named]

    def integrity(self) -> str:
        """What SQLite finds wrong with the database; "ok" if nothing."""
        with self._guard():
            return str(self._cache._sql("PRAGMA integrity_check").fetchone()[0])

    def forget(self, key: str) -> None:
        """Take the record under a key out for good."""
        self._delete("key = ?", key)

    def _delete(self, which: str, value: object) -> None:
        # diskcache's own `delete` passes over records that claim to have expired.
        with self._guard(), self._cache._transact(retry=True) as (sql, remove_file_after):
            for (name,) in sql(f"SELECT filename FROM Cache WHERE {which}", (value,)).fetchall():
                remove_file_after(name)
            sql(f"DELETE FROM Cache WHERE {which}", (value,))

    def shrink(self) -> None:
        """Give the disk back what discarded records took."""
        with self._guard():
            self._cache._sql("VACUUM")

    def keys(self, kind: str) -> list[tuple[str, float]]:
        """The keys of one kind and since when each is stored."""
        with self._guard():
            rows = self._cache._sql(
                "SELECT key, store_time FROM Cache WHERE key >= ? AND key < ? AND raw = 1", (f"{kind}/", f"{kind}0")
            )
            return [(key, _number(stored_at)) for key, stored_at in rows.fetchall()]

    def stored_at(self, key: str) -> float | None:
        """Since when something is stored under a key (seconds since 1970), or None."""
        with self._guard():
            found = self._cache._sql("SELECT store_time FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchone()
        return None if found is None else float(_number(found[0]))

    def last_key(self, recipe: str, step: str) -> str | None:
        """Return the key of a step's last run in a recipe, for "what changed"; never for reuse."""
        key = self.get(f"last/{digest('last', recipe, step)}")
        return key.decode() if key else None

    def save_last(self, recipe: str, step: str, key: str) -> None:
        """Note the key of a step's newest run in a recipe."""
        place = f"last/{digest('last', recipe, step)}"
        if self.get(place) != key.encode():
            self.put(place, key.encode())

    def load_uses(self, step: str) -> list[str] | None:
        """Return the keys of the records that a step's calls left, for `cache gc`; None if not known."""
        body = self.get(f"uses/{step}")
        if body is None:
            return None
        digests = [body[i : i + 32].hex() for i in range(0, len(body), 32)]
        return [f"request/{value}" for value in digests[::2]] + [f"call/{value}" for value in digests[1::2]]

    def save_uses(self, step: str, digests: bytes) -> None:
        """Note the keys of the requests and calls of a step, as a Trail holds them."""
        self.put(f"uses/{step}", digests)

    def load_rows(self, table: Table[Row] | Document[Row], output: str) -> Sequence[Row] | None:
        """Return a step's output table, or None if it is missing or damaged."""
        body = self.get(f"rows/{table.name}/{output}")
        return None if body is None else table.decode(body)

    def load_frame(self, table: Table[Any], output: str) -> polars.DataFrame | None:
        """Return a step's output table as a data frame, or None if it is missing or damaged."""
        body = self.get(f"rows/{table.name}/{output}")
        return None if body is None else table.read(body)

    def save_rows(self, table: Table[Row] | Document[Row], rows: Iterable[Row]) -> Packed:
        """Store an output table under the digest of its content and return that."""
        packed = table.pack(rows)
        self.put(f"rows/{table.name}/{packed.digest}", packed.data)
        return packed

    def load_file_digest(self, path: str, stat: FileStat) -> str | None:
        """See hashing.DigestMemo."""
        known = self.load_json(f"file/{digest('path', path)}")
        return known["digest"] if known and known["stat"] == asdict(stat) else None

    def save_file_digest(self, path: str, stat: FileStat, value: str) -> None:
        """See hashing.DigestMemo."""
        self.save_json(f"file/{digest('path', path)}", {"stat": asdict(stat), "digest": value})

    def _quarantine(self, key: str, found: bytes, why: str) -> None:
        folder = self.folder / "quarantine"
        folder.mkdir(exist_ok=True)
        (folder / f"{digest('quarantine', key, found)[:24]}.bin").write_bytes(key.encode() + b"\n" + found)
        self.forget(key)
        remedy = "It is moved to quarantine/ and will be made again"
        self.damage.append(Problem(str(self.folder), key, f"a damaged record: {why}", remedy))

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn what SQLite and the file system raise into errors that name the store and a remedy."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise RunError(self._full(str(error))) from error
            remedy = "Check the folder's permissions, or set 'store' in respsel.toml"
            raise StoreError(Problem(str(self.folder), "", f"the store cannot be used: {error}", remedy)) from error
        except (sqlite3.DatabaseError, diskcache.Timeout) as error:
            kind = getattr(error, "sqlite_errorname", "SQLITE_BUSY")
            if kind.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
                raise RunError(self._full(str(error))) from error
            if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                problem = Problem(
                    str(self.folder), "", f"another program keeps the store locked: {error}", "Wait for it, then run again"
                )
                raise StoreError(problem) from error
            if kind.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
                problem = Problem(str(self.folder), "", f"the store cannot be written: {error}", "Check the folder's permissions")
                raise StoreError(problem) from error
            remedy = "Move the folder away and run again; its results are then made anew"
            raise StoreError(Problem(str(self.folder / "cache.db"), "", f"the store is damaged: {error}", remedy)) from error

    def _full(self, why: str) -> Problem:
        return Problem(
            str(self.folder), "", f"nothing more can be written: {why}", "Free some space and run again; nothing done is lost"
        )


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _number(value: Any) -> Any:
    """What stands in a column of numbers; a poisoned record may hold anything there."""
    return value if isinstance(value, (int, float)) else 0


def _read_holder(note: Path) -> Holder:
    try:
        found = json.loads(note.read_bytes())
        return Holder(int(found["pid"]), float(found["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        # The holder has just taken its turn and not signed yet.
        return Holder(None, None)
