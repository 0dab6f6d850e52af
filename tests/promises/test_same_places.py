"""Promise: both engines place a response on the same tokens, behind the same ones, for the same
GGUF file.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from respsel.backends.chat_text import ChatText
from respsel.backends.gguf.pre_tokenizers import PRE_TOKENIZERS
from respsel.data.prompts import plain_messages
from tests.backends.test_placement import (
    CHATML,
    DROPPED_THINK,
    EMPTY_THINK,
    NO_PROMPT,
    OPENED_THINK,
    TRIMMED,
)
from tests.conftest import needs
from tests.promises.test_training_place import BARE
from tests.tiny_vocabularies import (
    crossing_merges,
    gemma4_vocabulary,
    random_text,
    sentencepiece_vocabulary,
    write_vocabulary,
)

pytestmark = needs("llama_cpp", "gguf", "transformers", "torch")

CONTROL = (
    "<|im_start|>",
    "<|im_end|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|endoftext|>",
    "[INST]",
    "[/INST]",
)
PLAIN = ("<think>", "</think>")
LINES = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
DIRECT = LINES.replace("|>\n'", "|>'")
BLANK = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' "
    "[/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
TEMPLATES = {
    "chatml": CHATML,
    "empty": EMPTY_THINK,
    "dropped": DROPPED_THINK,
    "opened": OPENED_THINK,
    "none": NO_PROMPT,
    "trimmed": TRIMMED,
    "bare": BARE,
    "lines": LINES,
    "direct": DIRECT,
    "blank": BLANK,
}
RESPONSES = (
    *(
        "Seven.",
        "12",
        "the 12",
        "7\n\n8",
        "\nSeven, since 3 + 4 is 7.",
        " blank",
        "ends with a line\n",
        "\t",
        "數 😂",
        "😂",
    ),
    *(
        "<think>\nThree.\n</think>\n\nSeven.",
        "<think>Three.</think>Seven.",
        "c<|end|>d",
        "<|end|> x",
        "a<|end|>",
    ),
    *(
        "     blanks",
        "a▁▁the ▁",
        "a<unk>b",
        "a<s>b",
        "a</s>",
        *(random_text(seed, 12) for seed in range(6)),
    ),
)
QUESTIONS = ("How many?", "12 <|end|> a<unk>", " x\n")
VOCABULARIES = (
    "smollm",
    "qwen2",
    "llama-bpe",
    "deepseek-v3",
    "gemma4",
    "small",
    "small bare",
    "Phi-3",
    "Phi-3 bare",
)
_Both = Callable[[str], tuple[ChatText, ChatText]]


def _write(name: str, path: Path) -> Path:
    """A vocabulary: byte-level of that type of splits, or SentencePiece's, with a blank before a
    text unless "bare".
    """
    added = [*CONTROL, *PLAIN]
    kinds = [3] * len(CONTROL) + [4] * len(PLAIN)
    if name == "gemma4":
        tokens, merges, own = gemma4_vocabulary()
        return write_vocabulary(
            path,
            None,
            [*tokens, *added],
            merges,
            model="gemma4",
            kinds=[*own, *kinds],
            ids={"unknown": 0},
        )
    if name in PRE_TOKENIZERS:
        tokens, merges = crossing_merges()
        tokens = ["<pad>", *tokens[1:]]
        return write_vocabulary(
            path, name, [*tokens, *added], merges, kinds=[3] + [1] * (len(tokens) - 1) + kinds
        )
    tokens, scores, own = sentencepiece_vocabulary()
    more: dict[str, Any] = {
        "model": "llama",
        "name": name,
        "add_space_prefix": not name.endswith("bare"),
    }
    scores = [*scores, *[-1000.0] * len(added)]
    return write_vocabulary(
        path, None, [*tokens, *added], None, scores=scores, kinds=[*own, *kinds], **more
    )


@pytest.fixture(params=VOCABULARIES)
def both(request: pytest.FixtureRequest, tmp_path: Path) -> _Both:
    """The text sides of transformers and llama.cpp, given a template."""
    from respsel.backends.gguf.tokenizer import load_gguf_tokenizer
    from respsel.backends.openai.tokenizer import open_text
    from respsel.backends.transformers.text import HfText

    path = _write(request.param, tmp_path / "v.gguf")
    tokenizer = load_gguf_tokenizer(path)

    def opened(template: str) -> tuple[ChatText, ChatText]:
        theirs: Any = open_text(path, None, template)
        return HfText(tokenizer, template, "test"), theirs

    return opened


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=list(TEMPLATES))
def test_both_engines_place_a_response_alike(both: _Both, template: str) -> None:
    """The same prompt, response, words and bytes, with blanks that SentencePiece adds or Phi-3's
    tokens swallow.
    """
    one, other = both(template)
    for question in QUESTIONS:
        for given in RESPONSES:
            # Of characters that are not composed llama.cpp and Qwen's original differ;
            # docs/backends.md says so.
            response = unicodedata.normalize("NFC", given)
            first, second = (
                text.placed(plain_messages(question), response) for text in (one, other)
            )
            assert (first.prompt_ids, first.response_ids) == (
                second.prompt_ids,
                second.response_ids,
            ), (question, response)
            assert (first.told, first.problem) == (second.told, second.problem)
            assert (first.lengths is None) == (second.lengths is None)
            for found in (first, second):
                if found.lengths is not None:
                    assert len(found.lengths) == len(found.response_ids)
                    assert sum(found.lengths) == len(response.encode())
