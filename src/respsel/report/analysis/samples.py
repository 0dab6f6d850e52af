"""The examples that a report shows with all their responses, side by side.

They are the first few in sample order, and the one where the leader and the next strategy differ
most. Knows nothing of markup. Invariant: what is shown has a bounded size, however long the
responses are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from respsel.graph import names as step_names
from respsel.metrics.registry import components
from respsel.records import Example, Response, Score, ScoredResponse
from respsel.report.analysis.bubbles import ShownTurn, shown_context, shown_turns
from respsel.report.analysis.shading import Piece, pieces
from respsel.run.result import RunResult
from respsel.tables.kinds import EXAMPLES, RESPONSES, SCORES, TOKEN_SCORES
from respsel.tables.table import Row, Table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_FIRST = 3
# For all samples of a report together: tokens that are shaded, and characters that are shown.
_TOKENS = 16_000
_CHARACTERS = 400_000


@dataclass(frozen=True)
class SampleResponse:
    """One strategy's response to a shown example, with its selection score.

    pieces: the text, or its beginning; none where there are turns.
    left_out: how many characters follow.
    problem: why it has no score.
    turns: of a conversation, the turns behind those that all strategies share.
    """

    strategy: str
    score: float | None
    problem: str
    correct: bool | None
    pieces: tuple[Piece, ...]
    left_out: int
    turns: tuple[ShownTurn, ...] = ()


@dataclass(frozen=True)
class SampleExample:
    """An example that is shown with all its responses, and why it is.

    turns: of a conversation, those that all strategies share; none where the input is one text.
    """

    id: str
    why: str
    input: str
    label: str | None
    responses: tuple[SampleResponse, ...]
    turns: tuple[ShownTurn, ...] = ()


def choose_samples(
    ids: Sequence[str], scores: npt.NDArray[np.float64], names: Sequence[str]
) -> dict[str, str]:
    """The ids to show, each with the reason.

    scores: (examples, strategies) in the order of names, the leader first.
    """
    import numpy as np

    chosen = dict.fromkeys(ids[:_FIRST], "one of the first in sample order")
    if scores.shape[1] >= 2:
        gaps = np.abs(scores[:, 0] - scores[:, 1])
        if not np.isnan(gaps).all():
            apart = ids[int(np.nanargmax(gaps))]
            chosen[apart] = f"where {names[0]} and {names[1]} differ most"
    return chosen


def samples(
    result: RunResult,
    dataset: str,
    chosen: Mapping[str, str],
    order: Sequence[str],
    shown_in_all: int,
) -> tuple[SampleExample, ...]:
    """order: the strategies, the leader first.

    shown_in_all: how many responses the whole report shows.
    """
    label = result.graph.loaded.recipe.selection_metric
    examples = {e.id: e for e in _some(result, step_names.examples(dataset), EXAMPLES, chosen)}
    view = shown_view(result)
    columns = []
    for name in order:
        responses = {
            r.id: r for r in _some(result, step_names.responses(dataset, name), RESPONSES, chosen)
        }
        scores = {
            s.id: s for s in _some(result, step_names.scores(dataset, name, label), SCORES, chosen)
        }
        scored = step_names.token_scores(dataset, name, view or "")
        tokens = {t.id: t for t in _some(result, scored, TOKEN_SCORES, chosen)} if view else {}
        columns.append((name, responses, scores, tokens))
    size = _TOKENS // max(1, shown_in_all), _CHARACTERS // max(1, shown_in_all)
    found = []
    for key, why in chosen.items():
        example = examples[key]
        shown = [
            _response(example, name, responses[key], scores.get(key), tokens.get(key), *size)
            for name, responses, scores, tokens in columns
        ]
        asked = _cut(example.input, size[1])
        turns = shown_context(example, size[1])
        found.append(SampleExample(key, why, asked, example.label, tuple(shown), turns))
    return tuple(found)


def shown_view(result: RunResult) -> str:
    """The view whose surprise is shaded; empty where none was scored."""
    loaded = result.graph.loaded
    selected = loaded.selected_metric
    metrics = [selected, *components(selected), *loaded.metrics]
    # A local view scores steps apart from each other; its texts are the same, but not what they
    # stand behind. Other views do not score the response at all.
    views = [
        view
        for metric in metrics
        for view in metric.needs.views
        if view.is_of_response and view.kind != "local"
    ]
    return views[0].name if views else ""


def _some(result: RunResult, step: str, table: Table[Row], chosen: Mapping[str, str]) -> list[Row]:
    """The rows of a step that are about the chosen examples."""
    frame = result.frame(step)
    return table.rows_of(frame.filter(frame["id"].is_in(list(chosen))))


def _response(
    example: Example,
    name: str,
    response: Response,
    score: Score | None,
    scored: ScoredResponse | None,
    tokens: int,
    characters: int,
) -> SampleResponse:
    value, problem = (None, response.problem) if score is None else (score.value, score.problem)
    if example.turns or (scored is not None and scored.text):
        turns = shown_turns(example, response, scored, tokens, characters)
        return SampleResponse(name, value, problem, response.correct, (), 0, turns)
    shown = []
    room = characters
    for piece in pieces(response.text, scored.scores if scored is not None else None, tokens):
        if room > 0:
            shown.append(replace(piece, text=piece.text[:room]))
        room -= len(piece.text)
    return SampleResponse(name, value, problem, response.correct, tuple(shown), max(0, -room))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
