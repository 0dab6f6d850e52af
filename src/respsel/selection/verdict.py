"""A verdict: what it says, and how people read it, in text and in a notebook.

Knows nothing of how it is reached; see decide. Invariants: an undecided verdict reads as
undecided; every name is escaped in HTML, since names come from recipes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from respsel.tables.table import Document
from respsel.text.characters import one_line
from respsel.text.columns import aligned
from respsel.text.numbers import interval, number, percent, share

# With fewer, a t-test is at the mercy of how the values are distributed.
FEWEST_EXAMPLES = 12
# An interval that is wider says nothing.
_MOST_TIMES = 100


@dataclass(frozen=True)
class Ranked:
    """One strategy in a ranking. Over a single example there are no intervals.

    strategy: its name.
    score: the mean of its scores; geometric on a log scale.
    low, high: the interval of its score.
    p_best: the share of resamples in which it is the best of those that may lead; None for one
        that is barred.
    difference: score minus the leader's, or score / leader's on a log scale; None for the leader.
    difference_low, difference_high: the difference's interval.
    effect: the paired difference in its standard deviations; None if it does not vary.
    place: its rank; over several datasets the mean of its ranks.
    examples: how many it is compared over.
    level: the confidence of the difference's interval, which is what it was tested at.
    """

    strategy: str
    score: float
    low: float | None
    high: float | None
    p_best: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    effect: float | None
    place: float
    examples: int
    level: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The selection for one dataset, or for all of them (dataset = "overall").

    dataset, metric: of what, and by what.
    direction: "lower" or "higher", which scores are better.
    scale: "log" (means are geometric, differences are factors), "linear" or "standardised".
    confidence: that of the intervals and of the decision, e.g. 0.95.
    examples: how many are paired, i.e. have a score for every strategy.
    winner: the strategy in the lead; None if there is none.
    decided: whether the winner beats every other strategy that may be recommended.
    tied: the strategies that the leader does not beat.
    examples_needed: about how many would decide it in four cases of five, if the differences are as
        they look; None where no number would.
    ranking: all strategies with a score, best first, barred ones last.
    unscored: by strategy, how many examples have no score.
    first_by_rank: over several datasets, the strategy with the best mean rank (the winner, if it
        shares it).
    barred: by strategy that may not be recommended, why (selection.gates). It is ranked behind all
        others, and there is no winner if all are barred.
    """

    dataset: str
    metric: str
    direction: str
    scale: str
    confidence: float
    examples: int
    winner: str | None
    decided: bool
    tied: tuple[str, ...]
    examples_needed: int | None
    ranking: tuple[Ranked, ...]
    unscored: Mapping[str, int]
    first_by_rank: str | None = None
    barred: Mapping[str, str] = field(default_factory=dict)

    @property
    def eligible(self) -> list[Ranked]:
        """The ranked strategies that may be recommended, best first."""
        return [ranked for ranked in self.ranking if ranked.strategy not in self.barred]

    @property
    def state(self) -> str:
        """How sure it is, in a word or two."""
        if self.is_alone:
            return "not compared"
        return "decided" if self.decided else "undecided"

    @property
    def is_alone(self) -> bool:
        """Whether the winner was compared with no other strategy."""
        return len(self.eligible) == 1

    @property
    def datasets_disagree(self) -> bool:
        """Whether the mean of ranks names another strategy than the mean of standardised scores."""
        return self.first_by_rank not in (None, self.winner)

    def how_sure(self, datasets: int = 1, fewest: int | None = None) -> str:
        """The outcome in a sentence, of a verdict that has a winner.

        datasets: how many it is about.
        fewest: over how many examples of a dataset strategies are compared, at the least.
        """
        several = f" of {datasets} datasets" if datasets > 1 else ""
        over = f"over {self.examples} examples{several} by {self.metric}"
        asked = percent(self.confidence)
        best = share(self.ranking[0].p_best)
        which = " that may be recommended" if self.barred else ""
        if self.is_alone:
            return f"Not compared: {self.winner} is the only strategy{which}, {over}."
        if self.decided:
            beats = f"it beats every other strategy{which}"
            return f"Decided at {asked}: {beats} {over}, and is the best in {best} of resamples."
        reasons = [f"it is not told apart from {self._ties}"] if self.tied else []
        if (self.examples if fewest is None else fewest) < FEWEST_EXAMPLES or not reasons:
            # Over several datasets, one of them may be too small while all together are not.
            each = " of a dataset" if datasets > 1 or self.examples >= FEWEST_EXAMPLES else ""
            reasons.append(f"fewer than {FEWEST_EXAMPLES} examples{each} decide nothing")
        leads = f"{self.winner} leads {over} and is the best in {best} of resamples"
        return f"Undecided at {asked}: {leads}, but {'; '.join(reasons)}."

    @property
    def _ties(self) -> str:
        """The tied strategies, each with how far apart it may be at the most."""
        return listed([self._tie(one) for one in self.ranking if one.strategy in self.tied])

    def _tie(self, one: Ranked) -> str:
        apart = self.most_apart(one)
        return one.strategy if not apart else f"{one.strategy} (at most {apart} apart)"

    def most_apart(self, one: Ranked) -> str:
        """How far a strategy and the leader can be apart, by its interval: what a tie rules out.

        On a log scale that is in percent of the better one's score. Empty where nothing is ruled
        out, over a single example.
        """
        low = one.difference_low
        high = one.difference_high
        if low is None or high is None:
            return ""
        if self.scale != "log":
            unit = " standard deviations" if self.scale == "standardised" else ""
            return f"{number(max(abs(low), abs(high)))}{unit}"
        most = max(high, 1 / low)
        if most > _MOST_TIMES:
            return ""
        return f"{number((most - 1) * 100)} %" if most < 10 else f"{number(most)} times"

    @property
    def outcome(self) -> str:
        """The verdict in words."""
        if not self.ranking:
            return "No strategy can be ranked: no example has a score for every strategy."
        if self.winner is None:
            return "No strategy can be recommended: none passes the gates."
        if self.is_alone:
            return self.how_sure()
        return f"{self.winner} comes first. {self.how_sure()}" if self.decided else self.how_sure()

    @property
    def title(self) -> str:
        """What it is about."""
        better = f"{self.direction} is better"
        return f"{self.dataset}: {self.metric} ({better}), {self.examples} examples"

    def table(self) -> Iterator[tuple[str, ...]]:
        """The ranking as rows of text, the first of them the headings."""
        against = "times the leader" if self.scale == "log" else "minus the leader"
        score = "standardised" if self.scale == "standardised" else "score"
        yield "", score, f"{percent(self.confidence)} interval", "P(best)", against, "effect", ""
        for place, ranked in enumerate(self.ranking):
            word = self.word(ranked, place)
            apart = interval(ranked.difference_low, ranked.difference_high)
            span = f"{number(ranked.difference)} ({apart})"
            within = interval(ranked.low, ranked.high)
            numbers = (
                number(ranked.score),
                within,
                share(ranked.p_best),
                "–" if ranked.difference is None else span,
                number(ranked.effect),
            )
            yield ranked.strategy, *numbers, word

    def word(self, ranked: Ranked, place: int) -> str:
        """What a ranked strategy is, at its place."""
        if ranked.strategy in self.barred:
            return "barred"
        return "leads" if place == 0 else "tied" if ranked.strategy in self.tied else "worse"

    def lines(self, width: int | None = None) -> Iterator[str]:
        """The ranking as lines: score, interval, P(best), and the distance to the leader.

        Without the effect, so that names of 15 letters leave them within 80 columns. width: see
        `aligned`.
        """
        yield self.title
        yield from aligned([(*cells[:-2], cells[-1]) for cells in self.table()], width)
        if self.datasets_disagree:
            by_rank = f"By the mean of ranks {self.first_by_rank} comes first"
            yield f"  {by_rank}, by the mean of standardised scores {self.winner}."

    def __str__(self) -> str:
        barred = [f"  {name} is barred: {why}." for name, why in self.barred.items()]
        return "\n".join([*self.lines(), f"  {self.outcome}", *barred])

    def _repr_html_(self) -> str:
        """The verdict in words and the ranking as a table, for notebooks."""
        headings, *rows = self.table()
        return "".join(
            [
                f"<div><p><b>{html_text(self.title)}</b><br>{html_text(self.outcome)}</p>",
                "<table><thead>",
                _row("th", headings),
                "</thead><tbody>",
                *(_row("td", row) for row in rows),
                "</tbody></table></div>",
            ]
        )


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html_text(cell)}</{tag}>' for cell in cells)}</tr>"


def html_text(text: object) -> str:
    """Text in one line, as HTML shows it and obeys nothing of it."""
    import html

    return html.escape(one_line(text))


def verdict_from_json(data: Any) -> Verdict:
    """Read a verdict from what asdict and JSON made of it."""
    ranking = tuple(Ranked(**item) for item in data["ranking"])
    fields = {**data, "ranking": ranking, "tied": tuple(data["tied"])}
    return Verdict(**{**fields, "barred": dict(data.get("barred", {}))})


VERDICTS = Document("verdicts", verdict_from_json)
