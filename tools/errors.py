"""Every message of respsel as a page, by what it is about."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import respsel
from respsel.system import disk
from tools.markdown import plain, sentence, table
from tools.problems import Message, messages, reasons
from tools.source import Source

_ROOMS = {
    "draft": "A first recipe",
    "recipe": "The recipe's form",
    "workspace": "The recipe as a whole",
    "data": "Data files, conversations and prompts",
    "sandbox": "Limits of templates",
    "answers": "Answer checks",
    "strategies": "Strategies",
    "metrics": "Metrics",
    "scoring": "Scoring",
    "selection": "Verdicts",
    "backends": "Models and endpoints",
    "calls": "Calls of a model",
    "graph": "The steps of a recipe",
    "plan": "Plan and explain",
    "run": "A run",
    "study": "A study",
    "report": "The report",
    "history": "Recorded runs",
    "training": "Training sets",
    "store": "The store",
    "system": "Files and folders",
    "plugins": "Plug-ins",
    "cli": "The command line",
    "errors": "Many problems at once",
}
_REASONS = (
    "These stand in a message of this page, in the place of a reason such as `<why>` or `<error>`, "
    "or say why a response has no value."
)


@cache
def source_of_respsel() -> Source:
    """The package's source, read once."""
    return Source(Path(respsel.__file__).parent)


@cache
def all_messages() -> Sequence[Message]:
    """Every message of respsel."""
    return tuple(messages(source_of_respsel()))


@cache
def all_reasons() -> Sequence[Message]:
    """Every reason that stands in a message."""
    return tuple(reasons(source_of_respsel()))


def errors() -> str:
    """The page's part: a section for each part of respsel that has something to say."""
    found = all_messages()
    more = all_reasons()
    rooms = dict.fromkeys([*_ROOMS, *(message.room for message in (*found, *more))])
    parts = []
    for room in rooms:
        here = [message for message in found if message.room == room]
        why = [message for message in more if message.room == room]
        title = _ROOMS.get(room, room.replace("_", " ").capitalize())
        if here or why:
            parts.append(f"## {title}")
        if here:
            rows = _rows(_in_order(here))
            parts.append(table(("what is wrong", "what to do", "exit code"), rows))
        if why:
            parts += [f"### Reasons: {title[:1].lower()}{title[1:]}", _REASONS, _reason_table(why)]
        if room == "system":
            parts += ["### When the system refuses a file", _refusals()]
    return "\n\n".join(parts)


def _in_order(found: Iterable[Message]) -> list[Message]:
    """By the alphabet; what begins with a name comes last."""
    return sorted(found, key=lambda one: (one.what.startswith("<"), one.what.lower().lstrip("<'")))


def _rows(found: Iterable[Message]) -> Iterator[tuple[str, str, str]]:
    """A row for each message, with all that it may ask for."""
    alike: dict[str, list[Message]] = {}
    for message in found:
        alike.setdefault(message.what, []).append(message)
    for what, some in alike.items():
        remedies = [plain(sentence(one.remedy)) for one in some if one.remedy]
        codes = sorted(
            {code for one in some for code in one.codes}, key=lambda code: (len(code), code)
        )
        yield plain(sentence(what)), "<br>".join(dict.fromkeys(remedies)), ", ".join(codes) or "–"


def _reason_table(found: Iterable[Message]) -> str:
    rows = [(plain(one.what), plain(sentence(one.remedy))) for one in _in_order(found)]
    return table(("reason", "what to do"), rows)


def _refusals() -> str:
    """What is said for each reason of the system."""
    rows = [
        (plain(os.strerror(number)), plain(sentence(remedy)))
        for number, remedy in disk._REMEDIES.items()
    ]
    return table(("the system says", "what to do"), rows)
