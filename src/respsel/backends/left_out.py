"""What a chat template leaves out of conversations, in sentences that say what becomes of it.

Knows the words of `placement` only, no template. Invariant: what is told of a response's place is
no such words, even if the template leaves out a part of that response.
"""

from __future__ import annotations

from respsel.backends.placement import (
    AND_ALSO,
    LEAVES_OUT,
    LEFT_OUT,
    LEFT_OUT_RESULTS,
    LEFT_OUT_SYSTEM,
    LEFT_OUT_TOOLS,
)

# What the target is to read in a conversation. The rest is what it is to write.
TO_READ = tuple(
    words.removeprefix(LEAVES_OUT) for words in (LEFT_OUT_TOOLS, LEFT_OUT_RESULTS, LEFT_OUT_SYSTEM)
)


def parts_left_out(told: str) -> tuple[str, ...]:
    """What of a conversation is left out; none if a place is told, or nothing."""
    parts = told.split(AND_ALSO)
    if LEFT_OUT in parts or not all(part.startswith(LEAVES_OUT) for part in parts):
        return ()
    return tuple(part.removeprefix(LEAVES_OUT) for part in parts)


def left_out_sentence(part: str, where: str = "") -> str:
    """What becomes of a part; where: in which conversations, with a blank before it."""
    begun = f"The chat template leaves out {part}{where}: the target is"
    if part not in TO_READ:
        return f"{begun} not trained on it."
    seeing = "it" if part.endswith("turn") else "them"
    return (
        f"{begun} trained without seeing {seeing}. Give a template of your own with "
        "'chat_template'."
    )
