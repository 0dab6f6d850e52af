"""What a recipe names by address, brought into the store once, and found there from then on.

Knows nothing of recipes and steps: it is given addresses. Invariants: content gets its name in the
store only when it is whole and has the digest that was asked for. What is in the store opens no
network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from respsel.errors import InputError, PreflightError, Problem, RespselError
from respsel.hashing import file_digest
from respsel.remote.addresses import Address, HubAddress, WebAddress, parse, read_digest, shown
from respsel.remote.faults import DownloadFault, refuse_full, too_large, unreachable, unwritable
from respsel.store.downloads import (
    Downloaded,
    holds_content,
    load_download,
    note_named,
    own_folder,
    place_of,
    save_download,
)
from respsel.store.locks import Holder
from respsel.store.notes import RecipePlace
from respsel.store.store import Store
from respsel.system.parts import part_for

if TYPE_CHECKING:
    from respsel.remote.hub import Hub, HubFile

_TRUE = ("1", "on", "yes", "true")
# Each of them switches downloads off.
OFFLINE = ("RESPSEL_OFFLINE", "HF_HUB_OFFLINE")


@dataclass(frozen=True)
class Wanted:
    """An address that a recipe names.

    address: the address, with a dataset's name in place of {dataset}.
    digest: the digest that its content must have, as the recipe gives it.
    file: the recipe, for messages.
    where: the place in it, for messages.
    written: the address as the recipe's text has it.
    """

    address: str
    digest: str | None
    file: str
    where: str
    written: str

    def problem(self, what: str, remedy: str) -> Problem:
        """A problem of it."""
        return Problem(self.file, self.where, f"'{shown(self.address)}' {what}", remedy)


class FetchEvents(Protocol):
    """Gets how a download goes."""

    def downloading(self, what: str, done: int, total: int | None) -> None: ...

    def waits_for_download(self, holder: Holder) -> None: ...


def is_offline() -> bool:
    """Whether the environment forbids downloads."""
    return any(os.environ.get(name, "").strip().lower() in _TRUE for name in OFFLINE)


def known_files(store: Store, address: str, digest: str | None) -> Sequence[Downloaded]:
    """The files behind an address, as far as that is known; they need not be here."""
    parsed = parse(address)
    if digest is not None:
        return [Downloaded(parsed.path, read_digest(digest))]
    if isinstance(parsed, HubAddress) and parsed.is_fixed:
        return load_download(store, address)
    return []


def are_here(store: Store, files: Sequence[Downloaded]) -> bool:
    """Whether the store has the content of all these files; False where there are none."""
    return bool(files) and all(holds_content(store, file.digest) for file in files)


def refuse_unpinned(wanted: Iterable[Wanted], command: str) -> None:
    """Raise InputError for addresses whose content is not said by commit or digest.

    command: what looks up the commit or digest.
    """
    problems = []
    for want in wanted:
        parsed = parse(want.address)
        if isinstance(parsed, HubAddress) and not parsed.is_fixed:
            what = f"names '{parsed.revision}', which moves"
            remedy = f"Name a commit of 40 digits. This looks it up: {command}"
            problems.append(want.problem(what, remedy))
        elif isinstance(parsed, WebAddress) and want.digest is None:
            what = "has no digest, so nothing says if its content changes"
            problems.append(want.problem(what, f"Add 'digest'. This looks it up: {command}"))
    if problems:
        raise InputError(problems)


def refuse_offline(wanted: Iterable[Wanted], command: str) -> None:
    """Raise PreflightError for what is not here; command: what downloads it."""
    problems = [
        want.problem(
            "is not in the store, and downloads are switched off",
            f"Run this where there is a network: {command}",
        )
        for want in wanted
    ]
    if problems:
        raise PreflightError(problems)


def note_wanted(store: Store, wanted: Iterable[Wanted], place: RecipePlace) -> None:
    """Note which addresses a recipe names, so that gc keeps what is behind them."""
    for want in wanted:
        files = known_files(store, want.address, want.digest)
        if store.read_only or not are_here(store, files):
            continue
        if list(load_download(store, want.address)) != list(files):
            save_download(store, want.address, files)
        note_named(store, want.address, want.written, place)


def fetch(store: Store, wanted: Iterable[Wanted], most_bytes: int, events: FetchEvents) -> None:
    """Download what is not in the store yet.

    Raises InputError, PreflightError or RunError for the first that cannot be had, and for what
    says neither commit nor digest. What came before it is kept.
    """
    unpinned: list[Problem] = []
    for want in wanted:
        if are_here(store, known_files(store, want.address, want.digest)):
            continue
        with store.lock(f"download/{want.address}", events.waits_for_download):
            # Another process may have brought it meanwhile.
            if not are_here(store, known_files(store, want.address, want.digest)):
                try:
                    _Download(store, want, most_bytes, events).fetch()
                except _Unpinned as found:
                    unpinned.append(found.problem)
    if unpinned:
        raise InputError(unpinned)


class _Unpinned(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Download:
    """Brings what is behind one address."""

    def __init__(self, store: Store, want: Wanted, most_bytes: int, events: FetchEvents) -> None:
        self._store = store
        self._want = want
        self._most = most_bytes
        self._events = events
        self._address: Address = parse(want.address)

    def fetch(self) -> None:
        """Raises RespselError, and _Unpinned with what to write into the recipe."""
        try:
            if isinstance(self._address, HubAddress):
                files = self._from_hub(self._address)
            else:
                files = [self._from_web(self._address)]
        except DownloadFault as fault:
            raise _error(fault, self._want) from fault
        except OSError as error:
            raise _error(unwritable(error), self._want) from error
        save_download(self._store, self._want.address, files)

    def _from_web(self, address: WebAddress) -> Downloaded:
        from respsel.remote.web import download

        folder = own_folder(self._store.folder)
        with part_for(folder / "web") as part:
            self._say(shown(self._want.address))(0, None)
            download(address.url, part, self._most, self._say(shown(self._want.address)))
            value = self._keep(part)
        if self._want.digest is None:
            what = "has no digest, so nothing says if its content changes"
            remedy = f'Add the digest of what is there now: digest = "sha256:{value}"'
            raise _Unpinned(self._want.problem(what, remedy))
        return Downloaded(address.path, value)

    def _from_hub(self, address: HubAddress) -> list[Downloaded]:
        from respsel.remote.hub import Hub

        hub = Hub()
        if not address.is_fixed:
            now = address.at(hub.commit_of(address))
            what = f"names '{address.revision}', which moves"
            raise _Unpinned(self._want.problem(what, f"Name the commit that it is at now: {now}"))
        files = hub.files_of(address)
        if (size := sum(file.size or 0 for file in files)) > self._most:
            raise too_large(size, self._most)
        missing = [file for file in files if not self._has(file.digest)]
        refuse_full(sum(file.size or 0 for file in missing), self._store.folder)
        kept = []
        for number, file in enumerate(files, 1):
            of = f" ({number} of {len(files)})" if len(files) > 1 else ""
            name = f"hf://datasets/{address.repo}/{file.path}{of}"
            # What an earlier attempt brought whole is not brought again.
            kept.append(
                Downloaded(file.path, file.digest)
                if self._has(file.digest)
                else self._one_of_hub(hub, address, file, name)
            )
        return kept

    def _one_of_hub(self, hub: Hub, address: HubAddress, file: HubFile, name: str) -> Downloaded:
        folder = own_folder(self._store.folder)
        with part_for(folder / "hub", folder=True) as part:
            self._say(name)(0, None)
            found = hub.download(address, file.path, part, self._say(name))
            if found.stat().st_size > self._most:
                raise too_large(found.stat().st_size, self._most)
            value = self._keep(found)
        if file.digest and file.digest != value:
            raise unreachable("it came out damaged")
        return Downloaded(file.path, value)

    def _has(self, digest: str) -> bool:
        """Whether content is in the store that the recipe's digest allows."""
        wanted = self._want.digest
        allowed = wanted is None or read_digest(wanted) == digest
        return bool(digest) and allowed and holds_content(self._store, digest)

    def _say(self, name: str) -> Callable[[int, int | None], None]:
        return lambda done, total: self._events.downloading(name, done, total)

    def _keep(self, part: Path) -> str:
        """Give a whole file its name. Raises DownloadFault if it has another digest."""
        value = file_digest(part, None)
        digest = self._want.digest
        if digest is not None and read_digest(digest) != value:
            what = f"has another digest than the recipe says: sha256:{value}"
            remedy = "Nothing of it was used. If that content is right, name its digest"
            raise DownloadFault(what, remedy)
        if not holds_content(self._store, value):
            os.replace(part, place_of(self._store.folder, value))
        return value


def _error(fault: DownloadFault, want: Wanted) -> RespselError:
    return fault.kind(want.problem(str(fault), fault.remedy))
