"""What a judge is shown of a conversation: the request as text, and each response.

Knows nothing of prompts. Invariants: all responses to an example are shown from the same place on,
behind the last question before the first trained turn. Of a single question and a single text it is
those, so what is asked about them stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from respsel.records import Example, Message, Response
from respsel.scoring.trained_turns import trained_chat
from respsel.text.transcript import dialogue, transcript


def request_text(example: Example) -> str:
    """What responses to an example answer: its input, or the conversation up to the question."""
    asked = example.context[: _behind(example.context, _questions(example))]
    return transcript(asked) if len(dialogue(asked)) > 1 else example.input


def response_text(example: Example, response: Response) -> str:
    """A response: its text, or all that is behind the question where that is more than a turn.

    A trajectory has the example's questions, but it may have other turns between them.
    """
    if not example.turns:
        return response.text
    chat = trained_chat(example, response)
    rest = chat[_behind(chat, _questions(example)) :]
    return response.text if len(rest) == 1 else transcript(rest)


def _questions(example: Example) -> int:
    """How many questions stand before the first trained turn."""
    return sum(turn.role == "user" for turn in example.context)


def _behind(chat: Sequence[Message], questions: int) -> int:
    """The place behind so many questions; 0 for none."""
    places = [place for place, turn in enumerate(chat) if turn.role == "user"]
    return places[questions - 1] + 1 if questions else 0
