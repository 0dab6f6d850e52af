"""Watches one run: keeps the forecast, tells it to other processes, and remembers speeds.

It passes the run's events on to who was given. Knows nothing of terminals. Invariant: what goes
wrong here stops no run and changes none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from respsel.calls.events import AnsweredCall
from respsel.store.locks import Holder, host_name
from respsel.watch.stages import stage_words

if TYPE_CHECKING:
    from respsel.graph import Graph, Step
    from respsel.graph.ledger import Ledger
    from respsel.store.live import LiveFile
    from respsel.store.store import Store
    from respsel.watch.forecast import Forecast

_PUBLISH_EVERY_S = 1.0


@dataclass(frozen=True)
class Standing:
    """How far a run is.

    stage: what it is doing, in words.
    step: the step that is made, if it is one alone.
    steps_done, steps: how many steps are done, and how many there are.
    model: the model that is asked now; empty if none is.
    calls_done, calls_wanted: how many of the calls to it are answered.
    calls_made, calls_left: of the whole run; about how many are left.
    calls_s, tokens_s: calls and tokens in a second, of the present calls.
    elapsed_s: since the run began.
    left_s: how long the rest takes; None where nothing says so yet.
    waits: for whom it waits, and what that process does; empty if it does not wait.
    """

    stage: str
    step: str
    steps_done: int
    steps: int
    model: str
    calls_done: int
    calls_wanted: int
    calls_made: int
    calls_left: int
    calls_s: float
    tokens_s: float
    elapsed_s: float
    left_s: float | None
    waits: str = ""

    @property
    def share(self) -> float | None:
        """How much of the run is done, from 0 to 1; None where that is not known."""
        if self.left_s is None:
            return None
        return self.elapsed_s / max(self.elapsed_s + self.left_s, 1e-9)


@dataclass(frozen=True)
class Intent:
    """What a run is about to do.

    found, steps: how many steps are stored, and how many there are.
    calls: by model, about how many calls it makes.
    left_s: about how long that takes; None where nothing says so.
    """

    found: int
    steps: int
    calls: Mapping[str, int]
    left_s: float | None


@runtime_checkable
class Follower(Protocol):
    """Who shows a run, and looks at how far it is whenever it likes."""

    def follows(self, look: Callable[[], Standing]) -> None: ...

    def intends(self, intent: Intent) -> None: ...


class Watcher:
    """See study.Progress and run.events.RunMeter."""

    def __init__(
        self,
        events: Any,
        graph: Graph,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """events: the Progress that is told as before."""
        self._events = events
        self._graph = graph
        self._store = store
        self._clock = clock
        self._began = clock()
        self._began_at = time.time()
        self._live: Callable[[], LiveFile | None] = lambda: None
        self._published = float("-inf")
        self._forecast: Forecast | None = None
        self._loaded: dict[str, float] = {}
        self._stage: Sequence[Step] = ()
        self._steps = 0
        self._found = 0
        self._made = 0
        self._waits = ""
        self._told = False
        if isinstance(events, Follower):
            events.follows(self.standing)

    @contextmanager
    def publishing(self, live: Callable[[], LiveFile | None]) -> Iterator[None]:
        """Tell other processes how far the run is; live: the file for that, once there is one."""
        self._live = live
        try:
            yield
        except BaseException as error:
            self._publish(ended=type(error).__name__)
            raise
        finally:
            self._remember()

    # Progress.

    def run_begins(self, steps: int) -> None:
        self._steps = steps
        self._events.run_begins(steps)

    def step_found(self, step: Step) -> None:
        self._found += 1
        self._safely(lambda forecast: forecast.step_done(step.name))
        self._events.step_found(step)

    def stage_begins(self, steps: Sequence[Step]) -> None:
        self._stage = steps
        self._waits = ""
        self._events.stage_begins(steps)
        self._publish(force=True)

    def step_done(self, step: Step) -> None:
        self._made += 1
        self._safely(lambda forecast: forecast.step_done(step.name))
        self._events.step_done(step)
        self._publish()

    def calls_wanted(self, model: str, missing: int, reused: int, tokens: int) -> None:
        self._waits = ""
        self._events.calls_wanted(model, missing, reused, tokens)

    def call_made(self, tokens: int) -> None:
        self._publish()
        self._events.call_made(tokens)

    def waits_for(self, model: str, holder: Holder) -> None:
        self._wait(holder, f"asking {model}")
        self._events.waits_for(model, holder)

    def waits_for_gc(self, holder: Holder) -> None:
        self._wait(holder, "freeing space in the store")
        self._events.waits_for_gc(holder)

    def waits_for_report(self, holder: Holder) -> None:
        self._wait(holder, "writing this recipe's report")
        self._events.waits_for_report(holder)

    def waits_for_export(self, holder: Holder) -> None:
        self._wait(holder, "exporting there")
        self._events.waits_for_export(holder)

    def waits_for_download(self, holder: Holder) -> None:
        self._wait(holder, "downloading the same data")
        self._events.waits_for_download(holder)

    def downloading(self, what: str, done: int, total: int | None) -> None:
        self._events.downloading(what, done, total)

    # RunMeter.

    def look(self, steps: Sequence[Step], ledger: Ledger) -> None:
        """Before a stage that asks: foresee what is left, and say once what is to be done."""
        if self._forecast is None and not any(step.asks for step in steps):
            return
        try:
            forecast = self._forecast or self._first_forecast()
            if any(step.asks for step in steps):
                from respsel.plan.ahead import look_ahead

                ahead = look_ahead(self._graph, self._store, ledger, forecast)
                forecast.foresee(ahead)
                self._say_intent(forecast, len(ahead))
            forecast.stage_begins([step.name for step in steps])
        except Exception:
            self._forecast = None

    def round_begins(self, requests: dict[str, int]) -> None:
        self._safely(lambda forecast: forecast.round_begins(requests))

    def asks(self, model: str, calls: int, tokens: int, evaluated: Callable[[], int]) -> None:
        now = self._clock()
        self._safely(lambda forecast: forecast.asks(model, calls, tokens, evaluated, now))
        self._publish(force=True)

    def answered(self, call: AnsweredCall) -> None:
        now = self._clock()
        self._safely(lambda forecast: forecast.answered(call, now))

    def loads(self, model: str, seconds: float | None) -> None:
        """A model is being loaded, or was within so many seconds; see OpenModels."""
        if seconds is not None:
            self._loaded[model] = seconds
        now = self._clock()
        self._safely(lambda forecast: forecast.loading(model, seconds, now))
        self._publish(force=True)

    # What it knows.

    def standing(self) -> Standing:
        """How far the run is."""
        now = self._clock()
        left = None
        calls_left = 0.0
        model = ""
        done = 0
        wanted = 0
        rates = (0.0, 0.0)
        if (forecast := self._forecast) is not None:
            try:
                left = forecast.left_s(now)
                calls_left = forecast.calls_left()
                model, done, wanted = forecast.present()
                rates = forecast.rate(now)
            except Exception:
                left = None
        return Standing(
            stage=stage_words(self._stage[0].op) if self._stage else "Reading the store",
            step=self._stage[0].name if len(self._stage) == 1 else "",
            steps_done=self._found + self._made,
            steps=self._steps,
            model=model,
            calls_done=done,
            calls_wanted=wanted,
            calls_made=0 if forecast is None else forecast.calls_done,
            calls_left=round(calls_left),
            calls_s=rates[0],
            tokens_s=rates[1],
            elapsed_s=now - self._began,
            left_s=left,
            waits=self._waits,
        )

    def _first_forecast(self) -> Forecast:
        from respsel.watch.forecast import Forecast
        from respsel.watch.memory import recall

        models = self._graph.models
        identities = {name: known.identity for name, known in models.items()}
        parallel = {name: known.named.entry.parallel for name, known in models.items()}
        self._forecast = Forecast(recall(self._store, identities), parallel)
        return self._forecast

    def _say_intent(self, forecast: Forecast, left: int) -> None:
        if self._told:
            return
        self._told = True
        if isinstance(self._events, Follower):
            calls = forecast.calls_by_model()
            found = self._steps - self._made - left
            left_s = forecast.left_s(self._clock())
            self._events.intends(Intent(found, self._steps, calls, left_s))

    def _safely(self, do: Callable[[Forecast], None]) -> None:
        """Tell the forecast something; if it fails, there is no forecast any more."""
        if self._forecast is None:
            return
        try:
            do(self._forecast)
        except Exception:
            self._forecast = None

    def _wait(self, holder: Holder, doing: str) -> None:
        from respsel.store.live import wait_line

        self._waits = wait_line(holder, doing)
        self._publish()

    def _publish(self, force: bool = False, ended: str = "") -> None:
        now = self._clock()
        live = self._live()
        if live is None or live.broken:
            return
        if not (force or ended) and now - self._published < _PUBLISH_EVERY_S:
            return
        from respsel.store.live import FORMAT

        self._published = now
        loaded = self._graph.loaded
        live.write(
            {
                "format": FORMAT,
                "pid": os.getpid(),
                "host": host_name(),
                "recipe": loaded.place,
                "purpose": loaded.changed_for,
                "began": self._began_at,
                "now": time.time(),
                "ended": ended,
                **asdict(self.standing()),
            }
        )

    def _remember(self) -> None:
        if self._forecast is None:
            return
        try:
            from respsel.watch.memory import remember

            self._forecast.ends()
            models = self._graph.models
            identities = {name: known.identity for name, known in models.items()}
            remember(self._store, identities, self._forecast.paces, self._loaded)
        except Exception:
            # What it costs is a worse forecast next time.
            self._forecast = None
