"""A text as words, as far as it is looked at, and its prose without code.

Knows nothing of faults. Invariant: however long a text is, a bounded part of it is looked at.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# So many characters are looked at: half of them from the beginning, half from the end.
_MOST = 100_000
# Scripts that are written without blanks: Thai and its neighbours, kana, Han. A character is a
# word.
_UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
)
_ASCII = re.compile(r"\w+", re.ASCII)
_ANY = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`[^`\n]*`")
_CODE_LINE = re.compile(
    r"\s*(?:#|//|/\*|\*|--|import |from [\w.]+ import|return\b|func |fn |let |const |var |public "
    r"|private |SELECT |INSERT |UPDATE |<[a-z/!]|\w+ [-+*/]?= |(?:def|class|for|if|elif|else|while"
    r"|try|except|with)\b.*:\s*$)|.*[;{}]\s*$|.*\w\([^()\n]*\)+[:;]?\s*$"
)


def bounded(text: str) -> str:
    """The part of a text that is looked at: all of it, or its beginning and its end."""
    if len(text) <= _MOST:
        return text
    return f"{text[: _MOST // 2]}\n{text[-_MOST // 2 :]}"


def words_of(text: str) -> Sequence[str]:
    """A text's words, without regard to case, white space and punctuation."""
    if text.isascii():
        return _ASCII.findall(text.lower())
    return _ANY.findall(unicodedata.normalize("NFC", text).casefold())


def without_code(text: str) -> str:
    """A text without what is between code fences or back-ticks."""
    return _INLINE.sub(" ", _FENCED.sub("\n", text))


def prose_of(text: str) -> str:
    """The lines of a text that do not look like code."""
    return "\n".join(line for line in without_code(text).split("\n") if not _CODE_LINE.match(line))


def looks_like_code(text: str) -> bool:
    """Whether at least two lines, and a third of them, look like code."""
    lines = [line for line in text.split("\n") if line.strip()]
    code = sum(_CODE_LINE.match(line) is not None for line in lines)
    return code >= 2 and code * 3 >= len(lines)
