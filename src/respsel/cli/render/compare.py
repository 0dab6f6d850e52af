"""What `compare` prints: tables of strategies by columns, within 80 columns of a terminal.

Prints nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING

from respsel.cli.render.runs import cost_lines
from respsel.recipe.schema import OVERALL
from respsel.selection.verdict import listed
from respsel.text.columns import aligned

if TYPE_CHECKING:
    from respsel.compare.cost import PlannedColumn, PlannedComparison
    from respsel.compare.document import Cell, ComparedTable, Comparison
    from respsel.compare.paired import Paired

_WIDTH = 80
_GAP = 2


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """The sentence first, then the tables, then strategies across columns, then what to mind."""
    yield comparison.sentence
    if comparison.shared:
        yield f"All with {comparison.shared}."
    labels = [column.label for column in comparison.columns if column.state != "failed"]
    states = [column.state for column in comparison.columns if column.state != "failed"]
    for table in comparison.tables:
        yield ""
        yield from _table_lines(table, labels, states)
    for pair in comparison.paired:
        yield ""
        yield from _pair_lines(pair, comparison)
    if comparison.notes:
        yield ""
        yield from (f"Note: {note}" for note in comparison.notes)


def planned_lines(planned: PlannedComparison) -> Iterator[str]:
    """What each column adds, and what all of it takes."""
    rows = [("", "calls", "at most later", "")]
    rows += [_planned_row(column) for column in planned.columns]
    yield from aligned(rows)
    if planned.calls_later is None:
        certain = f"{planned.calls:,} calls for certain. " if planned.calls else ""
        yield f"{certain}How many follow is not known before the download."
        yield "What columns share is counted once."
    else:
        later = f", and at most {planned.calls_later:,} more after them"
        more = later if planned.calls_later else ""
        yield f"{planned.calls:,} calls for certain{more}. What columns share is counted once."
    for name in planned.downloads:
        yield f"Would download {name} (size unknown)."
    yield from cost_lines(planned.costs, planned=True)


def _planned_row(column: PlannedColumn) -> tuple[str, str, str, str]:
    """A column's counts; no certain call is no number where others may follow."""
    if column.calls_later is None:
        return column.label, f"{column.calls:,}" if column.calls else "", "not known", ""
    return column.label, f"{column.calls:,}", f"{column.calls_later:,}", ""


def _table_lines(
    table: ComparedTable, labels: Sequence[str], states: Sequence[str]
) -> Iterator[str]:
    title = "over all datasets" if table.dataset == OVERALL else table.dataset
    yield f"{title}: {table.against}"
    body = [[_cell_text(table, i, cell) for i, cell in enumerate(row.cells)] for row in table.rows]
    names = [row.strategy for row in table.rows]
    headings = _headings(labels, body, names)
    if headings != list(labels):
        yield from (f"  {head}  {label}" for head, label in zip(headings, labels, strict=True))
    for start, end in _chunks(headings, body, states, names):
        rows = [["", *headings[start:end], ""], ["", *states[start:end], ""]]
        rows += [[name, *cells[start:end], ""] for name, cells in zip(names, body, strict=True)]
        yield from aligned(rows)
    yield from _barred_lines(table, headings)


def _barred_lines(table: ComparedTable, headings: Sequence[str]) -> Iterator[str]:
    """Why strategies are barred, and in which columns."""
    barred: dict[tuple[str, str], list[str]] = {}
    for row in table.rows:
        for heading, cell in zip(headings, row.cells, strict=True):
            if cell.state == "barred":
                barred.setdefault((row.strategy, cell.why), []).append(heading)
    for (strategy, why), where in barred.items():
        yield f"  {strategy} is barred in {listed(where)}: {why}."


def _cell_text(table: ComparedTable, column: int, cell: Cell) -> str:
    if cell.state == "not compared":
        return "–"
    if cell.difference is None:
        return cell.state
    return f"{cell.state} {table.distance(cell.difference, column)}"


def _headings(
    labels: Sequence[str], body: Sequence[Sequence[str]], names: Sequence[str]
) -> list[str]:
    """The labels, or letters in their place where they are too long for a line."""
    widths = [
        max([len(label), *(len(cells[i]) for cells in body)]) for i, label in enumerate(labels)
    ]
    if 2 + max(map(len, names), default=0) + sum(width + _GAP for width in widths) <= _WIDTH:
        return list(labels)
    return [_letters(i) for i in range(len(labels))]


def _letters(place: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    ahead = _letters(place // 26 - 1) if place >= 26 else ""
    return ahead + ascii_uppercase[place % 26]


def _chunks(
    headings: Sequence[str],
    body: Sequence[Sequence[str]],
    states: Sequence[str],
    names: Sequence[str],
) -> Iterator[tuple[int, int]]:
    """From which column to which fit a line."""
    start = 0
    first = 2 + max(map(len, names), default=0)
    used = first
    for i, heading in enumerate(headings):
        width = _GAP + max([len(heading), len(states[i]), *(len(cells[i]) for cells in body)])
        if used + width > _WIDTH and i > start:
            yield start, i
            start = i
            used = first
        used += width
    if start < len(headings):
        yield start, len(headings)


def _pair_lines(pair: Paired, comparison: Comparison) -> Iterator[str]:
    verdict = pair.verdict
    where = [verdict.dataset] if len(comparison.tables) > 1 else []
    where += [f"target {pair.target}"] if comparison.varies == "variant" else []
    about = f" ({', '.join(where)})" if where else ""
    yield f"{pair.strategy} across columns{about}:"
    _, *lines = verdict.lines()
    yield from lines
    yield f"  {verdict.outcome}"
    for label, others in pair.same.items():
        if others:
            yield f"  {', '.join(others)}: the same scores as {label}."
