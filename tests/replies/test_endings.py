"""Finish reasons: each known name, its spellings, and everything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.replies.endings import Ending, ending_of, names

WHOLE = sorted(
    names(
        "stop STOP Stop end_turn END_TURN stop_sequence eos eos_token COMPLETE completed "
        "endoftext FINISHED FinishReason.STOP "
        "FINISH_REASON_STOP REASON_STOP eosFound stopStringFound stop-sequence"
    )
)
CUT = sorted(
    names(
        "length LENGTH max_tokens MAX_TOKENS model_length max_output_tokens incomplete "
        "model_context_window_exceeded ERROR_LIMIT "
        "token_limit contextLengthReached maxPredictedTokensReached REASON_MAX_LEN "
        "FinishReason.MAX_TOKENS limit"
    )
)
FILTERED = sorted(
    names(
        "content_filter CONTENT_FILTERED SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII "
        "sensitive guardrail_intervened "
        "ERROR_TOXIC refusal LANGUAGE content_filter:RECITATION"
    )
)
BROKEN = sorted(
    names(
        "error ERROR abort aborted cancelled insufficient_system_resource network_error "
        "tool_calls tool_use function_call "
        "TOOL_CALL MALFORMED_FUNCTION_CALL pause_turn OTHER load unload timeout time_limit failed "
        "in_progress "
        "FINISH_REASON_UNSPECIFIED user_cancel modelUnloaded"
    )
)
ODD: list[Any] = [
    "",
    None,
    {},
    "stopp",
    "non-stop",
    "stop!",
    "not stop",
    "whole",
    0,
    True,
    1.5,
    ["stop"],
    {"typ": "stop"},
]


@pytest.mark.parametrize("name", WHOLE)
def test_a_good_ending_is_whole(name: str) -> None:
    """However it is spelled."""
    assert ending_of(name) == ending_of({"type": name, "matched": 2}) == Ending()


@pytest.mark.parametrize("name", CUT)
def test_a_limit_is_cut_short(name: str) -> None:
    """Whatever the limit is called."""
    assert ending_of(name) == ending_of({"type": name, "length": 9}) == Ending(truncated=True)


@pytest.mark.parametrize("name", [*FILTERED, *BROKEN])
def test_any_other_known_ending_is_a_problem_by_name(name: str) -> None:
    """The name as the server spelled it; a filter is about the input, a breakdown is not."""
    ending = ending_of(name)
    assert repr(name) in ending.problem
    assert not ending.truncated
    assert ending.about_input == (name in FILTERED)


@pytest.mark.parametrize("reason", ODD, ids=repr)
def test_no_ending_and_what_is_no_name_are_problems(reason: Any) -> None:
    """Never a whole text, never a bug."""
    assert ending_of(reason).problem


@given(
    st.text()
    | st.none()
    | st.integers()
    | st.dictionaries(st.sampled_from(["type", "x"]), st.text())
)
def test_only_what_is_known_makes_a_text(reason: Any) -> None:
    """Of all texts none is good that is not, without case and separators, a name in the table
    above.
    """
    name = reason.get("type", "") if isinstance(reason, dict) else reason
    plain = "".join(filter(str.isalpha, str(name))).lower()
    if not any(
        plain.endswith("".join(filter(str.isalpha, known)).lower().removeprefix("finishreason"))
        for known in WHOLE + CUT
    ):
        assert ending_of(reason).problem


@pytest.mark.parametrize(
    ("reason", "native", "ending"),
    [
        ("stop", "STOP", Ending()),
        ("stop", "a name that this version does not know", Ending()),
        ("stop", None, Ending()),
        ("stop", "MAX_TOKENS", Ending(truncated=True)),
        ("length", "stop", Ending(truncated=True)),
    ],
)
def test_the_word_behind_a_router_counts_where_it_is_worse(
    reason: str, native: str | None, ending: Ending
) -> None:
    """OpenRouter says stop where the server behind it said MAX_TOKENS, or that it broke off."""
    assert ending_of(reason, native) == ending
    assert "'abort'" in ending_of(reason, "abort").problem or reason == "length"
