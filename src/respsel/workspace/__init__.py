"""The folder that recipes share, and a recipe file read and checked against it."""
