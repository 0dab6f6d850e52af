"""The tags that models write around their reasoning and at the end of a turn.

Knows nothing of what is read between them. Invariant: a pair is (opening, closing).
"""

from __future__ import annotations

REASONING_PAIRS = (
    *(
        (f"<{name}>", f"</{name}>")
        for name in ("think", "thinking", "thought", "reasoning", "seed:think", "longcat_think")
    ),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<unused94>thought", "<unused95>"),
)
# What ends a turn, where special tokens were decoded.
TURN_ENDS = (
    "<|return|>",
    "<|end|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|endoftext|>",
    "</s>",
    "<end_of_turn>",
)
# What tool calls begin with, where a turn writes them as text.
CALL_MARKS = (
    "<tool_call",
    "<function_call",
    "<functioncall",
    "<function=",
    "<|python_tag|>",
    "<|tool_call",
    "[TOOL_CALLS]",
)
