"""Why no response of a dataset has the right answer: labels and responses of different kinds.

Knows labels and texts, not models. Invariant: it only says what it sees; no answer is judged
differently for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from respsel.answers import find_answer
from respsel.recipe.schema import AnswerEntry

# So many responses are looked at.
_MOST = 200
_CHOICE = AnswerEntry(kind="choice")
_NUMBER = AnswerEntry(kind="number")


def explain_unmatched(check: AnswerEntry, labels: Sequence[str], texts: Sequence[str]) -> str:
    """One sentence on what labels are and what responses give, and what to do about it."""
    mine = Counter(_label_kind(label) for label in labels).most_common(1)
    theirs = Counter(_text_kind(check, text) for text in texts[:_MOST]).most_common(1)
    if not mine or not theirs:
        return ""
    wanted = mine[0][0]
    given = theirs[0][0]
    if wanted == "indexes" and given == "letters":
        lowest, highest = (
            f(int(float(label)) for label in labels if _label_kind(label) == wanted)
            for f in (min, max)
        )
        first = (
            f"{lowest} may stand for A"
            if lowest in (0, 1)
            else "which letter stands for which index is not known"
        )
        remedy = (
            f"Write the labels as letters ({first}), or ask for the option's number in the prompt"
        )
        wanted = f"indexes from {lowest} to {highest}"
    elif wanted == given:
        return (
            f"Labels and responses both look like {wanted}: read some responses, and check "
            "that 'label' is the right column."
        )
    else:
        remedy = "Write the labels the way the responses are, or choose another 'answer'"
    return f"Labels are {wanted}, and most responses give {given}. {remedy}."


def _label_kind(label: str) -> str:
    from respsel.answers.choices import label_truth

    label = label.strip()
    if label_truth(label) is not None:
        return "booleans (true or false, yes or no)"
    if label.removesuffix(".0").isdigit() and len(label.removesuffix(".0")) <= 2:
        return "indexes"
    option = find_answer(_CHOICE, label) if len(label) <= 4 else None
    if option is not None and option.isalpha():
        return "letters"
    return "numbers" if find_answer(_NUMBER, label) is not None and len(label) < 40 else "words"


def _text_kind(check: AnswerEntry, text: str) -> str:
    reasoning = check.reasoning
    option = find_answer(AnswerEntry(kind="choice", reasoning=reasoning), text)
    if option is not None and option.isalpha():
        return "letters"
    said = (find_answer(AnswerEntry(kind="exact", reasoning=reasoning), text) or "").strip()
    if not said:
        return "no answer behind their reasoning"
    if said.split()[0].strip(".,;:!*").casefold() in ("yes", "no", "true", "false"):
        return "yes or no"
    if option is not None:
        return "indexes"
    return (
        "numbers"
        if find_answer(AnswerEntry(kind="number", reasoning=reasoning), text) is not None
        else "words"
    )
