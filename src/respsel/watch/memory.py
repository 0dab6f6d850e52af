"""How fast models were on this machine: read from the store's notes, and noted after a run.

Knows nothing of runs. Invariants: no speed is in any key, and a store that cannot be written is
left as it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from respsel.calls.events import CallKind
from respsel.store.locks import host_name
from respsel.store.notes import ModelSpeeds, SpeedNote, load_speeds, save_speeds
from respsel.store.store import Store
from respsel.watch.pace import Measured, Paces

if TYPE_CHECKING:
    from respsel.backends.checkup import Checkup

# What was measured for less says nothing.
_LEAST_S = 1.0
# What a checkup measures counts as if it took so long.
_CHECKUP_S = 2.0
# Of what is remembered, so much counts beside what was measured now.
_KEEPS_S = 60.0


def recall(store: Store, identities: Mapping[str, str]) -> Paces:
    """What is remembered of some models; identities: by the models' names."""
    paces = Paces()
    for name, identity in identities.items():
        speeds = load_speeds(store, host_name(), identity)
        for kind in get_args(CallKind):
            if (note := speeds.kinds.get(kind)) is not None and note.units_s > 0:
                paces.known[name, kind] = note
        if speeds.load_s is not None:
            paces.load_s[name] = speeds.load_s
    return paces


def remember(
    store: Store, identities: Mapping[str, str], paces: Paces, loaded: Mapping[str, float]
) -> None:
    """Note what was measured long enough; loaded: by model, how many seconds it took to load."""
    if store.read_only:
        return
    for name, identity in identities.items():
        new: dict[str, SpeedNote] = {
            kind: _note(made)
            for (model, kind), made in paces.measured.items()
            if model == name and made.seconds >= _LEAST_S and made.calls
        }
        if not new and loaded.get(name, 0.0) < _LEAST_S:
            continue
        before = load_speeds(store, host_name(), identity)
        kinds = {**before.kinds}
        for kind, note in new.items():
            kinds[kind] = _mixed(before.kinds.get(kind), note)
        save_speeds(
            store, host_name(), identity, ModelSpeeds(kinds, loaded.get(name, before.load_s))
        )


def remember_checkup(store: Store, identity: str, checkup: Checkup) -> None:
    """Note what a checkup measured of a model of which no run has measured anything."""
    if store.read_only:
        return
    before = load_speeds(store, host_name(), identity)
    now = time.time()
    kinds = {
        "score": SpeedNote(checkup.read_tokens_s, 0.0, 0.0, _CHECKUP_S, now),
        "write": SpeedNote(checkup.write_tokens_s, 0.0, 0.0, _CHECKUP_S, now),
    }
    speeds = ModelSpeeds({**kinds, **before.kinds}, checkup.load_s)
    save_speeds(store, host_name(), identity, speeds)


def _note(made: Measured) -> SpeedNote:
    return SpeedNote(
        made.units / made.seconds,
        made.calls / made.seconds,
        made.written / made.calls,
        made.seconds,
        time.time(),
    )


def _mixed(old: SpeedNote | None, new: SpeedNote) -> SpeedNote:
    """What is known by now: what was measured for longer counts more, and old things less."""
    if old is None:
        return new
    kept = min(old.measured_s, _KEEPS_S)
    share = new.measured_s / (new.measured_s + kept)

    def mix(before: float, now: float) -> float:
        return before * (1 - share) + now * share

    return SpeedNote(
        mix(old.units_s, new.units_s),
        mix(old.calls_s, new.calls_s),
        mix(old.written, new.written),
        kept + new.measured_s,
        new.when,
    )
