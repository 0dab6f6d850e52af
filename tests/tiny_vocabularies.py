"""Tokenizers as tiny GGUF files, whose merges join whatever a pre-tokenizer should have
kept apart.
"""

from __future__ import annotations

import ctypes
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.tiny_gguf import byte_to_unicode

# Digits, blanks, line ends, scripts, marks, emoji, contractions and code, where splits differ.
PIECES = (
    *(
        "1",
        "12",
        "123",
        "1234",
        "12345",
        "123456",
        "1234567",
        "1,234,567",
        "3.14",
        "½",
        "²³",
        "٣٤",
        "Ⅻ",
        "१२३",
    ),
    *(
        " ",
        "  ",
        "   ",
        "        ",
        "\t",
        "\t\t",
        "\n",
        "\n\n",
        "\r\n",
        "\r\n\r\n",
        " \n",
        "\n ",
        "\u00a0",
        "\u2028",
        "\u3000",
    ),
    *(
        "the",
        "The",
        "THE",
        " the",
        "camelCase",
        "HTMLParser",
        "naïve",
        "Straße",
        "ÉCOLE",
        "école",
        "нещо",
        "НЕЩО",
    ),
    *(
        "我想",
        "在",
        "東京",
        "ひらがな",
        "カタカナ",
        "ｶﾅ",
        "한국어",
        "ไทย",
        "ที่นี่",
        "हिन्दी",
        "বাংলা",
        "العربية",
        "עברית",
        "ខ្មែរ",
    ),
    *("🚀", "😶‍🌫️", "👩‍👩‍👧", "🇫🇷", "é", "e\u0301", "o\u0308", "\u0301", "한"),
    *(
        "'s",
        "'S",
        "'t",
        "'re",
        "'RE",
        "'ll",
        "'lL",
        "'d",
        "'",
        "''",
        "’s",
        "’",
        "don't",
        "I'VE",
        "'ſ",
    ),
    *(
        "x = 1;",
        "{",
        "}",
        "()",
        "->",
        "==",
        "//",
        "/*",
        "#include",
        "a_b",
        "a.b",
        "!",
        "?!",
        "...",
        "…",
        "。",
        "、",
        "！",
        "«»",
    ),
    *(
        "$",
        "+",
        "<",
        "=",
        ">",
        "^",
        "`",
        "|",
        "~",
        "€",
        "™",
        "°",
        "−",
        "×",
        "\\n",
        "\\",
        '"',
        "/",
        "a/b\n",
        "#\r\n",
        "-",
        "—",
    ),
)

# Characters of every block that Python's Unicode tables know, some five hundred.
CHARACTERS = tuple(
    chr(code)
    for code in range(0xA0, 0x20000, 211)
    if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")
)


def write_vocabulary(
    path: Path, pre: str | None, tokens: Sequence[str], merges: Sequence[str] | None, **more: Any
) -> Path:
    """A GGUF file without weights.

    more: model, kinds, scores, and other fields of `tokenizer.ggml`.
    """
    import gguf

    made: Any = gguf.GGUFWriter(str(path), "llama")
    made.add_context_length(64)
    made.add_embedding_length(64)
    made.add_block_count(1)
    made.add_head_count(4)
    made.add_head_count_kv(4)
    made.add_feed_forward_length(64)
    made.add_layer_norm_rms_eps(1e-5)
    made.add_vocab_size(len(tokens))
    if name := more.pop("name", None):
        made.add_name(name)
    made.add_tokenizer_model(more.pop("model", "gpt2"))
    if pre is not None:
        made.add_tokenizer_pre(pre)
    made.add_token_list(list(tokens))
    made.add_token_types(more.pop("kinds", [1] * len(tokens)))
    if merges is not None:
        made.add_token_merges(list(merges))
    if (scores := more.pop("scores", None)) is not None:
        made.add_token_scores(scores)
    made.add_chat_template("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    made.add_bos_token_id(0)
    made.add_eos_token_id(0)
    for field, number in more.pop("ids", {}).items():
        made.add_uint32(f"tokenizer.ggml.{field}_token_id", number)
    for field, value in more.items():
        made.add_bool(f"tokenizer.ggml.{field}", value)
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.close()
    return path


@cache
def crossing_merges() -> tuple[list[str], list[str]]:
    """Tokens and merges of a byte-level vocabulary, trained on pieces in random order as if they
    were one word.
    """
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = list(byte_to_unicode().values())
    trainer = trainers.BpeTrainer(
        vocab_size=6000, initial_alphabet=alphabet, show_progress=False, max_token_length=12
    )
    tokenizer.train_from_iterator([random_text(seed, 6) for seed in range(3000)], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [" ".join(pair) for pair in model["merges"]]
    return ["<|endoftext|>", *tokens], merges


def random_text(seed: int, pieces: int, among: Sequence[str] = PIECES) -> str:
    import random

    stream = random.Random(seed)
    return "".join(stream.choice(among) for _ in range(pieces))


class LlamaTokens:
    """llama.cpp's own tokenizer of a GGUF file."""

    def __init__(self, path: Path) -> None:
        import llama_cpp

        from respsel.backends.llama_cpp.library import capture_log

        self._api: Any = llama_cpp
        log = capture_log(llama_cpp)
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        assert self._model, log
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)

    def ids(self, text: str, control: bool = False) -> list[int]:
        data = text.encode()
        found = (ctypes.c_int32 * (len(data) + 8))()
        count = self._api.llama_tokenize(
            self._vocab, data, len(data), found, len(data) + 8, False, control
        )
        return list(found[:count])

    def close(self) -> None:
        self._api.llama_model_free(self._model)


@cache
def sentencepiece_vocabulary() -> tuple[list[str], list[float], list[int]]:
    """Tokens, scores and types of a SentencePiece vocabulary of byte pairs, with a token for each
    byte.
    """
    model = _trained_model()
    merged = list(dict.fromkeys(left + right for left, right in model["merges"]))
    single = [token for token in model["vocab"] if len(token) == 1]
    head = ["<unk>", "<s>", "</s>", *_BYTES]
    scores = [0.0] * len(head) + [-float(rank) for rank in range(len(merged) + len(single))]
    return (
        [*head, *merged, *single],
        scores,
        [2, 3, 3] + [6] * 256 + [1] * (len(merged) + len(single)),
    )


@cache
def gemma4_vocabulary() -> tuple[list[str], list[str], list[int]]:
    """Tokens, merges and types of a vocabulary as Gemma 4 has it: no merge joins a line end with
    anything else.
    """
    model = _trained_model()
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [" ".join(pair) for pair in model["merges"]]
    return ["<unk>", "<eos>", *_BYTES, *tokens], merges, [2, 3] + [6] * 256 + [1] * len(tokens)


_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@cache
def _trained_model() -> dict[str, Any]:
    """Pairs of characters, blanks as SentencePiece writes them."""
    import json

    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n+"), "isolated")
    trainer = trainers.BpeTrainer(
        vocab_size=1500, limit_alphabet=90, show_progress=False, max_token_length=8
    )
    texts = [random_text(seed, 6).replace(" ", "▁") for seed in range(1000)]
    tokenizer.train_from_iterator(texts, trainer)
    found: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return found
