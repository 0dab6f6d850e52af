"""What rules of selection would have picked, by published outcomes.

Run `python benchmarks/replay.py ../shared/replay`. For each cell (target model x task), DATA holds
what was measured of every strategy before training, and the accuracy that fine-tuning on it gave
(numbers copied from github.com/XuanRen4470/SPPL). Each rule picks a strategy in each cell, over
several shuffles of the examples. One table says how good the picks are:

accuracy: mean accuracy of the picked strategy, in percent.
oracle share: how much of the best strategy's gain over the mean strategy it gets.
rho: Spearman correlation of the rule's scores with the accuracies, plain and weighted by the spread
of the cell's accuracies.
pick@300: how often it picks what the same metric picks over all 300 examples.
same: the same, but what fixed n picks over the same examples.
scoring: the share of n examples x strategies that was scored.
decided: how many verdicts are called decided at 95 %.
calibration: how many of these name the n = 300 pick.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from respsel.selection.decide import decide
from respsel.selection.race_rule import BatchScores, race
from respsel.selection.rule import Rule
from respsel.selection.statistics import Values

N_ALL = 300
LOG = Rule("self-aligned perplexity", "lower", "log", 0.95, 1, 0)
MEAN = Rule("self-aligned perplexity", "lower", "linear", 0.95, 1, 0)
HIGHER = ("car", "skywork")
Scores = Mapping[str, Values]


@dataclass(frozen=True)
class Cell:
    """One target model and task: accuracies in percent, scores by strategy and example, published
    aggregates.
    """

    accuracy: Mapping[str, float]
    scores: Scores
    published: Mapping[str, Mapping[str, float]]

    @property
    def gain(self) -> float:
        """What the best strategy has over the mean one."""
        return max(self.accuracy.values()) - float(np.mean(list(self.accuracy.values())))


@dataclass  # not frozen: it fills
class Tally:
    """One row of the table as it fills, one entry for each cell and shuffle."""

    picked: list[float] = field(default_factory=list)
    gained: list[float] = field(default_factory=list)
    possible: list[float] = field(default_factory=list)
    rho: list[float] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)
    as_all: list[bool] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    scoring: list[float] = field(default_factory=list)
    decided: list[bool] = field(default_factory=list)

    def add(self, cell: Cell, worse: Mapping[str, float], pick: str) -> None:
        """Note a pick and the scores it comes from (higher is worse)."""
        accuracies = list(cell.accuracy.values())
        self.picked.append(cell.accuracy[pick])
        self.gained.append(cell.accuracy[pick] - float(np.mean(accuracies)))
        self.possible.append(cell.gain)
        self.spread.append(float(np.std(accuracies)))
        self.rho.append(spearman([-worse[name] for name in cell.accuracy], accuracies))

    def row(self, name: str) -> list[str]:
        """Its cells as text."""
        calibration = [
            right for right, decided in zip(self.as_all, self.decided, strict=False) if decided
        ]
        return [
            name,
            f"{np.mean(self.picked):.2f}",
            f"{sum(self.gained) / sum(self.possible):.1%}",
            f"{np.mean(self.rho):.3f}",
            f"{np.average(self.rho, weights=self.spread):.3f}",
            *(
                f"{np.mean(x):.1%}" if x else ""
                for x in (self.as_all, self.same, self.scoring, self.decided, calibration)
            ),
        ]


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rank correlation; 0 where one of them is constant."""
    from scipy.stats import rankdata

    a = rankdata(one)
    b = rankdata(other)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else 0.0


def cells(folder: Path) -> Iterator[Cell]:
    """The cells that have both outcomes and scores."""
    outcomes = pl.read_csv(folder / "outcomes.csv")
    scores = pl.read_parquet(folder / "example_scores.parquet")
    aggregates = pl.read_csv(folder / "aggregate_scores.csv").filter(pl.col("subset") == "0_50")
    for (model, task), found in sorted(scores.group_by("model", "task"), key=lambda item: item[0]):
        here = (pl.col("model") == model) & (pl.col("task") == task)
        accuracy = (
            outcomes.filter(here)
            .group_by("strategy")
            .agg(pl.col("accuracy").mean() * 100)
            .sort("strategy")
        )
        names = [name for name in accuracy["strategy"] if name in set(found["strategy"])]
        by_name = {}
        for name in names:
            rows = found.filter(pl.col("strategy") == name).sort("example_index")
            by_name[name] = dict(
                zip(
                    map(str, rows["example_index"]),
                    rows["self_aligned_perplexity"].to_list(),
                    strict=True,
                )
            )
        published: dict[str, dict[str, float]] = {}
        for metric, name, value in (
            aggregates.filter(here).select("metric", "strategy", "value").iter_rows()
        ):
            published.setdefault(metric, {})[name] = -value if metric in HIGHER else value
        yield Cell({name: dict(accuracy.iter_rows())[name] for name in names}, by_name, published)


