"""The dataset card: what is in a training set, how it was selected, and where it comes from.

Follows the form of dataset cards on the Hugging Face hub. Knows nothing of how the set is written.
Invariant: the same set has the same
card, so nothing in it is about when or where it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import respsel
from respsel.backends.registry import KnownModel
from respsel.data.prompts import is_template
from respsel.hashing import canonical_json
from respsel.recipe.schema import OVERALL, ModelStrategy, StrategyEntry
from respsel.report.response_counts import members_told
from respsel.report.templating import template_environment
from respsel.selection.verdict import Verdict
from respsel.training.apply import Applied, Selected
from respsel.training.conversations import Conversations
from respsel.training.counts import Counts
from respsel.training.formats import Format
from respsel.workspace.loaded_recipe import LoadedRecipe

# Enough of a digest to distinguish models by eye.
_SHOWN = 16


@dataclass(frozen=True)
class ModelRow:
    """A model, its role for the set, and which model exactly it is."""

    name: str
    role: str
    what: str


@dataclass(frozen=True)
class Card:
    """All that a card says."""

    name: str
    title: str
    chosen_by: str
    use: str
    data: str
    pairs: bool
    counts: Sequence[Counts]
    cautions: Sequence[str]
    verdicts: Sequence[Verdict]
    recipe: str
    recipe_digest: str
    files: Mapping[str, str]
    models: Sequence[ModelRow]
    to_license: Sequence[str]
    template_options: str
    user_turn: str
    respsel: str
    conversations: Conversations
    notes: Sequence[str]
    features: Mapping[str, str]


def card_of(
    applied: Applied,
    kind: Format,
    counts: Sequence[Counts],
    cautions: Sequence[str],
    recipe_digest: str,
    found: Conversations,
) -> str:
    """The card of a set in a format, as Markdown."""
    loaded = applied.graph.loaded
    used = _used(loaded, applied.selected)
    origins = _origins(loaded, used)
    content = "preference pairs" if kind.pairs else "responses for fine-tuning"
    card = Card(
        name=set_name(loaded),
        title=f"{content} for {loaded.recipe.target.model}",
        chosen_by=_pairs_of(loaded, used) if kind.pairs else _chosen_by(applied, used),
        use=kind.use,
        data=kind.data,
        pairs=kind.pairs,
        counts=counts,
        cautions=cautions,
        verdicts=applied.selected.verdicts,
        recipe=loaded.place,
        recipe_digest=recipe_digest,
        files=_files(applied),
        models=[
            ModelRow(name, _role(loaded, origins, name), _what(known))
            for name, known in sorted(applied.graph.models.items())
        ],
        to_license=_to_license(counts, origins),
        template_options=_template_options(loaded),
        user_turn=_user_turn(loaded, counts),
        respsel=respsel.__version__,
        conversations=found,
        notes=kind.notes(found) if found.rows else (),
        features=_features(kind, found) if found.rows else {},
    )
    return _render(card)


def _features(kind: Format, found: Conversations) -> Mapping[str, str]:
    """By column, its type in the card's head, by which the hub reads objects as they are."""
    tools = {"tools": "dtype: string"} if found.with_tools else {}
    return {**dict.fromkeys(kind.columns, "list: json"), **tools} if kind.columns else {}


def _files(applied: Applied) -> Mapping[str, str]:
    """By step, the digest of the file that it reads."""
    return {
        step.name: str(step.fields["file"])
        for step in applied.graph.steps.values()
        if isinstance(step.fields.get("file"), str)
    }


def _to_license(counts: Sequence[Counts], origins: Sequence[StrategyEntry]) -> list[str]:
    """What of a set may have a licence or terms of its own."""
    writers = [strategy.model for strategy in origins if isinstance(strategy, ModelStrategy)]
    return [
        *(f"inputs of {count.dataset}" for count in counts),
        *(f"responses of {strategy.name}" for strategy in origins),
        *(
            f"outputs of {name} (its licence or its provider's terms)"
            for name in dict.fromkeys(writers)
        ),
    ]


def _template_options(loaded: LoadedRecipe) -> str:
    """The variables that the target's chat template was given, as JSON, or empty."""
    options = loaded.models[loaded.recipe.target.model].entry.template_options
    return canonical_json(dict(options)).decode() if options else ""


