"""Sending a training set to the hub: what is sent, who sees it, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import respsel
from respsel.cli import app
from respsel.errors import InputError, PreflightError, RespselError, RunError
from respsel.remote import push as pushing
from respsel.remote.push import Push, PushedFile, open_api, prepare, upload
from tests.conftest import Bench, needs
from tests.remote_servers import Answer, FakeHub, as_json, serving

pytestmark = needs("huggingface_hub")
COMMIT = "c" * 40
TOKEN = "hf_canaryCanaryCanary1234"


@dataclass
class FakeApi:
    """The hub's client, with repositories of its own.

    repos: by name, whether it is private, and its files.
    fails: by method, the status that it fails with.
    """

    repos: dict[str, tuple[bool, list[str]]] = field(default_factory=dict)
    fails: dict[str, int] = field(default_factory=dict)
    commits: list[dict[str, Any]] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    endpoint: str = "https://hub.test"

    def _maybe_fail(self, method: str) -> None:
        self.did.append(method)
        if status := self.fails.get(method):
            raise failure(status)

    def whoami(self) -> dict[str, str]:
        self._maybe_fail("whoami")
        return {"name": "me"}

    def dataset_info(self, repo: str, revision: str | None = None, timeout: float = 0) -> Any:
        self._maybe_fail("dataset_info")
        if repo not in self.repos or revision == "new":
            raise failure(404)
        private, names = self.repos[repo]
        siblings = [SimpleNamespace(rfilename=name) for name in names]
        return SimpleNamespace(private=private, siblings=siblings, sha="h" * 40)

    def create_repo(self, repo: str, repo_type: str, private: bool, exist_ok: bool) -> None:
        self._maybe_fail("create_repo")
        assert (repo_type, exist_ok) == ("dataset", True)
        self.repos.setdefault(repo, (private, []))

    def create_branch(self, repo: str, branch: str, repo_type: str, exist_ok: bool) -> None:
        self._maybe_fail("create_branch")

    def create_commit(self, repo: str, operations: Any, **how: Any) -> Any:
        self._maybe_fail("create_commit")
        names = [operation.path_in_repo for operation in operations]
        self.commits.append({"repo": repo, "names": names, **how})
        return SimpleNamespace(oid=COMMIT)


def failure(status: int) -> Exception:
    """An error of huggingface_hub whose words hold a secret."""
    import httpx2
    from huggingface_hub import errors

    kind = {404: errors.RepositoryNotFoundError}.get(status, errors.HfHubHTTPError)
    request = httpx2.Request("GET", f"https://hub.test/?token={TOKEN}")
    return kind(f"failed with {TOKEN}", response=httpx2.Response(status, request=request))


@pytest.fixture
def files(tmp_path: Path) -> list[PushedFile]:
    for name in ("README.md", "train.jsonl"):
        (tmp_path / name).write_text("some text\n")
    return [PushedFile(tmp_path / name, name) for name in ("README.md", "train.jsonl")]


def planned(api: FakeApi, files: list[PushedFile], private: bool | None = None, **how: str) -> Push:
    more = {"repo": "me/set", "branch": "", "message": "Add it", **how}
    return prepare(api, more["repo"], files, private, more["branch"], more["message"])


def test_a_new_repository_is_private_and_gets_one_commit(files: list[PushedFile]) -> None:
    """Preparing sends nothing. The owner is who is logged in, if the name has none."""
    api = FakeApi()
    push = planned(api, files, repo="set")
    assert api.did == ["whoami", "dataset_info"]
    assert (push.repo, push.url) == ("me/set", "https://hub.test/datasets/me/set")
    assert push.lines == [
        "To https://hub.test/datasets/me/set (private: only who has access sees it; the "
        "repository is made)",
        "  README.md    10 bytes",
        "  train.jsonl  10 bytes",
    ]
    assert upload(api, push) == COMMIT
    assert api.repos == {"me/set": (True, [])}
    (commit,) = api.commits
    assert commit["names"] == ["README.md", "train.jsonl"]
    assert (commit["commit_message"], commit["repo_type"]) == ("Add it", "dataset")
    assert (commit["revision"], commit["parent_commit"]) == (None, None)


def test_public_is_said_by_name(files: list[PushedFile]) -> None:
    """A repository becomes public only by --public, and one that is there only stays so."""
    api = FakeApi()
    push = planned(api, files, private=False)
    assert "EVERYBODY CAN SEE IT" in push.lines[0]
    upload(api, push)
    assert api.repos["me/set"][0] is False
    for private in (None, True):
        with pytest.raises(InputError, match="me/set exists and is public"):
            planned(api, files, private=private)
    assert planned(api, files, private=False).private is False
    with pytest.raises(InputError, match="exists and is private"):
        planned(FakeApi({"me/set": (True, [])}), files, private=False)


def test_what_became_public_meanwhile_gets_nothing(files: list[PushedFile]) -> None:
    """The user agreed to a private repository."""
    api = FakeApi({"me/set": (True, [])})
    push = planned(api, files)
    api.repos["me/set"] = (False, [])
    with pytest.raises(InputError, match="is public"):
        upload(api, push)
    assert api.commits == []


def test_what_is_replaced_is_told(files: list[PushedFile]) -> None:
    """And the commit follows what was looked at, or fails."""
    api = FakeApi({"me/set": (True, ["README.md", "other.csv"])})
    push = planned(api, files)
    assert push.lines[-1] == "It replaces there: README.md"
    upload(api, push)
    assert api.commits[0]["parent_commit"] == "h" * 40
    branch = planned(api, files, branch="new")
    assert (branch.replaced, branch.head) == ((), "")
    upload(api, branch)
    assert api.commits[1]["revision"] == "new"
    assert "create_branch" in api.did


@pytest.mark.parametrize(
    ("method", "status", "kind", "what"),
    [
        ("whoami", 401, PreflightError, "hf auth login"),
        ("create_repo", 403, PreflightError, "may not write to me/set"),
        ("create_commit", 412, RunError, "was changed meanwhile"),
        ("create_commit", 500, RunError, "HTTP 500"),
    ],
)
def test_refusals_are_told_without_the_hubs_words(
    files: list[PushedFile], method: str, status: int, kind: type[RespselError], what: str
) -> None:
    """Each says what to do, and no token of an address is repeated."""
    api = FakeApi(fails={method: status})
    with pytest.raises(kind) as caught:
        upload(api, planned(api, files))
    assert what in str(caught.value)
    assert "canary" not in str(caught.value).lower()


@pytest.mark.parametrize("repo", ["a/b/c", "-x", "me/ set", "me/", "datasets/me/set", "../x"])
def test_a_wrong_name_is_told_before_anything_is_asked(files: list[PushedFile], repo: str) -> None:
    """Names are OWNER/NAME."""
    api = FakeApi()
    with pytest.raises(InputError, match="is no name of a repository"):
        planned(api, files, repo=repo)
    assert api.did == []


def test_a_token_in_a_written_file_is_never_sent(files: list[PushedFile]) -> None:
    """The recipe goes along, so it is looked through."""
    files[0].path.write_text(f'prompt = "{TOKEN}"')
    with pytest.raises(InputError, match="holds what looks like a token") as caught:
        planned(FakeApi(), files)
    assert TOKEN not in str(caught.value)


def test_without_a_network_or_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline is offline for sending too."""
    import sys

    monkeypatch.setenv("RESPSEL_OFFLINE", "1")
    with pytest.raises(PreflightError, match="RESPSEL_OFFLINE"):
        open_api()
    monkeypatch.delenv("RESPSEL_OFFLINE")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PreflightError, match=r"pip install 'respsel\[hub\]'"):
        open_api()


