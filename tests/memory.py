"""How much memory a process has had at most."""

from __future__ import annotations

from pathlib import Path


def peak_kib() -> int:
    """Of this process, in KiB; 0 where the system does not tell.

    Hazard: what getrusage says of a process began with the memory of the one that started it.
    """
    status = Path("/proc/self/status")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) if status.exists() else 0
