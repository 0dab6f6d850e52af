"""What is checked of a recipe besides its shape: names, models, templates, files.

Knows nothing of TOML. Invariant: nothing here reads data or weights, and every check reports all
that it finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from respsel.data.files import path_fault
from respsel.data.prompts import check_doubled, check_template, is_template
from respsel.errors import Problem, suggest
from respsel.metrics.contract import RewardSource
from respsel.recipe.schema import OVERALL, ModelStrategy
from respsel.workspace.composites import check_composites
from respsel.workspace.data_places import check_addresses, data_places
from respsel.workspace.field_checks import check_fields
from respsel.workspace.judge_checks import check_judge
from respsel.workspace.loaded_recipe import LoadedRecipe

# An author whose name is so close to the target's is likely to be meant as the target.
_NEARLY_THE_SAME = 0.85


def check_recipe(loaded: LoadedRecipe, deeply: bool) -> list[Problem]:
    """Everything that is wrong with what a recipe says.

    deeply: also look into its templates, if nothing else is wrong.
    """
    problems = [
        *_check_names(loaded),
        *_check_selection(loaded),
        *_check_own_outputs(loaded),
        *_check_validation(loaded),
        *check_composites(loaded),
        *_check_models(loaded),
        *_check_authors(loaded),
        *_check_gates(loaded),
        *_check_templates(loaded),
        *_check_masks(loaded),
        *_check_files(loaded),
        *_check_endpoint(loaded),
        *check_judge(loaded),
    ]
    if problems or not deeply:
        return problems
    return [*check_fields(loaded), *check_doubled(loaded.recipe, loaded.at())]


def _check_names(loaded: LoadedRecipe) -> list[Problem]:
    recipe = loaded.recipe
    datasets = [entry.name for entry in recipe.datasets]
    strategies = [entry.name for entry in recipe.strategies]
    metrics = [entry.known_as for entry in recipe.metrics]
    problems = [
        *_used_twice(loaded, "datasets", datasets, "Give each its own name"),
        *_used_twice(loaded, "strategies", strategies, "Give each its own name"),
        *_used_twice(loaded, "metrics", metrics, "Give one of them a 'label'"),
        *_check_limits(loaded, datasets),
        *(
            loaded.at("training", "weights", name).problem(
                f"'{name}' is not a strategy of this recipe", suggest(name, strategies)
            )
            for name in recipe.training.weights
            if name not in strategies
        ),
    ]
    if OVERALL in datasets:
        place = loaded.at("datasets", datasets.index(OVERALL), "name")
        what = f"'{OVERALL}' is the name of the verdict over all datasets"
        problems.append(place.problem(what, "Choose another name"))
    return problems


def _check_selection(loaded: LoadedRecipe) -> list[Problem]:
    recipe = loaded.recipe
    name = recipe.selection_metric
    metrics = [entry.known_as for entry in recipe.metrics]
    problems = []
    if name not in metrics:
        what = f"'{name}' is not a metric of this recipe"
        problems.append(loaded.at("selection", "metric").problem(what, suggest(name, metrics)))
    cannot_race = [m for m in loaded.metrics if m.label == name and not m.can_race]
    if recipe.selection.budget == "race" and cannot_race:
        what = f"'{name}' is not from token scores in one view, so scoring less of it saves no call"
        remedy = 'Select by a perplexity, or set budget = "all"'
        problems.append(loaded.at("selection", "budget").problem(what, remedy))
    grouped = [m for m in loaded.metrics if m.label == name and m.examples_per_value > 1]
    if recipe.selection.mode == "per-example" and grouped:
        what = f"a value of '{name}' is about k examples, so it chooses for no single one"
        remedy = 'Set its k to 1, select by another metric, or set mode = "strategy"'
        problems.append(loaded.at("selection", "mode").problem(what, remedy))
    return problems


def _check_own_outputs(loaded: LoadedRecipe) -> list[Problem]:
    if loaded.recipe.own_outputs.keep != "correct":
        return []
    what = 'own_outputs.keep = "correct" needs an answer check'
    remedy = "Set 'answer' and 'label', or keep = \"all\""
    return [
        loaded.at("datasets", i).problem(what, remedy)
        for i, entry in enumerate(loaded.recipe.datasets)
        if entry.check is None
    ]


def _check_validation(loaded: LoadedRecipe) -> list[Problem]:
    """Held-out examples: they are there where a metric shows them, with references."""
    entry = loaded.recipe.validation
    if entry is None:
        what = "needs held-out examples, and the recipe names none"
        remedy = 'Add [validation] with path = "dev.jsonl": inputs with references, not trained on'
        return [
            loaded.at("metrics", i).problem(f"'{metric.label}' {what}", remedy)
            for i, metric in enumerate(loaded.metrics)
            if any(view.is_held_out for view in metric.needs.views)
        ]
    problems = []
    for dataset in loaded.recipe.datasets:
        chats = [*dataset.chat_keys, *(["target.system"] if loaded.recipe.target.system else [])]
        if chats:
            what = (
                f"holds out single inputs, and examples of dataset '{dataset.name}' are chats "
                f"('{chats[0]}')"
            )
            remedy = "Take [validation] and the metrics that need it out, or the chats"
            problems.append(loaded.at("validation").problem(what, remedy))
        if entry.reference is None and dataset.reference is None:
            what = f"dataset '{dataset.name}' names no 'reference' that it could take over"
            remedy = "Add 'reference', the column of the responses that are wanted"
            problems.append(loaded.at("validation").problem(what, remedy))
        if loaded.resolve(entry.path, dataset.name) == loaded.resolve(dataset.path):
            what = f"is the file of dataset '{dataset.name}', so nothing in it is held out"
            remedy = "Split it, and give the part that no strategy is trained on"
            problems.append(loaded.at("validation", "path").problem(what, remedy))
    return problems


def _used_twice(
    loaded: LoadedRecipe, kind: str, names: Sequence[str], remedy: str
) -> list[Problem]:
    return [
        loaded.at(kind, i, "name").problem(f"'{name}' is used twice", remedy)
        for i, name in enumerate(names)
        if name in names[:i]
    ]


def _check_limits(loaded: LoadedRecipe, datasets: Sequence[str]) -> list[Problem]:
    """Strategies limited to datasets: the names exist, and every dataset has a strategy."""
    problems = [
        loaded.at("strategies", i, "datasets").problem(
            f"'{name}' is not a dataset of this recipe", suggest(name, datasets)
        )
        for i, strategy in enumerate(loaded.recipe.strategies)
        for name in strategy.datasets or ()
        if name not in datasets
    ]
    for name in datasets:
        if not loaded.recipe.strategies_for(name):
            hidden = loaded.recipe.made_for(name)
            what = f"none {'that is compared ' if hidden else ''}is for dataset '{name}'"
            remedy = "Add one, or take the dataset out"
            problems.append(loaded.at("strategies").problem(what, remedy))
    return problems


def _check_models(loaded: LoadedRecipe) -> list[Problem]:
    wanted = [(loaded.at("target", "model"), loaded.recipe.target.model)]
    wanted += [
        (loaded.at("strategies", i, "model"), strategy.model)
        for i, strategy in enumerate(loaded.recipe.strategies)
        if isinstance(strategy, ModelStrategy)
    ]
    wanted += [
        (loaded.at("metrics", i, "model"), source.model)
        for i, source in _rewards(loaded)
        if source.model
    ]
    return [
        place.problem(
            f"'{name}' is not a model of this recipe or of respsel.toml",
            suggest(name, loaded.models),
        )
        for place, name in wanted
        if name not in loaded.models
    ]


def _check_authors(loaded: LoadedRecipe) -> list[Problem]:
    """A name that is nearly the target's: its own text would pass for another's."""
    known = {name.casefold() for name in loaded.models}
    target = loaded.recipe.target.model
    problems = []
    for i, strategy in enumerate(loaded.recipe.strategies):
        who = getattr(strategy, "written_by", None)
        if who is None or who.casefold() in known:
            continue
        if get_close_matches(who.casefold(), [target.casefold()], 1, _NEARLY_THE_SAME):
            what = f"'{who}' is not a model of this recipe or of respsel.toml"
            remedy = f"Did you mean '{target}'? If not, name its maker too: 'maker/{who}'"
            place = loaded.at("strategies", i, "written_by")
            problems.append(place.problem(what, remedy))
    return problems


def _check_gates(loaded: LoadedRecipe) -> list[Problem]:
    """Gates that nothing is known for."""
    require = loaded.recipe.selection.require
    problems = []
    if require.right and not all(entry.check for entry in loaded.recipe.datasets):
        what = "a dataset has no answer check, so its right answers are not known"
        remedy = "Set 'answer' and 'label', or take it out"
        problems.append(loaded.at("selection", "require", "right").problem(what, remedy))
    sources = [source.column for _, source in _rewards(loaded)]
    of_each = [name for name in sources if name is None or "{strategy}" in name]
    if require.reward is not None and not (of_each or loaded.recipe.judge):
        what = "nothing in the recipe gives each strategy's responses rewards"
        remedy = "Add a [judge] or the metric 'reward', or take it out"
        problems.append(loaded.at("selection", "require", "reward").problem(what, remedy))
    return problems


def _check_endpoint(loaded: LoadedRecipe) -> list[Problem]:
    """A target behind an endpoint is scored there, and respsel needs its tokenizer for that."""
    named = loaded.models.get(loaded.recipe.target.model)
    if named is None or named.entry.backend != "openai":
        return []
    entry = named.entry
    problems = []
    has_tokenizer = bool(entry.path or entry.package or entry.repo)
    if any(metric.needs.views for metric in loaded.metrics) and not has_tokenizer:
        what = (
            "is the target, and scoring through an endpoint needs its own tokenizer, to know "
            "what the scores are of"
        )
        remedy = "Add where it is: 'package' and 'file', 'path', or 'repo' and 'revision'"
        problems.append(named.at().problem(what, remedy))
    for i, metric in enumerate(loaded.metrics):
        if metric.needs.hidden:
            what = f"'{metric.label}' needs hidden states, which an endpoint does not hand out"
            remedy = "Take it out, or use backend 'transformers'"
            problems.append(loaded.at("metrics", i).problem(what, remedy))
    return problems


def _check_masks(loaded: LoadedRecipe) -> list[Problem]:
    """The problems of recipes whose conversations cannot be scored as they say."""
    recipe = loaded.recipe
    chats = [entry.name for entry in recipe.datasets if entry.messages is not None]
    problems = []
    if chats and recipe.target.mask == "text":
        what = f"'text' leaves out ends of turns and tool calls, and '{chats[0]}' is conversations"
        remedy = "Take it out: conversations are scored as trainers train on them"
        problems.append(loaded.at("target", "mask").problem(what, remedy))
    if not chats and recipe.target.mask != "trained":
        return problems
    for i, metric in enumerate(loaded.metrics):
        for view in metric.needs.views:
            if view.template != "native":
                what = (
                    f"'{view.template}' is the published prompt of single questions, which has no "
                    "turns to train on"
                )
                remedy = 'Use template = "native", or a dataset with input and mask = "text"'
                problems.append(loaded.at("metrics", i, "template").problem(what, remedy))
    return problems


def _check_templates(loaded: LoadedRecipe) -> list[Problem]:
    problems = []
    for i, strategy in enumerate(loaded.recipe.strategies):
        for key, text in strategy.templates.items():
            problems += check_template(text, loaded.at("strategies", i, key))
    for i, entry in enumerate(loaded.recipe.datasets):
        for name in ("input", "system", "reference"):
            source = getattr(entry, name)
            if source is not None and is_template(source):
                problems += check_template(source, loaded.at("datasets", i, name))
    if (held_out := loaded.recipe.validation) is not None:
        for name, source in (("input", held_out.input), ("reference", held_out.reference)):
            if source is not None and is_template(source):
                problems += check_template(source, loaded.at("validation", name))
    for i, reward in _rewards(loaded):
        problems += check_template(reward.prompt or "", loaded.at("metrics", i, "prompt"))
    return problems


def _rewards(loaded: LoadedRecipe) -> list[tuple[int, RewardSource]]:
    """The sources of rewards, by the metric's place in the recipe."""
    return [
        (i, source) for i, metric in enumerate(loaded.metrics) if (source := metric.needs.reward)
    ]


def _check_files(loaded: LoadedRecipe) -> list[Problem]:
    faults = {}
    for place in data_places(loaded.recipe):
        if place.is_remote:
            continue
        shown = loaded.show(place.path)
        if fault := path_fault(place.path, loaded.resolve(place.path), shown):
            faults[place.where, shown] = loaded.at(*place.where).problem(*fault)
    return [*faults.values(), *check_addresses(loaded)]
