"""What lies in a store's folder: the names that the store writes, and what else may be there.

A store may come from somebody else, and its folder may be shared. Knows nothing of records.
Invariant: nothing is written, read or removed through a link within the folder. The folder itself
may be a link.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from respsel.errors import Problem, StoreError, name_list
from respsel.system.parts import is_dead, is_part

# A file next to the database of every store that was ever opened.
MARK = "store.txt"
DATABASE = "cache.db"
LOCKS = "locks"
QUARANTINE = "quarantine"
WEIGHTS = "weights"
DOWNLOADS = "downloads"
_OWN_FOLDERS = (LOCKS, QUARANTINE, WEIGHTS, DOWNLOADS)
_DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")
_VALUE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")
# Prepared weights: a file, or for transformers a folder. Its name begins with the digest of the
# file that it was made of, and no file of a user's does.
_PREPARED = re.compile(r"[0-9a-f]{64}\.[A-Za-z0-9_.-]+\.(gguf|safetensors)")
# What earlier versions called weights that were being made. They had no lock, but were written
# without a pause.
_EARLIER_PART = re.compile(rf"{_PREPARED.pattern}\.[0-9]+\.part")
_DAY_S = 86_400
_VALUE_FOLDER = re.compile(r"[0-9a-f]{2}")
# What systems and tools put into every folder, besides hidden files.
_OF_SYSTEMS = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "lost+found", "cachedir.tag"),
    *("$recycle.bin", "#recycle", "@eadir", "#snapshot", "system volume information"),
}
# What whoever looks after a store may add: a note on it, and copies of the store's own files.
_OF_KEEPERS = ("readme", DATABASE, MARK, QUARANTINE)
_SHOWN = 3


def check_folder(folder: Path) -> None:
    """Raise StoreError if the folder holds other things than a store.

    Also raises it for a database that is not a plain file. Only the names in the folder are read. A
    folder that cannot be written may hold other things too.
    """
    try:
        with os.scandir(folder) as entries:
            present = {entry.name: entry for entry in entries}
    except (FileNotFoundError, PermissionError):
        return
    for name in _DATABASE_FILES:
        # Hazard: a log disappears when another process closes the store. Then it is not a file
        # either.
        if name in present and not present[name].is_file(follow_symlinks=False):
            _refuse_kind(folder / name, (stat.S_IFREG,), _moved_away(folder))
    is_store = DATABASE in present or MARK in present
    others = sorted(name for name in present if not _may_be_there(name, is_store))
    if others and os.access(folder, os.W_OK):
        raise StoreError(_holds(folder, others, is_store))


def make_own(folder: Path) -> None:
    """Make a folder of the store's.

    Raises StoreError for a link, since somebody else may keep files where it leads.
    """
    refuse_link(folder, "Replace it by a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)


def refuse_link(path: Path, remedy: str = "Delete the link") -> None:
    """Raise StoreError for a link, and for what is neither a file nor a folder."""
    _refuse_kind(path, (stat.S_IFREG, stat.S_IFDIR), remedy)


def read_own(path: Path, most: int) -> bytes:
    """Read the beginning of a file of the store's.

    Raises OSError for a link; a pipe has nothing to read.
    """
    # Windows has neither flag.
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, os.O_RDONLY | flags), "rb", buffering=0) as file:
        return file.read(most) or b""


def is_value(name: str) -> bool:
    """Whether a path within the store is one of diskcache's value files.

    They are called 12/34/ and 28 hexadecimal digits.
    """
    return _VALUE.fullmatch(Path(name).as_posix()) is not None


def is_linked(folder: Path, name: str) -> bool:
    """Whether a value file is a link, a pipe or the like, or lies behind one.

    False for what is not there.
    """
    path = folder / name
    for part, is_last in ((path.parent.parent, False), (path.parent, False), (path, True)):
        try:
            kind = stat.S_IFMT(part.lstat().st_mode)
        except FileNotFoundError:
            return False
        if kind != stat.S_IFDIR and not (is_last and kind == stat.S_IFREG):
            return True
    return False


def is_prepared(name: str) -> bool:
    """Whether a name is one of prepared weights."""
    return _PREPARED.fullmatch(name) is not None


def listed(folder: Path) -> list[Path]:
    """What is in a folder of the store's; nothing behind a link, where the user keeps files."""
    return [] if folder.is_symlink() or not folder.is_dir() else list(folder.iterdir())


def leftovers(folder: Path) -> list[Path]:
    """What is left of files and folders that killed processes were making."""
    paths = [
        *folder.iterdir(),
        *(path for name in _OWN_FOLDERS for path in listed(folder / name)),
    ]
    dead = [path for path in paths if is_part(path.name) and is_dead(path)]
    old = time.time() - _DAY_S
    earlier = [
        path
        for path in listed(folder / WEIGHTS)
        if _EARLIER_PART.fullmatch(path.name) and not path.is_symlink()
    ]
    return dead + [path for path in earlier if _newest(path) < old]


def _refuse_kind(path: Path, allowed: Iterable[int], remedy: str) -> None:
    try:
        kind = stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if kind not in allowed:
        what = "is a link" if kind == stat.S_IFLNK else "is not a file"
        raise StoreError(Problem(str(path), "", f"{what}, and the store writes there", remedy))


def _newest(path: Path) -> float:
    """When a file, or the newest file of a folder, was last written."""
    return max(file.lstat().st_mtime for file in (path, *path.rglob("*")))


def _may_be_there(name: str, is_store: bool) -> bool:
    folded = name.casefold()
    # Without a database, folders called 01 to 12 are somebody's months.
    own = name in _OWN_FOLDERS or (is_store and _VALUE_FOLDER.fullmatch(name) is not None)
    return own or folded.startswith((".", *_OF_KEEPERS)) or folded in _OF_SYSTEMS


def _holds(folder: Path, others: Sequence[str], is_store: bool) -> Problem:
    remedy = "Move that away, or set 'store' in respsel.toml to a folder of its own"
    if is_store:
        remedy += (
            f". To keep what is stored, move {DATABASE}, {MARK} and the store's folders "
            "there, and run each recipe once"
        )
    what = f"the store's folder holds what respsel did not write: {name_list(others, _SHOWN)}"
    return Problem(str(folder), "", what, remedy)


def _moved_away(folder: Path) -> str:
    return f"Move {folder.name} away, and run again: its results are then made again"
