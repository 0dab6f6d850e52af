"""What can be wrong with a text by its look alone, without a model and without a label.

Knows nothing of strategies. Invariants: where a check cannot tell, the text is sound. Each check
takes linear time, and looks at a bounded part of a text.
"""

from __future__ import annotations

from enum import StrEnum

from respsel.health.copies import is_copy
from respsel.health.languages import is_other_language
from respsel.health.leftovers import answer_part, find_leftover
from respsel.health.loops import is_loop
from respsel.health.refusals import is_refusal
from respsel.health.words import bounded, words_of


class Fault(StrEnum):
    """A fault of a text; `words` names it for people."""

    EMPTY = "empty"
    CUT_SHORT = "cut_short"
    LOOP = "loop"
    SAME_TEXT = "same_text"
    COPY = "copy"
    REFUSAL = "refusal"
    LANGUAGE = "language"
    LEFTOVER = "leftover"

    @property
    def words(self) -> str:
        """The fault in plain words: "3 responses are ..."."""
        return _WORDS[self]


_WORDS = {
    Fault.EMPTY: "empty",
    Fault.CUT_SHORT: "cut short",
    Fault.LOOP: "in a loop",
    Fault.SAME_TEXT: "the same text for several inputs",
    Fault.COPY: "copies of the input",
    Fault.REFUSAL: "refusals",
    Fault.LANGUAGE: "in another language than the input",
    Fault.LEFTOVER: "spoilt by leftovers of templates or tags",
}


def find_faults(text: str, asked: str, usual: str | None = None) -> tuple[Fault, ...]:
    """The faults of one text on its own, in the order of Fault.

    Not EMPTY, CUT_SHORT and SAME_TEXT, which need more than the text: see text_health.
    asked: the input that the text answers.
    usual: the language of the dataset's inputs (see language_of), for an input that is too short
    to tell its own.
    """
    seen = bounded(text)
    words = words_of(seen)
    if not seen.strip():
        return ()
    answer = answer_part(seen)
    said = words if answer is seen else words_of(answer)
    checks = (
        (Fault.LOOP, is_loop(seen, words)),
        (Fault.COPY, is_copy(said, asked)),
        (Fault.REFUSAL, is_refusal(answer, asked)),
        (Fault.LANGUAGE, is_other_language(answer, said, asked, usual)),
        (Fault.LEFTOVER, find_leftover(seen, asked) != ""),
    )
    return tuple(fault for fault, found in checks if found)
