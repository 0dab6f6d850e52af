"""A comparison to its folder under runs/compare: one page, and the same as JSON.

Invariant: the files appear whole or not at all, and the same comparison has the same folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from respsel.compare.document import Comparison
from respsel.errors import Problem, RunError
from respsel.hashing import canonical_json, digest
from respsel.report.templating import template_environment
from respsel.store.locks import Wait
from respsel.store.store import Store
from respsel.system.atomic_folder import (
    is_written,
    part_of,
    put_in_place,
    refuse_links,
    remove_leftovers,
)
from respsel.system.disk import remedy_of
from respsel.text.documents import file_text, stamped
from respsel.workspace.loaded_recipe import LoadedRecipe, readable

PAGE = "compare.html"
JSON = "compare.json"
# Raised when the same comparison would give another page.
_VERSION = "1"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.]+")
_LONGEST = 60


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison for programs."""
    document = asdict(comparison)
    for column in document["columns"]:
        column["report"] = readable(column["report"])
    return stamped("compare", document)


def write_comparison(comparison: Comparison, recipes: Sequence[LoadedRecipe], wait: Wait) -> Path:
    """Write the page and the JSON, and return the page.

    recipes: those of the columns; the first one's workspace has the page.
    wait: is given the process that writes the same comparison now, if one does.
    Raises RunError naming the folder if it cannot be written.
    """
    workspace = recipes[0].workspace
    name = _folder_name(comparison, recipes)
    folder = workspace.runs / "compare" / name
    refuse_links(folder, workspace.runs)
    document = comparison_json(comparison)
    key = digest("compare", _VERSION, canonical_json(document))
    if is_written(folder, key):
        return folder / PAGE
    pages = {
        PAGE: page_html(comparison, folder),
        JSON: file_text(document),
    }
    with Store(workspace.store) as store, store.lock(f"compare/{name}", wait):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)
            for file, text in pages.items():
                part_of(folder, file).write_text(text, "utf-8")
            put_in_place(folder, key, list(pages))
        except OSError as error:
            remedy = remedy_of(error, "See that respsel can write there, and compare again")
            what = f"the comparison cannot be written: {error}"
            raise RunError(Problem(str(folder), "", what, remedy)) from error
    return folder / PAGE


def page_html(comparison: Comparison, folder: Path) -> str:
    """The page; folder: where it will lie, for links to the columns' reports."""
    links = {
        column.label: quote(os.fsencode(Path(os.path.relpath(column.report, folder)).as_posix()))
        for column in comparison.columns
        if column.report
    }
    # The page looks like reports: it begins with their head.
    environment = template_environment("respsel.compare", "respsel.report", autoescape=True)
    template = environment.get_template("compare.html.jinja")
    return template.render(comparison=comparison, links=links)


def _folder_name(comparison: Comparison, recipes: Sequence[LoadedRecipe]) -> str:
    """The folder's name: recipes and what varies, and a digest of all that is compared."""
    stems = dict.fromkeys(loaded.path.stem for loaded in recipes)
    words = "-".join([*stems, "by", comparison.varies.rpartition(".")[2]])
    slug = _NOT_IN_NAMES.sub("-", words)[:_LONGEST].strip("-.")
    compared = digest("compare", *(loaded.key for loaded in recipes))
    return f"{slug}-{compared[:8]}"
