"""How far a run is, in a small file beside its lock, for other processes to read.

A file is written whole, and at most as often as its run says. Knows nothing of how a run comes to
what it says. Invariants: what goes wrong with a file stops no run; whose lock is free is dead,
whatever its file says; nothing is read or written through a link; what is read has the shape that
this version writes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from respsel.hashing import canonical_json, digest
from respsel.store.folder import LOCKS, listed, read_own
from respsel.store.locks import Holder, holder_at, host_name
from respsel.system.parts import remove_dead_parts, write_beside
from respsel.text.numbers import duration

_ENDING = ".progress"
_MOST_BYTES = 1 << 14
# The version of what a file says, and what this one has.
FORMAT = 1
_TEXTS = frozenset("host recipe purpose ended stage step model waits".split())
_COUNTS = frozenset(
    "format pid steps_done steps calls_done calls_wanted calls_made calls_left".split()
)
_NUMBERS = frozenset("began now calls_s tokens_s elapsed_s left_s".split())
# Beyond any count, and a time that no calendar has.
_LARGEST = 1e11


class LiveFile:
    """The file of one run.

    It is written only while `broken` is False; the first error switches it off.
    """

    def __init__(self, folder: Path, run: str) -> None:
        """folder: the store's. run: the key of the run's note, which is the name of its lock."""
        self._path = _path_of(folder, run)
        self.broken = False

    def write(self, said: Mapping[str, Any]) -> None:
        """Replace what it says."""
        if self.broken:
            return
        try:
            if self._path.parent.is_symlink():
                self.broken = True
                return
            write_beside(self._path, canonical_json(dict(said)))
        except (OSError, ValueError):
            self.broken = True

    def remove(self) -> None:
        """Take it away, and what killed processes left of it."""
        with suppress(OSError):
            if not self._path.parent.is_symlink():
                self._path.unlink(missing_ok=True)
                remove_dead_parts(self._path.parent, self._path.name)


def read_live(folder: Path, run: str) -> Mapping[str, Any]:
    """What a run said last; nothing if it said nothing or its file is damaged."""
    return _read(_path_of(folder, run))


def said_by(holder: Holder) -> Mapping[str, Any]:
    """What the run says that goes on in a process, or nothing."""
    if holder.pid is None or holder.folder is None or holder.host not in ("", host_name()):
        return {}
    for path in listed(holder.folder):
        if not path.name.endswith(_ENDING):
            continue
        said = _read(path)
        if said.get("pid") == holder.pid and holder_at(path.with_suffix(".lock")) is not None:
            return said
    return {}


def wait_line(holder: Holder, doing: str) -> str:
    """A line that says which process this one waits for, and how far that is.

    doing: what that process does, as "writing the report".
    """
    who = "another process" if holder.pid is None else f"process {holder.pid}"
    if holder.host not in ("", host_name()):
        who += f" on {holder.host}"
    if holder.about:
        who += f" ({holder.about})"
    since = ""
    if holder.since is not None:
        since = f" since {time.strftime('%H:%M:%S', time.localtime(holder.since))}"
    far = how_far(said_by(holder))
    return f"waiting for {who}, which has been {doing}{since}" + (f"; {far}" if far else "")


def how_far(said: Mapping[str, Any], now: float | None = None) -> str:
    """How far a run is by what it said, in a few words; now: seconds since 1970."""
    left = said.get("left_s")
    elapsed = said.get("elapsed_s")
    told = said.get("now")
    if isinstance(left, int | float) and isinstance(elapsed, int | float):
        passed = (time.time() if now is None else now) - told if isinstance(told, float) else 0.0
        left_now = max(left - max(passed, 0.0), 0.0)
        share = min((elapsed + passed) / max(elapsed + passed + left_now, 1e-9), 0.99)
        return f"its run is {share:.0%} done, about {duration(left_now)} left"
    done = said.get("calls_done")
    wanted = said.get("calls_wanted")
    if wanted and isinstance(done, int) and isinstance(wanted, int):
        return f"{done:,} of {wanted:,} calls are answered"
    return ""


def _path_of(folder: Path, run: str) -> Path:
    return folder / LOCKS / f"{digest('turn', run)[:32]}{_ENDING}"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        said = json.loads(read_own(path, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(said, dict) or said.get("format", FORMAT) != FORMAT:
        return {}
    return {key: value for key, value in said.items() if _fits(key, value)}


def _fits(key: str, value: object) -> bool:
    """Whether a value is what its key has in this version; another program may have written it."""
    if key in _TEXTS:
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LARGEST:
        return False
    return key in _NUMBERS or (key in _COUNTS and isinstance(value, int))
