"""The data that a recipe names: each path or address, for each dataset that it is for.

Knows nothing of what is behind them. Invariant: what a recipe reads as data is listed here, and
nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from respsel.errors import Problem, suggest
from respsel.recipe.key_paths import KeyPath
from respsel.recipe.schema import DatasetEntry, Digest, FileStrategy, Recipe
from respsel.remote.kinds import is_address
from respsel.workspace.loaded_recipe import LoadedRecipe


@dataclass(frozen=True)
class DataPlace:
    """Where some data is.

    where: the path of the key in the recipe.
    path: the path or address, with the dataset's name in place of {dataset}.
    digest: the digest that its content must have, as the recipe gives it.
    dataset: the dataset that it is for.
    written: the path or address as the recipe has it.
    """

    where: KeyPath
    path: str
    digest: str | None
    dataset: str
    written: str

    @property
    def is_remote(self) -> bool:
        """Whether it is an address."""
        return is_address(self.path)


def place_for(
    path: str, digest: str | Mapping[str, str] | None, dataset: str, where: KeyPath = ()
) -> DataPlace:
    """The place of a path for one dataset."""
    own = digest.get(dataset) if isinstance(digest, Mapping) else digest
    return DataPlace(where, path.replace("{dataset}", dataset), own, dataset, path)


def own_place(dataset: DatasetEntry, where: KeyPath = ()) -> DataPlace:
    """The place of a dataset. Nothing stands for its name in its own path."""
    return DataPlace(where, dataset.path, dataset.digest, dataset.name, dataset.path)


def data_places(recipe: Recipe) -> Iterator[DataPlace]:
    """All places of data in a recipe, those of datasets first."""
    datasets = [entry.name for entry in recipe.datasets]
    for i, entry in enumerate(recipe.datasets):
        yield own_place(entry, ("datasets", i, "path"))
    for i, strategy in enumerate(recipe.strategies):
        if isinstance(strategy, FileStrategy):
            for name in strategy.datasets or datasets:
                yield place_for(strategy.path, strategy.digest, name, ("strategies", i, "path"))
    own = recipe.own_outputs
    if own.path is not None:
        for name in datasets:
            yield place_for(own.path, own.digest, name, ("own_outputs", "path"))
    held_out = recipe.validation
    if held_out is not None:
        for name in datasets:
            yield place_for(held_out.path, held_out.digest, name, ("validation", "path"))


def check_addresses(loaded: LoadedRecipe) -> list[Problem]:
    """What is wrong with addresses and digests, each named once; nothing is opened for it."""
    recipe = loaded.recipe
    problems: dict[Problem, None] = {}
    for place in data_places(recipe):
        if (problem := _fault(place, loaded)) is not None:
            problems[problem] = None
    for where, digests in _by_dataset(recipe):
        known = [entry.name for entry in recipe.datasets]
        for name in digests:
            if name not in known:
                what = f"'{name}' is not a dataset of this recipe"
                problems[loaded.at(*where, name).problem(what, suggest(name, known))] = None
    return list(problems)


def _fault(place: DataPlace, loaded: LoadedRecipe) -> Problem | None:
    path = loaded.at(*place.where)
    digest = loaded.at(*place.where[:-1], "digest")
    if not place.is_remote:
        if place.digest is None:
            return None
        what = f"'{place.path}' is a local file, whose content is read each time"
        return digest.problem(what, "Take the digest out: it is for addresses")
    # Late: a recipe without addresses loads nothing for them.
    from respsel.remote.addresses import (
        AddressFault,
        HubAddress,
        WebAddress,
        parse,
        read_digest,
        shown,
    )

    try:
        address = parse(place.path)
    except AddressFault as fault:
        return path.problem(str(fault), fault.remedy)
    try:
        if place.digest is not None:
            read_digest(place.digest)
    except AddressFault as fault:
        return digest.problem(f"'{place.digest}' {fault}", fault.remedy)
    if place.digest is not None and isinstance(address, HubAddress) and address.is_pattern:
        what = f"'{shown(place.path)}' is a pattern, and a digest is of one file"
        return digest.problem(what, "Take it out: the commit says what the files hold")
    if isinstance(address, WebAddress) and "*" in place.path:
        what = f"'{shown(place.path)}' is a pattern, and a server lists no files"
        return path.problem(what, "Name one file")
    return None


def _by_dataset(recipe: Recipe) -> Iterator[tuple[KeyPath, Mapping[str, str]]]:
    entries: list[tuple[KeyPath, Digest | None]] = [
        (("strategies", i, "digest"), entry.digest)
        for i, entry in enumerate(recipe.strategies)
        if isinstance(entry, FileStrategy)
    ]
    entries.append((("own_outputs", "digest"), recipe.own_outputs.digest))
    if recipe.validation is not None:
        entries.append((("validation", "digest"), recipe.validation.digest))
    for where, digest in entries:
        if isinstance(digest, Mapping):
            yield where, digest
