"""How each type of `tokenizer.ggml.pre` splits text before byte-pair merges.

A split is what the original tokenizer.json says, as llama.cpp's source quotes it, or llama.cpp's
own where it quotes none. Knows nothing of files. Invariant: a type is in the list only if a test
has compared it with llama.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PreTokenizer:
    """How a type splits.

    splits: patterns in turn; each cuts what the ones before left whole.
    whole_words: a piece that is a token as it stands is not merged (ignore_merges).
    composed: the original composes characters first (Unicode NFC); llama.cpp does not.
    """

    splits: tuple[str, ...]
    whole_words: bool = False
    composed: bool = False


_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_MARKS = r" ?[^\s\p{L}\p{N}]+"
_BLANKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_DIGIT = r"\p{N}"
_GPT2 = rf"'s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?\p{{N}}+|{_MARKS}|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTION}|{_WORD}|\p{{N}}{{1,3}}|{_MARKS}[\r\n]*|{_BLANKS}"
_QWEN2 = rf"{_CONTRACTION}|{_WORD}|\p{{N}}|{_MARKS}[\r\n]*|{_BLANKS}"
_QWEN35 = (
    rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
    rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_BLANKS}"
)
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_FIRST = r"[^\r\n\p{L}\p{N}]?"
_TEKKEN = (
    rf"{_FIRST}{_UPPER}*{_LOWER}+|{_FIRST}{_UPPER}+{_LOWER}*"
    rf"|\p{{N}}|{_MARKS}[\r\n/]*|{_BLANKS}"
)
_GPT4O = (
    rf"{_FIRST}{_UPPER}*{_LOWER}+{_CONTRACTION}?|{_FIRST}{_UPPER}+{_LOWER}*{_CONTRACTION}?"
    rf"|\p{{N}}{{1,3}}|{_MARKS}[\r\n/]*|{_BLANKS}"
)
_ASCII_MARK = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""
_DEEPSEEK3_WORD = rf"{_ASCII_MARK}[A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+"
_CHINESE_JAPANESE = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
_DEEPSEEK3 = (
    r"\p{N}{1,3}",
    _CHINESE_JAPANESE,
    rf"{_DEEPSEEK3_WORD}| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_BLANKS}",
)
_CHINESE_KOREAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
# All letters with upper and lower case, as the DeepSeek LLM tokenizer lists them.
_CASED = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293"
    "\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c"
    "\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5"
    "\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59"
    "\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc"
    "\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107"
    "\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139"
    "\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee"
    "\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e"
    "\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2"
    "\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
)
_DEEPSEEK_LLM = (
    r"[\r\n]",
    rf"\s?[{_CASED}]+",
    "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
    r"\s+$",
    _CHINESE_KOREAN,
    r"\p{N}+",
)
_BLOOM = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
_CASCADE = "".join(rf"\s{{{n}}}(?!\S)|" for n in (512, 256, 128, 64, 32, 16, 8, 4))

_GPT2_ALONE = PreTokenizer((_GPT2,))
_DIGITS_GPT2 = PreTokenizer((_DIGIT, _GPT2))

_BY_DEFINITION: Mapping[PreTokenizer, tuple[str, ...]] = {
    _GPT2_ALONE: (
        *("gpt-2", "phi-2", "gigachat", "a.x-4.0", "mellum", "modern-bert", "exaone4", "jais"),
        *("trillion", "granite-docling", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es"),
        *("jina-v2-de", "jina-v2-code", "roberta-bpe"),
    ),
    PreTokenizer((_GPT2,), composed=True): ("olmo", "mpt"),
    _DIGITS_GPT2: ("smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"),
    PreTokenizer((_DIGIT, _GPT2), composed=True): ("command-r",),
    PreTokenizer((_LLAMA3,), whole_words=True): (
        *("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
        *("jina-v5-nano", "glm4", "glm5"),
    ),
    PreTokenizer((_LLAMA3,)): ("dbrx", "smaug-bpe", "chatglm-bpe"),
    PreTokenizer((_QWEN2,), composed=True): ("qwen2",),
    PreTokenizer((_QWEN2,)): (
        *("deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open"),
        "grok-2",
    ),
    PreTokenizer((_QWEN35,), composed=True): ("qwen35",),
    PreTokenizer((_TEKKEN,), whole_words=True): ("tekken",),
    PreTokenizer((_GPT4O,)): ("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"),
    PreTokenizer(_DEEPSEEK_LLM): ("deepseek-llm",),
    PreTokenizer((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CHINESE_KOREAN, _DIGIT)): (
        "deepseek-coder",
    ),
    PreTokenizer(_DEEPSEEK3): ("deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"),
    PreTokenizer(
        (
            r"\p{N}{1,3}",
            _CHINESE_JAPANESE,
            rf"{_DEEPSEEK3_WORD}| ?[\p{{P}}\p{{S}}]+|[\r\n]|\s+(?!\S)|\s+",
            _DIGIT,
        )
    ): ("spark2_5",),
    PreTokenizer((r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, "[0-9][0-9][0-9]")): ("falcon",),
    PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]")): ("default",),
    PreTokenizer((_BLOOM,)): ("bloom", "gpt3-finnish", "poro-chat"),
    PreTokenizer((_BLOOM, _DIGIT)): ("viking",),
    PreTokenizer(
        (
            rf"{_CONTRACTION}|{_WORD}|\p{{N}}{{1,3}}|{_MARKS}[\r\n]*|\s*[\r\n]+"
            rf"|{_CASCADE}\s{{1,2}}(?!\S)|\s{{1}}",
        )
    ): ("jais-2",),
    PreTokenizer(
        (rf"{_CONTRACTION}|{_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",)
    ): (
        "bailingmoe",
        "bailingmoe2",
        "llada-moe",
    ),
    PreTokenizer((rf"{_CONTRACTION}|{_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_BLANKS}",)): (
        "seed-coder",
    ),
    PreTokenizer((rf"{_WORD}|\p{{N}}|{_MARKS}[\r\n]*|{_BLANKS}",)): ("ufakzeka",),
    PreTokenizer((r"[^\n]+|[\n]+", _QWEN2)): ("laguna",),
    PreTokenizer(
        (
            rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?(?:\p{{L}}\p{{M}}*(?: "
            rf"\p{{L}}\p{{M}}*)*)+|\p{{N}}"
            rf"|{_MARKS}[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
        )
    ): ("exaone-moe",),
    PreTokenizer(
        (r"\p{N}{1,3}", rf"{_CONTRACTION}|{_WORD}|\p{{N}}+|{_MARKS}[\r\n]*|{_BLANKS}"),
        whole_words=True,
    ): ("minicpm5",),
    PreTokenizer((r"\p{N}+", r"(?=(\d{3})+(?!\d))")): ("superbpe",),
}

PRE_TOKENIZERS: Mapping[str, PreTokenizer] = {
    name: definition for definition, names in _BY_DEFINITION.items() for name in names
}
# Types of which llama.cpp only comes near the original; docs/backends.md says where. Here the
# original is followed.
APPROXIMATE_IN_LLAMA_CPP = frozenset(
    {
        *("tekken", "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"),
        *("deepseek-llm", "deepseek-coder", "superbpe"),
        *(name for name, definition in PRE_TOKENIZERS.items() if definition.composed),
    }
)
