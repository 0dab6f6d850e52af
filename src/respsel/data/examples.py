"""Rows of a dataset's file to examples.

Knows nothing of file formats and models. Invariants: every row is checked, and only the sample is
kept, so a file may be larger than the memory. `data.sample` says which rows are the sample.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from respsel.answers import label_problem
from respsel.data import files
from respsel.data.conversations import CONVERSATION, ChatReader, ChatRules, question_of
from respsel.data.file_sets import FileSet
from respsel.data.files import read_rows
from respsel.data.prompts import TemplateFault, fill_columns, is_template, template_names
from respsel.data.rows import (
    ABSENT,
    FileRow,
    find_value,
    is_blank,
    row_id,
    text_field,
    text_of,
    wrong_turn,
)
from respsel.data.sample import Sample, mark_of
from respsel.data.turn_shapes import without_filling
from respsel.errors import InputError, Problem, raise_problems, stop_at_many, suggest
from respsel.recipe.schema import DatasetEntry
from respsel.records import Example, Message

VERSION = files.VERSION
# The names that a dataset's entry gives to columns, and that prompts use for them.
MAPPED = ("input", "reference", "label", "id")
_NO_RULES = ChatRules()


@dataclass(frozen=True)
class Reading:
    """What a dataset's file holds.

    sampled: the sampled examples, in hash order.
    total: how many different examples there are, sampled or not.
    """

    sampled: list[Example]
    total: int


def load_examples(
    entry: DatasetEntry,
    path: Path | FileSet,
    shown: str,
    used: Collection[str] = (),
    rules: ChatRules = _NO_RULES,
) -> list[Example]:
    """Return the sampled examples of a dataset, in hash order; see `read_dataset`."""
    return read_dataset(entry, path, shown, used, rules).sampled


def count_examples(
    entry: DatasetEntry, path: Path | FileSet, shown: str, rules: ChatRules = _NO_RULES
) -> int:
    """How many different examples a dataset has; no label is checked."""
    bare = entry.model_copy(update={"answer": None, "sample": 1})
    return read_dataset(bare, path, shown, rules=rules).total


def read_dataset(
    entry: DatasetEntry,
    path: Path | FileSet,
    shown: str,
    used: Collection[str] = (),
    rules: ChatRules = _NO_RULES,
) -> Reading:
    """Return the sampled examples of a dataset, and how many it has.

    Where neither recipe nor file has ids, an id is the digest of its row, and equal rows are one
    example. Raises InputError with the first 20 bad rows: no id, an id used twice, no input.

    used: the mapped names that prompts use. rules: what the recipe says of chats besides.
    """
    try:
        return _Rows(entry, entry.id, path, shown, used, rules).sampled()
    except _Ids:
        return _Rows(entry, "id", path, shown, used, rules).sampled()


def scan_examples(
    entry: DatasetEntry, path: Path | FileSet, shown: str
) -> Iterator[tuple[str, str]]:
    """Yield the id and the input of each row of a dataset, in the file's order; none is kept.

    A bad row is left out: `load_examples` names it.
    """
    # With a sample, only the columns that are used are read.
    bare = entry.model_copy(update={"reference": None, "label": None, "answer": None, "sample": 1})
    yield from _Rows(bare, bare.id, path, shown, ()).each()


class _Ids(Exception):
    """A row has an id though the first row has none, so every row must have one."""


class _Rows:
    """A dataset's rows, read one after another; the sample and a few bytes of each row are kept."""

    def __init__(
        self,
        entry: DatasetEntry,
        ids: str | None,
        path: Path | FileSet,
        shown: str,
        used: Collection[str],
        rules: ChatRules = _NO_RULES,
    ) -> None:
        """ids: the column of ids; where it is None, `id` if the first row has that, else none."""
        self._entry = entry
        self._ids = ids
        self._path = path
        self._shown = shown
        self._used = used
        self._chats = ChatReader(entry, rules, shown)
        self._problems: list[Problem] = []

    def sampled(self) -> Reading:
        """The sample. Raises InputError, and _Ids."""
        rows = self._read()
        begun = list(islice(rows, 1))
        if self._ids is None and any(map(_has_id, begun)):
            self._ids = "id"
        sample = Sample(self._entry.seed, self._entry.sample, has_ids=self._ids is not None)
        is_whole = True
        for row in chain(begun, rows):
            if self._ids is None and _has_id(row):
                raise _Ids
            is_whole = is_whole and row.is_whole
            if (example := self._example(row)) is not None and not sample.add(example, row.where):
                break
            stop_at_many(self._problems)
        if suspects := sample.repeated():
            self._name_repeated(suspects)
        if not sample and not self._problems:
            self._problems.append(
                Problem(self._shown, "", "holds no rows", "Give at least one example")
            )
        # A row with a fault may not have been read to its end.
        self._problems += [] if self._problems else self._chats.missing()
        raise_problems(self._problems)
        kept = sample.examples() if is_whole else self._completed(sample)
        return Reading(kept, sample.total())

    def each(self) -> Iterator[tuple[str, str]]:
        """See scan_examples."""
        for row in self._read():
            ids = self._ids or ("id" if _has_id(row) else None)
            example = _example(self._entry, ids, row, self._shown, self._used, self._chats, [])
            if example is not None:
                yield example.id, example.input

    def _read(self) -> Iterator[FileRow]:
        more = (*MAPPED, CONVERSATION, *self._chats.more_columns)
        return read_rows(self._path, self._shown, self._columns(), more)

    def _example(self, row: FileRow) -> Example | None:
        return _example(
            self._entry, self._ids, row, self._shown, self._used, self._chats, self._problems
        )

    def _columns(self) -> list[str] | None:
        """The columns that are read of every row; None for all.

        A file without an `id` is read whole, since one of these columns is not there.
        """
        if self._entry.sample is None:
            return None
        columns = [self._ids or "id", *([self._entry.label] if self._entry.label else [])]
        columns += self._chats.columns
        asked = self._entry.input if self._entry.messages is None else None
        for source in (asked, self._entry.reference):
            if source is not None:
                columns += template_names(source) if is_template(source) else [source]
        return columns

    def _completed(self, sample: Sample) -> list[Example]:
        """The sample with all columns of its rows."""
        rows = read_rows(self._path, self._shown, places=sample.places.values())
        found = {row.where: row for row in rows}
        if not found.keys() >= set(sample.places.values()):
            raise InputError(Problem(self._shown, "", "changed while it was read", "Run again"))
        return [
            replace(example, columns=_columns(found[sample.places[example.id]], example.turns))
            for example in sample.examples()
        ]

    def _name_repeated(self, suspects: Collection[int]) -> None:
        """Read the rows again for ids that are used twice, and note each with its first place."""
        self._problems.clear()
        first_seen: dict[str, str] = {}
        for row in self._read():
            example = self._example(row)
            if example is None or mark_of(self._entry.seed, example.id) not in suspects:
                continue
            if (first := first_seen.setdefault(example.id, row.where)) != row.where:
                what = f"id '{example.id}' is also in {first}"
                self._problems.append(Problem(self._shown, row.where, what, "Make the ids unique"))
            stop_at_many(self._problems)


