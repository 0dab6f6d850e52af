"""The reference that is made from code leaves nothing out, and says what the code says."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from respsel.metrics.registry import all_metrics
from respsel.recipe.schema import Recipe
from tools.commands import all_commands, commands
from tools.errors import all_messages, all_reasons, errors, source_of_respsel
from tools.keys import keys
from tools.markdown import plain, sentence
from tools.metrics import metrics
from tools.problems import messages, reasons, sites
from tools.reference import PARTS, filled
from tools.site_hook import anchor, on_page_markdown, on_post_page, on_post_template
from tools.source import Source

PAGES = Path(__file__).parents[1] / "docs" / "reference"

SHAPE = 'Write a list of turns: [{"role": "user", "content": "..."}, ...]'
PACKAGE = """
LIMIT = 1_000
ADVICE = "Take it out"


class Broken(Exception):
    def __init__(self, what, remedy):
        super().__init__(what)


def check(shown, rows, is_new):
    problems = []
    if is_new:
        what = f"holds {len(rows)} rows, more than {LIMIT}"
        remedy = "Split it"
    else:
        what = "is old"
        remedy = "Write it again"
    problems.append(Problem(shown, "", what, remedy))
    for row in rows:
        if fault := fault_of(row):
            problems.append(Problem(shown, row.where, *fault))
    raise_problems(problems)


def fault_of(row):
    if row.empty:
        return "is empty", "Fill it in"
    return "is " + ("long" if row.long else "short"), ADVICE


def refuse(shown, name, what):
    raise RunError(Problem(shown, name, f"'{name}' {what}", ""))


def one(shown):
    refuse(shown, "a", "is gone")


def other(shown, store):
    refuse(shown, "b", "is back")
    store.damage.append(Problem(shown, "", "a damaged record", suggest("a", ["b"])))
    raise Broken("has a hole", "Fill it up")


class Place:
    def problem(self, what, remedy=""):
        return Problem(self.file, self.where, what, remedy)


def look(place, value, told):
    if value < 0:
        told.append(place.problem("is below 0", "Raise it"))
    raise InputError(told)


def ask(wrong: Callable[[str, str], Problem]):
    raise PreflightError(wrong("is not here", "Install it"))


@dataclass
class Fault:
    what: str
    remedy: str = "Look at it"


def faults():
    if not found:
        raise ValueError("has no end")
    return [Fault("is odd")]
