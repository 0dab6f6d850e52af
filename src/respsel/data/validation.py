"""Held-out examples: inputs with references of the task that matters in the end.

Knows nothing of models and metrics. Invariant: none of them is in the dataset that strategies write
for, neither by its id nor by its input. So a response never stands behind its own reference.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from respsel.data import examples as datasets
from respsel.data.file_sets import FileSet
from respsel.errors import Problem, raise_problems, stop_at_many
from respsel.recipe.schema import DatasetEntry
from respsel.records import Example, Response
from respsel.text.whitespace import WhiteSpace, normalised

# Raised when the same files would give other held-out examples.
VERSION = 1


@dataclass(frozen=True)
class RowsFile:
    """A file of rows.

    entry: how it is read.
    path: where it is, or the files that are read as one.
    shown: its path in messages.
    """

    entry: DatasetEntry
    path: Path | FileSet
    shown: str


def load_validation(
    held_out: RowsFile, dataset: RowsFile, white_space: WhiteSpace
) -> list[Example]:
    """Return the held-out examples in hash order, each with its id, input and reference alone.

    dataset: what must hold none of them; it is read to its end, since all of it may be trained on.
    Raises InputError with the first 20 bad rows, or naming the examples that both files have.
    """
    rows = [
        _bare(row, white_space)
        for row in datasets.load_examples(held_out.entry, held_out.path, held_out.shown)
    ]
    raise_problems(
        Problem(held_out.shown, f"id '{row.id}'", "its reference is empty", "Fill it in")
        for row in rows
        if not row.reference
    )
    raise_problems(_shared(rows, held_out, dataset))
    return rows


def _bare(row: Example, white_space: WhiteSpace) -> Example:
    """What prompts show of a row; its reference by the rule for responses, which it stands for."""
    text = normalised(Response(row.id, row.reference or ""), white_space).text
    return Example(row.id, row.input, text)


def _shared(rows: Sequence[Example], held_out: RowsFile, dataset: RowsFile) -> list[Problem]:
    """The held-out examples that are in the dataset, too; each is named once."""
    by_id = {row.id: row for row in rows}
    by_input: dict[str, list[Example]] = {}
    for row in rows:
        by_input.setdefault(_alike(row.input), []).append(row)
    problems: dict[str, Problem] = {}
    for name, question in datasets.scan_examples(dataset.entry, dataset.path, dataset.shown):
        for row in by_input.get(_alike(question), ()):
            what = f"its input is also that of '{name}' in {dataset.shown}"
            remedy = "Take it out of one of the files: what is trained on is not held out"
            problem = Problem(held_out.shown, f"id '{row.id}'", what, remedy)
            problems.setdefault(row.id, problem)
        if (same := by_id.get(name)) is not None:
            what = f"{dataset.shown} has an example of this id"
            remedy = "Take it out, or name another column in validation.id if it is another example"
            problems.setdefault(same.id, Problem(held_out.shown, f"id '{name}'", what, remedy))
        stop_at_many(list(problems.values()))
    return list(problems.values())


def _alike(text: str) -> str:
    """What two inputs have in common that ask the same, up to case, width and white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
