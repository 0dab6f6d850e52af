"""The database of a store that cannot be written.

It is on a read-only mount, belongs to another user, or is not there at all.

Ways to read it, in this order:

1. Like any reader, while others write. SQLite allows that where the files of its write-ahead log
   (`-wal`, `-shm`) are there or can be made.
2. As a file that does not change ("immutable"), where these files are missing in a folder that
   cannot be written. Then nobody writes, and the database is all there is.
3. As a copy in a temporary folder, where there is a log without its index: a killed process or a
   copy of the folder left it. The log may hold commits that the database lacks.

Knows nothing of records. Invariants: it writes nothing next to the database. If somebody wrote a
database that was read in the second way, closing it is an error.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from respsel.errors import Problem, StoreError
from respsel.hashing import FileStat

# The table that diskcache keeps records in, as far as it is read here.
_NO_RECORDS = (
    "CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, size "
    "INTEGER DEFAULT 0,"
    " mode INTEGER DEFAULT 0, filename TEXT, value BLOB)"
)
_UNREADABLE_HERE = ("SQLITE_CANTOPEN", "SQLITE_READONLY")


class ReadOnlyDatabase:
    """An open database; the module says in which ways."""

    def __init__(self, database: Path) -> None:
        """Open it. Raises sqlite3.Error or OSError if it cannot be read either."""
        self._database = database.absolute()
        self._opened = ExitStack()
        self._stat: FileStat | None = None
        with ExitStack() as opened:
            self._connection = self._open(opened)
            self._opened = opened.pop_all()

    def sql(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Run one statement that reads."""
        return self._connection.execute(statement, values)

    def close(self) -> None:
        """Close it. Raises StoreError if what was read may not have been whole."""
        self._opened.close()
        if self._stat is not None and (
            self._log_bytes() or FileStat.of(self._database) != self._stat
        ):
            what = (
                "another program wrote the store while it was read, so what was read may be wrong"
            )
            raise StoreError(
                Problem(str(self._database), "", what, "Try again when it has finished")
            )

    def _open(self, opened: ExitStack) -> sqlite3.Connection:
        if not self._database.exists():
            return _connect(":memory:", opened, _NO_RECORDS)
        try:
            return _connect(f"{self._database.as_uri()}?mode=ro", opened)
        except sqlite3.OperationalError as error:
            if not getattr(error, "sqlite_errorname", "").startswith(_UNREADABLE_HERE):
                raise
        if self._log_bytes():
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="respsel-")))
            for path in (self._database, self._log):
                shutil.copyfile(path, folder / path.name)
            return _connect(f"{(folder / self._database.name).as_uri()}?mode=rw", opened)
        self._stat = FileStat.of(self._database)
        return _connect(f"{self._database.as_uri()}?mode=ro&immutable=1", opened)

    @property
    def _log(self) -> Path:
        return self._database.with_name(f"{self._database.name}-wal")

    def _log_bytes(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0


def _connect(
    name: str, opened: ExitStack, first: str = "SELECT 1 FROM Cache LIMIT 1"
) -> sqlite3.Connection:
    """Connect, and try the connection: SQLite opens a file only when it is first read."""
    connection = sqlite3.connect(
        name,
        uri=name.startswith("file:"),
        timeout=60,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute(first).fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    opened.callback(connection.close)
    return connection
