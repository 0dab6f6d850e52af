"""Every snippet of the documentation is executed, or checked as far as it goes without a model.

A page's snippets are taken in order, in a folder of its own:

- a block with `title="NAME"` is a file, which is written;
- `sh`: commands of respsel run in this process, those that copy files as they are. Models of files
  and of `respsel init` are replaced by fake ones;
- `python` is executed, `json`, `jsonl` and `csv` are read, `toml` passes the schema of what it is;
- `text` behind `sh` or `python` is what that prints; `...` stands for anything.

A comment before a block says what is left out, and why:
`<!-- only parsed: ... -->` is not executed, its commands and options are known all the same;
`<!-- not compared: ... -->` prints something else here.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli
import typer
from typer.testing import CliRunner

from respsel.cli import app
from respsel.metrics.registry import all_metrics
from respsel.recipe.schema import Recipe
from respsel.recipe.validation import check_shape
from respsel.workspace.workspace import WorkspaceEntry

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# tests/test_api.py executes this one.
TESTED_ELSEWHERE = {"docs/python.md"}
NAMES = [
    name
    for page in PAGES
    if "\n```" in page.read_text()
    and (name := page.relative_to(ROOT).as_posix()) not in TESTED_ELSEWHERE
]
_BLOCK = re.compile(
    r"(?:^<!-- (?P<why>[^\n]*) -->\n\n?)?^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
_MODEL = re.compile(r"^\[models\.([\w.-]+)\]\n(.*?)(?=^\[|\Z)", re.DOTALL | re.MULTILINE)
_KEPT = re.compile(r"^(?:price|sampling) .*$", re.MULTILINE)
_RUN = {"cp", "mv", "mkdir", "rm"}
_OTHERS = {
    "pip",
    "python",
    "python3",
    "export",
    "nox",
    "vllm",
    "tar",
    "ssh",
    "rsync",
    "git",
    "source",
}
_OTHERS |= {"hf", "docker", "cd", ".venv/bin/pip", ".venv/bin/pytest", "CMAKE_ARGS=-DGGML_CUDA=on"}
_TABLES = ("datasets", "strategies", "metrics")
_WRITTEN = {"name": "m", "from": "model", "model": "small", "prompt": "{{ input }}"}
_BASE: dict[str, Any] = {
    "target": {"model": "small"},
    "models": {"small": {"backend": "fake"}},
    "datasets": [{"name": "math", "path": "math.jsonl", "label": "answer"}],
    "strategies": [{"name": "human", "from": "column", "column": "solution"}],
    "metrics": [{"name": "perplexity"}],
}


@dataclass(frozen=True)
class Block:
    """One fenced block.

    language: its first word. title: the file that it is. why: the comment before it.
    """

    language: str
    title: str
    why: str
    text: str

    @property
    def is_parsed(self) -> bool:
        return self.why.startswith("only parsed: ")


def blocks(page: Path) -> Iterator[Block]:
    for found in _BLOCK.finditer(page.read_text()):
        title = re.search(r'title="([^"]+)"', found["info"])
        text = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        language = found["info"].split(" ")[0]
        yield Block(language, title[1] if title else "", found["why"] or "", text)


@pytest.mark.parametrize("name", NAMES)
def test_every_snippet_of_a_page(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    names: dict[str, Any] = {}
    printed: str | None = None
    for block in blocks(ROOT / name):
        if block.title:
            path = tmp_path / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text if block.is_parsed else on_fakes(block.text))
        if block.language == "sh":
            told = "".join(_shell(line, block) for line in commands(block.text))
            printed = None if block.is_parsed else told
        elif block.language == "python" and not block.is_parsed:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, name, "exec"), names)
            printed = out.getvalue()
        elif block.language == "text" and printed is not None:
            if not block.why.startswith("not compared: "):
                assert same(printed, block.text), printed
            printed = None
        else:
            check(block)
            printed = None


def check(block: Block) -> None:
    """A block that nothing executes is what it says that it is."""
    if block.language == "python":
        compile(block.text, "page", "exec")
    elif block.language in ("json", "jsonl"):
        for text in block.text.splitlines() if block.language == "jsonl" else [block.text]:
            json.loads(text)
    elif block.language == "csv":
        head, *rows = csv.reader(io.StringIO(block.text))
        assert rows
        assert {len(row) for row in rows} == {len(head)}
    elif block.language == "toml":
        assert fits(block.text) == [], block.text
    else:
        assert block.language in ("text", "bash", "yaml", "jinja"), block.language
        for line in block.text.splitlines():
            if re.match(r"(\.venv/bin/)?respsel \w+ .*\.toml\b", line):
                parse(next(commands(line))[1:])
        if looks_like_toml(block.text):
            assert fits(block.text) == [], block.text


def looks_like_toml(text: str) -> bool:
    """Whether a block of text is part of a recipe, and not what something prints."""
    lines = [line for line in text.splitlines() if line.strip() and line[0] not in " #[{"]
    return bool(lines) and all(re.match(r"[\w.-]+ = \S", line) for line in lines)


def fits(text: str) -> list[str]:
    """What is wrong with a recipe, a respsel.toml, or a part of one of their tables."""
    try:
        given = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        # Lines that are alternatives have one key, so each is tried alone.
        if "overwrite" not in str(error) or "\n[" in text:
            raise
        return [fault for line in text.splitlines() if line.strip() for fault in fits(line)]
    if "project" in given:
        return []
    if "extends" in given:
        # The base has what these tables lack.
        for name in set(_TABLES) & set(given):
            base = _WRITTEN if name == "strategies" else _BASE[name][0]
            given[name] = [base | one for one in given[name]]
    for name, entry in given.get("models", {}).items():
        if set(entry) == {"backend"}:
            given["models"][name] = {**_PLACE[entry["backend"]], **entry}
    tried = [faults_of(Recipe, made) for made in (_BASE | given, *_in_tables(given))]
    tried.append(faults_of(WorkspaceEntry, given))
    least = min(tried, key=len)
    lines = [line for line in text.splitlines() if line.strip()]
    if least and len(lines) > 1 and len(given) == len(lines):
        # Each line is for a table of its own.
        return [fault for line in lines for fault in fits(line)]
    return least


def faults_of(kind: type[Any], data: Mapping[str, Any]) -> list[str]:
    found, problems = check_shape(kind, data, "page")
    if kind is Recipe and not problems:
        for entry in found.metrics:
            # A plug-in's metric is not installed here.
            if (metric := all_metrics().get(entry.name)) is not None:
                problems += check_shape(metric.parameters, entry.parameters, "page")[1]
    return [str(one) for one in problems]


def _in_tables(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A recipe with the given keys in one of its tables."""
    for name in _TABLES:
        yield {**_BASE, name: [{**_BASE[name][0], **given}]}
    file_strategy = {"name": "f", "from": "file", "path": "f.jsonl"}
    for strategy in (_WRITTEN, file_strategy):
        yield {**_BASE, "strategies": [{**strategy, **given}]}
    for backend in ("fake", "openai", "transformers", "llama-cpp"):
        yield {**_BASE, "models": {"small": {"backend": backend, **_PLACE[backend], **given}}}
    for name in ("target", "selection", "training", "own_outputs", "judge", "validation"):
        yield {**_BASE, name: {**_BASE.get(name, {}), **given}}


