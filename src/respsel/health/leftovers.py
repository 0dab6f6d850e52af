"""What is left in a text of the templates and tags around it.

Knows nothing of the model behind it. Invariants: what is between back-ticks or code fences is
talked about, and so is what the input has too. Reasoning in a whole pair of tags is no leftover
where an answer follows.
"""

from __future__ import annotations

import re
from functools import lru_cache

from respsel.health.words import looks_like_code, without_code
from respsel.text.tags import REASONING_PAIRS

# A text without any of these has none; behind the marks, the second ones are looked for.
_MARKS = ("<", "[", "{", "\u25c1", "HERE", "##", "Below is")
_CUES = (
    *("<|", "<｜", "inst]", "<<sys", "_of_turn>", "_of_utterance>", "_of_image>", "<s>", "</s>"),
    *("<bos>", "<eos>", "<pad>", "{", " here", "## ", "##r", "##i", "##h", "##a", "##u", "##s"),
    "below is an instruction",
    *sorted({tag.casefold() for pair in REASONING_PAIRS for tag in pair}),
)
# Special tokens of chat templates; "<s>" is also markup for struck text.
_TOKENS = re.compile(
    r"<\|[A-Za-z_][\w -]{1,40}\|>|<｜[^<>｜\n]{1,40}｜>|\[/?INST\]|<</?SYS>>"
    r"|<(?:start|end)_of_(?:turn|utterance|image)>|\A\s*<(?:s|bos|pad)>|<(?:eos|pad)>\s*\Z"
)
_NAMES = (
    r"(?:input|reference|label|question|prompt|response|answer|instruction|context|output|query"
    r"|columns?\.\w+|\w+\.(?:input|question|response))"
)
_PLACEHOLDER = re.compile(
    rf"\{{\{{-?\s*{_NAMES}(?:\s*\|[^{{}}\n]{{0,60}})?\s*-?\}}\}}"
    rf"|(?<![\w$^}}\\{{]){{{_NAMES}}}(?!\}})"
    r"|\{%-?\s*(?:if|for|endif|endfor|set|else)\b[^\n]{0,200}?%\}"
)
_TO_FILL = re.compile(r"^\W*(?:\w+ ){0,4}[A-Z]{4,} HERE\W*$", re.MULTILINE)
_SECTION = re.compile(
    r"^#{2,4} ?(?:Response|Instruction|Human|Assistant|User|System)\s*:"
    r"|\A\W*Below is an instruction that describes a task",
    re.MULTILINE,
)
_TURNS = ("assistant", "bot:", "bot*", "ai:", "ai*", "model:", "model*")
_BEGINS_AS_TURN = re.compile(r"\A[\s*#_>-]*(?:assistant|AI|bot|model)[*_]*\s*:", re.IGNORECASE)
_MY_TURN = re.compile(r"^[*#_> ]*(?:assistant|AI|bot|model|chatbot)[*_]*\s*:", re.I | re.M)
_YOUR_TURN = re.compile(r"^[*#_> ]*(?:user|human|customer)[*_]*\s*:", re.I | re.M)
_ABOUT_TURNS = re.compile(
    r"dialog|conversation|\bchat|transcript|interview|script|role.?play|\buser\b|\bassistant\b"
    r"|\bhuman\b|gespräch|conversaci|conversazione|диалог|对话|会話",
    re.IGNORECASE,
)


def has_leftover(text: str, asked: str) -> bool:
    """Whether a text has remains of a template, of turns or of unfinished reasoning.

    asked: the input.
    """
    lower = text.lower()
    marked = any(mark in text for mark in _MARKS) and any(cue in lower for cue in _CUES)
    if not marked and not any(turn in lower for turn in _TURNS):
        return False
    told = without_code(text)
    return (
        _has_new(_TOKENS, told, asked)
        or (told.endswith("</s>") and "<s>" not in told)
        or _has_loose_reasoning(told, asked)
        or _TO_FILL.search(told) is not None
        or _has_new(_SECTION, told, asked)
        or _has_placeholder(told, asked)
        or _has_turns(told, asked)
    )


def answer_part(text: str) -> str:
    """A text without a whole pair of reasoning tags at its beginning."""
    start = text.lstrip()
    if start[:1] not in ("<", "[", "\u25c1"):
        return text
    for opening, closing in REASONING_PAIRS:
        if start[: len(opening)].casefold() == opening.casefold():
            _, found, rest = start.partition(closing)
            return rest if found else text
    return text


def _has_new(pattern: re.Pattern[str], told: str, asked: str) -> bool:
    """Whether something is found that is not in the input, and is no reasoning tag."""
    for found in pattern.finditer(told):
        if found[0].casefold() not in _reasoning_tags() and found[0].strip() not in asked:
            return True
    return False


def _has_loose_reasoning(told: str, asked: str) -> bool:
    """Whether a reasoning tag lacks the other one of its pair, or no answer follows."""
    opened = ""
    end = 0
    closing = _closing()
    for found in _tags_pattern().finditer(told):
        tag = found[0].casefold()
        if found[0] in asked:
            continue
        if tag in closing and closing[tag] == opened:
            opened = ""
            end = found.end()
        elif tag in closing or opened:
            return True
        else:
            opened = tag
    return bool(opened) or (end > 0 and not told[end:].strip())


def _has_placeholder(told: str, asked: str) -> bool:
    for found in _PLACEHOLDER.finditer(told):
        if found[0] not in asked and not looks_like_code(told):
            return True
    return False


def _has_turns(told: str, asked: str) -> bool:
    """Whether a text begins as an assistant's turn, or goes on with turns of both sides."""
    if _BEGINS_AS_TURN.match(told):
        return not _ABOUT_TURNS.search(asked[:20_000])
    theirs = _YOUR_TURN.search(told)
    if theirs is None or _MY_TURN.search(told, theirs.end()) is None:
        return False
    return not _ABOUT_TURNS.search(asked[:20_000])


@lru_cache(maxsize=1)
def _tags_pattern() -> re.Pattern[str]:
    tags = sorted({tag for pair in REASONING_PAIRS for tag in pair}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, tags)), re.IGNORECASE)


@lru_cache(maxsize=1)
def _closing() -> dict[str, str]:
    """The opening tag of each closing one."""
    return {closing.casefold(): opening.casefold() for opening, closing in REASONING_PAIRS}


@lru_cache(maxsize=1)
def _reasoning_tags() -> frozenset[str]:
    return frozenset(tag.casefold() for pair in REASONING_PAIRS for tag in pair)
