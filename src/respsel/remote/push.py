"""A training set to a dataset repository of the Hugging Face hub, in one commit.

Knows nothing of recipes: it is given files. Invariants: nothing is sent before `upload` is called.
Only the files that were listed are sent. A repository is made private unless the user says public,
and one that exists is never made public.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respsel.errors import InputError, PreflightError, Problem, RespselError, RunError
from respsel.remote.addresses import PART_OF_NAME, holds_secret
from respsel.remote.faults import size_text
from respsel.remote.fetching import is_offline

_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_LOGIN = "Run: hf auth login, with a token that may write"
# Files that are looked through for secrets: what a person wrote, and copied to the set.
_WRITTEN = (".toml", ".md", ".yaml", ".json")
_MOST_LOOKED_AT = 1 << 24


@dataclass(frozen=True)
class PushedFile:
    """A file to send.

    path: where it is here.
    name: its path in the repository.
    """

    path: Path
    name: str

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Push:
    """What would be sent, and where.

    repo: owner and name of the repository.
    url: its page.
    files: the files.
    exists: whether the repository is there already.
    private: whether it is, or will be, private.
    branch: the branch, if not the main one.
    message: the commit's message.
    replaced: which files of the repository would be replaced.
    head: the commit that the push follows; empty where that is not known.
    """

    repo: str
    url: str
    files: tuple[PushedFile, ...]
    exists: bool
    private: bool
    branch: str
    message: str
    replaced: tuple[str, ...]
    head: str

    @property
    def lines(self) -> list[str]:
        """What would be sent, and where, for people."""
        state = "exists" if self.exists else "is made"
        who = "only who has access sees it" if self.private else "EVERYBODY CAN SEE IT"
        visibility = "private" if self.private else "public"
        width = max(len(file.name) for file in self.files)
        branch = f", branch {self.branch}" if self.branch else ""
        lines = [f"To {self.url} ({visibility}: {who}; the repository {state}){branch}"]
        lines += [f"  {file.name.ljust(width)}  {size_text(file.size)}" for file in self.files]
        if self.replaced:
            lines.append(f"It replaces there: {', '.join(self.replaced)}")
        return lines


def open_api() -> Any:
    """The hub's client. Raises PreflightError without the package or without a network."""
    if is_offline():
        what = "nothing can be sent while RESPSEL_OFFLINE or HF_HUB_OFFLINE is set"
        raise PreflightError(Problem("", "", what, "Unset it where there is a network"))
    try:
        import huggingface_hub
    except ImportError:
        what = "sending to the hub needs huggingface_hub, which is not installed"
        raise PreflightError(Problem("", "", what, "Run: pip install 'respsel[hub]'")) from None
    endpoint = (os.environ.get("HF_ENDPOINT") or "").rstrip("/") or None
    return huggingface_hub.HfApi(endpoint=endpoint, library_name="respsel")


def prepare(
    api: Any,
    repo: str,
    files: Sequence[PushedFile],
    private: bool | None,
    branch: str,
    message: str,
) -> Push:
    """Look at what is there, and say what would be sent. Raises RespselError; sends nothing.

    private: whether the repository is private; None: it is if it has to be made, and one that is
        there must be private.
    """
    _check_words(repo, branch)
    for file in files:
        _refuse_secret(file)
    with _in_words(repo):
        owner = str(api.whoami()["name"])
        full = repo if "/" in repo else f"{owner}/{repo}"
        info = _find(api, full, None)
        at_branch = _find(api, full, branch) if info is not None and branch else info
    names = {entry.rfilename for entry in (at_branch.siblings or ())} if at_branch else set()
    is_private = _visibility(full, info, private)
    return Push(
        repo=full,
        url=f"{str(api.endpoint).rstrip('/')}/datasets/{full}",
        files=tuple(files),
        exists=info is not None,
        private=is_private,
        branch=branch,
        message=message,
        replaced=tuple(file.name for file in files if file.name in names),
        head=str(at_branch.sha or "") if at_branch else "",
    )


