"""The files behind a recipe's paths and addresses, as steps read them.

Knows nothing of steps, and opens no network. Invariant: what is not here is said, and never taken
for empty.
"""

from __future__ import annotations

from respsel.data.file_sets import DataFile, FileSet
from respsel.graph.context import GraphContext
from respsel.graph.step import Awaited
from respsel.workspace.data_places import DataPlace


def files_of(of: GraphContext, place: DataPlace) -> FileSet:
    """The files behind a path or address of the recipe."""
    if not place.is_remote:
        return of.loaded.local_files(place.path)
    # Late: a recipe without addresses loads nothing for them.
    from respsel.remote.fetching import are_here, known_files
    from respsel.store.downloads import place_of

    shown = of.loaded.show(place.path)
    if of.store is None:
        return FileSet(shown, (), (place.path,))
    known = known_files(of.store, place.path, place.digest)
    awaits = () if are_here(of.store, known) else (place.path,)
    # Those of a pattern are of one repository, at one commit.
    repo = shown[: shown.find("/", shown.find("@") + 1) + 1]
    files = [
        DataFile(
            path=place_of(of.store.folder, file.digest),
            shown=shown if len(known) == 1 else f"{repo}{file.name}",
            named=file.name,
            known=file.digest,
        )
        for file in known
    ]
    return FileSet(shown, tuple(files), awaits)


def awaited_for(*sets: FileSet) -> Awaited:
    """What has to be downloaded before some files can be read."""
    addresses = tuple(dict.fromkeys(address for files in sets for address in files.awaits))
    return Awaited(addresses, all(files.is_known for files in sets))
