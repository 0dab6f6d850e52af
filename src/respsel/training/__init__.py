"""The training set: a selection applied to whole datasets, and written as trainers read it."""
