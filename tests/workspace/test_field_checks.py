"""Templates that show nothing of the example, or a field in other braces than Jinja2's."""

from __future__ import annotations

import json

import pytest

from respsel.errors import InputError
from respsel.workspace.field_checks import doubtful_fields
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
            NOTHING + 'Write {{ input }}: prompt = "Answer {{ input }}", or say that it is meant',
        ),
        ("Answer ${input}!", 'Write {{ input }}: prompt = "Answer {{ input }}!", or'),
        ("Answer { question }", 'Write {{ question }}: prompt = "Answer {{ question }}", or'),
        ("Answer {Question}", 'Write {{ question }}: prompt = "Answer {{ question }}", or'),
        ("Be good.\nAnswer {input}, now.\n", 'Write {{ input }}: "Answer {{ input }}, now.", or'),
        ("Answer {label}", 'Write {{ label }}: prompt = "Answer {{ label }}", or'),
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
        "Complete the React code ({ input }) => x. Task: {{ question }}",
        "Make a template like 'Q: {question}' for this. {{ input }}",
        "print(f'{rationale}') ${reference} {{ question }}",
    ],
)
def test_braces_that_stand_for_themselves_are_no_fault(bench: Bench, prompt: str) -> None:
    """JSON, LaTeX, addresses, and what the prompt uses rightly elsewhere."""
    assert prompted(bench, prompt) == []


def test_a_system_prompt_may_show_the_example(bench: Bench) -> None:
    """The two are sent together: one of them must show it."""
    assert prompted(bench, "Go", 'system = "Answer {{ input }}"') == []
    bench.edit('"Answer {{ input }}"', '"Answer {input}"')
    with pytest.raises(InputError) as error:
        load_recipe(bench.recipe)
    assert "strategy 'teacher', system: shows nothing" in str(error.value)
    assert 'Write {{ input }}: system = "Answer {{ input }}", or' in str(error.value)


def test_a_rewards_prompt_is_checked_too(bench: Bench) -> None:
    """It shows the response, or every response gets the same reward."""
    more = '[[metrics]]\nname = "reward"\nmodel = "teacher"\nprompt = "Rate {response}"\n'
    bench.write("a.toml", bench.recipe.read_text() + more)
    with pytest.raises(InputError) as error:
        load_recipe(bench.recipe)
    assert 'Write {{ response }}: prompt = "Rate {{ response }}"' in str(error.value)


def test_what_may_be_meant_is_a_note(bench: Bench) -> None:
    """A field in single braces beside others is refused nowhere."""
    with_judge(bench)
    bench.edit("It gives the right sum.", "It gives {reference}.")
    bench.edit('"Solve: {{ input }}"', '"Solve {{ input }} like {rationale} and {input}"')
    notes = [str(note) for note in doubtful_fields(load_recipe(bench.recipe))]
    assert [note.partition("line ")[2].partition(", ")[2] for note in notes] == [
        f"strategy 'teacher', prompt: '{{rationale}}' {AS_IT_IS} rationale. "
        "If that is not meant, write {{ rationale }}.",
        f"judge.rubric: '{{reference}}' {AS_IT_IS} reference. "
        "If that is not meant, write {{ reference }}.",
    ]
