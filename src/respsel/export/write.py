"""A training set to a folder of files, which appear whole or not at all; the manifest is last. See publish.

Hazard: a folder may be the user's. Files that respsel did not write are never replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import respsel
from respsel.applying import Applied
from respsel.errors import InputError, Problem, RunError
from respsel.export.card import card_of, set_name
from respsel.export.formats import FORMATS, Format
from respsel.hashing import canonical_json, digest, file_digest
from respsel.loading import LoadedRecipe
from respsel.publish import MANIFEST, is_written, part_of, put_in_place, remove_leftovers
from respsel.tables import stack
from respsel.training import Counts, Tally, training_examples, training_pairs

if TYPE_CHECKING:
    import polars

# Raised when the same set would give other files.
VERSION = 1
_CARD, _RECIPE = "README.md", "recipe.toml"
_ROWS_AT_ONCE = 1024
_LINE_ENDS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}


@dataclass(frozen=True)
class Exported:
    """A written training set: its format, folder and data file, and what of each dataset is in it."""

    format: str
    folder: Path
    data: Path
    counts: tuple[Counts, ...]


def training_folder(loaded: LoadedRecipe, mode: str) -> Path:
    """Where a recipe's training sets are written unless the user says otherwise."""
    name = "training" if mode == "strategy" else f"training-{mode}"
    return loaded.workspace.runs / loaded.name / name


def write_export(applied: Applied, kind: Format, folder: Path) -> Exported:
    """Write an applied set in a format unless it is there.

    Raises InputError if the folder holds files of these names that respsel did not write, or nothing is left to
    train on; RunError if a table is gone or the folder cannot be written.
    """
    loaded = applied.graph.loaded
    models = {name: dict(known.fields) for name, known in applied.graph.models.items()}
    # The recipe is copied and its settings say what is left out, so any edit of it is another export.
    about = canonical_json([loaded.shown, file_digest(loaded.path, None), models])
    key = digest("export", str(VERSION), respsel.__version__, kind.name, applied.key, about)
    with applied.store.turn(f"export/{digest('folder', str(folder.resolve()))}", lambda holder: None):
        if not is_written(folder, key):
            _write(applied, kind, folder, key)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    counts = tuple(Counts(**item) for item in manifest["counts"])
    return Exported(kind.name, folder, folder / kind.data, counts)


def _write(applied: Applied, kind: Format, folder: Path, key: str) -> None:
    from polars.exceptions import PolarsError

    loaded = applied.graph.loaded
    more = kind.more(set_name(loaded))
    names = [kind.data, *more, _RECIPE, _CARD]
    try:
        _refuse_others(folder, [*names, MANIFEST])
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        try:
            part_of(folder, _RECIPE).write_bytes(loaded.path.read_bytes())
            counts = _write_data(applied, kind, part_of(folder, kind.data))
            if not any(count.kept for count in counts):
                raise _nothing_kept(loaded, counts)
            for name, text in more.items():
                part_of(folder, name).write_text(text, "utf-8")
            recipe_digest = file_digest(part_of(folder, _RECIPE), None)
            part_of(folder, _CARD).write_text(card_of(applied, kind, counts, recipe_digest), "utf-8")
            digests = {name: file_digest(part_of(folder, name), None) for name in names}
            told = {"format": kind.name, "counts": [asdict(count) for count in counts], "sha256": digests}
            put_in_place(folder, key, names, told)
        finally:
            remove_leftovers(folder)
    except (OSError, PolarsError) as error:
        what = f"the training set cannot be written: {error}"
        raise RunError(Problem(str(folder), "", what, "Free the place and run again")) from error


def _write_data(applied: Applied, kind: Format, path: Path) -> tuple[Counts, ...]:
    tally = Tally(applied)
    rows: Iterator[Any] = tally.kept(training_pairs(applied)) if kind.pairs else tally.kept(training_examples(applied))
    records = map(kind.record, rows)
    if kind.data.endswith(".parquet"):
        stack(path, (({}, frame) for frame in _frames(records)))
    else:
        _write_json(path, records, lines=kind.data.endswith(".jsonl"))
    return tally.counts


def _write_json(path: Path, records: Iterable[Mapping[str, Any]], lines: bool) -> None:
    """One record a line, as JSON lines or as one list."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("" if lines else "[\n")
        for place, record in enumerate(records):
            # Some readers take these characters for ends of lines.
            text = json.dumps(record, ensure_ascii=False).translate(_LINE_ENDS)
            file.write(("" if lines or not place else ",\n") + text + ("\n" if lines else ""))
        file.write("" if lines else "\n]\n")


def _frames(records: Iterator[Mapping[str, Any]]) -> Iterator[polars.DataFrame]:
    import polars as pl

    while some := list(islice(records, _ROWS_AT_ONCE)):
        types = {name: pl.Boolean if name == "correct" else pl.String for name in some[0]}
        yield pl.DataFrame(some, schema=types)


def _refuse_others(folder: Path, names: Sequence[str]) -> None:
    """Raise InputError for files that would be replaced and are not of an earlier export."""
    if _is_export(folder / MANIFEST) or _is_export(part_of(folder, MANIFEST)):
        return
    if found := [name for name in names if (folder / name).exists()]:
        what = f"holds {', '.join(found)}, which respsel did not write"
        raise InputError(Problem(str(folder), "", what, "Give another folder with --out"))


def _is_export(manifest: Path) -> bool:
    """Whether a manifest is of an export; one that was killed between two manifests has left a part of the new one."""
    try:
        return json.loads(manifest.read_bytes())["format"] in FORMATS
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _nothing_kept(loaded: LoadedRecipe, counts: Sequence[Counts]) -> InputError:
    reasons = {reason: number for count in counts for reason, number in count.dropped.items()}
    what = f"no example is left for the training set: {', '.join(f'{name} {number}' for name, number in reasons.items())}"
    return InputError(Problem(loaded.shown, "", what, "Mend the strategy, or choose another"))
