"""Data by address: downloaded once, checked, found again offline, or told what is wrong."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

import respsel
from respsel.errors import InputError, PreflightError, RespselError, RunError
from respsel.remote.addresses import AddressFault, parse, shown
from respsel.store.downloads import place_of
from respsel.study import Silent
from tests.conftest import Bench, jsonl, needs, rows
from tests.remote_servers import COMMIT, Answer, FakeHub, Server, digest_of, missing, serving

BODY = jsonl(rows(12)).encode()
GATED = Answer(status=403, headers={"X-Error-Code": "GatedRepo"})
DIGEST = f"sha256:{digest_of(BODY)}"


class Told(Silent):
    """Notes what is downloaded."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.last: tuple[int, int | None] = (0, None)

    def downloading(self, what: str, done: int, total: int | None) -> None:
        if not done:
            self.names.append(what)
        self.last = (done, total)


def at(bench: Bench, path: str, digest: str | None = None) -> None:
    """Have the dataset be at an address."""
    line = f'path = "{path}"' + (f'\ndigest = "{digest}"' if digest else "")
    bench.edit('path = "sums.jsonl"', line)


def fetch(bench: Bench, **how: Any) -> list[str]:
    with respsel.open_study(bench.recipe, **how) as study:
        return list(study.fetch())


def refusal(bench: Bench, kind: type[RespselError], **how: Any) -> str:
    """The only problem of a fetch, and that it is an error of this kind."""
    with pytest.raises(RespselError) as caught:
        fetch(bench, **how)
    assert type(caught.value) is kind
    (problem,) = caught.value.problems
    assert problem.file == str(bench.recipe)
    assert re.fullmatch(r"line \d+, dataset 'sums', path", problem.where)
    assert "canary" not in str(problem)
    left = list((bench.folder / "cache/downloads").glob(".*"))
    assert left == []
    return f"{problem.what}. {problem.remedy}"


def test_a_file_of_the_web_is_downloaded_once(bench: Bench, trusted: Path) -> None:
    """A run downloads what it needs, says so, and from then on opens no network."""
    told = Told()
    with serving(lambda *_: Answer(BODY), trusted) as server:
        at(bench, f"{server.url}/sums.jsonl", DIGEST)
        with respsel.open_study(bench.recipe) as study:
            assert study.plan().downloads == (f"{server.url}/sums.jsonl",)
            assert "Would download" in study.plan().summary
            assert server.asked == []
            first = study.run(told)
        assert told.names == [f"{server.url}/sums.jsonl"]
        assert told.last == (len(BODY), len(BODY))
        assert server.asked == ["GET /sums.jsonl"]
        with respsel.open_study(bench.recipe, offline=True) as study:
            again = study.run()
        assert (again.steps_run, again.verdicts) == (0, first.verdicts)
        assert server.asked == ["GET /sums.jsonl"]
    assert place_of(bench.folder / "cache", digest_of(BODY)).read_bytes() == BODY


def test_the_same_content_from_a_file_makes_nothing_again(bench: Bench, trusted: Path) -> None:
    """Keys have the content and not where it is from."""
    with respsel.open_study(bench.recipe) as study:
        study.run()
    with serving(lambda *_: Answer(BODY), trusted) as server:
        at(bench, f"{server.url}/v1/other.jsonl", DIGEST)
        # The digest says what is there, and all of it is stored: nothing is downloaded at all.
        with respsel.open_study(bench.recipe) as study:
            assert study.run().steps_run == 0
        assert server.asked == []


def test_without_a_digest_the_error_has_it(bench: Bench, trusted: Path) -> None:
    """What is there is kept, so that the next command downloads nothing."""
    with serving(lambda *_: Answer(BODY), trusted) as server:
        at(bench, f"{server.url}/sums.jsonl")
        with respsel.open_study(bench.recipe) as study, pytest.raises(InputError) as caught:
            study.plan()
        assert "respsel fetch" in str(caught.value)
        assert server.asked == []
        said = refusal(bench, InputError)
        assert f'Add the digest of what is there now: digest = "{DIGEST}"' in said
        bench.edit('sums.jsonl"\ninput', f'sums.jsonl"\ndigest = "{DIGEST}"\ninput')
        assert fetch(bench) == []
        assert server.asked == ["GET /sums.jsonl"]


