"""What TRL trains on of conversations, under the chat templates that lie in its package.

python -m tests.trl_masks FOLDER: a process of its own, for TRL's trainers are heavy. It writes one
JSON file a template and mode: the token ids and labels of TRL's own collator for each chat, or why
TRL refuses it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MODES = ("assistant_only_loss", "completion_only_loss")
# What stands for one token in one of the templates.
CONTROL = re.compile(
    r"<\|[A-Za-z_]+\|?>|<[A-Za-z_]+\|>|<｜[^｜]+｜>|</?s>|\[/?INST\]|<(?:start|end)_of_\w+>|<sop>"
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "Where."}},
                "required": ["city"],
            },
        },
    }
]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **fields}


def called(city: str) -> list[dict[str, Any]]:
    function = {"name": "weather", "arguments": {"city": city}}
    return [{"type": "function", "id": "abcdefghi", "function": function}]


RESULT = {"role": "tool", "name": "weather", "tool_call_id": "abcdefghi", "content": "7 degrees"}
CHATS: dict[str, list[dict[str, Any]]] = {
    "one turn": [user("How many?"), assistant("Seven.")],
    "system": [{"role": "system", "content": "Be short."}, user("How many?"), assistant("Seven.")],
    "turns": [
        *(user("How many?"), assistant("\nSeven.\n"), user("Sure?")),
        *(assistant("Größe \N{FACE WITH TEARS OF JOY} 数"), user("Bye"), assistant("\n\nBye ")),
    ],
    "empty": [user("How many?"), assistant(""), user("And?"), assistant("Seven.")],
    "empty end": [user("How many?"), assistant("")],
    "thinking": [
        *(user("How many?"), assistant("Seven.", reasoning_content="Three and four.")),
        *(user("Sure?"), assistant("Yes.", reasoning_content="Of course.")),
    ],
    "thinking by another name": [user("How many?"), assistant("Seven.", reasoning="3 and 4.")],
    "tags": [
        *(user("How many?"), assistant("<think>\nThree.\n</think>\n\nSeven.")),
        *(user("Sure?"), assistant("<think>\nHm.\n</think>\n\nYes.")),
    ],
    "tools": [
        *(user("Oslo?"), assistant("", tool_calls=called("Oslo")), RESULT),
        *(assistant("It is cold."), user("Thanks"), assistant("Bye")),
    ],
    "thinking with tools": [
        *(user("Oslo?"), assistant("", reasoning_content="I ask.", tool_calls=called("Oslo"))),
        *(RESULT, assistant("It is cold.", reasoning_content="7 is few.")),
    ],
    "two rounds of tools": [
        *(user("Both?"), assistant("", tool_calls=called("Oslo")), RESULT),
        *(assistant("", tool_calls=called("Zürich")), RESULT, assistant("Both are cold.")),
    ],
    "call at the end": [user("Oslo?"), assistant("", tool_calls=called("Oslo"))],
    "text and call": [user("Oslo?"), assistant("I look.", tool_calls=called("Oslo"))],
}


def tools_of(name: str) -> list[dict[str, Any]] | None:
    return TOOLS if "tool" in name or "call" in name else None


def templates() -> dict[str, str]:
    """The chat templates of the installed trl, by name."""
    spec = find_spec("trl")
    if spec is None or not spec.submodule_search_locations:
        return {}
    folder = Path(spec.submodule_search_locations[0]) / "chat_templates"
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.jinja"))}


def modes_of(source: str) -> tuple[str, ...]:
    """A template with generation blocks is for assistant_only_loss, others are for the other."""
    return MODES[:1] if re.search(r"{%-?\s*generation\s*-?%}", source) else MODES[1:]


def tokenizer_of(source: str) -> Any:
    """A byte-level BPE whose control tokens are those that a template writes.

    Its merges run over line ends, so that tokens begin in the template's words.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    texts = ["\n\nSeven.", "assistant\nSeven", "assistant\n\n", "Seven.\n", "?\n\n", "model\n\n"]
    control = sorted({*CONTROL.findall(source), "<bos>", "<eos>"})
    made.train_from_iterator(
        texts * 9,
        trainers.BpeTrainer(
            special_tokens=control,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    made.add_tokens(["<think>", "</think>"])
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<bos>", eos_token="<eos>", pad_token="<eos>"
    )  # type: ignore[no-untyped-call]
    tokenizer.chat_template = source
    return tokenizer


def _rows(tokenizer: Any, mode: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Each chat as TRL takes it, or why its template refuses it."""
    for name, chat in CHATS.items():
        tools = tools_of(name)
        try:
            tokenizer.apply_chat_template(chat, tools=tools, tokenize=False)
            tokenizer.apply_chat_template(chat[:-1], tools=tools, add_generation_prompt=True)
        except Exception as error:
            yield name, str(error)
            continue
        row: dict[str, Any] = {"tools": json.dumps(tools) if tools else None}
        if mode == MODES[0]:
            yield name, {**row, "messages": chat}
        else:
            yield name, {**row, "prompt": chat[:-1], "completion": chat[-1:]}


def trained(source: str, mode: str, folder: str) -> dict[str, Any]:
    """The ids and labels that TRL's trainer and collator make of each chat."""
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    tokenizer = tokenizer_of(source)
    rows = dict(_rows(tokenizer, mode))
    taken = {name: row for name, row in rows.items() if isinstance(row, dict)}
    found: dict[str, Any] = {name: row for name, row in rows.items() if name not in taken}
    if not taken:
        return found
    sizes: dict[str, Any] = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), num_attention_heads=1, num_key_value_heads=1, **sizes
        )
    )
    few: dict[str, Any] = {"output_dir": folder, "use_cpu": True, "report_to": []}
    args = SFTConfig(**few, max_length=None, assistant_only_loss=mode == MODES[0])
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=Dataset.from_list(list(taken.values())),
        processing_class=tokenizer,
    )
    for name, row in zip(taken, trainer.train_dataset, strict=True):
        batch = trainer.data_collator([row])
        found[name] = [batch["input_ids"][0].tolist(), batch["labels"][0].tolist()]
    return found


def main(folder: Path) -> None:
    import transformers.utils.chat_template_utils as utils

    from respsel.backends.chat_template import FROZEN_DATE

    class Frozen:
        """A clock that stands still, as respsel's does."""

        @classmethod
        def now(cls) -> Frozen:
            return cls()

        def strftime(self, _format: str) -> str:
            return FROZEN_DATE

    vars(utils)["datetime"] = Frozen
    for name, source in templates().items():
        for mode in modes_of(source):
            found = trained(source, mode, str(folder / "trainer"))
            (folder / f"{name}.{mode}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
