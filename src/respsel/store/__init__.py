"""Where everything is kept: records by key, locks, notes of runs, and how space is freed."""
