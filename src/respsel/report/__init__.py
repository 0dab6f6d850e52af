"""A run's result to files that people and programs read: json, markdown, html and parquet."""
