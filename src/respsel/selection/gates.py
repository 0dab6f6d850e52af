"""Gates: what a strategy must pass before it may be recommended, whatever its likelihood.

A likelihood metric favours what the target wrote itself, and does not see whether an answer is
right. So each strategy is looked at by other means first: by its answer checks, its rewards, its
texts and its author. One that fails is *barred*: it is ranked and shown, but cannot lead. Knows
nothing of the ranking. Invariant: a strategy is barred only with a reason in words, and every limit
of a share or a mean can be changed or switched off in the recipe.

The defaults, where the recipe says nothing else:

right: half of the answers, or half of the best share if that is less (a hard task); and not less
    often right than the strategy that is most often right, by the exact McNemar test over examples
    that both have answered, corrected over the strategies. A strategy whose wrong answers were
    dropped is no such best one: what is left of it was chosen to be right.
whole, sound: half of the texts, or half of another strategy's share if that is less. What all
    strategies share is the task's nature.
distinct: more than two different texts, where another strategy has more and answers are not known
    to be right; labels repeat by nature.
author: where the metric favours the target's own text, the target's texts need an advocate, and so
    do texts that were chosen from several to be likely: answers (not by a label in the prompt) that
    are about as often right as the best other strategy's, or rewards of another model that are as
    high. The burden of proof is on the one who is favoured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from respsel.selection.standing import Held, Objection, Standing
from respsel.selection.statistics import limits
from respsel.selection.verdict import FEWEST_EXAMPLES
from respsel.text.numbers import counted, number, percent

# Raised when the same evidence would give other objections.
VERSION = 1
# What most texts are.
_HALF = 0.5
# With so many different texts at the most, they say nothing of their inputs.
_FEW_TEXTS = 2
# An advocate's answers may be so much less often right than the best other strategy's.
_ABOUT = 0.1


@dataclass(frozen=True)
class GateRule:
    """What the recipe asks of strategies; None is the default.

    right, whole, distinct, sound: the least shares.
    reward: the least mean.
    confidence: that of the tests.
    favours_own_text: whether the selection metric finds the target's own text good by construction.
    judge_is_target: whether the rewards are the target's own.
    """

    right: float | None = None
    reward: float | None = None
    whole: float | None = None
    distinct: float | None = None
    sound: float | None = None
    confidence: float = 0.95
    favours_own_text: bool = True
    judge_is_target: bool = False


def pass_gates(held: Mapping[str, Held], rule: GateRule) -> list[Standing]:
    """How each strategy of a dataset stands, in their order."""
    standings = [_standing(name, held, rule) for name in held]
    less_right = _less_often_right(held, rule)
    standings = [
        _with(standing, less_right[standing.strategy])
        if standing.strategy in less_right
        else standing
        for standing in standings
    ]
    return [_with_author(standing, held, rule) for standing in standings]


def _standing(name: str, held: Mapping[str, Held], rule: GateRule) -> Standing:
    mine = held[name]
    return Standing(
        strategy=name,
        right=mine.right,
        judged=len(mine.correct),
        reward=mine.reward,
        rewarded=len(mine.rewards),
        texts=mine.texts,
        whole=mine.whole,
        distinct=mine.distinct,
        sound=mine.sound,
        by_target=mine.by_target,
        advocate="",
        objections=tuple(objection for gate in _GATES for objection in gate(mine, held, rule)),
    )


def _with(standing: Standing, objection: Objection) -> Standing:
    return replace(standing, objections=(*standing.objections, objection))


def _right(mine: Held, held: Mapping[str, Held], rule: GateRule) -> Iterator[Objection]:
    if not mine.correct:
        return
    right = f"{mine.right} of {len(mine.correct)} answers are right"
    if rule.right is None:
        best = max(other.right_share for other in held.values())
        least = min(_HALF, best / 2) if best else _HALF
        if mine.right_share < least and len(mine.correct) >= FEWEST_EXAMPLES:
            yield Objection("right", f"most of its answers are wrong ({right})")
    elif mine.right_share < rule.right:
        yield Objection("right", f"{right}, {_asked('right', percent(rule.right))}")


def _reward(mine: Held, _held: Mapping[str, Held], rule: GateRule) -> Iterator[Objection]:
    if rule.reward is None or mine.texts == 0:
        return
    if mine.reward is None:
        yield Objection("reward", "the reward that selection.require.reward asks for is not known")
    elif mine.reward < rule.reward:
        mean = f"its mean reward is {number(mine.reward)}"
        yield Objection("reward", f"{mean}, {_asked('reward', number(rule.reward))}")


def _whole(mine: Held, held: Mapping[str, Held], rule: GateRule) -> Iterator[Objection]:
    least = _least(rule.whole, [other.whole for other in held.values()])
    if mine.whole is not None and mine.whole < least:
        cut = mine.texts - round(mine.whole * mine.texts)
        what = f"{cut} of {mine.texts} texts were cut short"
        yield Objection("whole", _told(what, rule.whole, "whole"))


def _distinct(mine: Held, held: Mapping[str, Held], rule: GateRule) -> Iterator[Objection]:
    if mine.distinct is None:
        return
    different = round(mine.distinct * mine.texts)
    least = _least(rule.distinct, [other.distinct for other in held.values()])
    if rule.distinct is None and (different > _FEW_TEXTS or _is_right(mine)):
        return
    if mine.distinct < least:
        what = f"it has {counted(different, 'different text')} for {mine.texts} inputs"
        yield Objection("distinct", _told(what, rule.distinct, "distinct"))


def _sound(mine: Held, held: Mapping[str, Held], rule: GateRule) -> Iterator[Objection]:
    least = _least(rule.sound, [other.sound for other in held.values()])
    if mine.sound is not None and mine.sound < least:
        bad = mine.texts - round(mine.sound * mine.texts)
        faults = f" ({mine.faults})" if mine.faults else ""
        what = f"{bad} of {mine.texts} texts are unfit to train on{faults}"
        yield Objection("sound", _told(what, rule.sound, "sound"))


_GATES: tuple[Callable[[Held, Mapping[str, Held], GateRule], Iterator[Objection]], ...] = (
    _right,
    _reward,
    _whole,
    _distinct,
    _sound,
)


def _least(asked: float | None, shares: Sequence[float | None]) -> float:
    """The least share: what the recipe asks for, or the default beside all strategies' shares."""
    return min(_HALF, max(share or 0.0 for share in shares) / 2) if asked is None else asked


