"""Pre-flight: examine each model of a recipe, and say what is wrong with it.

Knows nothing of data or strategies. Invariant: a model that cannot be examined is one error, and
the others are examined all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from respsel.backends.checkup import Checkup, UnwellError, examine_loaded
from respsel.backends.endpoint_checkup import EndpointCheckup, examine_endpoint
from respsel.backends.registry import KnownModel, identify
from respsel.backends.sampling import BROKEN_REMEDY, NOT_FINITE
from respsel.backends.tokenizer_check import check_tokenizers
from respsel.errors import PreflightError, RespselError
from respsel.hashing import DigestMemo
from respsel.recipe.model import NamedModel
from respsel.recipe.schema import ModelStrategy
from respsel.system.atomic_folder import is_refused
from respsel.workspace.loaded_recipe import LoadedRecipe


def examine(
    loaded: LoadedRecipe, memo: DigestMemo, store_folder: Path
) -> Iterator[Checkup | EndpointCheckup | RespselError]:
    """Yield a checkup of each model, or the error that keeps it from loading or answering."""
    recipe = loaded.recipe
    writers = [entry.model for entry in recipe.strategies if isinstance(entry, ModelStrategy)]
    judges = [recipe.judge.model] if recipe.judge else []
    seen: list[KnownModel] = []
    for name in dict.fromkeys([recipe.target.model, *writers, *judges]):
        named = loaded.models[name]
        trained_by = loaded if name == recipe.target.model else None
        try:
            known = identify(named, memo)
            if named.entry.backend == "openai":
                yield examine_endpoint(known, store_folder, trained_by)
            else:
                yield _examine(known, seen, store_folder, trained_by)
        except RespselError as error:
            yield error
        except (OSError, UnwellError) as error:
            yield _as_preflight_error(error, named)


def _examine(
    known: KnownModel, seen: list[KnownModel], store_folder: Path, trained_by: LoadedRecipe | None
) -> Checkup:
    """Examine a model with its tokenizer.

    seen: the models before it, whose files may have the same tokenizer; it is added.
    """
    checks = tuple(check_tokenizers(known, seen))
    seen.append(known)
    checkup = examine_loaded(known, store_folder, trained_by)
    wrong = [
        f"its tokenizer is read differently: {check.told}" for check in checks if check.serious
    ]
    return replace(checkup, tokenizers=checks, problems=(*checkup.problems, *wrong))


def _as_preflight_error(error: OSError | UnwellError, named: NamedModel) -> PreflightError:
    """The error in a user's words; raises an OSError that is a fault of ours."""
    what = str(error)
    remedy = BROKEN_REMEDY if what == NOT_FINITE else ""
    if isinstance(error, OSError):
        if not is_refused(error):
            raise error
        what = f"its prepared weights cannot be written: {error}"
        remedy = "Make the store writable, or take 'prepare' out of the model entry"
    return PreflightError(named.at().problem(what, remedy))
