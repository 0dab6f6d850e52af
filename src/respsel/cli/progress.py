"""Showing a run as it goes: a bar for the whole and a line for the present, or lines for a log.

Draws only on the console it is given. Invariant: nothing here can stop or change a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from respsel.graph import Step
from respsel.store.live import wait_line
from respsel.store.locks import Holder
from respsel.text.characters import columns_of, one_line
from respsel.text.numbers import counted, duration
from respsel.text.wrapping import wrapped
from respsel.watch.stages import stage_words

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from respsel.watch.watcher import Intent, Standing

_LOG_EVERY_S = 10.0
# How often a log says again for whom a run waits.
_WAIT_EVERY_S = 60.0
_REFRESHES_S = 4


class RunDisplay:
    """See study.Progress and watch.watcher.Follower; use it as a context manager."""

    def __init__(
        self, make_console: Callable[[], Console], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make_console = make_console
        self._clock = clock
        self._console: Console | None = None
        self._live: Live | None = None
        self._look: Callable[[], Standing] | None = None
        self._steps = self._steps_done = 0
        self._wanted = self._made = self._tokens = 0
        self._began = self._logged = clock()
        self._waits = ""
        self._waits_for = Holder(None, None)
        self._waited = float("-inf")

    def __enter__(self) -> RunDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def follows(self, look: Callable[[], Standing]) -> None:
        """From now on `look` says how far the run is."""
        self._look = look

    def intends(self, intent: Intent) -> None:
        """Say in a line what the run is going to do."""
        calls = ", ".join(f"{count:,} to {model}" for model, count in intent.calls.items())
        reused = f"{intent.found} of {counted(intent.steps, 'step')}" if intent.found else "nothing"
        if not calls:
            self._line(f"Reuses {reused}; answers to the rest seem to be stored too")
            return
        takes = "how long it takes is not known yet"
        if intent.left_s is not None:
            takes = f"about {duration(intent.left_s)}"
        rest = f"runs the rest with at most about these calls: {calls}"
        self._line(f"Reuses {reused}; {rest}; {takes}")

    def run_begins(self, steps: int) -> None:
        """A run of so many steps begins."""
        self._steps = steps

    def step_found(self, _step: Step) -> None:
        """The store has this step."""
        self._steps_done += 1

    def step_done(self, _step: Step) -> None:
        """This step has just been run."""
        self._steps_done += 1

    def stage_begins(self, steps: Sequence[Step]) -> None:
        """These steps run next, together."""
        self._waits = ""
        if any(step.asks for step in steps):
            count = counted(len(steps), "step")
            self._line(
                f"{stage_words(steps[0].op)}: {count} ({self._steps_done} of {self._steps} done)"
            )

    def calls_wanted(self, model: str, missing: int, reused: int, tokens: int) -> None:
        """So many calls will be made now, of at most so many tokens."""
        self._waits = ""
        stored = f", {reused} found in the store" if reused else ""
        if missing:
            self._line(
                f"  {counted(missing, 'call')} to {model}, at most {tokens:,} tokens{stored}"
            )
        elif reused:
            self._line(f"  no call to make{stored}")
        self._wanted = missing
        self._made = 0
        self._tokens = 0
        self._began = self._logged = self._clock()

    def call_made(self, tokens: int) -> None:
        """One call was answered and stored."""
        self._made += 1
        self._tokens += tokens
        if self._live:
            return
        if self._clock() - self._logged >= _LOG_EVERY_S or self._made == self._wanted:
            self._logged = self._clock()
            self._line(f"  {self._made:,} of {self._wanted:,} calls{self._log_rate()}")

    def _log_rate(self) -> str:
        elapsed = max(self._clock() - self._began, 1e-9)
        rate = f", {self._tokens / elapsed:,.0f} tokens/s"
        standing = self._look() if self._look else None
        if standing is None or standing.left_s is None:
            return rate
        return f"{rate}; {_left_words(standing)}"

    def waits_for(self, model: str, holder: Holder) -> None:
        """Another process asks this model; this one goes on with what that one leaves."""
        self.waits(f"asking {model}", holder)

    def waits_for_gc(self, holder: Holder) -> None:
        """Another process frees space in the store; this one begins after it."""
        self.waits("freeing space in the store", holder)

    def waits_for_report(self, holder: Holder) -> None:
        """Another process writes this recipe's report or records its run."""
        self.waits("writing this recipe's report", holder)

    def waits_for_export(self, holder: Holder) -> None:
        """Another process writes a training set to the same folder."""
        self.waits("exporting there", holder)

    def waits(self, doing: str, holder: Holder) -> None:
        """Another process is doing what this one waits for.

        On a terminal the line is drawn anew; a log gets it again after a while.
        """
        self._waits = wait_line(holder, doing)
        now = self._clock()
        if holder == self._waits_for and (self._live or now - self._waited < _WAIT_EVERY_S):
            return
        self._waits_for = holder
        self._waited = now
        self._open()
        if not self._live:
            self._line(f"  {self._waits}")

    def waits_for_download(self, holder: Holder) -> None:
        """Another process downloads the same data."""
        self.waits("downloading the same data", holder)

    def downloading(self, what: str, done: int, total: int | None) -> None:
        """So many bytes of some data are there; total: of so many, where that is known."""
        if not done:
            self._line(f"Downloading {what}")
            self._logged = self._clock()
        elif self._clock() - self._logged >= _LOG_EVERY_S:
            self._logged = self._clock()
            of = f" of {total / 1e6:,.1f}" if total else ""
            self._line(f"  {done / 1e6:,.1f}{of} MB")

    def _line(self, text: str) -> None:
        console = self._open()
        lines = wrapped(one_line(text), console.width) if console.is_terminal else [one_line(text)]
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _open(self) -> Console:
        """Set the display up when it is first needed: a cached run loads nothing for it."""
        if self._console is None:
            self._console = self._make_console()
            if self._console.is_terminal and not self._console.is_dumb_terminal:
                from rich.live import Live

                self._live = Live(
                    get_renderable=self._drawn,
                    console=self._console,
                    transient=True,
                    refresh_per_second=_REFRESHES_S,
                )
                self._live.start()
        return self._console

    def _drawn(self) -> RenderableType:
        """A bar for the whole run, and a line for what it does now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        standing = self._look() if self._look else None
        if self._waits or standing is None:
            return Text(self._waits, no_wrap=False)
        share = standing.share
        left = _left_words(standing)
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1, min_width=4)
        bar.add_column(no_wrap=True, justify="right", overflow="ellipsis")
        total = None if share is None else 1.0
        bar.add_row(ProgressBar(total=total, completed=share or 0.0), left)
        return Group(
            bar, Text(_now_words(standing, self._open().width), no_wrap=True, overflow="ellipsis")
        )


def _left_words(standing: Standing) -> str:
    """How much of the whole run is done, and how long the rest takes."""
    if standing.share is None or standing.left_s is None:
        return f"{duration(standing.elapsed_s)} so far, time left not known yet"
    return f"{standing.share:.0%} of the run, about {duration(standing.left_s)} left"


def _now_words(standing: Standing, width: int) -> str:
    """What is done now: how many calls of how many, and how fast; as much as there is room for."""
    steps = f" (step {standing.steps_done + 1} of {standing.steps})"
    if not standing.calls_wanted:
        return f"{standing.stage}{steps}"
    calls = f"{standing.calls_done:,} of {standing.calls_wanted:,} calls"
    model = f" to {standing.model}"
    calls_s = f", {standing.calls_s:.2g} calls/s" if standing.calls_done else ""
    tokens_s = f", {standing.tokens_s:,.0f} tokens/s" if standing.calls_done else ""
    for parts in (
        (calls, model, calls_s, tokens_s, steps),
        (calls, model, calls_s, tokens_s),
        (calls, calls_s, tokens_s),
        (calls, calls_s),
    ):
        line = f"{standing.stage}: {''.join(parts)}"
        if columns_of(line) <= width:
            break
    return line
