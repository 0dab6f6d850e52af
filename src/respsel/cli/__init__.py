"""The commands. The only package that prints, reads the terminal's environment, or exits."""

# The order of the imports is that of the commands in --help.
from respsel.cli import init  # isort: skip
from respsel.cli import validate  # isort: skip
from respsel.cli import run  # isort: skip
from respsel.cli import status  # isort: skip
from respsel.cli import compare  # isort: skip
from respsel.cli import changes  # isort: skip
from respsel.cli import training  # isort: skip
from respsel.cli import fetch  # isort: skip
from respsel.cli import push  # isort: skip
from respsel.cli import report  # isort: skip
from respsel.cli import inspect  # isort: skip
from respsel.cli import cache
from respsel.cli.app import app, main

__all__ = [
    "app",
    "cache",
    "changes",
    "compare",
    "fetch",
    "init",
    "inspect",
    "main",
    "push",
    "report",
    "run",
    "status",
    "training",
    "validate",
]
