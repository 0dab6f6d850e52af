"""Every command and option, from the application itself. Knows what typer keeps of a command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer

from respsel import errors
from respsel.cli import app
from tools.markdown import code, plain, prose, table

_HELPS = ("help", "install_completion", "show_completion")


def all_commands() -> Iterator[tuple[str, Any]]:
    """Each command as it is typed, and what typer keeps of it."""
    yield from _below("respsel", typer.main.get_command(app))


def commands() -> str:
    """The page's part: exit codes, and a section for each command."""
    parts = ["## Exit codes", table(("code", "meaning"), _exit_codes())]
    for name, command in all_commands():
        parts += [f"## {name}", *_help(command.help or "")]
        parts.append(f"```text\n{name} {' '.join(_usage(command))}".rstrip() + "\n```")
        rows = [_row(one) for one in command.params if one.name not in _HELPS]
        if rows:
            parts.append(table(("argument or option", "default", "what it does"), rows))
    return "\n\n".join(parts)


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, inner in command.commands.items():
        if not inner.hidden:
            yield from _below(f"{name} {word}", inner)


def _exit_codes() -> Iterator[tuple[str, str]]:
    """As the module of errors says them in its tree."""
    yield "0", "it is done"
    for number, meaning in sorted(re.findall(r"Error +(\d) +(.+)", errors.__doc__ or "")):
        yield number, plain(meaning)
    yield str(errors.EXIT_BUG), "a bug in respsel"
    yield str(errors.EXIT_INTERRUPTED), "Ctrl-C; what was done before is kept"


def _help(text: str) -> list[str]:
    """The paragraphs of a command's help; a line that begins with a command is code."""
    blocks = re.split(r"\n\s*\n", text.replace("\b", "").strip())
    return ["\n".join(map(_line, block.splitlines())) for block in blocks]


def _line(line: str) -> str:
    """An example is typed: it is shown as code."""
    lead, found, example = line.partition("respsel ")
    is_example = found and lead.strip().lower() in ("", "example:", "e.g.", "$")
    return f"{lead}{code(found + example)}" if is_example else prose(line.strip())


def _usage(command: Any) -> Iterator[str]:
    if any(_is_option(one) for one in command.params):
        yield "[OPTIONS]"
    for one in command.params:
        if not _is_option(one):
            shown = _metavar(one) + ("..." if one.nargs == -1 else "")
            yield shown if one.required else f"[{shown}]"


def _row(one: Any) -> tuple[str, str, str]:
    if not _is_option(one):
        needed = "needed" if one.required else ""
        return code(_metavar(one)), needed, prose(one.help or "")
    names = ", ".join(code(name) for name in (*one.opts, *one.secondary_opts))
    shown = names if one.is_flag else f"{names} {code(_metavar(one))}"
    return shown, _default(one), prose(one.help or "")


def _default(one: Any) -> str:
    if one.required:
        return "needed"
    if one.is_flag or one.default in (None, "", (), []) or callable(one.default):
        return ""
    return code(str(getattr(one.default, "value", one.default)))


def _is_option(one: Any) -> bool:
    return bool(one.opts and one.opts[0].startswith("-"))


def _metavar(one: Any) -> str:
    kind = one.type_descriptor.annotation
    if one.metavar is None and isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(choice.value) for choice in kind)
    return str(one.metavar or one.name.upper()).strip("[]").removesuffix("...")
