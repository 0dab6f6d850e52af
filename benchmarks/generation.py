"""Sampling: tokens/s of 32 samples, one by one against batched. One table.

Run `python benchmarks/generation.py [--rounds 2]`. It measures SmolLM2 on llama.cpp with the
packaged weights and with BF16, and on transformers in float32; 16 rows at once. Needs the extras
llama, torch and quickstart.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from scoring import FILE, KINDS, PACKAGE, open_kind

SAMPLES = 32
ONE_BY_ONE = 4
TOKENS = 100


def tokens_per_second(model: Any, together: bool) -> float:
    """Tokens/s of samples to two questions; one by one, a few of them suffice to tell."""
    from respsel.backends.contract import GenerateCall
    from respsel.records import Message, Sampling

    sampling = Sampling(0.8, 0.95, 0, 0.0, TOKENS)
    asked = [
        model.text.prompt_ids([Message("user", f"Tell me a long story about {what}.")])
        for what in ("a king", "the sea")
    ]
    calls = [
        GenerateCall(asked[i % 2], sampling, i) for i in range(SAMPLES if together else ONE_BY_ONE)
    ]
    begun = time.perf_counter()
    if together:
        made = [item for _, item in model.generate(calls)]
    else:
        made = [item for call in calls for _, item in model.generate([call])]
    return sum(item.n_tokens for item in made) / (time.perf_counter() - begun)


def rows(model: Any, count: int) -> None:
    """Let a model sample so many at once."""
    name = "_rows" if hasattr(model, "_rows") else "_parallel"
    setattr(model, name, count)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    weights = Path(__import__(PACKAGE).__file__).parent / FILE
    print(f"{'':<22}{'one by one':>12}{'16 at once':>12}{'ratio':>7}   tokens/s")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS[1:]:
            model = open_kind(kind, weights, Path(folder))
            alone = []
            batched = []
            for _ in range(args.rounds):
                rows(model, 1)
                alone.append(tokens_per_second(model, together=False))
                rows(model, 16)
                batched.append(tokens_per_second(model, together=True))
            model.close()
            one = statistics.median(alone)
            many = statistics.median(batched)
            print(f"{kind:<22}{one:>12.0f}{many:>12.0f}{many / one:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
