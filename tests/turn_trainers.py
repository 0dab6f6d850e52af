"""A process of its own: gives exported conversations to TRL's SFTTrainer, and prints of each row
what is trained on, the loss, and what respsel's transformers backend says of the same tokens.

python turn_trainers.py JOBS GGUF: a file of jobs (JSON), and weights for their tokenizer. A job has
"name", "data", "columns", "template" (null for the tokenizer's own), "assistant_only", and per row
the "turns" that respsel scored.
"""

from __future__ import annotations

import json
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from datasets import Features, Json, List, Value, load_dataset
from transformers import LlamaConfig, LlamaForCausalLM, set_seed
from trl import SFTConfig, SFTTrainer

from respsel.backends.contract import Failure, ScoreCall
from respsel.backends.gguf.tokenizer import load_gguf_tokenizer
from respsel.backends.transformers.files import Source
from respsel.backends.transformers.model import Settings, open_model
from respsel.records import Message

# What the templates of tests/conversations.py write as one token each.
SPECIAL = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
SPECIAL += ["<|eom_id|>"]


def tokenizer_of(job: dict[str, Any], gguf: Path) -> Any:
    tokenizer = load_gguf_tokenizer(gguf)
    if job["template"] is not None:
        tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL})
        tokenizer.chat_template = job["template"]
    return tokenizer


def spans_of(labels: list[int]) -> list[tuple[int, int]]:
    """The stretches of tokens that are trained."""
    spans = []
    for trained, places in groupby(range(len(labels)), key=lambda place: labels[place] != -100):
        found = list(places)
        if trained:
            spans.append((found[0], found[-1] + 1))
    return spans


def tiny_model(tokenizer: Any) -> Any:
    """A random Llama for a tokenizer."""
    set_seed(5)
    sizes: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 2}
    sizes |= {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes))
    # Hazard: weights near zero would give all tokens one likelihood.
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(8)
    return model


def trainer_of(model: Any, tokenizer: Any, rows: Any, assistant_only: bool, folder: Path) -> Any:
    """A trainer that takes one step on the rows."""
    args = SFTConfig(
        output_dir=str(folder / "out"),
        max_steps=1,
        use_cpu=True,
        bf16=False,
        report_to=[],
        max_length=None,
        per_device_train_batch_size=4,
        gradient_checkpointing=False,
        assistant_only_loss=assistant_only,
    )
    return SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)


def trained(job: dict[str, Any], tokenizer: Any, folder: Path) -> Any:
    """A trainer for the rows of a job, and its model beside."""
    kinds: dict[str, Any] = {name: List(Json()) for name in job["columns"]}
    rows = load_dataset(
        "json",
        data_files=job["data"],
        split="train",
        features=Features({**kinds, "tools": Value("string")}),
        cache_dir=str(folder / "cache"),
    )
    model = tiny_model(tokenizer)
    trainer = trainer_of(model, tokenizer, rows, job["assistant_only"], folder)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return trainer


def loss_of(trainer: Any, rows: list[Any]) -> float:
    """The trainer's own loss on a batch, in evaluation."""
    batch = trainer.data_collator(rows)
    trainer.model.eval()
    with torch.no_grad():
        return float(trainer.compute_loss(trainer.model, dict(batch)))


def scores_of(model: Any, ids: list[int], spans: list[tuple[int, int]]) -> list[float]:
    """The nll of the tokens in some stretches, by respsel."""
    calls = [ScoreCall(tuple(ids[:start]), tuple(ids[start:end])) for start, end in spans]
    found: dict[int, list[float]] = {}
    for index, scores in model.score(calls):
        assert not isinstance(scores, Failure), scores
        found[index] = scores.nll.tolist()
    return [value for index in range(len(calls)) for value in found[index]]


def placed_of(model: Any, turns: list[Any]) -> Any:
    """The tokens and the trained stretches by respsel."""
    placed = model.text.placed_turns([Message(*turn) for turn in turns])
    spans = [[turn.start, turn.end] for turn in placed.turns]
    return {"ids": list(placed.ids), "spans": spans, "problem": placed.problem}


def main(jobs: Path, gguf: Path) -> None:
    for job in json.loads(jobs.read_text("utf-8")):
        with tempfile.TemporaryDirectory() as folder:
            tokenizer = tokenizer_of(job, gguf)
            trainer = trained(job, tokenizer, Path(folder))
            settings = Settings("float32", "cpu", None, None, 1, 256, 8)
            model = open_model(Source(str(Path(folder) / "model")), None, settings)
            rows = list(trainer.train_dataset)
            nlls = []
            told = []
            for row, turns in zip(rows, job["turns"], strict=True):
                spans = spans_of(row["labels"])
                nlls.append(scores_of(model, row["input_ids"], spans))
                texts = [tokenizer.decode(row["input_ids"][a:b]) for a, b in spans]
                placed = placed_of(model, turns)
                told.append(
                    {
                        "ids": row["input_ids"],
                        "spans": spans,
                        "texts": texts,
                        "text": tokenizer.decode(row["input_ids"]),
                        "loss": loss_of(trainer, [row]),
                        "nll": sum(nlls[-1]) / len(nlls[-1]),
                        "placed": placed,
                    }
                )
            flat = [value for some in nlls for value in some]
            batch = {"loss": loss_of(trainer, rows), "nll": sum(flat) / len(flat)}
            trainer.train()
            print(json.dumps({"job": job["name"], "rows": told, "batch": batch}))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
