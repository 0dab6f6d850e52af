"""Opens a page in the user's browser, where there is one.

Knows nothing of what the page is. Invariants: it never raises, and no browser that draws in the
terminal is started.
"""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path

# Browsers that would take over the terminal.
_IN_TERMINALS = ("lynx", "w3m", "links", "elinks", "www-browser")
_NONE = "no browser is found"


def open_page(page: Path) -> str:
    """Open a page; return why it was not, or nothing if it was."""
    if reason := _no_browser(os.environ):
        return reason
    try:
        browser = webbrowser.get()
        # With a display but no browser for it, Python would take one that draws in the terminal.
        if Path(str(getattr(browser, "name", ""))).name in _IN_TERMINALS:
            return _NONE
        return "" if browser.open(page.resolve().as_uri()) else _NONE
    except webbrowser.Error:
        return _NONE
    except (OSError, ValueError) as error:
        return f"the browser cannot be started: {error}"


def _no_browser(environment: Mapping[str, str]) -> str:
    """Why there is no use in looking for a browser; empty if there may be one."""
    wished = environment.get("BROWSER", "")
    if wished:
        names = {Path(name.split()[0]).name for name in wished.split(os.pathsep) if name.split()}
        return "" if names - set(_IN_TERMINALS) else f"BROWSER is {wished}, which needs a terminal"
    if sys.platform.startswith(("win", "darwin", "cygwin")):
        return ""
    has_display = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    return "" if has_display else "there is no display"
