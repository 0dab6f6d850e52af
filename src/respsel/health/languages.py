"""Which language a text is in, as far as its script and its commonest words say.

Knows nothing of models. Invariant: where a text is short, code or a mixture, nothing is said.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from respsel.health.words import prose_of, words_of

# So much of a text is looked at.
_WORDS = 150
_CHARACTERS = 1_500
_INPUT = 1_000
# The beginning of an input that mostly shows that nothing is wrong.
_GLANCE = 240
# So many letters of a text without Latin ones are looked at.
_LETTERS = 100
_FEWEST_LETTERS = 10
# So many of a text's words, and such a share, are common words of its language.
_FEWEST_WORDS = 4
_SHARE = 0.15
# The other text's language has at most half as many.
_CLEAR = 2
# A character of these scripts says about as much as so many letters.
_DENSE = 3

# Common words of each language. Danish and Norwegian are one.
_COMMON = {
    "English": "the of that it was are be you your we they he she his her have had will would can "
    "could should which who what there their these those been were my our me him them about "
    "because but than its does did how why also into only some such very more after a an and to in "
    "is for on with as at by from not or if this so do no then has when where all one i am",
    "German": "die der das und ist nicht ein eine einen einem einer mit auf für von dem den sich "
    "auch sie ich wir ihr sind war wird werden haben hat kann wie aber oder wenn nach bei zum zur "
    "durch über noch nur sein ihre ihren diese dieser dieses dann sehr weil dass können es im",
    "French": "le la les des est une un et que qui dans pour pas sur avec ce cette il elle nous "
    "vous ils sont être avoir plus par mais ou où du au aux je tu ne se leur comme votre notre",
    "Spanish": "el la los las de que y en un una es por con para no se su al del lo como más pero "
    "sus le ya este sí porque esta entre cuando muy sin sobre también me hasta hay donde son fue",
    "Italian": "il lo la gli le di che è e un una per non con sono del della dei delle nel nella "
    "si da come ma anche più questo questa al alla ha hanno essere ci se perché i",
    "Portuguese": "o a os as de que e do da em um uma para com não por mais dos das como mas foi "
    "ao ele ela são seu sua ou ser quando muito há nos já está eu também só pelo pela até isso",
    "Dutch": "de het een en van is dat op te zijn met voor niet die er aan om ook als bij maar "
    "naar uit door over je ik hij zij wij worden wordt kan deze dit heeft hebben nog wel geen",
    "Swedish": "och att det som en är på för av med den till inte har de ett om var jag vi man så "
    "från men kan ska eller du när också",
    "Danish or Norwegian": "og at det som en er på for av af med den til ikke har de et om var jeg "
    "vi man så fra men kan skal eller du når også",
    "Polish": "i w nie na się z do to że jest jak po co za od przez dla są przy może już tak być "
    "był czy także który która które",
    "Czech or Slovak": "a v na je se že s do z to jako pro ale po který která které jsou být byl "
    "nebo také podle si sa jeho pri alebo som",
    "Romanian": "și de la în a nu este un o cu pe care că din pentru sau mai se sunt fi dar au al "
    "ale lui această",
    "Hungarian": "a az és hogy nem is egy van meg csak mint volt már vagy ha kell ezt ez",
    "Finnish": "ja on ei että se hän oli mutta ovat kun niin myös tai joka ole kuin sen ne",
    "Turkish": "ve bir bu da de için ile olarak çok daha gibi ne ama olan değil var kadar sonra",
    "Indonesian": "yang dan di itu dengan untuk dari ini tidak dalam pada akan adalah ke juga saya "
    "atau bisa oleh telah karena",
    "Vietnamese": "và của là có không được cho một trong những các này với để người khi đã",
}
# How a language is named where somebody asks for it.
_NAMED = {
    "English": "engl|angl|ingl|engels|англ|英",
    "German": "german|deutsch|allemand|alem|tedesc|duits|немец|德|ドイツ",
    "French": "fren|franz|fran[cç]|frans|франц|法语|フランス",
    "Spanish": "spani|español|espagnol|espan|spagn|испан|西班牙|スペイン",
    "Italian": "ital|итал|意大利|イタリア",
    "Portuguese": "portug|португ|葡萄牙",
    "Dutch": "dutch|niederl|neerl|nederl|holand|oland|荷兰",
    "Swedish": "swed|schwed|suéd|sueco|svensk|zweeds",
    "Danish or Norwegian": "danish|norw|dänisch|dansk|norsk|danés|noruego",
    "Polish": "polish|polnisch|polski|polonais|polaco",
    "CYRILLIC": "russ|ukrain|bulgar|rus[so]|рус|укр|俄",
    "Chinese": "chin|mandarin|中文|汉|漢|中国|cina",
    "Japanese": "japan|nihongo|日本|日语|giappon|japon",
    "HANGUL": "korea|corea|corée|한국|韩|韓",
    "ARABIC": "arab|عرب|persian|farsi|urdu",
    "DEVANAGARI": "hindi|sanskrit|marathi|nepali|हिन्दी|हिंदी",
}
_TRANSLATING = re.compile(
    r"translat|translit|übersetz|tradu|перев|翻[译譯訳]|번역|vertaal|vertal|çevir|overs[eæ]tt?"
    r"|översätt|tłumacz|přelož|käänn|fordít|terjemah|\bdịch\b",
    re.IGNORECASE,
)


def language_of(text: str) -> str | None:
    """The language or script that a text is in, if it can be told."""
    start = text[:_CHARACTERS]
    script = _script_of(start)
    return _by_words(words_of(start)) if script == "LATIN" else script


def is_other_language(text: str, words: Sequence[str], asked: str, usual: str | None) -> bool:
    """Whether a text is in another language than its input, which does not ask for one.

    words: of the text.
    asked: the input.
    usual: the language of the dataset's inputs, for an input that is too short to tell.
    """
    start = text[:_CHARACTERS]
    mine = _by_words(words[:_WORDS]) if start.isascii() else language_of(start)
    if mine is None or _clearly(words_of(asked[:_GLANCE]), mine):
        return False
    theirs = language_of(asked[:_INPUT]) or _foreign_script(asked, mine) or usual
    if theirs is None or theirs == mine or _asks_for(asked, mine):
        return False
    # Once more, without code, quotations of code and data.
    prose = prose_of(start)
    bare = prose.lstrip()
    if language_of(prose) != mine or bare.startswith(("{", "[")):
        return False
    said = Counter(word for word in words_of(prose)[:_WORDS])
    return _count(said, theirs) * _CLEAR <= max(_count(said, mine), _FEWEST_WORDS)


def _asks_for(asked: str, language: str) -> bool:
    """Whether an input asks for a language, or has some of its words itself."""
    if _TRANSLATING.search(asked):
        return True
    named = _NAMED.get(language)
    if named and re.search(named, asked, re.IGNORECASE):
        return True
    if language not in _COMMON:
        return _letters_of(asked, language) >= _FEWEST_LETTERS / 2
    words = Counter(words_of(asked))
    own = max((_count(words, other) for other in _COMMON if other != language), default=0)
    edges = re.match(r"\W*([A-Za-z]{4,})|.*?([A-Za-z]{4,})\W*\Z", asked[:40] + asked[-40:])
    foreign = not asked.isascii() and _script_of(asked[:_CHARACTERS]) != "LATIN"
    return bool(foreign and edges) or _count(words, language) * _CLEAR > max(own, _FEWEST_WORDS)


def _by_words(words: Sequence[str]) -> str | None:
    """The language whose common words are most often among these."""
    table = _table()
    counts: Counter[str] = Counter()
    some = words[:_WORDS]
    for word, times in Counter(some).items():
        for language in table.get(word, ()):
            counts[language] += times
    if not counts:
        return None
    language, count = counts.most_common(1)[0]
    return language if count >= _FEWEST_WORDS and count >= _SHARE * len(some) else None


def _clearly(words: Sequence[str], language: str) -> bool:
    """Whether a quarter of the words, and four of them, are common words of the language."""
    count = sum(map(_set_of(language).__contains__, words))
    return count >= max(_FEWEST_WORDS, len(words) / 4)


@lru_cache(maxsize=64)
def _set_of(language: str) -> frozenset[str]:
    return frozenset(_COMMON.get(language, "").split())


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for language, words in _COMMON.items():
        for word in words.split():
            table[word] = (*table.get(word, ()), language)
    return table


def _count(words: Counter[str], language: str) -> int:
    return sum(words[word] for word in _set_of(language))


def _script_of(text: str) -> str | None:
    """The script of nearly all letters of a text: LATIN, Chinese, Japanese, CYRILLIC."""
    if text.isascii():
        return "LATIN"
    counts = _scripts(text)
    total = sum(counts.values())
    if total < _FEWEST_LETTERS:
        return None
    if counts["HIRAGANA"] + counts["KATAKANA"] >= 0.1 * (total - counts["LATIN"]):
        counts["Japanese"] = sum(counts.pop(name, 0) for name in ("HIRAGANA", "KATAKANA", "CJK"))
    elif counts["CJK"] < 20 * _DENSE and counts["CJK"] * 2 > total:
        # A few Chinese characters may be Japanese too.
        return None
    else:
        counts["Chinese"] = counts.pop("CJK", 0)
    script, count = counts.most_common(1)[0]
    return script if count >= 0.75 * total else None


def _scripts(text: str) -> Counter[str]:
    """The letters of some places of a text, by the first word of their names."""
    letters = [char for char in text if char.isalpha()]
    step = max(1, len(letters) // (2 * _LETTERS))
    counts: Counter[str] = Counter()
    for char in letters[::step]:
        script = "LATIN" if char.isascii() else unicodedata.name(char, "?").partition(" ")[0]
        counts[script] += _DENSE if script in ("CJK", "HIRAGANA", "KATAKANA", "HANGUL") else 1
    return counts


def _letters_of(text: str, language: str) -> int:
    counts = _scripts(text[:_CHARACTERS])
    if language in ("Chinese", "Japanese"):
        return sum(counts[name] for name in ("CJK", "HIRAGANA", "KATAKANA"))
    return counts[language]


def _foreign_script(asked: str, mine: str) -> str | None:
    """For an input of too few words to tell its language: its script, if the text has another."""
    if mine in _COMMON or sum(char.isalpha() for char in asked[:200]) < _FEWEST_LETTERS:
        return None
    return _script_of(asked[:_CHARACTERS])
