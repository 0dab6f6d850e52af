"""How fast models answer: measured in this run, or remembered from earlier ones.

Work is counted in units: a token that is scored, or one that is written. A prompt's token that is
read before writing is a part of one. Knows nothing of what is asked. Invariant: what is measured
now soon outweighs what is remembered, since other programs may take their share of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from respsel.calls.events import CallKind
from respsel.store.notes import SpeedNote

# What reading a prompt's token takes, where writing one takes 1. On CPUs and GPUs alike, many
# tokens of a prompt are read at once.
READ_SHARE = 0.22
# Where only writing was measured, a token is scored so many times as fast. SmolLM2 in llama.cpp, on
# two cores: 2.1 times (the quickstart, 16 texts at once); 2 to 3 times beside other programs.
_SCORING_GAIN = 2.5
# What is remembered counts as much as so many measured seconds.
_REMEMBERED_S = 4.0
# And what is guessed by other kinds of calls as much as so many.
_GUESSED_S = 1.0
# Of this run, what was measured before counts half after each further round of calls.
_FADES = 0.5


def units_of(kind: CallKind, read: float, written: float) -> float:
    """The work of some tokens."""
    return written + read * (READ_SHARE if kind == "write" else 1.0)


@dataclass
class Measured:
    """What was measured of a model and a kind of call in this run."""

    units: float = 0.0
    calls: int = 0
    written: float = 0.0
    seconds: float = 0.0

    def add(self, units: float, calls: int, written: float, seconds: float) -> None:
        """Note a round of calls."""
        self.units += units
        self.calls += calls
        self.written += written
        self.seconds += seconds


@dataclass
class Paces:
    """All of a run's models.

    known: by model and kind, what is remembered.
    load_s: by model, how long it takes to load.
    per_guess: by model, how many tokens a text has where a quarter of its letters was guessed.
    closing_s: about how long weighing the strategies and writing the report take.
    measured: what was measured in this run.
    running: what was measured so far of the calls that are being made.
    """

    known: dict[tuple[str, CallKind], SpeedNote] = field(default_factory=dict)
    load_s: dict[str, float] = field(default_factory=dict)
    closing_s: float = 1.5
    per_guess: dict[str, float] = field(default_factory=dict)
    measured: dict[tuple[str, CallKind], Measured] = field(default_factory=dict)
    running: dict[tuple[str, CallKind], Measured] = field(default_factory=dict)
    _recent: dict[tuple[str, CallKind], Measured] = field(default_factory=dict)

    def note(
        self, key: tuple[str, CallKind], units: float, calls: int, written: float, seconds: float
    ) -> None:
        """Note a round of calls that is over."""
        if seconds <= 0 or units <= 0:
            return
        self.measured.setdefault(key, Measured()).add(units, calls, written, seconds)
        recent = self._recent.setdefault(key, Measured())
        recent.units *= _FADES
        recent.seconds *= _FADES
        recent.add(units, calls, written, seconds)

    def units_s(self, key: tuple[str, CallKind]) -> float | None:
        """How fast a model answers; None where nothing says so."""
        units = 0.0
        seconds = 0.0
        for measured in (self._recent.get(key), self.running.get(key)):
            if measured is not None:
                units += measured.units
                seconds += measured.seconds
        known = self.known.get(key)
        if known is not None:
            units += known.units_s * _REMEMBERED_S
            seconds += _REMEMBERED_S
        elif (guess := self._by_another(key)) is not None:
            units += guess * _GUESSED_S
            seconds += _GUESSED_S
        return units / seconds if units > 0 and seconds > 0 else None

    def _by_another(self, key: tuple[str, CallKind]) -> float | None:
        """By what is known of the model's other kinds of calls, or else of other models."""
        model, kind = key
        own = {of: speed for of, speed in self._speeds(model).items() if of != kind}
        if own:
            return _converted(own, kind)
        others = {name for name, _ in [*self._recent, *self.running, *self.known]} - {model}
        speeds = [self._speeds(name) for name in sorted(others)]
        found = [_converted(known, kind) for known in speeds if known]
        return sum(found) / len(found) if found else None

    def _speeds(self, model: str) -> Mapping[CallKind, float]:
        speeds: dict[CallKind, float] = {
            kind: pace.units_s for (name, kind), pace in self.known.items() if name == model
        }
        for (name, kind), made in [*self._recent.items(), *self.running.items()]:
            if name == model and made.seconds > 0 and made.units > 0:
                speeds[kind] = made.units / made.seconds
        return speeds


def _converted(speeds: Mapping[CallKind, float], kind: CallKind) -> float:
    """The speed of one kind by that of another."""
    if kind in speeds:
        return speeds[kind]
    reading = next((speeds[other] for other in speeds if other != "write"), None)
    if kind == "write":
        assert reading is not None, "there is a speed"
        return reading / _SCORING_GAIN
    return reading if reading is not None else speeds["write"] * _SCORING_GAIN
