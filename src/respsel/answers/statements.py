r"""Where a response states its answer: \boxed{}, "Final Answer:", "the answer is", "####".

It knows the words in several languages, but no kinds of answers. Invariants: statements come from
the last to the first, since a later one corrects an earlier one. Finding them takes time linear in
the text's length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

# How much of a text belongs to a statement, and how many statements are read.
_LONGEST = 2_000
_MOST = 40
_LONGEST_BOX = 20_000
_NEAR = 40
_FINAL = (
    r"final[ ]{1,3}answer|final[ ]{1,3}result|endgültige[ ]antwort|réponse[ ]finale|respuesta"
    r"[ ]final|resposta[ ]final|"
    r"risposta[ ]finale|definitief[ ]antwoord|eindantwoord|окончательный[ ]ответ"
)
_NOUNS = (
    r"answer|answers|antwort|lösung|réponse|reponse|respuesta|resposta|risposta|antwoord|ответ|"
    r"option|choice|"
    r"antwortmöglichkeit|opción|opcion|opção|opzione|optie|вариант"
)
_COPULAS = (
    r"(?:(?:is|are|was|would[ ]be|should[ ]be|must[ ]be|will[ ]be|has[ ]to[ ]be|can[ ]only[ ]be|"
    r"becomes|equals|therefore|"
    r"ist|lautet|wäre|est|serait|es|sería|é|è|será|sarebbe|luidt|является)\b|é|è)"
)
_MARKS = r"(?:[*_]{1,3}(?=[\s:：]|$))?"
_COLON = r"(?:[:：=](?:[*_]{1,3}(?=\s|$))?)"
_GAP = (
    r"(?:[ ](?:correcta|correcto|correta|correto|corretta|corretto|correcte|exacte|juste|finale?|"
    r"verdadera))?"
    r"(?:,[^,.\n]{1,20},|[ ](?:to|for|of|in|de|del|della|auf|zu|à|a|на)[ ][^.:\n]{1,60}?)?"
)
_EASTERN = r"(?:最终答案|正确答案|答案|答え|正解|解答|回答|正答|正确选项|正確選項|정답|답변|답)"
_EASTERN_LINK = r"(?:应该是|應該是|應為|应为|是|为|為|選|选|は|が|은|는|이)?"
_STATED = re.compile(
    rf"""\#\#\#\#
    |<answer>
    |(?<![^\W_])(?:{_FINAL}){_MARKS}{_GAP}\s{{0,8}}{_COPULAS}?\s{{0,8}}{_COLON}?
    |(?<![^\W_])(?:{_NOUNS}){_MARKS}{_GAP}\s{{0,8}}
        (?:{_COLON}|(?<![^\W_]){_COPULAS}\s{{0,8}}{_COLON}?)
    |{_EASTERN}{_MARKS}[ ]{{0,4}}{_EASTERN_LINK}[ ]{{0,4}}{_COLON}?
    |^[ \t#*_]{{0,12}}(?:the[ ])?(?:{_NOUNS}|solution)[*_]{{0,3}}[ \t]{{0,8}}$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
# {"answer": "B", "confidence": 0.9}, as JSON or as Python prints it.
_FIELD = re.compile(
    r"""(?P<mark>["'])(?:the[_ ])?(?:(?:final|correct|selected|my)[_ ]?(?:answer|option|choice)|"""
    r"""answer|choice|solution|result)(?P=mark)[ ]{0,4}:\s{0,8}""",
    re.IGNORECASE,
)
_FIELD_END = re.compile(r"""[\n}]|,\s{0,20}["']""")
# Commands of LaTeX that begin like an escape of JSON.
_LATEX = re.compile(r"(?<!\\)\\(?:[bfr][a-z]{2}|t(?:ext|imes|frac|heta|an)|neq)")
# "Wait, it's 14" corrects what was stated before it.
_CORRECTED = re.compile(
    r"""(?<![^\W_])
    (?:wait|actually|sorry|correction|oops|scratch[ ]that|hold[ ]on|i[ ]mean|i[ ]meant|i[ ]made)\b
    (?:[^\d\n\\]{0,80}?(?<![^\W_])
        (?:it(?:['’]s|[ ]is|[ ]should[ ]be|[ ]must[ ]be)|should[ ]be|so)\s{1,3}
        (?=[\s*_$"'(\[`-]{0,6}(?:\d|\\[a-z]|[B-HJ-Z]\b|[AI](?=[\s*_)\]]{0,4}(?:[.,;!?\n]|$))))
    |[\W_]{1,6}(?=[*_$"'(\[`-]{0,6}(?:\d[\d.,]{0,20}|[A-Z])[^\w\n]{0,6}$))""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s{0,4}")
_BETWEEN = re.compile(
    r"[\s$.,;)(\]\[\\]*(?:and|or|und|oder|et|ou|y|o|,)[\s$.,;x=)(\]\[\\]*", re.IGNORECASE
)


@dataclass(frozen=True)
class Statement:
    """What is said at a place of a text.

    start: where the statement begins.
    begins: where its content begins.
    content: what is in the box, or what follows the words.
    boxed: whether it has an end of its own.
    several: whether it is one of several boxes next to each other.
    """

    start: int
    begins: int
    content: str
    boxed: bool = False
    several: bool = False


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text, the last one first."""
    places = [(match.start(), match.end(), match.group()) for match in _STATED.finditer(text)]
    places += [(match.start(), match.end(), "box") for match in _BOX.finditer(text)]
    places += [(match.start(), match.end(), "field") for match in _FIELD.finditer(text)]
    first = min(places, default=(len(text),))[0]
    places += [
        (match.start(), match.end(), "")
        for match in _CORRECTED.finditer(text)
        if match.start() > first
    ]
    places.sort(reverse=True)
    boxes: list[int] = []
    for start, end, words in places[:_MOST]:
        if words == "field":
            yield Statement(start, end, _field_value(text[end : end + _LONGEST]), boxed=True)
        elif words != "box":
            content = text[end : end + _LONGEST]
            tagged = words.startswith("<")
            yield Statement(
                start, end, content.partition("</answer>")[0] if tagged else content, boxed=tagged
            )
        elif (close := _box_end(text, end)) is not None:
            inner = text[end + 1 : close] if text[end] == "{" else text[end:close]
            beside = (
                bool(boxes)
                and boxes[-1] - close < _NEAR
                and _BETWEEN.fullmatch(text[close + 1 : boxes[-1]])
            )
            others = _box_before(text, start)
            boxes.append(start)
            yield Statement(start, end, inner, boxed=True, several=bool(beside) or others)


def _field_value(text: str) -> str:
    """The value of JSON or Python at the beginning of a text."""
    mark = text[:1]
    if mark not in ('"', "'") or not mark:
        found = _FIELD_END.search(text)
        return text[: found.start()] if found else text
    close = re.compile(rf"(?:[^{mark}\\]|\\.)*", re.DOTALL).match(text, 1)
    value = text[1 : close.end() if close else len(text)]
    if mark == '"' and not _LATEX.search(value):
        try:
            return str(json.loads(f'"{value}"', strict=False))
        except ValueError:
            pass
    return value


def _box_before(text: str, start: int) -> bool:
    """Whether another box ends just before this one, with "or" or a comma between."""
    before = text[max(0, start - _NEAR) : start]
    closed = before.rfind("}")
    return (
        closed >= 0
        and "\\boxed" in text[max(0, start - 200) : start]
        and bool(_BETWEEN.fullmatch(before[closed + 1 :]))
    )


def _box_end(text: str, start: int) -> int | None:
    """Where a box ends: at the brace that closes it, or behind a bare character."""
    if start >= len(text):
        return None
    if text[start] != "{":
        bare = re.compile(r"-?\d[\d.,]{0,40}(?<![.,])|[A-Za-z]\b").match(text, start)
        return bare.end() if bare else None
    depth = 0
    at = start
    limit = min(len(text), start + _LONGEST_BOX)
    while at < limit:
        char = text[at]
        if char == "\\":
            at += 1
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if not depth:
                return at
        at += 1
    return None