def _is_right(mine: Held) -> bool:
    """Whether enough answers were checked, and most are right."""
    return len(mine.correct) >= FEWEST_EXAMPLES and mine.right_share >= _HALF


def _told(what: str, asked: float | None, key: str) -> str:
    return what if asked is None else f"{what}, {_asked(key, percent(asked))}"


def _asked(key: str, least: str) -> str:
    return f"and selection.require.{key} asks for {least}"


def _less_often_right(held: Mapping[str, Held], rule: GateRule) -> Mapping[str, Objection]:
    """By strategy, that its answers are less often right than those of the best one."""
    checked = [name for name, mine in held.items() if len(mine.correct) >= FEWEST_EXAMPLES]
    if rule.right is not None or len(checked) < 2:
        return {}
    whole = [name for name in checked if not held[name].dropped] or checked
    best = max(whole, key=lambda name: held[name].right_share)
    others = [name for name in checked if name != best]
    chances = [mcnemar(held[name].correct, held[best].correct) for name in others]
    allowed = limits(chances, 1 - rule.confidence, all_pairs=False)
    return {
        name: Objection("right", _compared(held, name, best))
        for name, p, most in zip(others, chances, allowed, strict=True)
        if p <= most
    }


def _compared(held: Mapping[str, Held], name: str, best: str) -> str:
    shares = [f"{held[one].right} of {len(held[one].correct)}" for one in (name, best)]
    return f"its answers are less often right than those of {best} ({' against '.join(shares)})"


def mcnemar(one: Mapping[str, bool], other: Mapping[str, bool]) -> float:
    """The two-sided p-value of `one` being right less often than `other`; 1 if it is not.

    The exact test over the examples that both have, of which just one is right (McNemar,
    Psychometrika 12, 1947; exact by the binomial distribution).
    """
    from scipy.special import bdtr

    both = one.keys() & other.keys()
    only_one = sum(one[name] and not other[name] for name in both)
    only_other = sum(other[name] and not one[name] for name in both)
    return min(1.0, 2 * float(bdtr(only_one, only_one + only_other, 0.5)))


def _with_author(standing: Standing, held: Mapping[str, Held], rule: GateRule) -> Standing:
    """The standing of a strategy with what its author has to do with it."""
    chosen = held[standing.strategy].chosen_by
    if not rule.favours_own_text or not (standing.by_target or chosen):
        return standing
    advocate = _right_answers(standing, held) or _high_rewards(standing, held, rule)
    if advocate:
        return replace(standing, advocate=advocate)
    why = (
        "the target wrote it and finds its own text likely"
        if standing.by_target
        else f"its texts were chosen by {chosen}, which makes them likely"
    )
    few = 0 < standing.judged < FEWEST_EXAMPLES
    other = f"fewer than {FEWEST_EXAMPLES} checked answers" if few else "nothing else"
    return _with(standing, Objection("author", f"{why}, and {other} {_speaks(few)} for it"))


def _speaks(several: bool) -> str:
    return "speak" if several else "speaks"


def _right_answers(standing: Standing, held: Mapping[str, Held]) -> str:
    """What the answer check says for a strategy of the target's; empty if nothing."""
    mine = held[standing.strategy]
    barred = any(objection.gate == "right" for objection in standing.objections)
    if barred or mine.shows_label or len(mine.correct) < FEWEST_EXAMPLES:
        return ""
    others = [other.right_share for other in held.values() if other is not mine and other.correct]
    if mine.right_share < max(_HALF, max(others, default=0.0) - _ABOUT):
        # Where the recipe switches the gate off, wrong answers still speak for nobody.
        return ""
    return f"{mine.right} of {len(mine.correct)} answers are right"


def _high_rewards(standing: Standing, held: Mapping[str, Held], rule: GateRule) -> str:
    """What rewards say for a strategy of the target's; empty if nothing."""
    mine = held[standing.strategy]
    others = [name for name, other in held.items() if other.rewards and not other.by_target]
    if rule.judge_is_target or len(mine.rewards) < FEWEST_EXAMPLES or not others:
        return ""
    if any(_is_lower(mine.rewards, held[name].rewards) for name in others):
        return ""
    if all(dict(held[name].rewards) == dict(mine.rewards) for name in others):
        # A judge that sees no difference says nothing.
        return ""
    return f"its mean reward is {number(mine.reward)}, and no other strategy's is higher"


def _is_lower(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether rewards are lower than others' on average, over the examples that both have."""
    both = one.keys() & other.keys()
    return sum(one[name] for name in both) < sum(other[name] for name in both) or not both