@pytest.mark.parametrize(
    ("answer", "kind", "what"),
    [
        (Answer(status=404), InputError, "is not there (HTTP 404)"),
        (Answer(status=401), InputError, "may not be read without a login (HTTP 401)"),
        (Answer(b"secret-canary", status=500), RunError, "the server answers HTTP 500"),
        (Answer(b"other"), InputError, "has another digest than the recipe says"),
        (
            Answer(status=302, headers={"Location": "http://127.0.0.1:9/?token=canary"}),
            InputError,
            "leads to a place that is not encrypted",
        ),
        (Answer(BODY, headers={"Content-Length": "99999999999"}), InputError, "has 93.1 GiB"),
        (Answer(BODY, cut=7), RunError, "the connection ended too early"),
    ],
)
def test_what_the_web_refuses_is_told(
    bench: Bench, trusted: Path, answer: Answer, kind: type[RespselError], what: str
) -> None:
    """Each fault has its place, words and remedy, repeats nothing of the server, leaves no part."""
    with serving(lambda *_: answer, trusted) as server:
        at(bench, f"{server.url}/sums.jsonl", DIGEST)
        assert what in refusal(bench, kind)
        tries = 4 if kind is RunError else 1
        assert len(server.asked) == tries
    assert list((bench.folder / "cache" / "downloads").iterdir()) == []


def test_what_broke_goes_on_from_there(bench: Bench, trusted: Path) -> None:
    """The rest is asked for only if the server says that the content is the same."""

    def answer(_method: str, _path: str, headers: Any) -> Answer:
        if headers["Range"] is None:
            return Answer(BODY, headers={"ETag": '"v1"'}, cut=100)
        assert (headers["Range"], headers["If-Range"]) == ("bytes=100-", '"v1"')
        part = {"Content-Range": f"bytes 100-{len(BODY) - 1}/{len(BODY)}"}
        return Answer(BODY[100:], 206, part)

    with serving(answer, trusted) as server:
        at(bench, f"{server.url}/sums.jsonl", DIGEST)
        assert fetch(bench) == [f"{server.url}/sums.jsonl"]
        assert len(server.asked) == 2


def test_a_redirect_by_https_is_followed(bench: Bench, trusted: Path) -> None:
    """Servers hand files out from other places."""
    there = Answer(status=302, headers={"Location": "/real?X-Amz-Signature=canary"})
    answer = lambda _, path, __: there if path == "/sums.jsonl" else Answer(BODY)
    with serving(answer, trusted) as server:
        at(bench, f"{server.url}/sums.jsonl", DIGEST)
        assert fetch(bench) == [f"{server.url}/sums.jsonl"]


