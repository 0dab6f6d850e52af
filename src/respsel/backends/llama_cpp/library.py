"""The llama.cpp library: its log, and loading a GGUF file with it.

Knows nothing of text or scores. Invariant: nothing that llama.cpp logs reaches the user's terminal.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from respsel.errors import PreflightError, Problem


def capture_log(api: Any) -> list[str]:
    """Keep llama.cpp's errors for our messages, and everything else off the user's terminal."""
    lines: list[str] = []

    def keep(level: int, text: bytes, _data: Any) -> None:
        if level >= 4 and level != 5 and text.strip():
            lines.append(text.decode("utf-8", "replace").strip())
            del lines[:-20]

    callback = api.llama_log_callback(keep)
    api.llama_log_set(callback, ctypes.c_void_p(0))
    _KEEP_ALIVE.append(callback)
    return lines


# llama.cpp calls the log callback until the process ends: a collected one would crash it.
_KEEP_ALIVE: list[Any] = []


def load_file(api: Any, log: list[str], weights: Path, params: Any, cannot: str) -> Any:
    """Load a GGUF file. Raises PreflightError with what llama.cpp `cannot` do, and why."""
    model = api.llama_model_load_from_file(str(weights).encode(), params)
    if not model:
        why = log[-1] if log else "unknown reason"
        what = f"llama.cpp cannot {cannot}: {why}"
        raise PreflightError(Problem(str(weights), "", what, "Is it a whole GGUF file?"))
    return model
