"""Ask a model behind an endpoint for one short answer, and find out whether it scores.

Knows nothing of data or strategies, apart from the one example whose training text is shown.
Invariant: it asks no more than that, since more would cost money.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from respsel.backends.contract import Failure, GenerateCall
from respsel.backends.openai.model import EndpointModel
from respsel.backends.opening import open_model
from respsel.backends.registry import KnownModel
from respsel.backends.training_text import TrainingText, show_training
from respsel.errors import RespselError
from respsel.recipe.model import ModelEntry
from respsel.records import Message, Sampling
from respsel.replies.completions import NOTHING_YET, STILL_REASONING
from respsel.workspace.loaded_recipe import LoadedRecipe

_HELLO = (Message("user", "Say hello."),)
_SHORT = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=16)


@dataclass(frozen=True)
class EndpointCheckup:
    """What was found of a model behind an endpoint.

    about: see Model.about.
    answered_s: how long one short answer took.
    scores_by: how it gives log-probabilities that can be trusted, or why it is not asked for any.
    problems: what to fix before a run.
    training: an example as the target is trained on it; None for other models.
    """

    name: str
    backend: str
    about: Mapping[str, str]
    answered_s: float
    scores_by: str
    problems: tuple[str, ...]
    training: TrainingText | None = None


def examine_endpoint(
    known: KnownModel, store_folder: Path, trained_by: LoadedRecipe | None
) -> EndpointCheckup:
    """Ask for one short answer, and test how the server scores.

    trained_by: the recipe whose target it is.
    """
    model = open_model(known, store_folder)
    assert isinstance(model, EndpointModel)
    try:
        begun = time.perf_counter()
        problems = list[str]()
        remark = _say_hello(model, problems)
        answered_s = time.perf_counter() - begun
        scores_by = _way_of_scoring(model, known.named.entry, problems)
        return EndpointCheckup(
            name=known.named.name,
            backend=known.named.entry.backend,
            about={**model.about(), **({"answers": remark} if remark else {})},
            answered_s=answered_s,
            scores_by=scores_by,
            problems=tuple(problems),
            training=show_training(trained_by, model) if trained_by else None,
        )
    finally:
        model.close()


def _say_hello(model: EndpointModel, problems: list[str]) -> str:
    """Ask for one short answer; note what is wrong, and return what there is to say of it."""
    try:
        call = GenerateCall(model.text.prompt_ids(_HELLO), _SHORT, 0, _HELLO)
        ((_, answer),) = model.generate([call])
    except RespselError as error:
        problems += [f"{problem.what}. {problem.remedy}" for problem in error.problems]
        return ""
    if not isinstance(answer, Failure):
        return ""
    if answer.problem in (STILL_REASONING, NOTHING_YET):
        return (
            f"it reasons: {_SHORT.max_tokens} tokens were not enough for an answer. "
            "Give max_tokens room for that"
        )
    problems.append(f"it does not answer: {answer.problem}")
    return ""


def _way_of_scoring(model: EndpointModel, entry: ModelEntry, problems: list[str]) -> str:
    """How the server scores, in words; notes why it does not."""
    if problems or not (entry.path or entry.package or entry.repo):
        return "not asked for: its tokenizer is not given"
    try:
        return str(model.probe().way)
    except RespselError as error:
        problems += [problem.what for problem in error.problems]
        return "no way that can be trusted"
