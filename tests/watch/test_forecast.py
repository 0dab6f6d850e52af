"""The time that is left, against runs on a simulated clock.

After the first tenth of a run it is right within 30 %, until the last tenth.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from respsel.calls.events import AnsweredCall, CallKind
from respsel.plan.ahead import Ahead
from respsel.store.notes import SpeedNote
from respsel.watch.forecast import Forecast, laps_left
from respsel.watch.pace import Paces

PLACES = 16
LIMIT = 300
# As measured of the quickstart on two cores.
WRITES_S = 296.0
SCORES_S = 615.0


@dataclass
class Simulated:
    """A run on a clock of its own. Each forecast is kept with the time at which it was made."""

    forecast: Forecast
    tells: bool = True
    now: float = 0.0
    evaluated: int = 0
    said: list[tuple[float, float | None]] = field(default_factory=list)
    draw: random.Random = field(default_factory=lambda: random.Random(3))

    def look(self) -> None:
        self.said.append((self.now, self.forecast.left_s(self.now)))

    def write(self, calls: int, about: str = "w", read: int = 60, mean: int = 120) -> None:
        """Texts of all lengths, PLACES at once; a text that ends makes room for the next."""
        lengths = [min(int(self.draw.expovariate(1 / mean)) + 5, LIMIT) for _ in range(calls)]
        self.forecast.asks("m", calls, calls * (read + LIMIT), lambda: self.evaluated, self.now)
        waiting = list(lengths)
        running: list[list[int]] = []
        while waiting or running:
            while waiting and len(running) < PLACES:
                length = waiting.pop()
                running.append([length, length])
                self.now += read * 0.22 / WRITES_S
                self.evaluated += read if self.tells else 0
            # One token of each, in the time that all places take.
            self.now += PLACES / WRITES_S
            self.evaluated += len(running) if self.tells else 0
            for text in running:
                text[0] -= 1
            for text in [text for text in running if text[0] <= 0]:
                running.remove(text)
                self.evaluated += 0 if self.tells else read + text[1]
                self.answer(about, "write", read, text[1])

    def score(self, calls: int, read: int, written: int) -> None:
        """Calls that share a prompt by four."""
        tokens = calls // 4 * read + calls * written
        self.forecast.asks("m", calls, tokens, lambda: self.evaluated, self.now)
        for index in range(calls):
            new = 0 if index % 4 else read
            self.now += (new + written) / SCORES_S
            self.evaluated += new + written
            self.answer("s, plain", "score", new, written)

    def answer(self, about: str, kind: CallKind, read: int, written: int) -> None:
        self.forecast.answered(AnsweredCall("m", kind, about, read, written), self.now)
        self.look()

    def worst(self) -> float:
        """The largest error, as a part of what was really left."""
        end = self.now
        errors = [
            1.0 if left is None else abs(left - (end - at)) / (end - at)
            for at, left in self.said
            if 0.1 * end <= at <= 0.9 * end
        ]
        assert len(errors) > 10
        return max(errors)


def writing(step: str, calls: float, attempts: int = 0, about: str = "w") -> Ahead:
    """Prompts that are guessed a quarter too short, texts that are guessed too long."""
    return Ahead(
        step,
        "responses",
        "m",
        "write",
        about,
        calls,
        45 * calls,
        150 * calls,
        attempts,
        limit=LIMIT,
    )


def scoring(step: str, calls: float, op: str = "token-scores", at_most: float = 0) -> Ahead:
    return Ahead(
        step, op, "m", "score", "s", calls, 55 * calls / 4, 90 * calls, at_most=at_most or calls
    )


def new(paces: Paces | None = None, tells: bool = True) -> Simulated:
    return Simulated(Forecast(paces or Paces(closing_s=0.0), {"m": PLACES}), tells)


def begin(run: Simulated, ahead: list[Ahead], *names: str, requests: int = 1) -> None:
    run.forecast.foresee(ahead)
    run.forecast.stage_begins(names)
    run.forecast.round_begins(dict.fromkeys(names, requests))


@pytest.mark.parametrize("tells", [True, False], ids=["tokens are counted", "answers alone"])
def test_one_stage_of_writing(tells: bool) -> None:
    """Also where the engine tells only of whole texts."""
    run = new(tells=tells)
    begin(run, [writing("a", 400)], "a", requests=400)
    run.write(400)
    assert run.worst() < 0.3


def test_one_stage_of_scoring() -> None:
    run = new()
    begin(run, [scoring("a", 300)], "a", requests=300)
    run.score(300, 70, 100)
    assert run.worst() < 0.3


@pytest.mark.parametrize("gain", [2.5, 6.0])
def test_writing_and_then_scoring_at_other_speeds(
    gain: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is scored later is foreseen by a usual ratio; with remembered speeds by these."""
    monkeypatch.setattr(f"{__name__}.SCORES_S", WRITES_S * gain)
    known: dict[tuple[str, CallKind], SpeedNote] = {
        ("m", "score"): SpeedNote(SCORES_S, 5.0, 0.0, 60.0, 0.0)
    }
    run = new(Paces(known, closing_s=0.0))
    begin(run, [writing("a", 150), scoring("b", 600)], "a", requests=150)
    run.write(150)
    begin(run, [scoring("b", 600)], "b", requests=600)
    run.score(600, 70, 100)
    assert run.worst() < 0.3


