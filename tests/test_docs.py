"""The documentation is true where a test can tell: links lead somewhere, recipes are sound."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomli

from respsel.cli import app
from respsel.metrics.registry import choose
from respsel.recipe.places import plain_place
from respsel.recipe.schema import Recipe
from respsel.recipe.validation import check_shape

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    """The file is there, and a page has the heading that an anchor names."""
    page = ROOT / name
    for link in _LINK.findall(prose(page)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_start_page_leads_to_every_page() -> None:
    """No page is lost: the README leads to the start page, and that one and the site to each."""
    links = {link.partition("#")[0] for link in _LINK.findall(prose(ROOT / "README.md"))}
    assert "docs/README.md" in links
    pages = {name.removeprefix("docs/") for name in NAMES if name.startswith("docs/")}
    site = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert site == pages
    start = {link.partition("#")[0] for link in _LINK.findall(prose(ROOT / "docs" / "README.md"))}
    assert start >= pages - {"README.md"}


def test_the_pages_recipe_is_well_formed() -> None:
    """The blocks of docs/recipe.md, put together, pass the checks that need no files."""
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "recipe.md").read_text(), re.DOTALL)
    recipe, problems = check_shape(Recipe, tomli.loads("\n".join(blocks)), "recipe.md")
    assert problems == []
    for entry in recipe.metrics:
        assert choose(entry, plain_place("recipe.md", "metrics"))[1] == []


def test_every_key_of_a_recipe_is_documented() -> None:
    """Each key that the JSON Schema has is named on some page."""
    told = "\n".join(page.read_text() for page in PAGES)
    for owner, keys in _keys(Recipe.model_json_schema()).items():
        missing = [key for key in keys if not re.search(rf"\b{key}\b", told)]
        assert not missing, owner


def test_every_command_is_documented() -> None:
    """docs/commands.md has a line for each command."""
    told = (ROOT / "docs" / "commands.md").read_text()
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"`respsel {command.name or command.callback.__name__}" in told


def _keys(schema: dict[str, Any]) -> dict[str, set[str]]:
    tables = {"recipe": schema, **schema["$defs"]}
    return {name: set(table.get("properties", ())) for name, table in tables.items()}
