"""A model behind an OpenAI-compatible endpoint.

It writes by chat completions, and scores where the server lets it. Knows nothing of connections
(see `client`). Invariant: no word of a server is trusted. `client` checks what can fail in a call,
and `logprobs` checks log-probabilities.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from respsel.backends.chat_text import ChatText
from respsel.backends.contract import Failure, GenerateCall, Generation, ScoreCall
from respsel.backends.openai.client import EndpointClient, EndpointSettings
from respsel.backends.openai.errors import EndpointError, Kind
from respsel.backends.openai.logprobs import EndpointScores, find_way
from respsel.backends.openai.tally import CallFailure
from respsel.backends.openai.text import EndpointText
from respsel.backends.openai.tokenizer import open_text
from respsel.backends.turn_fields import split_tools
from respsel.errors import PreflightError
from respsel.records import Message, Sampling, TokenScores
from respsel.replies.completions import EMPTY_TEXT, written_in
from respsel.text.transcript import fields_of

if TYPE_CHECKING:
    from respsel.records import FloatArray

_CHARS_PER_TOKEN = 4
# The longest tokens of vocabularies are runs of a few hundred blanks.
_MOST_CHARS_PER_TOKEN = 1_000
# No request takes more.
_MOST_TOKENS = 1_000_000_000
# The length of a context that is not known.
_UNKNOWN_CONTEXT = 1 << 30
# What some servers do not take and may be left out where it changes nothing, in the order in which
# that is tried.
_OPTIONAL = ("top_k", "min_p", "seed", "top_p", "temperature")
# No server refuses this for what it says.
_HELLO = (Message("user", "Say hello."),)


class EndpointModel:
    """See Model. A connection is made when the first call is."""

    def __init__(
        self,
        settings: EndpointSettings,
        context_tokens: int | None,
        weights: Path | None,
        repo: tuple[str, str] | None,
        chat_template: str | None,
        scores_by: str | None = None,
        template_options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Raises PreflightError for a missing key or package.

        weights, repo: where the tokenizer is, if there is one.
        scores_by: the only way of scoring to try.
        template_options: for the chat template, here and at the server.
        """
        self._client = EndpointClient(settings)
        self._settings = settings
        self._tokens: ChatText | None = (
            open_text(weights, repo, chat_template, template_options) if weights or repo else None
        )
        self.text = EndpointText(self._tokens, self._tested)
        self._template_options = dict(template_options)
        self._scores: EndpointScores | None = None
        self._scores_by = scores_by
        self._left_out: set[str] = set()
        self._max_tokens = "max_tokens"
        # Whether requests with such sampling are answered at all.
        self._passes: dict[Sampling, bool] = {}
        self._trying = asyncio.Lock()
        # Without a tokenizer nothing can be said of lengths.
        known = context_tokens if self._tokens else None
        self.context_tokens = known or _UNKNOWN_CONTEXT
        self.tokens_evaluated = 0

    def about(self) -> Mapping[str, str]:
        """See Model.about."""
        known = {"endpoint": self._settings.base_url, "model": self._settings.model}
        return known if self._scores is None else {**known, "scores by": str(self._scores.way)}

    def score(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, TokenScores | Failure]]:
        """See Model.score. Raises PreflightError if the server gives no scores to be trusted."""
        if not calls:
            return
        scores = self.probe()
        for index, answer in self._client.each(len(calls), lambda i: scores.ask(calls[i])):
            self.tokens_evaluated += len(calls[index].prompt_ids) + len(calls[index].response_ids)
            yield index, answer

    def probe(self) -> EndpointScores:
        """Find out how the server scores; see logprobs.find_way."""
        if self._scores is None:
            self._scores = find_way(self._client, self._tokenizer(), self._scores_by)
        return self._scores

    def represent(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, FloatArray]]:
        """See Model.represent."""
        if not calls:
            return iter(())
        remedy = "Use backend 'transformers' with the same weights"
        what = "an endpoint hands out no hidden states"
        raise PreflightError(self._settings.place.problem(what, remedy))

    def generate(self, calls: Sequence[GenerateCall]) -> Iterator[tuple[int, Generation | Failure]]:
        """See Model.generate."""
        for index, answer in self._client.each(len(calls), lambda i: self._write(calls[i])):
            if isinstance(answer, Generation):
                self.tokens_evaluated += (answer.prompt_tokens or 0) + answer.n_tokens
            yield index, answer

    def close(self) -> None:
        """See Model.close."""
        self._client.close()

    async def _write(self, call: GenerateCall) -> Generation | Failure:
        try:
            made = await self._ask(call)
        except EndpointError as error:
            if error.error.kind is Kind.SUSPECT and not await self._passes_with(call.sampling):
                raise EndpointError(replace(error.error, kind=Kind.SHAPE)) from None
            raise
        self._passes[call.sampling] = True
        return self._generation(made, call)

    async def _ask(self, call: GenerateCall) -> Mapping[str, Any]:
        while True:
            body = self._body(call)
            try:
                return await self._client.chat(body)
            except EndpointError as error:
                if error.error.kind is not Kind.SUSPECT or not self._leave_out(
                    str(error), body, call.sampling
                ):
                    raise

    async def _passes_with(self, sampling: Sampling) -> bool:
        """Whether a request with such sampling passes, whatever its input.

        One short question finds it out, once.
        """
        async with self._trying:
            if sampling not in self._passes:
                try:
                    await self._ask(GenerateCall((), sampling, 0, _HELLO))
                    self._passes[sampling] = True
                except EndpointError as error:
                    if error.error.kind in (Kind.ACCOUNT, Kind.MODEL):
                        raise
                    # Of a server that is not there for the moment nothing is known.
                    if error.error.kind is not Kind.SUSPECT:
                        return True
                    self._passes[sampling] = False
            return self._passes[sampling]

    def _body(self, call: GenerateCall) -> dict[str, Any]:
        sampling = call.sampling
        tools, turns = split_tools(call.messages)
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [
                {"role": turn.role, "content": turn.content, **fields_of(turn)} for turn in turns
            ],
            # Servers refuse a list without a tool.
            **({"tools": tools} if tools else {}),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self._max_tokens: sampling.max_tokens,
            # Servers take 31 bits for certain.
            "seed": call.seed % (1 << 31),
            # Said even where they are off: servers have defaults of their own.
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
        }
        own = {name: value for name, value in body.items() if not self._is_left_out(name, sampling)}
        body = {**self._settings.request, **own}
        if self._template_options:
            # As vLLM, SGLang and llama.cpp's server call it.
            body["chat_template_kwargs"] = self._template_options
        return body

    def _is_left_out(self, name: str, sampling: Sampling) -> bool:
        # Another call of the same model may need it.
        return name in self._left_out and _changes_nothing(name, sampling)

    def _leave_out(self, said: str, body: Mapping[str, Any], sampling: Sampling) -> bool:
        """After a refusal, leave out what the request may do without; whether there was any."""
        if "max_completion_tokens" in said and "max_tokens" in body:
            self._max_tokens = "max_completion_tokens"
            return True
        named = [name for name in _OPTIONAL if name in body and re.search(rf"\b{name}\b", said)]
        found = next((name for name in named if _changes_nothing(name, sampling)), None)
        if found is not None:
            self._left_out.add(found)
        return found is not None

    def _generation(self, made: Mapping[str, Any], call: GenerateCall) -> Generation | Failure:
        written = written_in(made)
        if len(written) != 1:
            return Failure(
                f"{_counted(made)} choices came back where one was asked for{_instead(made)}"
            )
        # Like every engine, without outer blanks.
        text = written[0].text.strip()
        problem = written[0].problem
        if problem and problem != EMPTY_TEXT:
            return CallFailure(problem, Kind.INPUT if written[0].about_input else Kind.SERVER)
        if len(text) > _MOST_CHARS_PER_TOKEN * call.sampling.max_tokens:
            return Failure(
                f"the text has {len(text):,} characters, more than {call.sampling.max_tokens:,} "
                "tokens can be"
            )
        if self._client.holds_key(text):
            return Failure("the answer has the API key in it")
        usage = made.get("usage")
        # Where it does not say, or says what cannot be, tokens are put at four characters each.
        n_tokens = _count(usage, "completion_tokens", -(-len(text) // _CHARS_PER_TOKEN))
        prompt = _count(
            usage,
            "prompt_tokens",
            -(-sum(len(m.content) + len(m.fields) for m in call.messages) // _CHARS_PER_TOKEN),
        )
        return Generation(text, n_tokens, written[0].truncated, prompt_tokens=prompt)

    def _tested(self) -> ChatText:
        self.probe()
        return self._tokenizer()

    def _tokenizer(self) -> ChatText:
        if self._tokens is None:
            what = (
                "scoring through an endpoint needs the model's own tokenizer, to know what the "
                "scores are of"
            )
            remedy = "Add where it is: 'package' and 'file', 'path', or 'repo' and 'revision'"
            raise PreflightError(self._settings.place.problem(what, remedy))
        return self._tokens


def _changes_nothing(name: str, sampling: Sampling) -> bool:
    """Whether an answer is the same without a parameter.

    So it is for a filter that is off, and for a seed, which servers take as a wish.
    """
    if name == "temperature":
        return sampling.temperature == 1
    if name == "top_p":
        return sampling.top_p == 1 or sampling.temperature == 0
    return name == "seed" or not {"top_k": sampling.top_k, "min_p": sampling.min_p}[name]


def _count(usage: Any, name: str, otherwise: int) -> int:
    """How many tokens a server says it took, if it says what can be."""
    count = usage.get(name) if isinstance(usage, Mapping) else None
    if not isinstance(count, int | float) or isinstance(count, bool):
        return otherwise
    return int(count) if 0 <= count <= _MOST_TOKENS and count == int(count) else otherwise


def _counted(made: Mapping[str, Any]) -> int | str:
    choices = made.get("choices")
    return len(choices) if isinstance(choices, list) else "no"


def _instead(made: Mapping[str, Any]) -> str:
    """What an answer without choices has."""
    return (
        ""
        if made.get("choices")
        else f": it has {', '.join(map(repr, list(made)[:5])) or 'nothing'}"
    )
