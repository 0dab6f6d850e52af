"""Rows as parquet tables, and back."""
