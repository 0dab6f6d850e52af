"""Promise: an API key reaches the endpoint that it is for, and nothing else: no store, report, log,
message or traceback.
"""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest

from respsel.backends.openai.client import EndpointClient, EndpointSettings
from respsel.backends.openai.errors import read_error
from respsel.recipe.places import plain_place
from respsel.store.store import Store
from tests.conftest import Bench, needs
from tests.endpoints import Asked, Endpoint, Reply, chat, error, serving

pytestmark = needs("openai")
CANARY = "sk-canary-7f3a9b1c5d2e"
ENV = {"MY_KEY": CANARY, "OPENAI_LOG": "debug"}


def echoing(asked: Asked) -> Reply:
    """A server that says the key back in every way it can: in errors of several kinds, in a text,
    in headers.
    """
    header = asked.headers["authorization"]
    place = int(str(asked.body["messages"][0]["content"]).split("is ")[1].split(" ")[0])
    replies = [
        error(400, f"bad key {header}"),
        error(500, f"trouble with {header}", x_said=header),
        Reply(f'{{"broken": "{header}'.encode()),
        chat(f"your key is {header}, and the answer is 4"),
        Reply({"choices": [], "said": header}),
        chat("It is 4."),
    ]
    return replies[place % len(replies)]


def use(bench: Bench, endpoint: Endpoint) -> None:
    entry = (
        f'[models.teacher]\nbackend = "openai"\nbase_url = "{endpoint.url}"\nmodel = '
        '"m"\napi_key_env = "MY_KEY"\nretries = 1\n'
    )
    bench.edit('[models.teacher]\nbackend = "fake"\nvariant = "teacher"\n', entry)


