"""What a trainer makes of one example: the chat template's text, with the scored part marked.

For the doctor. Knows no engine. Invariant: it shows what the model itself says of its template, and
reads no more of the data than one example.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from respsel.backends.contract import Model
from respsel.backends.left_out import left_out_sentence, parts_left_out
from respsel.data.conversations import ChatRules
from respsel.data.examples import load_examples
from respsel.data.prompts import plain_messages
from respsel.data.rows import find_value
from respsel.errors import InputError, PreflightError
from respsel.recipe.schema import ColumnStrategy
from respsel.records import ASSISTANT, Message, Response, trained_places
from respsel.text.whitespace import normalised
from respsel.workspace.loaded_recipe import LoadedRecipe

_MADE_UP = ("How many legs have three cats?", "Three cats have twelve legs.")
# What is shown of a long text: its beginning and its end.
_SHOWN_CHARACTERS = 400


@dataclass(frozen=True)
class TrainingText:
    """One example as it is trained.

    example: which one it is, in words.
    pieces: its text, each piece with whether it is scored.
    told: how the scored place differs from where a prompt ends, or what of a conversation the
        template leaves out, in words; empty where there is nothing to say.
    problem: why it has no place; there are no pieces then.
    """

    example: str
    pieces: tuple[tuple[str, bool], ...]
    told: str
    problem: str


def show_training(loaded: LoadedRecipe, model: Model) -> TrainingText | None:
    """One example of a recipe as the model's template writes it; None without a template."""
    which, chat = _example(loaded)
    dataset = loaded.recipe.datasets[0]
    try:
        if loaded.recipe.scores_turns(dataset):
            return _turns(which, model, chat)
        place = model.text.training_text(chat[:-1], chat[-1].content)
    except PreflightError as error:
        return TrainingText(which, (), "", error.problems[0].what)
    if place is None:
        return None
    pieces = ((place.before, False), (place.response, True), (place.after, False))
    return TrainingText(which, pieces, place.told, place.problem)


def _turns(which: str, model: Model, chat: Sequence[Message]) -> TrainingText:
    """A conversation, with all that a trainer trains on."""
    placed = model.text.placed_turns(chat)
    pieces: list[tuple[str, bool]] = []
    at = 0
    for turn in placed.turns:
        pieces += [(model.text.spell(placed.ids[at : turn.start]), False), (turn.text, True)]
        at = turn.end
    pieces.append((model.text.spell(placed.ids[at:]), False))
    return TrainingText(which, tuple(pieces), placed.told, placed.problem)


def training_lines(training: TrainingText) -> Iterator[str]:
    """A training text as lines for a terminal.

    The scored parts are in white brackets, which no chat template writes.
    """
    if training.problem:
        yield f"  training text   {training.problem}"
        return
    yield f"  training text   of {training.example}; what is scored is between \u27e6 and \u27e7"
    parts = [
        f"\u27e6{_shortened(text)}\u27e7" if scored else _shortened(text)
        for text, scored in training.pieces
    ]
    yield from (f"    | {line}" for line in "".join(parts).rstrip("\n").split("\n"))
    if left_out := parts_left_out(training.told):
        yield from (f"    {left_out_sentence(part)}" for part in left_out)
    elif training.told:
        yield f"    The response is scored where it is in training: {training.told}."
        yield (
            "    What the target writes itself begins where its prompt ends; 'template_options' "
            "can make both alike."
        )


def _example(loaded: LoadedRecipe) -> tuple[str, tuple[Message, ...]]:
    """Which example, and its chat with a response: the recipe's first, as far as it has one."""
    dataset = loaded.recipe.datasets[0]
    rules = ChatRules(loaded.recipe.target.system or "")
    found = loaded.local_files(dataset.path)
    try:
        first = load_examples(dataset, found, found.shown, rules=rules)[0]
    except InputError:
        # What is wrong with the data is for `plan` and `run` to say.
        question, answer = _MADE_UP
        return "a made-up example", (*plain_messages(question), _answered(answer))
    which = f"example '{first.id}'"
    if trained_places(first.turns):
        return which, first.turns
    columns = [
        s.column
        for s in loaded.recipe.strategies_for(dataset.name)
        if isinstance(s, ColumnStrategy)
    ]
    texts = [*(find_value(first.columns, column) for column in columns), first.reference]
    response = next((text for text in texts if isinstance(text, str) and text.strip()), None)
    if response is None:
        return f"{which} with a made-up response", (*first.asked, _answered(_MADE_UP[1]))
    text = normalised(Response(first.id, response), loaded.recipe.whitespace).text
    return which, (*first.asked, _answered(text))


def _answered(text: str) -> Message:
    return Message(ASSISTANT, text, trained=True)


def _shortened(text: str) -> str:
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    half = _SHOWN_CHARACTERS // 2
    return f"{text[:half]} [... {len(text) - 2 * half:,} characters ...] {text[-half:]}"
