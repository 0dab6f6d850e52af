"""What SQLite and the file system raise, as errors in a user's words.

Knows nothing of records. Invariant: every error names the store and a remedy, and a full disk is a
RunError, since everything stored before it is kept.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from respsel.errors import Problem, RunError, StoreError
from respsel.store.disk import CacheTimeout
from respsel.store.folder import DATABASE
from respsel.system.atomic_folder import is_refused
from respsel.system.disk import remedy_of

MOVE_AWAY = "Move the folder away and run again; its results are then made again"
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextmanager
def in_words(folder: Path) -> Iterator[None]:
    """Raise a RunError or StoreError for what SQLite and the file system raise inside."""
    try:
        yield
    except OSError as error:
        raise _of_system(folder, error) from error
    except (sqlite3.DatabaseError, CacheTimeout) as error:
        raise _of_database(folder, error) from error


def is_read_only(error: Exception) -> bool:
    """Whether the system allows no writing (or no reading) there.

    Then nothing is wrong with what is stored.
    """
    kind = getattr(error, "sqlite_errorname", "")
    return is_refused(error) or kind.startswith(
        ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
    )


def read_only(folder: Path, why: str) -> Problem:
    """Why a store cannot be written, read or opened, by the permissions that it has."""
    exists = os.path.exists(folder)
    database = folder / DATABASE
    is_hidden = exists and not os.access(folder, os.R_OK | os.X_OK)
    if is_hidden or (os.path.exists(database) and not os.access(database, os.R_OK)):
        what = f"the store cannot be read: {why}"
        return Problem(str(folder), "", what, "Check the permissions of its files")
    present = [path for path in (folder, database) if os.path.exists(path)]
    if exists and all(os.access(path, os.W_OK) for path in present):
        what = f"the store cannot be opened: {why}"
        return Problem(str(folder), "", what, "Check what its folder contains")
    remedy = (
        "plan, report, explain and diff work on it. To run, make it writable, or copy the "
        "workspace and run there"
    )
    return Problem(str(folder), "", f"the store is read-only: {why}", remedy)


def _of_system(folder: Path, error: OSError) -> RunError | StoreError:
    if error.errno in _FULL:
        return RunError(_full(folder, str(error)))
    if is_read_only(error):
        return StoreError(read_only(folder, str(error)))
    remedy = remedy_of(error, "Check the path") + ", or set another 'store' in respsel.toml"
    return StoreError(Problem(str(folder), "", f"the store cannot be used: {error}", remedy))


def _of_database(folder: Path, error: Exception) -> RunError | StoreError:
    kind = getattr(error, "sqlite_errorname", "SQLITE_BUSY")
    if kind.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return RunError(_full(folder, str(error)))
    if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        what = f"another program keeps the store locked: {error}"
        return StoreError(Problem(str(folder), "", what, "Wait for it, then run again"))
    if is_read_only(error):
        return StoreError(read_only(folder, str(error)))
    what = f"the store is damaged: {error}"
    return StoreError(Problem(str(folder / DATABASE), "", what, MOVE_AWAY))


def _full(folder: Path, why: str) -> Problem:
    what = f"nothing more can be written: {why}"
    remedy = "Free some space and run again; nothing done is lost"
    return Problem(str(folder), "", what, remedy)
