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
    rf"(?<![\w$^}}\\{{])\{{\{{-?\s*(?:{_NAMES}|\w{{2,}}(?:\.\w+)*)(?:\s*\|[^{{}}\n]{{0,60}})?\s*-?\}}\}}"
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
_BEGINS_AS_TURN = re.compile(
    r"\A[\s*#_>-]*(?i:assistant|ai|bot)[*_]*\s*:(?![*_\s]*[a-z])|(?:\A|[.!?]\s*)assistant\n"
    r"|\Auser\n(?s:.*?)\nassistant\n"
)
_MY_TURN = re.compile(r"^[*#_> ]*(?:assistant|AI|bot|model|chatbot)[*_]*\s*:", re.I | re.M)
_YOUR_TURN = re.compile(r"^[*#_> ]*(?:user|human|customer)[*_]*\s*:", re.I | re.M)
_ABOUT_TURNS = re.compile(
    r"dialog|conversation|\bchat|transcript|interview|script|role.?play|\buser\b|\bassistant\b"
    r"|\bhuman\b|gespräch|conversaci|conversazione|диалог|对话|会話",
    re.IGNORECASE,
)


def find_leftover(text: str, asked: str) -> str:
    """The first remains of a template, of turns or of loose reasoning; empty if there are none.

    asked: the input.
    """
    lower = text.lower()
    marked = any(mark in text for mark in _MARKS) and any(cue in lower for cue in _CUES)
    if not marked and not any(turn in lower for turn in _TURNS):
        return ""
    told = without_code(text)
    return (
        _first_new(_TOKENS, told, asked)
        or ("</s>" if told.endswith("</s>") and "<s>" not in told else "")
        or _loose_reasoning(told, asked)
        or _first_new(_TO_FILL, told, asked)
        or _first_new(_SECTION, told, asked)
        or ("" if looks_like_code(told) else _first_new(_PLACEHOLDER, told, asked))
        or _turns(told, asked)
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


def _first_new(pattern: re.Pattern[str], told: str, asked: str) -> str:
    """The first thing found that is not in the input, and is no reasoning tag."""
    for found in pattern.finditer(told):
        if found[0].casefold() not in _reasoning_tags() and found[0].strip() not in asked:
            return found[0].strip()
    return ""


def _loose_reasoning(told: str, asked: str) -> str:
    """The first reasoning tag that lacks its other one, or behind which is no answer."""
    opened = ""
    end = 0
    last = ""
    closing = _closing()
    for found in _tags_pattern().finditer(told):
        tag = found[0].casefold()
        if found[0] in asked:
            continue
        if tag in closing and closing[tag] == opened:
            opened = ""
            end = found.end()
        elif tag in closing or opened:
            return found[0]
        else:
            opened = tag
        last = found[0]
    return last if opened or (end and not told[end:].strip()) else ""


def _turns(told: str, asked: str) -> str:
    """The turn with which a text begins or goes on, unless it is to be a dialogue."""
    turn = _BEGINS_AS_TURN.search(told)
    if turn is None:
        turn = _YOUR_TURN.search(told)
        if turn is None or _MY_TURN.search(told, turn.end()) is None:
            return ""
    return "" if _ABOUT_TURNS.search(asked[:20_000]) else turn[0].strip()


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