def upload(api: Any, push: Push) -> str:
    """Send the files in one commit; return the commit. Raises RespselError."""
    from huggingface_hub import CommitOperationAdd

    with _in_words(push.repo):
        if not push.exists:
            # Another process may have made it meanwhile, so it is looked at again below.
            api.create_repo(push.repo, repo_type="dataset", private=push.private, exist_ok=True)
        # Hazard: what was private when the user agreed may have become public.
        if push.private and not _find(api, push.repo, None).private:
            raise _is_public(push.repo)
        if push.branch:
            api.create_branch(push.repo, branch=push.branch, repo_type="dataset", exist_ok=True)
        made = api.create_commit(
            push.repo,
            [CommitOperationAdd(file.name, str(file.path)) for file in push.files],
            commit_message=push.message,
            repo_type="dataset",
            revision=push.branch or None,
            parent_commit=push.head or None,
        )
    return str(made.oid)


def _check_words(repo: str, branch: str) -> None:
    parts = repo.split("/")
    if len(parts) > 2 or not all(PART_OF_NAME.fullmatch(part) for part in parts):
        what = f"'{repo}' is no name of a repository"
        raise InputError(Problem("", "REPO", what, "Write OWNER/NAME: letters, digits, . _ -"))
    if branch and (not _BRANCH.fullmatch(branch) or ".." in branch):
        raise InputError(Problem("", "--branch", f"'{branch}' is no branch", "Name it otherwise"))


def _refuse_secret(file: PushedFile) -> None:
    """Raise InputError for a file that a person wrote and that holds what looks like a token."""
    if file.path.suffix not in _WRITTEN or file.size > _MOST_LOOKED_AT:
        return
    if holds_secret(file.path.read_text("utf-8", "replace")):
        what = "holds what looks like a token, and would be sent"
        remedy = "Take it out of the recipe or the card, revoke it, and export again"
        raise InputError(Problem(str(file.path), "", what, remedy))


def _find(api: Any, repo: str, branch: str | None) -> Any:
    """What the hub says of a repository or of its branch; None if it is not there."""
    from huggingface_hub import errors

    try:
        return api.dataset_info(repo, revision=branch, timeout=30)
    except errors.GatedRepoError:
        raise
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        return None


def _visibility(repo: str, info: Any, private: bool | None) -> bool:
    """Whether the repository is or will be private. Raises InputError where it is otherwise."""
    if info is None:
        return private is not False
    if not info.private and private is not False:
        raise _is_public(repo)
    if info.private and private is False:
        what = f"{repo} exists and is private"
        raise InputError(Problem("", "--public", what, "Make it public on its page, or leave it"))
    return bool(info.private)


def _is_public(repo: str) -> InputError:
    what = f"{repo} exists and is public"
    remedy = "Say --public if everybody may see the set, or name another repository"
    return InputError(Problem("", "REPO", what, remedy))


@contextmanager
def _in_words(repo: str) -> Iterator[None]:
    """Raise a RespselError for what huggingface_hub raises, without its words."""
    from huggingface_hub import errors

    try:
        yield
    except RespselError:
        raise
    except errors.LocalTokenNotFoundError:
        what = "nobody is logged in to the hub"
        raise PreflightError(Problem("", "", what, _LOGIN)) from None
    except errors.HFValidationError:
        what = f"'{repo}' is no name of a repository"
        raise InputError(Problem("", "REPO", what, "Write OWNER/NAME")) from None
    except errors.HfHubHTTPError as error:
        raise _refused(repo, getattr(error.response, "status_code", 0)) from None
    except ValueError:
        # The package has the hub check the head of the card, and says so by this error.
        what = "the hub does not take the YAML at the top of the card"
        raise InputError(Problem("README.md", "", what, "Fix it there, then push again")) from None
    except OSError as error:
        what = f"the hub cannot be reached: {type(error).__name__}"
        raise RunError(Problem("", "", what, "Check the network, then push again")) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "hf_xet"):
            raise
        what = "the hub cannot be reached"
        raise RunError(Problem("", "", what, "Check the network, then push again")) from None


def _refused(repo: str, status: int) -> RespselError:
    if status == 401:
        what = "the hub does not know the login"
        return PreflightError(Problem("", "", what, _LOGIN))
    if status == 403:
        what = f"this login may not write to {repo}"
        remedy = "Name a repository of your own, or use a token that may write"
        return PreflightError(Problem("", "REPO", what, remedy))
    if status in (409, 412):
        what = f"{repo} was changed meanwhile"
        return RunError(Problem("", "REPO", what, "Look at it, then push again"))
    what = f"the hub answers HTTP {status}, and nothing was published"
    return RunError(Problem("", "REPO", what, "Wait a while, then push again"))
