"""Where a response is in the text that a trainer makes of the chat.

In training a template may put other text before a response than before one that is asked for. Qwen3
writes an empty think block, R1 opens `<think>` in the prompt alone, and old templates have no
generation prompt.

Knows strings only, no tokens. Invariant: `before + response + after` is the trained text, and
`response` is the given text, up to white space or a part that the template leaves out. Nothing else
is taken for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from respsel.backends.common_prefix import common_prefix
from respsel.records import Message

# Renders messages; the second argument asks for the beginning of an assistant's turn behind them.
Render = Callable[[Sequence[Message], bool], str]
# Why a response has no place begins so.
NO_PLACE = "not in the training text: "
# What is said where the template does not write all.
LEAVES_OUT = "the template leaves out "
# Of a response.
LEFT_OUT = f"{LEAVES_OUT}a part of it"
# Of what the target is to read in a conversation.
LEFT_OUT_TOOLS = f"{LEAVES_OUT}the tools"
LEFT_OUT_RESULTS = f"{LEAVES_OUT}the tools' results"
LEFT_OUT_SYSTEM = f"{LEAVES_OUT}the system turn"
# What stands between two such words.
AND_ALSO = "; "
_SPACED = "the template changes its white space"
_SHOWN = 40
# Private characters: no text has both, and no template changes them.
_FIRST = "\ue010"
_LAST = "\ue011"


@dataclass(frozen=True)
class TextPlace:
    """A response within a trained text.

    before, response, after: the trained text in three pieces.
    told: how the place differs from the end of the prompt, in words; empty where it does not.
    verbatim: whether the response is in it as it was given.
    problem: why it has no place; the other fields are empty then.
    """

    before: str
    response: str
    after: str
    told: str = ""
    verbatim: bool = True
    problem: str = ""


def find_place(render: Render, messages: Sequence[Message], text: str) -> TextPlace | None:
    """Find a response in the trained text of a chat; None if the template writes no response.

    The template's words around a response are found with a stand-in. No text has the stand-in's
    first and last characters.
    """
    first = _FIRST
    last = _LAST
    while first in text or last in text:
        first = first + _FIRST
        last = _LAST + last
    marked = render([*messages, Message("assistant", f"{first}x{last}")], False)
    if marked.count(f"{first}x{last}") != 1:
        return None
    trained = render([*messages, Message("assistant", text)], False)
    asked = render(messages, True)
    begin = common_prefix(trained, marked)
    end = len(trained) - common_prefix(trained[begin:][::-1], marked[::-1])
    found = (
        _between(trained, begin, end, text)
        or _verbatim(trained, end, text)
        or _spaced(trained, end, text)
        or _part(trained, begin, end, text)
    )
    if found is None:
        instead = trained[begin:end]
        what = (
            f"the chat template writes {_shown(instead)} in its place"
            if instead.strip()
            else "the chat template leaves it out"
        )
        return TextPlace("", "", "", problem=NO_PLACE + what)
    told = [found.told, _difference(asked, found.before)]
    return replace(found, told=AND_ALSO.join(part for part in told if part))


def _between(trained: str, begin: int, end: int, text: str) -> TextPlace | None:
    """What is between the template's words, if it is the response up to outer blanks."""
    response = trained[begin:end]
    if not text.strip() or response.strip() != text.strip():
        return None
    told = "" if response == text else _SPACED
    return TextPlace(trained[:begin], response, trained[end:], told, response == text)


def _verbatim(trained: str, end: int, text: str) -> TextPlace | None:
    begin = end - len(text)
    if begin < 0 or trained[begin:end] != text:
        return None
    return TextPlace(trained[:begin], text, trained[end:])


def _spaced(trained: str, end: int, text: str) -> TextPlace | None:
    """The response with other white space, as templates write what is behind a think block."""
    at = end
    for character in reversed(text):
        if character.isspace():
            continue
        while at and trained[at - 1].isspace():
            at -= 1
        if not at or trained[at - 1] != character:
            return None
        at -= 1
    response = trained[at:end].rstrip()
    if not response:
        return None
    return TextPlace(trained[:at], response, trained[at + len(response) :], _SPACED, verbatim=False)


def _part(trained: str, begin: int, end: int, text: str) -> TextPlace | None:
    """A part of the response, where the template leaves out the rest (its thinking, mostly)."""
    whole = trained[begin:end]
    response = whole if whole in text else whole.strip()
    if not response.strip() or response not in text:
        return None
    begin = trained.index(response, begin)
    return TextPlace(
        trained[:begin], response, trained[begin + len(response) :], LEFT_OUT, verbatim=False
    )


def _difference(asked: str, before: str) -> str:
    """How the text before a trained response differs from the prompt that asks for one."""
    same = common_prefix(asked, before)
    only_asked = asked[same:]
    only_trained = before[same:]
    if only_asked and only_trained:
        return f"behind {_shown(only_trained)}, where the prompt has {_shown(only_asked)}"
    if only_trained:
        return f"behind {_shown(only_trained)}, which the prompt lacks"
    return f"without {_shown(only_asked)}, which only the prompt has" if only_asked else ""


def _shown(text: str) -> str:
    """A text within a sentence, shortened."""
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}...")
