"""What a recipe names by address, and which of it has to be downloaded before a graph can be run.

Knows nothing of the network. Invariant: nothing is downloaded for steps that are stored. A recipe
without addresses takes no time here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from respsel.graph.ledger import Ledger
from respsel.graph.step import Graph
from respsel.store.store import Store
from respsel.workspace.data_places import data_places
from respsel.workspace.loaded_recipe import LoadedRecipe

if TYPE_CHECKING:
    from respsel.remote.fetching import FetchEvents, Wanted


def wanted_by(loaded: LoadedRecipe) -> list[Wanted]:
    """The addresses that a recipe names."""
    places = [place for place in data_places(loaded.recipe) if place.is_remote]
    if not places:
        return []
    # Late, here and below: a recipe without addresses loads nothing for them.
    from respsel.remote.fetching import Wanted

    wanted = []
    for place in places:
        here = loaded.at(*place.where).problem("")
        wanted.append(Wanted(place.path, place.digest, here.file, here.where, place.written))
    return wanted


def downloaded_for(loaded: LoadedRecipe, store: Store) -> tuple[str, ...]:
    """The digests of the data behind a recipe's addresses, as far as they are known."""
    wanted = wanted_by(loaded)
    if not wanted:
        return ()
    from respsel.remote.fetching import known_files

    found = (file for want in wanted for file in known_files(store, want.address, want.digest))
    return tuple(sorted({file.digest for file in found}))


class Downloads:
    """The addresses of one recipe."""

    def __init__(self, store: Store, loaded: LoadedRecipe, offline: bool) -> None:
        """offline: download nothing."""
        self._store = store
        self._loaded = loaded
        self._offline = offline
        self._wanted = wanted_by(loaded)

    def refuse(self, graph: Graph) -> None:
        """Raise what a run of the graph would, as far as no network is needed to say it."""
        if missing := self._missing(graph):
            self._refuse(missing)

    def bring(self, graph: Graph, events: FetchEvents) -> bool:
        """Download what steps need that are not stored; return whether there was any."""
        if not self._wanted:
            return False
        missing = self._missing(graph)
        self._bring(missing, events)
        return bool(missing)

    def bring_all(self, events: FetchEvents) -> Sequence[str]:
        """Download all that is not there; return it as messages show it."""
        from respsel.remote.fetching import are_here, known_files

        missing = [
            want
            for want in self._wanted
            if not are_here(self._store, known_files(self._store, want.address, want.digest))
        ]
        self._bring(missing, events)
        return list(dict.fromkeys(self._loaded.show(want.address) for want in missing))

    @property
    def _command(self) -> str:
        return f"respsel fetch {self._loaded.typed}"

    def _refuse(self, missing: Sequence[Wanted]) -> None:
        """Raise what can be said of missing data without a network."""
        from respsel.remote.fetching import is_offline, refuse_offline, refuse_unpinned

        refuse_unpinned(missing, self._command)
        if self._offline or is_offline():
            refuse_offline(missing, self._command)

    def _bring(self, missing: Sequence[Wanted], events: FetchEvents) -> None:
        from respsel.remote.fetching import fetch, is_offline, note_wanted

        if self._offline or is_offline():
            self._refuse(missing)
        fetch(self._store, missing, self._loaded.workspace.most_download_bytes, events)
        note_wanted(self._store, self._wanted, self._loaded.recipe_place)

    def _missing(self, graph: Graph) -> list[Wanted]:
        """What steps need that are not stored."""
        if not any(step.awaits.addresses for step in graph.steps.values()):
            return []
        ledger = Ledger(graph, self._store)
        left = [step for step in graph.steps.values() if not ledger.recall(step)]
        needed = {address for step in left for address in step.awaits.addresses}
        return [want for want in self._wanted if want.address in needed]
