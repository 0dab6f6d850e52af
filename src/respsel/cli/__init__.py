"""The commands. The only package that prints, reads the terminal's environment, or exits."""

# The order of the imports is that of the commands in --help.
from respsel.cli import run as running  # isort: skip
from respsel.cli import changes  # isort: skip
from respsel.cli import training as making  # isort: skip
from respsel.cli import report as reporting  # isort: skip
from respsel.cli import inspect as looking  # isort: skip
from respsel.cli import cache
from respsel.cli.app import app, main

__all__ = ["app", "cache", "changes", "looking", "main", "making", "reporting", "running"]
