"""The Jinja environment of respsel's own templates, with the filters that they share.

Reports and dataset cards use it. Knows nothing of what they say. Invariant: what a template writes
contains no character that would turn the text around it or be obeyed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from respsel.report.format import signed
from respsel.text.characters import told, visible
from respsel.text.numbers import interval, number, percent, share

if TYPE_CHECKING:
    from jinja2 import Environment


def template_environment(*packages: str, autoescape: bool = False) -> Environment:
    """The environment for the folders `templates` of packages; the first one's come first."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=autoescape,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for show in (number, interval, percent, share, signed, told):
        environment.filters[show.__name__] = show
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return environment


def _shown(value: object) -> object:
    # Text that is marked as HTML stays so.
    return type(value)(visible(value)) if isinstance(value, str) else value
