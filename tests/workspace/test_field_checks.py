"""Templates that show nothing of the example, or a field in other braces than Jinja2's."""

from __future__ import annotations

import json

import pytest

from respsel.errors import InputError
from respsel.workspace.loading import load_recipe
from tests.conftest import Bench
from tests.judges import with_judge

NOTHING = "shows nothing of the example, so every example gets the same text. "
AS_IT_IS = "stands there as it is, and is not the example's"


def faults(bench: Bench) -> list[str]:
    try:
        load_recipe(bench.recipe)
    except InputError as error:
        return [str(problem).partition(", prompt: ")[2] for problem in error.problems]
    return []


def prompted(bench: Bench, prompt: str, more: str = "") -> list[str]:
    bench.edit('prompt = "Solve: {{ input }}"', f"prompt = {json.dumps(prompt)}\n{more}")
    return faults(bench)


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (
            "Answer {input}",
            f"'{{input}}' {AS_IT_IS} input. "
            'Write {{ input }}: prompt = "Answer {{ input }}".',
        ),
        ("Answer ${input}!", 'Write {{ input }}: prompt = "Answer {{ input }}!".'),
        ("Answer { question }", 'Write {{ question }}: prompt = "Answer {{ question }}".'),
        ("Answer {Question}", 'Write {{ question }}: prompt = "Answer {{ question }}".'),
        ("Be good.\nAnswer {input}, now.\n", 'Write {{ input }}: "Answer {{ input }}, now.".'),
        ("Answer {label}", 'Write {{ label }}: prompt = "Answer {{ label }}".'),
        ("Answer {input} as {{ label }}", 'prompt = "Answer {{ input }} as {{ label }}".'),
        ("Answer <input>", NOTHING + 'Write {{ input }}: prompt = "Answer {{ input }}", or say'),
        ("Answer [QUESTION]", 'Write {{ question }}: prompt = "Answer {{ question }}", or'),
        ("Answer $input", 'Write {{ input }}: prompt = "Answer {{ input }}", or'),
        ("Answer %s", 'Write {{ input }}: prompt = "Answer {{ input }}", or'),
        ("Answer {}", 'Write {{ input }}: prompt = "Answer {{ input }}", or'),
        ("Answer %(input)s", 'Write {{ input }}: prompt = "Answer {{ input }}", or'),
        ("Write a poem", 'Add {{ input }}: prompt = "Write a poem\\n\\n{{ input }}", or say'),
        ("Answer {query}", 'Add {{ input }}: prompt = "Answer {query}\\n\\n{{ input }}", or say'),
        ("{% if 1 %}Write a poem{% endif %}", NOTHING),
        ("{{ range(3) }}", NOTHING),
        ("<input></input>", 'Add {{ input }}: prompt = "<input></input>\\n\\n{{ input }}"'),
    ],
)
def test_a_prompt_without_a_field_is_told(bench: Bench, prompt: str, told: str) -> None:
    """With the line that it should have been."""
    (found,) = prompted(bench, prompt)
    assert told in found


@pytest.mark.parametrize(
    "prompt",
    [
        'Answer {{ input }} as JSON: {"label": "...", "id": {"input": 3}}',
        "Answer {{ input }} as {answer}, {steps} or {}",
        "Solve {{ input }}. Write \\boxed{label} and \\frac{input}{label} and x_{input}.",
        "Explain {{ input }}, where {input} is the place of the question.",
        "Describe GET /users/{id} for {{ input }}",
        "<input>{{ input }}</input> costs $input or %s",
        "{{input}}",
        "{%- if label %}{{ question }}{% endif -%}",
        "{{ '{question}' }} {{ input }}",
        "{% raw %}{question}{% endraw %} {{ input }}",
        "Write a poem. {# same for all #}",
    ],
)
def test_braces_that_stand_for_themselves_are_no_fault(bench: Bench, prompt: str) -> None:
    """JSON, LaTeX, addresses, and what the prompt uses rightly elsewhere."""
    assert prompted(bench, prompt) == []


def test_a_system_prompt_may_show_the_example_or_misspell_it(bench: Bench) -> None:
    """The two are sent together: one of them must show it."""
    assert prompted(bench, "Go", 'system = "Answer {{ input }}"') == []
    bench.edit('"Answer {{ input }}"', '"Answer {input}"')
    with pytest.raises(InputError) as error:
        load_recipe(bench.recipe)
    assert "strategy 'teacher', system: '{input}' stands there as it is" in str(error.value)


def test_a_judges_rubric_and_a_rewards_prompt_are_checked_too(bench: Bench) -> None:
    """A rubric need show nothing, since the response stands beside it."""
    with_judge(bench)
    more = '[[metrics]]\nname = "reward"\nmodel = "teacher"\nprompt = "Rate {response}"\n'
    bench.write("a.toml", bench.recipe.read_text() + more)
    bench.edit("It gives the right sum.", "It gives {reference}.")
    with pytest.raises(InputError) as error:
        load_recipe(bench.recipe)
    told = str(error.value)
    assert 'rubric = "It gives {{ reference }}."' in told
    assert 'Write {{ response }}: prompt = "Rate {{ response }}"' in told
