"""diskcache with bytes only: the one module that imports diskcache.

Knows nothing of seals or of what the records mean. Invariant: no record is unpickled, and no file
outside the store's value folders is read or removed. Hazard: diskcache unpickles by default
(CVE-2025-69872: a poisoned record runs code when it is read). `BytesDisk` refuses everything but
str keys and bytes values, on writing and on reading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import MODE_BINARY, MODE_RAW, UNKNOWN

from respsel.store.folder import is_linked, is_value, make_own

# How long a statement waits for another process; diskcache's own default.
TIMEOUT_S = 60
# How often diskcache draws the place of a value file before links are an error.
_MOST_DRAWS = 64

# What diskcache raises when another process holds the database for longer than TIMEOUT_S.
CacheTimeout = diskcache.Timeout


class RefusedRecord(Exception):
    """A record of a kind that the store never writes."""


class BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """How diskcache turns keys and values into columns and files, and back."""

    def put(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise RefusedRecord(f"key of type {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        if not raw or not isinstance(key, str):
            raise RefusedRecord("a key that is not text")
        return key

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> Any:
        if not isinstance(value, bytes):
            raise RefusedRecord(f"value of type {type(value).__name__}")
        return super().store(value, read, key=key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode not in (MODE_RAW, MODE_BINARY):
            raise RefusedRecord(f"a value of mode {mode}")
        if filename is not None and not (isinstance(filename, str) and is_value(filename)):
            raise RefusedRecord("a value outside the store")
        if filename is not None and is_linked(Path(self._directory), filename):
            raise RefusedRecord("a value whose place is a link or no file")
        body = super().fetch(mode, filename, value, read)
        if not isinstance(body, bytes):
            raise RefusedRecord(f"a value of type {type(body).__name__}")
        return body

    def filename(self, key: Any = UNKNOWN, value: Any = UNKNOWN) -> tuple[str, str]:
        """Draw the place of a new value file that is behind no link.

        A store has links only if somebody else changed it.
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
        # Hazard: a poisoned record could name any file of the user's, which would be deleted too.
        if is_value(file_path) and not is_linked(Path(self._directory), file_path):
            super().remove(file_path)


def open_cache(folder: Path) -> diskcache.Cache:
    """Open the diskcache in a folder; it is made if there is none. It never evicts a record."""
    return diskcache.Cache(
        _Literal(folder),
        disk=BytesDisk,
        eviction_policy="none",
        cull_limit=0,
        size_limit=2**62,
        statistics=0,
        # Hazard: a mapped file that others cut short kills the process instead of raising.
        sqlite_mmap_size=0,
        sqlite_cache_size=2**11,
        timeout=TIMEOUT_S,
        # Keys are digests, so every call changes other pages. Merging 32 MiB of them at once
        # writes a third faster.
        sqlite_wal_autocheckpoint=2**13,
    )


def open_disk(folder: Path) -> BytesDisk:
    """What reads value files where there is no diskcache to open."""
    return BytesDisk(_Literal(folder))


class _Literal(str):
    """A path that diskcache takes as it is.

    In the name of a folder, diskcache would replace $NAME by the variable's value.
    """

    def __str__(self) -> str:
        return self

    def __contains__(self, part: object) -> bool:
        return part not in ("$", "%") and super().__contains__(str(part))
