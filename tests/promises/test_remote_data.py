"""Promise: data by address is what the recipe says or an error, a run that has it opens no network,
and no secret of an address or a login is kept or shown.
"""

from __future__ import annotations

import shlex
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import respsel
from respsel.cli import app
from respsel.errors import InputError, RespselError
from respsel.store.downloads import Downloaded, needed_downloads, note_named, save_download
from respsel.store.gc import clean
from respsel.store.notes import RecipePlace
from respsel.store.store import Store
from respsel.store.usage import measure, verify
from respsel.workspace.loading import load_recipe
from tests.conftest import Bench, jsonl, needs, rows
from tests.remote_servers import COMMIT, Answer, FakeHub, digest_of, serving

BODY = jsonl(rows(12)).encode()
DIGEST = f"sha256:{digest_of(BODY)}"
CANARY = "hf_CanaryCanaryCanary7f3a"


def at(bench: Bench, path: str, digest: str | None = None) -> None:
    line = f'path = "{path}"' + (f'\ndigest = "{digest}"' if digest else "")
    bench.edit('path = "sums.jsonl"', line)


def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise AssertionError("a network was opened")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@needs("huggingface_hub")
def test_a_cached_run_opens_no_network(
    bench: Bench, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for the web nor for the hub, nor where the downloads were deleted since."""
    held = {f"data/{name}.jsonl": BODY for name in ("gpt-sums",)}
    answers = {
        f"/{name}.jsonl": jsonl([{"id": f"e{i}", "response": f"{i}"} for i in range(12)]).encode()
        for name in ("made-sums",)
    }
    with (
        serving(FakeHub(files=held)) as hub,
        serving(lambda _, path, __: Answer(answers[path]), trusted) as web,
    ):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        at(bench, f"hf://datasets/maker/sums@{COMMIT}/data/gpt-*.jsonl")
        made = digest_of(answers["/made-sums.jsonl"])
        bench.edit(
            "[own_outputs]",
            '[[strategies]]\nname = "made"\nfrom = "file"\n'
            f'path = "{web.url}/made-{{dataset}}.jsonl"\n'
            f'digest = {{ sums = "{made}" }}\n\n[own_outputs]',
        )
        with respsel.open_study(bench.recipe) as study:
            first = study.run()
    without_network(monkeypatch)
    for path in [None, *(bench.folder / "cache/downloads").iterdir()]:
        if path is not None:
            path.unlink()
        with respsel.open_study(bench.recipe) as study:
            again = study.run()
            assert (again.steps_run, again.verdicts) == (0, first.verdicts)
            assert study.plan().downloads == ()
            assert study.report().is_file()


def test_content_of_another_digest_is_not_used(bench: Bench, trusted: Path) -> None:
    """Nothing of it stays, no step is made of it, and what is stored of before still counts."""
    with serving(lambda *_: Answer(BODY.replace(b"plus", b"minus")), trusted) as server:
        at(bench, f"{server.url}/sums.jsonl", DIGEST)
        with respsel.open_study(bench.recipe) as study:
            with pytest.raises(InputError, match="has another digest"):
                study.run()
            assert study.plan().count("cached") == 0
    assert list((bench.folder / "cache/downloads").iterdir()) == []
    stored = [path.read_bytes() for path in (bench.folder / "cache").rglob("*") if path.is_file()]
    assert not any(b"minus" in body for body in stored)
    assert not (bench.folder / "runs").exists()


def test_a_download_that_changed_in_the_store_is_not_used(bench: Bench, trusted: Path) -> None:
    """It is found by its digest: made again by a run, and moved away by verify."""
    with serving(lambda *_: Answer(BODY), trusted) as server:
        at(bench, f"{server.url}/sums.jsonl", DIGEST)
        with respsel.open_study(bench.recipe) as study:
            study.fetch()
        (path,) = (bench.folder / "cache/downloads").iterdir()
        path.write_bytes(BODY.replace(b"plus", b"minus"))
        with respsel.open_study(bench.recipe) as study:
            assert study.plan().downloads == (f"{server.url}/sums.jsonl",)
            assert study.fetch() == [f"{server.url}/sums.jsonl"]
        assert path.read_bytes() == BODY
        path.write_bytes(b"other")
    with Store(bench.folder / "cache") as store:
        _, problems = verify(store)
        assert [problem.what for problem in problems] == [
            "is damaged: its content has another digest"
        ]
        assert not path.exists()
        assert verify(store)[1] == []


def test_gc_keeps_a_download_while_a_recipe_names_it(bench: Bench, trusted: Path) -> None:
    """Also if the recipe was never run; when no recipe does any more, gc frees it."""
    bench.write("b.toml", bench.recipe.read_text())
    with serving(lambda *_: Answer(BODY), trusted) as server:
        at(bench, f"{server.url}/sums.jsonl", DIGEST)
        with respsel.open_study(bench.recipe) as study:
            study.fetch()
    with respsel.open_study(bench.folder / "b.toml") as study:
        study.run()
    (path,) = (bench.folder / "cache/downloads").iterdir()
    with Store(bench.folder / "cache") as store:
        used = {usage.kind: usage for usage in measure(store)}["downloads"]
        assert (used.records, used.size_bytes) == (1, len(BODY))
        clean(store, bench.folder, True, lambda _: None)
        assert path.exists()
        bench.edit("/sums.jsonl", "/other.jsonl")
        clean(store, bench.folder, True, lambda _: None)
        assert not path.exists()


def test_gc_keeps_the_downloads_of_a_run_that_options_changed(bench: Bench, trusted: Path) -> None:
    """An address that only an option names is in no text; the run's note keeps what is behind it.
    It goes with the variant.
    """
    with serving(lambda *_: Answer(BODY), trusted) as server:
        changed = (
            *("--set", f"datasets.sums.path={server.url}/sums.jsonl"),
            *("--set", f"datasets.sums.digest={DIGEST}"),
        )
        done = CliRunner().invoke(app, ["run", str(bench.recipe), *changed])
        assert done.exit_code == 0, done.output
    with respsel.open_study(bench.recipe) as study:
        study.run()
    (path,) = (bench.folder / "cache/downloads").iterdir()
    with Store(bench.folder / "cache") as store:
        clean(store, bench.folder, True, lambda _: None)
        assert path.exists()
        clean(store, bench.folder, True, lambda _: None, variants=True)
        assert not path.exists()


def test_the_command_that_an_error_names_downloads_what_is_missing(
    bench: Bench, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for data that only an option names."""
    with serving(lambda *_: Answer(BODY), trusted) as server:
        path = f"datasets.sums.path={server.url}/sums.jsonl"
        digest = f"datasets.sums.digest={DIGEST}"
        monkeypatch.setenv("RESPSEL_OFFLINE", "1")
        plan = ["plan", str(bench.recipe), "--set", path, "--set", digest]
        refused = CliRunner().invoke(app, plan)
        assert refused.exit_code == 3
        monkeypatch.delenv("RESPSEL_OFFLINE")
        command = refused.output.strip().partition("network: respsel ")[2].removesuffix(".")
        done = CliRunner().invoke(app, shlex.split(command))
        assert f"In the store now: {server.url}/sums.jsonl\n" in done.output
    assert CliRunner().invoke(app, plan).exit_code == 0


@pytest.mark.parametrize(
    "written", [r'"https://127.0.0.1/sum\u0073"', '"""https://127.0.0.1/\\\n  sums"""']
)
def test_gc_finds_an_address_however_toml_writes_it(tmp_path: Path, written: str) -> None:
    """With an escape, or with a line that goes on."""
    address = "https://127.0.0.1/sums"
    (tmp_path / "a.toml").write_text(f"path = {written}\n")
    with Store(tmp_path / "cache") as store:
        save_download(store, address, [Downloaded("/sums", DIGEST[7:])])
        note_named(store, address, address, RecipePlace("a.toml"))
        assert needed_downloads(store, tmp_path) == {DIGEST[7:]}
        (tmp_path / "a.toml").write_text('path = "https://127.0.0.1/other"\n')
        assert needed_downloads(store, tmp_path) == set()


@pytest.mark.parametrize(
    "address",
    [
        f"https://me:{CANARY}@127.0.0.1:9/sums.jsonl",
        f"https://{CANARY}@127.0.0.1:9/sums.jsonl",
        f"https://127.0.0.1:9/sums.jsonl?token={CANARY}",
        f"https://127.0.0.1:9/sums.jsonl?download=1&X-Amz-Signature={CANARY}",
        f"https://127.0.0.1:9/sums.jsonl?sv=2024&sig={CANARY}",
        f"https://127.0.0.1:9/{CANARY}/sums.jsonl",
        f"https://127.0.0.1:9/sums.jsonl#{CANARY}",
        f"hf://datasets/me:{CANARY}@hub/sums@{COMMIT}/sums.jsonl",
        f"hf://datasets/me/sums@{CANARY}/sums.jsonl",
        f"http://me:{CANARY}@127.0.0.1:9/sums.jsonl",
        f"s3://me:{CANARY}@bucket/sums.jsonl",
        f"s3://bucket/sums.jsonl?secret={CANARY}",
    ],
)
@pytest.mark.parametrize("command", ["validate", "fetch"])
def test_a_secret_in_an_address_is_neither_kept_nor_shown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, address: str, command: str
) -> None:
    """It is an error before anything is opened or written, and the error does not repeat it."""
    without_network(monkeypatch)
    at(bench, address, DIGEST)
    done = CliRunner().invoke(app, [command, str(bench.recipe)])
    assert done.exit_code == 2
    assert "dataset 'sums', path" in done.output
    assert "Canary" not in done.output
    others = [path for path in bench.folder.rglob("*") if path.is_file() and path != bench.recipe]
    assert not any(b"Canary" in path.read_bytes() for path in others)


@needs("huggingface_hub")
def test_a_login_is_in_no_file_and_no_message(
    bench: Bench, trusted: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The hub gets the token of `hf auth login` or HF_TOKEN; nobody else does."""
    fake = FakeHub(files={"sums.jsonl": BODY})
    with serving(fake) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", CANARY)
        at(bench, f"hf://datasets/maker/sums@{COMMIT}/sums.jsonl")
        with respsel.open_study(bench.recipe) as study:
            study.fetch()
        assert any(headers["Authorization"] == f"Bearer {CANARY}" for headers in server.headers)
        fake.refusal = Answer(f"no {CANARY}".encode(), 403, {"X-Error-Message": CANARY})
        bench.edit("/sums.jsonl", "/more.jsonl")
        with respsel.open_study(bench.recipe) as study, pytest.raises(RespselError) as caught:
            study.fetch()
    assert "Canary" not in str(caught.value)
    assert "Canary" not in "".join(capfd.readouterr())
    assert load_recipe(bench.recipe).recipe.datasets[0].digest is None
    for path in (path for path in bench.folder.rglob("*") if path.is_file()):
        assert b"Canary" not in path.read_bytes(), path
