"""Metrics, backends and strategies of other packages, through entry points.

Knows nothing of what they do. Invariants: a plug-in that cannot be loaded is one error that names
its distribution. A plug-in's version is in its keys, so another version computes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from traceback import walk_tb
from typing import Any, TypeVar

from respsel.errors import InputError, PreflightError, Problem, suggest

Plugin = TypeVar("Plugin")
GROUPS = ("respsel.metrics", "respsel.strategies", "respsel.backends")


def load_plugins(group: str, kind: type[Plugin], taken: Iterable[str]) -> dict[str, Plugin]:
    """Return a group's plug-ins by entry-point name.

    Each is an instance of `kind`, whose field `origin` names its distribution. Raises
    PreflightError naming the distribution at fault.

    taken: respsel's own names, which no plug-in may have.
    """
    plugins: dict[str, Plugin] = {}
    for name, distribution, version, point in _entry_points(group):
        origin = f"{distribution} {version}"
        try:
            plugin = point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # Hazard: a plug-in that calls sys.exit would end the program without a word.
            what = f"cannot be loaded: {type(error).__name__}: {error}"
            raise _refused(group, name, origin, what) from error
        if not isinstance(plugin, kind):
            what = f"is a {type(plugin).__name__}, not a {kind.__name__}"
            raise _refused(group, name, origin, what)
        if name in taken or name in plugins:
            raise _refused(group, name, origin, "has a name that is taken")
        plugins[name] = replace(plugin, origin=origin)  # type: ignore[type-var]
    return plugins


def find_plugin(
    group: str, kind: type[Plugin], name: str, wrong: Callable[[str, str], Problem]
) -> Plugin:
    """Return one plug-in. Raises InputError if none of that name is installed.

    wrong: makes a problem of the place that names the plug-in.
    """
    plugins = load_plugins(group, kind, ())
    if name not in plugins:
        what = f"no installed package gives a plug-in '{name}'"
        remedy = suggest(name, plugins) or f"Install the package that has it (entry points {group})"
        raise InputError(wrong(what, remedy))
    return plugins[name]


def plugin_at_fault(error: BaseException) -> str:
    """The plug-in whose code raised an error, as distribution and version; empty if none did."""
    packages = {
        point.module.partition(".")[0]: f"{distribution} {version}"
        for group in GROUPS
        for _, distribution, version, point in _entry_points(group)
    }
    origin = ""
    for frame, _ in walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        origin = packages.get(package, origin)
    return origin


def _refused(group: str, name: str, origin: str, what: str) -> PreflightError:
    return PreflightError(
        Problem(origin, f"{group}: {name}", what, "Fix or uninstall this package")
    )


@cache
def _entry_points(group: str) -> tuple[tuple[str, str, str, Any], ...]:
    # Reading the metadata of all installed packages takes a tenth of a second in a large
    # environment; only those with an entry_points.txt of ours are parsed.
    from importlib.metadata import distributions

    found = []
    for distribution in distributions():
        text = distribution.read_text("entry_points.txt")
        if text and f"[{group}]" in text:
            mine = [point for point in distribution.entry_points if point.group == group]
            found += [
                (point.name, distribution.metadata["Name"], distribution.version, point)
                for point in mine
            ]
    return tuple(sorted(found, key=lambda item: item[:3]))
