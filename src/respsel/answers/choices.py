"""The kind `choice`: the option that a response states, by letter or number, or yes and no.

Knows nothing of the options' texts. Invariants: a stated option counts, and one that an explanation
mentions does not. Letters that are words ("a", "I") are not options.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from respsel.answers.plain import last_part
from respsel.answers.statements import statements

_WRAPS = r"[\s*_$`'\"“”(\[{]"
_TEXT = r"(?:\\(?:text(?:bf|it|rm)?|mathrm|mathbf|mathsf|boxed|left)\s?\{?)"
_WORD = (
    r"(?:(?:the|either|both|option|choice|answer|letter|number|indeed|clearly|therefore|"
    r"definitely|probably|most|likely|option:|"
    r"la|die|le|l'|el|a|o|antwort|opción|opcion|opção|opzione|optie|réponse|respuesta|вариант)"
    r"\b\s{0,3}:?|选项|選項|第)"
)
_OPTION = re.compile(
    rf"(?:{_WRAPS}|{_TEXT}|(?i:{_WORD})){{0,10}}?(?P<open>[(\[]|\*{{1,2}}|[\"'`“])?"
    r"(?P<option>[A-Za-z]|\d{1,2})(?P<behind>(?:\}|\\right|[*_`'\"”$]|\s?[)\]]){0,8})"
    r"(?![A-Za-z0-9_À-ÿЀ-ӿ]|['’][A-Za-z])(?![.,]\d)(?!\s?[%+=×])(?!/\d)"
)
# What may follow a bare "A" that is an option, not an article.
_CONNECTS = (
    r"because|since|as|for|which|while|with|due|is|not|but|if|so|given|and|or|by|from|based|where|"
    r"it|in|on|weil|da|denn|"
    r"car|parce|puisque|porque|pois|ya|perché|poiché|omdat|want|потому|так|ist|est|es"
)
_FOLLOWS = re.compile(rf"\s{{0,3}}(?:$|[.,;:!?)\]|*\n—–-]|(?:{_CONNECTS})\b|[^\x00-\x7f])")
_ENDS = re.compile(r"\s{0,3}(?:$|[.,;:!?)\]|*\n—–$}]|[^\x00-\x7f])")
# Another option next to the first: "A or B", "A, B and C".
_BESIDE = re.compile(
    r"\s{0,3}(?:,|/|&|and|or|und|oder|et|ou|y|e|и|或|和)\s{0,3}(?:and |or )?[(\[]?"
    r"(?P<other>[A-Z])[)\]]?\s{0,3}(?=$|[.,;?!\n/&]|(?:and|or)\b)"
)
_JOINED = re.compile(
    r"[)\]*]{0,4}\s{0,3}(?:/|&|and|or|und|oder|et|ou|y|o|e|и|или|和|或)\s{0,3}[(\[*]{0,4}"
)
_CHOOSES = re.compile(
    r"(?<![^\W_])(?:I(?:'d| would| will|'ll)?[ ](?:choose|pick|select|take|go[ ]with|opt"
    r"[ ]for|say|chose)|"
    r"(?:we|so|let's|let[ ]us|must|would|will|to|my)"
    r"[ ](?:choose|pick|select|go[ ]with|opt[ ]for)|(?:choose|pick|select|going[ ]with|go"
    r"[ ]with|opt[ ]for)|my[ ]choice[ ]is|"
    r"ich[ ](?:wähle|nehme)|wähle|je[ ](?:choisis|prends)|elijo|escojo|escolho|scelgo|ik"
    r"[ ]kies|выбираю|선택)[ :]{1,3}|"
    r"(?:我选|选择|選択|선택)[ ]?",
    re.IGNORECASE,
)
_RIGHT = re.compile(
    r"(?<![A-Za-z0-9])(?:[(\[*]{0,3})(?P<option>[A-Z]|\d{1,2})(?:[)\].*]{0,4})[ ]"
    r"(?:is|must[ ]be|ist|est|es|è|é)"
    r"[ ](?:(?:the|clearly|therefore|definitely|thus|die|la|le|a|our|my)[ ]){0,2}"
    r"(?:(?:only|most|best|single)[ ]){0,2}(?:correct|right|best|true|appropriate|likely|answer|"
    r"richtig|richtige|correcte?|correcta|correta|corretta|bonne)\b"
)
_OWN_LINE = re.compile(
    rf"{_WRAPS}{{0,6}}(?:(?i:option|choice)\s)?(?P<option>[A-Za-z]|\d{{1,2}})"
    r"[\s*_$`'\".:)\]}]{0,8}"
)
_LISTED = re.compile(
    r"[\s*_`(\[]{0,6}(?P<option>[A-Z]|\d{1,2})[*_`]{0,2}[.):\]][*_`]{0,2}[ \t]{1,4}\S"
)
_LAST = re.compile(
    r"\((?P<bracket>[A-Za-z]|\d{1,2})\)|(?<![A-Za-z0-9_.,'’/-])"
    r"(?P<bare>[B-HJ-Z]|\d{1,2}|[AI](?![ ]?[a-z'])|[a-z](?=\)))(?![A-Za-z0-9_'’%-])(?![.,]\d)"
)
_BEFORE_NO_OPTION = re.compile(
    r"(?:\b(?:not|n't|neither|nor|except|excluding|than|without|rule "
    r"out|eliminate|type|vitamin|plan|hepatitis|"
    r"grade|group|class|step|"
    r"figure|part|section|phase|team|model|page|line|nicht|kein|weder|noch|pas|ni)"
    r"[ ]|不是)(?:option |choice |the )?[(\[]?$",
    re.IGNORECASE,
)
_LOOK_BACK = 40
_TRUE_WORDS = (
    "true yes ja oui sí si sim да 是 はい 예 네 correct right wahr vrai verdadero verdadeiro "
    "vero 对"
)
_TRUE = frozenset(_TRUE_WORDS.split())
_FALSE_WORDS = (
    "false no nein non não nee нет 否 いいえ 아니요 incorrect wrong falsch faux falso 不是 错"
)
_FALSE = frozenset(_FALSE_WORDS.split())
_BOOLEANS = ("true", "false", "yes", "no")
_A_WORD = re.compile(r"不是|[是否对错]|[^\W\d_]+")
_SAID = re.compile(
    r"(?:statement|claim|assertion|sentence|passage|it|this|that)(?:[ ]is|'s|[ ]was)"
    r"[ ](?P<not>not[ ])?"
    r"(?P<word>true|false|correct|incorrect|right|wrong)\b(?=\W*(?:$|[.,;!\n]|because|since|as))",
    re.IGNORECASE,
)
_OPENS = re.compile(r"[*_`\"'\s]{0,8}(?P<word>[^\W\d_]+)[*_`\"']{0,4}(?:[.,!:;。，！]|\s*$)")
_NOT = {"not", "isn't", "never"}


def read_choice_label(text: str) -> str | None:
    """The option of a label, or None: B, (b), B., Option B, B. iron, 2, 2.0, true, false."""
    text = text.strip()
    if re.fullmatch(r"\d{1,2}\.0", text):
        text = text[:-2]
    if (truth := label_truth(text)) is not None:
        return "true" if truth else "false"
    for statement in statements(text):
        if (found := _own_line(statement.content.strip())) is not None:
            return found
    return _own_line(text) or _listed(text)


def read_choice(text: str, label: str = "") -> str | None:
    """The option that a response states, else the last one in it.

    label: an option of the kind that is expected: a letter, a number, or true and false.
    """
    if label in ("true", "false"):
        truth = read_truth(text)
        return None if truth is None else str(truth).casefold()
    text = text.strip()
    if (found := _own_line(text)) is not None:
        return found
    for found in _stated(text):
        return found or None
    lines = text.split("\n", 1)[0], text.rsplit("\n", 1)[-1]
    first, last = (_own_line(line) for line in lines)
    if last is not None or first is not None:
        return last or first
    listed = _listed(text)
    if listed is not None and (not label or listed.isdigit() == label.isdigit()):
        return listed
    return _last(_without_list(last_part(text)), label)


def _own_line(line: str) -> str | None:
    """A line that is an option and nothing else."""
    found = _OWN_LINE.fullmatch(line) if len(line) < 60 else None
    return found["option"].upper() if found else None


def _listed(text: str) -> str | None:
    """The option of "B. iron" and "B) iron, because ...", unless a list of options begins here."""
    found = _LISTED.match(text)
    if found is None:
        return None
    first, *lines = last_part(text).split("\n")
    others = [other["option"] for line in lines if (other := _LISTED.match(line))]
    # "B. iron" above a blank line, and the options one by one in what explains it.
    explained = (
        len(first) < len(text) and not lines[0].strip() and others[:1] != [_next(found["option"])]
    )
    return found["option"].upper() if explained or not others else None


def _next(option: str) -> str:
    return str(int(option) + 1) if option.isdigit() else chr(ord(option) + 1)


def _without_list(text: str) -> str:
    """A text without the lines of a list of options, which repeat the question."""
    kept: list[str] = []
    before = ""
    for line in text.split("\n"):
        found = _LISTED.match(line)
        option = found["option"] if found else ""
        if option and before and option == _next(before):
            if kept and (opened := _LISTED.match(kept[-1])) and opened["option"] == before:
                kept.pop()
        else:
            kept.append(line)
        before = option or (before if not line.strip() else "")
    return "\n".join(kept)


def _stated(text: str) -> Iterator[str]:
    """The options that statements give, the last one first; empty where one names several."""
    places: list[tuple[int, str]] = []
    for statement in statements(text):
        found = (
            _own_line(statement.content.strip()) if statement.boxed else _option(statement.content)
        )
        if found is None and statement.boxed:
            found = _option(statement.content)
        if found is not None:
            places.append((statement.start, found))
            break
    for pattern in (_CHOOSES, _RIGHT):
        for match in list(pattern.finditer(text))[-20:][::-1]:
            found = (
                match["option"].upper()
                if pattern is _RIGHT
                else _option(text[match.end() : match.end() + 120])
            )
            if found is not None and not (pattern is _RIGHT and _denied(text, match.start())):
                places.append((match.start(), found))
                break
    yield from (found for _, found in sorted(places, reverse=True))


def _option(content: str) -> str | None:
    """The option that a statement's words give; None for no option, empty for several."""
    found = _OPTION.match(content)
    if found is None:
        return None
    option = found["option"]
    wrapped = bool(found["open"] or found["behind"].strip())
    rest = content[found.end() :]
    if not wrapped and option.isalpha():
        allowed = _ENDS if option.islower() else _FOLLOWS
        if (option in "AI" or option.islower()) and not allowed.match(rest):
            return None
    if option.isdigit() and re.match(r"\s?[A-Za-z]", rest) and not _FOLLOWS.match(rest):
        return None
    beside = _BESIDE.match(rest)
    return "" if beside and beside["other"] != option.upper() else option.upper()


