"""Where the thinking in a text ends and its answer begins.

Knows the tags that models use. Invariant: a text without a closed pair of tags at its beginning has
no thinking, and all of it is the answer.
"""

from __future__ import annotations

from respsel.text.tags import REASONING_PAIRS

# gpt-oss: channels in place of tags.
_CHANNEL = "<|channel|>"
_FINAL = "<|channel|>final<|message|>"


def answer_start(text: str) -> int:
    """The place of the first character of the answer; 0 where there is no thinking.

    The thinking is what is before it: a pair of tags at the beginning of the text with what they
    hold, and the blanks behind. Chat templates often write the opening tag themselves, so a closing
    one without it counts too. Of thinking without an end all is thinking: the place is the end of
    the text.
    """
    begun = text.lstrip()
    if begun.startswith(_CHANNEL) and not begun.startswith(_FINAL):
        found = text.find(_FINAL)
        return len(text) if found < 0 else found + len(_FINAL)
    low = text.casefold()
    for opening, closing in REASONING_PAIRS:
        first = low.find(closing.casefold())
        opens = low.find(opening.casefold())
        is_first = 0 <= opens < first or first < 0
        if opens >= 0 and is_first and low[:opens].strip():
            # Tags further down are quoted, or belong to the answer.
            continue
        if first >= 0:
            stop = first + len(closing)
            return stop + len(text[stop:]) - len(text[stop:].lstrip())
        if opens >= 0:
            return len(text)
    return 0
