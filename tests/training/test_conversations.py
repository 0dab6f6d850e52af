"""Exports of conversations: what a trainer's loader reads is what was scored, with the same turns
trained; and what a format cannot say is refused or told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from respsel.errors import InputError
from respsel.records import Message
from respsel.store.locks import Wait
from respsel.study import open_study
from respsel.training.apply import Applied, find_applied
from respsel.training.export import TrainingSet, write_sets
from tests.conftest import Bench, jsonl, needs
from tests.conversations import (
    LLAMA3_LIKE,
    MULTI,
    QWEN3_LIKE,
    SETS,
    THOUGHTFUL,
    TOOL_USE,
    as_turns,
)
from tests.trainer_process import trainer_output

ROOT = Path(__file__).parents[2]
COUNT = 12
Turns = tuple[Message, ...]
Export = Callable[..., TrainingSet]


class Talked(Applied):
    """An applied set whose examples are conversations, by strategy."""

    def __init__(self, applied: Applied, chats: dict[str, list[Turns]]) -> None:
        super().__init__(applied.selected, applied.graph, applied.outputs, applied.store)
        object.__setattr__(self, "chats", chats)

    def rows(self, name: str) -> Any:
        chats: dict[str, list[Turns]] = self.chats  # type: ignore[attr-defined]
        rows = super().rows(name)
        human = chats["human"]
        if name == "examples:sums":
            return [replace(row, turns=human[i % len(human)]) for i, row in enumerate(rows)]
        strategy = name.removeprefix("responses:sums/")
        if strategy == name:
            return rows
        found = chats[strategy]
        return [
            replace(row, text=found[i % len(found)][-1].content, turns=found[i % len(found)])
            for i, row in enumerate(rows)
        ]


@pytest.fixture
def export(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Export]:
    """Applies the recipe, and exports it as if its examples were conversations."""
    bench.edit('answer = "number"\n', "")
    bench.respsel("apply", "a.toml", "--strategy", "human")
    bench.respsel("apply", "a.toml", "--mode", "per-example")
    monkeypatch.chdir(bench.folder)
    with open_study("a.toml") as study:

        def made(kind: str, human: list[Turns], teacher: list[Turns] | None = None) -> TrainingSet:
            mode = "strategy" if teacher is None else "per-example"
            applied = find_applied(study._graph, study._open_store(), mode)  # type: ignore[arg-type]
            chats = {"human": human, "teacher": teacher or human}
            wait: Wait = lambda *_: None
            # A folder each, since what was applied has one key here, whatever is said.
            out = bench.folder / f"out{len(list(bench.folder.glob('out*')))}"
            [written] = write_sets(Talked(applied, chats), [kind], out, wait)
            return written

        yield made


def rows_of(made: TrainingSet) -> list[Any]:
    text = made.data.read_text("utf-8")
    return (
        json.loads(text)
        if made.data.suffix == ".json"
        else list(map(json.loads, text.split("\n")[:-1]))
    )


def card_of(made: TrainingSet) -> str:
    return (made.folder / "README.md").read_text("utf-8")


def rendered(template: str, messages: list[Any], tools: Any) -> str:
    """As transformers writes it, which is what TRL and axolotl ask."""
    from transformers.utils.chat_template_utils import render_jinja_template

    texts: Any = render_jinja_template([messages], tools=tools, chat_template=template)[0]
    return str(texts[0])


def loaded(data: Path, card: str, cache: Path) -> list[Any]:
    """The rows as a card says that they are to be loaded."""
    from datasets import Features, Json, List, Value, load_dataset

    (call,) = re.findall(r"`(load_dataset\('json'.*Features.*?\))`", card)
    call = call.replace("'train.jsonl'", repr(str(data))).removesuffix(")")
    names = {"load_dataset": load_dataset, "Features": Features, "Json": Json, "List": List}
    rows = eval(f"{call}, cache_dir={str(cache)!r})", {**names, "Value": Value})
    return list(rows)


def of_row(row: Any) -> tuple[list[Any], Any]:
    """The conversation and the tools of a row, as TRL takes them."""
    messages = row["messages"] if "messages" in row else row["prompt"] + row["completion"]
    tools = row.get("tools")
    return messages, json.loads(tools) if isinstance(tools, str) else tools


@needs("datasets", "transformers")
@pytest.mark.parametrize("kind", ["messages", "prompt-completion"])
@pytest.mark.parametrize("name", SETS)
def test_a_round_trip_for_trl_changes_nothing(
    export: Export, tmp_path: Path, name: str, kind: str
) -> None:
    """The chat template writes of the loaded rows what it writes of the file's own."""
    made = export(kind, [as_turns(chat) for chat in SETS[name]])
    found = loaded(made.data, card_of(made), tmp_path / "cache")
    assert len(found) == COUNT
    for i, row in enumerate(found):
        chat = SETS[name][i % 3]
        messages, tools = of_row(row)
        assert messages == chat["messages"]
        assert tools == chat.get("tools")
        for template in (QWEN3_LIKE, LLAMA3_LIKE):
            expected = rendered(template, chat["messages"], chat.get("tools"))
            assert rendered(template, messages, tools) == expected
    if kind == "prompt-completion":
        assert all(row["completion"][0]["role"] == "assistant" for row in found)
        assert {turn["role"] for row in found for turn in row["prompt"]} <= {"system", "user"}


