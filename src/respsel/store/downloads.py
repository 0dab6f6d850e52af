"""Downloaded data in the store: files named by the digest of their content, and what is where.

Knows nothing of how data is downloaded. Invariants: a file here was whole when it got its name, and
what is behind an address is noted after its files are here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respsel.errors import Problem
from respsel.hashing import digest, file_digest
from respsel.store.folder import DOWNLOADS, QUARANTINE, listed, make_own
from respsel.store.notes import RecipePlace, place_json
from respsel.store.notes import place_of as recipe_of

if TYPE_CHECKING:
    from respsel.store.store import Store

_NAME = re.compile(r"[0-9a-f]{64}")
KIND = "download"


@dataclass(frozen=True)
class Downloaded:
    """A file behind an address.

    name: its path there, whose ending says the format.
    digest: the digest of its content, and its name in the store.
    """

    name: str
    digest: str


def load_download(store: Store, address: str) -> Sequence[Downloaded]:
    """The files behind an address, as they were downloaded; none if they were not."""
    note = store.load_json(_key(address))
    return [] if note is None else [Downloaded(**file) for file in note["files"]]


def save_download(store: Store, address: str, files: Sequence[Downloaded]) -> None:
    """Note what is behind an address, after its files are in the store."""
    named = (store.load_json(_key(address)) or {}).get("named", [])
    note = {"files": [asdict(file) for file in files], "named": named}
    store.save_json(_key(address), note)


def note_named(store: Store, address: str, written: str, place: RecipePlace) -> None:
    """Note that a recipe names an address, so that gc keeps what is behind it.

    written: the address as the recipe's text has it.
    """
    note = store.load_json(_key(address))
    entry = {"written": written, **place_json(place)}
    if note is not None and not store.read_only and entry not in note["named"]:
        store.save_json(_key(address), {**note, "named": [*note["named"], entry]})


def needed_downloads(store: Store, root: Path) -> set[str]:
    """The names of the files that the text of a recipe names.

    What a run was given by options is no text: see LatestRun. root: the folder of the workspace
    that asks.
    """
    needed = set[str]()
    for key, _ in store.keys(KIND):
        note = store.load_json(key)
        if note is not None and any(_is_named(entry, store, root) for entry in note["named"]):
            needed |= {file["digest"] for file in note["files"]}
    return needed


def _is_named(entry: Mapping[str, Any], store: Store, root: Path) -> bool:
    """Whether a recipe's file still has an address, or takes over what may have it."""
    path, _ = recipe_of(entry).find(store.folder, root)
    try:
        text = path.read_text("utf-8-sig", "replace")
    except OSError:
        return False
    return "extends" in text or entry["written"] in text or entry["written"] in _texts_of(text)


def _texts_of(toml: str) -> Set[str]:
    """All texts of a TOML file, which may be written with escapes; none if it is not TOML."""
    import tomli

    try:
        left: list[Any] = [tomli.loads(toml)]
    except (tomli.TOMLDecodeError, RecursionError):
        return frozenset()
    found = set[str]()
    while left:
        match left.pop():
            case dict() as table:
                left += [*table, *table.values()]
            case list() as items:
                left += items
            case str() as text:
                found.add(text)
    return found


def place_of(folder: Path, value: str) -> Path:
    """Where the content with a digest is, in the store with this folder; be it there or not."""
    return folder / DOWNLOADS / value


def holds_content(store: Store, value: str) -> bool:
    """Whether the content with a digest is there, whole."""
    path = place_of(store.folder, value)
    try:
        return (
            not path.parent.is_symlink()
            and not path.is_symlink()
            and path.is_file()
            and file_digest(path, store) == value
        )
    except OSError:
        return False


def own_folder(folder: Path) -> Path:
    """The folder of downloaded data, made if it is not there. Raises StoreError for a link."""
    own = folder / DOWNLOADS
    make_own(own)
    return own


def is_downloaded(name: str) -> bool:
    """Whether a file's name is that of downloaded data."""
    return _NAME.fullmatch(name) is not None


def verify_downloads(store: Store) -> Iterator[Problem | None]:
    """Read each downloaded file, and yield what is wrong with it.

    What is damaged moves to quarantine, unless the store is read-only.
    """
    for path in sorted(listed(store.folder / DOWNLOADS)):
        if not is_downloaded(path.name):
            continue
        try:
            is_whole = path.is_file() and file_digest(path, None) == path.name
        except OSError:
            is_whole = False
        if is_whole:
            yield None
            continue
        remedy = "It stays, since the store is read-only"
        if not store.read_only:
            move_away(store.folder, path)
            remedy = "It was moved to quarantine, and is downloaded again when it is needed"
        yield Problem(str(path), "", "is damaged: its content has another digest", remedy)


def move_away(folder: Path, path: Path) -> None:
    """Move a damaged file to quarantine."""
    quarantine = folder / QUARANTINE
    make_own(quarantine)
    path.replace(quarantine / f"{DOWNLOADS}-{path.name}")


def _key(address: str) -> str:
    return f"{KIND}/{digest('address', address)}"
