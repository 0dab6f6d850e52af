"""How long the rest of a run takes, from what is ahead and how fast models answer.

What is asked now is known in calls; how long the texts will be that are being written is
estimated from those that are. What comes later is foreseen by `plan.ahead`. Knows no clock: the
time is given to it. Invariant: it counts every piece of work once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from respsel.calls.events import AnsweredCall, CallKind
from respsel.plan.ahead import RACED, WRONG, Ahead
from respsel.selection.race_rule import FIRST, STEP
from respsel.watch.pace import Measured, Paces, units_of

# About how much of its limit a text takes, and how long texts are at the least and the most.
_OF_LIMIT = 0.6
_LONGEST = 250.0
# A guess counts as much as so many texts.
_GUESSED_TEXTS = 3.0
# While the last texts are written, so much of the model's places is not taken.
_TAIL = 0.6
# How much lengths vary: 1 where how long a text is says nothing of how much is left of it.
_UNLIKE = 0.7
# About this share of those that are in a race is in it on the average of its rest.
_STAY = 0.7
# About how long a model takes to load.
_USUAL_LOAD_S = 2.0
# By so many answers it is learned how many tokens a guess comes to.
_FEWEST_GUESSES = 12
# A step that asks nothing takes about so long.
_STEP_S = 0.03


@dataclass
class _Texts:
    """How long texts are: those that are whole, and what is written of the others."""

    whole: int = 0
    tokens: float = 0.0


@dataclass
class _Round:
    """Calls to one model that are made now.

    model: the model.
    calls: how many calls.
    tokens: how many tokens they take at most.
    began: when the first was asked.
    evaluated: see CallMeter.asks.
    before: what that gave at the beginning.
    parts: by kind and what they are for, what was expected of the calls.
    done: how many are answered.
    first_s, last: how long the first one took, and when the last one came.
    full: what was measured of writing while all places were taken.
    answered: by kind and what they are for, calls, tokens read, and tokens written.
    """

    model: str
    calls: int
    tokens: int
    began: float
    evaluated: Callable[[], int]
    before: int
    parts: dict[tuple[CallKind, str], Ahead]
    done: int = 0
    first_s: float = 0.0
    last: float = 0.0
    full: Measured | None = None
    answered: dict[tuple[CallKind, str], list[float]] = field(default_factory=dict)

    def kinds(self) -> set[CallKind]:
        """What its calls ask."""
        return {kind for kind, _ in (*self.parts, *self.answered)}

    def total(self, kind: CallKind, place: int) -> float:
        """Of the answers of a kind: their number (0), tokens read (1) or written (2)."""
        return sum(made[place] for (of, _), made in self.answered.items() if of == kind)


@dataclass(frozen=True)
class _Writing:
    """How far the texts of a round are.

    calls, whole: how many there are to be, and how many are whole.
    places: how many are written at once.
    read_each: how many tokens a prompt has.
    mean: about how many tokens a text has.
    written, begun: tokens of the whole texts, and of the others.
    limit: how long a text may be; 0 where that is not known.
    at_once: how many texts are written at once while there are enough.
    """

    calls: float
    whole: float
    places: float
    read_each: float
    mean: float
    written: float
    begun: float
    limit: float
    at_once: float

    @property
    def read(self) -> float:
        """How many tokens of prompts were read."""
        return self.read_each * min(self.whole + self.places, self.calls)

    @property
    def _rest(self) -> float:
        """How much is left of a text that is being written.

        Long texts are met while they are written more often than short ones.
        """
        each = self.begun / max(self.places, 1e-9)
        room = max(self.limit - each, 0.0) if self.limit else self.mean
        alike = max(self.mean - each, 0.0)
        return _UNLIKE * _capped(self.mean, room) + (1 - _UNLIKE) * alike

    def left_s(self, rate: float) -> float:
        """How long the others take, at so many units in a second.

        At the end not all places are taken, and the longest text is waited for.
        """
        still = max(self.calls - self.whole, 0.0)
        if not still:
            return 0.0
        running = min(still, self.places)
        left = (still - running) * self.mean + running * self._rest
        unread = max(still - self.places, 0.0) * self.read_each
        longest = self.mean * (1 + math.log(max(running, 1.0)))
        if self.limit:
            longest = min(longest, self.limit)
        tail = _TAIL * max(longest - self.mean, 0.0) * self.at_once
        return (units_of("write", unread, left) + tail) / rate


class Forecast:
    """The rest of one run."""

    def __init__(self, paces: Paces, parallel: Mapping[str, int] | None = None) -> None:
        """paces: how fast models are. parallel: by model, how many texts it writes at once."""
        self.paces = paces
        self._parallel = dict(parallel or {})
        self._ahead: dict[str, Ahead] = {}
        # The steps that are made now, and what they ask in this round by model.
        self._present: dict[str, Ahead] = {}
        self._in_round: dict[str, int] = {}
        self._round: _Round | None = None
        self._texts: dict[tuple[str, str], _Texts] = {}
        self._loading: dict[str, float] = {}
        self._loaded = set[str]()
        # By step, how many requests it has made in how many rounds.
        self._asked: dict[str, list[int]] = {}
        # By model, how many tokens of prompts were guessed, and how many were read.
        self._guessed: dict[str, tuple[float, float]] = {}
        self.calls_done = 0
        self._now = 0.0

    # What happens.

    def foresee(self, ahead: Iterable[Ahead]) -> None:
        """What is left, as far as it is known by now."""
        self._ahead = {item.step: item for item in ahead}

    def stage_begins(self, steps: Iterable[str]) -> None:
        """These steps are made next."""
        self._end_round()
        names = list(steps)
        self._present = {name: self._ahead.pop(name, Ahead(name, "")) for name in names}
        self._in_round = {}

    def round_begins(self, requests: Mapping[str, int]) -> None:
        """These steps ask now, with so many requests each."""
        self._end_round()
        self._in_round = dict(requests)
        for name, count in requests.items():
            self._asked.setdefault(name, []).append(count)

    def loading(self, model: str, seconds: float | None, now: float) -> None:
        """A model is being loaded, or was within so many seconds."""
        if seconds is None:
            self._loading[model] = now
            return
        self._loading.pop(model, None)
        self._loaded.add(model)
        self.paces.load_s[model] = seconds

    def asks(
        self, model: str, calls: int, tokens: int, evaluated: Callable[[], int], now: float
    ) -> None:
        """See CallMeter.asks."""
        self._end_round()
        parts = self._parts(model, calls)
        self._round = _Round(model, calls, tokens, now, evaluated, evaluated(), parts)
        for name in [n for n in self._in_round if self._model_of(n) == model]:
            del self._in_round[name]

    def answered(self, call: AnsweredCall, now: float) -> None:
        """One call was answered."""
        self.calls_done += 1
        if self._round is None:
            return
        self._round.done += 1
        self._round.first_s = self._round.first_s or now - self._round.began
        self._round.last = now
        made = self._round.answered.setdefault((call.kind, call.about), [0.0, 0.0, 0.0])
        made[0] += 1
        made[1] += call.read
        made[2] += call.written
        if call.kind == "write":
            texts = self._texts.setdefault((call.model, call.about), _Texts())
            texts.whole += 1
            texts.tokens += call.written

    def step_done(self, name: str) -> None:
        """A step is made."""
        self._present.pop(name, None)
        self._ahead.pop(name, None)
        self._in_round.pop(name, None)

    def ends(self) -> None:
        """Nothing more is asked."""
        self._end_round()
        self._present = {}
        self._ahead = {}

    def _end_round(self) -> None:
        if self._round is None:
            return
        made = self._round
        self._round = None
        self._learn_guess(made, is_over=True)
        kinds = made.kinds()
        seconds = made.last - made.began
        sizes = {kind: units_of(kind, made.total(kind, 1), made.total(kind, 2)) for kind in kinds}
        for kind in kinds:
            # Where a round asks several things, its time is shared by their usual speeds.
            share = self._share(made.model, kind, sizes)
            size = sizes[kind]
            took = seconds * share
            if kind == "write" and made.full is not None:
                size = made.full.units
                took = made.full.seconds
            calls = int(made.total(kind, 0))
            self.paces.note((made.model, kind), size, calls, made.total(kind, 2), took)

    def _learn_guess(self, made: _Round, is_over: bool) -> None:
        """Learn how many tokens prompts have by their letters, from those that were read."""
        guessed = sum(part.read for part in made.parts.values()) * made.done / made.calls
        read = sum(answer[1] for answer in made.answered.values())
        before = self._guessed.get(made.model, (0.0, 0.0))
        total = (before[0] + guessed, before[1] + read)
        if is_over:
            self._guessed[made.model] = total
        if total[0] > 0 and made.done >= (1 if is_over else _FEWEST_GUESSES):
            self.paces.per_guess[made.model] = min(max(total[1] / total[0], 0.25), 8.0)

    def _share(self, model: str, kind: CallKind, sizes: Mapping[CallKind, float]) -> float:
        times = {of: size / (self.paces.units_s((model, of)) or 1.0) for of, size in sizes.items()}
        return times[kind] / (sum(times.values()) or 1.0)

    def _model_of(self, step: str) -> str:
        ahead = self._present.get(step) or self._ahead.get(step)
        return ahead.model if ahead else ""

    def _parts(self, model: str, calls: int) -> dict[tuple[CallKind, str], Ahead]:
        """What the calls of a round are expected to be, so many in all."""
        items = [
            item
            for name, item in self._present.items()
            if name in self._in_round and item.model == model and item.kind is not None
        ]
        expected = sum(max(item.calls, 0.0) for item in items)
        if not expected:
            return {}
        parts: dict[tuple[CallKind, str], Ahead] = {}
        for item in items:
            assert item.kind is not None
            scaled = _scaled(item, calls / expected)
            key = (item.kind, item.about)
            parts[key] = _added(parts[key], scaled) if key in parts else scaled
        return parts

    # What is left.

    def left_s(self, now: float) -> float | None:
        """How many seconds the rest takes; None where nothing says how fast a model is."""
        self._now = now
        if self._round is not None:
            self._learn_guess(self._round, is_over=False)
        self._measure(now)
        parts = [self._present_s(), self._later_s(), self._loading_s(now), self.paces.closing_s]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def _measure(self, now: float) -> None:
        """Note how fast the calls are answered that are being made."""
        self.paces.running = {}
        made = self._round
        if made is None:
            return
        sizes: dict[CallKind, float] = {}
        for kind in made.kinds():
            sizes[kind] = units_of(kind, made.total(kind, 1), made.total(kind, 2))
        writing = self._writing(made) if "write" in (made.kinds() or {"write"}) else None
        if writing is not None:
            sizes["write"] = units_of("write", writing.read, writing.written + writing.begun)
        for kind, size in sizes.items():
            seconds = (now - made.began) * self._share(made.model, kind, sizes)
            measured = Measured(size, seconds=seconds)
            if writing is not None and kind == "write":
                if writing.calls - writing.whole >= writing.at_once / 2:
                    made.full = measured
                # Of the last texts, which take fewer places, nothing is learned of the speed.
                measured = made.full or measured
            if size > 0:
                self.paces.running[made.model, kind] = measured

    def calls_left(self) -> float:
        """About how many calls are left."""
        now = 0 if self._round is None else self._round.calls - self._round.done
        return now + sum(item.calls for item in self._waiting())

    def calls_by_model(self) -> dict[str, int]:
        """About how many calls are left, by model."""
        calls: dict[str, float] = {}
        for item in self._waiting():
            if item.calls and item.model:
                calls[item.model] = calls.get(item.model, 0.0) + item.calls
        return {model: round(count) for model, count in calls.items()}

    def present(self) -> tuple[str, int, int]:
        """The model that is asked now, how many calls it has answered, and how many are asked."""
        if self._round is None:
            return "", 0, 0
        return self._round.model, self._round.done, self._round.calls

    def rate(self, now: float) -> tuple[float, float]:
        """Calls and tokens in a second of the calls that are made now."""
        if self._round is None or not self._round.done:
            return 0.0, 0.0
        seconds = max(now - self._round.began, 1e-9)
        made = self._round
        tokens = sum(
            made.total(kind, 2) + (0 if kind == "write" else made.total(kind, 1))
            for kind in made.kinds()
        )
        return made.done / seconds, tokens / seconds

    def expected(self, model: str, about: str, most: int) -> float:
        """See plan.ahead.Lengths: by what was written, is being written, or is remembered."""
        guess = self._guess(model, most)
        texts = self._texts.get((model, about), _Texts())
        if not texts.whole:
            all_texts = [made for (name, _), made in self._texts.items() if name == model]
            texts = _Texts(sum(t.whole for t in all_texts), sum(t.tokens for t in all_texts))
        tokens = texts.tokens + _GUESSED_TEXTS * guess
        return min(tokens / (texts.whole + _GUESSED_TEXTS), most)

    def _guess(self, model: str, most: int) -> float:
        known = self.paces.known.get((model, "write"))
        if known is not None and known.written:
            return min(known.written, most)
        return min(_OF_LIMIT * most, _LONGEST)

    def _present_s(self) -> float | None:
        made = self._round
        if made is None:
            return 0.0
        left = 0.0
        for kind in made.kinds() or {"write"}:
            rate = self.paces.units_s((made.model, kind))
            if rate is None:
                return None
            if kind == "write":
                left += self._writing(made).left_s(rate)
            else:
                left += max(self._to_score(made, kind), 0.0) / rate
        return left

    def _to_score(self, made: _Round, kind: CallKind) -> float:
        """How many units are left of calls that score."""
        if made.kinds() == {kind}:
            total = float(made.tokens)
        else:
            total = sum(self._units(p) for (of, _), p in made.parts.items() if of == kind)
        return total - made.total(kind, 1) - made.total(kind, 2)

    def _writing(self, made: _Round) -> _Writing:
        """How far the texts are that are being written.

        Short texts are whole first, so what is written of the others counts too.
        """
        parts = [part for (kind, _), part in made.parts.items() if kind == "write"]
        calls = sum(part.calls for part in parts) or float(made.calls)
        whole = made.total("write", 0)
        tokens = made.total("write", 2)
        seen = made.evaluated() - made.before
        tells = seen > (made.total("write", 1) + tokens) * 1.01
        places = float(self._parallel.get(made.model, 16))
        if not tells:
            # By Little's law, with the first answer's time for how long one takes.
            places = min(places, whole * made.first_s / max(self._now - made.began, 1e-9))
        at_once = places
        places = min(places, max(calls - whole, 0.0))
        limit = max((part.limit for part in parts), default=0.0)
        read = self.paces.per_guess.get(made.model, 1.0) * sum(part.read for part in parts) / calls
        if whole:
            read = made.total("write", 1) / whole
        guess = sum(part.written for part in parts) / calls or _LONGEST / 2
        begun = max(seen - read * (whole + places) - tokens, 0.0)
        mean = (tokens + _GUESSED_TEXTS * guess) / (whole + _GUESSED_TEXTS)
        if tells:
            # Of texts of all lengths, the mean is what is written by those that are whole.
            drawn = (tokens + begun + _GUESSED_TEXTS * guess) / (whole + _GUESSED_TEXTS)
            capped = _capped(drawn, limit or 2 * guess / _OF_LIMIT)
            share = whole / (whole + places)
            mean = share * mean + (1 - share) * capped
        elif whole:
            begun = places * mean / 2
        return _Writing(calls, whole, places, read, mean, tokens, begun, limit, at_once)

    def _waiting(self) -> Iterable[Ahead]:
        """What is to be asked and is not asked now."""
        for name, item in self._present.items():
            if item.kind is None:
                yield item
            elif name in self._in_round:
                # This round's calls to a model that is asked after the present one.
                yield self._this_round(name, item)
            yield from self._further(name, item)
        for item in self._ahead.values():
            yield item
            yield from self._further(item.step, item)

    def _this_round(self, name: str, item: Ahead) -> Ahead:
        rounds = self._asked.get(name, [])
        if item.op == "race" or not rounds or not rounds[0]:
            return item
        return _scaled(item, rounds[-1] / rounds[0])

    def _further(self, name: str, item: Ahead) -> Iterable[Ahead]:
        """What a step asks in further rounds: texts that were wrong, and a race's next laps."""
        rounds = self._asked.get(name, [])
        if item.kind is None or not item.calls or (item.op == "race" and not rounds):
            return
        if item.op == "race":
            yield _scaled(item, laps_left(rounds, item.at_most))
        elif item.attempts:
            wrong = rounds[-1] / rounds[-2] if len(rounds) > 1 and rounds[-2] else WRONG
            tries = item.attempts - max(len(rounds) - 1, 0)
            first = rounds[-1] / rounds[0] if rounds and rounds[0] else 1.0
            yield _scaled(item, first * sum(wrong**turn for turn in range(1, tries + 1)))

    def _later_s(self) -> float | None:
        left = 0.0
        for item in self._waiting():
            if item.kind is None:
                left += _STEP_S
                continue
            if not item.calls:
                continue
            rate = self.paces.units_s((item.model, item.kind))
            if rate is None:
                return None
            left += self._units(item) / rate
        return left

    def _units(self, item: Ahead) -> float:
        """The work of a step that was foreseen, whose prompts were guessed by their letters."""
        assert item.kind is not None
        per_guess = self.paces.per_guess.get(item.model, 1.0)
        written = item.written * (per_guess if item.guessed and item.kind != "write" else 1.0)
        return units_of(item.kind, item.read * per_guess, written)

    def _loading_s(self, now: float) -> float:
        models = {item.model for item in self._waiting() if item.calls and item.model}
        left = 0.0
        for model in models | set(self._loading):
            if model in self._loaded:
                continue
            usual = self.paces.load_s.get(model, _USUAL_LOAD_S)
            left += max(usual - (now - self._loading.get(model, now)), 0.0)
        return left


