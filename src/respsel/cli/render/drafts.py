"""What `respsel init` says of a data file and of what it wrote. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from respsel.text.characters import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from respsel.draft.columns import Column, LookedAt
    from respsel.draft.draft import Place
    from respsel.draft.proposal import Proposal

_MOST_UNUSED = 12
_LONGEST_EXAMPLE = 200
# By name, what files are for.
_ABOUT = {
    "respsel.toml": "where results are kept, and the model",
    ".gitignore": "keeps results out of git",
}


def columns_table(looked: LookedAt, proposal: Proposal) -> Table:
    """A file's columns, what each is taken for, and its first value."""
    from rich.table import Table
    from rich.text import Text

    from respsel.draft.proposal import used_columns

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  column", overflow="fold", max_width=26)
    table.add_column("taken for", overflow="fold", max_width=28)
    table.add_column("first value", no_wrap=True, overflow="ellipsis", ratio=1)
    used = used_columns(looked, proposal)
    unused = [name for name in looked.columns if name not in used and not _is_part(name, looked)]
    listed = [name for name in looked.columns if name in used or name in unused[:_MOST_UNUSED]]
    for name in listed:
        role = _role(name, looked, proposal) if name in used else "not used"
        example = one_line(_example(looked.columns[name]))
        table.add_row(Text(f"  {one_line(name)}"), Text(role), Text(example))
    if (rest := len(unused) - _MOST_UNUSED) > 0:
        table.add_row(Text(f"  and {rest} more"), Text("not used"), Text(""))
    return table


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
    if len(proposal.responses) == 1:
        yield (
            "It takes two candidates to choose, and there is one column of responses. What the "
            "target answers itself is the second, as a measure. Better: another column, or a "
            "teacher model."
        )
    elif not proposal.responses:
        yield (
            "There is no column of responses, so the target itself is asked in two ways. Better: "
            "columns of responses, or a teacher model. Name columns with --responses."
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
