"""What `respsel init` says of a data file and of what it wrote. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from respsel.text.characters import one_line

if TYPE_CHECKING:
    from respsel.draft.columns import Column, LookedAt
    from respsel.draft.draft import Place
    from respsel.draft.proposal import Proposal

_MOST_UNUSED = 12
_LONGEST_EXAMPLE = 200
_WIDEST_NAME = 30
# By name, what files are for.
_ABOUT = {
    "respsel.toml": "where results are kept, and the model",
    ".gitignore": "keeps results out of git",
}


def column_lines(looked: LookedAt, proposal: Proposal, width: int) -> Iterator[str]:
    """A file's columns, what each is taken for, and its first value, in lines of a width."""
    from rich.cells import cell_len, set_cell_size

    from respsel.draft.proposal import used_columns

    used = used_columns(looked, proposal)
    unused = [name for name in looked.columns if name not in used and not _is_part(name, looked)]
    rows = [("column", "taken for", "first value")]
    for name, column in looked.columns.items():
        if name in used or name in unused[:_MOST_UNUSED]:
            role = _role(name, looked, proposal) if name in used else "not used"
            rows.append((one_line(name), role, one_line(_example(column))))
    names = min(_WIDEST_NAME, max(cell_len(name) for name, _, _ in rows))
    roles = max(cell_len(role) for _, role, _ in rows)
    rest = max(20, width - names - roles - 7)
    for name, role, example in rows:
        cells = [_cut(name, names), role]
        sizes = (names, roles)
        shown = [set_cell_size(cell, size) for cell, size in zip(cells, sizes, strict=True)]
        yield f"  {'  '.join(shown)}  {_cut(example, rest)}".rstrip()
    if len(unused) > _MOST_UNUSED:
        yield f"  and {len(unused) - _MOST_UNUSED} more columns that are not used"


def _cut(text: str, size: int) -> str:
    """The beginning of a text, in so many cells of a terminal."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= size else f"{set_cell_size(text, size - 1).rstrip()}…"


def written_lines(place: Place, paths: Sequence[Path]) -> Iterator[str]:
    """What was written, and what was there."""
    from respsel.draft.draft import IGNORED, shown_from_here
    from respsel.draft.recipe_text import SCHEMAS
    from respsel.workspace.workspace import FILE_NAME

    rows: dict[str, str] = {}
    for path in reversed(paths):
        if path.parent.name == SCHEMAS:
            rows[f"{shown_from_here(path.parent)}/"] = "what a recipe may say, for editors"
        else:
            about = _ABOUT.get(path.name, "the data")
            rows[shown_from_here(path)] = "the recipe" if path == place.recipe else about
    width = max(len(name) for name in rows)
    yield "Wrote"
    for name, about in rows.items():
        yield f"  {name.ljust(width)}  {about}"
    if not place.is_new:
        yield f"It uses {shown_from_here(place.workspace.root / FILE_NAME)}, which was there."
    elif place.folder / IGNORED not in paths:
        yield f"{IGNORED} was there: the lines /cache/ and /runs/ belong in it."


def candidate_notes(proposal: Proposal) -> Iterator[str]:
    """What to know where there are fewer than two candidates."""
    unchecked = "since a target finds its own answers likely, and nothing says if they are right"
    if len(proposal.responses) == 1:
        barred = "" if proposal.label else f" It cannot be recommended, {unchecked}."
        yield (
            "It takes two candidates to choose, and there is one column of responses. What the "
            f"target answers itself is the second, as a measure.{barred} Better: another column, "
            "or a teacher model."
        )
    elif not proposal.responses:
        barred = "" if proposal.label else f" Neither can be recommended, {unchecked}."
        yield (
            "No column was taken for responses, so the target itself is asked in two ways."
            f"{barred} Better: columns of responses, or a teacher model. Name columns with "
            "--responses."
        )


def _is_part(name: str, looked: LookedAt) -> bool:
    """Whether a column is an item of another one."""
    root, _, item = name.rpartition(".")
    return item.isdigit() and root in looked.columns


def _role(name: str, looked: LookedAt, proposal: Proposal) -> str:
    roles = {
        proposal.id: "id",
        proposal.system: "system turn",
        proposal.history: "earlier turns",
        proposal.tools: "tools",
        proposal.label: "label",
    }
    if proposal.label == name and proposal.answer:
        roles[name] = f"label, checked as {proposal.answer}"
    if name == proposal.messages:
        own = name in proposal.responses
        return "conversation and candidate" if own else "conversation"
    if name in roles:
        return roles[name]
    if name == proposal.input:
        return "input"
    empty = looked.rows - looked.columns[name].filled
    if name in proposal.responses:
        return f"candidate, {empty} empty" if empty else "candidate"
    parts = [path for path in proposal.responses if path.startswith((f"{name}.", f"{name}["))]
    return "candidate" if parts else "part of the input"


def _example(column: Column) -> str:
    from respsel.draft.columns import one_text

    value = column.values[0]
    text = one_text(value)
    return (repr(value) if text is None else text)[:_LONGEST_EXAMPLE]
