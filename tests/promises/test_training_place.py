"""Promise: a response is scored on the tokens that training has of it, behind the tokens that
training has before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from respsel.backends.chat_text import ChatText
from respsel.data.prompts import plain_messages
from respsel.records import Message
from tests.backends.test_placement import (
    CHATML,
    DROPPED_THINK,
    EMPTY_THINK,
    NO_PROMPT,
    OPENED_THINK,
)
from tests.conftest import Bench, needs

pytestmark = needs("transformers", "tokenizers")
# A template without a control token before the response, as Llama 2's: tokens may begin in it.
BARE = (
    "{% for m in messages %}{{ m.content if m.role == 'user' else '\n' + m.content + '\n\n' "
    "}}{% endfor %}"
)
TEMPLATES = {
    "chatml": CHATML,
    "empty": EMPTY_THINK,
    "dropped": DROPPED_THINK,
    "opened": OPENED_THINK,
    "none": NO_PROMPT,
}
SAMPLING = "sampling = { max_tokens = 16 }\n"
RESPONSES = [
    "Seven.",
    "\nSeven, since 3 + 4 is 7.",
    "7\n\n8",
    "Größe \N{FACE WITH TEARS OF JOY} 数",
    "<think>\nThree.\n</think>\n\nSeven.",
    "ends with a line\n",
]


class Counted:
    """A byte-level BPE whose merges run across the template's words, with think tags as tokens of
    their own.
    """

    def __init__(self, template: str) -> None:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import PreTrainedTokenizerFast

        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        made.decoder = decoders.ByteLevel()
        texts = [
            "\n\nSeven.",
            "\nSeven",
            "assistant\nSeven",
            "assistant\n7",
            "Seven.\n",
            "?\n\n",
            ".\n\n",
            "\n\n\n",
        ] * 9 + ["\nS"] * 99
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        special = ["<|im_start|>", "<|im_end|>", "<s>", "</s>"]
        made.train_from_iterator(
            texts,
            trainers.BpeTrainer(
                special_tokens=special, initial_alphabet=alphabet, show_progress=False
            ),
        )
        made.add_tokens(["<think>", "</think>"])
        self.tokenizer: Any = PreTrainedTokenizerFast(
            tokenizer_object=made, bos_token="<s>", eos_token="</s>"
        )  # type: ignore[no-untyped-call]
        self.tokenizer.chat_template = template

    def text(self) -> ChatText:
        """respsel's side of it."""
        from respsel.backends.transformers.text import HfText

        return HfText(self.tokenizer, None, "test")

    def trained(self, question: str, response: str) -> tuple[list[int], str]:
        """transformers' own tokens of the whole conversation, and its text."""
        chat = [{"role": "user", "content": question}, {"role": "assistant", "content": response}]
        ids: Any = self.tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False)
        text: Any = self.tokenizer.apply_chat_template(chat, tokenize=False)
        return list(ids), str(text)


@pytest.mark.parametrize("template", [*TEMPLATES.values(), BARE], ids=[*TEMPLATES, "bare"])
@pytest.mark.parametrize("response", RESPONSES)
def test_prompt_and_response_begin_the_trained_tokens(template: str, response: str) -> None:
    """Prompt and response are the first tokens of what transformers makes of the conversation, and
    end with the token that spells the response's last byte; each response token spells some of its
    bytes."""
    counted = Counted(template)
    placed = counted.text().placed(plain_messages("How many?"), response)
    trained, text = counted.trained("How many?", response)
    both = [*placed.prompt_ids, *placed.response_ids]
    assert not placed.problem
    assert trained[: len(both)] == both
    own = counted.tokenizer.decode(list(placed.response_ids))
    kept = response if response.strip() in text else response.split("</think>")[-1]
    assert kept.strip() in own
    assert len(own) - len(kept.strip()) < 12, "a token or two of the template at most"
    if placed.lengths is not None:
        assert sum(placed.lengths) == len(response.encode())
        assert len(placed.lengths) == len(placed.response_ids)


def test_a_token_that_begins_in_the_template_is_the_responses() -> None:
    """Where the tokenizer joins the template's line break with the response's first letters, that
    token is scored.
    """
    counted = Counted(BARE)
    text = counted.text()
    placed = text.placed(plain_messages("How many?"), "Seven.")
    assert text.response_ids("Seven.") != placed.response_ids
    assert counted.tokenizer.decode(list(placed.response_ids[:1])).startswith(("\n", "?"))


def test_a_users_control_token_stays_text_at_its_place() -> None:
    """A response that spells the end of a turn has no such token, and the prompt neither."""
    counted = Counted(CHATML)
    end = counted.tokenizer.convert_tokens_to_ids("<|im_end|>")
    placed = counted.text().placed([Message("user", "a<|im_end|>b")], "c<|im_end|>d")
    assert end not in placed.response_ids
    assert placed.prompt_ids.count(end) == 1
    assert counted.tokenizer.decode(list(placed.response_ids)) == "c<|im_end|>d"


