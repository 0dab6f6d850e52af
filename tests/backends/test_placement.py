"""Where a response stands in the text that a trainer makes of a chat, for templates of
real kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.backends.chat_template import ChatTemplate
from respsel.errors import PreflightError
from respsel.records import Message

TURN = "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
ASK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
CHATML = "{% for m in messages %}" + TURN + "{% endfor %}" + ASK
# Qwen3's way: training puts a think block, empty or not, before every last answer.
EMPTY_THINK = """\
{%- for m in messages %}
{%- if m.role == 'assistant' %}
{%- set thought = '' %}{%- set said = m.content %}
{%- if '</think>' in m.content %}
{%- set thought = m.content.split('</think>')[0].split('<think>')[-1].strip('\n') %}
{%- set said = m.content.split('</think>')[-1].lstrip('\n') %}
{%- endif %}
{{- '<|im_start|>assistant\n<think>\n' + thought + '\n</think>\n\n' + said + '<|im_end|>\n' }}
{%- else %}
{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\n\n</think>\n\n' }}
{%- endif %}
{%- endif %}"""
# R1's way: the prompt opens a think block, training drops all of it.
DROPPED_THINK = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<A>' + "
    "m.content.split('</think>')[-1] + '</s>' }}"
    "{% else %}{{ '<U>' + m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<A><think>\n' }}{% endif %}"
)
OPENED_THINK = (
    "{% for m in messages %}"
    + TURN
    + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
NO_PROMPT = "{% for m in messages %}" + TURN + "{% endfor %}"
TRIMMED = CHATML.replace("m.content", "m.content | trim")
ASKED = [Message("user", "How many?")]


def placed(
    source: str, response: str, options: Mapping[str, Any] | None = None
) -> tuple[str, str, str, str, bool, str]:
    """(before, response, after, told, verbatim, problem) as plain text."""
    template = ChatTemplate(source, "", "", "test", options or {})
    found = template.place(ASKED, response, ["<|im_end|>", "<|im_start|>"])
    pieces = [
        "".join(text for text, _ in some) for some in (found.before, found.response, found.after)
    ]
    return pieces[0], pieces[1], pieces[2], found.told, found.verbatim, found.problem


USER = "<|im_start|>user\nHow many?<|im_end|>\n"


@pytest.mark.parametrize(
    "response", ["Seven.", "7", "How many?", "assistant", "<|im_end|>", "\n7", "a\n\nb", "user"]
)
def test_most_templates_write_a_response_where_the_prompt_ends(response: str) -> None:
    """ChatML: nothing is told, whatever the response repeats of the chat or the template."""
    before, own, after, told, verbatim, _ = placed(CHATML, response)
    assert (before, own, after) == (f"{USER}<|im_start|>assistant\n", response, "<|im_end|>\n")
    assert (told, verbatim) == ("", True)


def test_an_empty_think_block_of_training_stands_before_the_response() -> None:
    """The response is placed behind the block that the prompt lacks, and that is told."""
    before, own, _, told, verbatim, _ = placed(EMPTY_THINK, "Seven.")
    assert before.endswith("assistant\n<think>\n\n</think>\n\n")
    assert (own, verbatim) == ("Seven.", True)
    assert told == r"behind '<think>\n\n</think>\n\n', which the prompt lacks"


def test_template_options_change_the_prompt_too() -> None:
    """With enable_thinking = false the prompt ends where the response stands."""
    *_, told, verbatim, _ = placed(EMPTY_THINK, "Seven.", {"enable_thinking": False})
    assert (told, verbatim) == ("", True)


def test_a_response_with_its_own_thinking_is_placed_whole() -> None:
    """Where the template takes a response apart and writes it as it was, the place is before its
    think block.
    """
    response = "<think>\nThree and four.\n</think>\n\nSeven."
    before, own, _, told, verbatim, _ = placed(EMPTY_THINK, response)
    assert (before, own) == (f"{USER}<|im_start|>assistant\n", response)
    assert (told, verbatim) == ("", True)


def test_changed_white_space_is_told() -> None:
    """A template that writes other line breaks behind a think block is followed, and
    that is told.
    """
    _, own, _, told, verbatim, _ = placed(EMPTY_THINK, "<think>Three and four.</think>Seven.")
    assert own == "<think>\nThree and four.\n</think>\n\nSeven."
    assert told == "the template changes its white space"
    assert not verbatim


def test_thinking_that_the_template_drops_is_not_scored() -> None:
    """What a trainer does not see is not placed."""
    before, own, after, told, verbatim, _ = placed(
        DROPPED_THINK, "<think>\nThree and four.\n</think>\n\nSeven."
    )
    assert (before, own, after) == ("<U>How many?<A>", "\n\nSeven.", "</s>")
    assert told.startswith("the template leaves out a part of it; ")
    assert not verbatim


def test_a_think_block_that_only_the_prompt_opens_is_told() -> None:
    """R1: training begins before the prompt's end."""
    before, own, _, told, verbatim, _ = placed(OPENED_THINK, "Seven.")
    assert (before, own, verbatim) == (f"{USER}<|im_start|>assistant\n", "Seven.", True)
    assert told == r"without '<think>\n', which only the prompt has"


def test_a_template_without_generation_prompt_is_told() -> None:
    """Old templates: the assistant's turn begins in training alone."""
    before, _, _, told, _, _ = placed(NO_PROMPT, "Seven.")
    assert before == f"{USER}<|im_start|>assistant\n"
    assert told == r"behind '<|im_start|>assistant\n', which the prompt lacks"


def test_outer_blanks_that_the_template_strips_are_not_the_templates() -> None:
    """A template's own line break is not taken for that of a response."""
    before, own, _, told, verbatim, _ = placed(TRIMMED, "\nSeven.\n")
    assert (before, own, verbatim) == (f"{USER}<|im_start|>assistant\n", "Seven.", False)
    assert told == "the template changes its white space"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            CHATML.replace("m.content", "m.content | replace('v', 'w')"),
            "not in the training text: the chat template writes 'Sewen.' in its place",
        ),
        (
            CHATML.replace("m.content", "(m.content if 'Seven' not in m.content else '')"),
            "not in the training text: the chat template leaves it out",
        ),
    ],
)
def test_a_response_that_a_template_rewrites_has_no_place(source: str, problem: str) -> None:
    """The reason says what stands there instead."""
    assert placed(source, "Seven.")[-1] == problem


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
        CHATML.replace("m.content", "m.content | upper"),
        "{% for m in messages %}" + TURN + TURN + "{% endfor %}",
    ],
)
def test_a_template_without_assistants_turns_is_refused(source: str) -> None:
    """A template that leaves out, changes or repeats every response cannot be trained with."""
    with pytest.raises(PreflightError, match="does not write an assistant's turn once"):
        placed(source, "Seven.")


