"""Processes of our own, for work that may never end or take all memory.

Says how to start Python and how to limit its memory. Knows nothing of the work, and imports little,
so that such a process starts at once. Invariant: Python takes no file of the user's folder, or of
the program's, for a module.
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
    """Limit this process's memory, where the system has such limits. A lower limit stays."""
    try:
        import resource
    except ImportError:
        return
    highest = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = most_bytes if highest == resource.RLIM_INFINITY else min(most_bytes, highest)
    # Some systems have the limit, but let nobody set it.
    with suppress(ValueError, OSError):
        # A process that the limit ends leaves no core file.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (limit, highest))
