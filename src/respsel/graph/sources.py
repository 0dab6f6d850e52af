"""Texts that steps take from somewhere else than a model: what of it is in the key, and the rows.

Knows nothing of steps. Invariant: the rows come from the file that was digested for the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from respsel.data import examples as datasets
from respsel.data import files
from respsel.data.file_sets import FileSet
from respsel.data.validation import RowsFile, load_validation
from respsel.errors import InputError, Problem, RunError
from respsel.graph.context import GraphContext
from respsel.graph.data_files import awaited_for, files_of
from respsel.graph.step import NOTHING, Awaited, Rows
from respsel.recipe.schema import DatasetEntry, FileStrategy, OwnOutputsEntry, ValidationEntry
from respsel.records import Example
from respsel.strategies.base import Operation
from respsel.workspace.data_places import own_place, place_for


@dataclass(frozen=True)
class Source:
    """Where the texts of a step come from.

    fields: what of it is in the step's key.
    texts: from the examples to their texts, or to a generator that asks a model for them.
    awaits: what has to be downloaded for it.
    """

    fields: Mapping[str, Any]
    texts: Callable[[Sequence[Example]], Rows | Operation]
    awaits: Awaited = NOTHING


def file_source(
    of: GraphContext,
    dataset: DatasetEntry,
    entry: FileStrategy | OwnOutputsEntry,
    name: str,
    load: Callable[..., Rows],
) -> Source:
    """Texts in a file of their own; name: the file's, as the recipe has it."""
    found = files_of(of, place_for(name, entry.digest, dataset.name))
    file = found.digest(of.memo)
    rule = of.recipe.whitespace

    def texts(examples: Sequence[Example]) -> Rows:
        read = partial(load, entry, found, found.shown, examples, dataset.check, rule)
        return read_unchanged(found, file, read)

    fields: dict[str, Any] = {
        "file": file,
        "data_files": files.VERSION,
        "ending": found.ending,
        "id": entry.id,
        "response": entry.response,
    }
    # What is as it was in earlier versions is in no key.
    if entry.format != "rows":
        from respsel.data import response_files

        fields |= {"format": entry.format, "batch_reading": response_files.BATCH_VERSION}
    if entry.if_missing != "fail":
        fields["if_missing"] = entry.if_missing
    return Source(fields, texts, awaited_for(found))


def held_out_source(of: GraphContext, dataset: DatasetEntry, entry: ValidationEntry) -> Source:
    """A dataset's held-out examples, which its own file must have none of."""
    rows = entry.rows_for(dataset)
    held_files = files_of(of, place_for(entry.path, entry.digest, dataset.name))
    trained_files = files_of(of, own_place(dataset))
    held_out = RowsFile(rows, held_files, held_files.shown)
    trained = RowsFile(dataset, trained_files, trained_files.shown)
    digest = held_files.digest(of.memo)
    trained_digest = trained_files.digest(of.memo)

    def load() -> Rows:
        return load_validation(held_out, trained, of.recipe.whitespace)

    def load_both() -> Rows:
        return read_unchanged(trained_files, trained_digest, load)

    def texts(_examples: Sequence[Example]) -> Rows:
        return read_unchanged(held_files, digest, load_both)

    columns = ("id", "input", "reference", "sample", "seed")
    fields = {
        "file": digest,
        "format": held_files.ending,
        "rows": datasets.VERSION,
        **{column: getattr(rows, column) for column in columns},
        "dataset": {
            "file": trained_digest,
            "format": trained_files.ending,
            "id": dataset.id,
            "input": dataset.input,
        },
    }
    return Source(fields, texts, awaited_for(held_files, trained_files))


def read_unchanged(found: FileSet, expected: str, load: Callable[[], Rows]) -> Rows:
    """Load rows from files.

    Raises RunError if they are not the files that were digested for the step's key.
    """
    if found.awaits:
        # The graph was made when it was there, or without it.
        what = "is not in the store any more"
        raise InputError(Problem(found.shown, "", what, "Run again: it is downloaded again"))
    try:
        rows = load()
    except InputError as error:
        raise InputError(found.located(error.problems)) from error
    if found.digest(None) != expected:
        raise RunError(Problem(found.shown, "", "changed while it was read", "Run again"))
    return rows