def _capped(mean: float, most: float) -> float:
    """The mean of what is drawn with a mean (exponentially), where nothing is over a limit."""
    return mean * (1 - math.exp(-most / max(mean, 1e-9)))


def laps_left(rounds: Sequence[int], at_most: float) -> float:
    """How much of a race is left, as a part of what was expected of all of it.

    rounds: how many responses each lap scored. at_most: those of all strategies.
    """
    strategies = rounds[0] / FIRST
    examples = max(at_most / max(strategies, 1e-9), FIRST)
    expected = strategies * (FIRST + (examples - FIRST) * RACED)
    left = max(examples - FIRST - STEP * (len(rounds) - 1), 0.0)
    if len(rounds) == 1:
        return strategies * left * RACED / expected
    within = rounds[-1] / STEP
    if within < 2:
        # With one left, the race is over.
        return 0.0
    # At first by what races come to, and later by this one.
    share = 1 - left / examples
    usual = min(strategies * RACED, within)
    stays = (1 - share) * usual + share * within * _STAY
    return stays * left / expected


def _scaled(item: Ahead, by: float) -> Ahead:
    return replace(item, calls=item.calls * by, read=item.read * by, written=item.written * by)


def _added(one: Ahead, other: Ahead) -> Ahead:
    return replace(
        one,
        calls=one.calls + other.calls,
        read=one.read + other.read,
        written=one.written + other.written,
        limit=max(one.limit, other.limit),
    )