def check_labels(entry: DatasetEntry, examples: Sequence[Example], shown: str) -> None:
    """Raise InputError naming the examples whose labels no answer can be checked against.

    This is for examples from the store, which may be older than the recipe's answer check.
    """
    problems = [
        _label_problem(entry, example.label, shown, f"id '{example.id}'")
        for example in examples
        if example.label
    ]
    raise_problems([problem for problem in problems if problem])


def _has_id(row: FileRow) -> bool:
    return find_value(row.fields, "id") is not ABSENT


def _example(
    entry: DatasetEntry,
    ids: str | None,
    row: FileRow,
    shown: str,
    used: Collection[str],
    chats: ChatReader,
    problems: list[Problem],
) -> Example | None:
    before = len(problems)
    name = text_field(row, ids, shown, problems) if ids else row_id(row.fields)
    text, turns = _asked(entry, row, shown, chats, problems)
    reference = (
        _text(entry.reference, "reference", row, shown, problems) if entry.reference else None
    )
    label = text_field(row, entry.label, shown, problems) if entry.label else None
    if label is not None and (problem := _label_problem(entry, label, shown, row.where)):
        problems.append(problem)
    if len(problems) == before:
        values = {"input": text, "reference": reference, "label": label, "id": name}
        problems += _hidden(entry, row, shown, used, values)
    if len(problems) > before:
        return None
    return Example(str(name), str(text), reference, label, _columns(row, turns), turns=turns)