def test_control_tokens_in_a_response_are_plain() -> None:
    """A response that spells a control token is text all the same, and the template's own stay
    tokens.
    """
    found = ChatTemplate(CHATML, "", "", "test").place(ASKED, "a<|im_end|>b", ["<|im_end|>"])
    assert list(found.response) == [("a", True), ("<|im_end|>", False), ("b", True)]
    assert list(found.after) == [("<|im_end|>\n", True)]


def test_templates_of_real_models_place_a_response() -> None:
    """Of the chat templates that TRL ships, those for text place every plain response verbatim, and
    no response is taken for more or less than the template writes of it."""
    trl = find_spec("trl")
    if trl is None or not trl.submodule_search_locations:
        pytest.skip("trl is not installed")
    paths = sorted(Path(trl.submodule_search_locations[0], "chat_templates").glob("*.jinja"))
    refused = []
    for path in paths:
        template = ChatTemplate(path.read_text("utf-8"), "<s>", "</s>", path.name)
        for response in (
            "Seven.",
            "7",
            "<think>\nThree.\n</think>\n\nSeven.",
            "<think>Three</think>Seven",
        ):
            try:
                found = template.place(ASKED, response, [])
            except PreflightError:
                refused.append(path.name)
                break
            pieces = [
                "".join(text for text, _ in some)
                for some in (found.before, found.response, found.after)
            ]
            assert not found.problem, path.name
            assert "".join(pieces) == template.render(
                [*ASKED, Message("assistant", response)], ask=False
            )
            assert found.verbatim or "<think>" in response, path.name
            assert pieces[1].strip().endswith(response[-5:]), path.name
    assert len(paths) - len(refused) >= 40
    # These take a list of texts and images, which no input here is.
    assert all(
        any(name in path for name in ("idefics", "llava", "smolvlm", "vl")) for path in refused
    ), refused


@pytest.mark.parametrize(
    "source",
    [
        "{% macro deeper(x) %}{{ deeper(x) }}{% endmacro %}{{ deeper(1) }}",
        "{{ 'a' * 10**13 }}",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{{ messages[7].content }}",
        "{{ raise_exception('no') }}",
    ],
    ids=["recursion", "size", "depth", "lookup", "raised"],
)
def test_a_broken_template_is_named(source: str) -> None:
    """Whatever it raises is an error of the template's, with its place and a reason; never a
    traceback.
    """
    with pytest.raises(PreflightError, match=r"^test: chat template: the template failed: \w"):
        placed(source, "Seven.")


@given(
    st.text(min_size=1).filter(str.strip),
    st.sampled_from([CHATML, EMPTY_THINK, OPENED_THINK, NO_PROMPT, TRIMMED]),
)
def test_the_pieces_are_the_trained_text(response: str, source: str) -> None:
    """For any response before, response and after are what the template writes, and the response is
    itself up to outer blanks."""
    before, own, after, _, verbatim, problem = placed(source, response)
    assert not problem
    trained = ChatTemplate(source, "", "", "test").render(
        [*ASKED, Message("assistant", response)], ask=False
    )
    assert before + own + after == trained
    assert own == response if verbatim else own.split() == response.split()


def test_an_option_that_the_template_lacks_is_an_error() -> None:
    """A variable that no template reads would change the model's identity and nothing else."""
    with pytest.raises(
        PreflightError,
        match=r"no variable 'enable_thinkin', which .* Did you mean 'enable_thinking'",
    ):
        ChatTemplate(EMPTY_THINK, "", "", "test", {"enable_thinkin": False})
    with pytest.raises(
        PreflightError,
        match=r"no variable 'enable_thinking', which 'template_options' sets. Take it out",
    ):
        ChatTemplate(CHATML, "", "", "test", {"enable_thinking": False})
