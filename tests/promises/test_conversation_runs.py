"""Promise: a recipe over conversations makes each call once, and all of respsel works on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.backends.test_placement import CHATML
from tests.conftest import Bench, jsonl, needs

COUNT = 14
RECIPE = """\
format = 1

[target]
model = "target"

[models.target]
backend = "fake"

[models.teacher]
backend = "fake"
variant = "teacher"

[[datasets]]
name = "desk"
path = "desk.jsonl"
messages = "messages"
train = "every"
label = "answer"
answer = "number"

[[strategies]]
name = "human"
from = "column"
column = "messages"

[[strategies]]
name = "edited"
from = "file"
path = "edited.jsonl"

[[metrics]]
name = "perplexity"

[selection]
resamples = 500
require = { right = 0 }
"""
TEACHER = """\
[[strategies]]
name = "teacher"
from = "model"
model = "teacher"
prompt = "{{ input }}"

"""


def chat(i: int, last: str = "It is {}.", tool: bool = False) -> list[dict[str, Any]]:
    """Two questions; the first one may be answered with a tool."""
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": {"a": i}}}
    first: list[dict[str, Any]] = [{"role": "assistant", "content": f"{i} and {i} are {2 * i}."}]
    if tool:
        first = [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": str(2 * i)},
            *first,
        ]
    thought = f"<think>{2 * i} + 1</think>\n\n"
    return [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": f"What is {i} plus {i}?"},
        *first,
        {"role": "user", "content": f"And one more than {2 * i}?"},
        {"role": "assistant", "content": thought + last.format(2 * i + 1)},
    ]


def edited(last: str = "{}, of course.", tool: bool = False) -> str:
    """A file of conversations that have the dataset's first turn and another last one."""
    return jsonl([{"id": f"e{i}", "response": chat(i, last, tool)[1:]} for i in range(COUNT)])