@needs("datasets")
def test_the_cards_head_has_the_hub_read_the_same(export: Export, tmp_path: Path) -> None:
    """`load_dataset` of the folder finds the features in the card."""
    from datasets import load_dataset

    made = export("messages", [as_turns(chat) for chat in TOOL_USE])
    found = load_dataset(str(made.folder), split="train", cache_dir=str(tmp_path / "cache"))
    for i, row in enumerate(found):
        assert of_row(row)[0] == TOOL_USE[i % 3]["messages"]


@needs("datasets")
def test_numbers_that_a_loader_changes_are_told(export: Export, tmp_path: Path) -> None:
    """`datasets` reads 0.3 as another number. The card says so, and how to read it as it is."""
    call = {"type": "function", "function": {"arguments": {"share": 0.3}, "name": "f"}}
    chat = {
        "messages": [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ]
    }
    made = export("messages", [as_turns(chat)])
    assert loaded(made.data, card_of(made), tmp_path / "cache")[0]["messages"] != chat["messages"]
    (caution,) = made.cautions
    assert caution.startswith("12 of 12 conversations have a number in a tool call")
    assert caution in card_of(made)
    from datasets import IterableDataset

    (code,) = re.findall(r"`(IterableDataset\.from_generator.*?)`", caution)
    code = code.replace("'train.jsonl'", repr(str(made.data)))
    names = {"IterableDataset": IterableDataset, "json": json, "Path": Path}
    assert next(iter(eval(code, names)))["messages"] == chat["messages"]
    assert not export("axolotl", [as_turns(chat)]).cautions


def as_axolotl_reads(row: Any) -> tuple[list[Any], Any, list[bool]]:
    """As axolotl's chat_template strategy takes a row: no nulls, and JSON text parsed."""
    messages = []
    trained = []
    for turn in row["messages"]:
        kept = {name: value for name, value in turn.items() if value is not None}
        trained.append(kept.pop("train"))
        for call in kept.get("tool_calls", []):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        messages.append(kept)
    for tool in row.get("tools") or []:
        tool["function"]["parameters"] = json.loads(tool["function"]["parameters"])
    return messages, row.get("tools"), trained


@needs("datasets", "transformers")
@pytest.mark.parametrize("train", ["every", "last"])
@pytest.mark.parametrize("name", SETS)
def test_axolotl_reads_what_was_scored(
    export: Export, tmp_path: Path, name: str, train: str
) -> None:
    """Which turns are trained is in each turn, and the config names all that a turn has."""
    from datasets import load_dataset

    yaml = pytest.importorskip("yaml")

    chats = [as_turns(chat, train) for chat in SETS[name]]
    made = export("axolotl", chats)
    found = load_dataset(
        "json", data_files=str(made.data), split="train", cache_dir=str(tmp_path / "cache")
    )
    for i, row in enumerate(found):
        chat = SETS[name][i % 3]
        messages, tools, trained = as_axolotl_reads(row)
        turns = [turn for turn in chats[i % 3] if turn.role != "tools"]
        assert trained == [turn.trained for turn in turns]
        assert tools == chat.get("tools")
        for template in (QWEN3_LIKE, LLAMA3_LIKE):
            expected = rendered(template, chat["messages"], chat.get("tools"))
            assert rendered(template, messages, tools) == expected
    (entry,) = yaml.safe_load((made.folder / "axolotl.yaml").read_text())["datasets"]
    assert entry["message_field_training"] == "train"
    assert entry.get("field_tools") == ("tools" if name == "tools" else None)
    assert entry["train_on_eos"] == "turn"
    mapped = entry["message_property_mappings"]
    names = {key for chat in SETS[name] for turn in chat["messages"] for key in turn}
    assert mapped == {key: key for key in names}