def _user_turn(loaded: LoadedRecipe, counts: Sequence[Counts]) -> str:
    """What the user's turn is: the column as it is, or what the recipe's templates put together."""
    used = {count.dataset for count in counts}
    templates = [
        entry for entry in loaded.recipe.datasets if entry.name in used and is_template(entry.input)
    ]
    if not templates:
        return "the dataset's `input`, unchanged"
    quoted = ", ".join(
        f"`{entry.input}`" if "`" not in entry.input else "a template" for entry in templates
    ).replace("\n", "\\n")
    return f"what the recipe's template gives for a row ({quoted}), without blanks at its ends"


def set_name(loaded: LoadedRecipe) -> str:
    """What a recipe's training sets are called."""
    return loaded.name.replace("/", "-")


def _used(loaded: LoadedRecipe, selected: Selected) -> list[StrategyEntry]:
    names = set(selected.strategies.values())
    return [
        strategy
        for strategy in loaded.recipe.strategies
        if strategy.compare and (not names or strategy.name in names)
    ]


def _origins(loaded: LoadedRecipe, used: Sequence[StrategyEntry]) -> list[StrategyEntry]:
    """Where the texts of strategies come from in the end."""
    found = [origin for entry in used for origin in loaded.recipe.origins(entry)]
    return list({origin.name: origin for origin in found}.values())


def _chosen_by(applied: Applied, used: Sequence[StrategyEntry]) -> str:
    selected = applied.selected
    recipe = applied.graph.loaded.recipe
    names = ", ".join(strategy.name for strategy in used)
    if selected.basis == "verdict":
        alone = all(verdict.is_alone for verdict in selected.verdicts)
        why = "the only strategy that could be" if alone else "selected by respsel's verdict below"
        return f"The responses of {names}, {why}."
    if selected.basis == "undecided verdict":
        return (
            f"The responses of {names}, which led when this was made; the verdict below is "
            "**not decided**."
        )
    if selected.basis == "choice":
        deciding = [v for v in selected.verdicts if v.dataset == OVERALL] or selected.verdicts
        other = sorted(
            {str(v.winner) for v in deciding if v.winner and v.winner not in {s.name for s in used}}
        )
        verdict = f" The verdict below puts {', '.join(other)} first." if other else ""
        return f"The responses of {names}, as the user chose.{verdict}"
    return (
        f"For each example the response of {names} with the best {recipe.selection_metric}. The "
        "best of several noisy scores "
        "flatters: that such a mixture trains better than the leading strategy is not shown."
    )


def _pairs_of(loaded: LoadedRecipe, used: Sequence[StrategyEntry]) -> str:
    names = ", ".join(strategy.name for strategy in used)
    metric = loaded.recipe.selection_metric
    return (
        f"For each example the response of {names} with the best {metric} against the one with "
        "the worst. Which is preferred "
        "follows from how natural they are to the target alone; pairs whose better response has a "
        "wrong answer are left out."
    )


def _role(loaded: LoadedRecipe, origins: Sequence[StrategyEntry], name: str) -> str:
    roles = ["target"] if name == loaded.recipe.target.model else []
    roles += [
        f"wrote {strategy.name}"
        for strategy in origins
        if isinstance(strategy, ModelStrategy) and strategy.model == name
    ]
    judged = [m.label for m in loaded.metrics if m.needs.reward and m.needs.reward.model == name]
    roles += [f"judged for {label}" for label in judged]
    judge = loaded.recipe.judge
    roles += ["judged the responses"] if judge is not None and judge.model == name else []
    return ", ".join(roles) or "wrote strategies that were not selected"


def _what(known: KnownModel) -> str:
    entry = known.named.entry
    where = {
        "package": f"{entry.package}/{entry.file}",
        "path": str(entry.path),
        "repo": f"{entry.repo} at {entry.revision}",
    }
    source = [text for name, text in where.items() if getattr(entry, name) is not None]
    shown = [
        f"{name} {str(known.fields[name])[:_SHOWN]}"
        for name in ("model", "weights")
        if known.fields.get(name)
    ]
    return ", ".join([entry.backend, *source, *shown, f"identity {known.identity[:_SHOWN]}"])


def _render(card: Card) -> str:
    environment = template_environment("respsel.training")
    environment.globals["listed"] = lambda counts: (
        ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
    )
    environment.globals["members_told"] = members_told
    return environment.get_template("card.md.jinja").render(card=card)