@pytest.fixture
def templated(bench: Bench, make_tiny_gguf: Callable[..., Path]) -> Callable[..., Any]:
    """Run the bench's recipe with a tiny GGUF as target and a chat template; gives the report."""
    path = make_tiny_gguf()

    def run(template: str, more: str = "") -> Any:
        (bench.folder / "t.jinja").write_text(template)
        target = (
            f'backend = "llama-cpp"\npath = "{path}"\nchat_template = "t.jinja"\n{SAMPLING}{more}'
        )
        text = bench.recipe.read_text()
        head, tail = text.split("[models.target]\n", 1)
        bench.recipe.write_text(
            f"{head}[models.target]\n{target}\n\n[models.teacher]"
            + tail.split("[models.teacher]", 1)[1]
        )
        done = bench.respsel("run", "a.toml")
        assert done.code == 0, done.err
        return json.loads((bench.folder / "runs" / "a" / "report.json").read_text())

    return run


@needs("llama_cpp", "gguf")
def test_the_audit_tells_where_responses_stand(templated: Callable[..., Any], bench: Bench) -> None:
    """The report names what training has before a response and the prompt does not;
    template_options that mend it are another model, and their report has no such line."""
    report = templated(EMPTY_THINK)
    (data,) = report["datasets"]
    (told,) = data["places"]
    assert told.endswith(
        r": all responses (behind '<think>\n\n</think>\n\n', which the prompt lacks)."
    )
    assert (
        r"(behind `<think>\n\n</think>\n\n`, which the prompt lacks)"
        in (bench.folder / "runs" / "a" / "report.md").read_text()
    )
    first = report["provenance"]["models"]["target"]["identity"]
    report = templated(EMPTY_THINK, "template_options = { enable_thinking = false }")
    assert report["datasets"][0]["places"] == []
    assert report["provenance"]["models"]["target"]["identity"] != first
    assert report["provenance"]["models"]["target"]["template_options"] == {
        "enable_thinking": False
    }
    for command in (
        ("apply", "a.toml", "--strategy", "human"),
        ("export", "a.toml", "--format", "messages"),
    ):
        assert bench.respsel(*command).code == 0
    folder = bench.folder / "runs" / "a" / "training" / "messages"
    assert (
        '`{"enable_thinking":false}`. Give the trainer the same'
        in (folder / "README.md").read_text()
    )
    assert json.loads((folder / "manifest.json").read_text())["template_options"] == {
        "enable_thinking": False
    }


@needs("llama_cpp", "gguf")
def test_thinking_that_is_not_trained_is_a_caution(
    templated: Callable[..., Any], bench: Bench
) -> None:
    """Where the template drops the leader's thinking, the first screen says that the rest alone was
    scored.
    """
    items = [json.loads(line) for line in (bench.folder / "sums.jsonl").read_text().splitlines()]
    for item in items:
        item["rationale"] = f"<think>\nHm.\n</think>\n\n{item['rationale']}"
    bench.write("sums.jsonl", "".join(json.dumps(item) + "\n" for item in items))
    bench.edit(
        '[[strategies]]\nname = "teacher"\nfrom = "model"\nmodel = "teacher"\nprompt = "Solve: {{ '
        'input }}"\n',
        "",
    )
    report = templated(DROPPED_THINK)
    assert "chat template leaves out a part of 6 of 6 responses of human" in " ".join(
        report["headline"]["cautions"]
    )


@needs("llama_cpp", "gguf")
def test_a_response_without_a_place_is_not_scored(templated: Callable[..., Any]) -> None:
    """A template that rewrites some responses leaves those unscored, with the reason, and the
    others are scored.
    """
    report = templated(CHATML.replace("m.content", "m.content | replace('boxes', 'crates')"))
    audit = report["datasets"][0]["audit"]
    assert any(row["not_trained"] and row["scored_responses"] for row in audit)
    assert all(row["scored_responses"] + row["not_trained"] == row["responses"] for row in audit)


@needs("llama_cpp", "gguf")
def test_a_template_that_writes_no_response_is_refused(
    templated: Callable[..., Any], bench: Bench
) -> None:
    """A template without assistant's turns cannot be trained with: exit code 3, and nothing is
    scored.
    """
    with pytest.raises(
        AssertionError, match="does not write an assistant's turn once, as it stands"
    ):
        templated(
            "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
        )
    assert bench.respsel("run", "a.toml").code == 3


@needs("llama_cpp", "gguf")
def test_a_template_of_the_users_own_is_named_where_it_is_wrong(
    templated: Callable[..., Any], bench: Bench
) -> None:
    """The error names the recipe's key, the template's file and line, not the weights;
    exit code 2.
    """
    with pytest.raises(
        AssertionError,
        match=r"model 'target', chat_template: .*t.jinja: the template failed: line 1: ",
    ):
        templated("{% for m in messages %}{{ m.content }}")
    assert bench.respsel("run", "a.toml").code == 2
