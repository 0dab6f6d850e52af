"""A training set to a folder of files, which appear whole or not at all; see atomic_folder.

Knows nothing of how a set was selected. Invariant: the folder may be the user's, so files that
respsel did not write are never replaced.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import respsel
from respsel.errors import InputError, Problem, RunError
from respsel.hashing import canonical_json, content_digest, digest, file_digest
from respsel.store.locks import Wait
from respsel.system.atomic_folder import (
    MANIFEST,
    part_of,
    put_in_place,
    refuse_links,
    remove_leftovers,
)
from respsel.system.disk import remedy_of
from respsel.tables.parquet import stack
from respsel.training.apply import Applied
from respsel.training.card import card_of, set_name
from respsel.training.conversations import Conversations
from respsel.training.counts import Counts, Tally, cautions_of
from respsel.training.examples import has_conversations, training_examples, training_pairs
from respsel.training.formats import FORMATS, Format
from respsel.training.modes import Mode
from respsel.training.turn_formats import table
from respsel.training.watched import Watched
from respsel.workspace.loaded_recipe import LoadedRecipe

if TYPE_CHECKING:
    import polars

# Raised when the same set would give other files.
VERSION = 2
_CARD = "README.md"
_RECIPE = "recipe.toml"
# Where a card goes that was filled in, when the set becomes another one.
_FORMER_CARD = "README.former.md"
# What an export's manifest says, and no other tool's.
_FIELDS = {"key", "format", "recipe", "applied", "cautions", "counts", "sha256"}
_ROWS_AT_ONCE = 1024
_LINE_ENDS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}


@dataclass(frozen=True)
class TrainingSet:
    """A written training set.

    format: one of formats.FORMATS.
    mode: that of the applied set, "strategy" or "per-example".
    folder: where its files are.
    data: the file of examples.
    counts: what of each dataset is in it.
    cautions: what to mind before training.
    stale: the formats next to it that still hold what was applied before.
    """

    format: str
    mode: Mode
    folder: Path
    data: Path
    counts: tuple[Counts, ...]
    cautions: tuple[str, ...]
    stale: tuple[str, ...] = ()


def training_folder(loaded: LoadedRecipe, mode: str) -> Path:
    """Where a recipe's training sets are written by default."""
    name = "training" if mode == "strategy" else f"training-{mode}"
    return loaded.workspace.runs / loaded.name / name


def write_export(applied: Applied, kind: Format, folder: Path, wait: Wait) -> TrainingSet:
    """Write an applied set in a format unless it is there.

    Raises InputError if the folder holds files of these names that respsel did not write, or
    nothing is left to train on.
    Raises RunError if a table is gone or the folder cannot be written.
    """
    refuse_links(folder, applied.graph.loaded.workspace.runs)
    key = _key(applied, kind)
    with applied.store.lock(f"export/{digest('folder', str(folder.resolve()))}", wait):
        old = _manifest(folder / MANIFEST)
        changed = _changed(folder, old)
        _refuse_changed(folder, [name for name in changed if name != _CARD])
        # A card that was filled in stays, while the set is the same.
        if old is None or old["key"] != key or not _is_whole(folder, old):
            _write(applied, kind, folder, key, keep_card=_CARD in changed)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    return TrainingSet(
        format=kind.name,
        mode=applied.selected.mode,
        folder=folder,
        data=folder / kind.data,
        counts=tuple(Counts(**item) for item in manifest["counts"]),
        cautions=tuple(manifest["cautions"]),
    )


def _key(applied: Applied, kind: Format) -> str:
    """The digest of everything that decides the files of an export."""
    loaded = applied.graph.loaded
    models = {name: dict(known.fields) for name, known in applied.graph.models.items()}
    # The recipe is copied and its settings say what is left out, so any edit of it is another
    # export.
    about = canonical_json([loaded.shown, content_digest(loaded.content), models])
    return digest("export", str(VERSION), respsel.__version__, kind.name, applied.key, about)


def _refuse_changed(folder: Path, names: Sequence[str]) -> None:
    if names:
        what = f"{', '.join(names)} was changed since it was exported"
        remedy = "Move it out of the way, or give another folder with --out"
        raise InputError(Problem(str(folder), "", what, remedy))


def _is_whole(folder: Path, manifest: Mapping[str, Any]) -> bool:
    return all((folder / name).is_file() for name in manifest["sha256"])


def exported_names(folder: Path) -> list[str]:
    """The files of an export, without its manifest; none where there is no export."""
    manifest = _manifest(folder / MANIFEST)
    return [] if manifest is None else sorted(manifest["sha256"])


def write_sets(
    applied: Applied, names: Sequence[str], out: Path | None, wait: Wait
) -> list[TrainingSet]:
    """Write an applied set in some formats, each to a folder of its own; see write_export.

    out: the folder of those folders; by default training_folder.
    """
    folder = training_folder(applied.graph.loaded, applied.selected.mode) if out is None else out
    sets = [write_export(applied, FORMATS[name], folder / name, wait) for name in names]
    stale = tuple(find_stale(applied, folder)) if out is None else ()
    return [replace(training_set, stale=stale) for training_set in sets]


def find_stale(applied: Applied, folder: Path) -> list[str]:
    """The formats in a folder of training sets that hold another selection of the recipe."""
    stale = []
    for name in FORMATS:
        manifest = _manifest(folder / name / MANIFEST)
        if (
            manifest
            and manifest["recipe"] == applied.graph.loaded.place
            and manifest["applied"] != applied.key
        ):
            stale.append(name)
    return stale


