"""A process of its own: takes recipes over conversations all the way to a training set, and has
TRL's SFTTrainer take a step on it. It prints for each response what is trained, TRL's loss of it
and respsel's.

python loss_trainers.py JOBS GGUF: a file of jobs (JSON), and weights for their tokenizer. A job has
the "folder" of a recipe a.toml whose target is the model in "target" there, the "template" (null
for the tokenizer's own), the "format" of the export, and whether "assistant_only" is set.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Features, IterableDataset, Json, List, Value, load_dataset

from respsel.graph import names
from respsel.records import ScoredResponse
from respsel.study import open_study
from respsel.training.export import TrainingSet
from tests.turn_trainers import loss_of, tiny_model, tokenizer_of, trainer_of

COLUMNS = {"messages": ["messages"], "prompt-completion": ["prompt", "completion"]}


def rows_of(made: TrainingSet, kind: str, cache: Path) -> Any:
    """The rows, read as the card says."""
    card = (made.folder / "README.md").read_text("utf-8")
    if "IterableDataset.from_generator" in card:
        lines = made.data.read_text("utf-8").splitlines()
        return IterableDataset.from_generator(lambda: map(json.loads, lines))
    assert "features=Features(" in card
    kinds: dict[str, Any] = {name: List(Json()) for name in COLUMNS[kind]}
    if "'tools'" in card:
        kinds["tools"] = Value("string")
    return load_dataset(
        "json",
        data_files=str(made.data),
        split="train",
        features=Features(kinds),
        cache_dir=str(cache),
    )


def trained(job: dict[str, Any], made: TrainingSet, tokenizer: Any, folder: Path) -> Any:
    """What TRL trains on and its losses, row by row, and whether a step changed the model."""
    model = tiny_model(tokenizer)
    rows = rows_of(made, job["format"], folder / "cache")
    trainer = trainer_of(model, tokenizer, rows, job["assistant_only"], folder)
    told = []
    for row in trainer.train_dataset:
        labels = [label for label in row["labels"] if label != -100]
        told.append({"ids": labels, "loss": loss_of(trainer, [row])})
    before = [weights.detach().clone() for weights in model.parameters()]
    trainer.train()
    pairs = zip(before, model.parameters(), strict=True)
    return {"rows": told, "stepped": any(not torch.equal(one, two) for one, two in pairs)}


def scored(rows: Sequence[ScoredResponse]) -> list[Any]:
    """The scored tokens of each response, and their mean nll by respsel."""
    told = []
    for row in rows:
        assert row.scores is not None, row.problem
        told.append({"ids": row.scores.token_ids.tolist(), "nll": float(row.scores.nll.mean())})
    return told


def main(jobs: Path, gguf: Path) -> None:
    for job in json.loads(jobs.read_text("utf-8")):
        folder = Path(job["folder"])
        tokenizer = tokenizer_of(job, gguf)
        tiny_model(tokenizer).save_pretrained(folder / "target")
        tokenizer.save_pretrained(folder / "target")
        with open_study(folder / "a.toml") as study:
            result = study.run()
            work = result.scoring_work
            told = {}
            for strategy in job["strategies"]:
                study.apply(strategy=strategy)
                (made,) = study.export(job["format"], folder=folder / "out" / strategy)
                found = trained(job, made, tokenizer, folder / strategy)
                view = names.token_scores(job["dataset"], strategy, "plain")
                told[strategy] = {"trl": found, "respsel": scored(result.rows(view))}
        told["work"] = {"evaluated": work.evaluated, "fewest": work.fewest}
        print(json.dumps({"job": told}), flush=True)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
