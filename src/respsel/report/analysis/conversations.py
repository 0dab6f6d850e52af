"""What conversations are made of, how strategies differ in that, and what trainers train of them.

Knows nothing of markup. Invariant: it reads stored tables only, so the trained tokens are those
that were scored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from respsel.backends.trainer_rules import TRAINERS, TRL, trained_by, trains_end
from respsel.graph import names as step_names
from respsel.records import TOOLS, Example, Message, Response, TokenKind
from respsel.run.result import RunResult
from respsel.scoring.trained_turns import trained_chat
from respsel.text.transcript import tool_calls_of

# What strategies may differ in, by field of ConversationRow.
_COUNTED = {"turns": "turns", "trained": "trained turns", "calls": "tool calls"}


@dataclass(frozen=True)
class ConversationRow:
    """One strategy's conversations, on average over the responses that have one.

    turns: messages of any role.
    trained: turns that are trained.
    calls: tool calls in all assistant turns.
    """

    strategy: str
    conversations: int
    turns: float
    trained: float
    calls: float


@dataclass(frozen=True)
class TrainerRow:
    """One strategy's scored tokens, held against what a trainer trains on.

    both: tokens that are scored and trained.
    only_scored: scored and not trained.
    only_trained: of responses that have no scores, such as those over the context. All of a trained
        turn is counted, whatever the trainer trains of it.
    """

    strategy: str
    trainer: str
    both: int
    only_scored: int
    only_trained: int


@dataclass(frozen=True)
class MaskRow:
    """What of one strategy's trained turns was scored, by kind of token.

    turns: trained turns with scores.
    ended: those of them whose end is among the trained tokens.
    template: tokens that the template writes itself: behind the end, or a block without thinking.
    """

    strategy: str
    turns: int
    ended: int
    thinking: int
    answer: int
    end: int
    template: int


@dataclass(frozen=True)
class ConversationFacts:
    """What a report says of a dataset's conversations; masks and trainers where turns are scored.

    rows: none where each input is one text.
    lengths: how the strategies differ in turns, in words; empty if they do not.
    """

    rows: tuple[ConversationRow, ...]
    masks: tuple[MaskRow, ...]
    trainers: tuple[TrainerRow, ...]
    lengths: str

    @property
    def unended(self) -> list[str]:
        """The strategies with a trained turn whose end is not trained."""
        return [mask.strategy for mask in self.masks if mask.ended < mask.turns]


def conversation_facts(
    result: RunResult, dataset: str, strategies: Sequence[str], view: str
) -> ConversationFacts | None:
    """The facts of a dataset's conversations; None where each input and response is one text.

    view: the name of a view in which trained turns are scored; empty for none.
    """
    recipe = result.graph.loaded.recipe
    entry = result.graph.loaded.dataset(dataset)
    if not recipe.has_chats(entry) and not recipe.scores_turns(entry):
        return None
    examples: Sequence[Example] = result.rows(step_names.examples(dataset))
    has_chats = any(example.turns for example in examples)
    rows = tuple(_row(result, dataset, strategy, examples) for strategy in strategies if has_chats)
    scored = {strategy: _scored(result, dataset, strategy, view) for strategy in strategies if view}
    masks = {name: _mask(name, found) for name, found in scored.items() if found.rows}
    trainers = [_trainer(name, trainer, scored[name]) for trainer in TRAINERS for name in masks]
    if not rows and not masks:
        return None
    return ConversationFacts(rows, tuple(masks.values()), tuple(trainers), _lengths(rows))


def _row(
    result: RunResult, dataset: str, strategy: str, examples: Sequence[Example]
) -> ConversationRow:
    responses: Sequence[Response] = result.rows(step_names.responses(dataset, strategy))
    chats = [
        [turn for turn in trained_chat(example, response) if turn.role != TOOLS]
        for example, response in zip(examples, responses, strict=True)
        if not response.problem
    ]
    count = max(1, len(chats))
    return ConversationRow(
        strategy=strategy,
        conversations=len(chats),
        turns=sum(map(len, chats)) / count,
        trained=sum(turn.trained for chat in chats for turn in chat) / count,
        calls=sum(map(_n_calls, chats)) / count,
    )


def _n_calls(chat: Sequence[Message]) -> int:
    return sum(len(tool_calls_of(turn)) for turn in chat)


def _lengths(rows: Sequence[ConversationRow]) -> str:
    """How the strategies' conversations differ in length, in words."""
    parts = []
    for what, name in _COUNTED.items():
        values: Mapping[str, float] = {row.strategy: getattr(row, what) for row in rows}
        least = min(values, key=values.__getitem__, default="")
        most = max(values, key=values.__getitem__, default="")
        if least and values[most] > values[least]:
            parts.append(f"{values[least]:.3g} ({least}) to {values[most]:.3g} ({most}) {name}")
    return f"On average a conversation has {', '.join(parts)}." if parts else ""


@dataclass(frozen=True)
class _Scored:
    """A strategy's scored turns.

    rows: by response with scores, the kind and the turn of each token.
    without: how many tokens the other responses have.
    """

    rows: Sequence[tuple[list[int], list[int]]]
    without: int


def _scored(result: RunResult, dataset: str, strategy: str, view: str) -> _Scored:
    wanted = ("problem", "response_tokens", "kinds", "turns")
    table = result.frame(step_names.token_scores(dataset, strategy, view), *wanted)
    if "kinds" not in table.columns:
        return _Scored((), 0)
    rows = zip(table["kinds"].to_list(), table["turns"].to_list(), strict=True)
    without = int(table.filter(table["problem"] != "")["response_tokens"].sum())
    return _Scored([(kinds, turns) for kinds, turns in rows if kinds], without)


def _mask(strategy: str, scored: _Scored) -> MaskRow:
    counts: Counter[int] = Counter()
    turns = 0
    ended = 0
    for kinds, places in scored.rows:
        by_turn: dict[int, list[int]] = {}
        for kind, place in zip(kinds, places, strict=True):
            by_turn.setdefault(place, []).append(kind)
        turns += len(by_turn)
        ended += sum(trains_end(TRL, own) for own in by_turn.values())
        counts.update(kinds)
    return MaskRow(
        strategy=strategy,
        turns=turns,
        ended=ended,
        thinking=counts[TokenKind.THINKING],
        answer=counts[TokenKind.ANSWER],
        end=counts[TokenKind.END],
        template=counts[TokenKind.BEHIND] + counts[TokenKind.EMPTY_THINKING],
    )


def _trainer(strategy: str, trainer: str, scored: _Scored) -> TrainerRow:
    trained = [is_in for kinds, _ in scored.rows for is_in in trained_by(trainer, kinds)]
    both = sum(trained)
    return TrainerRow(strategy, trainer, both, len(trained) - both, scored.without)
