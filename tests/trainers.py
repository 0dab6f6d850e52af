"""A process of its own: gives exported sets to TRL's trainers, one step each, and prints what they
train on.

python -m tests.trainers SETS PAIRS GGUF: the folders of a recipe's training sets and of its pairs,
and weights for their tokenizer.
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
from trl.experimental.sdft import SDFTConfig, SDFTTrainer

from respsel.backends.gguf.tokenizer import load_gguf_tokenizer


def distilled(model: Any, tokenizer: Any, data: Path, few: dict[str, Any]) -> dict[str, Any]:
    """A step of self-distillation; "trained" is what only the teacher's prompt shows."""
    rows = load_dataset("json", data_files=str(data), split="train", cache_dir=few["output_dir"])
    args = SDFTConfig(
        **few,
        per_device_train_batch_size=1,
        num_generations=1,
        max_completion_length=4,
        teacher_prompt_template="{prompt}\n\nA good answer: {privileged_context}",
    )
    # The teacher is loaded from where the model is.
    weights = str(Path(few["output_dir"]) / "tiny")
    model.save_pretrained(weights)
    trainer = SDFTTrainer(model=weights, args=args, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    row = rows[0]
    (shown,) = trainer.teacher_context_builder.select_generation_prompts(
        [row["prompt"]], [row["privileged_context"]]
    )
    response = shown[-1]["content"].partition("A good answer: ")[2]
    assert response not in row["prompt"][-1]["content"]
    return {"set": "sdft", "rows": len(rows), "trained": response}


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
        print(json.dumps(distilled(tiny(), tokenizer, sets / "sdft" / "train.jsonl", few)))
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
