"""Getting requests answered: what is asked once, what is kept at hand, and what is read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from respsel.backends.contract import GenerateCall, Generation, Model, ScoreCall
from respsel.backends.fake import FakeModel
from respsel.calls.caller import Caller
from respsel.calls.requests import GenerateRequest, Request, Scored, ScoreRequest
from respsel.records import Message, Sampling, TokenScores
from respsel.store.locks import Holder
from respsel.store.store import Store

SAMPLING = Sampling(0.7, 0.95, 0, 0.0, 50)


class Counting(FakeModel):
    """A fake that notes how many calls it was given at once."""

    def __init__(self) -> None:
        super().__init__("", 4096)
        self.given: list[int] = []

    def generate(self, calls: Sequence[GenerateCall]) -> Iterator[tuple[int, Generation]]:
        self.given += [len(calls)] if calls else []
        return super().generate(calls)

    def score(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, TokenScores]]:
        self.given += [len(calls)] if calls else []
        return super().score(calls)


@dataclass
class Watched:
    """Models and events at once; notes what was said."""

    model: Counting = field(default_factory=Counting)
    wanted: list[tuple[int, int, int]] = field(default_factory=list)
    tokens: int = 0

    def identity(self, name: str) -> str:
        return name

    def open(self, name: str) -> Model:
        return self.model

    def calls_wanted(self, model: str, missing: int, reused: int, tokens: int) -> None:
        self.wanted.append((missing, reused, tokens))

    def call_made(self, tokens: int) -> None:
        self.tokens += tokens

    def waits_for(self, model: str, holder: Holder) -> None: ...


def generate(i: int) -> GenerateRequest:
    return GenerateRequest(
        "m", (Message("user", f"ask {i}"),), SAMPLING, "response", 0, 0, "", str(i)
    )


def score(i: int, response: str = "it is") -> ScoreRequest:
    return ScoreRequest("m", (Message("user", f"ask {i % 5}"),), f"{response} {i}", "", str(i))


def ask(store: Store, requests: Sequence[Request]) -> tuple[list[object], Caller, Watched]:
    watched = Watched()
    caller = Caller(store, watched, watched)
    answers = caller.look_up(requests).answers()
    return [_plain(answer) for answer in answers], caller, watched


def _plain(answer: object) -> object:
    return answer.scores.nll.tolist() if isinstance(answer, Scored) and answer.scores else answer


@pytest.mark.parametrize("make", [generate, score])
def test_answers_do_not_depend_on_what_is_at_hand(
    tmp_path: Path, make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With little room, calls are made a few at a time and answers are read back: they are the
    same, and so are the counts.
    """
    requests = [make(i) for i in range(20)]  # type: ignore[operator]
    with Store(tmp_path / "one") as store:
        whole, caller, watched = ask(store, requests)
        assert (caller.made, caller.reused, watched.model.given) == (20, 0, [20])
        tokens = watched.tokens
    monkeypatch.setattr("respsel.calls.caller._CALLS_AT_ONCE", 7)
    monkeypatch.setattr("respsel.calls.batch._TOKENS_AT_HAND", 0)
    with Store(tmp_path / "two") as store:
        found, caller, watched = ask(store, requests)
        assert found == whole
        assert (caller.made, caller.reused, watched.model.given) == (20, 0, [7, 7, 6])
        assert watched.tokens >= tokens
        again, caller, watched = ask(store, requests)
        assert again == whole
        assert (caller.made, caller.reused, watched.model.given) == (0, 20, [])


def test_requests_with_one_prompt_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the steps' requests stand, those that share a prompt are asked together, so that it
    is evaluated once.
    """
    monkeypatch.setattr("respsel.calls.caller._CALLS_AT_ONCE", 4)
    requests = [score(i) for i in range(20)]
    with Store(tmp_path) as store:
        _, _, watched = ask(store, requests)
    # Five prompts of "ask i" with its three marks each, and the responses' bytes.
    prompts = 5 * (len("ask 0") + 3)
    responses = sum(len(request.response) for request in requests)
    assert watched.wanted == [(20, 0, prompts + responses)]
    assert watched.tokens == prompts + responses


def test_equal_requests_are_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that become one call are answered by it, also where calls are made a few
    at a time.
    """
    monkeypatch.setattr("respsel.calls.caller._CALLS_AT_ONCE", 2)
    monkeypatch.setattr("respsel.calls.batch._TOKENS_AT_HAND", 0)
    with Store(tmp_path) as store:
        found, caller, _ = ask(store, [generate(i % 3) for i in range(9)])
    assert (caller.made, caller.reused) == (3, 6)
    assert found[:3] == found[3:6] == found[6:]


def test_an_answer_that_is_damaged_before_it_is_taken_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What befell a stored answer between the call and its use is mended by one call more."""
    monkeypatch.setattr("respsel.calls.batch._TOKENS_AT_HAND", 0)
    watched = Watched()
    with Store(tmp_path) as store:
        caller = Caller(store, watched, watched)
        pending = caller.look_up([generate(i) for i in range(5)])
        answers = pending.answers()
        store.forget(pending.trail.call(2))
        texts = [answer.text for answer in answers if isinstance(answer, Generation)]
        assert caller.made == 6
        assert texts == [answer.text for answer in ask(store, [generate(i) for i in range(5)])[0]]  # type: ignore[attr-defined]


def test_a_trail_has_the_stored_calls_before_any_is_made(tmp_path: Path) -> None:
    """What a look-up found can be noted for gc before a model is asked for the rest."""
    with Store(tmp_path) as store:
        ask(store, [generate(0)])
        watched = Watched()
        pending = Caller(store, watched, watched).look_up([generate(0), generate(1)])
        assert store.has(pending.trail.call(0))
        assert pending.trail.call(1) == f"call/{'0' * 64}"
        assert watched.model.given == []
        pending.answers()
        assert store.has(pending.trail.call(1))


def test_a_trail_holds_the_keys_of_requests_and_calls(tmp_path: Path) -> None:
    """The keys of a part of it are what the store keeps as a step's uses, and come back
    from there.
    """
    with Store(tmp_path) as store:
        watched = Watched()
        pending = Caller(store, watched, watched).look_up([generate(i) for i in range(3)])
        pending.answers()
        trail = pending.trail
        store.save_uses("s", trail.part(1, 2))
        uses = store.load_uses("s")
        assert uses == [trail.request(1), trail.request(2), trail.call(1), trail.call(2)]
        assert all(store.has(key) for key in uses)
