"""Correlations and times as people read them. Other numbers: see text.numbers."""

from __future__ import annotations

from datetime import UTC, datetime


def signed(value: float | None) -> str:
    """A correlation: sign and two digits."""
    return "–" if value is None else f"{value:+.2f}"


def utc_text(when: datetime) -> str:
    """A time to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
