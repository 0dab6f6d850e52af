"""Promise: whatever a server sends, a call ends in bounded time and memory, and its prompts go to
no other server.
"""

from __future__ import annotations

import functools
import json
import random
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from respsel.backends.contract import Failure, Generation
from respsel.errors import RunError
from tests.backends.openai.test_model import calls, model_of, written
from tests.conftest import needs
from tests.endpoints import Asked, Endpoint, Reply, chat, serving

pytestmark = needs("openai")
MIB = 1 << 20


def dripping() -> Iterator[bytes]:
    """A byte at a time: each read ends in time, and the answer never does."""
    while True:
        time.sleep(0.05)
        yield b" "


def endless() -> Iterator[bytes]:
    """More than a machine holds."""
    while True:
        yield b" " * MIB


@functools.cache
def bomb() -> bytes:
    """Half a megabyte that unpacks to half a gigabyte."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * MIB) for _ in range(512)) + packer.flush()


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (lambda: Reply({}, parts=dripping()), "no whole answer within 1 s"),
        (lambda: Reply({}, status=500, parts=dripping()), "no whole answer within 1 s"),
        (lambda: Reply({}, parts=endless()), "more than 16 MiB"),
        (lambda: Reply({}, status=400, parts=endless()), "more than 16 MiB"),
        (lambda: Reply(bomb(), headers={"Content-Encoding": "gzip"}), "more than 16 MiB"),
        (
            lambda: Reply(b"x", headers={"Content-Encoding": "zstd"}),
            "packed in a way that was not asked for (zstd)",
        ),
        (lambda: Reply(b"x", headers={"Content-Encoding": "gzip, gzip"}), "packed in a way"),
        (lambda: Reply(b"no gzip", headers={"Content-Encoding": "gzip"}), "decompress"),
        (lambda: Reply(b"[" * 500_000), "cannot be used"),
        (lambda: Reply(b'{"choices": ' * 100_000), "cannot be used"),
        (lambda: Reply(b'{"error": ' + b"[" * 900 + b"]" * 900 + b"}"), ""),
        (
            lambda: Reply(
                b'{"choices": [{"message": {"content": ' + b"[" * 900 + b"]" * 900 + b"}}]}"
            ),
            "",
        ),
        (lambda: Reply(b"1" * 5_000), "cannot be used"),
        (lambda: chat("word " * 10_000), "more than 20 tokens can be"),
        (lambda: Reply({}, headers={"X-Odd": "v" * 200_000}), ""),
    ],
)
def test_a_hostile_answer_fails_its_call_alone(bad: Callable[[], Reply], told: str) -> None:
    """It is named, and the calls beside it are answered all the same."""
    with serving(
        lambda asked: bad() if asked.body["messages"][1]["content"] == "Say 1." else chat("good")
    ) as endpoint:
        found = written(endpoint, 3, retries=0, timeout_s=1.0 if "within" in told else 20.0)
    assert isinstance(found[1], Failure)
    assert told in found[1].problem.lower() or told in found[1].problem
    assert [found[0].text, found[2].text] == ["good", "good"]


@pytest.mark.parametrize("kind", ["endless", "bomb"])
def test_a_hostile_answer_takes_bounded_memory(kind: str) -> None:
    """A process that may not have a gigabyte of address space more than it began with ends well."""
    code = f"""
from tests.promises.test_hostile_endpoint import *
import respsel.backends.openai.model, openai
from tests.memory import peak_kib
begun = peak_kib()
gzip = {{"Content-Encoding": "gzip"}}
bad = Reply(bomb(), headers=gzip) if {kind!r} == "bomb" else Reply({{}}, parts=endless())
with serving(lambda asked: bad) as endpoint:
    print(written(endpoint, 1, retries=2, timeout_s=60.0))
print(peak_kib() - begun)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, said, grown = done.stdout.splitlines()
    assert "more than 16 MiB" in said
    # Kilobytes: of the server, which is in the same process, too.
    assert int(grown) < 400_000