def test_half_is_reused() -> None:
    """Only what is not stored is counted."""
    run = new()
    begin(run, [writing("a", 100), scoring("b", 200)], "a", requests=200)
    run.write(100)
    begin(run, [scoring("b", 200)], "b", requests=400)
    run.score(200, 70, 100)
    assert run.worst() < 0.3


def test_a_race_drops_strategies() -> None:
    """Eight strategies race over 100 examples; half of them drop after each second lap."""
    run = new()
    strategies = 8
    at_most = 100 * strategies
    expected = strategies * (12 + 88 * 0.24)
    begin(run, [scoring("r", expected, "race", at_most)], "r", requests=12 * strategies)
    run.score(12 * strategies, 70, 100)
    within = [8, 6, 4, 4, 3, 3, *[2] * 16]
    for active in within:
        run.forecast.round_begins({"r": 4 * active})
        run.score(4 * active, 70, 100)
    assert run.worst() < 0.31
    # By hand: after laps of 8 x 12 and 4 x 4 responses 84 of 100 examples are left, so 16 % of the
    # race is known. 8 x 0.24 strategies are usual, and of the 4 that are in it 0.7 stay.
    stays = 0.84 * 1.92 + 0.16 * 4 * 0.7
    assert laps_left([96, 16], 800) == pytest.approx(stays * 84 / (8 * (12 + 88 * 0.24)))
    assert laps_left([96, 4], 800) == 0


def test_wrong_texts_are_asked_for_again() -> None:
    """How many are wrong is known after the first attempt; before that, half are expected."""
    run = new()
    begin(run, [writing("a", 200, attempts=3)], "a", requests=200)
    run.write(200)
    for calls in (90, 45, 20):
        run.forecast.round_begins({"a": calls})
        run.write(calls)
    assert run.worst() < 0.3


def test_nothing_is_known_without_any_speed() -> None:
    """A first run says no time before its first answer; a remembered speed does at once."""
    run = new()
    begin(run, [writing("a", 10)], "a", requests=10)
    run.look()
    known: dict[tuple[str, CallKind], SpeedNote] = {
        ("m", "write"): SpeedNote(WRITES_S, 1.0, 120.0, 60.0, 0.0)
    }
    told = new(Paces(known, closing_s=0.0))
    begin(told, [writing("a", 10)], "a", requests=10)
    told.forecast.asks("m", 10, 3600, lambda: 0, 0.0)
    told.look()
    assert run.said[0][1] is None
    assert told.said[0][1] is not None
