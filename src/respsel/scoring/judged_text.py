"""What a judge is shown of a conversation: the request as text, and each response.

Knows nothing of prompts. Invariant: of a single question and a single text it is those, so what is
asked about them stays as it is.
"""

from __future__ import annotations

from respsel.records import TOOLS, Example, Response
from respsel.text.transcript import transcript


def request_text(example: Example) -> str:
    """What responses to an example answer: its input, or the conversation before them."""
    turns = [turn for turn in example.context if turn.role not in (TOOLS, "system", "developer")]
    return transcript(example.context) if len(turns) > 1 else example.input


def response_text(example: Example, response: Response) -> str:
    """A response: its text, or of a whole conversation all that is behind the shared beginning."""
    shared = len(example.context)
    if not response.turns or len(response.turns) == shared + 1:
        return response.text
    return transcript(response.turns[shared:])
