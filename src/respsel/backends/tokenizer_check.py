"""Whether two readings of a model's tokenizer give the same tokens, and where they first differ.

The same GGUF file through llama.cpp and through transformers, and a directory with its GGUF file.
Knows nothing of weights. Invariant: it reports a difference with the text and the tokens of both
readings, and asks no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import Any

from respsel.backends.registry import KnownModel
from respsel.errors import RespselError

# What tokenizers split differently, a short text each, so that the first difference is easy to see.
_TEXTS = (
    "The quick brown fox.",
    "1 12 123 1234 12345 123456 1234567 1,234,567.89",
    "\n\n1. First\n\n2. Second\r\n\r\n10) Tenth",
    " leading, trailing ",
    "a  b   c\t\td \n e\n\n\nf",
    "nbsp\u00a0here, line\u2028separator, wide\u3000blank",
    "don't I'VE we'll THEY'RE it’s 'quoted'",
    "camelCase HTMLParser snake_case x1y2",
    "def f(x):\n    return {'a': x ** 2}  # ok\n\n\nfor (int i=0; i<10; ++i) {}",
    "$5 + 3 = 8; 50 % <tag/> a->b a!=b ... ?! «»",
    "我想在東京工作1314天。",
    "ひらがなカタカナ、한국어 123",
    "ไทยที่นี่ हिन्दी বাংলা",
    "нещо на Български ÉCOLE école naïve Straße",
    "العربية ١٢٣ עברית x² ½ Ⅻ",
    "🚀 😶‍🌫️ 👩‍👩‍👧 🇫🇷",
    "e\u0301 o\u0308 가 각",
)
_SHOWN_TOKENS = 4
_Encode = Callable[[str], Sequence[int]]
_Spell = Callable[[Sequence[int]], str]


@dataclass(frozen=True)
class TokenizerCheck:
    """Two readings of one tokenizer.

    between: which two, in words.
    result: agree, differ or refused.
    why: the reason, where it is refused or is known to differ.
    text: the text of the first difference.
    one, other: the tokens of each reading from the first difference on, as texts.
    serious: whether they differ for no known reason.
    """

    between: str
    result: str
    why: str = ""
    text: str = ""
    one: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    serious: bool = False

    @property
    def told(self) -> str:
        """In words, on one line."""
        if self.result != "differ":
            return f"{self.between}: {self.result}" + (f", {self.why}" if self.why else "")
        first, _, second = self.between.partition(" and ")
        readings = (
            f"{first} has {' '.join(map(repr, self.one))}, {second} "
            f"{' '.join(map(repr, self.other))}"
        )
        return f"{self.between}: differ in {self.text!r}: {readings}" + (
            f" ({self.why})" if self.why else ""
        )


@dataclass(frozen=True)
class _Reading:
    name: str
    encode: _Encode
    spell: _Spell


def check_tokenizers(known: KnownModel, others: Sequence[KnownModel]) -> Iterator[TokenizerCheck]:
    """Compare what can be compared: a GGUF in both engines, and a directory with its GGUF files.

    others: the recipe's other models. Those count whose tokenizer is as large.
    """
    path = known.weights
    if path is None or find_spec("transformers") is None:
        return
    if path.is_file() and known.named.entry.backend in ("llama-cpp", "transformers"):
        yield from _check_engines(path)
    folders = (
        [path]
        if path.is_dir()
        else [path.parent, *(other.weights for other in others if other.weights)]
    )
    files = (
        [path]
        if path.is_file()
        else [*_files_of(path), *(other.weights for other in others if other.weights)]
    )
    for folder in dict.fromkeys(
        folder for folder in folders if (folder / "tokenizer.json").is_file()
    ):
        for file in dict.fromkeys(file for file in files if file.is_file()):
            yield from _check_directory(folder, file)


def _files_of(folder: Path) -> list[Path]:
    """The GGUF files in a directory, and those next to it that begin with its name."""
    siblings = (
        path
        for path in folder.parent.glob("*.gguf")
        if path.name.lower().startswith(folder.name.lower())
    )
    return [*sorted(folder.glob("*.gguf")), *sorted(siblings)]


def _check_engines(path: Path) -> Iterator[TokenizerCheck]:
    from respsel.backends.gguf.fields import read_fields
    from respsel.backends.gguf.pre_tokenizers import APPROXIMATE_IN_LLAMA_CPP
    from respsel.backends.gguf.tokenizer import UnverifiedTokenizerError, load_gguf_tokenizer

    if find_spec("llama_cpp") is None:
        return
    between = "llama.cpp and transformers"
    try:
        other = _transformers("transformers", load_gguf_tokenizer(path))
        found = _compare(between, _llama(path), other)
        if (
            found.result == "differ"
            and read_fields(path, ()).get("tokenizer.ggml.pre") in APPROXIMATE_IN_LLAMA_CPP
        ):
            found = replace(
                found, why="llama.cpp only comes near the original here, see docs/backends.md"
            )
        yield replace(found, serious=found.result == "differ" and not found.why)
    except UnverifiedTokenizerError as error:
        yield TokenizerCheck(between, "refused", f"transformers cannot run this file: {error}")
    except (ValueError, OSError, RespselError) as error:
        yield TokenizerCheck(between, "refused", str(error))


def _check_directory(folder: Path, file: Path) -> Iterator[TokenizerCheck]:
    """Compare, if both have as many tokens: others are of another model."""
    from respsel.backends.gguf.fields import read_fields
    from respsel.backends.gguf.tokenizer import UnverifiedTokenizerError, load_gguf_tokenizer
    from respsel.backends.transformers.files import Source, load_tokenizer

    try:
        tokens = read_fields(file, ["tokenizer.ggml.tokens"]).get("tokenizer.ggml.tokens") or ()
        original = load_tokenizer(Source(str(folder)))
    except (ValueError, OSError, RespselError):
        return
    if len(tokens) not in (len(original), _rows(folder)):
        return
    between = f"{file.name} and directory {folder.name}"
    try:
        reading = _transformers(file.name, load_gguf_tokenizer(file))
    except (UnverifiedTokenizerError, ValueError) as error:
        if find_spec("llama_cpp") is None:
            yield TokenizerCheck(between, "refused", str(error))
            return
        reading = _llama(file)
    found = _compare(between, reading, _transformers(folder.name, original))
    yield replace(found, serious=found.result == "differ" and reading.name == file.name)


def _rows(folder: Path) -> int | None:
    """How many tokens a directory's model has weights for: a GGUF file names them all."""
    import json

    try:
        found = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    size = found.get("vocab_size") if isinstance(found, dict) else None
    return size if isinstance(size, int) else None


def _compare(between: str, one: _Reading, other: _Reading) -> TokenizerCheck:
    for text in _TEXTS:
        first = one.encode(text)
        second = other.encode(text)
        if list(first) == list(second):
            continue
        alike = len(
            list(takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
        )
        shown = [
            tuple(reading.spell([token]) for token in ids[alike : alike + _SHOWN_TOKENS])
            for reading, ids in ((one, first), (other, second))
        ]
        return TokenizerCheck(between, "differ", "", text, shown[0], shown[1])
    return TokenizerCheck(between, "agree")


def _llama(path: Path) -> _Reading:
    from respsel.backends.openai.tokenizer import open_text

    # A file without a chat template has a tokenizer all the same.
    text = open_text(path, None, "{{ messages }}")
    return _Reading("llama.cpp", text.response_ids, text.spell)


def _transformers(name: str, tokenizer: Any) -> _Reading:
    def encode(text: str) -> Sequence[int]:
        found: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)[
            "input_ids"
        ]
        return found

    return _Reading(
        name,
        encode,
        lambda ids: str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)),
    )
