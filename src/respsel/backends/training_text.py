"""What a trainer makes of one example: the chat template's text, with the scored part marked.

For the doctor. Knows no engine. Invariant: it shows what the model itself says of its template, and
reads no more of the data than one example.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from respsel.backends.contract import Model
from respsel.data.examples import load_examples
from respsel.data.prompts import plain_messages
from respsel.data.rows import find_value
from respsel.errors import InputError, PreflightError
from respsel.recipe.schema import ColumnStrategy
from respsel.records import Response
from respsel.text.whitespace import normalised
from respsel.workspace.loaded_recipe import LoadedRecipe

_MADE_UP = ("How many legs have three cats?", "Three cats have twelve legs.")
# What is shown of a long text: its beginning and its end.
_SHOWN_CHARACTERS = 400


@dataclass(frozen=True)
class TrainingText:
    """One example as it is trained.

    example: which one it is, in words.
    before, response, after: the text; only `response` is scored.
    told: how that place differs from where a prompt ends, in words; empty where it does not.
    problem: why it has no place; the text is empty then.
    """

    example: str
    before: str
    response: str
    after: str
    told: str
    problem: str


def show_training(loaded: LoadedRecipe, model: Model) -> TrainingText | None:
    """One example of a recipe as the model's template writes it; None without a template."""
    which, question, response = _example(loaded)
    try:
        place = model.text.training_text(plain_messages(question), response)
    except PreflightError as error:
        return TrainingText(which, "", "", "", "", error.problems[0].what)
    if place is None:
        return None
    return TrainingText(which, place.before, place.response, place.after, place.told, place.problem)


def training_lines(training: TrainingText) -> Iterator[str]:
    """A training text as lines for a terminal.

    The scored part is in white brackets, which no chat template writes.
    """
    if training.problem:
        yield f"  training text   {training.problem}"
        return
    yield f"  training text   of {training.example}; what is scored is between \u27e6 and \u27e7"
    scored = f"\u27e6{_shortened(training.response)}\u27e7"
    whole = f"{_shortened(training.before)}{scored}{_shortened(training.after)}"
    yield from (f"    | {line}" for line in whole.rstrip("\n").split("\n"))
    if training.told:
        yield f"    The response is scored where it is in training: {training.told}."
        yield (
            "    What the target writes itself begins where its prompt ends; 'template_options' "
            "can make both alike."
        )


def _example(loaded: LoadedRecipe) -> tuple[str, str, str]:
    """Which example, its input and a response: the recipe's first, as far as its files have one."""
    dataset = loaded.recipe.datasets[0]
    try:
        first = load_examples(dataset, loaded.resolve(dataset.path), loaded.show(dataset.path))[0]
    except InputError:
        # What is wrong with the data is for `plan` and `run` to say.
        return ("a made-up example", *_MADE_UP)
    columns = [
        s.column
        for s in loaded.recipe.strategies_for(dataset.name)
        if isinstance(s, ColumnStrategy)
    ]
    texts = [*(find_value(first.columns, column) for column in columns), first.reference]
    response = next((text for text in texts if isinstance(text, str) and text.strip()), None)
    which = f"example '{first.id}'"
    if response is None:
        return f"{which} with a made-up response", first.input, _MADE_UP[1]
    return (
        which,
        first.input,
        normalised(Response(first.id, response), loaded.recipe.whitespace).text,
    )


def _shortened(text: str) -> str:
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    half = _SHOWN_CHARACTERS // 2
    return f"{text[:half]} [... {len(text) - 2 * half:,} characters ...] {text[-half:]}"
