"""Log-probabilities of a response's tokens from a server, and finding out whether it gives them.

Two ways are known. ids: the prompt goes as token ids, and the answer has each position's id,
log-probability and rank (vLLM's `prompt_logprobs`). echo: the prompt goes as text, and comes back
with its tokens and their log-probabilities (OpenAI's completions with `echo`). A server may lack
both, or be off by one. So it is asked about a text that it has just written itself, and must say
what it said while writing it.

Knows no chats. Invariant: a number is taken for a token only where the answer shows that it is of
that token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from respsel.backends.chat_text import ChatText
from respsel.backends.contract import Failure, ScoreCall
from respsel.backends.openai.client import EndpointClient
from respsel.errors import PreflightError
from respsel.recipe.request_parameters import is_for_scores
from respsel.records import Message, TokenScores
from respsel.replies.server_words import words_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

# Its answer is easy to foresee, and no token of it is likely where another is.
_QUESTION = "Count from one to ten in words, with commas between them, and nothing else."
_PROBE_TOKENS = 10
_FEWEST_COMPARED = 4
# Servers that compute in batches move a log-probability by 0.3 nats at times, and by 0.01 in the
# mean; one that is off by a token moves them by several.
_MOST_OFF = 1.0
_MEAN_OFF = 0.2
# Log-probabilities are float32, ranks int32.
_LOWEST = -3e38
_LAST_RANK = (1 << 31) - 1


@dataclass(frozen=True)
class Way:
    """How a server is asked for scores.

    ids: by token ids, else by echo; see above.
    without_start: for echo, the prompt's text is sent without the beginning of the text (BOS),
        which this server adds itself.
    """

    ids: bool
    without_start: bool = False

    @property
    def name(self) -> str:
        """What recipes call it."""
        return "prompt_logprobs" if self.ids else "echo"

    def __str__(self) -> str:
        return f"{self.name} without a beginning" if self.without_start else self.name


WAYS = (Way(ids=True), Way(ids=False), Way(ids=False, without_start=True))


class EndpointScores:
    """Scores by one server, in one way."""

    def __init__(self, client: EndpointClient, text: ChatText, way: Way) -> None:
        self._client = client
        self._text = text
        self.way = way

    def ask(self, call: ScoreCall) -> Awaitable[TokenScores]:
        """Ask for a response's scores.

        Raises ValueError where the answer is not of these tokens.
        """
        return self._ids(call) if self.way.ids else self._echo(call)

    async def write(
        self, prompt: Sequence[int], max_tokens: int
    ) -> tuple[str, list[str], list[float]]:
        """Have the server write on greedily.

        Returns the text, and its tokens with their log-probabilities.
        """
        given: Any = list(prompt) if self.way.ids else self._as_text(prompt)
        made = await self._complete(given, max_tokens=max_tokens, logprobs=1)
        choice = _only_choice(made)
        tokens, values = _token_values(choice)
        if (
            not isinstance(tokens, list)
            or not isinstance(values, list)
            or len(tokens) != len(values)
        ):
            raise ValueError("it gives no log-probabilities of what it writes")
        return (
            str(choice.get("text")),
            [str(token) for token in tokens],
            [_checked(value) for value in values],
        )

    async def _ids(self, call: ScoreCall) -> TokenScores:
        import numpy as np

        ids = [*call.prompt_ids, *call.response_ids]
        made = await self._complete(ids, max_tokens=1, prompt_logprobs=1)
        choice = _only_choice(made)
        said = choice.get("prompt_logprobs")
        if not isinstance(said, list):
            raise ValueError("it gives no prompt_logprobs")
        if len(said) != len(ids):
            raise ValueError(f"{len(said)} prompt_logprobs came back for {len(ids)} tokens")
        nll = []
        rank = []
        for token, found in zip(call.response_ids, said[len(call.prompt_ids) :], strict=True):
            entry = found.get(str(token)) if isinstance(found, dict) else None
            if not isinstance(entry, dict):
                raise ValueError(f"prompt_logprobs has no value for token {token} at its place")
            nll.append(-_checked(entry.get("logprob")))
            rank.append(_rank(entry.get("rank")))
        return self._scores(call, nll, np.array(rank, np.int32))

    async def _echo(self, call: ScoreCall) -> TokenScores:
        import numpy as np

        ids = (*call.prompt_ids, *call.response_ids)
        count = len(call.response_ids)
        made = await self._complete(self._as_text(ids), max_tokens=1, echo=True, logprobs=1)
        tokens, values = _token_values(_only_choice(made))
        if (
            not isinstance(tokens, list)
            or not isinstance(values, list)
            or len(tokens) != len(values)
        ):
            raise ValueError("it gives no log-probabilities of its input")
        usage = made.get("usage")
        read, written = (
            _as_mapping(usage).get(name) for name in ("prompt_tokens", "completion_tokens")
        )
        if not isinstance(read, int) or not isinstance(written, int):
            raise ValueError("it does not say how many tokens it read")
        if read != len(ids):
            raise ValueError(
                f"it read {read} tokens where the target's own tokenizer has {len(ids)}"
            )
        end = len(tokens) - written
        if end < count:
            raise ValueError(f"{end} log-probabilities came back for {len(ids)} tokens")
        for found, token in zip(tokens[end - count : end], call.response_ids, strict=True):
            if not _is_spelled(str(found), self._text.spell([token])):
                raise ValueError(
                    f"it splits the text elsewhere: it has {found!r} where there is "
                    f"{self._text.spell([token])!r}"
                )
        nll = [-_checked(value) for value in values[end - count : end]]
        return self._scores(call, nll, np.zeros(count, np.int32))

    def _scores(self, call: ScoreCall, nll: Sequence[float], rank: Any) -> TokenScores:
        import numpy as np

        entropy = np.full(len(nll), np.nan, np.float32)
        return TokenScores(
            np.array(call.response_ids, np.int32), np.array(nll, np.float32), rank, entropy
        )

    def _as_text(self, ids: Sequence[int]) -> str:
        return self._text.spell(ids[1:] if self.way.without_start else ids)

    async def _complete(self, prompt: Any, **more: Any) -> Mapping[str, Any]:
        settings = self._client.settings
        further = {name: value for name, value in settings.request.items() if is_for_scores(name)}
        return await self._client.complete(
            {**further, "model": settings.model, "prompt": prompt, "temperature": 0, **more}
        )


def find_way(client: EndpointClient, text: ChatText, scores_by: str | None) -> EndpointScores:
    """The way in which a server gives scores that can be trusted.

    scores_by: try no other. Raises PreflightError saying what is wrong with each way, if none does.
    Raises RunError for a server that is out of order.
    """
    problems: dict[str, str] = {}
    for way in (way for way in WAYS if scores_by in (None, way.name)):
        scores = EndpointScores(client, text, way)
        problem = client.one(_fault(scores, text))
        if isinstance(problem, Failure):
            problem = problem.problem
        if not problem:
            return scores
        problems[str(way)] = client.clean(problem)
    told = "; ".join(f"{way}: {problem}" for way, problem in problems.items())
    what = f"this endpoint gives no log-probabilities of a prompt that can be trusted ({told})"
    remedy = (
        "Score with the weights themselves (backend 'llama-cpp' or 'transformers'), or serve "
        "them with vLLM"
    )
    raise PreflightError(client.settings.place.problem(what, remedy))


async def _fault(scores: EndpointScores, text: ChatText) -> str:
    """What is wrong with the scores of a way; nothing if they agree with those of writing."""
    prompt = text.prompt_ids([Message("user", _QUESTION)])
    written, tokens, values = await scores.write(prompt, _PROBE_TOKENS)
    if not written.strip():
        return "it wrote nothing when asked to count to ten"
    response = text.response_ids(written)
    read = await scores.ask(ScoreCall(prompt, response))
    pieces = _pieces(written, text)
    same = 0
    # As far as both split the text alike.
    for piece, token in zip(pieces, tokens, strict=False):
        if piece != token:
            break
        same += 1
    if same < min(_FEWEST_COMPARED, len(pieces)):
        return (
            f"it splits {written!r} into {tokens[:4]}..., and the target's own tokenizer into "
            f"{pieces[:4]}..."
        )
    off = [
        abs(float(nll) + value) for nll, value in zip(read.nll[:same], values[:same], strict=True)
    ]
    if max(off) > _MOST_OFF or sum(off) / len(off) > _MEAN_OFF:
        worst = off.index(max(off))
        said = values[worst]
        again = -float(read.nll[worst])
        return (
            f"{tokens[worst]!r} has log-probability {said:.2f} when it is written and "
            f"{again:.2f} when it is read"
        )
    return ""


def _pieces(written: str, text: ChatText) -> list[str]:
    """The text as the target's own tokenizer splits it."""
    lengths = text.lengths(written)
    if lengths is None:
        return [text.spell([token]) for token in text.response_ids(written)]
    ends = [0]
    for length in lengths:
        ends.append(ends[-1] + length)
    data = written.encode("utf-8")
    return [data[start:end].decode("utf-8", "replace") for start, end in pairwise(ends)]


