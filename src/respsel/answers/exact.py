"""The kind `exact`: the text of an answer, as it is.

Knows no numbers and no options. Invariant: three things change nothing: marks that make a whole
text bold, quotes or a box around it, and a full stop behind it. Any other
character does.
"""

from __future__ import annotations

import re

from respsel.answers.choices import label_truth, read_truth
from respsel.answers.statements import Statement, statements

# What is opened before a statement, and how far before its end.
_OPENED = re.compile(r"(?:^|\s)(\*\*|__|\*|_)\w[\w ]*[:\s]*$")
_NEAR = 80
# What people put around a whole answer, and is not part of it.
_MARKS = (
    ("```\n", "\n```"),
    *((mark, mark) for mark in ("**", "*", "`", '"', "'")),
    *(tuple(pair) for pair in ("“”", "„“", "«»", "「」")),
)
_WHOLE = re.compile(r"(-?\d{1,18})\.0")
_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\s?\{([^{}]*)\}")


def is_exact(text: str, label: str) -> bool:
    """Whether a response gives the label's text, or says yes or no like a boolean label."""
    text = text.strip()
    label = label.strip()
    if text == label:
        return True
    if (truth := label_truth(label)) is not None:
        return read_truth(text) is truth
    return is_same_text(read_exact(text), label) or _closes_with(text, label)


def read_exact(text: str) -> str:
    """What the last statement says on its line, or the whole text."""
    for statement in statements(text):
        content = statement.content.strip()
        if statement.boxed:
            return content
        if content:
            return _closed(content.splitlines()[0].strip(), text[: statement.begins])
    return text.strip()


def is_same_text(one: str, other: str) -> bool:
    """Whether two texts are the same, marks around them and a full stop behind them aside."""
    return _forms(one)[0] == _forms(other)[0] or bool({*_forms(one)} & {*_forms(other)})


def _forms(text: str) -> list[str]:
    """The forms of a text that count as the same.

    They have no marks around them and no full stop; a whole number has no ".0".
    """
    bare = _unwrapped(text)
    forms = [
        bare,
        *(
            [bare[:-1].rstrip(), _unwrapped(bare[:-1])]
            if bare[-1:] in (".", "。") and len(bare) > 1
            else []
        ),
    ]
    forms += [
        form.strip("$").strip()
        for form in forms
        if form.startswith("$") and form.endswith("$") and len(form) > 2
    ]
    forms += [command[1] for form in forms if (command := _COMMAND.fullmatch(form))]
    return forms + [whole[1] for form in forms if (whole := _WHOLE.fullmatch(form))]


def _closes_with(text: str, label: str) -> bool:
    """Whether a text ends with a statement of just this label.

    The label itself may have lines, or words of a statement.
    """
    text = text.removesuffix(".") if not text.endswith(label) else text
    if not label or not text.endswith(label):
        return False
    before = text[: len(text) - len(label)]
    found: Statement | None = next(statements(before), None)
    return found is not None and not before[found.begins :].strip(" \t\n:")


def _closed(line: str, before: str) -> str:
    """What follows a marker, without a mark that was opened before it: "**Final Answer: yes**"."""
    opened = _OPENED.search(before.rpartition("\n")[2][-_NEAR:])
    return line.removesuffix(opened[1]).rstrip() if opened and line != opened[1] else line


def _unwrapped(text: str) -> str:
    """A text without the marks around it that make all of it bold, code or quoted."""
    text = text.strip()
    for before, behind in _MARKS:
        inner = text.removeprefix(before).removesuffix(behind)
        if len(inner) == len(text) - len(before) - len(behind) and inner.strip("*`\"' "):
            return inner.strip()
    return text
