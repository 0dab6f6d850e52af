"""Finding the answer in a response and comparing it with the label.

Knows nothing of datasets or models. Invariants: a label given back as the answer is right, unless
`label_problem` finds something wrong with it. `is_correct` is a pure function of its arguments, and
for kind math of math-verify's version.
"""

from __future__ import annotations

from respsel.answers.choices import read_choice, read_choice_label
from respsel.answers.digits import Number
from respsel.answers.exact import is_exact, is_same_text, read_exact
from respsel.answers.items import SEVERAL
from respsel.answers.mathematics import is_same_math, math_label_problem, read_math
from respsel.answers.numbers import NOTHING, is_same_number, read_label, read_one, read_response
from respsel.answers.patterns import last_match
from respsel.answers.plain import both_ends
from respsel.answers.reasoning import without_reasoning
from respsel.recipe.schema import AnswerEntry


def is_correct(check: AnswerEntry, text: str, label: str) -> bool:
    """Whether the text's answer equals the label; a text without an answer is wrong."""
    answer = without_reasoning(text, check.reasoning)
    if answer is None:
        return False
    if check.kind == "exact":
        return answer.strip() == label.strip() or is_exact(both_ends(answer), label)
    if check.kind == "number":
        right = read_label(label)
        if not isinstance(right, Number):
            # label_problem refuses it in a recipe; it equals nothing but itself.
            return is_same_text(
                *("".join(read_exact(both_ends(text)).split()) for text in (answer, label))
            )
        found = read_response(both_ends(answer))
        return found is not None and _same_number(check, found, right)
    if check.kind == "choice":
        option = read_choice_label(label)
        return option is not None and read_choice(both_ends(answer), option) == option
    given = _find(check, answer)
    wanted = read_math(label) if check.kind == "math" else label
    return given is not None and wanted is not None and is_same(check, given, wanted)


def is_same(check: AnswerEntry, found: str, right: str) -> bool:
    """Whether two answers, as `find_answer` gives them, are the same."""
    if check.kind == "number":
        mine = read_one(found)
        theirs = read_one(right)
        return (
            isinstance(mine, Number)
            and isinstance(theirs, Number)
            and _same_number(check, mine, theirs)
        )
    if check.kind == "choice":
        return found.casefold() == right.casefold()
    if check.kind == "math":
        return is_same_math(found, right)
    return is_same_text(found, right) if check.kind == "exact" else found.strip() == right.strip()


def find_answer(check: AnswerEntry, text: str) -> str | None:
    """Return the answer in a text, or None; docs/answers.md says where each kind looks for it."""
    answer = without_reasoning(text, check.reasoning)
    return None if answer is None else _find(check, answer)


def label_problem(check: AnswerEntry, label: str) -> tuple[str, str] | None:
    """What is wrong with a label, and what to do; None if nothing.

    A wrong label would make every response wrong, or a wrong one right.
    """
    remedy = "Fix the label, or choose another 'answer'"
    if check.kind == "number":
        found = read_label(label)
        if isinstance(found, Number):
            return None
        if found == NOTHING:
            return f"label '{label}' holds no number to check answers against", remedy
        kind = (
            "'math' or 'exact'" if found != SEVERAL else "'math' for a set of numbers, or 'exact'"
        )
        return (
            f"label '{label}' is {found}, not one number",
            f"Set 'answer' to {kind}, or fix the label",
        )
    if check.kind == "choice" and read_choice_label(label) is None:
        return f"label '{label}' holds no choice to check answers against", remedy
    if check.kind == "math" and (problem := math_label_problem(label)):
        return f"label '{label}' {problem}", "Set 'answer' to 'exact', or fix the label"
    return None


def _find(check: AnswerEntry, answer: str) -> str | None:
    if check.kind == "regex":
        return last_match(check.pattern or "", answer)
    answer = both_ends(answer)
    if check.kind == "number":
        number = read_response(answer)
        return None if number is None else str(number)
    if check.kind == "choice":
        return read_choice(answer)
    return read_math(answer) if check.kind == "math" else read_exact(answer)


def _same_number(check: AnswerEntry, found: Number, right: Number) -> bool:
    return is_same_number(found, right, check.tolerance or 0, check.relative_tolerance or 0)
