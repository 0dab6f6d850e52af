"""Rows of a dataset's file to examples.

Knows nothing of file formats and models. Invariant: examples come in hash order of (seed, id), so a larger sample
contains the smaller one as its beginning, whatever the file's order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from respsel.answers import label_problem
from respsel.data import files
from respsel.data.files import read_rows
from respsel.data.rows import FileRow, find_value, has_column, is_blank, row_id, text_field, text_of, wrong_turn
from respsel.errors import Problem, raise_problems, suggest
from respsel.hashing import digest
from respsel.prompts import TemplateFault, fill_columns, is_template
from respsel.recipe import DatasetEntry
from respsel.records import Example

VERSION = files.VERSION
# The names that a dataset gives to columns, and that prompts know them by.
MAPPED = ("input", "reference", "label", "id")


def load_examples(entry: DatasetEntry, path: Path, shown: str, used: Collection[str] = ()) -> list[Example]:
    """Return the sampled examples of a dataset, in hash order. used: the mapped names that prompts say.

    Where neither recipe nor file has ids, an id is the digest of its row, and equal rows are one example.
    Raises InputError with every bad row (the first 20): no id, an id used twice, no input.
    """
    problems: list[Problem] = []
    first_seen: dict[str, str] = {}
    examples: dict[str, Example] = {}
    rows = list(read_rows(path, shown))
    ids = entry.id or ("id" if has_column(rows, "id") else None)
    for row in rows:
        example = _example(entry, ids, row, shown, used, problems)
        if example is None:
            continue
        known = examples.get(example.id)
        if known is not None and ids is None and known.columns == example.columns:
            examples[example.id] = replace(known, copies=known.copies + 1)
            continue
        if known is not None:
            what = f"id '{example.id}' stands also in {first_seen[example.id]}"
            problems.append(Problem(shown, row.where, what, "Make the ids unique"))
            continue
        first_seen[example.id] = row.where
        examples[example.id] = example
    if not examples and not problems:
        problems.append(Problem(shown, "", "holds no rows", "Give at least one example"))
    raise_problems(problems)
    ordered = sorted(examples.values(), key=lambda example: digest("sample", str(entry.seed), example.id))
    return ordered[: entry.sample]


def check_labels(entry: DatasetEntry, examples: Sequence[Example], shown: str) -> None:
    """Raise InputError naming the examples whose labels no answer can be checked against.

    For examples that are read from the store: they may be from before the recipe had this answer check.
    """
    found = [_label_problem(entry, example.label, shown, f"id '{example.id}'") for example in examples if example.label]
    raise_problems([problem for problem in found if problem])


def _example(
    entry: DatasetEntry, ids: str | None, row: FileRow, shown: str, used: Collection[str], problems: list[Problem]
) -> Example | None:
    before = len(problems)
    name = text_field(row, ids, shown, problems) if ids else row_id(row.fields)
    text = _text(entry.input, "input", row, shown, problems)
    reference = _text(entry.reference, "reference", row, shown, problems) if entry.reference else None
    label = text_field(row, entry.label, shown, problems) if entry.label else None
    if label is not None and (problem := _label_problem(entry, label, shown, row.where)):
        problems.append(problem)
    if len(problems) == before:
        problems += _hidden(entry, row, shown, used, {"input": text, "reference": reference, "label": label, "id": name})
    if len(problems) > before:
        return None
    return Example(str(name), str(text), reference, label, row.fields)


def _text(source: str, name: str, row: FileRow, shown: str, problems: list[Problem]) -> str | None:
    """What a column holds or a template gives."""
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


def _hidden(entry: DatasetEntry, row: FileRow, shown: str, used: Collection[str], values: dict[str, str | None]) -> list[Problem]:
    """The problems of columns that are out of reach, since the recipe gives their names to other columns.

    A column `input` is part of what is asked, so leaving it out is a problem even if no prompt says `input`.
    """
    problems = []
    for name in MAPPED:
        source: str | None = getattr(entry, name)
        if source is None or is_template(source) or source.replace("[", ".").split(".")[0] == name:
            continue
        own: Any = find_value(row.fields, name)
        if name not in row.fields or is_blank(own) or text_of(own) == values[name] or name not in {"input", *used}:
            continue
        what = f"has a column '{name}' of its own, which {name} = \"{source}\" hides"
        problems.append(Problem(shown, row.where, what, _way_out(name, source)))
    return problems


def _way_out(name: str, source: str) -> str:
    if name != "input":
        return f"Say '{source}' in the prompt instead of '{name}', or rename the column"
    both = f"{{{{ {source} }}}}\\n\\n{{{{ input }}}}"
    return f'Set input = "{both}" to ask both, or input = "{{{{ {source} }}}}" to leave it out'


def _label_problem(entry: DatasetEntry, label: str, shown: str, where: str) -> Problem | None:
    """What is wrong with a label: it would make every response wrong, or a wrong one right."""
    found = None if entry.check is None else label_problem(entry.check, label)
    return None if found is None else Problem(shown, where, *found)
