"""Whether a chat template shows the target what a conversation has for it to read.

That is the tools, their results and the system turn. A template may write them in any form, so it
is asked whether its text depends on them.

Knows strings only. Invariant: a part that the template was once seen to write is not asked about
again. So a template that writes all of them is rendered three times more in all, not for each
conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from respsel.backends.placement import LEFT_OUT_RESULTS, LEFT_OUT_SYSTEM, LEFT_OUT_TOOLS
from respsel.backends.turn_fields import split_tools
from respsel.errors import PreflightError
from respsel.records import SYSTEMS, Message
from respsel.text.transcript import RESULT

# What stands in for a text, and for that text itself.
_OTHER = "x"
_ANOTHER = "y"


class ReadParts:
    """What one template is known to write."""

    def __init__(self, render: Callable[[Sequence[Message]], str]) -> None:
        """render: the text of a chat; raises PreflightError where the template refuses it."""
        self._render = render
        self._written: set[str] = set()

    def left_out(self, messages: Sequence[Message], text: str) -> list[str]:
        """What of a chat the template does not write, in words.

        text: what it makes of the chat.
        """
        found: list[str] = []
        for told, change in _CHANGES.items():
            other = None if told in self._written else change(messages)
            if other is None:
                continue
            if self._is_same(other, text):
                found.append(told)
            else:
                self._written.add(told)
        return found

    def _is_same(self, messages: Sequence[Message], text: str) -> bool:
        try:
            return self._render(messages) == text
        except PreflightError:
            # The template looks at what was changed.
            return False


def _without_tools(messages: Sequence[Message]) -> Sequence[Message] | None:
    """The chat without its tools; None if it has none."""
    tools, turns = split_tools(messages)
    return turns if tools else None


def _with_others(messages: Sequence[Message], roles: Sequence[str]) -> Sequence[Message] | None:
    """The chat with other texts in the turns of some roles; None if these have no text."""
    changed = [
        replace(message, content=_ANOTHER if message.content == _OTHER else _OTHER)
        if message.role in roles and message.content.strip()
        else message
        for message in messages
    ]
    return None if changed == list(messages) else changed


# By what is said of a part: the chat with that part changed, or None if the chat has no such part.
_CHANGES: dict[str, Callable[[Sequence[Message]], Sequence[Message] | None]] = {
    LEFT_OUT_TOOLS: _without_tools,
    LEFT_OUT_RESULTS: partial(_with_others, roles=(RESULT,)),
    LEFT_OUT_SYSTEM: partial(_with_others, roles=SYSTEMS),
}
