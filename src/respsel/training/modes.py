"""What is applied: one strategy's responses, or each example's best response."""

from __future__ import annotations

from typing import Literal, get_args

from respsel.errors import InputError, Problem, suggest

Mode = Literal["strategy", "per-example"]


def check_mode(mode: str) -> None:
    """Raise InputError for what is not a mode."""
    modes = get_args(Mode)
    if mode not in modes:
        raise InputError(Problem("", "mode", f"'{mode}' is not a mode", suggest(mode, modes)))
