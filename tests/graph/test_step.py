"""Steps: how inputs are loaded, what their order is in, and which problems leave a step undone."""

from __future__ import annotations

import pytest

from respsel.graph import LazyInputs, Rows, Step, roles
from respsel.tables.kinds import EXAMPLES
from respsel.tables.problems import (
    EMPTY,
    FAILED,
    JUDGING_FAILURES,
    NO_FAILURES,
    NOT_FINITE,
    NOT_REACHED,
    SCORING_FAILURES,
    SILENT,
    WRITING_FAILURES,
    is_failed_call,
    is_reached,
)


def test_a_table_that_cannot_be_loaded_is_not_taken_for_absent() -> None:
    """A KeyError while an input is made again goes on; only a role that is not there is absent."""

    def load(name: str) -> Rows:
        raise KeyError(name)

    inputs = LazyInputs({roles.RESPONSES: "responses:sums/human"}, load)
    assert inputs.get(roles.RACE) is None
    assert inputs.get(roles.RACE, ()) == ()
    with pytest.raises(KeyError, match="responses:sums/human"):
        inputs.get(roles.RESPONSES, ())


def step(inputs: dict[str, str]) -> Step:
    return Step(
        name="scores:sums/human/perplexity",
        op="scores",
        version=1,
        fields={},
        inputs=inputs,
        table=EXAMPLES,
        make=lambda _: [],
    )


def test_an_input_is_loaded_when_it_is_looked_at() -> None:
    """Asking which inputs there are reads none; each look reads one again."""
    loaded: list[str] = []

    def load(name: str) -> Rows:
        loaded.append(name)
        return [name]

    tables = LazyInputs({roles.EXAMPLES: "examples:a", roles.RESPONSES: "responses:a/b"}, load)
    assert roles.EXAMPLES in tables
    assert roles.RACE not in tables
    assert list(tables) == [roles.EXAMPLES, roles.RESPONSES]
    assert tables.get(roles.RACE) is None
    assert not loaded
    assert tables[roles.RESPONSES] == tables[roles.RESPONSES] == ["responses:a/b"]
    assert loaded == ["responses:a/b"] * 2


def test_roles_are_in_no_key_and_their_order_is_that_of_the_digests() -> None:
    """A key is made of digests in the order of the inputs, whatever their roles and names are."""
    one = step({roles.EXAMPLES: "examples:a", roles.RESPONSES: "responses:a/b"})
    renamed = step({roles.responses_of("b"): "responses:c/d", roles.RACE: "race:c"})
    assert one.key(["1", "2"]) == renamed.key(["1", "2"]) != one.key(["2", "1"])


def test_roles_of_several_strategies_differ() -> None:
    """One table a strategy: each has a role of its own, also for two metrics or datasets."""
    some = [roles.responses_of("a"), roles.responses_of("b"), roles.scores_of("a")]
    some += [roles.scores_of("a", "one"), roles.scores_of("a", "two"), roles.token_scores_in("a")]
    assert len(set(some)) == len(some)


def test_a_step_is_undone_by_failures_of_its_own_calls_alone() -> None:
    """A problem that a row has from an input's row does not leave its step undone."""
    assert WRITING_FAILURES.include(EMPTY)
    assert not SCORING_FAILURES.include(EMPTY)
    assert SCORING_FAILURES.include(NOT_FINITE)
    assert JUDGING_FAILURES.include(SILENT)
    for failures in (WRITING_FAILURES, SCORING_FAILURES, JUDGING_FAILURES):
        assert failures.include(f"{FAILED}down")
        assert not failures.include(NOT_REACHED)
        assert not failures.include("")
    assert not NO_FAILURES.include(f"{FAILED}down")


def test_problems_have_names() -> None:
    """What a problem means is asked by name."""
    assert is_failed_call(f"{FAILED}down")
    assert not is_failed_call(NOT_FINITE)
    assert is_reached("")
    assert not is_reached(NOT_REACHED)
