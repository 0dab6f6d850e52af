"""Requests to models: their keys, their records, and who asks only what is missing."""