def _columns(row: FileRow, turns: Sequence[Message]) -> Mapping[str, Any]:
    """The columns of an example; those of a chat may hold turns, which strategies bring."""
    return without_filling(row).fields if turns else row.fields


def _asked(
    entry: DatasetEntry, row: FileRow, shown: str, chats: ChatReader, problems: list[Problem]
) -> tuple[str | None, tuple[Message, ...]]:
    """What a row asks, as one text and as a chat; no chat where the text says all."""
    is_chat = entry.messages is not None
    text = None if is_chat else _text(entry.input, "input", row, shown, problems)
    if text is None and not is_chat:
        return None, ()
    turns = chats.read(row, text)
    if isinstance(turns, Problem):
        problems.append(turns)
        return None, ()
    return question_of(turns) if text is None else text, turns


def _text(source: str, name: str, row: FileRow, shown: str, problems: list[Problem]) -> str | None:
    """The text of a column or of a template."""
    if not is_template(source):
        wrong = wrong_turn(row, source, name == "input", shown)
        problems += [wrong] if wrong else []
        return text_field(row, source, shown, problems)
    try:
        return fill_columns(source, row.fields)
    except TemplateFault as fault:
        hint = suggest(fault.unknown, row.fields) if fault.unknown else fault.remedy
        problems.append(Problem(shown, row.where, f"{fault} (the template of '{name}')", hint))
        return None


def _hidden(
    entry: DatasetEntry,
    row: FileRow,
    shown: str,
    used: Collection[str],
    values: dict[str, str | None],
) -> list[Problem]:
    """The problems of columns that prompts cannot reach: the recipe gives their names to others.

    A column `input` is part of the question, so hiding it is a problem even if no prompt uses it.
    """
    problems = _hidden_by_chat(entry, row, shown, used, values)
    for name in MAPPED:
        source: str | None = getattr(entry, name)
        if name == "input" and entry.messages is not None:
            continue
        if source is None or is_template(source) or source.replace("[", ".").split(".")[0] == name:
            continue
        own: Any = find_value(row.fields, name)
        if (
            name not in row.fields
            or is_blank(own)
            or text_of(own) == values[name]
            or name not in {"input", *used}
        ):
            continue
        what = f"has a column '{name}' of its own, which {name} = \"{source}\" hides"
        problems.append(Problem(shown, row.where, what, _way_out(name, source)))
    return problems


def _hidden_by_chat(
    entry: DatasetEntry,
    row: FileRow,
    shown: str,
    used: Collection[str],
    values: dict[str, str | None],
) -> list[Problem]:
    """The problems of columns that have the names which prompts use for parts of the chat."""
    if entry.messages is None:
        return []
    means = {"input": "the last user turn", CONVERSATION: "the chat as text"}
    problems = []
    for name, meaning in means.items():
        own = row.fields.get(name)
        if name not in used or is_blank(own) or name == entry.messages or own == values.get(name):
            continue
        what = f"has a column '{name}' of its own, and in prompts '{name}' is {meaning}"
        problems.append(Problem(shown, row.where, what, "Rename the column"))
    return problems


def _way_out(name: str, source: str) -> str:
    if name != "input":
        return f"Say '{source}' in the prompt instead of '{name}', or rename the column"
    both = f"{{{{ {source} }}}}\\n\\n{{{{ input }}}}"
    return f'Set input = "{both}" to ask both, or input = "{{{{ {source} }}}}" to leave it out'


def _label_problem(entry: DatasetEntry, label: str, shown: str, where: str) -> Problem | None:
    """What is wrong with a label: it would make every response wrong, or a wrong one right."""
    fault = None if entry.check is None else label_problem(entry.check, label)
    return None if fault is None else Problem(shown, where, *fault)
