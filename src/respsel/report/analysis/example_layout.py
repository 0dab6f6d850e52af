"""Which page of all examples shows which example: those first where two strategies differ most.

Knows the tables of a run, and nothing of markup. Invariant: each example of each dataset is on one
page; pages and the texts on them have a bounded size, however long the responses are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from respsel.graph import names as step_names
from respsel.hashing import digest
from respsel.report.analysis.score_matrix import example_ids, score_matrix
from respsel.text.numbers import number

if TYPE_CHECKING:
    from respsel.report.content import DatasetReport, Report
    from respsel.run.result import RunResult

INDEX = "index.html"
_ON_A_PAGE = 50
# Of texts, in characters: on a page, in a response, in all pages together.
_PAGE = 2_000_000
_RESPONSE = 100_000
_ALL = 200_000_000
_SHORTEST = 500
_LONGEST_ANCHOR = 100


@dataclass(frozen=True)
class DatasetPages:
    """The pages of one dataset.

    strategies: in the order of the ranking.
    apart: the two that the order is by; empty where there are not two scores to compare.
    order: the ids, in the order of the pages.
    gaps: how far the two are apart at each id, as a factor for metrics on a log scale; None where
        one has no score.
    log: whether the metric is on a log scale.
    first: the number of the first page.
    on_a_page: how many examples a page has.
    characters: so many of a text are shown.
    """

    dataset: str
    strategies: tuple[str, ...]
    apart: tuple[str, ...]
    order: tuple[str, ...]
    gaps: tuple[float | None, ...]
    log: bool
    first: int
    on_a_page: int
    characters: int

    @property
    def pages(self) -> range:
        """The numbers of the pages."""
        return range(self.first, self.first + -(-len(self.order) // self.on_a_page))

    def places_on(self, page: int) -> range:
        """Where in the order the examples of a page are."""
        start = (page - self.first) * self.on_a_page
        return range(start, min(start + self.on_a_page, len(self.order)))

    def gap_told(self, gap: float) -> str:
        """How far the two strategies are apart, in words."""
        return f"{number(gap)} times" if self.log else number(gap)

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {key: place for place, key in enumerate(self.order)}

    def link(self, key: str) -> str:
        """Where an example is, from the folder of the pages."""
        page = self.first + self._places[key] // self.on_a_page
        return f"{page}.html#{quote(anchor(key))}"


@dataclass(frozen=True)
class PageLayout:
    """All pages of a report."""

    datasets: tuple[DatasetPages, ...]

    @property
    def count(self) -> int:
        """How many examples there are."""
        return sum(len(data.order) for data in self.datasets)

    @property
    def last(self) -> int:
        """The number of the last page."""
        return self.datasets[-1].pages.stop - 1

    def link(self, dataset: str, key: str) -> str:
        """Where an example is, from the report."""
        (data,) = (data for data in self.datasets if data.dataset == dataset)
        return f"examples/{data.link(key)}"

    def first_page(self, dataset: str) -> str:
        """Where a dataset's examples begin, from the report."""
        (data,) = (data for data in self.datasets if data.dataset == dataset)
        return f"examples/{data.first}.html"


def anchor(key: str) -> str:
    """The anchor of an example: letters and digits of its id stay, and no two ids share one."""
    spelt = "".join(c if c.isalnum() or c in "-_." else f"~{ord(c):x}~" for c in key)
    if len(spelt) > _LONGEST_ANCHOR:
        spelt = f"{spelt[:_LONGEST_ANCHOR]}~{digest('anchor', key)[:16]}"
    return f"id-{spelt}"


def lay_out(result: RunResult, report: Report) -> PageLayout:
    """Divide the examples of a report among pages."""
    texts = {data.name: list(_lengths(result, data)) for data in report.datasets}
    everything = sum(min(length, _RESPONSE) for found in texts.values() for length in found)
    responses = max(1, sum(map(len, texts.values())))
    cut = _RESPONSE if everything <= _ALL else max(_SHORTEST, _ALL // responses)
    first = 1
    found = []
    for data in report.datasets:
        shown = sum(min(length, cut) for length in texts[data.name])
        on_a_page = max(1, min(_ON_A_PAGE, _PAGE * max(1, data.examples) // max(1, shown)))
        found.append(_dataset(result, data, first, on_a_page, cut))
        first = found[-1].pages.stop
    return PageLayout(tuple(found))


def _lengths(result: RunResult, data: DatasetReport) -> Iterator[int]:
    """How long each response of a dataset is; of a conversation, with its turns' marks."""
    for strategy in data.strategies:
        name = step_names.responses(data.name, strategy.strategy)
        frame = result.frame(name, "text", "turns")
        turns = frame["turns"] if "turns" in frame.columns else frame["text"].str.slice(0, 0)
        lengths = frame["text"].str.len_chars().fill_null(0) + turns.str.len_chars().fill_null(0)
        yield from lengths.to_list()


def _dataset(
    result: RunResult, data: DatasetReport, first: int, on_a_page: int, cut: int
) -> DatasetPages:
    ids = example_ids(result, data.name)
    names = tuple(item.strategy for item in data.strategies)
    ranked = [item.strategy for item in data.verdict.ranking][:2]
    gaps = _gaps(result, data.name, ranked, ids) if len(ranked) == 2 else [None] * len(ids)
    # Those without a gap come last; equal ones stay in sample order.
    places = sorted(range(len(ids)), key=lambda place: -_size(gaps[place]))
    apart = tuple(ranked) if any(gap is not None for gap in gaps) else ()
    order = tuple(ids[place] for place in places)
    in_order = tuple(gaps[place] for place in places)
    log = data.verdict.scale == "log"
    return DatasetPages(data.name, names, apart, order, in_order, log, first, on_a_page, cut)


def _gaps(
    result: RunResult, dataset: str, two: Sequence[str], ids: Sequence[str]
) -> list[float | None]:
    """How far two strategies are apart at each example: a factor for metrics on a log scale."""
    import numpy as np

    loaded = result.graph.loaded
    scores = score_matrix(result, dataset, two, loaded.recipe.selection_metric, ids)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(scores[:, 0] - scores[:, 1])
        shown = np.exp(apart) if loaded.selected_metric.metric.scale == "log" else apart
    return [float(gap) if np.isfinite(gap) else None for gap in shown]


def _size(gap: float | None) -> float:
    return -1.0 if gap is None else gap
