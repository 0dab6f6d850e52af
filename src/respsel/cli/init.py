"""The command that writes a first recipe for a data file, or a demo.

Asks on a terminal, and nowhere else. Invariant: until all is known and checked nothing is written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from respsel.cli.app import app, console_of, reported
from respsel.cli.terminal import say, tell
from respsel.errors import EXIT_INTERRUPTED, InputError, Problem
from respsel.text.characters import one_line
from respsel.text.numbers import counted

if TYPE_CHECKING:
    from respsel.draft.columns import LookedAt
    from respsel.draft.draft import Place
    from respsel.draft.proposal import Proposal, Wish
    from respsel.draft.target import TargetWish

Taken = TypeVar("Taken")
# Lines of a table in a file or a wide terminal.
_WIDEST = 100
_NONE = ("", "-", "none")


# By the key of a Wish.
_QUESTIONS = {
    "input": "What is the target asked?",
    "responses": "Which columns are candidates?",
    "label": "Which column has the right answers?",
    "id": "Which column is the id?",
}


class Kind(StrEnum):
    """How answers are checked; see recipe.schema.AnswerKind."""

    NUMBER = "number"
    CHOICE = "choice"
    MATH = "math"
    EXACT = "exact"


# A text: as a path, an address would lose a slash.
DataPath = Annotated[
    str | None, typer.Argument(metavar="DATA", help="Your data file. Without it: a small demo.")
]
Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Where to write. Default: here.", show_default=False)
]
Asked = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="COLUMN",
        help="What is asked: columns, with commas between; or a template.",
    ),
]
Responses = Annotated[
    str | None,
    typer.Option(metavar="COLUMNS", help="The candidates, with commas between; or none."),
]
Label = Annotated[str | None, typer.Option(metavar="COLUMN", help="The right answers; or none.")]
Ids = Annotated[
    str | None, typer.Option("--id", metavar="COLUMN", help="The examples' ids; or none.")
]
Answer = Annotated[Kind | None, typer.Option(help="How answers are compared with the label.")]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|NAME|URL",
        help="The target: a GGUF file, a folder, a package, OWNER/NAME@COMMIT, an endpoint, or a "
        "model of respsel.toml. Default: the only model there, or else the bundled SmolLM2.",
    ),
]
Called = Annotated[str | None, typer.Option(metavar="NAME", help="What an endpoint calls it.")]
Tokenizer = Annotated[
    str | None, typer.Option(metavar="PATH", help="The tokenizer of an endpoint's model.")
]
RecipeName = Annotated[
    str | None, typer.Option(metavar="NAME", help="The recipe's name. Default: the data's.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Take what is proposed; ask nothing.")]


@app.command()
@reported
def init(
    data: DataPath = None,
    folder: Folder = Path(),
    asked: Asked = None,
    responses: Responses = None,
    label: Label = None,
    ids: Ids = None,
    answer: Answer = None,
    model: Model = None,
    called: Called = None,
    tokenizer: Tokenizer = None,
    name: RecipeName = None,
    yes: Yes = False,
) -> None:
    """Write a recipe for a data file, ready to run. Changes no file that is there.

    On a terminal it asks; elsewhere it takes what it proposes. Without DATA it writes a demo.

    Example: respsel init answers.csv
    """
    from respsel.draft.target import TargetWish

    said = _Said(asked, responses, label, ids, None if answer is None else answer.value)
    target = TargetWish(model, called, tokenizer)
    if data is None:
        _refuse_options(said, target, name)
        _write_demo(folder)
        return
    asks = not yes and _is_terminal()
    try:
        _Start(data, folder, name, said, target).go(asks)
    except (typer.Abort, KeyboardInterrupt):
        say("\nStopped. No recipe was written.", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


@dataclass(frozen=True)
class _Said:
    """What the options say of columns, as they were typed."""

    input: str | None
    responses: str | None
    label: str | None
    id: str | None
    answer: str | None

    def wish(self, looked: LookedAt) -> Wish:
        """The same in columns."""
        from respsel.draft.proposal import Wish

        responses = None if self.responses is None else _columns(self.responses, looked)
        return Wish(
            _asked(self.input, looked), responses, _one(self.label), _one(self.id), self.answer
        )


def _one(typed: str | None) -> str | None:
    """One column as it was typed; empty for none."""
    if typed is None:
        return None
    text = typed.strip()
    # A line end in a template is typed as in the recipe.
    return "" if text.casefold() in _NONE else text.replace("\\n", "\n")


def _asked(typed: str | None, looked: LookedAt) -> str | None:
    """What is asked as it was typed: a column, a template, or columns with commas between."""
    from respsel.draft.proposal import can_be_templated, joined_columns

    one = _one(typed)
    if not one or one in looked.columns or "," not in one:
        return one
    paths = _columns(one, looked)
    usable = all(path in looked.columns and can_be_templated(path) for path in paths)
    return joined_columns(paths) if usable else one


def _columns(typed: str, looked: LookedAt) -> tuple[str, ...]:
    """Columns with commas between; a column may have commas in its own name."""
    if typed.strip() in looked.columns:
        return (typed.strip(),)
    names = [part.strip() for part in typed.split(",")]
    found: list[str] = []
    while names:
        ends = range(len(names), 0, -1)
        end = next((n for n in ends if ", ".join(names[:n]) in looked.columns), 0)
        end = end or next((n for n in ends if ",".join(names[:n]) in looked.columns), 0)
        joined = ", ".join(names[:end])
        found.append(joined if joined in looked.columns else ",".join(names[: end or 1]))
        del names[: end or 1]
    return tuple(dict.fromkeys(name for name in found if name.casefold() not in _NONE))


class _Start:
    """The way from a data file to a recipe."""

    def __init__(
        self, given: str, folder: Path, name: str | None, said: _Said, target: TargetWish
    ) -> None:
        from respsel.draft.columns import look_at
        from respsel.draft.data_file import data_file
        from respsel.draft.draft import find_place, recipe_name
        from respsel.workspace.loaded_recipe import readable

        data = data_file(given)
        self._data = data
        self._said = said
        self._target = target
        self._shown = readable(given)
        self._looked = look_at(data, self._shown)
        self._place = find_place(folder, recipe_name(data) if name is None else _file_name(name))

    def go(self, asks: bool) -> None:
        """Propose, ask, check and write. Raises RespselError."""
        from respsel.draft.draft import draft_recipe, write_files
        from respsel.draft.proposal import propose

        wish = self._said.wish(self._looked)
        try:
            proposal = propose(self._looked, wish, self._shown)
        except InputError:
            if not asks or wish.input is not None:
                raise
            wish = replace(wish, input=self._ask_input(wish))
            proposal = propose(self._looked, wish, self._shown)
        self._show(proposal)
        if asks:
            proposal = self._ask(proposal, wish)
        draft = draft_recipe(self._data, self._looked, proposal, self._place, self._target)
        write_files(draft.files)
        notes = [*_notes(proposal, draft.examples), *draft.target.notes]
        if not draft.target.notes:
            notes += [str(note) for note in draft.checked.notes]
        _show_written(self._place, list(draft.files), notes)

    def _ask_input(self, wish: Wish) -> str:
        from respsel.draft.proposal import propose

        say(f"{self._shown} has these columns: {', '.join(self._looked.columns)}")
        return _ask_until(
            "Which column is the target asked?",
            "",
            lambda typed: (
                propose(
                    self._looked,
                    replace(wish, input=self._take(typed, "input") or None),
                    self._shown,
                ).asked
            ),
        )

    def _ask(self, proposal: Proposal, wish: Wish) -> Proposal:
        """Ask for what no option says; each answer may change what is proposed next."""
        from respsel.draft.proposal import propose

        say("Return takes what is in brackets.")
        for key, question in _QUESTIONS.items():
            if getattr(wish, key) is not None:
                continue

            def take(typed: str, key: str = key, wish: Wish = wish) -> tuple[Wish, Proposal]:
                changed = replace(wish, **{key: self._take(typed, key)})
                return changed, propose(self._looked, changed, self._shown)

            wish, proposal = _ask_until(question, _proposed(proposal, key), take)
        return proposal

    def _take(self, typed: str, key: str) -> Any:
        """What was typed, as the wish of a key has it."""
        if key == "responses":
            return _columns(typed, self._looked)
        return _asked(typed, self._looked) if key == "input" else _one(typed)

    def _show(self, proposal: Proposal) -> None:
        from respsel.cli.render.drafts import column_lines

        rows = counted(self._looked.rows, "row")
        say(f"{self._shown}: {rows}{'' if self._looked.is_whole else ' and more'}")
        width = min(_WIDEST, console_of().width)
        say("\n".join(column_lines(self._looked, proposal, width)))


def _proposed(proposal: Proposal, key: str) -> str:
    """What is proposed, as it would be typed."""
    if key == "input":
        return proposal.asked
    value = getattr(proposal, key)
    return ", ".join(value) if key == "responses" else str(value)


def _ask_until(question: str, default: str, take: Callable[[str], Taken]) -> Taken:
    """Ask until the answer can be taken."""
    shown = one_line(default) or "none"
    while True:
        typed = typer.prompt(f"{question} [{shown}]", default=default, show_default=False)
        try:
            return take(typed)
        except InputError as error:
            for problem in error.problems:
                tell("error", problem)


def _file_name(name: str) -> str:
    """A recipe's name that is one part of a path. Raises InputError for others."""
    stem = name.strip().removesuffix(".toml")
    if not stem or stem in (".", "..") or Path(stem).name != stem or "\0" in stem:
        what = f"'{name}' is no name of a file"
        raise InputError(
            Problem("", "--name", what, "Give a name without folders; DIR is the folder")
        )
    return stem


