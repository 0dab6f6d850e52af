"""The files behind one path of a recipe: one, those that match a pattern, or downloaded ones.

Knows nothing of formats and rows, and opens files only to digest them. Invariants: a file whose
name has a pattern's characters is that file. The files of a pattern come in the order of their
paths, whatever the file system's order. What is in keys is their content, not their names.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from respsel.errors import Problem, close_match, name_list
from respsel.hashing import DigestMemo, canonical_json, digest, file_digest
from respsel.system.disk import fault_of_kind, remedy_of, why_of
from respsel.system.patterns import for_glob, is_pattern

# More are a pattern that is wider than was meant.
MOST_FILES = 10_000
_SHOWN = 5
# By the file's ending: its format.
_ENDINGS = {
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".json": "json",
    ".csv": ",",
    ".tsv": "\t",
    ".tab": "\t",
    ".psv": "|",
    ".parquet": "parquet",
}
_PACKED_ENDINGS = (".gz", ".bz2", ".xz")


@dataclass(frozen=True)
class DataFile:
    """A file of rows.

    path: where its content is.
    shown: its name in messages.
    named: the path or address whose ending says the format, if that is not `path`.
    known: the digest of its content, for a downloaded file; its folder is the store's.
    """

    path: Path
    shown: str
    named: str = ""
    known: str = ""

    @property
    def ending(self) -> str:
        """The format that its ending stands for, or nothing."""
        return ending_of(PurePosixPath(self.named) if self.named else self.path)

    def digest(self, memo: DigestMemo | None) -> str:
        """The digest of its content; memo: None to read it in any case."""
        if self.known and memo is not None:
            return self.known
        return file_digest(self.path, memo)


@dataclass(frozen=True)
class FileSet:
    """Files that are read as one.

    shown: the path, pattern or address in messages.
    files: the files, in the order in which they are read. None where their names are not known yet.
    awaits: the addresses that have to be downloaded before the files can be read.
    """

    shown: str
    files: tuple[DataFile, ...]
    awaits: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether it is known what its content is, be it here or not."""
        return bool(self.files)

    @property
    def ending(self) -> str:
        """The format that the endings stand for, or nothing; all have the same."""
        return self.files[0].ending if self.files else ""

    def digest(self, memo: DigestMemo | None) -> str:
        """The digest of the content, and empty where that is not known; memo: see DataFile."""
        values = [file.digest(memo) for file in self.files]
        if len(values) > 1:
            return digest("files", canonical_json(values))
        return values[0] if values else ""

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """The same problems, each in its own file instead of in all of them."""
        return [self._in_its_file(problem) for problem in problems]

    def _in_its_file(self, problem: Problem) -> Problem:
        if problem.file == self.shown and len(self.files) > 1:
            for file in self.files:
                if problem.where.startswith(start := place_in(file, "")):
                    return replace(problem, file=file.shown, where=problem.where[len(start) :])
        return problem


def place_in(file: DataFile, where: str) -> str:
    """A place in one of several files."""
    return f"{file.shown}: {where}"


def set_of(path: Path, shown: str) -> FileSet:
    """One file."""
    return FileSet(shown, (DataFile(path, shown),))


def ending_of(path: Path | PurePosixPath) -> str:
    """The format that a file's ending stands for, or nothing.

    No other part of its path matters to its rows.
    """
    name = path.name.lower()
    for packed in _PACKED_ENDINGS:
        name = name.removesuffix(packed)
    return _ENDINGS.get(Path(name).suffix, "")


def local_files(path: Path, shown: str) -> FileSet:
    """The files of a path that may be a pattern. A path that matches nothing stands for itself."""
    if not is_pattern(str(path)) or os.path.lexists(path):
        return set_of(path, shown)
    found = list(_matches(path))
    if not found:
        return set_of(path, shown)
    return FileSet(shown, tuple(DataFile(file, readable_path(file)) for file in found))


def readable_path(path: Path) -> str:
    """A path as messages show it: from here where it is below; bytes beyond UTF-8 are escaped."""
    here = Path.cwd()
    whole = os.path.normpath(path)
    name = os.path.relpath(whole, here) if Path(whole).is_relative_to(here) else whole
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def pattern_fault(path: Path, shown: str) -> tuple[str, str] | None:
    """What is wrong with a path that may be a pattern, and what to do; None if it has files."""
    files = local_files(path, shown).files
    if len(files) > MOST_FILES:
        what = f"'{shown}' matches {len(files):,} files, and at most {MOST_FILES:,} are read"
        return what, "Narrow the pattern"
    if len(files) > 1 or files[0].path != path:
        faults = [fault for file in files if (fault := _kind_fault(file.path, file.shown))]
        return next(iter(faults), None) or _mixed(files)
    if os.path.lexists(path) or not is_pattern(str(path)):
        return None
    return f"no file matches {shown}", _nearest(path)


def mixed_fault(files: Sequence[DataFile]) -> tuple[str, str] | None:
    """What is wrong with files whose endings say different formats; None if they are alike."""
    return _mixed(files)


def _matches(path: Path) -> Iterator[Path]:
    """The files that match, in the order of their paths, each once; nothing hidden."""
    pattern = _literal_beginning(path)
    found = {Path(name) for name in glob.iglob(pattern, recursive=True)}
    files = sorted((file for file in found if file.is_file()), key=lambda file: file.parts)
    # Folders that are linked in circles would give a file many names.
    seen = set[tuple[str, str]]()
    for file in files:
        if (real := (os.path.realpath(file.parent), file.name)) not in seen:
            seen.add(real)
            yield file


def _literal_beginning(path: Path) -> str:
    """The pattern, with the folders of its beginning that exist taken as they are."""
    known = Path(path.anchor)
    parts = list(path.parts[1:] if path.anchor else path.parts)
    while len(parts) > 1 and os.path.isdir(known / parts[0]):
        known /= parts.pop(0)
    return os.path.join(glob.escape(str(known)), *map(for_glob, parts))


def _kind_fault(path: Path, shown: str) -> tuple[str, str] | None:
    try:
        fault = fault_of_kind(path.stat().st_mode)
    except OSError as error:
        return f"{shown} cannot be read: {why_of(error)}", remedy_of(error, "Check the path")
    return fault and (f"{shown} {fault[0]}", fault[1])


def _mixed(files: Sequence[DataFile]) -> tuple[str, str] | None:
    first = files[0]
    other = next((file for file in files if file.ending != first.ending), None)
    if other is None:
        return None
    what = f"matches files of different formats: {first.shown} and {other.shown}"
    return what, "Narrow the pattern, so that all have the same ending"


def _nearest(path: Path) -> str:
    """What there is where a pattern looks for files."""
    folder = path.parent
    while is_pattern(folder.name) and not folder.is_dir():
        folder = folder.parent
    if not folder.is_dir():
        return f"There is no folder {readable_path(folder)}; paths are relative to the recipe"
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name + ("/" if entry.is_dir() else "")
            for entry in entries
            if not entry.name.startswith(".")
        )
    if not names:
        return f"The folder {readable_path(folder)} is empty"
    if hint := close_match(path.name, names):
        return hint
    return f"In {readable_path(folder)} there is: {name_list(names, _SHOWN)}"
