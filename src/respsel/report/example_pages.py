"""All examples of a report, to read in a browser: pages without script, and an index of ids.

Invariant: the responses of one strategy and one page are in memory at a time, however many examples
there are. What is made of a strategy's responses waits in a file until its page's turn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from respsel.graph import names as step_names
from respsel.records import Example
from respsel.report.analysis.bubbles import ShownTurn, shown_context
from respsel.report.analysis.example_layout import INDEX, DatasetPages, PageLayout, anchor
from respsel.report.example_cells import StrategyCells, TableRows
from respsel.report.example_index import LOOKED_AT, DatasetIndex, beginnings, has_no_id
from respsel.report.templating import template_environment
from respsel.run.result import RunResult
from respsel.tables.kinds import EXAMPLES

if TYPE_CHECKING:
    import polars
    from jinja2 import Environment


@dataclass(frozen=True)
class ShownExample:
    """An example on a page.

    begins: how its input begins.
    made: whether respsel made its id.
    place: which it is in the order, and how far the first two strategies are apart.
    left_out: how many characters of the input follow.
    cells: the responses as HTML, in the order of the ranking.
    """

    id: str
    begins: str
    made: bool
    anchor: str
    place: str
    label: str | None
    input: str
    left_out: int
    turns: tuple[ShownTurn, ...]
    cells: Sequence[str]


@dataclass(frozen=True)
class ExamplePage:
    """A page; start, end: which examples of the dataset's `total` it shows, counted from 1."""

    recipe: str
    dataset: str
    number: int
    last: int
    start: int
    end: int
    total: int
    order: str
    examples: Sequence[ShownExample]


def order_told(data: DatasetPages) -> str:
    """In a sentence, in which order a dataset's examples are."""
    if not data.apart:
        return "In sample order: no two strategies have scores to compare."
    first, second = data.apart
    return f"Those come first where {first} and {second} differ most."


def write_example_pages(result: RunResult, layout: PageLayout, folder: Path) -> None:
    """Write all pages and their index into an empty folder."""
    environment = template_environment("respsel.report", autoescape=True)
    environment.globals |= {"order_told": order_told}
    indexes = {
        data.dataset: _write_dataset(result, data, layout.last, folder, environment)
        for data in layout.datasets
    }
    index = environment.get_template("index.html.jinja")
    parts = index.generate(recipe=result.graph.loaded.title, layout=layout, indexes=indexes)
    with (folder / INDEX).open("w", encoding="utf-8") as file:
        file.writelines(parts)


def _write_dataset(
    result: RunResult, data: DatasetPages, last: int, folder: Path, environment: Environment
) -> DatasetIndex:
    """Write a dataset's pages; return its part of the index."""
    frame = result.frame(step_names.examples(data.dataset))
    examples = TableRows(EXAMPLES, frame, data.order)
    index = _index(result, data, frame, examples)
    template = environment.get_template("examples.html.jinja")
    recipe = result.graph.loaded.title
    with ExitStack() as opened:
        columns = []
        for place, strategy in enumerate(data.strategies):
            part = folder / f"{place}.cells"
            opened.callback(part.unlink, missing_ok=True)
            with part.open("w", encoding="utf-8") as file:
                _write_cells(
                    StrategyCells(result, data, strategy, examples), data, environment, file
                )
            columns.append(opened.enter_context(part.open(encoding="utf-8")))
        for page in data.pages:
            cells = [json.loads(file.readline()) for file in columns]
            shown = _shown(data, page, examples, cells, index)
            text = template.render(page=_page(recipe, data, page, last, shown))
            (folder / f"{page}.html").write_text(text, "utf-8")
    return index


def _index(
    result: RunResult, data: DatasetPages, frame: polars.DataFrame, examples: TableRows
) -> DatasetIndex:
    texts = frame["input"].str.slice(0, LOOKED_AT).to_list()
    begins = beginnings(dict(zip(frame["id"].to_list(), texts, strict=True)))
    datasets = result.graph.loaded.recipe.datasets
    entry = next(entry for entry in datasets if entry.name == data.dataset)
    first = examples.some(data.order[:1]).values()
    made = any(has_no_id(entry.id, example.columns) for example in first)
    return DatasetIndex({key: begins[key] for key in data.order}, made)


def _write_cells(
    cells: StrategyCells, data: DatasetPages, environment: Environment, file: IO[str]
) -> None:
    """Write a strategy's responses as HTML: a line is a page's."""
    markup: Any = environment.get_template("cell.html.jinja").module
    for page in data.pages:
        shown = [str(markup.cell(response)) for response in cells.on_page(page)]
        file.write(json.dumps(shown) + "\n")


def _shown(
    data: DatasetPages,
    page: int,
    examples: TableRows,
    columns: Sequence[Sequence[str]],
    index: DatasetIndex,
) -> list[ShownExample]:
    """columns: the responses as HTML, by strategy."""
    places = data.places_on(page)
    rows = examples.some([data.order[place] for place in places])
    cells = zip(*columns, strict=True)
    return [
        _example(data, place, rows[data.order[place]], own, index)
        for place, own in zip(places, cells, strict=True)
    ]


def _example(
    data: DatasetPages, place: int, example: Example, cells: Sequence[str], index: DatasetIndex
) -> ShownExample:
    gap = data.gaps[place]
    apart = "" if gap is None else f"; {' and '.join(data.apart)} are {data.gap_told(gap)} apart"
    return ShownExample(
        id=example.id,
        begins=index.begins[example.id],
        made=index.made,
        anchor=anchor(example.id),
        place=f"{place + 1} of {len(data.order)}{apart}",
        label=example.label,
        input=example.input[: data.characters],
        left_out=max(0, len(example.input) - data.characters),
        turns=shown_context(example, data.characters),
        cells=cells,
    )


def _page(
    recipe: str, data: DatasetPages, page: int, last: int, shown: Sequence[ShownExample]
) -> ExamplePage:
    on = data.places_on(page)
    return ExamplePage(
        recipe=recipe,
        dataset=data.dataset,
        number=page,
        last=last,
        start=on.start + 1,
        end=on.stop,
        total=len(data.order),
        order=order_told(data),
        examples=shown,
    )
