"""What is around the package is true: its metadata, the image and the workflow."""

from __future__ import annotations

import re
from pathlib import Path

import tomli

ROOT = Path(__file__).parents[1]
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_image_copies_what_is_there() -> None:
    """Each path is in the project, and .dockerignore lets it through."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    paths = {path for words in copies for path in words if not path.startswith(("--", "/"))}
    assert paths >= {"src", "recipes", "respsel.toml", "pyproject.toml"}
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for path in paths:
        assert (ROOT / path).exists()
        assert f"!{path}" in allowed


def test_the_image_installs_an_extra_that_there_is() -> None:
    """And runs the README's recipe."""
    text = (ROOT / "Dockerfile").read_text()
    extras = re.findall(r"'\.\[(\w+)\]'", text)
    assert extras
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    assert 'CMD ["run", "recipes/quickstart.toml"]' in text


def test_the_workflow_calls_the_script_that_anybody_can_call() -> None:
    """CI has no list of its own."""
    assert "run: bash .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_the_package_says_where_it_is_from() -> None:
    """Addresses, words to find it by, and a licence."""
    assert {"Source", "Documentation", "Issues", "Changelog"} <= set(PROJECT["urls"])
    assert PROJECT["keywords"]
    assert PROJECT["license"] == "Apache-2.0"