def test_no_network_and_no_trust_are_told(
    bench: Bench, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is not there, and one that nobody vouches for."""
    with serving(lambda *_: Answer(BODY), trusted) as server:
        at(bench, f"{server.url}/sums.jsonl", DIGEST)
        monkeypatch.delenv("SSL_CERT_FILE")
        assert "nobody vouches for the server's certificate" in refusal(bench, RunError)
    assert "connection refused" in refusal(bench, RunError).lower()


def test_size_and_disk_are_bounded(
    bench: Bench, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is larger than respsel.toml allows, and than the disk, is given up."""
    with serving(lambda *_: Answer(BODY, headers={"Content-Length": ""}), trusted) as server:
        at(bench, f"{server.url}/sums.jsonl", DIGEST)
        bench.write("respsel.toml", "largest_download_gib = 1e-7\n")
        assert "largest_download_gib" in refusal(bench, InputError)
    (bench.folder / "respsel.toml").unlink()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with serving(lambda *_: Answer(BODY), trusted) as server:
        bench.recipe.write_text(bench.recipe.read_text().replace("127.0.0.1", "127.0.0.1", 1))
        text = bench.recipe.read_text()
        start = text.index("https://")
        bench.recipe.write_text(text[:start] + server.url + text[text.index("/sums.jsonl") :])
        assert "the disk has no space for it" in refusal(bench, RunError)


@pytest.mark.parametrize("how", ["argument", "RESPSEL_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_refuses_with_the_command_to_run(
    bench: Bench, trusted: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What is not in the store is an error that says what to run where there is a network."""
    with serving(lambda *_: Answer(BODY), trusted) as server:
        at(bench, f"{server.url}/sums.jsonl", DIGEST)
        if how != "argument":
            monkeypatch.setenv(how, "1")
        said = refusal(bench, PreflightError, offline=how == "argument")
        assert "is not in the store, and downloads are switched off" in said
        assert f"respsel fetch {bench.recipe}" in said
        with respsel.open_study(bench.recipe, offline=True) as study:
            for command in (study.plan, study.run):
                with pytest.raises(PreflightError):
                    command()
        assert server.asked == []


def test_how_addresses_are_written() -> None:
    """A scheme's case says nothing. What lacks a revision is told what looks it up."""
    assert parse("HTTPS://example.org/a.csv") == parse("https://example.org/a.csv")
    assert parse("HF://datasets/a/b@main/c.csv") == parse("hf://datasets/a/b@main/c.csv")
    assert "tok" not in shown("HF://datasets/me:tok@hub/a@main/c.csv")
    with pytest.raises(AddressFault) as caught:
        parse("hf://datasets/a/b/c.csv")
    assert (
        "hf://datasets/a/b@COMMIT/c.csv. With @main in its place, `respsel" in caught.value.remedy
    )


@needs("huggingface_hub")
class TestHub:
    """The hub, through huggingface_hub."""

    @pytest.fixture
    def hub(self, monkeypatch: pytest.MonkeyPatch, trusted: Path) -> Any:
        fake = FakeHub(files={"data/sums.jsonl": BODY, "README.md": b"# Sums"})
        with serving(fake) as server:
            monkeypatch.setenv("HF_ENDPOINT", server.url)
            yield fake, server

    def address(self, path: str, revision: str = COMMIT) -> str:
        return f"hf://datasets/maker/sums@{revision}/{path}"

    def test_a_file_at_a_commit_is_downloaded_once(
        self, bench: Bench, hub: tuple[FakeHub, Server]
    ) -> None:
        """The second run, and one without a network, find it in the store."""
        _, server = hub
        at(bench, self.address("data/sums.jsonl"))
        told = Told()
        with respsel.open_study(bench.recipe) as study:
            assert study.plan().count("waits") == len(study.plan().steps)
            study.run(told)
        asked = list(server.asked)
        assert told.names == ["hf://datasets/maker/sums/data/sums.jsonl"]
        assert told.last[0] == len(BODY)
        with respsel.open_study(bench.recipe, offline=True) as study:
            assert study.run().steps_run == 0
            assert study.plan().downloads == ()
        assert server.asked == asked

    def test_shards_are_read_as_one(self, bench: Bench, hub: tuple[FakeHub, Server]) -> None:
        """A pattern takes the shards in order, each with its own name in errors."""
        fake, _ = hub
        lines = BODY.splitlines(keepends=True)
        fake.files |= {f"data/train-{i}.jsonl": b"".join(lines[i::2]) for i in range(2)}
        at(bench, self.address("data/train-*.jsonl"))
        fetch(bench)
        with respsel.open_study(bench.recipe, offline=True) as study:
            planned = {step.name: step for step in study.plan().steps}
        assert planned["examples:sums"].rows == 6
        fake.files["data/train-9.jsonl"] = lines[0]
        bench.edit("data/train-*", "**/train-*")
        fetch(bench)
        with respsel.open_study(bench.recipe) as study, pytest.raises(InputError) as caught:
            study.plan()
        (problem, *_) = caught.value.problems
        assert problem.file == f"hf://datasets/maker/sums@{COMMIT}/data/train-9.jsonl"

    def test_shards_that_came_are_not_brought_again(
        self, bench: Bench, hub: tuple[FakeHub, Server]
    ) -> None:
        """Of large files the hub says the digest, so what broke off goes on with the rest."""
        fake, server = hub
        fake.files |= {f"data/train-{i}.jsonl": b"%d" % i for i in range(2)}
        fake.large = {"data/train-0.jsonl"}
        at(bench, self.address("data/train-*.jsonl"))
        listed = fake.__call__

        def broken(method: str, path: str, headers: Any) -> Answer:
            return Answer(status=404) if "train-1" in path else listed(method, path, headers)

        server.answer = broken
        refusal(bench, InputError)
        server.answer = fake
        server.asked.clear()
        fetch(bench)
        assert not any("train-0" in line for line in server.asked)

    @pytest.mark.parametrize(
        ("path", "revision", "what"),
        [
            ("data/sums.jsonl", "main", f"now: hf://datasets/maker/sums@{COMMIT}/data/sums.jsonl"),
            ("data/none.jsonl", COMMIT, "has no file data/none.jsonl at that revision"),
            ("data/sums.jsonl", "f" * 40, f"has no revision '{'f' * 40}'"),
            ("data/summs*.jsonl", COMMIT, "Did you mean 'data/sums.jsonl'?"),
            ("data/*.jsonl", "f" * 40, f"has no revision '{'f' * 40}'"),
        ],
    )
    def test_what_the_hub_has_not_is_told(
        self, bench: Bench, hub: tuple[FakeHub, Server], path: str, revision: str, what: str
    ) -> None:
        """A branch is answered with the commit that it is at; other faults with what is near."""
        at(bench, self.address(path, revision))
        assert what in refusal(bench, InputError)

    @pytest.mark.parametrize(
        ("answer", "kind", "what"),
        [
            (missing("RepoNotFound"), InputError, "the hub has no dataset maker/sums"),
            (Answer(status=401), InputError, "hf auth login"),
            (
                Answer(status=403, headers={"X-Error-Code": "GatedRepo"}),
                InputError,
                "Ask for access",
            ),
            (Answer(status=503, headers={"Retry-After": "0"}), RunError, "HTTP 503"),
        ],
    )
    def test_what_the_hub_refuses_is_told(
        self,
        bench: Bench,
        hub: tuple[FakeHub, Server],
        answer: Answer,
        kind: type[RespselError],
        what: str,
    ) -> None:
        """Nothing of what the hub or its package says is repeated."""
        hub[0].refusal = answer
        at(bench, self.address("data/sums.jsonl"))
        assert what in refusal(bench, kind)

    @pytest.mark.parametrize(
        ("path", "revision"),
        [("data/sums.jsonl", COMMIT), ("data/*.jsonl", COMMIT), ("data/sums.jsonl", "main")],
    )
    def test_an_unreachable_hub_is_told(
        self,
        bench: Bench,
        trusted: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        path: str,
        revision: str,
    ) -> None:
        """Without a network the remedy is about the network, at once and in our own words."""
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setattr(time, "sleep", pytest.fail)
        at(bench, self.address(path, revision))
        assert "the hub does not answer" in refusal(bench, RunError)
        assert caplog.text == ""

    def test_without_the_package_the_extra_is_named(
        self, bench: Bench, trusted: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """huggingface_hub is asked for only where something is downloaded from the hub."""
        import sys

        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        at(bench, self.address("data/sums.jsonl"))
        assert "pip install 'respsel[hub]'" in refusal(bench, PreflightError)
