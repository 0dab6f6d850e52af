"""What can go wrong with a download, in a user's words. Knows nothing of recipes.

Invariant: no fault repeats what a server or a library said, since that may hold a token.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from respsel.errors import InputError, PreflightError, RunError
from respsel.system.disk import remedy_of, why_of

_AGAIN = "Run again: files that came whole are kept"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What a server says of a moment, not of the file.
PASSING = (408, 425, 429, 500, 502, 503, 504)


class DownloadFault(Exception):
    """Why something was not downloaded.

    remedy: what to do.
    kind: the error that a user gets of it.
    passes: whether trying again may help.
    """

    def __init__(
        self,
        what: str,
        remedy: str,
        kind: type[InputError] | type[PreflightError] | type[RunError] = InputError,
        passes: bool = False,
    ) -> None:
        super().__init__(what)
        self.remedy = remedy
        self.kind = kind
        self.passes = passes


def refused(status: int, login: str) -> DownloadFault:
    """The fault of a server's answer; login: what to do where one must log in."""
    if status in (401, 403):
        return DownloadFault(f"may not be read without a login (HTTP {status})", login)
    if status in (404, 410):
        return DownloadFault(f"is not there (HTTP {status})", "Check its spelling, or if it moved")
    if status in PASSING:
        what = f"cannot be had now: the server answers HTTP {status}"
        return DownloadFault(what, f"Wait a while. {_AGAIN}", RunError, passes=True)
    return DownloadFault(f"cannot be had: the server answers HTTP {status}", "Check the address")


def unreachable(why: str) -> DownloadFault:
    """The fault of a server that gives no answer, or stops in the middle."""
    remedy = f"Check the network, its proxy and the address. {_AGAIN}"
    return DownloadFault(f"cannot be downloaded: {why}", remedy, RunError, passes=True)


def too_large(size: int | None, most: int) -> DownloadFault:
    """The fault of content that is larger than the workspace allows."""
    has = "has no end" if size is None else f"has {size_text(size)}"
    what = f"{has}, and at most {size_text(most)} are downloaded"
    return DownloadFault(what, "Raise 'largest_download_gib' in respsel.toml if that is right")


def refuse_full(size: int, folder: Path) -> None:
    """Raise DownloadFault where a folder's disk has no space for so many bytes."""
    if size > shutil.disk_usage(folder).free:
        what = f"has {size_text(size)}, and the disk has no space for it"
        raise DownloadFault(what, "Free some space there, then run again", RunError)


def unwritable(error: OSError) -> DownloadFault:
    """The fault of a disk that does not take it."""
    full = error.errno in _NO_SPACE
    what = "cannot be stored: the disk is full" if full else f"cannot be stored: {why_of(error)}"
    return DownloadFault(what, remedy_of(error, "See that respsel can write there"), RunError)


def size_text(count: int) -> str:
    """A number of bytes for people."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"
