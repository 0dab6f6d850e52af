"""The formats of training sets, as trainers document them.

Knows how a row becomes a record, and writes nothing. Invariant: it imports nothing heavy, since
`respsel --help` names the formats. Sources: TRL's dataset formats
(conversational language modeling, prompt-completion, preference) and its experimental SDFTTrainer,
axolotl's chat_template datasets, LLaMA-Factory's data/README.md (sharegpt with OpenAI roles),
OpenAI's fine-tuning guide.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from respsel.errors import InputError, Problem, name_list, suggest
from respsel.training.modes import check_mode

if TYPE_CHECKING:
    from respsel.training.examples import Pair, TrainingExample
    from respsel.training.modes import Mode

_AXOLOTL = """\
# For axolotl: put this into your config; the path is relative to where axolotl is started.
datasets:
  - path: {path}
    ds_type: json
    type: chat_template
    field_messages: messages
    message_property_mappings:
      role: role
      content: content
    roles_to_train: ["assistant"]
"""


def _no_more(_name: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Format:
    """One format.

    data: the name of its data file.
    record: makes a row of it from an example or a pair.
    use: how a trainer takes it, in Markdown.
    more: the texts of further files, by name, for a set of some name.
    pairs: whether its rows are preference pairs.
    weighs: whether its rows have weights.
    trainer: who takes it, where that has a limit.
    least: how many examples the trainer takes at least.
    """

    name: str
    data: str
    record: Callable[[Any], Mapping[str, Any]]
    use: str
    more: Callable[[str], Mapping[str, str]] = _no_more
    pairs: bool = False
    weighs: bool = False
    trainer: str = ""
    least: int = 0


def _turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def _messages(row: TrainingExample) -> Mapping[str, Any]:
    return {"messages": [_turn("user", row.input), _turn("assistant", row.response)]}


def _weighed_messages(row: TrainingExample) -> Mapping[str, Any]:
    return {**_messages(row), "weight": row.weight}


def _prompt_completion(row: TrainingExample) -> Mapping[str, Any]:
    return {"prompt": [_turn("user", row.input)], "completion": [_turn("assistant", row.response)]}


def _sdft(row: TrainingExample) -> Mapping[str, Any]:
    return {"prompt": [_turn("user", row.input)], "privileged_context": row.response}


def _preference(row: Pair) -> Mapping[str, Any]:
    chosen = [_turn("assistant", row.chosen)]
    rejected = [_turn("assistant", row.rejected)]
    return {"prompt": [_turn("user", row.input)], "chosen": chosen, "rejected": rejected}


def _axolotl(_name: str) -> Mapping[str, str]:
    return {"axolotl.yaml": _AXOLOTL.format(path="train.jsonl")}


def _dataset_info(name: str) -> Mapping[str, str]:
    entry = {
        "file_name": "train.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
    return {"dataset_info.json": json.dumps({name: entry}, indent=2) + "\n"}


_FORMATS = (
    Format(
        "messages",
        "train.jsonl",
        _messages,
        "TRL: `SFTTrainer(train_dataset=load_dataset('json', data_files='train.jsonl', "
        "split='train'), ...)`. "
        "Set `assistant_only_loss=True` to train on the responses alone, where the chat template "
        "supports it.",
    ),
    Format(
        "prompt-completion",
        "train.jsonl",
        _prompt_completion,
        "TRL: `SFTTrainer(train_dataset=load_dataset('json', data_files='train.jsonl', "
        "split='train'), ...)`. "
        "It trains on the completions alone.",
    ),
    Format(
        "axolotl",
        "train.jsonl",
        _messages,
        "axolotl: take the `datasets:` of `axolotl.yaml` into your config.",
        _axolotl,
    ),
    Format(
        "llama-factory",
        "train.json",
        _messages,
        "LLaMA-Factory: set `dataset_dir` to this folder and `dataset` to the name in "
        "`dataset_info.json`.",
        _dataset_info,
    ),
    Format(
        "openai",
        "train.jsonl",
        _messages,
        "Upload `train.jsonl` with purpose `fine-tune`.",
        trainer="OpenAI",
        least=10,
    ),
    Format(
        "sdft",
        "train.jsonl",
        _sdft,
        "TRL (experimental, as of 1.16): `SDFTTrainer(train_dataset=load_dataset('json', "
        "data_files='train.jsonl', split='train'), ...)`. The target answers the prompt itself; "
        "the response is shown only to the teacher, as `privileged_context`, and no token of it "
        "is trained on. Set `teacher_prompt_template` of `SDFTConfig` to say what it is.",
    ),
    Format(
        "fireworks",
        "train.jsonl",
        _weighed_messages,
        "Fireworks: upload `train.jsonl` as a dataset. Each row has its `weight`, as in "
        "docs.fireworks.ai/fine-tuning/weighted-training.",
        weighs=True,
        trainer="Fireworks",
        least=3,
    ),
    Format(
        "parquet",
        "train.parquet",
        asdict,
        "A table with the columns dataset, id, input, response, strategy, correct (the answer "
        "check's result), member (the strategy that the response was taken from, if any) and "
        "weight.",
        weighs=True,
    ),
    Format(
        "dpo",
        "train.jsonl",
        _preference,
        "TRL: `DPOTrainer(train_dataset=load_dataset('json', data_files='train.jsonl', "
        "split='train'), ...)`.",
        pairs=True,
    ),
)
FORMATS: Mapping[str, Format] = {entry.name: entry for entry in _FORMATS}


def formats_by_mode(formats: Sequence[str], mode: Mode | None) -> Mapping[Mode, Sequence[str]]:
    """By mode, the formats to write. Raises InputError for unknown ones, or of the other mode."""
    names = list(dict.fromkeys(formats))
    if not names:
        raise InputError(
            Problem("", "format", "no format is given", f"Known here: {name_list(sorted(FORMATS))}")
        )
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise InputError(
            Problem("", "format", f"'{name}' is not a format", suggest(name, FORMATS))
            for name in unknown
        )
    if mode is not None:
        check_mode(mode)
    if mode == "strategy" and any(FORMATS[name].pairs for name in names):
        what = "pairs need every strategy's responses"
        raise InputError(Problem("", "mode", what, "Leave it out, or set it to per-example"))
    by_mode: dict[Mode, list[str]] = {"strategy": [], "per-example": []}
    for name in names:
        by_mode[mode or ("per-example" if FORMATS[name].pairs else "strategy")].append(name)
    return MappingProxyType({which: some for which, some in by_mode.items() if some})
