"""What the names of columns usually stand for, in the languages that people name them in.

Knows nothing of what columns hold. Invariant: a name is compared without case, accents and signs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

IDS = "id ids uuid guid qid uid key idx index nr no number num row rowid identifier".split()
CHATS = "messages conversations conversation dialog dialogue chat turns contents".split()
# From the likeliest down: a row that has several of them is asked the first.
INPUTS = (
    "question questions prompt instruction query problem request input inputs user task "
    "exercise frage aufgabe question pregunta problema domanda pergunta vraag fraga sporsmal "
    "pytanie вопрос задача 问题 質問 問題 질문 指令 "
    "text source article document passage title sentence context"
).split()
# They belong to what is asked beside another input.
BESIDE_INPUT = "input context passage document article background".split()
# They are asked before another input, also where they are the same in all rows.
INSTRUCTIONS = "instruction instructions prompt anweisung".split()
OPTIONS = "choices options".split()
RESPONSES = (
    "response responses answer answers output outputs completion completions solution solutions "
    "reply rationale explanation chosen rejected generation generated candidate candidates "
    "reference target assistant teacher human model expert student gpt claude llama mistral qwen "
    "gemini deepseek summary translation antwort loesung losung reponse respuesta risposta "
    "resposta antwoord svar odpowiedz ответ решение 回答 答案 解答 답변 답"
).split()
LABELS = (
    "label labels answers gold gold_label gold_answer answer final_answer correct_answer "
    "right_answer expected expected_answer ground_truth groundtruth truth target correct "
    "result answer_key answerkey ergebnis resultado resultat risultato antwort respuesta risposta "
    "solution final ответ 答案 정답 正解"
).split()
# With a word or two, they describe a row or say who wrote a text. Longer texts are responses.
ABOUT_IF_SHORT = (
    "lang level type page status version skill domain model generator engine expert teacher "
    "student human assistant"
).split()
# They describe a row and are no part of it.
ABOUT = (
    "category categories topic source url link split difficulty language tag tags "
    "date time timestamp created updated author license licence subject rating score scores "
    "dataset file filename path hash md5 sha count tokens length annotator origin "
    "year kategorie thema quelle categoria fuente theme"
).split()
SYSTEMS = ("system", "system_prompt")
HISTORIES = ("history",)
TOOLS = ("tools", "functions")


def plain_name(name: str) -> str:
    """A name in small letters, its words joined by `_`."""
    return "_".join(words_of(name))


def words_of(name: str) -> Sequence[str]:
    """The words of a name: `GPT-4 Answer`, `gptAnswer` and `gpt_answer` have two or three."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", _folded(split))


def says_any(name: str, known: Sequence[str]) -> bool:
    """Whether a word of a name is one of those known, figures behind it aside."""
    words = words_of(name)
    # Scripts without blanks between words have a letter or figure right behind one.
    wide = tuple(word for word in known if not word.isascii())
    return any(
        word in known or word.rstrip("0123456789") in known or word.startswith(wide)
        for word in words
    )


def is_one(name: str, known: Sequence[str]) -> bool:
    """Whether a whole name, or a part of a path, is one of those known."""
    return any(plain_name(part) in known for part in (name, *name.split(".")))


def is_asked(name: str) -> bool:
    """Whether a name, or the last part of a path, is that of what is asked."""
    return any(plain_name(part) in INPUTS for part in (name, name.rpartition(".")[2]))


def is_about(name: str) -> bool:
    """Whether a name is that of something that describes a row: `topic`, `answer_source`."""
    words = words_of(name)
    last = words[-1] if words else ""
    return last in ABOUT or (says_any(name, ABOUT) and not says_any(name, [*INPUTS, *RESPONSES]))


def is_id(name: str) -> bool:
    """Whether a name is that of an id: `id`, `question_id`, `qid`, `#`."""
    words = words_of(name)
    if not words:
        return name.strip() == "#"
    return plain_name(name) in IDS or words[-1] in ("id", "uuid", "guid", "qid", "idx")


def slug(text: str, otherwise: str, taken: Sequence[str] = ()) -> str:
    """A name for a recipe from any text, other than those taken.

    otherwise: what to take where nothing is left of the text.
    """
    made = re.sub(
        r"[^A-Za-z0-9]+", "-", _folded(text, keep_case=True).encode("ascii", "ignore").decode()
    )
    made = made.strip("-")[:60].strip("-") or otherwise
    number = 1
    name = made
    while name.casefold() in {other.casefold() for other in taken}:
        number += 1
        name = f"{made}-{number}"
    return name


def _folded(text: str, keep_case: bool = False) -> str:
    """Text without accents, and in small letters."""
    parts = unicodedata.normalize("NFKD", text)
    # Only marks on letters go: in some scripts they are vowels, which stay with what is not Latin.
    bare = "".join(c for c in parts if not "\u0300" <= c <= "\u036f")
    bare = unicodedata.normalize("NFKC", bare).replace("ø", "o").replace("ß", "ss")
    return bare if keep_case else bare.casefold()
