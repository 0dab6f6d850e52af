"""Users' data files: opened, unpacked, and read as rows. Knows nothing of recipes or models."""
