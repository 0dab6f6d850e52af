"""Sessions: `nox` runs them all. CI runs the README's test command instead, which needs no nox."""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests", "minimums", "wheel", "docs"]


@nox.session
def tests(session: nox.Session) -> None:
    """All tests against the source tree."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and types, and recipes as editors check them."""
    session.install("-e", ".[test]", "ruff>=0.6", "mypy>=1.11", "tombi>=1.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    # As an editor does: recipes by their schemas, which the first line names.
    recipes = [str(path) for path in sorted(Path("recipes").glob("*.toml"))]
    session.run("tombi", "lint", "--offline", "--error-on-warnings", "respsel.toml", *recipes)


@nox.session
def minimums(session: nox.Session) -> None:
    """The fast tests with the lowest direct versions that pyproject.toml allows."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    lowest = [line.split(";")[0].replace(">=", "==") for line in project["dependencies"]]
    extras = project["optional-dependencies"]
    more = [*extras["torch"], *extras["openai"], *extras["test"]]
    lowest += [line.replace(">=", "==") for line in more if not line.startswith("respsel")]
    session.install("-e", ".", *lowest)
    session.run("pytest", "-m", "not real", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """The fast tests against the built wheel, without the source tree on the path."""
    session.install("build>=1.2")
    out = session.create_tmp()
    session.run("python", "-m", "build", "--wheel", "--outdir", out)
    from pathlib import Path

    (built,) = Path(out).glob("*.whl")
    session.install(f"{built}[test]")
    session.run("pytest", "-m", "not real", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as a site, in site/. A link that leads nowhere fails."""
    # mkdocs 2 drops hooks and the theme; mkdocs-material 10 is not out.
    session.install("-e", ".", "mkdocs>=1.6,<2", "mkdocs-material>=9.6,<10")
    quiet = {"NO_MKDOCS_2_WARNING": "1"}
    session.run("mkdocs", "build", "--strict", *session.posargs, env=quiet)


@nox.session
def gallery(session: nox.Session) -> None:
    """Pictures of the report in the folder `gallery`, to be looked at; needs a Chromium on PATH."""
    session.install("-e", ".")
    session.run("python", "tools/gallery.py", *session.posargs)
