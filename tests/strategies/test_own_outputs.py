"""Own outputs: which ones an example is shown with."""

from __future__ import annotations

from pathlib import Path

import pytest

from respsel.errors import InputError
from respsel.recipe.schema import AnswerEntry, OwnOutputsEntry
from respsel.records import Example, Message, OwnOutput
from respsel.strategies.own_outputs import (
    LEFT_OUT,
    MOST_SHOWN_BYTES,
    kept_by_example,
    neighbours,
    read_own_outputs,
    shown_output,
)

EXAMPLES = [Example(f"e{i}", f"q{i}", label=str(i)) for i in range(8)]


def all_kept(count: int) -> dict[str, list[str]]:
    return {f"e{i}": [f"own {i}"] for i in range(count)}


def test_an_example_never_sees_its_own_answer() -> None:
    """The own outputs in a self-aligned prompt are to other inputs."""
    for name, texts in neighbours(EXAMPLES, all_kept(8), 3, "a.toml").items():
        assert f"own {name[1:]}" not in texts
        assert len(set(texts)) == 3


def test_a_larger_sample_leaves_the_choice_as_it_was() -> None:
    """What an example is shown with does not change when examples are added: only new ones are
    scored.
    """
    for kept in (
        all_kept(8),
        {name: texts for name, texts in all_kept(8).items() if name not in ("e1", "e2", "e4")},
    ):
        small = {name: texts for name, texts in kept.items() if int(name[1:]) < 5}
        before = neighbours(EXAMPLES[:5], small, 1, "a.toml")
        after = neighbours(EXAMPLES, kept, 1, "a.toml")
        assert {name: after[name] for name in before} == before


def test_an_own_output_in_a_conversation_is_shown_behind_its_turns() -> None:
    """One to a single question is the text alone, whatever the system turn says."""
    system = Message("system", "Be short.")
    asked = Message("user", "How long do loaves bake?")
    first = Message("assistant", "Forty minutes.")
    more = Message("user", "And rolls?")
    single = Example("a", "How long do loaves bake?", turns=(system, asked))
    longer = Example("b", "And rolls?", turns=(system, asked, first, more))

    assert shown_output(single, "Forty.") == "Forty."
    assert shown_output(longer, "Twenty.") == (
        "User: How long do loaves bake?\n\nAssistant: Forty minutes.\n\n"
        "User: And rolls?\n\nAssistant: Twenty."
    )


def test_an_example_never_sees_the_answer_to_its_own_first_question() -> None:
    """Conversations that begin with one question and go on differently do not show each other."""

    def chat(i: int, first: str) -> Example:
        turns = (
            Message("user", first),
            Message("assistant", f"answer {i}", trained=True),
            Message("user", f"more {i}"),
            Message("assistant", "well", trained=True),
        )
        return Example(f"e{i}", first, turns=turns)

    examples = [chat(0, "same?"), chat(1, "same?"), chat(2, "other?")]
    kept = {f"e{i}": [f"own {i}"] for i in range(3)}

    shown = neighbours(examples, kept, 1, "a.toml")

    assert shown["e0"] == shown["e1"] == ["own 2"]


def test_trained_turns_of_the_dataset_are_not_shown() -> None:
    """They may be one strategy's own, which showing them would favour."""
    turns = (
        Message("user", "How long do loaves bake?"),
        Message("assistant", "Forty minutes.", trained=True),
        Message("user", "And rolls?"),
        Message("assistant", "Twenty.", trained=True),
    )
    example = Example("a", "How long do loaves bake?", turns=turns)

    assert shown_output(example, "Less.") == "Less."


def test_a_shown_conversation_has_a_limit() -> None:
    """Its earliest turns are left out, and that is said; the last question and the text stay."""
    turns = [
        Message("user" if i % 2 == 0 else "assistant", f"{i}: {'word ' * 200}") for i in range(9)
    ]
    text = "own " * 1200
    example = Example("a", "q", turns=tuple(turns))

    shown = shown_output(example, "short")
    long = shown_output(example, text)

    assert len(shown.encode()) <= MOST_SHOWN_BYTES + len(LEFT_OUT) + 2
    assert shown.startswith(LEFT_OUT)
    assert "0: word" not in shown
    assert "8: word" in shown
    assert "8: word" in long
    assert long.endswith(text)


def test_too_few_own_outputs_are_told() -> None:
    """If fewer than k other inputs have an own output, the error says how many do and what to
    change.
    """
    with pytest.raises(
        InputError,
        match=r"a\.toml: own_outputs: example 'e0' needs own outputs to 2 other inputs, but only "
        r"2 inputs have any",
    ):
        neighbours(EXAMPLES, all_kept(2), 2, "a.toml")


def test_wrong_and_empty_outputs_are_not_kept() -> None:
    """Outputs with a problem are in the table but not used."""
    outputs = [
        OwnOutput("e0", 0, "a"),
        OwnOutput("e0", 1, "b", problem="wrong answer"),
        OwnOutput("e1", 0, "", problem="empty"),
    ]
    assert kept_by_example(outputs) == {"e0": ["a"]}


def test_outputs_made_elsewhere_are_checked_like_sampled_ones(tmp_path: Path) -> None:
    """A file of own outputs may have several per id; with keep = "correct" the wrong ones are set
    aside.
    """
    path = tmp_path / "own.jsonl"
    path.write_text(
        "".join(
            f'{{"id": "e{i}", "response": "Final Answer: {answer}"}}\n'
            for i in range(2)
            for answer in (0, 1)
        )
    )
    entry = OwnOutputsEntry(path="own.jsonl", keep="correct")
    outputs = read_own_outputs(entry, path, "own.jsonl", EXAMPLES[:2], AnswerEntry(kind="number"))
    assert [(o.id, o.sample, bool(o.problem)) for o in outputs] == [
        ("e0", 0, False),
        ("e0", 1, True),
        ("e1", 0, True),
        ("e1", 1, False),
    ]
    with pytest.raises(InputError, match=r"own\.jsonl: has no own output for example 'e2'"):
        read_own_outputs(entry, path, "own.jsonl", EXAMPLES[:3], None)
