"""The report's numbers, before anything is drawn."""