def test_openai_has_weights_calls_as_text_and_no_nulls(export: Export) -> None:
    """Each assistant's turn has its weight; calls and results are tied by ids."""
    made = export("openai", [as_turns(chat, "last") for chat in TOOL_USE])
    first, second, third = rows_of(made)[:3]
    assert '": null' not in json.dumps(first["messages"])
    _, call, result, answer = first["messages"]
    assert "content" not in call
    assert call["weight"] == 0
    assert call["tool_calls"][0]["function"]["arguments"] == '{"day": "2024-05-01", "hour": 7}'
    assert result == {
        "role": "tool", "content": "12 C", "name": "weather", "tool_call_id": "a1"
    }  # fmt: skip
    assert answer == {"role": "assistant", "content": "12 degrees.", "weight": 1}
    assert first["tools"] == TOOL_USE[0]["tools"]
    # Without ids in the file, the format's own are given.
    ((call,), result) = second["messages"][1]["tool_calls"], second["messages"][2]
    assert call["id"] == result["tool_call_id"] == "call_1"
    assert "tools" not in third
    assert [turn.get("weight") for turn in third["messages"]] == [None, 1]
    weighed = export("fireworks", [as_turns(chat, "last") for chat in TOOL_USE])
    assert rows_of(weighed)[0] == {**first, "weight": 1.0}


def test_llama_factory_gets_calls_results_and_thinking(export: Export) -> None:
    """As its data/README.md has them: roles of their own, JSON text, one setting of the mask."""
    made = export("llama-factory", [as_turns(chat) for chat in TOOL_USE])
    first, second, third = rows_of(made)[:3]
    assert [turn["role"] for turn in first["messages"]] == [
        "user", "function_call", "observation", "assistant"
    ]  # fmt: skip
    (call,) = json.loads(second["messages"][1]["content"])
    assert call == TOOL_USE[1]["messages"][1]["tool_calls"][0]["function"]
    assert json.loads(first["tools"]) == TOOL_USE[0]["tools"]
    assert "tools" not in third
    (entry,) = json.loads((made.folder / "dataset_info.json").read_text()).values()
    assert entry["columns"] == {"messages": "messages", "tools": "tools"}
    assert entry["tags"]["function_tag"] == "function_call"
    assert entry["tags"]["observation_tag"] == "observation"
    assert "mask_history" not in card_of(made)
    assert any(text.endswith("that was not what was scored.") for text in made.cautions)
    made = export("llama-factory", [as_turns(chat, "last") for chat in THOUGHTFUL])
    assert "Set `mask_history: true`" in card_of(made)
    turn = rows_of(made)[0]["messages"][-1]
    assert turn == {"role": "assistant", "content": "<think>\nAgain:\n+ 1\n</think>\n\n2"}


def test_the_table_has_each_conversation(export: Export) -> None:
    """As JSON text, with the places of the trained turns."""
    made = export("parquet", [as_turns(chat) for chat in TOOL_USE])
    table = pl.read_parquet(made.data)
    assert [json.loads(text) for text in table["messages"][:3]] == [
        chat["messages"] for chat in TOOL_USE
    ]
    assert table["trained"].to_list()[:3] == [[1, 3], [1, 3], [1]]
    assert table["tools"].to_list()[2] is None
    assert table["response"][0] == "12 degrees."


def one_trained(place: int, chat: dict[str, Any]) -> Turns:
    return tuple(replace(turn, trained=i == place) for i, turn in enumerate(as_turns(chat)))


