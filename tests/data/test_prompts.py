"""Prompt templates and the views' prompts."""

from __future__ import annotations

import pytest

from respsel.data.prompts import (
    check_doubled,
    check_template,
    plain_messages,
    render,
    self_aligned_messages,
)
from respsel.errors import InputError
from respsel.recipe.places import plain_place
from respsel.recipe.schema import Recipe
from respsel.records import TEXT, Example, Message

EXAMPLE = Example("e1", "2 + 2?", "It is 4.", "4", {"hint": "count"})


def test_a_template_sees_the_examples_fields() -> None:
    """input, reference, label, id and the row's other columns can be used."""
    text = render(
        "{{ id }}|{{ input }}|{{ reference }}|{{ label }}|{{ hint }}",
        EXAMPLE,
        plain_place("a.toml", "p"),
    )
    assert text == "e1|2 + 2?|It is 4.|4|count"


def test_a_column_named_like_a_field_is_seen_where_the_field_is_not_mapped() -> None:
    """A row's own column "reference" is used if the recipe maps none."""
    example = Example("e1", "2 + 2?", columns={"reference": "the row's"})
    assert render("{{ reference }}", example, plain_place("a.toml", "p")) == "the row's"


def test_an_unknown_name_is_told() -> None:
    """A misspelt field is an error with a suggestion, not an empty string."""
    with pytest.raises(
        InputError,
        match=r"a\.toml: p: 'inptu' is not a field of example 'e1'\. Did you mean 'input'\?",
    ):
        render("{{ inptu }}", EXAMPLE, plain_place("a.toml", "p"))


def test_a_template_cannot_reach_python() -> None:
    """Templates are sandboxed: a recipe from elsewhere runs no code."""
    with pytest.raises(InputError, match="unsafe"):
        render("{{ input.__class__.__mro__ }}", EXAMPLE, plain_place("a.toml", "p"))


def test_text_with_braces_is_not_a_template() -> None:
    """Braces in a user's data stay as they are."""
    example = Example("e1", "{{ 7 * 7 }} {% raw %}")
    assert render("{{ input }}", example, plain_place("a.toml", "p")) == "{{ 7 * 7 }} {% raw %}"


def test_a_syntax_error_is_told() -> None:
    """A broken template is found when the recipe is loaded."""
    (problem,) = check_template("{% if %}", plain_place("a.toml", "strategies", 0, "prompt"))
    assert "strategy 1, prompt: line 1 of the template" in str(problem)


def test_the_self_aligned_prompt_is_the_published_one() -> None:
    """The view's prompt is the reference's, to the character."""
    (message,) = self_aligned_messages("Q", ["one", "{two}"])
    assert message.content == (
        "Question: Q\n\nWe have inference examples below to show you how to solve the problem. "
        "please follow the inference style and solve the problem\n\n"
        "inference example: one\n\ninference example: {two}\n\n"
        "now, according to the inference examples, please solve the problem. \n\n\n"
    )
    assert plain_messages("Q")[0].content == "Q"


def test_the_published_wrapping_takes_the_place_of_the_chat_template() -> None:
    """The published code's wrapping for Mistral, and its wrapping with a system text for the other
    models.
    """
    (native,) = self_aligned_messages("Q", ["one"])
    (paper,) = self_aligned_messages("Q", ["one"], "paper")
    (system,) = self_aligned_messages("Q", ["one"], "paper-system")
    assert paper == Message(TEXT, f"[INST] {native.content} [/INST]")
    assert system == Message(
        TEXT, f"[INST] <<SYS>>\nYou are a helpful assistant.\n<</SYS>>\n\n{native.content} [/INST]"
    )


def recipe(source: str, prompt: str) -> Recipe:
    return Recipe.model_validate(
        {
            "target": {"model": "t"},
            "datasets": [{"name": "d", "path": "d.jsonl", "input": source}],
            "strategies": [{"name": "s", "from": "model", "model": "t", "prompt": prompt}],
            "metrics": [{"name": "perplexity"}],
        }
    )


@pytest.mark.parametrize(
    ("source", "prompt", "doubled"),
    [
        ("instruction", "{{ instruction }}\n\n{{ input }}", True),
        ("{{ instruction }}", "{{ instruction }}\n\n{{ input }}", True),
        ("{{ instruction }}\n{{ input }}", "{{ instruction }} {{ input }}", True),
        ("{{ instruction }}\n{{ input }}", "{{ input }}", False),
        ("{{ instruction }}\n{{ input }}", "{{ instruction }} alone", False),
        ("{{ question }}\n{{ choices }}", "{{ input }} Choose from {{ choices }}", False),
        ("input", "{{ input }} {{ hint }}", False),
        ("question", "{{ question }}", False),
    ],
)
def test_a_prompt_that_asks_a_part_twice_is_told(source: str, prompt: str, doubled: bool) -> None:
    """In a prompt `input` is all of the input; what the input is made of is not said beside it."""
    problems = [
        str(problem) for problem in check_doubled(recipe(source, prompt), plain_place("a.toml"))
    ]
    assert bool(problems) == doubled
    assert not doubled or "a.toml: strategy 1, prompt: asks 'instruction' twice" in problems[0]
