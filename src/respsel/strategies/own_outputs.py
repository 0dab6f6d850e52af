"""The target's own outputs, sampled or made elsewhere, and which ones a response is shown with.

Invariant: which own outputs an example is shown does not change when the sample grows, as long as
it had k of them; only new examples are then scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from respsel.backends.contract import Generation
from respsel.calls.lazy import Lazy
from respsel.calls.requests import GenerateRequest
from respsel.errors import InputError, Problem, raise_problems
from respsel.recipe.schema import AnswerEntry, OwnOutputsEntry
from respsel.records import ASSISTANT, Example, Message, OwnOutput, Sampling, trained_places
from respsel.strategies.base import Operation, judged
from respsel.tables.problems import EMPTY, WRONG
from respsel.text.transcript import dialogue, transcript
from respsel.text.whitespace import WhiteSpace, normalised

if TYPE_CHECKING:
    from respsel.data.file_sets import FileSet
    from respsel.data.response_files import Found

# A conversation that is shown as an example has about 1,000 tokens at most, of 4 bytes each.
MOST_SHOWN_BYTES = 4_000
LEFT_OUT = "[earlier turns are left out]"
# Raised when the same parameters would give another table, or another neighbour to an example.
VERSION = 2


def sample_own_outputs(
    entry: OwnOutputsEntry,
    target: str,
    sampling: Sampling,
    seed: int,
    examples: Sequence[Example],
    check: AnswerEntry | None,
    white_space: WhiteSpace = "normalise",
) -> Operation:
    """Sample `samples` outputs per example from the target, asked what `Example.asked` holds."""

    def request(index: int) -> GenerateRequest:
        place, sample = divmod(index, entry.samples)
        example = examples[place]
        return GenerateRequest(
            target,
            example.asked,
            sampling,
            "own-output",
            seed,
            sample,
            "own_outputs",
            example.id,
        )

    answers = yield Lazy(len(examples) * entry.samples, request)
    outputs = []
    for place, answer in enumerate(answers):
        assert isinstance(answer, Generation)
        example = examples[place // entry.samples]
        output = OwnOutput(
            example.id,
            place % entry.samples,
            answer.text,
            answer.problem,
            truncated=answer.truncated,
        )
        outputs.append(_judged(normalised(output, white_space), example, entry, check))
    return outputs


def read_own_outputs(
    entry: OwnOutputsEntry,
    path: Path | FileSet,
    shown: str,
    examples: Sequence[Example],
    check: AnswerEntry | None,
    white_space: WhiteSpace = "normalise",
) -> list[OwnOutput]:
    """Read own outputs that were made elsewhere.

    Several rows may have one id; rows with other ids are left out. Raises InputError naming every
    bad row and every example without a row.
    """
    # Late: what a cached run takes from this module reads no file.
    from respsel.data.response_files import SHOWN_IDS, note_missing, read_texts

    problems: list[Problem] = []
    texts: dict[str, list[Found]] = {example.id: [] for example in examples}
    blanks: dict[str, Found] = {}
    others: list[str] = []
    for found in read_texts(entry, path, shown, texts, problems):
        if found.id not in texts:
            others += [found.id] if len(others) < SHOWN_IDS else []
        elif found.text or found.problem:
            texts[found.id].append(found)
        else:
            blanks.setdefault(found.id, found)
    missing = {name: blanks.get(name) for name, rows in sorted(texts.items()) if not rows}
    note_missing(missing, others, "own output", entry, shown, problems, examples)
    raise_problems(problems)
    return [
        _judged(normalised(_read(example, sample, found), white_space), example, entry, check)
        for example in examples
        for sample, found in enumerate(texts[example.id])
    ]


def _read(example: Example, sample: int, found: Found) -> OwnOutput:
    return OwnOutput(example.id, sample, found.text, found.problem, truncated=found.truncated)


def kept_by_example(outputs: Sequence[OwnOutput]) -> Mapping[str, list[str]]:
    """The texts that are kept, by example id, in sample order."""
    kept: dict[str, list[str]] = {}
    for output in outputs:
        if not output.problem:
            kept.setdefault(output.id, []).append(output.text)
    return kept


def neighbours(
    examples: Sequence[Example], kept: Mapping[str, list[str]], k: int, shown: str
) -> Mapping[str, list[str]]:
    """For each example, the first kept own outputs of its k nearest neighbours in sample order.

    An own output in a conversation is shown behind the turns that it answers; see `shown_output`.

    The order is a cycle walked from the next one before the example to the first, and on from the
    next one after it: later examples are only reached where the earlier ones do not suffice, so a
    larger sample leaves the choice as it was. Raises InputError if there are fewer than k others
    with any.
    """
    by_id = {example.id: example for example in examples}
    chosen = {}
    for place, example in enumerate(examples):
        near = (by_id[name] for name in _walk(examples, place) if kept.get(name))
        shown_outputs = [shown_output(one, kept[one.id][0]) for one in islice(near, k)]
        if len(shown_outputs) < k:
            have = len([name for name in kept if kept[name]])
            what = (
                f"example '{example.id}' needs own outputs to {k} other inputs, but only "
                f"{have} inputs have any"
            )
            raise InputError(
                Problem(
                    shown,
                    "own_outputs",
                    what,
                    "Raise 'samples' or the dataset's 'sample', lower k, or set keep = \"all\"",
                )
            )
        chosen[example.id] = shown_outputs
    return chosen


def shown_output(example: Example, text: str) -> str:
    """An own output as a prompt shows it.

    Behind a single question it is the text alone. In a longer conversation it is the whole of that,
    without the earliest turns where it has more than MOST_SHOWN_BYTES.

    Hazard: trained turns that the dataset has are a strategy's own, and showing them would favour
    it. So only what is behind the last of them is shown.
    """
    asked = example.asked
    turns = dialogue(asked[max(trained_places(asked), default=-1) + 1 :])
    if len(turns) < 2:
        return text
    shown = [*turns, Message(ASSISTANT, text)]
    while len(shown) > 2 and len(transcript(shown).encode("utf-8")) > MOST_SHOWN_BYTES:
        shown = shown[1:]
    left_out = f"{LEFT_OUT}\n\n" if len(shown) <= len(turns) else ""
    return left_out + transcript(shown)


def _walk(examples: Sequence[Example], place: int) -> Iterator[str]:
    mine = examples[place]
    for i in chain(range(place - 1, -1, -1), range(place + 1, len(examples))):
        # An example that asks the same under another id would show the answer.
        other = examples[i]
        if other.asked != mine.asked and other.context != mine.context:
            yield examples[i].id


def _judged(
    output: OwnOutput, example: Example, entry: OwnOutputsEntry, check: AnswerEntry | None
) -> OwnOutput:
    if not output.text:
        return replace(output, problem=output.problem or EMPTY)
    if check is None or example.label is None:
        return output
    correct = judged(check, output.text, example)
    problem = WRONG if entry.keep == "correct" and not correct else ""
    return replace(output, correct=correct, problem=problem)