AGAIN = {"messages": [{"role": "user", "content": "?"}, *MULTI[0]["messages"][1:]]}
REFUSED = [
    ("messages", as_turns(MULTI[0], "last"), "has an assistant's turn that is not trained"),
    ("prompt-completion", one_trained(2, MULTI[0]), "not trained behind one that is"),
    ("prompt-completion", as_turns({"messages": MULTI[0]["messages"][2:]}), "there is no prompt"),
    ("openai", as_turns(THOUGHTFUL[0]), "has thinking in a field"),
    ("fireworks", as_turns(THOUGHTFUL[0]), "has thinking in a field"),
    ("llama-factory", one_trained(2, MULTI[0]), "neither all of the assistant's nor the last"),
    ("llama-factory", as_turns(AGAIN), "would skip the conversation"),
    ("llama-factory", as_turns({"messages": MULTI[0]["messages"][:4]}), "does not end with the"),
    ("sdft", as_turns(TOOL_USE[0]), "has tools, which its trainer does not read"),
    ("sdft", as_turns(MULTI[0]), "has other trained turns than its last"),
    ("sdft", as_turns(THOUGHTFUL[0], "last"), "has a response with more than its text"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "turns", "reason"), REFUSED)
def test_what_a_format_cannot_say_is_refused(
    export: Export, kind: str, turns: Turns, reason: str
) -> None:
    """With how many there are, the first of them, and the formats that can; no file is left."""
    with pytest.raises(InputError) as caught:
        export(kind, [as_turns(MULTI[2], "last")[-2:], turns])
    (problem,) = caught.value.problems
    assert f"of 12 conversations 6 cannot be written as {kind}: sums/" in problem.what
    assert reason in problem.what
    offered = problem.remedy.removeprefix("Formats that can say them: ").split(", ")
    assert "axolotl" in offered
    assert kind not in offered
    assert not [path for path in Path("out0", kind).iterdir() if path.is_file()]
    for other in offered:
        assert export(other, [as_turns(MULTI[2], "last")[-2:], turns]).counts[0].kept == COUNT


def test_one_setting_for_all_conversations(export: Export) -> None:
    """LLaMA-Factory's mask is one for the set, so a mixture is refused."""
    with pytest.raises(InputError, match="its trainer has one setting for all"):
        export("llama-factory", [as_turns(MULTI[0]), as_turns(MULTI[1], "last")])


def test_the_card_says_what_is_trained(export: Export) -> None:
    """How many turns, which setting, and what the template must have; the manifest counts."""
    made = export("messages", [as_turns(chat) for chat in TOOL_USE])
    card = card_of(made)
    assert "12 of the rows are whole conversations, as the target was scored on them" in card
    assert "40 turns, of which 20 are trained. 8 have tools, 8 tool calls, 0 thinking" in card
    for said in ("`assistant_only_loss=True`", "{% generation %}", "Qwen3", "Json"):
        assert said in card
    assert "No system prompt was added" not in card
    manifest = json.loads((made.folder / "manifest.json").read_text())
    assert manifest["conversations"] == {
        "rows": 12, "turns": 40, "trained": 20, "with_tools": 8, "with_calls": 8, "with_thinking": 0
    }  # fmt: skip
    # The tool results are part of the completion, so the other mask is needed too.
    beside = card_of(export("prompt-completion", [as_turns(chat) for chat in TOOL_USE]))
    assert (
        "in 8 of 12 conversations there are turns among it that are not the assistant's" in beside
    )
    last = card_of(export("prompt-completion", [as_turns(chat, "last") for chat in TOOL_USE]))
    assert "turns among it" not in last
    # The blocks may leave out what the template writes behind the end of a turn.
    assert "If the chat template has `{% generation %}`, set `assistant_only_loss=True`" in last


def test_pairs_begin_where_they_differ(export: Export) -> None:
    """What both begin with is the prompt; where that cannot be, the pair is counted as left out."""
    ours = [as_turns(chat) for chat in TOOL_USE]
    other = {"role": "assistant", "content": "Warm."}
    chats = [{**chat, "messages": [*chat["messages"][:-1], other]} for chat in TOOL_USE]
    made = export("dpo", ours, [as_turns(chat) for chat in chats])
    found = rows_of(made)
    assert len(found) == COUNT
    for i, row in enumerate(found):
        chat = TOOL_USE[i % 3]
        assert row["prompt"] == chat["messages"][:-1]
        ends = [row["chosen"], row["rejected"]]
        assert sorted(ends, key=str) == sorted([[chat["messages"][-1]], [other]], key=str)
        assert row.get("tools") == (json.dumps(chat["tools"]) if "tools" in chat else None)
    assert not made.cautions or "DPO counts" not in str(made.cautions)


