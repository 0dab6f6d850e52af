"""What a run did and found, read from the store when it is asked for.

Knows nothing of how steps are made. Invariant: a result of a closed study raises, and returns no
other table than the run made.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from respsel.calls.beginnings import ScoringWork
from respsel.errors import InputError, Problem, RunError, StoreError, suggest
from respsel.graph import Graph, Rows
from respsel.graph.downloads import downloaded_for
from respsel.graph.names import StepName
from respsel.records import TokenUsage
from respsel.run.counts import RunCounts
from respsel.run.tables import Tables
from respsel.selection.verdict import Verdict, html_text
from respsel.store.notes import LatestRun, Unrecorded
from respsel.store.store import Store
from respsel.tables.problems import LEFT_ASIDE
from respsel.tables.table import Document
from respsel.workspace.loaded_recipe import LoadedRecipe

if TYPE_CHECKING:
    import polars


class RunResult:
    """What a run did and found.

    `steps_run` and the like go on counting while damaged rows are made again. Tables are read from
    the store when they are asked for, so only while the study is open.
    """

    def __init__(self, graph: Graph, tables: Tables, counts: RunCounts) -> None:
        self.graph = graph
        self._tables = tables
        self._counts = counts
        verdicts = [step.name for step in graph.steps.values() if step.op == "verdict"]
        self.verdicts: tuple[Verdict, ...] = tuple(self.rows(name)[0] for name in verdicts)

    def rows(self, name: str) -> Rows:
        """A step's output, read each time, so that one table at a time is in memory.

        A table whose stored copy turns out damaged is made again, with open models. Raises RunError
        if it then comes out differently.
        """
        refuse_closed(self.store, self.graph.loaded)
        return self._tables.take_rows(name)

    def frame(self, name: str, *columns: str) -> polars.DataFrame:
        """A step's output, or some columns of it, as a data frame; see `rows`.

        It takes far less memory than rows.
        """
        refuse_closed(self.store, self.graph.loaded)
        return self._tables.frame(name, columns)

    def examples(self, dataset: str) -> polars.DataFrame:
        """A dataset's examples.

        Columns: id, input, reference, label, columns (the row's fields as JSON), copies.
        """
        return self.frame(self._step("examples", dataset))

    def responses(self, dataset: str, strategy: str) -> polars.DataFrame:
        """A strategy's responses.

        Columns: id, text, problem (why it is not used, or ""), correct, truncated, attempts,
        changed, member (the strategy that it was taken from, or "").
        """
        import polars as pl

        frame = self.frame(self._step("responses", dataset, strategy))
        # A table of an earlier version has no such column.
        places = frame["member"] if "member" in frame.columns else [0] * len(frame)
        names = ["", *self.graph.loaded.strategy(strategy).members]
        return frame.with_columns(pl.Series("member", [names[i] for i in places], pl.String))

    def scores(self, dataset: str, strategy: str, metric: str) -> polars.DataFrame:
        """A metric's values, one for each response.

        Columns: id, value (null where `problem` says why), problem, weight (of the response in the
        strategy's score, for metrics that are ratios of means).
        """
        return self.frame(self._step("scores", dataset, strategy, metric))

    def verdict(self, dataset: str) -> Verdict:
        """The verdict of a dataset, or over all of several ("overall")."""
        verdicts = {verdict.dataset: verdict for verdict in self.verdicts}
        if dataset not in verdicts:
            self._refuse("dataset", dataset, verdicts)
        return verdicts[dataset]

    @property
    def page(self) -> Path:
        """The report's page."""
        loaded = self.graph.loaded
        return loaded.workspace.runs / loaded.name / "report.html"

    def _repr_html_(self) -> str:
        """The verdicts, for notebooks."""
        verdicts = "".join(verdict._repr_html_() for verdict in self.verdicts)
        return f"{verdicts}<p>What else to mind is in the report: {html_text(self.page)}</p>"

    def _step(self, op: str, dataset: str, strategy: str = "", metric: str = "") -> str:
        """The name of a step. Raises InputError naming the part of it that there is not."""
        name = str(StepName(op, dataset, strategy, metric))
        if name in self.graph.steps:
            return name
        recipe = self.graph.loaded.recipe
        datasets = [entry.name for entry in recipe.datasets]
        strategies = [entry.name for entry in recipe.strategies_for(dataset)]
        metrics = [chosen.label for chosen in self.graph.loaded.metrics]
        if dataset not in datasets:
            self._refuse("dataset", dataset, datasets)
        if strategy and strategy not in strategies:
            self._refuse("strategy", strategy, strategies)
        if metric and metric not in metrics:
            self._refuse("metric", metric, metrics)
        # An apply makes no more than it needs.
        remedy = "See the result of Study.run"
        raise InputError(Problem(self.graph.loaded.shown, name, "is not part of this run", remedy))

    def _refuse(self, kind: str, name: str, known: Iterable[str]) -> NoReturn:
        what = f"'{name}' is not a {kind} of this recipe"
        raise InputError(Problem(self.graph.loaded.shown, kind, what, suggest(name, known)))

    def count(self, name: str) -> int:
        """The number of a step's output rows."""
        return self._tables.count(name)

    @property
    def store(self) -> Store:
        """Where everything that it found is kept."""
        return self._tables.store

    @property
    def outputs(self) -> Mapping[str, str]:
        """By step name, the digest of its output."""
        return {name: self._tables.output(name) for name in self.graph.steps}

    def key(self, name: str) -> str:
        """A step's key."""
        return self._tables.key(name)

    @property
    def weights(self) -> list[Path]:
        """The prepared weights that the recipe's models use, relative to the store."""
        return [
            path for known in self.graph.models.values() if (path := known.prepared) is not None
        ]

    @property
    def unrecorded(self) -> Mapping[str, Unrecorded]:
        """By name, the steps without a record, since a call of theirs failed."""
        return {
            name: Unrecorded(
                key=self.key(name),
                table=step.table.name,
                output=self._tables.output(name),
                rows=self.count(name),
                took={
                    model: list(astuple(usage)) for model, usage in self._tables.took(name).items()
                },
            )
            for name, step in self.graph.steps.items()
            if not self.store.has(f"step/{self.key(name)}")
        }

    def latest_run(self) -> LatestRun:
        """What the store is to note of it as its recipe's latest run, which finished now."""
        loaded = self.graph.loaded
        refuse_closed(self.store, loaded)
        return LatestRun(
            place=loaded.recipe_place,
            purpose=loaded.changed_for,
            variant=loaded.variant.options,
            steps={name: self.key(name) for name in self.graph.steps},
            weights=tuple(path.name for path in self.weights),
            downloads=downloaded_for(loaded, self.store),
            unrecorded=self.unrecorded,
            finished=time.time(),
        )

    @property
    def steps_total(self) -> int:
        """How many steps the recipe has."""
        return len(self.graph.steps)

    @property
    def steps_run(self) -> int:
        """How many were not in the store."""
        return self._counts.steps_run

    @property
    def calls_made(self) -> int:
        """How many requests a model answered now."""
        return self._counts.calls_made

    @property
    def scoring_work(self) -> ScoringWork:
        """See RunCounts."""
        return self._counts.scoring_work

    @property
    def calls_reused(self) -> int:
        """How many requests of the steps that ran were answered from the store."""
        return self._counts.calls_reused

    @property
    def took_now(self) -> Mapping[str, TokenUsage]:
        """By model, the tokens of the calls that were made now."""
        return self._counts.took

    @property
    def took(self) -> Mapping[str, TokenUsage]:
        """By model, the tokens of all calls that the recipe's steps use, whenever made."""
        total: dict[str, TokenUsage] = {}
        for name in self.graph.steps:
            for model, usage in self._tables.took(name).items():
                total[model] = total.get(model, TokenUsage()) + usage
        return total

    def look_at(self, name: str) -> None:
        """Make a step's output again if its stored copy is damaged or gone."""
        if isinstance(self.graph.steps[name].table, Document):
            self.rows(name)
        else:
            self.frame(name, "id")

    def took_by(self, name: str) -> Mapping[str, TokenUsage]:
        """By model, the tokens of a step's calls, whenever made."""
        return self._tables.took(name)

    @property
    def models_opened(self) -> tuple[str, ...]:
        """The models that were loaded."""
        return self._counts.models_opened


def refuse_closed(store: Store, loaded: LoadedRecipe) -> None:
    """Raise StoreError if a store is closed in which a result would be looked up."""
    if store.closed:
        what = "the study is closed, and its results are read from the store"
        remedy = "Use them inside the `with` block, or open the study again"
        raise StoreError(Problem(loaded.shown, "", what, remedy))


def refuse_unscored(result: RunResult) -> None:
    """Raise RunError if responses have no value of a metric and the recipe does not allow it."""
    loaded = result.graph.loaded
    if loaded.recipe.selection.if_unscored != "fail":
        return
    problems = []
    # What was only scored to choose from need not have a value.
    compared = {entry.name for entry in loaded.recipe.strategies if entry.compare}
    steps = [step for step in result.graph.steps.values() if step.table.name == "scores"]
    for name in (step.name for step in steps if StepName.parse(step.name).strategy in compared):
        frame = result.frame(name, "id", "problem")
        bad = frame.filter(~frame["problem"].is_in(["", *LEFT_ASIDE]))
        if len(bad):
            first = bad.row(0, named=True)
            what = (
                f"{len(bad)} of {len(frame)} responses have no value, e.g. '{first['id']}': "
                f"{first['problem']}"
            )
            remedy = 'Fix or drop them, or set selection.if_unscored = "report"'
            problems.append(Problem(loaded.shown, name, what, remedy))
    if problems:
        raise RunError(problems)
