"""Recorded runs, and how two of them differ."""