def _refuse_options(said: _Said, target: TargetWish, name: str | None) -> None:
    """Raise InputError for options that are about data, where there is none."""
    options = {
        "--input": said.input,
        "--responses": said.responses,
        "--label": said.label,
        "--id": said.id,
        "--answer": said.answer,
        "--model": target.model,
        "--called": target.called,
        "--tokenizer": target.tokenizer,
        "--name": name,
    }
    given = [option for option, value in options.items() if value is not None]
    if given:
        what = "is about a data file, and none is given"
        remedy = f"Say: respsel init DATA {given[0]} ..., or respsel init alone for the demo"
        raise InputError(Problem("", given[0], what, remedy))


def _write_demo(folder: Path) -> None:
    from respsel.draft.demo import NAME, demo_files
    from respsel.draft.draft import find_place, write_files
    from respsel.draft.target import bundled_target

    place = find_place(folder, NAME, option="DIR")
    target = bundled_target(place.workspace)
    files = demo_files(place, target)
    write_files(files)
    say("A demo: how should the solutions of small word problems be written to suit SmolLM2?")
    _show_written(place, list(files), list(target.notes))


def _show_written(place: Place, paths: list[Path], notes: list[str]) -> None:
    from respsel.cli.render.drafts import written_lines

    say("\n".join(written_lines(place, paths)))
    for note in notes:
        say(f"Note: {note}")
    say(f"Next: {place.command}")


def _notes(proposal: Proposal, examples: int) -> list[str]:
    from respsel.cli.render.drafts import candidate_notes
    from respsel.selection.verdict import FEWEST_EXAMPLES

    notes = [*candidate_notes(proposal), *proposal.notes]
    if examples < FEWEST_EXAMPLES:
        few = "is 1" if examples == 1 else f"are {examples}"
        notes.append(
            f"Fewer than {FEWEST_EXAMPLES} examples decide nothing, and there {few}. The run shows "
            "who leads."
        )
    return notes
