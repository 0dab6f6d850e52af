"""Processes of our own, for work that may never end or take all memory: how Python is started, and
a limit of memory.

Knows nothing of the work, and imports little, so that such a process starts at once. Invariant: no
file of the folder where the user is, or where the program lies, is taken for a module.
"""

from __future__ import annotations

from contextlib import suppress


def python_command(*arguments: str) -> list[str]:
    """The command that starts this Python with some arguments."""
    from multiprocessing.spawn import get_executable

    python = get_executable()
    # Hazard: without -P Python takes a file `json.py` there for its own module, and runs it.
    return [
        python if isinstance(python, str) else python.decode(),
        "-P",
        "-W",
        "ignore",
        *arguments,
    ]


def limit_memory(most_bytes: int) -> None:
    """Limit this process's memory, where the system has such limits, to that or to the system's own
    lower limit.
    """
    try:
        import resource
    except ImportError:
        return
    highest = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = most_bytes if highest == resource.RLIM_INFINITY else min(most_bytes, highest)
    # Some systems have the limit and do not let it be set.
    with suppress(ValueError, OSError):
        # An end by force leaves no file behind.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (limit, highest))