def test_conversations_that_make_no_pair(export: Export) -> None:
    """Each with its reason: other tools, a beginning, no prompt, a turn that is not trained."""
    chat = as_turns(MULTI[0])
    end = Message("assistant", "Other.", trained=True)
    tools = Message("tools", "[]")
    cases = [
        (chat, chat, "best and worst are the same"),
        (chat, (tools, *chat), "best and worst have different tools"),
        (chat, chat[:3], "one of best and worst is the beginning of the other"),
        (chat, (end,), "best and worst begin differently, so that there is no prompt"),
        (chat, (*chat[:3], Message("user", "No"), end), "differ in a turn that is not trained"),
        (chat, (*chat[:-1], end), ""),
    ]
    made = export("dpo", [ours for ours, _, _ in cases], [theirs for _, theirs, _ in cases])
    assert made.counts[0].kept == 2
    dropped = made.counts[0].dropped
    assert sorted(dropped.values()) == [2] * 5
    for *_, reason in cases:
        assert any(known.endswith(reason) for known in dropped)


def test_tool_results_behind_the_prompt_of_a_pair_are_told(export: Export) -> None:
    """DPO has no mask within a response."""
    first = TOOL_USE[0]
    call = {**first["messages"][1], "content": "Let me look."}
    other = {**first, "messages": [first["messages"][0], call, *first["messages"][2:]]}
    made = export("dpo", [as_turns(first)], [as_turns(other)])
    assert any("in 12 of 12 pairs there are turns that are not trained" in c for c in made.cautions)


@needs("datasets", "transformers")
@pytest.mark.parametrize("name", SETS)
def test_from_the_input_file_to_the_trainers_loader(
    bench: Bench, tmp_path: Path, name: str
) -> None:
    """A recipe over conversations, run, applied and exported: the loaded rows are the file's."""
    chats = [{"id": f"c{i}", **SETS[name][i % 3]} for i in range(COUNT)]
    bench.write("sums.jsonl", jsonl(chats))
    bench.edit('input = "question"\nreference = "rationale"\nlabel = "answer"\n', "")
    bench.edit('answer = "number"\n', "")
    said = 'messages = "messages"\ntrain = "every"\n'
    bench.edit("sample = 6\n", said + ('tools = "tools"\n' if name == "tools" else ""))
    bench.edit('column = "rationale"', 'column = "messages"')
    text = bench.recipe.read_text()
    teacher = text.index('[[strategies]]\nname = "teacher"')
    kept = text[:teacher] + text[text.index("[own_outputs]") :]
    bench.recipe.write_text(kept)
    bench.edit('[models.teacher]\nbackend = "fake"\nvariant = "teacher"\n', "")
    applied = bench.respsel("apply", "a.toml", "--strategy", "human")
    assert applied.code == 0, applied.err
    done = bench.respsel("export", "a.toml", "--format", "messages", "--json")
    assert done.code == 0, done.err
    (made,) = done.json
    folder = Path(made["folder"])
    rows = loaded(folder / "train.jsonl", (folder / "README.md").read_text(), tmp_path / "cache")
    assert len(rows) == COUNT
    # Texts, so that the order of the keys counts, which a template writes.
    found = sorted(json.dumps(of_row(row)) for row in rows)
    assert found == sorted(
        json.dumps([in_their_order(chat["messages"]), chat.get("tools")]) for chat in chats
    )


def in_their_order(messages: list[Any]) -> list[Any]:
    """The role and the text of a turn come first, and all else by its name."""
    return [
        {"role": turn["role"], "content": turn["content"], **dict(sorted(turn.items()))}
        for turn in messages
    ]


def spoken(chat: dict[str, Any], template: str) -> list[str]:
    """What a template writes for each of the assistant's turns, with the end of the turn."""
    text = rendered(template, chat["messages"], chat.get("tools"))
    start = "<|start_header_id|>assistant<|end_header_id|>\n\n"
    pattern = r"<\|im_start\|>assistant\n(.*?<\|im_end\|>)"
    if template == LLAMA3_LIKE:
        pattern = re.escape(start) + r"(.*?<\|eot_id\|>)"
    return re.findall(pattern, text, re.DOTALL)