def _only_choice(made: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = made.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        raise ValueError(
            f"{len(choices) if isinstance(choices, list) else 'no'} choices came back where one "
            "was asked for"
        )
    if error := _as_mapping(choices[0]).get("error") or made.get("error"):
        raise ValueError(words_of(error))
    return _as_mapping(choices[0])


def _token_values(choice: Mapping[str, Any]) -> tuple[Any, Any]:
    said = _as_mapping(choice.get("logprobs"))
    return said.get("tokens"), said.get("token_logprobs")


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _checked(value: Any) -> float:
    """A log-probability. Raises ValueError for what is none."""
    # Compared first: a whole number of 400 digits is no float.
    if not isinstance(value, int | float) or not _LOWEST <= value <= 1e-3:
        raise ValueError(f"{value!r} came back for a log-probability")
    return float(value)


def _rank(value: Any) -> int:
    """A token's rank from 1 on; 0 where the server does not give what can be one."""
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LAST_RANK
        else 0
    )


def _is_spelled(found: str, expected: str) -> bool:
    """Whether a server's token is the expected one.

    A part of a character may be spelled in any way, and some tokenizers put a blank before a first
    word.
    """
    if "\ufffd" not in expected:
        return found.strip() == expected.strip()
    plain = ["".join(filter(str.isascii, text)).strip() for text in (found, expected)]
    return plain[0] == plain[1] or found.startswith("bytes:")
