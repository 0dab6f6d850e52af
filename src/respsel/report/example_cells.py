"""One strategy's responses as the pages of examples show them: text, scores, what is wrong with it.

Knows the tables of a run. Invariant: one table of responses is in memory, of which a page's rows
at a time become objects; a text is cut at the length that the pages allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from respsel.graph import names as step_names
from respsel.recipe.judge import JUDGE
from respsel.records import Example, Preference, Response, Score
from respsel.report.analysis.bubbles import ShownTurn, shown_turns
from respsel.report.analysis.example_layout import DatasetPages
from respsel.run.result import RunResult
from respsel.tables.kinds import PREFERENCES, RESPONSES, SCORES
from respsel.tables.table import Row, Table
from respsel.text.numbers import number

if TYPE_CHECKING:
    import polars

_NONE = "there is no response"


@dataclass(frozen=True)
class ShownResponse:
    """One strategy's response on a page.

    notes: what else there is to say of it, such as the strategy that it was taken from.
    scores: its value by each metric, the one that decides first.
    problem: why it is not used; empty if it is.
    text: the text, or its beginning; empty where there are turns.
    left_out: how many characters follow.
    judged: what the judge made of it.
    """

    strategy: str
    correct: bool | None
    notes: str
    scores: str
    problem: str
    text: str
    left_out: int
    turns: tuple[ShownTurn, ...]
    judged: str


class TableRows:
    """A table's rows in the order of the pages, made as they are asked for."""

    def __init__(self, table: Table[Any], frame: polars.DataFrame, order: Sequence[str]) -> None:
        found = {key: place for place, key in enumerate(frame["id"].to_list())}
        there = [key for key in order if key in found]
        self._table = table
        # Polars takes milliseconds to gather rows, and no time to give a part of them.
        self._frame = frame[[found[key] for key in there]]
        self._places = {key: place for place, key in enumerate(there)}

    def some(self, keys: Sequence[str]) -> dict[str, Any]:
        """Those of some ids that there are; the ids follow each other in the order."""
        places = [self._places[key] for key in keys if key in self._places]
        part = self._frame.slice(places[0] if places else 0, len(places))
        return {row.id: row for row in self._table.rows_of(part)}


class StrategyCells:
    """A strategy's responses to a dataset's examples, a page at a time."""

    def __init__(
        self, result: RunResult, data: DatasetPages, strategy: str, examples: TableRows
    ) -> None:
        """examples: the dataset's."""
        loaded = result.graph.loaded
        first = loaded.recipe.selection_metric
        labels = [first, *(m.label for m in loaded.metrics if m.label != first)]
        self._data = data
        self._strategy = strategy
        self._members = loaded.strategy(strategy).members
        self._examples = examples
        self._responses = _rows(
            result, step_names.responses(data.dataset, strategy), RESPONSES, data
        )
        self._scores = {
            label: _rows(result, step_names.scores(data.dataset, strategy, label), SCORES, data)
            for label in labels
        }
        self._other = loaded.recipe.compared_with(data.dataset)
        asked = step_names.rewards(data.dataset, strategy, JUDGE)
        compared = step_names.preferences(data.dataset, strategy, self._other)
        self._rewards = _rows(result, asked, SCORES, data)
        self._preferences = _rows(result, compared, PREFERENCES, data)

    def on_page(self, page: int) -> Iterator[ShownResponse]:
        """The responses to a page's examples, in its order."""
        keys = [self._data.order[place] for place in self._data.places_on(page)]
        examples = self._examples.some(keys)
        responses = _some(self._responses, keys)
        scores = {label: _some(rows, keys) for label, rows in self._scores.items()}
        rewards = _some(self._rewards, keys)
        preferences = _some(self._preferences, keys)
        for key in keys:
            response = responses.get(key, Response(key, "", _NONE))
            own = {label: rows[key] for label, rows in scores.items() if key in rows}
            judged = (
                "" if response.problem else self._judged(rewards.get(key), preferences.get(key))
            )
            yield self._shown(examples[key], response, own, judged)

    def _shown(
        self, example: Example, response: Response, scores: Mapping[str, Score], judged: str
    ) -> ShownResponse:
        most = self._data.characters
        in_turns = bool(example.turns or response.turns)
        turns = shown_turns(example, response, None, 0, most) if in_turns else ()
        return ShownResponse(
            strategy=self._strategy,
            correct=response.correct,
            notes=", ".join(self._notes(response)),
            scores="; ".join(_told(label, score) for label, score in scores.items()),
            problem=response.problem,
            text="" if in_turns else response.text[:most],
            left_out=0 if in_turns else max(0, len(response.text) - most),
            turns=turns,
            judged=judged,
        )

    def _notes(self, response: Response) -> Iterator[str]:
        if response.member:
            yield f"from {self._members[response.member - 1]}"
        if response.truncated:
            yield "cut short"

    def _judged(self, reward: Score | None, preference: Preference | None) -> str:
        parts = []
        if reward is not None and (reward.value is not None or reward.problem):
            parts.append(number(reward.value) if reward.value is not None else reward.problem)
        if preference is not None:
            parts.append(f"against {self._other} {_preferred(preference)}")
        return f"The judge: {', '.join(parts)}" if parts else ""


def _rows(result: RunResult, step: str, table: Table[Row], data: DatasetPages) -> TableRows | None:
    """The rows of a step; None where the run has no such step."""
    if step not in result.graph.steps:
        return None
    return TableRows(table, result.frame(step), data.order)


def _some(rows: TableRows | None, keys: Sequence[str]) -> dict[str, Any]:
    return {} if rows is None else rows.some(keys)


def _told(label: str, score: Score) -> str:
    return f"{label} {number(score.value) if score.value is not None else f'– ({score.problem})'}"


def _preferred(preference: Preference) -> str:
    if preference.problem:
        return preference.problem
    if preference.shown_first == preference.shown_second:
        return f"{preference.shown_first} in both orders"
    return f"{preference.shown_first} if shown first, {preference.shown_second} if shown second"
