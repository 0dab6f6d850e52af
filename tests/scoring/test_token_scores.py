"""Token scores under a view: which calls a response takes, and what its row is made of."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.backends.contract import Placed, ScoreCall
from respsel.backends.fake import FakeModel, FakeText
from respsel.calls.keys import request_key
from respsel.calls.requests import Scored, ScoreRequest
from respsel.calls.tokens import Resolver
from respsel.metrics.contract import View
from respsel.records import Example, Message, Response, ScoredResponse
from respsel.scoring.token_scores import score_responses


class Words(FakeText):
    """A token is a word with the blanks before it, as in most vocabularies."""

    def __init__(self, tells_places: bool) -> None:
        self.tells_places = tells_places

    def response_ids(self, text: str) -> tuple[int, ...]:
        """The bytes' sum stands for a word."""
        return tuple(sum(word.encode()) % 200 for word in self._words(text))

    def placed(self, messages: Sequence[Message], response: str) -> Placed:
        """See ModelText.placed."""
        lengths = (
            tuple(len(word.encode()) for word in self._words(response))
            if self.tells_places
            else None
        )
        return Placed(self.prompt_ids(messages), self.response_ids(response), lengths)

    def _words(self, text: str) -> list[str]:
        return re.findall(r"\s*\S+|\s+$", text)


class WordsModel(FakeModel):
    """A fake that reads words."""

    def __init__(self, tells_places: bool = True) -> None:
        super().__init__("", 4096)
        self.text = Words(tells_places)


def scored(model: FakeModel, view: View, text: str) -> tuple[list[ScoreCall], ScoredResponse]:
    """The calls of one response, and its row."""
    operation = score_responses(
        "m", view, [Example("e", "ask")], [Response("e", text)], {}, "about", "fail"
    )
    resolver = Resolver(model.text)
    calls = [resolver.resolve(request).call for request in next(operation)]
    assert all(isinstance(call, ScoreCall) for call in calls)
    some: list[ScoreCall] = [call for call in calls if isinstance(call, ScoreCall)]
    answers = [
        Scored(len(call.prompt_ids), len(call.response_ids), scores)
        for call, (_, scores) in zip(
            some, sorted(model.score(some), key=lambda found: found[0]), strict=True
        )
    ]
    with pytest.raises(StopIteration) as done:
        operation.send(answers)
    (row,) = done.value.value
    return some, row


TEXT = "We add. Then we stop.\nIt is 7. Done."


def test_steps_are_scored_behind_the_input_and_the_last_few() -> None:
    """With a window of 2 the fourth step stands behind input, second and third step, token by token
    as in the whole text.
    """
    model = WordsModel()
    ids = model.text.response_ids(TEXT)
    prompt = model.text.prompt_ids(plain_messages_of_the_example())
    calls, row = scored(model, View("local", window=2), TEXT)
    # "We add." has two tokens, " Then we stop." three, "It is 7." three, " Done." one.
    assert [call.response_ids for call in calls] == [ids[:2], ids[2:5], ids[5:8], ids[8:]]
    assert [call.prompt_ids for call in calls] == [
        prompt,
        prompt + ids[:2],
        prompt + ids[:5],
        prompt + ids[2:8],
    ]
    assert row.response_tokens == len(ids)


def test_steps_can_be_scored_without_the_input() -> None:
    """Then the first step stands behind the token that begins a text."""
    model = WordsModel()
    calls, _ = scored(model, View("local", window=1, with_input=False), TEXT)
    begin = model.text.prompt_ids(())
    ids = model.text.response_ids(TEXT)
    assert [call.prompt_ids for call in calls] == [
        begin,
        begin + ids[:2],
        begin + ids[2:5],
        begin + ids[5:8],
    ]


def test_without_the_tokens_places_steps_are_tokenised_alone() -> None:
    """A tokeniser that does not tell where its tokens stand still gets its steps scored."""
    model = WordsModel(tells_places=False)
    calls, row = scored(model, View("local", window=1), TEXT)
    assert [call.response_ids for call in calls] == [
        model.text.response_ids(step)
        for step in ("We add. ", "Then we stop.\n", "It is 7. ", "Done.")
    ]
    assert row.scores is not None


@given(st.text(alphabet="ab .\n!A1é", max_size=60))
def test_the_steps_tokens_are_the_responses(text: str) -> None:
    """All steps' tokens together are the response's, each once and in order, however it
    is split.
    """
    for model in (WordsModel(), FakeModel("", 4096)):
        calls, row = scored(model, View("local", window=3), text)
        assert sum((call.response_ids for call in calls), ()) == model.text.response_ids(text)
        assert row.scores is not None
        assert len(row.scores) == row.response_tokens == len(model.text.response_ids(text))


def test_the_published_wrapping_with_a_system_text_has_a_blank_behind_it() -> None:
    """That blank is the response's first token's, as in the published code's tokenisation of the
    whole.
    """
    operation = score_responses(
        "m",
        View("self-aligned", 1, "paper-system"),
        [Example("e", "ask")],
        [Response("e", "x")],
        {"e": ["own"]},
        "a",
        "fail",
    )
    (request,) = next(operation)
    assert isinstance(request, ScoreRequest)
    assert request.response == " x"
    assert request.messages[0].content.startswith(
        "[INST] <<SYS>>\nYou are a helpful assistant.\n<</SYS>>\n\nQuestion: ask"
    )


def test_a_part_is_in_the_key() -> None:
    """Each step of a response is another request."""
    operation = score_responses(
        "m", View("local", window=1), [Example("e", "ask")], [Response("e", TEXT)], {}, "a", "fail"
    )
    keys = [request_key("i", request) for request in next(operation)]
    assert len(set(keys)) == len(keys) == 4


def plain_messages_of_the_example() -> tuple[Message, ...]:
    operation = score_responses(
        "m", View("plain"), [Example("e", "ask")], [Response("e", "x")], {}, "about", "fail"
    )
    (request,) = next(operation)
    assert isinstance(request, ScoreRequest)
    return request.messages