def check(folder: Path, *said: str) -> None:
    """The key is in no file and in nothing that was said, whole or without its first letters."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        assert CANARY[3:].encode() not in path.read_bytes(), path
        if path.suffix == ".parquet":
            assert CANARY[3:] not in str(pl.read_parquet(path).to_dicts()), path
    # Tables are compressed, so their bytes do not show what they hold.
    with Store(folder / "cache") as store:
        for key, _ in store.keys("rows"):
            body = store.get(key) or b""
            text = (
                str(pl.read_parquet(BytesIO(body)).to_dicts())
                if body.startswith(b"PAR1")
                else body.decode()
            )
            assert CANARY[3:] not in text, key
    for text in said:
        assert CANARY[3:] not in text


def test_a_server_that_says_the_key_back(bench: Bench) -> None:
    """In errors, broken answers and texts, with the SDK's own log on: after run, apply, export and
    reports nothing holds it.
    """
    said: list[str] = []
    with serving(echoing) as endpoint:
        use(bench, endpoint)
        for command in (
            ["plan", "a.toml"],
            ["run", "a.toml"],
            ["explain", "a.toml"],
            ["report", "a.toml", "--format", "md"],
            ["apply", "a.toml", "--strategy", "teacher"],
            ["export", "a.toml", "--format", "messages"],
            ["doctor", "a.toml"],
        ):
            done = bench.respsel(*command, env=ENV)
            said += [done.out, done.err]
        assert CANARY in str(endpoint.asked[0].headers)
        assert len({str(asked.body["messages"]) for asked in endpoint.asked}) > 6
    texts = pl.read_parquet(bench.folder / "runs/a/responses.parquet")
    assert "It is 4." in texts["text"].to_list()
    assert any("[API key]" in problem for problem in texts["problem"])
    check(bench.folder, *said)


@pytest.mark.parametrize("status", [401, 403, 404, 429])
def test_a_refusal_that_says_the_key_back(bench: Bench, status: int) -> None:
    """What ends the run is told without the key."""
    with serving(lambda asked: error(status, f"no: {asked.headers['authorization']}")) as endpoint:
        use(bench, endpoint)
        done = bench.respsel("run", "a.toml", env={**ENV, "MY_KEY": f"{CANARY} "})
    assert done.code == 1
    assert "[API key]" in done.err
    check(bench.folder, done.out, done.err)


def test_a_traceback_shows_no_key(bench: Bench) -> None:
    """A bug in the middle of a call prints a traceback, and the key is not in it."""
    code = (
        "import sys\nfrom respsel.backends.openai.model import EndpointModel\n"
        "def broken(self, made):\n    raise TypeError('a bug')\n"
        "EndpointModel._generation = broken\n"
        "from respsel.cli import app\nsys.argv = ['respsel', 'run', 'a.toml']\napp()\n"
    )
    with serving(lambda asked: chat("It is 4.")) as endpoint:
        use(bench, endpoint)
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=bench.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, **ENV},
        )
    assert done.returncode == 70
    assert "a bug" in done.stderr
    check(bench.folder, done.stdout, done.stderr)


SAID = b64encode(f"user:{CANARY}".encode()).decode()


@pytest.mark.parametrize(
    "end",
    [
        lambda header: error(401, f"bad key {header}", x_said=header),
        lambda header: error(429, f"slow down, {header}", x_said=header),
        lambda header: Reply(
            {}, 307, {"Location": f"http://127.0.0.1:9/{header.split()[1]}/v1?key={header}"}
        ),
        lambda header: Reply({}, 302, {"Location": f"/v1/{header.split()[1]}"}),
        lambda header: Reply({}, parts=[f'{{"said": "{header}", '.encode(), b" " * (17 << 20)]),
        lambda header: Reply(
            f"<title>{SAID}</title>{header}".encode(), headers={"Content-Encoding": CANARY}
        ),
        lambda header: Reply(f"<html><title>{quote(header)}</title>{SAID}".encode(), 502),
        lambda header: error(400, f"model {SAID} does not exist"),
        lambda header: Reply(
            {"error": {"message": {"deep": [header]}, "code": header, "type": SAID}}, 403
        ),
        lambda header: Reply({}, wait_s=2.5, headers={"X-Said": header}),
    ],
)
def test_however_a_call_ends_no_key_is_kept_or_said(
    bench: Bench, end: Callable[[str], Reply]
) -> None:
    """Refusals, limits, redirects, answers that are too large, too late or packed: the key is in no
    file and no message.
    """
    with serving(lambda asked: end(asked.headers["authorization"])) as endpoint:
        use(bench, endpoint)
        bench.edit("retries = 1", "retries = 0\ntimeout_s = 1.0")
        told = [bench.respsel(*args, env=ENV) for args in (["run", "a.toml"], ["doctor", "a.toml"])]
    said = [text for done in told for text in (done.out, done.err)]
    check(bench.folder, *said)
    assert not [text for text in said if SAID in text or "Traceback" in text]
    assert "endpoint" in told[0].err or "the call failed" in told[0].out


ODD_KEY = "sk-canary/7f3a+9b1c5d2e="


@pytest.mark.parametrize(
    "spelled",
    [
        ODD_KEY,
        "".join(f"\\u{ord(char):04x}" for char in ODD_KEY),
        ODD_KEY.replace("/", "&#x2F;"),
        quote(ODD_KEY, safe=""),
        quote(quote(ODD_KEY, safe=""), safe="").lower(),
        *(
            b64encode(b"u" * size + b":" + ODD_KEY.encode() + b"x" * size).decode()
            for size in range(3)
        ),
        urlsafe_b64encode(ODD_KEY.encode()).decode(),
    ],
)
def test_a_key_in_another_spelling_is_hidden(monkeypatch: pytest.MonkeyPatch, spelled: str) -> None:
    """As escapes of JSON or HTML, in an address, or in base64 with whatever stands around it."""
    monkeypatch.setenv("MY_KEY", ODD_KEY)
    client = EndpointClient(
        EndpointSettings(
            "http://127.0.0.1:9/v1", "m", "MY_KEY", 1, 0, 1, plain_place("a.toml", "models", "m")
        )
    )
    body = f'{{"error": {{"message": "no: {spelled} so"}}}}'.encode()
    words = client.clean(read_error(400, client._hide(body), {}).words)
    client.close()
    assert "[API key]" in words
    assert ODD_KEY not in words
    assert len(words) < len("no: [API key] so") + 12
