"""Scores that somebody has already, to a verdict: a recipe's statistics without a recipe.

Knows nothing of where scores come from. Invariants: given a recipe's scores and its [selection], it
returns the recipe's verdict; what cannot be compared is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

from respsel.errors import InputError, Problem, raise_problems, suggest
from respsel.recipe.schema import SelectionEntry
from respsel.recipe.validation import check_shape
from respsel.selection.decide import decide as decide_by_rule
from respsel.selection.rule import Rule

if TYPE_CHECKING:
    import polars

    from respsel.selection.verdict import Verdict

    Given = Mapping[str, float | None] | Sequence[float | None] | polars.Series | polars.DataFrame

_WHERE = "decide"
_SCALES = ("linear", "log")


def decide(
    scores: Mapping[str, Given],
    *,
    lower_is_better: bool,
    scale: Literal["linear", "log"] = "linear",
    confidence: float = SelectionEntry.model_fields["confidence"].default,
    resamples: int = SelectionEntry.model_fields["resamples"].default,
    seed: int = SelectionEntry.model_fields["seed"].default,
    dataset: str = "scores",
    metric: str = "score",
) -> Verdict:
    """Return the verdict on scores of several strategies; the same arguments give the same verdict.

    scores: by strategy, the score of each example: a mapping from ids, a sequence (its places are
        the ids), or a frame with the columns id and value, as RunResult.scores returns it. None
        stands for no score. Only examples that all strategies have a score for are compared.
    lower_is_better: whether the strategy with the lowest scores is to lead, as by perplexity.
    scale: "linear" compares arithmetic means by their difference; "log" compares geometric means
        by their ratio, as recipes do for perplexities, and takes only scores above 0.
    confidence, resamples, seed: as in a recipe's [selection].
    dataset, metric: what the verdict calls them.
    Raises InputError for scores that cannot be compared.
    """
    chosen = _checked({"confidence": confidence, "resamples": resamples, "seed": seed})
    rule = Rule(
        metric=metric,
        direction="lower" if lower_is_better else "higher",
        scale=_checked_scale(scale),
        confidence=chosen.confidence,
        resamples=chosen.resamples,
        seed=chosen.seed,
    )
    return decide_by_rule(dataset, [_stratum(scores, scale)], rule)


def _checked_scale(scale: str) -> str:
    if scale not in _SCALES:
        raise InputError(
            Problem(_WHERE, "scale", f"'{scale}' is not a scale", suggest(str(scale), _SCALES))
        )
    return scale


def _stratum(scores: Mapping[str, Given], scale: str) -> dict[str, dict[Any, Any]]:
    """By strategy, the score of each example; None where there is none, as in a recipe."""
    table = _table(scores)
    raise_problems(_problems(table, scale))
    ids = dict.fromkeys(key for values in table.values() for key in values)
    stratum = {name: {key: values.get(key) for key in ids} for name, values in table.items()}
    if not any(all(values[key] is not None for values in stratum.values()) for key in ids):
        what = "no example has a score of every strategy, so none can be compared"
        raise InputError(
            Problem(_WHERE, "scores", what, "Give every strategy's scores under the same ids")
        )
    return stratum


def _checked(given: Mapping[str, Any]) -> SelectionEntry:
    chosen: SelectionEntry | None
    chosen, problems = check_shape(SelectionEntry, dict(given), _WHERE)
    if chosen is None or problems:
        raise InputError(problems)
    return chosen


def _table(scores: Mapping[str, Given]) -> dict[str, dict[Any, Any]]:
    """By strategy and id, the scores as they are given. Raises InputError for another shape."""
    if not isinstance(scores, Mapping) or len(scores) < 2:
        count = len(scores) if isinstance(scores, Mapping) else "none"
        what = f"a verdict compares two strategies or more, and there are {count}"
        raise InputError(
            Problem(
                _WHERE,
                "scores",
                what,
                'Give a mapping such as {"gpt": {"1": 2.5}, "human": {"1": 3.5}}',
            )
        )
    table = {str(name): _values(str(name), given) for name, given in scores.items()}
    # Places are not ids: the first of a list need not be the first of a shorter one.
    lengths = {name: len(given) for name, given in scores.items() if not _has_ids(given)}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        what = f"sequences pair by their places and differ in length: {shown}"
        raise InputError(
            Problem(
                _WHERE, "scores", what, "Give None where there is no score, or mappings from ids"
            )
        )
    if lengths and len(lengths) < len(scores):
        what = "some strategies have ids and some do not, so their scores cannot be paired"
        raise InputError(
            Problem(_WHERE, "scores", what, "Give all of them as mappings, or all as sequences")
        )
    return table


def _has_ids(given: Any) -> bool:
    return isinstance(given, Mapping) or hasattr(given, "columns")


def _values(name: str, given: Any) -> dict[Any, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    if hasattr(given, "columns"):
        if missing := [column for column in ("id", "value") if column not in given.columns]:
            what = f"the frame lacks the column '{missing[0]}'"
            raise InputError(
                Problem(_WHERE, name, what, "Give a frame with the columns id and value")
            )
        ids = list(given["id"])
        if len(set(ids)) < len(ids):
            raise InputError(
                Problem(_WHERE, name, "an id is there twice", "Give one score for each example")
            )
        return dict(zip(ids, given["value"], strict=True))
    if (
        isinstance(given, Iterable)
        and hasattr(given, "__len__")
        and not isinstance(given, str | bytes)
    ):
        return dict(enumerate(given))
    what = f"a {type(given).__name__} is not a table of scores"
    raise InputError(
        Problem(_WHERE, name, what, "Give a mapping from ids to numbers, a sequence, or a frame")
    )


def _problems(table: Mapping[str, Mapping[Any, Any]], scale: str) -> Iterable[Problem]:
    for name, values in table.items():
        for key, value in values.items():
            where = f"{name}, {key!r}"
            if value is None:
                continue
            if not isinstance(value, Real) or isinstance(value, bool):
                yield Problem(
                    _WHERE,
                    where,
                    f"a {type(value).__name__} is not a number",
                    "Give a number, or None for no score",
                )
            elif not math.isfinite(value):
                yield Problem(
                    _WHERE, where, "the score is not finite", "Give None where there is no score"
                )
            elif scale == "log" and value <= 0:
                what = "the score is not above 0, and has no logarithm"
                yield Problem(_WHERE, where, what, 'Leave scale = "log" out')
