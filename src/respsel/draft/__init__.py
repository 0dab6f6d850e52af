"""A data file looked at, and a first recipe drafted for it."""
