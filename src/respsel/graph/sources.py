"""Texts that steps take from somewhere else than a model: what of it is in the key, and the rows.

Knows nothing of steps. Invariant: the rows come from the file that was digested for the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from respsel.data import examples as datasets
from respsel.data import files
from respsel.data.files import ending_of
from respsel.data.validation import RowsFile, load_validation
from respsel.errors import Problem, RunError
from respsel.graph.context import GraphContext
from respsel.graph.step import Rows
from respsel.hashing import file_digest
from respsel.recipe.schema import DatasetEntry, FileStrategy, OwnOutputsEntry, ValidationEntry
from respsel.records import Example
from respsel.strategies.base import Operation


@dataclass(frozen=True)
class Source:
    """Where the texts of a step come from.

    fields: what of it is in the step's key.
    texts: from the examples to their texts, or to a generator that asks a model for them.
    """

    fields: Mapping[str, Any]
    texts: Callable[[Sequence[Example]], Rows | Operation]


def file_source(
    of: GraphContext,
    dataset: DatasetEntry,
    entry: FileStrategy | OwnOutputsEntry,
    name: str,
    load: Callable[..., Rows],
) -> Source:
    """Texts in a file of their own; name: the file's, as the recipe has it."""
    path = of.loaded.resolve(name, dataset.name)
    shown = of.loaded.show(name, dataset.name)
    file = file_digest(path, of.memo)
    rule = of.recipe.whitespace

    def texts(examples: Sequence[Example]) -> Rows:
        return read_unchanged(
            path, shown, file, partial(load, entry, path, shown, examples, dataset.check, rule)
        )

    fields: dict[str, Any] = {
        "file": file,
        "data_files": files.VERSION,
        "ending": ending_of(path),
        "id": entry.id,
        "response": entry.response,
    }
    # What is as it was in earlier versions is in no key.
    if entry.format != "rows":
        from respsel.data import response_files

        fields |= {"format": entry.format, "batch_reading": response_files.BATCH_VERSION}
    if entry.if_missing != "fail":
        fields["if_missing"] = entry.if_missing
    return Source(fields, texts)


def held_out_source(of: GraphContext, dataset: DatasetEntry, entry: ValidationEntry) -> Source:
    """A dataset's held-out examples, which its own file must have none of."""
    rows = entry.rows_for(dataset)
    path = of.loaded.resolve(entry.path, dataset.name)
    held_out = RowsFile(rows, path, of.loaded.show(entry.path, dataset.name))
    place = of.loaded.resolve(dataset.path)
    trained = RowsFile(dataset, place, of.loaded.show(dataset.path))
    digest = file_digest(held_out.path, of.memo)
    trained_digest = file_digest(trained.path, of.memo)

    def load() -> Rows:
        return load_validation(held_out, trained, of.recipe.whitespace)

    def load_both() -> Rows:
        return read_unchanged(trained.path, trained.shown, trained_digest, load)

    def texts(_examples: Sequence[Example]) -> Rows:
        return read_unchanged(held_out.path, held_out.shown, digest, load_both)

    columns = ("id", "input", "reference", "sample", "seed")
    fields = {
        "file": digest,
        "format": ending_of(held_out.path),
        "rows": datasets.VERSION,
        **{column: getattr(rows, column) for column in columns},
        "dataset": {
            "file": trained_digest,
            "format": ending_of(trained.path),
            "id": dataset.id,
            "input": dataset.input,
        },
    }
    return Source(fields, texts)


def read_unchanged(path: Path, shown: str, expected: str, load: Callable[[], Rows]) -> Rows:
    """Load rows from a file.

    Raises RunError if it is not the file that was digested for the step's key.
    """
    rows = load()
    if file_digest(path, None) != expected:
        raise RunError(Problem(shown, "", "changed while it was read", "Run again"))
    return rows
