"""Whether texts look as if the target itself wrote them.

A text that a model samples at temperature 1 surprises it, on average, by the entropy of its
predictions. Sampled below that, or greedily, it surprises it less. What others write surprises it
about as much, or more. So the mean of nll minus entropy tells texts that the target wrote in the
usual way, at a low temperature. Texts that quote their input are left out: a quotation is likely
too. Measured with SmolLM2-135M on solutions of word problems, in nats a token: its own at
temperature 0 -1.03, at 0.7 -0.61, rewording a solution at 0.7 -0.51, at 1 -0.13; by people and
three larger models -0.09 to 0.28. Knows nothing of who wrote them. Invariant: it is a sign and no
proof, so it bars nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from respsel.graph import names as step_names
from respsel.health.copies import groups_of
from respsel.health.words import bounded, words_of
from respsel.metrics.contract import View
from respsel.run.result import RunResult
from respsel.selection.statistics import reach

# Nats a token below the entropy. Those of others were at most 0.09 below.
_OWN = 0.25
_FEWEST = 12
# So large a share of a text's groups of three words is no chance.
_QUOTED = 0.25
# So many responses show it, and keep a large table out of memory.
_MOST = 1000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class OwnLook:
    """How likely the texts of a strategy are, beside what the target would itself choose.

    below: how far their nll is below the entropy, in nats a token.
    error: its standard error over responses.
    responses: how many.
    first: the share of tokens that are the target's first choice; 0 where ranks are not known.
    """

    below: float
    error: float
    responses: int
    first: float

    @property
    def is_own(self) -> bool:
        """Whether they look like the target's."""
        if self.responses < _FEWEST:
            return False
        return self.below - reach(_CONFIDENCE, self.responses) * self.error > _OWN


def own_look(result: RunResult, dataset: str, strategy: str) -> OwnLook | None:
    """How a strategy's texts look; None where no response was scored, or without entropies."""
    import numpy as np

    view = _view(result)
    if view is None:
        return None
    name = step_names.token_scores(dataset, strategy, view.name)
    frame = result.frame(name, "id", "nll", "entropy", "rank", "problem")
    quoting = _quoting(result, dataset, strategy)
    usable = frame.filter((frame["problem"] == "") & ~frame["id"].is_in(quoting))
    rows = usable.head(_MOST)
    gaps = []
    ranks = []
    for nll, entropy, rank in rows.select("nll", "entropy", "rank").iter_rows():
        if len(nll):
            gaps.append(float(np.mean(np.subtract(entropy, nll, dtype=np.float64))))
            ranks.append(np.asarray(rank))
    if len(gaps) < 2 or not np.isfinite(gaps).all():
        return None
    error = float(np.std(gaps, ddof=1)) / len(gaps) ** 0.5
    first = float((np.concatenate(ranks) == 1).mean())
    return OwnLook(float(np.mean(gaps)), error, len(gaps), first)


def _quoting(result: RunResult, dataset: str, strategy: str) -> list[str]:
    """The examples whose responses are in large part their input's words, three in a row."""
    asked = result.frame(step_names.examples(dataset), "id", "input")
    inputs = dict(asked.select("id", "input").iter_rows())
    told = result.frame(step_names.responses(dataset, strategy), "id", "text").head(_MOST)
    found = []
    for name, text in told.select("id", "text").iter_rows():
        groups = groups_of(words_of(bounded(text)))
        if len(groups & groups_of(words_of(bounded(inputs[name])))) > _QUOTED * len(groups):
            found.append(name)
    return found


def _view(result: RunResult) -> View | None:
    """The view to look in: behind the input alone, if that was scored."""
    views = [
        view
        for metric in result.graph.loaded.metrics
        for view in metric.needs.views
        if view.is_of_response and view.kind in ("plain", "self-aligned")
    ]
    return min(views, key=lambda view: view.kind != "plain", default=None)
