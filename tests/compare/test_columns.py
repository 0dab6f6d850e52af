"""What is compared: combinations of recipes, targets and values, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from respsel.compare.columns import Wanted, columns_of, plural
from respsel.compare.paired import _without_shared
from respsel.errors import InputError

A = Path("recipes/a.toml")
B = Path("recipes/b.toml")


def labels(wanted: Wanted) -> list[str]:
    return [column.label for column in columns_of(wanted).columns]


def refusal(wanted: Wanted) -> str:
    with pytest.raises(InputError) as refused:
        columns_of(wanted)
    return str(refused.value)


def test_recipes_targets_and_values_are_columns() -> None:
    """What varies names the columns, and what all share is said once."""
    assert labels(Wanted([A, B])) == ["a", "b"]
    assert labels(Wanted([A], ["small", " big"])) == ["small", "big"]
    swept = columns_of(Wanted([A], sweeps=["strategies.terse.sampling.temperature=0.2,0.7"]))
    assert [column.label for column in swept.columns] == ["temperature=0.2", "temperature=0.7"]
    assert swept.varies == "strategies.terse.sampling.temperature"
    assert plural(swept.varies) == "values of strategies.terse.sampling.temperature"
    assert [dict(column.changes.settings) for column in swept.columns] == [
        {"strategies.terse.sampling.temperature": 0.2},
        {"strategies.terse.sampling.temperature": 0.7},
    ]


def test_several_axes_are_a_grid() -> None:
    """Each combination is a column; an axis with one value is shared by all."""
    found = columns_of(
        Wanted([A, B], ["small"], ["datasets.d.seed=0,1"], ["selection.seed=3"], limit=5)
    )
    assert [column.label for column in found.columns] == [
        "a + seed=0",
        "a + seed=1",
        "b + seed=0",
        "b + seed=1",
    ]
    assert (found.varies, found.shared) == (
        "variant",
        "selection.seed=3, target.model=small, limit 5",
    )
    assert {column.changes.limit for column in found.columns} == {5}


def test_swept_keys_with_one_ending_are_told_apart() -> None:
    """By as many of their parts as it takes."""
    sweeps = ["models.target.variant=x,y", "models.teacher.variant=x,y", "selection.seed=1,2"]
    found = labels(Wanted([A], sweeps=sweeps))
    assert found[1] == "target.variant=x + teacher.variant=x + seed=2"
    assert len(set(found)) == 8
    ends = ["a.b.v=1,2", "c.b.v=1,2", "v=1,2"]
    assert labels(Wanted([A], sweeps=ends))[0] == "a.b.v=1 + c.b.v=1 + v=1"


def test_each_part_of_a_label_is_one_value() -> None:
    """Whatever the values hold, so that no two columns are called alike."""
    found = labels(Wanted([A], sweeps=['k.v="a","a + w=1","a+w=1"', "k.w=1,2"]))
    assert found[:4] == ["v=a + w=1", "v=a + w=2", "v=a+w=1 (2) + w=1", "v=a+w=1 (2) + w=2"]
    assert len(set(found)) == 6
    assert {label.count(" + ") for label in found} == {1}


def test_what_all_columns_share_goes_by_its_place() -> None:
    """The same part in another place is another value."""
    assert _without_shared(["t=1 + t=2", "t=1 + t=3"]) == {"t=1 + t=2": "t=2", "t=1 + t=3": "t=3"}
    three = ["t=1 + t=2", "t=1 + t=3", "t=2 + t=1"]
    assert _without_shared(three) == {label: label for label in three}


def test_recipes_of_one_name_are_told_apart_by_their_paths() -> None:
    """And one that is given twice is one column."""
    other = Path("other/a.toml")
    assert labels(Wanted([A, other, A])) == ["recipes/a.toml", "other/a.toml"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("k.v=a,b", ["a", "b"]),
        ('k.v="a, b",c', ["a, b", "c"]),
        ("k.v=[1, 2],[3]", [[1, 2], [3]]),
        ("k.v={ a = 1, b = 2 },{ a = 2 }", [{"a": 1, "b": 2}, {"a": 2}]),
        ("k.v=don't,do", ["don't", "do"]),
        ("k.v=true,false,0,1.5", [True, False, 0, 1.5]),
        ("k.v=.9,0.90,-1.", [0.9, -1.0]),
    ],
)
def test_commas_in_quotes_and_brackets_part_no_values(text: str, values: list[object]) -> None:
    """A value is what --set would take."""
    columns = columns_of(Wanted([A], sweeps=[text])).columns
    assert [dict(column.changes.settings)["k.v"] for column in columns] == values


def test_long_values_are_short_in_labels() -> None:
    """Texts that begin alike keep their own labels."""
    long = "Explain it at length and with all steps"
    assert labels(Wanted([A], sweeps=[f"s.prompt={long} one,{long} two"])) == [
        "prompt=Explain it at length and… (1)",
        "prompt=Explain it at length and… (2)",
    ]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted([A]), "compare: there is only one thing to compare. Give another recipe,"),
        (Wanted([A], ["small"]), "compare: there is only one thing to compare."),
        (Wanted([A], ["small", ""]), "--targets: a name is empty. Write for instance --targets s"),
        (Wanted([A], sweeps=["k.v"]), "--sweep k.v: is not KEY=VALUE,VALUE. Write for instance"),
        (Wanted([A], sweeps=["k.v=1,,2"]), "--sweep k.v=1,,2: is not KEY=VALUE,VALUE."),
        (Wanted([A], sweeps=["k.v=1,2", "k.v=3,4"]), "--sweep: 'k.v' is given a second time."),
        (
            Wanted([A], ["a", "b"], settings=["target.model=c"]),
            "--targets: 'target.model' is given a second time.",
        ),
        (
            Wanted([A, B], sweeps=["k.v=" + ",".join(map(str, range(33)))]),
            "compare: 2 x 33 are 66 combinations, and 64 is the most. Give fewer",
        ),
    ],
)
def test_wishes_that_make_no_comparison_are_refused(wanted: Wanted, message: str) -> None:
    """Each with the option and what to do."""
    assert message in refusal(wanted)


def test_names_that_are_not_utf8_are_text() -> None:
    """A label can be written to any file."""
    found = labels(Wanted([Path(os.fsdecode(b"\xff.toml")), A]))
    assert found == ["\\xff", "a"]