def limited(scores: Scores, keys: Sequence[str]) -> Scores:
    """The scores of some examples, in their order."""
    return {name: {key: values[key] for key in keys} for name, values in scores.items()}


def raced(scores: Scores, keys: Sequence[str]) -> tuple[Scores, set[str], float]:
    """Run a race; return the scores it asked for, who was dropped, and the share of the scoring it
    took.
    """
    found: dict[str, dict[str, object]] = {name: {} for name in scores}
    running = race(tuple(scores), len(keys), LOG)
    batch = next(running)
    while True:
        part = limited(
            {name: scores[name] for name in batch.strategies}, keys[batch.start : batch.stop]
        )
        for name, values in part.items():
            found[name].update(values)
        try:
            batch = running.send(BatchScores(part))
        except StopIteration as done:
            dropped = {name for lap in done.value for name in lap.dropped}
            asked = sum(len(values) for values in found.values())
            return found, dropped, asked / len(keys) / len(scores)  # type: ignore[return-value]


def replay(
    everything: Sequence[Cell], sizes: Sequence[int], seeds: Sequence[int]
) -> Mapping[str, Tally]:
    """Every rule on every cell."""
    tallies: dict[str, Tally] = {}
    for cell in everything:
        tops = {rule.scale: decide("all", [cell.scores], rule).winner for rule in (LOG, MEAN)}
        for metric, worse in cell.published.items():
            if set(cell.accuracy) <= set(worse):
                tallies.setdefault(f"{metric}, published", Tally()).add(
                    cell, worse, min(cell.accuracy, key=lambda s: worse[s])
                )
        for seed in seeds:
            for n in (*sizes, N_ALL):
                if n == N_ALL and seed != seeds[0]:
                    continue
                order = np.random.default_rng(seed).permutation(N_ALL)[:n]
                keys = [str(i) for i in order]
                scores = limited(cell.scores, keys)
                fixed = weigh(tallies, f"mean log, n = {n}", cell, scores, LOG, tops)
                weigh(tallies, f"mean, n = {n}", cell, scores, MEAN, tops)
                if n < N_ALL:
                    some, dropped, cost = raced(scores, keys)
                    winner = weigh(tallies, f"race, n = {n}", cell, some, LOG, tops, dropped)
                    tallies[f"race, n = {n}"].same.append(winner == fixed)
                    tallies[f"race, n = {n}"].scoring.append(cost)
    return tallies


def weigh(
    tallies: dict[str, Tally],
    name: str,
    cell: Cell,
    scores: Scores,
    rule: Rule,
    tops: Mapping[str, str | None],
    dropped: set[str] | None = None,
) -> str:
    """Add a verdict of respsel's own to the row of a rule; return its winner."""
    verdict = decide("replay", [scores], rule, dropped=[dropped] if dropped is not None else ())
    assert verdict.winner is not None
    tally = tallies.setdefault(name, Tally())
    tally.add(cell, {ranked.strategy: ranked.score for ranked in verdict.ranking}, verdict.winner)
    tally.as_all.append(verdict.winner == tops[rule.scale])
    tally.decided.append(verdict.decided)
    return verdict.winner


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--shuffles", type=int, default=40, help="how many orders of the examples (40)"
    )
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed (0)")
    args = parser.parse_args()
    everything = list(cells(args.data))
    tallies = replay(everything, (50, 100), range(args.seed, args.seed + args.shuffles))
    best = np.mean([max(cell.accuracy.values()) for cell in everything])
    mean = np.mean([np.mean(list(cell.accuracy.values())) for cell in everything])
    print(
        f"{len(everything)} cells, {args.shuffles} shuffles from seed {args.seed}; oracle "
        f"{best:.2f}, mean strategy {mean:.2f}\n"
    )
    head = [
        "rule",
        "accuracy",
        "oracle share",
        "rho",
        "rho w.",
        "pick@300",
        "same",
        "scoring",
        "decided",
        "calibration",
    ]
    rows = [head, *(tally.row(name) for name, tally in sorted(tallies.items()))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *values in rows:
        print(
            "  ".join(
                [
                    name.ljust(widths[0]),
                    *(v.rjust(w) for v, w in zip(values, widths[1:], strict=True)),
                ]
            )
        )


if __name__ == "__main__":
    main()