"""


def test_a_page_has_each_part_once() -> None:
    """The pages of docs/reference have the parts, and a page without a marker stays as it is."""
    told = "\n".join(page.read_text() for page in PAGES.glob("*.md"))
    assert sorted(re.findall(r"<!-- made from code: (\w+) -->", told)) == sorted(PARTS)
    assert filled("# A page\n\ntext\n") == "# A page\n\ntext\n"
    assert "## respsel run" in filled("<!-- made from code: commands -->")


def test_the_site_reads_pages_as_github_does() -> None:
    """Lists within lists, anchors, and nothing of the net but links."""
    page = SimpleNamespace(parent=None, meta={}, url="how-to/gpu.html")
    nested = "- a\n  - b\n\n```text\n  - c\n```\n1. d\n   e"
    told = on_page_markdown(nested, page)
    assert told == "- a\n    - b\n\n```text\n  - c\n```\n1. d\n   e"
    row = "| a | `<\\|im_start\\|>` | `b` |"
    shown = "| a | <code>&lt;&#124;im_start&#124;&gt;</code> | `b` |"
    assert on_page_markdown(row, page) == shown
    assert page.meta == {"hide": ["navigation"]}
    assert anchor("What `x_y` is, and isn't") == "what-x_y-is-and-isnt"
    shim = '<script src="https://unpkg.com/iframe-worker/shim"></script>'
    assert on_post_page(shim, page) == '<script src="../search_worker.js"></script>'
    assert on_post_template(shim) == '<script src="search_worker.js"></script>'
    assert (PAGES.parent / "search_worker.js").is_file()


def test_every_command_option_and_help_is_there() -> None:
    told = commands()
    for name, command in all_commands():
        section = told.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for one in command.params:
            assert all(f"`{word}`" in section for word in one.opts if word.startswith("-")), name
            assert plain(one.help or "") in section.replace("`", ""), (name, one.name)
    for code in (0, 1, 2, 3, 4, 70, 130):
        assert f"| {code} |" in told


def test_every_key_is_there_with_its_description() -> None:
    told = keys()
    schema: dict[str, Any] = Recipe.model_json_schema()
    for table in (schema, *schema["$defs"].values()):
        for key, value in table.get("properties", {}).items():
            assert f"| `{key}` |" in told
            words = value.get("description", "").split("`")[0].split("_")[0].split("{")[0]
            assert plain(" ".join(words.split())) in told, key
    assert "## respsel.toml" in told


def test_every_metric_is_there_with_its_parameters() -> None:
    told = metrics()
    for name, metric in all_metrics().items():
        section = told.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert plain(metric.formula) in section
        assert all(f"| `{key}` |" in section for key in metric.parameters.model_fields)


def test_every_place_that_makes_a_problem_is_there() -> None:
    """Each has an entry, or only passes on what another one says. Errors have exit codes."""
    source = source_of_respsel()
    told = {(message.room, message.what) for message in all_messages()}
    for site in sites(source):
        fixed = site.what.value if isinstance(site.what, ast.Constant) else None
        if isinstance(fixed, str) and fixed:
            assert (source.module(site.call).room, fixed) in told
    assert len(all_messages()) > len(sites(source)) > 200
    ending = ("recipe", "workspace", "data", "backends", "store", "strategies", "training")
    endless = [one for one in all_messages() if one.room in ending and not one.codes]
    # A note of `validate` ends nothing.
    assert [one for one in endless if not one.remedy.startswith("If that is not meant")] == []


def test_messages_are_those_of_the_program() -> None:
    """Some that are known by heart: with their remedy and what they end with."""
    told = {(message.what, message.remedy, message.codes) for message in all_messages()}
    assert ("is empty", "Give at least one row", ("2",)) in told
    assert ("unknown key", "Did you mean '<habit>'?", ("2",)) in told
    assert ("'<name>' stands twice", "Name it once", ("2",)) in told
    assert ("is not a conversation", SHAPE, ("2",)) in told
    assert (
        "llama-cpp-python is not installed",
        "Run: pip install 'respsel[llama]'",
        ("3",),
    ) in told
    nothing_more = "Free some space and run again; nothing done is lost"
    assert ("nothing more can be written: <why>", nothing_more, ("1",)) in told
    damaged = "Move the folder away and run again; its results are then made again"
    assert ("the store is damaged: <error>", damaged, ("4",)) in told


def test_the_page_says_each_message_and_reason() -> None:
    page = errors()
    for message in (*all_messages(), *all_reasons()):
        assert plain(message.what) in page
        assert plain(sentence(message.remedy)) in page


def test_what_the_source_says_is_read(tmp_path: Path) -> None:
    """Fault and remedy are of one case; names, limits, helpers, lists and pairs are followed."""
    package = tmp_path / "pack"
    package.mkdir()
    (package / "rooms.py").write_text(PACKAGE)
    source = Source(package)
    told = {(one.what, one.remedy, one.codes) for one in messages(source)}
    assert told == {
        ("holds <number> rows, more than 1,000", "Split it", ("2",)),
        ("is old", "Write it again", ("2",)),
        ("is empty", "Fill it in", ("2",)),
        ("is long", "Take it out", ("2",)),
        ("is short", "Take it out", ("2",)),
        ("'a' is gone", "", ("1",)),
        ("'b' is back", "", ("1",)),
        ("is below 0", "Raise it", ("2",)),
        ("is not here", "Install it", ("3",)),
        ("has a hole", "Fill it up", ("1", "2", "3", "warning")),
        ("is odd", "Look at it", ("1", "2", "3", "warning")),
        ("a damaged record", "Did you mean '<nearest>'? (or: Known here: <names>)", ("warning",)),
    }
    assert [(one.what, one.remedy) for one in reasons(source)] == [("has no end", "")]
