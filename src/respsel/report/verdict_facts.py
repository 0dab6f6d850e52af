"""The facts about one verdict that the first screen's answers and cautions read.

Counts what the run's tables contain. Judges nothing and words almost nothing. Invariant: no
table's rows are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from respsel.graph import names as step_names
from respsel.recipe.schema import OVERALL, DatasetEntry, Recipe, StrategyEntry
from respsel.report.analysis.confounds import Confounds
from respsel.report.analysis.faulty_texts import FaultyTexts
from respsel.report.analysis.summaries import AuditRow
from respsel.report.response_counts import ResponseCounts, count_responses
from respsel.run.result import RunResult
from respsel.selection.race_rule import Lap
from respsel.selection.standing import Standing
from respsel.selection.verdict import Verdict, listed

# At most this many reasons of missing scores are named for a strategy.
_MOST_REASONS = 3


@dataclass(frozen=True)
class VerdictFacts:
    """A verdict with what the first screen reads next to it.

    result: the run that the verdict is of.
    verdict: of one dataset, or over all of them.
    confounds: by dataset, what its ranking may really be about.
    audits: by dataset, what was scored.
    texts: by dataset, what was found in the texts.
    """

    result: RunResult
    verdict: Verdict
    confounds: Mapping[str, Confounds]
    audits: Mapping[str, Sequence[AuditRow]]
    texts: Mapping[str, FaultyTexts]

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was read."""
        return self.result.graph.loaded.recipe

    @property
    def typed(self) -> str:
        """The recipe's path as the user typed it."""
        return self.result.graph.loaded.typed

    @property
    def winner(self) -> str:
        """The leader's name."""
        return str(self.verdict.winner)

    @property
    def leader(self) -> StrategyEntry:
        """The leader's entry in the recipe."""
        return self.result.graph.loaded.strategy(self.winner)

    @cached_property
    def standings(self) -> Mapping[str, Mapping[str, Standing]]:
        """By dataset and strategy, how the strategies stand before the ranking."""
        return {
            entry.name: {
                standing.strategy: standing
                for standing in self.result.rows(step_names.gates(entry.name))
            }
            for entry in self.datasets
        }

    @property
    def is_checked(self) -> bool:
        """Whether anything but likelihood judges the answers, in every dataset.

        It is about the leader's; where nobody leads, about those of any strategy.
        """
        judged = not self.result.graph.judge_is_target
        return all(
            any(
                standing.judged or (standing.rewarded and judged)
                for name, standing in rows.items()
                if self.verdict.winner in (None, name)
            )
            for rows in self.standings.values()
        )

    @cached_property
    def datasets(self) -> Sequence[DatasetEntry]:
        """The datasets that the verdict is about."""
        return [
            entry for entry in self.recipe.datasets if self.verdict.dataset in (OVERALL, entry.name)
        ]

    @cached_property
    def own_verdicts(self) -> Sequence[Verdict]:
        """The verdicts of the single datasets that the verdict is about."""
        return [
            own
            for own in self.result.verdicts
            if own.dataset != OVERALL and self.verdict.dataset in (OVERALL, own.dataset)
        ]

    @property
    def fewest(self) -> int:
        """The smallest number of examples of a dataset over which strategies are compared."""
        return min(own.examples for own in self.own_verdicts)

    @cached_property
    def responses(self) -> ResponseCounts:
        """Counts of the leader's usable responses."""
        steps = [step_names.responses(entry.name, self.winner) for entry in self.datasets]
        return count_responses(
            response
            for step in steps
            for response in self.result.rows(step)
            if not response.problem
        )

    @property
    def own_outputs(self) -> tuple[int, int]:
        """How many own outputs of the target there are, and how many were cut short."""
        steps = [step_names.own_outputs(entry.name) for entry in self.datasets]
        cut = [
            output.truncated
            for step in steps
            if step in self.result.graph.steps
            for output in self.result.rows(step)
        ]
        return len(cut), sum(cut)

    @property
    def available(self) -> int:
        """How many examples there are; in a race, how many it came to."""
        total = 0
        for entry in self.datasets:
            laps = self.laps(entry.name)
            total += laps[-1].examples if laps else self.examples(entry.name)
        return total

    def examples(self, dataset: str) -> int:
        """How many examples of a dataset are used."""
        return self.result.count(step_names.examples(dataset))

    def size(self, dataset: str) -> int:
        """How many examples a dataset has, used or not."""
        rows = self.result.rows(step_names.dataset_size(dataset))
        return int(rows[0].examples)

    def laps(self, dataset: str) -> Sequence[Lap]:
        """The laps of a dataset's race; none if there was no race."""
        name = step_names.race(dataset)
        return self.result.rows(name) if name in self.result.graph.steps else []

    def unscored(self) -> str:
        """In a sentence, which strategies lack scores, and the commonest reasons for each."""
        lacking = [
            f"{name} lacks {count} ({self._reasons(name)})"
            for name, count in self.verdict.unscored.items()
            if count
        ]
        return f"Not scored: {listed(lacking)}." if lacking else ""

    def _reasons(self, strategy: str) -> str:
        steps = [
            step_names.scores(entry.name, strategy, self.verdict.metric) for entry in self.datasets
        ]
        reasons: Counter[str] = Counter(
            score.problem for step in steps for score in self.result.rows(step) if score.problem
        )
        if len(reasons) == 1:
            return next(iter(reasons))
        most = reasons.most_common(_MOST_REASONS)
        named = ", ".join(f"{number} {reason}" for reason, number in most)
        return f"{named}{', and other reasons' if len(reasons) > _MOST_REASONS else ''}"
