"""The phrases by which models refuse to answer, in the languages that they mostly write.

Knows nothing of where they stand. Invariant: each matches within one sentence, in lower case.
"""

from __future__ import annotations

import re
from functools import lru_cache

_ABOUT = (
    r"(?:that|this|those|it|your request)(?= ?[.,;!]|$)|(?:(?:that|this|these|such|any|your) )?"
    r"(?:[\w-]+ )?(?:content|material|request|instructions|advice|guidance|information|opinion)"
)
_HELP = (
    r"(?:help(?! but| it\b| myself| \w+ing\b)|assist|answer(?! for\b)|comply|engage|participate"
    r"|discuss|fulfil|respond|support (?:that|this|such)"
    r"|(?:do|say|write|create|generate|produce|make|give|continue|complete|perform|offer|share"
    rf"|endorse|condone|encourage|promote) (?:{_ABOUT})"
    r"|provide (?:you )?(?:with )?(?:any |specific |detailed |the )?(?:that|this|these|such"
    r"|information|instruction|guidance|assistance|help|advice|details|content|support|requested"
    r"|(?:an? )?(?:answer|response|solution)|medical|legal|financial|personal))"
    r"(?![^.!?]{0,80}\b(?:without|until|unless|before)\b)"
)
_CANNOT = (
    r"(?:can't|cannot|can not|won't|will not|couldn't|refuse to|decline to"
    r"|(?: ?am |'m |'re | are )(?:unable|not (?:able|allowed|programmed)) to"
    r"|(?:must|have to) (?:decline|refuse) to)"
)
_PEOPLE = (
    r"(?! (?:researcher|engineer|developer|teacher|trainer|writer|ethicist|scientist|artist"
    r"|specialist|expert|student|professor|consultant|enthusiast|company|lab|team)\b)"
)
_MODEL = rf"(?:ai|artificial intelligence|language model|llm|chatbot)\b{_PEOPLE}"
_SENTENCE = r"[^.!?]{0,60}?"
_ENGLISH = (
    rf"\b(?:i|we) ?{_CANNOT} (?:(?:\w+ly|be able to|just|even|in good conscience) )?{_HELP}",
    rf"\b(?:sorry|afraid),? (?:but |that )?(?:i|we) ?{_CANNOT}(?: do that| do this| continue)? *"
    r"(?:[.!…]|$)",
    rf"\bas (?:an? )?(?:\w+ ){{0,2}}{_MODEL}{_SENTENCE}\bi(?:'m not| am not|'m unable| am unable"
    r"| do not| don't| can't| cannot| won't| will not| lack| have no| must decline)\b",
    rf"\bi(?:'m| am) (?:just|only) (?:an? )?{_MODEL}{_SENTENCE}\b(?:can't|cannot|don't|not)\b",
    r"\bi (?:must|have to|need to|will) (?:\w+ )?(?:decline|refuse)(?: to| this| that| your|[.!,])",
    r"\bi(?:'m| am| do| would)? ?(?:not|don't|wouldn't) (?:feel |be )?comfortable ",
    r"\bi (?:do not|don't) have (?:access to (?:real|current|live|up|the internet|personal)"
    r"|the (?:ability|capability)|personal (?:opinions?|feelings|experiences|beliefs))",
    r"\bit (?:would be|is|'s) (?:inappropriate|not appropriate|unethical) for me to",
    r"\b(?:this|that|your) (?:request|question|prompt) (?:goes against|violates)\b",
)
_GERMAN = (
    r"\bich kann (?:\w+ ){0,4}?nicht (?:weiter)?(?:helfen|beantworten|unterstützen|erfüllen)",
    r"\bkann ich (?:\w+ ){0,5}?(?:nicht|keine?) (?:\w+ )?(?:weiter)?(?:helfen|beantworten"
    r"|unterstützen|bereitstellen|erfüllen)",
    r"\bals (?:\w+ )?(?:ki|künstliche intelligenz|sprachmodell|ki-\w+|ai)\b"
    rf"{_SENTENCE}\b(?:nicht|keine?n?)\b",
)
_FRENCH = (
    r"\bje ne (?:peux|suis|puis) (?:malheureusement )?pas (?:en mesure d[e'] ?)?"
    r"(?:vous |t'|te |y )?(?:aider|répondre|fournir|satisfaire|accéder)",
    r"\ben tant qu(?:e |')[^.!?,]{0,40}?(?:ia|modèle|intelligence artificielle|assistant)\b"
    rf"{_SENTENCE}\bje n",
)
_IBERIAN = (
    r"\bno (?:te |le |les )?(?:puedo|podemos) (?:\w+ )?(?:ayudar|asistir|responder|proporcionar"
    r"|cumplir)",
    r"\bnão (?:posso|consigo) (?:\w+ )?(?:ajud|responder|fornecer|atender|auxiliar)",
    r"\bcomo (?:um |una? )?(?:ia|modelo de (?:lenguaje|linguagem)|inteligencia artificial"
    rf"|inteligência artificial|asistente|assistente)\b{_SENTENCE}\b(?:no|não) ",
)
_ITALIAN = (
    r"\bnon (?:posso|sono in grado di) (?:\w+ )?(?:aiutar|rispondere|fornir|assister|soddisfare)",
    r"\bcome (?:una?|un')? ?(?:ia|modello linguistico|intelligenza artificiale|assistente)\b"
    rf"{_SENTENCE}\bnon ",
)
_NORTHERN = (
    r"\b(?:ik kan|kan ik) (?:\w+ ){0,4}?niet (?:mee )?(?:\w+ )?(?:helpen|beantwoorden|assisteren)",
    rf"\bals (?:een )?(?:taalmodel|ai-\w+)\b{_SENTENCE}\b(?:niet|geen)\b",
    r"\bjag kan (?:\w+ )?inte (?:\w+ )?(?:hjälpa|svara)",
    r"\b(?:jeg kan|kan jeg) (?:\w+ ){0,3}?ikke (?:\w+ )?(?:hjælpe|hjelpe|svare|bistå)",
)
_SLAVONIC = (
    r"\bnie mogę (?:\w+ ){0,2}?(?:pomóc|odpowiedzieć|udzielić|spełnić)",
    r"\bjako (?:model językowy|ai|sztuczna inteligencja|asystent ai)\b" + _SENTENCE + r"\bnie ",
    r"\b(?:я )?(?:\w+ )?не могу (?:\w+ ){0,3}?(?:помочь|ответить|выполнить|предоставить|обсуждать)",
    r"\bкак (?:\w+ )?(?:языковая модель|ии|искусственный интеллект)\b" + _SENTENCE + r"\bне ",
)
_OTHERS = (
    r"(?:抱歉|对不起|對不起|不好意思)[^。!?]{0,20}(?:无法|無法|不能|没法)"
    r"[^。!?]{0,8}(?:提供|帮|幫|协助|協助|回答|满足|滿足|完成|回应|回應)",
    r"作为(?:一[个款名])?[^。,]{0,8}(?:人工智能|ai|语言模型|助手)"
    r"[^。!?]{0,20}(?:无法|不能|没有|不会)",
    r"(?:お答え|お手伝い|回答|対応|提供|お応え|支援|協力)を?(?:する(?:こと)?)?[はが]?"
    r"(?:でき(?:ません|かね)|(?:いた|致)しかね)",
    r"(?:도와|도움|답변|제공|응답|대답)[^.!?]{0,12}수 없",
    r"\byardımcı olam|\byardım edem",
    r"\bsaya tidak (?:dapat|bisa) (?:membantu|menjawab|memberikan)",
    r"لا (?:أستطيع|يمكنني) (?:مساعد|المساعد|تقديم|الإجابة|الرد)",
    r"(?:मदद|सहायता) (?:\w+ )?नहीं कर सक",
)
# Without one of these there is no phrase, so most texts are done quickly.
_CUES = (
    *("can't", "cannot", "can not", "unable", "not able", "not allowed", "won't", "will not"),
    *("couldn't", "decline", "refuse", "comfortable", "n't have", "not have", " ai ", " ai,"),
    *(
        " ai-",
        "language m",
        "llm",
        "chatbot",
        "not programmed",
        "violates",
        "goes against",
        "appropriate for me",
        "unethical for me",
    ),
    *("artificial", "nicht", "kein", "ne peux", "ne suis", "ne puis", "tant qu", "nie mog"),
    *("puedo", "podemos", "posso", "non sono", "consigo", " ia ", " ia,", "modelo", "modello"),
    *("inteligen", "intelligen", "asistent", "assistent", " niet", " geen", " inte ", " ikke "),
    *("jako ", "не ", "抱歉", "不起", "不好意思", "作为", "ません", "かね", "수 없"),
    *("yardım", "tidak", "لا ", "नहीं"),
)


def find_phrase(text: str) -> re.Match[str] | None:
    """The first phrase in a text that is in lower case, if there is one."""
    return _pattern().search(text) if any(cue in text for cue in _CUES) else None


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    families = (_ENGLISH, _GERMAN, _FRENCH, _IBERIAN, _ITALIAN, _NORTHERN, _SLAVONIC, _OTHERS)
    return re.compile("|".join(phrase for family in families for phrase in family))