def _last(text: str, label: str) -> str | None:
    """The last option in a text that states none: a letter if the label is one, else a number."""
    found = None
    end = -1
    for match in _LAST.finditer(text):
        option = str(match["bracket"] or match["bare"])
        if label and option.isdigit() != label.isdigit():
            continue
        if not _denied(text, match.start()):
            several = (
                end >= 0
                and option.upper() != found
                and _JOINED.fullmatch(text[end : match.start()][:20])
            )
            found = None if several else option.upper()
            end = match.end()
    return found


def _denied(text: str, start: int) -> bool:
    """Whether an option is named as one that it is not: "not B", "neither A nor B", "vitamin C"."""
    return _BEFORE_NO_OPTION.search(text[max(0, start - _LOOK_BACK) : start]) is not None


def label_truth(label: str) -> bool | None:
    """Whether a label says true or false: a boolean of any file format, or yes and no."""
    word = label.strip().strip(".*`\"'").casefold()
    return None if word not in _BOOLEANS else word in ("true", "yes")


def read_truth(text: str) -> bool | None:
    """Whether a response says yes or no.

    It says so in its last statement, in its first word, or with the last such word.
    """
    for statement in statements(text):
        for word in [
            found.group().casefold() for found in _A_WORD.finditer(statement.content[:80])
        ][:4]:
            if word in _TRUE or word in _FALSE:
                return word in _TRUE
    opens = _OPENS.match(text)
    if opens is not None and (word := opens["word"].casefold()) in _TRUE | _FALSE:
        return word in _TRUE
    if matches := list(_SAID.finditer(last_part(text))):
        said = matches[-1]
        return (said["word"].casefold() in _TRUE) != bool(said["not"])
    words = [found.group().casefold() for found in _A_WORD.finditer(last_part(text))]
    sure = [
        i
        for i, word in enumerate(words)
        if word in ("true", "yes", "false", "no") or (word in _TRUE | _FALSE and len(words) < 4)
    ]
    if not sure:
        return None
    at = 0 if words[0] in _TRUE | _FALSE and len(text) < 20_000 else sure[-1]
    return words[at] in _TRUE and not (at and words[at - 1] in _NOT)
