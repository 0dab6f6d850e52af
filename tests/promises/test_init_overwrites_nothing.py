"""`respsel init` changes no file that is there, and leaves nothing half written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from respsel.cli import app
from respsel.draft import draft
from respsel.system.parts import write_new
from tests.conftest import jsonl, rows

FAKE = '# mine\n[models.mine]\nbackend = "fake"\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sums.jsonl").write_text(jsonl(rows(12)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*args: str) -> Result:
    return CliRunner().invoke(app, ["init", *args])


def content() -> dict[str, bytes]:
    """Every file below here with what is in it; links with where they lead."""
    return {
        str(path): os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        for path in sorted(Path().rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize(
    ("args", "there"),
    [
        (["sums.jsonl"], "sums.toml"),
        (["sums.jsonl", "--name", "other"], "other.toml"),
        (["sums.jsonl", "sub"], "sub/sums.toml"),
        ([], "quickstart.toml"),
        ([], "quickstart/problems.jsonl"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_there_is_refused(args: list[str], there: str, kind: str) -> None:
    """A recipe or a demo's data that exists, also as a link to nothing: exit 2 and no new file."""
    place = Path(there)
    place.parent.mkdir(exist_ok=True)
    if kind == "file":
        place.write_text("mine")
    elif kind == "link":
        place.symlink_to("nowhere")
    else:
        place.mkdir()
    before = content()
    done = init(*args)
    assert done.exit_code == 2
    assert f"{there}: exists, and is left as it is" in done.output
    assert content() == before


def test_what_it_would_write_beside_is_left_alone() -> None:
    """respsel.toml, .gitignore and the schemas stay as they are where they exist."""
    for name, text in {"respsel.toml": FAKE, ".gitignore": "mine"}.items():
        Path(name).write_text(text)
    Path(".respsel").mkdir()
    Path(".respsel/recipe.schema.json").write_text("{}")
    before = content()
    assert init("sums.jsonl").exit_code == 0
    after = content()
    assert after.keys() - before.keys() == {"sums.toml"}
    assert {name: after[name] for name in before} == before
    Path("respsel.toml").unlink()
    done = init("sums.jsonl", "--name", "b")
    assert ".gitignore was there: the lines /cache/ and /runs/ belong in it." in done.output
    assert Path(".gitignore").read_text() == "mine"


def test_a_wrong_workspace_is_told_and_not_mended() -> None:
    """A respsel.toml that cannot be read is an error, as for every command."""
    Path("respsel.toml").write_text("store = 1\n")
    before = content()
    done = init("sums.jsonl")
    assert done.exit_code == 2
    assert "respsel.toml: line 1, store" in done.output
    assert content() == before


def test_a_file_that_comes_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the writing another may write the recipe."""

    def write_late(path: Path, data: bytes) -> None:
        if path.name == "sums.toml":
            path.write_text("theirs")
        write_new(path, data)

    monkeypatch.setattr(draft, "write_new", write_late)
    done = init("sums.jsonl")
    assert done.exit_code == 2
    assert "sums.toml: exists" in done.output
    assert Path("sums.toml").read_text() == "theirs"


def test_an_interruption_leaves_no_recipe_without_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The recipe comes last, whole or not at all; the next try goes on from what is there."""
    written: list[str] = []

    def stop(path: Path, data: bytes) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path.name)
        write_new(path, data)

    with monkeypatch.context() as interrupted:
        interrupted.setattr(draft, "write_new", stop)
        done = init("sums.jsonl", "new")
    assert done.exit_code == 130
    assert not Path("new/sums.toml").exists()
    assert not [name for name in content() if ".part" in name]
    assert init("sums.jsonl", "new").exit_code == 0
    assert Path("new/sums.toml").is_file()


def test_a_folder_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the file and what to do."""

    def refuse(path: Path, _data: bytes) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    monkeypatch.setattr(draft, "write_new", refuse)
    done = init("sums.jsonl")
    assert done.exit_code == 1
    assert ".gitignore: cannot be written: Read-only file system." in done.output
    assert "use another place" in done.output


@pytest.mark.parametrize("args", [["loop/sub"], ["loop"], ["o", "--name", "x" * 300], ["x" * 300]])
def test_a_place_that_cannot_be_is_told(args: list[str]) -> None:
    """A link that leads to itself, and a name that is too long."""
    Path("loop").symlink_to("loop")
    done = init("sums.jsonl", *args)
    assert done.exit_code in (1, 2), done.output
    assert "cannot be written: " in done.output
    assert not Path("o").exists()


def test_a_part_of_the_path_that_is_a_file_is_told() -> None:
    """A file where a folder should be is left as it is."""
    Path("taken").write_text("mine")
    done = init("sums.jsonl", "taken/sub")
    assert done.exit_code in (1, 2)
    assert "error: " in done.output
    assert Path("taken").read_text() == "mine"
    assert not Path("respsel.toml").exists()
