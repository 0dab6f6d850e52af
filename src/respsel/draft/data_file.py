"""The data file that a recipe is drafted for, or why what was typed is none.

Knows nothing of what is in it. Invariant: what may be a password is not repeated.
"""

from __future__ import annotations

import os
from pathlib import Path

from respsel.errors import InputError, Problem
from respsel.remote.kinds import is_address
from respsel.system.disk import fault_of_kind, remedy_of, why_of
from respsel.system.patterns import is_pattern
from respsel.workspace.loaded_recipe import readable


def data_file(given: str) -> Path:
    """The path of the file that was typed. Raises InputError if it is none."""
    path = Path(given)
    fault = _fault(given, path)
    if fault is None:
        return path
    from respsel.remote.addresses import shown

    told = shown(given) if is_address(given) else given
    raise InputError(Problem(readable(told), "", *fault))


def _fault(given: str, path: Path) -> tuple[str, str] | None:
    """What is wrong with what was typed, and what to do."""
    if not os.path.lexists(path):
        return _absent(given)
    try:
        return fault_of_kind(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return "is a link, and there is no file where it leads", "Give the path of the file"
    except (OSError, ValueError) as error:
        return f"cannot be read: {why_of(error)}", remedy_of(error, "Check the path")


def _absent(given: str) -> tuple[str, str]:
    if is_address(given):
        remedy = "Download the file, and give its path. The recipe's `path` may be an address then"
        return "is an address, and init looks at a file that is here", remedy
    if is_pattern(given):
        remedy = "Name one of its files. The recipe's `path` may be the pattern then"
        return "is a pattern, and init looks at one file", remedy
    home = "; ~ does not stand for your home here" if given.startswith("~") else ""
    return "there is no such file", f"Give the path of your data from here{home}"