# The name of a set, the format, what of its turns is trained, the template ("" for the
# tokenizer's own, which is SmolLM2's), and whether assistant_only_loss is set.
TRAINED = [
    ("multi", "messages", "every", QWEN3_LIKE, True),
    ("multi", "messages", "every", LLAMA3_LIKE, True),
    ("multi", "prompt-completion", "last", QWEN3_LIKE, False),
    ("multi", "prompt-completion", "last", LLAMA3_LIKE, False),
    ("multi", "prompt-completion", "last", "", False),
    ("tools", "messages", "every", QWEN3_LIKE, True),
    ("tools", "messages", "every", LLAMA3_LIKE, True),
    ("tools", "prompt-completion", "every", QWEN3_LIKE, True),
    ("tools", "prompt-completion", "every", LLAMA3_LIKE, True),
    ("thinking", "messages", "every", QWEN3_LIKE, True),
    ("thinking", "prompt-completion", "last", QWEN3_LIKE, False),
]


@pytest.mark.real
@needs("trl", "datasets", "transformers", "torch", "gguf")
def test_trl_trains_on_the_trained_turns_and_nothing_else(
    export: Export, smollm2: Path, tmp_path: Path
) -> None:
    """Its labels are the tokens of the trained turns, and its loss is the mean nll that respsel's
    backend gives for these tokens.
    """
    jobs = []
    for name, kind, train, template, assistant_only in TRAINED:
        chats = [as_turns(chat, train) for chat in SETS[name]]
        made = export(kind, chats)
        columns = ["messages"] if kind == "messages" else ["prompt", "completion"]
        turns = [[[t.role, t.content, t.fields, t.trained] for t in chat] for chat in chats]
        jobs.append(
            {
                "name": f"{name} {kind} {train}",
                "data": str(made.data),
                "columns": columns,
                "template": template or None,
                "assistant_only": assistant_only,
                "turns": [turns[i % 3] for i in range(COUNT)],
            }
        )
    (tmp_path / "jobs.json").write_text(json.dumps(jobs), "utf-8")
    arguments = [str(tmp_path / "jobs.json"), str(smollm2)]
    printed = trainer_output("turn_trainers", arguments, tmp_path)
    found = [json.loads(line) for line in printed.splitlines() if line.startswith('{"job')]
    assert len(found) == len(TRAINED)
    for case, answer in zip(TRAINED, found, strict=True):
        check_trained(case, answer)


def check_trained(case: tuple[str, str, str, str, bool], answer: Any) -> None:
    name, kind, train, template, assistant_only = case
    assert len(answer["rows"]) == COUNT
    for i, row in enumerate(answer["rows"]):
        chat = SETS[name][i % 3]
        texts = spoken(chat, template or QWEN3_LIKE)
        expected = texts if train == "every" else texts[-1:]
        if kind == "prompt-completion" and train == "last":
            # A completion goes on to the end of the text, with the line end behind the turn. It
            # begins where the tokens of the prompt alone and of the whole part: this tokenizer has
            # one token for two line ends at an end, and two in the middle.
            llama = template == LLAMA3_LIKE
            expected = [f"\n\n{expected[0]}" if llama else f"{expected[0]}\n"]
        assert row["texts"] == expected, answer["job"]
        if template:
            assert row["text"] == rendered(template, chat["messages"], chat.get("tools"))
        assert row["loss"] == pytest.approx(row["nll"], abs=1e-3)
        placed = row["placed"]
        assert placed["problem"] == ""
        assert placed["ids"] == row["ids"]
        if assistant_only:
            assert placed["spans"] == row["spans"]
        else:
            # What completion-only training takes beside is what the template writes.
            ((start, end),) = row["spans"]
            ((first, last),) = placed["spans"]
            assert start <= first < last <= end
            print(answer["job"], start, first, last, end)
    assert answer["batch"]["loss"] == pytest.approx(answer["batch"]["nll"], abs=1e-3)
    # The rows differ, so that equal numbers say something.
    assert len({round(row["loss"], 2) for row in answer["rows"]}) > 1