@pytest.fixture
def desk(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    rows = [{"id": f"e{i}", "messages": chat(i), "answer": 2 * i + 1} for i in range(COUNT)]
    bench.write("a.toml", RECIPE)
    bench.write("desk.jsonl", jsonl(rows))
    bench.write("edited.jsonl", edited())
    return bench


def add(bench: Bench, text: str, before: str = "[[metrics]]") -> None:
    """Put a piece into the recipe, before the first place of another."""
    recipe = bench.recipe.read_text()
    at = recipe.index(before)
    bench.recipe.write_text(recipe[:at] + text + recipe[at:])


def report_of(bench: Bench) -> Any:
    (data,) = json.loads((bench.folder / "runs/a/report.json").read_text())["datasets"]
    return data


def test_strategies_share_the_calls_of_their_common_turns(desk: Bench) -> None:
    """There is one call for each distinct turn behind a distinct beginning, and none again."""
    done = desk.run()
    # Each conversation's first turn is one call for both, and its last turns are two.
    assert done["calls_made"] == COUNT * 3
    again = desk.run()
    assert (again["calls_made"], again["steps_run"], again["models_opened"]) == (0, 0, [])


def test_an_edited_last_turn_makes_its_own_call_alone(desk: Bench) -> None:
    """The other strategy and the turns before it are not asked for again."""
    desk.run()
    rows = edited().splitlines(keepends=True)
    desk.write("edited.jsonl", "".join(edited("So {}.").splitlines(keepends=True)[:3] + rows[3:]))
    assert desk.run()["calls_made"] == 3
    desk.write("edited.jsonl", edited("So {}."))
    assert desk.run()["calls_made"] == COUNT - 3
    # Texts that are stored cost nothing, whoever says them.
    desk.write("edited.jsonl", edited("It is {}."))
    done = desk.run()
    assert done["calls_made"] == 0


def test_trajectories_of_other_lengths_are_paired(desk: Bench) -> None:
    """One asks a tool and the other does not; the report says so, and every example counts."""
    desk.write("edited.jsonl", edited(tool=True))
    done = desk.run()
    (verdict,) = done["verdicts"]
    assert verdict["examples"] == COUNT
    # human has two turns, edited three, and only the system turn and the question are shared.
    assert done["calls_made"] == COUNT * 5
    data = report_of(desk)
    counts = {row["strategy"]: row["calls"] for row in data["conversations"]["rows"]}
    assert counts == {"human": 0, "edited": 1}
    assert "0 (human) to 1 (edited) tool calls" in data["conversations"]["lengths"]


def test_explain_and_diff_name_what_changed(desk: Bench) -> None:
    """Of a conversation recipe too."""
    desk.run()
    desk.write("edited.jsonl", edited("So {}."))
    why = desk.respsel("explain", "a.toml")
    assert why.code == 0, why.err
    assert "edited" in why.out
    desk.run()
    told = desk.respsel("diff", "a.toml")
    assert told.code == 0, told.err
    assert "edited" in told.out
    assert "human" in told.out


def test_own_outputs_answer_the_last_question_in_its_chat(desk: Bench) -> None:
    """And the metrics that compare with them and show them have a value for each response."""
    add(
        desk,
        "[own_outputs]\nsamples = 2\n\n"
        '[[metrics]]\nname = "alignment"\n\n'
        '[[metrics]]\nname = "self-aligned-perplexity"\nk = 2\n\n'
        '[[metrics]]\nname = "perplexity"\nlabel = "thinking"\npart = "thinking"\n\n',
    )
    done = desk.run()
    # Two samples an example, and two views of each of three distinct turns; what is shown differs
    # by example, not by strategy.
    assert done["calls_made"] == COUNT * (2 + 3 + 3)
    data = report_of(desk)
    for strategy in data["strategies"]:
        means = {mean["metric"]: mean for mean in strategy["means"]}
        assert len(means) == 4
        assert all(mean["examples"] == COUNT for mean in means.values())
        assert means["thinking"]["mean"] != means["perplexity"]["mean"]


def test_a_model_writes_each_turn_given_the_dataset_before_it(desk: Bench) -> None:
    """One call for each turn that it writes, and one for each that is scored; strategies may take
    from it.
    """
    add(desk, TEACHER)
    assert desk.run()["calls_made"] == COUNT * (3 + 2 + 2)
    taking = (
        '[[strategies]]\nname = "mixed"\nfrom = "first"\nof = ["teacher", "human"]\n\n'
        '[[strategies]]\nname = "chosen"\nfrom = "best"\nof = ["edited", "human"]\n'
        'by = "perplexity"\n\n'
    )
    add(desk, taking)
    done = desk.run()
    assert done["calls_made"] == 0
    (verdict,) = done["verdicts"]
    assert {ranked["strategy"] for ranked in verdict["ranking"]} == {
        "human", "edited", "teacher", "mixed", "chosen"
    }  # fmt: skip


def test_a_race_and_the_best_for_each_example(desk: Bench) -> None:
    """Both rules of selection come to an end, and what they select is applied and exported."""
    add(desk, TEACHER)
    desk.edit("[selection]\n", '[selection]\nbudget = "race"\n')
    done = desk.run()
    assert done["verdicts"][0]["ranking"]
    desk.edit('budget = "race"\n', 'mode = "per-example"\n')
    done = desk.run()
    assert sum(report_of(desk)["mixture"]["counts"].values()) == COUNT
    applied = desk.respsel("apply", "a.toml", "--mode", "per-example")
    assert applied.code == 0, applied.err
    made = desk.respsel("export", "a.toml", "--mode", "per-example", "--format", "messages")
    assert made.code == 0, made.err


@pytest.mark.parametrize("kind", ["messages", "prompt-completion", "axolotl", "llama-factory"])
def test_what_is_applied_is_the_strategys_conversations(desk: Bench, kind: str) -> None:
    """All turns as the file has them, at no call."""
    desk.write("edited.jsonl", edited(tool=True))
    desk.run()
    applied = desk.respsel("apply", "a.toml", "--strategy", "edited", "--json")
    assert applied.code == 0, applied.err
    assert applied.json["calls_made"] == 0
    made = desk.respsel("export", "a.toml", "--format", kind, "--json")
    assert made.code == 0, made.err
    folder = Path(made.json[0]["folder"])
    text = next(folder.glob("train.json*")).read_text()
    for i in range(COUNT):
        assert f"{2 * i + 1}, of course." in text
        assert f'"a": {i}' in text.replace('\\"', '"')


def test_a_judge_reads_conversations_alone_and_in_pairs(desk: Bench) -> None:
    """One call for each response, and two for each of the other strategy."""
    desk.run()
    add(desk, '[judge]\nmodel = "teacher"\nrubric = "Short is good."\npairs = true\n\n')
    done = desk.run()
    assert done["calls_made"] == COUNT * (2 + 2)
    assert report_of(desk)["judge"] is not None


def test_the_answer_is_in_the_last_turn(desk: Bench) -> None:
    """What is thought, and what an earlier turn says, is no answer."""
    desk.write("edited.jsonl", edited("I do not know."))
    desk.run()
    right = {one["strategy"]: one["correct"] for one in report_of(desk)["strategies"]}
    assert right == {"human": COUNT, "edited": 0}


@needs("llama_cpp", "gguf")
@pytest.mark.parametrize("writes_tools", [False, True])
def test_tools_that_the_template_leaves_out_are_told(
    desk: Bench, make_tiny_gguf: Callable[..., Path], writes_tools: bool
) -> None:
    """The target would be trained without seeing them: the audit and the first screen say so."""
    (desk.folder / "t.jinja").write_text(f"{{{{ tools | tojson if tools }}}}{CHATML}")
    template = '\nchat_template = "t.jinja"' if writes_tools else ""
    llama = f'backend = "llama-cpp"\npath = "{make_tiny_gguf(CHATML, context=1024)}"{template}'
    recipe = desk.recipe.read_text().replace('backend = "fake"', llama, 1)
    desk.recipe.write_text(recipe.replace('train = "every"', 'train = "every"\ntools = "tools"'))
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    rows = [{"id": f"e{i}", "messages": chat(i), "answer": 2 * i + 1} for i in range(COUNT)]
    desk.write("desk.jsonl", jsonl([{**row, "tools": [tool]} for row in rows]))

    done = desk.respsel("run", "a.toml")

    assert done.code == 0, done.err
    data = report_of(desk)
    sentence = (
        "The chat template leaves out the tools in all responses: the target is trained without "
        "seeing them. Give a template of your own with 'chat_template'."
    )
    assert data["places"] == ([] if writes_tools else [sentence])
    page = (desk.folder / "runs/a/report.md").read_text()
    assert ("The target's chat template leaves out the tools, so" in page) is not writes_tools
    whole = json.loads((desk.folder / "runs/a/report.json").read_text())
    cautions = [text for text in whole["headline"]["cautions"] if "leaves out the tools" in text]
    assert len(cautions) == (not writes_tools)


def test_single_inputs_are_scored_as_trained_where_the_recipe_says_so(bench: Bench) -> None:
    """Each token of a fake model is a byte, and the end of the turn is one more. The report then
    shades what was scored, and holds it against what trainers train on.
    """
    bench.edit('model = "target"\n', 'model = "target"\nmask = "trained"\n')
    bench.run()
    data = report_of(bench)
    masks = {mask["strategy"]: mask for mask in data["conversations"]["masks"]}
    assert data["conversations"]["rows"] == []
    assert (masks["human"]["turns"], masks["human"]["ended"], masks["human"]["end"]) == (6, 6, 6)
    texts = [f"{i} + {i} = {2 * i}" for i in range(12)]
    for sample in data["samples"]:
        (human,) = [r for r in sample["responses"] if r["strategy"] == "human"]
        (turn,) = human["turns"]
        assert turn["trained"]
        assert "".join(piece["text"] for piece in turn["pieces"]) in texts
        assert all(piece["nats"] is not None for piece in turn["pieces"])


def test_single_inputs_are_scored_by_their_text_alone_else(bench: Bench) -> None:
    """No step and no report of them knows of turns."""
    bench.run()
    data = report_of(bench)
    assert data["conversations"] is None
    assert not any(response["turns"] for s in data["samples"] for response in s["responses"])


def test_responses_that_are_not_scored_are_trained_all_the_same(desk: Bench) -> None:
    """The audit counts their tokens apart: each byte of the turns, and the two ends."""
    desk.edit('backend = "fake"\n\n[models.teacher]', CONTEXT)
    desk.edit('[target]\nmodel = "target"', '[target]\nmodel = "target"\nif_too_long = "drop"')
    rows: list[Any] = [{"id": f"e{i}", "response": chat(i)[1:]} for i in range(COUNT)]
    rows[0]["response"][-1]["content"] += " so" * 200
    desk.write("edited.jsonl", jsonl(rows))
    desk.run()
    trainers = report_of(desk)["conversations"]["trainers"]
    trained = {(row["strategy"], row["trainer"]): row for row in trainers}
    whole = sum(len(turn["content"]) + 1 for turn in rows[0]["response"] if turn["role"] != "user")
    assert trained["edited", "TRL"]["only_trained"] == whole
    assert trained["human", "TRL"]["only_trained"] == 0


CONTEXT = 'backend = "fake"\ncontext_tokens = 300\n\n[models.teacher]'


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            '[target]\nmodel = "target"',
            '[target]\nmodel = "target"\nmask = "text"',
            "target.mask: 'text' leaves out ends of turns and tool calls, and 'desk' is "
            "conversations. Take it out: conversations are scored as trainers train on them.",
        ),
        (
            'name = "perplexity"',
            'name = "self-aligned-perplexity"\ntemplate = "paper"',
            "metric 'self-aligned-perplexity', template: 'paper' is the published prompt of "
            "single questions",
        ),
        (
            'name = "perplexity"',
            'name = "aslec-drop"\npart = "answer"',
            "metric 'aslec-drop', part: reasoning steps are of "
            "the whole response. Take 'part' out.",
        ),
    ],
    ids=["mask", "template", "part"],
)
def test_what_conversations_cannot_be_scored_by_is_refused(
    desk: Bench, old: str, new: str, error: str
) -> None:
    """One error says what to do, before anything is made."""
    desk.edit(old, new)
    done = desk.respsel("plan", "a.toml")
    assert done.code == 2
    assert error in done.err


def test_a_plan_counts_a_call_for_each_turn_that_is_not_known_yet(desk: Bench) -> None:
    """A model writes two turns of each conversation, and each is scored."""
    add(desk, TEACHER)
    done = desk.respsel("plan", "a.toml", "--json")
    steps = {step["name"]: step for step in done.json["steps"]}
    assert steps["responses:desk/teacher"]["calls"] == 2 * COUNT
    assert steps["token-scores:desk/teacher/plain"]["calls_at_most"] == 2 * COUNT