def test_the_command_sends_the_export_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs --yes where nobody can be asked; other files in the folder stay here."""
    api = FakeApi()
    monkeypatch.setattr(pushing, "open_api", lambda: api)
    text = bench.recipe.read_text()
    start = text.index('[[metrics]]\nname = "self')
    bench.recipe.write_text(text[:start] + text[text.index("[selection]") :])
    with respsel.open_study(bench.recipe) as study:
        study.apply("human")
    command = ["push", str(bench.recipe), "me/set", "--format", "messages"]
    asked = CliRunner().invoke(app, command)
    assert asked.exit_code == 2
    assert "add --yes" in asked.output
    assert "private: only who has access sees it" in asked.output
    assert "licences of the data and of the models" in asked.output
    assert api.commits == []
    folder = bench.folder / "runs/a/training/messages"
    (folder / "notes.txt").write_text("mine")
    done = CliRunner().invoke(app, [*command, "--yes"])
    assert done.exit_code == 0, done.output
    assert api.commits[0]["names"] == ["README.md", "recipe.toml", "train.jsonl"]
    assert f"In a recipe: hf://datasets/me/set@{COMMIT}/train.jsonl" in done.output
    assert "Sent: https://hub.test/datasets/me/set" in done.output
    quiet = CliRunner().invoke(app, [*command, "--yes", "-q"])
    assert quiet.stdout == f"hf://datasets/me/set@{COMMIT}/train.jsonl\n"
    variant = CliRunner().invoke(app, [*command, "--yes", "--limit", "3"])
    assert variant.exit_code == 1
    assert "respsel apply" in variant.output


def test_the_packages_own_client_is_called_as_it_wants(
    files: list[PushedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """huggingface_hub itself makes the repository and the commit, on a server of ours."""
    for name in ("HF_HUB_OFFLINE", "RESPSEL_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    made: list[str] = []

    def answer(method: str, path: str, headers: Any) -> Answer:
        made.append(f"{method} {path}")
        if path == "/api/whoami-v2":
            return as_json({"name": "me", "type": "user"})
        if path == "/api/validate-yaml":
            return as_json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return as_json({"url": "https://huggingface.co/datasets/me/set", "name": "me/set"})
        if path.startswith("/api/datasets/me/set/preupload/"):
            modes = [{"path": file.name, "uploadMode": "regular"} for file in files]
            return as_json({"files": [{**mode, "shouldIgnore": False} for mode in modes]})
        if path.startswith("/api/datasets/me/set/commit/"):
            url = f"https://huggingface.co/datasets/me/set/commit/{COMMIT}"
            return as_json({"commitUrl": url, "commitOid": COMMIT, "hookOutput": ""})
        if path.startswith("/api/datasets/me/set") and "POST /api/repos/create" in made:
            return as_json({"id": "me/set", "sha": COMMIT, "private": True, "siblings": []})
        return FakeHub()(method, path, headers)

    with serving(answer) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        api = open_api()
        push = prepare(api, "me/set", files, None, "", "Add it")
        assert upload(api, push) == COMMIT
    assert sum("/commit/main" in line for line in made) == 1
