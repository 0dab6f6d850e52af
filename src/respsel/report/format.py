"""Correlations as people read them. Other numbers: see number_text."""

from __future__ import annotations


def signed(value: float | None) -> str:
    """A correlation: sign and two digits."""
    return "–" if value is None else f"{value:+.2f}"
