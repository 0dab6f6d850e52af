"""Files of a folder that appear whole or not at all.

1. Each part is written next to its place.
2. The old manifest is removed.
3. Each part takes its place; a folder inside takes it as a whole.
4. The new manifest is written.

A process that is killed between these leaves whole files without a manifest, and the next process
writes them again. Whoever writes into a folder holds its lock.

Knows nothing of what the files are. Invariant: nothing is written where the manifest has the
content's key, and every file has the size that the manifest says.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any

from respsel.errors import Problem, RunError
from respsel.system.disk import remedy_of, why_of
from respsel.system.parts import PART, remove, remove_dead_parts, write_beside

MANIFEST = "manifest.json"


def is_refused(error: Exception) -> bool:
    """Whether the system allows no writing there."""
    return isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)


def part_of(folder: Path, name: str) -> Path:
    """Where a file is written before it takes its place."""
    return folder / f".{name}{PART}"


def put_in_place(
    folder: Path,
    key: str,
    names: Sequence[str],
    more: Mapping[str, Any] = MappingProxyType({}),
    inner: str = "",
) -> None:
    """Have the parts of some files take their places, and then the manifest.

    more: what else the manifest says.
    inner: a folder of files in `folder` that is replaced as a whole, if it is not empty.
    """
    sizes = {name: part_of(folder, name).stat().st_size for name in names}
    if inner:
        with os.scandir(part_of(folder, inner)) as entries:
            sizes |= {f"{inner}/{entry.name}": entry.stat().st_size for entry in entries}
    manifest = {"key": key, **more, "files": sizes}
    remove_dead_parts(folder, part_of(folder, MANIFEST).name)
    # Hazard: in a folder that came from others, what is left of an earlier part may be a link.
    write_beside(part_of(folder, MANIFEST), json.dumps(manifest, indent=1).encode())
    # Hazard: a process that is killed below could leave new files whose sizes fit the old manifest.
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in names:
        os.replace(part_of(folder, name), folder / name)
    if inner:
        _replace_folder(part_of(folder, inner), folder / inner)
    os.replace(part_of(folder, MANIFEST), folder / MANIFEST)


def _replace_folder(part: Path, place: Path) -> None:
    old = part_of(place.parent, f"{place.name}-before")
    # Hazard: a folder takes no other's place while that one has files. A link is moved as such.
    if os.path.lexists(place):
        os.replace(place, old)
    os.replace(part, place)
    remove(old)


def is_written(folder: Path, key: str) -> bool:
    """Whether the folder holds all files of the content with this key."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        return manifest["key"] == key and all(
            (folder / name).stat().st_size == size for name, size in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def refuse_links(folder: Path, base: Path) -> None:
    """Raise RunError for a link between a folder that the user names and one of respsel's below it.

    The user's folder itself may be a link.
    """
    parts = (folder, *folder.parents)
    for part in parts[: parts.index(base)] if base in parts else ():
        try:
            is_link = part.is_symlink()
        except OSError as error:
            what = f"cannot be used: {why_of(error)}"
            remedy = remedy_of(error, "Give another path")
            raise RunError(Problem(str(part), "", what, remedy)) from error
        if is_link:
            what = "is a link, and respsel writes and removes files there"
            raise RunError(Problem(str(part), "", what, "Replace it by a folder of its own"))


def has_leftovers(folder: Path) -> bool:
    """Whether there are parts in a folder of respsel's own."""
    with os.scandir(folder) as entries:
        return any(entry.name.startswith(".") and PART in entry.name for entry in entries)


def remove_leftovers(folder: Path, names: Sequence[str] | None = None) -> None:
    """Remove what killed processes left of some files. The caller holds the folder's lock.

    names: these files, or None for all, where the folder is respsel's own.
    """
    patterns = (
        [f".*{PART}*"]
        if names is None
        else [f".{escape(name)}{PART}{end}" for name in names for end in ("", ".[0-9]*")]
    )
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        remove(path)
