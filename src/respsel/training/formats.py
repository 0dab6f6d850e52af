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
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from respsel.errors import InputError, Problem, name_list, suggest
from respsel.training import advice, limits, turn_formats
from respsel.training.conversations import TRAIN, Conversations
from respsel.training.modes import check_mode

if TYPE_CHECKING:
    from respsel.records import Message
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
{more}    roles_to_train: ["assistant"]
"""


def _no_more(_name: str, _found: Conversations) -> Mapping[str, str]:
    return {}


def _no_notes(_found: Conversations) -> Sequence[str]:
    return []


def _no_set_limit(_found: Conversations) -> str:
    return ""


@dataclass(frozen=True)
class Format:
    """One format.

    data: the name of its data file.
    record: makes a row of it from an example or a pair.
    use: how a trainer takes it, in Markdown.
    more: the texts of further files, by name, for a set of some name with such conversations.
    limit: why it cannot say a conversation; empty if it can. Pairs are looked at before.
    set_limit: why it cannot say the conversations of a set together; empty if it can.
    notes: how the trainer has to be set for the conversations of a set.
    cautions: what to mind about them.
    columns: those of a row that are lists of turns, where `datasets` reads the file.
    pairs: whether its rows are preference pairs.
    weighs: whether its rows have weights.
    trainer: who takes it, where that has a limit.
    least: how many examples the trainer takes at least.
    """

    name: str
    data: str
    record: Callable[[Any], Mapping[str, Any]]
    use: str
    more: Callable[[str, Conversations], Mapping[str, str]] = _no_more
    limit: Callable[[Sequence[Message]], str] = limits.no_limit
    set_limit: Callable[[Conversations], str] = _no_set_limit
    notes: Callable[[Conversations], Sequence[str]] = _no_notes
    cautions: Callable[[Conversations], list[str]] = advice.no_caution
    columns: tuple[str, ...] = ()
    pairs: bool = False
    weighs: bool = False
    trainer: str = ""
    least: int = 0


def _turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def _messages(row: TrainingExample) -> Mapping[str, Any]:
    if row.turns:
        return turn_formats.messages(row.turns)
    return {"messages": [_turn("user", row.input), _turn("assistant", row.response)]}


def _axolotl_messages(row: TrainingExample) -> Mapping[str, Any]:
    return turn_formats.axolotl(row.turns) if row.turns else _messages(row)


def _openai(row: TrainingExample) -> Mapping[str, Any]:
    return turn_formats.openai(row.turns) if row.turns else _messages(row)


def _llama_factory(row: TrainingExample) -> Mapping[str, Any]:
    return turn_formats.llama_factory(row.turns) if row.turns else _messages(row)


def _weighed_messages(row: TrainingExample) -> Mapping[str, Any]:
    return {**_openai(row), "weight": row.weight}


def _prompt_completion(row: TrainingExample) -> Mapping[str, Any]:
    if row.turns:
        return turn_formats.prompt_completion(row.turns)
    return {"prompt": [_turn("user", row.input)], "completion": [_turn("assistant", row.response)]}


def _sdft(row: TrainingExample) -> Mapping[str, Any]:
    if row.turns:
        return turn_formats.sdft(row.turns, row.response)
    return {"prompt": [_turn("user", row.input)], "privileged_context": row.response}


def _preference(row: Pair) -> Mapping[str, Any]:
    if row.turns:
        return turn_formats.preference(row.turns, row.chosen_turns, row.rejected_turns)
    chosen = [_turn("assistant", row.chosen)]
    rejected = [_turn("assistant", row.rejected)]
    return {"prompt": [_turn("user", row.input)], "chosen": chosen, "rejected": rejected}


def _table(row: TrainingExample) -> Mapping[str, Any]:
    values = {item.name: getattr(row, item.name) for item in fields(row) if item.name != "turns"}
    return {**values, **turn_formats.table(row.turns)} if row.turns else values


def _axolotl(_name: str, found: Conversations) -> Mapping[str, str]:
    names = sorted(found.fields - {"content", "role", TRAIN})
    more = "".join(f"      {json.dumps(name)}: {json.dumps(name)}\n" for name in names)
    more += f"    message_field_training: {TRAIN}\n" if found.rows else ""
    more += "    field_tools: tools\n" if found.with_tools else ""
    more += "    train_on_eos: turn\n" if found.rows else ""
    return {"axolotl.yaml": _AXOLOTL.format(path="train.jsonl", more=more)}


def _dataset_info(name: str, found: Conversations) -> Mapping[str, str]:
    columns = {"messages": "messages"}
    tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    }
    if found.with_tools:
        columns["tools"] = "tools"
    if found.rows:
        tags |= {"observation_tag": "observation", "function_tag": "function_call"}
    entry = {
        "file_name": "train.json",
        "formatting": "sharegpt",
        "columns": columns,
        "tags": tags,
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
        limit=limits.of_messages,
        notes=advice.of_messages,
        cautions=advice.cautions_of_trl,
        columns=("messages",),
    ),
    Format(
        "prompt-completion",
        "train.jsonl",
        _prompt_completion,
        "TRL: `SFTTrainer(train_dataset=load_dataset('json', data_files='train.jsonl', "
        "split='train'), ...)`. "
        "It trains on the completions alone.",
        limit=limits.of_prompt_completion,
        notes=advice.of_prompt_completion,
        cautions=advice.cautions_of_trl,
        columns=("prompt", "completion"),
    ),
    Format(
        "axolotl",
        "train.jsonl",
        _axolotl_messages,
        "axolotl: take the `datasets:` of `axolotl.yaml` into your config.",
        _axolotl,
        limit=limits.of_axolotl,
        notes=advice.of_axolotl,
    ),
    Format(
        "llama-factory",
        "train.json",
        _llama_factory,
        "LLaMA-Factory: set `dataset_dir` to this folder and `dataset` to the name in "
        "`dataset_info.json`.",
        _dataset_info,
        limit=limits.of_llama_factory,
        set_limit=limits.of_llama_factory_set,
        notes=advice.of_llama_factory,
        cautions=advice.cautions_of_llama_factory,
    ),
    Format(
        "openai",
        "train.jsonl",
        _openai,
        "Upload `train.jsonl` with purpose `fine-tune`.",
        limit=limits.of_openai,
        notes=advice.of_weights,
        cautions=advice.cautions_of_openai,
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
        limit=limits.of_sdft,
        notes=advice.of_sdft,
        cautions=advice.cautions_of_trl,
        columns=("prompt",),
    ),
    Format(
        "fireworks",
        "train.jsonl",
        _weighed_messages,
        "Fireworks: upload `train.jsonl` as a dataset. Each row has its `weight`, as in "
        "docs.fireworks.ai/fine-tuning/weighted-training.",
        limit=limits.of_openai,
        notes=advice.of_weights,
        cautions=advice.cautions_of_openai,
        weighs=True,
        trainer="Fireworks",
        least=3,
    ),
    Format(
        "parquet",
        "train.parquet",
        _table,
        "A table with the columns dataset, id, input, response, strategy, correct (the answer "
        "check's result), member (the strategy that the response was taken from, if any) and "
        "weight.",
        notes=advice.of_table,
        weighs=True,
    ),
    Format(
        "dpo",
        "train.jsonl",
        _preference,
        "TRL: `DPOTrainer(train_dataset=load_dataset('json', data_files='train.jsonl', "
        "split='train'), ...)`.",
        notes=advice.of_dpo,
        cautions=advice.cautions_of_dpo,
        columns=("prompt", "chosen", "rejected"),
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