def test_a_server_that_drips_is_tried_again_and_given_up() -> None:
    """Each try has its deadline."""
    with serving(
        lambda asked: Reply({}, parts=dripping()) if asked.number == 0 else chat("late")
    ) as endpoint:
        assert written(endpoint, retries=1, timeout_s=1.0)[0].text == "late"
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_server_is_refused(status: int) -> None:
    """Neither the prompt nor the key goes there: the run ends, naming it."""
    with serving(lambda asked: chat("I have your prompts")) as other:
        place = other.url.replace("http://", "http://user:secret@") + "/chat/completions?secret=1"
        with serving(lambda asked: Reply({}, status, {"Location": place})) as endpoint:
            model = model_of(endpoint)
            with pytest.raises(RunError, match=r"redirects to http://127\.0\.0\.1") as caught:
                list(model.generate(calls(model, 3)))
            model.close()
    assert not other.asked
    assert "secret" not in str(caught.value)
    assert "base_url" in str(caught.value)


def test_a_redirect_within_a_server_is_followed() -> None:
    """The prompt goes on to where the server wants it, and the key with it."""

    def answer(asked: Asked) -> Reply:
        return chat("here") if asked.path == "/there" else Reply({}, 307, {"Location": "/there"})

    with serving(answer) as endpoint:
        assert written(endpoint)[0].text == "here"
    first, second = endpoint.asked
    assert (second.path, second.body) == ("/there", first.body)


def test_a_redirect_in_a_circle_ends() -> None:
    """After a few rounds."""
    with serving(lambda asked: Reply({}, 307, {"Location": asked.path})) as endpoint:
        model = model_of(endpoint)
        with pytest.raises(RunError, match="redirects without an end"):
            list(model.generate(calls(model)))
        model.close()
    assert len(endpoint.asked) <= 10


ODD: list[Any] = [
    None,
    True,
    -1,
    10**400,
    1e308,
    float("inf"),
    "",
    "\ud800",
    "\x00\u202e",
    "9" * 5000,
    [],
    {},
    [[]],
    [None],
    {"a": {}},
]
BODY = chat("It is 4.").body | {"error": None, "output": None, "content": None, "status": None}


def mangled(value: Any, chance: random.Random) -> Any:
    """A JSON value with some of its parts replaced, dropped or doubled."""
    if chance.random() < 0.12:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {k: mangled(v, chance) for k, v in value.items() if chance.random() > 0.05}
    if isinstance(value, list):
        return [
            mangled(item, chance)
            for item in value
            for _ in range(chance.choice([1, 1, 1, 1, 0, 2]))
        ]
    return value


def test_mangled_answers_are_answers_or_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shape of a body ends in a bug: each of 400 is a text or a failure of its call."""
    from respsel.backends.openai import tally as endpoint_tally

    monkeypatch.setattr(endpoint_tally, "_FAILURES_IN_A_ROW", 10_000)
    monkeypatch.setattr(endpoint_tally, "_REFUSED_INPUTS", 10_000)

    def answer(asked: Asked) -> Reply:
        chance = random.Random(asked.body["messages"][1]["content"])
        body = mangled(BODY, chance)
        if chance.random() < 0.3 and isinstance(body, dict):
            body["choices"] = mangled([{"text": "x", "error": {"message": [{"a": "b"}]}}], chance)
        return Reply(
            json.dumps(body).encode("utf-8", "surrogatepass"), chance.choice([200, 200, 200, 500])
        )

    with serving(answer) as endpoint:
        found = written_all(endpoint, 400)
    assert len(found) == 400
    assert all(isinstance(one, Generation | Failure) for one in found.values())
    assert sum(isinstance(one, Generation) for one in found.values()) > 40


def written_all(endpoint: Endpoint, count: int) -> dict[int, Any]:
    """As `written`, where errors that end a run end one call."""
    found: dict[int, Any] = {}
    model = model_of(endpoint, retries=0, parallel=8)
    asked = calls(model, count)
    while len(found) < count:
        left = [index for index in range(count) if index not in found]
        try:
            for place, answer in model.generate([asked[index] for index in left]):
                found[left[place]] = answer
        except RunError as error:
            found[left[0]] = Failure(str(error))
    model.close()
    return found