_PLACE: dict[str, dict[str, str]] = {
    "fake": {},
    "openai": {"model": "m", "base_url": "http://127.0.0.1:8000/v1"},
    "transformers": {"path": "m"},
    "llama-cpp": {"path": "m.gguf"},
}


def on_fakes(text: str) -> str:
    """A file with fake models in place of its own."""

    def fake(found: re.Match[str]) -> str:
        kept = "\n".join(_KEPT.findall(found[2]))
        return f'[models.{found[1]}]\nbackend = "fake"\nvariant = "{found[1]}"\n{kept}\n\n'

    return _MODEL.sub(fake, text)


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a block, as words."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|;", line):
            words = shlex.split(part, comments=True)
            if words:
                # Where its output goes is the shell's.
                yield words[: words.index(">")] if ">" in words else words


def _shell(words: list[str], block: Block) -> str:
    """Run a command, or see that it could be."""
    name = words[0].removeprefix(".venv/bin/")
    if words[:3] == ["python", "-m", "respsel"]:
        words = words[2:]
        name = "respsel"
    if name == "respsel":
        parse(words[1:])
        if block.is_parsed:
            return ""
        # A fake target decides nothing.
        more = ["--accept-undecided"] if words[1] == "apply" else []
        done = CliRunner().invoke(app, [*words[1:], *more], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        for path in Path.cwd().glob("*.toml"):
            path.write_text(on_fakes(path.read_text()))
        return done.stdout
    if name in _RUN and not block.is_parsed:
        subprocess.run(words, check=True)
        return ""
    assert block.is_parsed, f"{name}: say why it is not executed"
    assert name in _OTHERS | _RUN or words[0] in _OTHERS, words
    return ""


def parse(words: list[str]) -> None:
    """The command is there and takes these options and arguments."""
    command: Any = typer.main.get_command(app)
    name = "respsel"
    while hasattr(command, "commands"):
        if words[0].startswith("-"):
            assert words[0] in [word for one in command.params for word in one.opts]
            return
        name, *words = words
        command = command.commands[name]
    command.make_context(name, list(words))


def same(printed: str, shown: str) -> bool:
    """Whether something prints what a page shows; `...` stands for anything."""
    pattern = ".*".join(re.escape(part.strip()) for part in re.split(r"\.\.\.", shown))
    lines = "\n".join(line.rstrip() for line in printed.splitlines())
    return re.search(pattern.replace(r"\ ", r"[ ]+"), lines, re.DOTALL) is not None


def test_a_wrong_snippet_is_found() -> None:
    """What this file holds of a page, it would miss if it were otherwise."""
    assert fits('input = "question"') == []
    assert fits('inputs = "question"')
    assert fits('answer = "number"\nanswer = "numbers"')
    assert fits("[selection]\nconfidence = 2")
    assert fits('[[metrics]]\nname = "alignment"\nkernel = "bleu"')
    parse(["run", "a.toml", "--json"])
    for wrong in (["run"], ["run", "a.toml", "--jsn"], ["runs", "a.toml"]):
        with pytest.raises((KeyError, Exception)):
            parse(wrong)
    assert same("a\nb 1\nc\n", "a\n...\nc")
    assert not same("a\nb\n", "a\nd")
    assert "fake" in on_fakes(
        '[models.a]\nbackend = "openai"\nmodel = "b"\n\n[target]\nmodel = "a"'
    )


def test_comments_give_a_reason() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.why.startswith(("only", "not")):
                assert re.match(r"(only parsed|not compared): \w.{5,}", block.why), block.why
