"""A process of its own: gives exported sets to TRL's trainers, one step each, and prints what they
train on.

python trainers.py SETS PAIRS GGUF: the folders of a recipe's training sets and of its pairs, and
weights for their tokenizer.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from datasets import load_dataset
from transformers import LlamaConfig, LlamaForCausalLM
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from respsel.backends.gguf.tokenizer import load_gguf_tokenizer


def main(sets: Path, pairs: Path, gguf: Path) -> None:
    tokenizer = load_gguf_tokenizer(gguf)
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }

    def tiny() -> LlamaForCausalLM:
        return LlamaForCausalLM(
            LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=2, **sizes)
        )

    with tempfile.TemporaryDirectory() as folder:
        few: dict[str, Any] = {
            "output_dir": folder,
            "max_steps": 1,
            "use_cpu": True,
            "report_to": [],
        }
        for name in ("messages", "prompt-completion"):
            rows = load_dataset(
                "json", data_files=str(sets / name / "train.jsonl"), split="train", cache_dir=folder
            )
            trainer = SFTTrainer(
                model=tiny(), args=SFTConfig(**few), train_dataset=rows, processing_class=tokenizer
            )
            batch = next(iter(trainer.get_train_dataloader()))
            labels = batch["labels"][0]
            trainer.train()
            trained = tokenizer.decode(labels[labels != -100])
            print(json.dumps({"set": name, "rows": len(rows), "trained": trained}))
        rows = load_dataset(
            "json", data_files=str(pairs / "dpo" / "train.jsonl"), split="train", cache_dir=folder
        )
        few |= {"per_device_train_batch_size": 2}
        DPOTrainer(
            tiny(), tiny(), DPOConfig(**few), train_dataset=rows, processing_class=tokenizer
        ).train()
        print(json.dumps({"set": "dpo", "rows": len(rows), "trained": ""}))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
