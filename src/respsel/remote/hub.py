"""Files of dataset repositories on the Hugging Face hub, through huggingface_hub.

The package is loaded only here, and only when something is downloaded or uploaded. It finds the
login by itself (`hf auth login`, HF_TOKEN), and respsel never sees it. Invariant: no message
repeats what the package says, since that may hold addresses with signatures.
"""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respsel.errors import PreflightError
from respsel.remote.addresses import HubAddress
from respsel.remote.faults import DownloadFault, refused, unreachable, unwritable
from respsel.remote.web import Moved
from respsel.system.patterns import matcher

LOGIN = (
    "Ask for access on its page, then run: hf auth login. Or check its spelling: the hub says the "
    "same of what is private and of what is not there"
)


_NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "hf_xet")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    path: its path there.
    size: its size in bytes, or None where the hub does not say.
    digest: the digest of its content, or empty where the hub does not say.
    """

    path: str
    size: int | None
    digest: str = ""


class Hub:
    """The hub that HF_ENDPOINT names, else huggingface.co. Raises DownloadFault."""

    def __init__(self) -> None:
        try:
            import huggingface_hub
        except ImportError:
            what = "is on the hub, and huggingface_hub is not installed"
            remedy = "Run: pip install 'respsel[hub]'"
            raise DownloadFault(what, remedy, PreflightError) from None
        self._library: Any = huggingface_hub
        # The package reads the variable when it is imported, which may be long ago.
        self._endpoint = (os.environ.get("HF_ENDPOINT") or "").rstrip("/") or None
        self._api: Any = huggingface_hub.HfApi(endpoint=self._endpoint, library_name="respsel")

    def commit_of(self, address: HubAddress) -> str:
        """The commit that a branch or tag is at now."""
        with self._in_words(address):
            info = self._api.dataset_info(address.repo, revision=address.revision, timeout=30)
            return str(info.sha)

    def files_of(self, address: HubAddress) -> Sequence[HubFile]:
        """The files of an address, in the order of their paths; none if nothing matches."""
        if not address.is_pattern:
            return [self._file(address, address.path)]
        # Hazard: the listing tries for half a minute where there is no network. This does not.
        self.commit_of(address)
        with self._in_words(address):
            entries = self._api.list_repo_tree(
                address.repo, recursive=True, revision=address.revision, repo_type="dataset"
            )
            files = {entry.path: _listed(entry) for entry in entries if hasattr(entry, "size")}
        if address.path in files:
            return [files[address.path]]
        fits = matcher(address.path).fullmatch
        names = sorted((name for name in files if fits(name)), key=lambda name: name.split("/"))
        if not names:
            raise _no_match(address, list(files))
        return [files[name] for name in names]

    def download(self, address: HubAddress, path: str, folder: Path, moved: Moved) -> Path:
        """Download a file below a folder; return where it is."""
        with self._in_words(address):
            return Path(
                self._api.hf_hub_download(
                    address.repo,
                    path,
                    repo_type="dataset",
                    revision=address.revision,
                    local_dir=folder,
                    tqdm_class=_bar_for(self._library, moved),
                )
            )

    def _file(self, address: HubAddress, path: str) -> HubFile:
        with self._in_words(address):
            url = self._library.hf_hub_url(
                address.repo,
                path,
                repo_type="dataset",
                revision=address.revision,
                endpoint=self._endpoint,
            )
            found = self._api.get_hf_file_metadata(url=url, timeout=30)
            return HubFile(path, found.size, _digest_in(found.etag))

    @contextmanager
    def _in_words(self, address: HubAddress) -> Iterator[None]:
        """Raise a DownloadFault for what the package raises inside, and keep its log silent."""
        log = logging.getLogger("huggingface_hub")
        level = log.level
        log.setLevel(logging.CRITICAL)
        try:
            yield
        except DownloadFault:
            raise
        except Exception as error:
            fault = _fault_of(self._library.errors, error, address)
            if fault is None:
                raise
            raise fault from None
        finally:
            log.setLevel(level)


def _listed(entry: Any) -> HubFile:
    return HubFile(entry.path, entry.size, _digest_in(entry.lfs.sha256 if entry.lfs else ""))


def _digest_in(tag: object) -> str:
    """The SHA-256 that the hub tells of large files; of small ones it tells git's digest."""
    text = str(tag or "")
    return text if re.fullmatch("[0-9a-f]{64}", text) else ""


def _fault_of(errors: Any, error: Exception, address: HubAddress) -> DownloadFault | None:
    """The fault of what the package raised; None for what is no answer of the hub or the disk."""
    if isinstance(error, errors.GatedRepoError):
        return refused(403, LOGIN)
    if isinstance(error, errors.RepositoryNotFoundError):
        return _no_repository(address, error)
    if isinstance(error, errors.RevisionNotFoundError):
        what = f"is not there: {address.repo} has no revision '{address.revision}'"
        return DownloadFault(what, "Take a commit from 'History' on its page")
    # The package says so where it got no file, and looked in its own cache.
    if isinstance(error, errors.LocalEntryNotFoundError):
        status = _status(error.__cause__)
        return refused(status, LOGIN) if status else unreachable("the hub does not answer")
    if isinstance(error, errors.EntryNotFoundError):
        what = f"is not there: {address.repo} has no file {address.path} at that revision"
        return DownloadFault(what, "Look at 'Files' on its page")
    if isinstance(error, errors.HfHubHTTPError):
        return refused(_status(error), LOGIN)
    if isinstance(error, errors.HFValidationError):
        what = f"is not there: '{address.repo}' is no name of a repository"
        return DownloadFault(what, "Check its spelling")
    return _fault_on_the_way(error)


def _fault_on_the_way(error: Exception) -> DownloadFault | None:
    # The errors of the network are of a library that the package may change.
    of_network = type(error).__module__.partition(".")[0] in _NETWORK
    # hf_xet, which downloads large files, raises plain ones.
    if of_network or isinstance(error, ConnectionError) or type(error) is RuntimeError:
        return unreachable("the hub does not answer")
    if isinstance(error, OSError):
        return unwritable(error) if error.errno else unreachable("the hub does not answer")
    return None


def _status(error: Any) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def _no_repository(address: HubAddress, error: Any) -> DownloadFault:
    if _status(error) == 401:
        return refused(401, LOGIN)
    what = f"is not there: the hub has no dataset {address.repo}, or not for this login"
    return DownloadFault(what, "Check its spelling. If it is private, run: hf auth login")


def _no_match(address: HubAddress, names: Sequence[str]) -> DownloadFault:
    from respsel.errors import close_match, name_list

    what = f"matches no file of {address.repo}"
    hint = close_match(address.path, names) or f"It has: {name_list(sorted(names), 5)}"
    return DownloadFault(what, hint if names else "The repository has no files")


def _bar_for(library: Any, moved: Moved) -> type:
    """A progress bar that draws nothing, and says how far it is."""

    class Bar(library.utils.tqdm):  # type: ignore[misc]
        """What the package takes for a progress bar."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "file": io.StringIO(), "disable": True})
            self._bytes = int(options.get("initial") or 0)
            self._all = options.get("total")

        def update(self, n: float | None = 1) -> None:
            """Note that some more bytes are there."""
            self._bytes += int(n or 0)
            moved(self._bytes, self._all)

    return Bar