def _write(applied: Applied, kind: Format, folder: Path, key: str, keep_card: bool) -> None:
    from polars.exceptions import PolarsError

    loaded = applied.graph.loaded
    names = [kind.data, *kind.more(set_name(loaded), Conversations()), _RECIPE, _CARD]
    try:
        _refuse_others(folder, loaded.place, [*names, MANIFEST])
        folder.mkdir(parents=True, exist_ok=True)
        # A part of a manifest stays until there is a whole one: it shows that the files here are an
        # export's.
        remove_leftovers(folder, names)
        try:
            manifest = _write_parts(applied, kind, folder, names)
        except BaseException:
            remove_leftovers(folder, names)
            raise
        if keep_card:
            (folder / _CARD).replace(folder / _FORMER_CARD)
        # What is left if this fails shows the next export that the folder is its own.
        put_in_place(folder, key, names, manifest)
    except (OSError, PolarsError) as error:
        what = f"the training set cannot be written: {error}"
        remedy = remedy_of(error, "See that respsel can write there, and run again")
        raise RunError(Problem(str(folder), "", what, remedy)) from error


def _write_parts(
    applied: Applied, kind: Format, folder: Path, names: Sequence[str]
) -> Mapping[str, Any]:
    """Write the files next to their places; return what the manifest says of them."""
    loaded = applied.graph.loaded
    part_of(folder, _RECIPE).write_bytes(loaded.content)
    watched = Watched(kind)
    counts = _write_data(applied, kind, part_of(folder, kind.data), watched)
    if not any(count.kept for count in counts):
        raise _nothing_kept(loaded, counts)
    watched.refuse(loaded.shown)
    found = watched.found
    for name, text in kind.more(set_name(loaded), found).items():
        part_of(folder, name).write_text(text, "utf-8")
    recipe_digest = file_digest(part_of(folder, _RECIPE), None)
    cautions = cautions_of(applied, counts, kind.pairs) + _too_few(kind, counts)
    cautions += _not_weighed(loaded, kind) + (kind.cautions(found) if found.rows else [])
    card = card_of(applied, kind, counts, cautions, recipe_digest, found)
    part_of(folder, _CARD).write_text(card, "utf-8")
    manifest: dict[str, Any] = {
        "format": kind.name,
        "recipe": loaded.place,
        "applied": applied.key,
        "cautions": cautions,
        "counts": [asdict(count) for count in counts],
        "sha256": {name: file_digest(part_of(folder, name), None) for name in names},
    }
    if options := loaded.models[loaded.recipe.target.model].entry.template_options:
        manifest["template_options"] = dict(options)
    if found.rows:
        manifest["conversations"] = found.manifest
    return manifest


def _write_data(applied: Applied, kind: Format, path: Path, watched: Watched) -> tuple[Counts, ...]:
    tally = Tally(applied)
    rows: Iterator[Any] = (
        watched.passed(tally.kept(training_pairs(applied)))
        if kind.pairs
        else watched.passed(tally.kept(training_examples(applied)))
    )
    records = map(kind.record, rows)
    if kind.data.endswith(".parquet"):
        none = table(()) if has_conversations(applied) else {}
        stack(path, (({}, frame) for frame in _frames({**none, **row} for row in records)))
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

    kinds = {"correct": pl.Boolean, "weight": pl.Float64, "trained": pl.List(pl.Int64)}
    while some := list(islice(records, _ROWS_AT_ONCE)):
        types: dict[str, Any] = {name: kinds.get(name, pl.String) for name in some[0]}
        yield pl.DataFrame(some, schema=types)


def _refuse_others(folder: Path, recipe: str, names: Sequence[str]) -> None:
    """Raise InputError for files that an earlier export of the recipe did not write."""
    for manifest in (folder / MANIFEST, part_of(folder, MANIFEST)):
        if (known := _manifest(manifest)) is None:
            continue
        if known["recipe"] == recipe:
            return
        what = f"holds a training set of another recipe, {known['recipe']}"
        raise InputError(Problem(str(folder), "", what, "Give another folder with --out"))
    if others := [name for name in names if (folder / name).exists()]:
        what = f"holds {', '.join(others)}, which respsel did not write"
        raise InputError(Problem(str(folder), "", what, "Give another folder with --out"))


def _too_few(kind: Format, counts: Sequence[Counts]) -> list[str]:
    kept = sum(count.kept for count in counts)
    return (
        [f"{kind.trainer} wants at least {kind.least} examples, and these are {kept}."]
        if kept < kind.least
        else []
    )


def _not_weighed(loaded: LoadedRecipe, kind: Format) -> list[str]:
    if kind.weighs or not loaded.recipe.training.weights:
        return []
    return [f"The recipe's weights are not in this set: the format {kind.name} has none."]


def _manifest(path: Path) -> dict[str, Any] | None:
    """An export's manifest; None if there is none, or it is of something else."""
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        return manifest if set(manifest) >= _FIELDS and manifest["format"] in FORMATS else None
    except (OSError, ValueError, TypeError):
        return None


def _changed(folder: Path, manifest: dict[str, Any] | None) -> list[str]:
    """The files of an export that have changed since it wrote them."""
    known = manifest["sha256"].items() if manifest else ()
    return [
        name
        for name, value in known
        if (folder / name).is_file() and file_digest(folder / name, None) != value
    ]


def _nothing_kept(loaded: LoadedRecipe, counts: Sequence[Counts]) -> InputError:
    reasons: Counter[str] = Counter()
    for count in counts:
        reasons.update(count.dropped)
    what = (
        "no example is left for the training set: "
        f"{', '.join(f'{name} {number}' for name, number in reasons.items())}"
    )
    return InputError(Problem(loaded.shown, "", what, "Fix the strategy, or choose another"))
