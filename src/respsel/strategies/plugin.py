"""Responses that another package gives (entry points `respsel.strategies`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respsel.data.trajectories import read_trajectory, refuse_text, response_of
from respsel.data.turns import TurnFault
from respsel.errors import RunError
from respsel.plugins import find_plugin
from respsel.recipe.places import Place
from respsel.recipe.schema import AnswerEntry, PluginStrategy
from respsel.records import Example, Response
from respsel.strategies.base import checked
from respsel.text.whitespace import WhiteSpace

GROUP = "respsel.strategies"


@dataclass(frozen=True)
class StrategyPlugin:
    """A strategy of another package.

    version: raised when the same options would give other texts.
    respond: from the recipe's options and the examples to one text for each, in order; for an
        example that is a chat it may also be a list of turns, as files have them.
    origin: the distribution that it comes from, and that one's version; respsel sets it.
    """

    version: int
    respond: Callable[[Mapping[str, Any], Sequence[Example]], Sequence[Any]]
    origin: str = ""


def find_strategy(entry: PluginStrategy, place: Place) -> StrategyPlugin:
    """The installed plug-in. Raises InputError if there is none of the name."""
    return find_plugin(GROUP, StrategyPlugin, entry.plugin, place.at("plugin").problem)


def plugin_responses(
    plugin: StrategyPlugin,
    entry: PluginStrategy,
    examples: Sequence[Example],
    check: AnswerEntry | None,
    place: Place,
    white_space: WhiteSpace = "normalise",
    train: str = "last",
) -> list[Response]:
    """Return the plug-in's texts or conversations.

    Raises RunError naming it if it fails or gives anything but a text for each example.
    """
    try:
        texts = list(plugin.respond(dict(entry.options), examples))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _fault(plugin, place, f"failed: {type(error).__name__}: {error}") from error
    pairs = list(zip(examples, texts, strict=False))
    if len(texts) != len(examples) or not all(_is_response(*pair) for pair in pairs):
        raise _fault(
            plugin,
            place,
            f"gave {len(texts)} answers for {len(examples)} examples, or some that are not text",
        )
    responses = []
    for example, given in pairs:
        try:
            response = _response(example, given, train)
        except TurnFault as fault:
            where = ", ".join(part for part in (f"example '{example.id}'", fault.place) if part)
            raise _fault(plugin, place, f"gave for {where} what {fault.what}") from fault
        responses.append(checked(response, example, check, white_space))
    return responses


def _is_response(example: Example, given: Any) -> bool:
    return isinstance(given, str) or (bool(example.turns) and isinstance(given, list))


def _response(example: Example, given: Any, train: str) -> Response:
    """Raises TurnFault."""
    if not isinstance(given, str):
        return response_of(example, read_trajectory(given, example, train, {}))
    refuse_text(example, "")
    return Response(example.id, given)


def _fault(plugin: StrategyPlugin, place: Place, what: str) -> RunError:
    what = f"the plug-in of {plugin.origin} {what}"
    return RunError(place.problem(what, "Fix its options, or the package"))
