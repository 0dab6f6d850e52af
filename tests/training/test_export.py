"""`respsel export`: what each format holds, that trainers' own loaders and schemas take it, and
what the card says.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

from respsel.recipe.schema import Recipe
from respsel.recipe.validation import check_shape
from respsel.records import Example, Response, Score
from respsel.selection.per_example import Choice
from respsel.training.apply import Applied, Selected
from respsel.training.examples import Dropped, Pair, training_pairs
from tests.conftest import RECIPE, Bench, jsonl, needs, rows
from tests.trainer_process import trainer_output

ROOT = Path(__file__).parents[2]
SETS = ("messages", "prompt-completion", "sdft", "axolotl", "llama-factory", "openai", "parquet")
TURN = {
    "type": "object",
    "properties": {
        "role": {"enum": ["system", "user", "assistant"]},
        "content": {"type": "string", "minLength": 1},
    },
    "required": ["role", "content"],
    "additionalProperties": False,
}
# A line of OpenAI's chat format: the last turn is the assistant's.
CHAT = {
    "type": "object",
    "properties": {"messages": {"type": "array", "items": TURN, "minItems": 2}},
    "required": ["messages"],
    "additionalProperties": False,
}
# An entry of LLaMA-Factory's dataset_info.json, as its data/README.md has it for chats with
# OpenAI's roles.
DATASET_INFO = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "file_name": {"type": "string"},
            "formatting": {"const": "sharegpt"},
            "columns": {
                "type": "object",
                "required": ["messages"],
                "additionalProperties": {"type": "string"},
            },
            "tags": {
                "type": "object",
                "required": ["role_tag", "content_tag", "user_tag", "assistant_tag"],
                "additionalProperties": {"type": "string"},
            },
        },
        "required": ["file_name", "formatting", "columns"],
        "additionalProperties": False,
    },
}


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def check_sets(folder: Path, count: int) -> None:
    """What each format's documentation asks of its files."""
    for name in ("messages", "axolotl", "openai"):
        found = lines(folder / name / "train.jsonl")
        assert len(found) == count
        for item in found:
            jsonschema.validate(item, CHAT)
            assert [turn["role"] for turn in item["messages"]] == ["user", "assistant"]
    for item in lines(folder / "prompt-completion" / "train.jsonl"):
        assert list(item) == ["prompt", "completion"]
        jsonschema.validate({"messages": item["prompt"] + item["completion"]}, CHAT)
    for item in lines(folder / "sdft" / "train.jsonl"):
        assert list(item) == ["prompt", "privileged_context"]
        assert [turn["role"] for turn in item["prompt"]] == ["user"]
        answer = {"role": "assistant", "content": item["privileged_context"]}
        jsonschema.validate({"messages": [*item["prompt"], answer]}, CHAT)
    chats = json.loads((folder / "llama-factory" / "train.json").read_text("utf-8"))
    assert chats == lines(folder / "messages" / "train.jsonl")
    info = json.loads((folder / "llama-factory" / "dataset_info.json").read_text())
    jsonschema.validate(info, DATASET_INFO)
    (entry,) = info.values()
    assert (folder / "llama-factory" / entry["file_name"]).is_file()
    snippet = (folder / "axolotl" / "axolotl.yaml").read_text()
    assert "path: train.jsonl\n" in snippet
    table = pl.read_parquet(folder / "parquet" / "train.parquet")
    assert table["response"].to_list() == [item["messages"][1]["content"] for item in chats]


def exported(bench: Bench, *formats: str) -> Any:
    done = bench.respsel(
        "export", "a.toml", *(part for name in formats for part in ("--format", name)), "--json"
    )
    assert done.code == 0, done.err
    return done.json


def test_every_format_is_as_its_trainer_documents_it(bench: Bench) -> None:
    """Chats, completions, tables and the files next to them, with every example once and in the
    dataset's words.
    """
    bench.respsel("apply", "a.toml", "--strategy", "human")
    made = exported(bench, *SETS)
    assert [item["format"] for item in made] == list(SETS)
    check_sets(bench.folder / "runs/a/training", 12)
    chats = {
        item["messages"][0]["content"]: item["messages"][1]["content"]
        for item in lines(Path(made[0]["data"]))
    }
    assert chats == {row["question"]: row["rationale"] for row in rows(12)}


def test_the_axolotl_snippet_is_yaml_of_known_keys(bench: Bench) -> None:
    """What is to be put into axolotl's config parses, and names what its chat_template datasets
    know.
    """
    yaml = pytest.importorskip("yaml")
    bench.respsel("apply", "a.toml", "--strategy", "human")
    exported(bench, "axolotl")
    (entry,) = yaml.safe_load((bench.folder / "runs/a/training/axolotl/axolotl.yaml").read_text())[
        "datasets"
    ]
    # Of axolotl 0.19's SFTDataset, into which this was loaded.
    known = {
        "path",
        "ds_type",
        "type",
        "field_messages",
        "message_property_mappings",
        "roles_to_train",
    }
    assert set(entry) == known
    assert entry["message_property_mappings"] == {"role": "role", "content": "content"}


def test_odd_text_comes_back_as_it_was(bench: Bench) -> None:
    """Line separators, quotes, emoji and blank ends survive, and a line of JSON stays one line for
    every reader.
    """
    odd = 'a\u2028b\u2029c\x85d "e" \\n 🦆\tx \n\n  '
    bench.write(
        "sums.jsonl", jsonl([{**row, "rationale": f"{odd}{row['id']}"} for row in rows(12)])
    )
    bench.respsel("apply", "a.toml", "--strategy", "human")
    (made,) = exported(bench, "messages")
    found = lines(Path(made["data"]))
    assert len(found) == 12
    assert {item["messages"][1]["content"] for item in found} == {f"{odd}e{i}" for i in range(12)}


def test_pairs_are_best_against_worst(bench: Bench) -> None:
    """Pairs need every strategy: refused until the mixture is applied; then each has two different
    responses.
    """
    bench.edit('answer = "number"\n', "")
    bench.respsel("apply", "a.toml", "--strategy", "human")
    done = bench.respsel("export", "a.toml", "--format", "messages", "--format", "dpo")
    assert done.code == 1
    assert "respsel apply a.toml --mode per-example" in done.err
    assert not (bench.folder / "runs/a/training/messages").exists()
    assert bench.respsel("export", "a.toml", "--format", "dpo", "--mode", "strategy").code == 2
    bench.respsel("apply", "a.toml", "--mode", "per-example")
    (made,) = exported(bench, "dpo")
    found = lines(Path(made["data"]))
    assert len(found) == made["counts"][0]["kept"] == 12
    best = {item["prompt"][0]["content"]: item["chosen"][0]["content"] for item in found}
    table = pl.read_parquet(bench.folder / "runs/a/training-per-example/parquet/train.parquet")
    assert best == dict(zip(table["input"], table["response"], strict=True))
    assert all(item["chosen"] != item["rejected"] for item in found)


class Tables(Applied):
    """An applied set whose tables are given."""

    def __init__(self, recipe: str, tables: dict[str, list[Any]]) -> None:
        import tomli

        from respsel.graph import Graph

        checked, problems = check_shape(Recipe, tomli.loads(recipe), "a.toml")
        assert not problems
        metric: Any = type("M", (), {"label": "perplexity", "direction": "lower"})
        loaded: Any = type("L", (), {"recipe": checked, "selected_metric": metric})
        graph = Graph(loaded, {}, dict.fromkeys(tables), {})  # type: ignore[arg-type]
        selected = Selected("per-example", {}, "each example's best score", ())
        super().__init__(selected, graph, {}, None)  # type: ignore[arg-type]
        object.__setattr__(self, "tables", tables)

    def rows(self, name: str) -> list[Any]:
        return self.tables[name]  # type: ignore[attr-defined, no-any-return]


def test_which_examples_make_no_pair() -> None:
    """Of one usable response, of equal texts or scores, and where the better one is known to be
    wrong.
    """
    names = ["good", "one", "same", "wrong", "cut"]
    strategies = ["human", "teacher"]
    texts = {
        "human": [Response(n, f"h {n}", correct=True) for n in names],
        "teacher": [
            Response("good", "t", correct=False),
            Response("one", "", "empty"),
            Response("same", "h same"),
            Response("wrong", "t", correct=False),
            Response("cut", "t", truncated=True),
        ],
    }
    scores: dict[str, list[float | None]] = {
        "human": [1.0, 1.0, 1.0, 2.0, 1.0],
        "teacher": [3.0, None, 2.0, 1.0, 0.5],
    }
    given = {s: list(zip(names, values, strict=True)) for s, values in scores.items()}
    tables: dict[str, list[Any]] = {
        "examples:sums": [Example(n, f"? {n}") for n in names],
        "gates:sums": [],
        "choices:sums": [Choice(n, "human", 1.0) for n in names],
        **{f"responses:sums/{s}": texts[s] for s in strategies},
        **{f"scores:sums/{s}/perplexity": [Score(n, v) for n, v in given[s]] for s in strategies},
    }
    good, *rest = training_pairs(Tables(RECIPE, tables))
    assert good == Pair("sums", "good", "? good", "h good", "t", "human", "teacher", 1.0, 3.0, True)
    assert [(row.id, row.reason) for row in rest if isinstance(row, Dropped)] == [
        ("one", "fewer than two usable responses"),
        ("same", "best and worst are the same"),
        ("wrong", "the best has a wrong answer"),
        ("cut", "fewer than two usable responses"),
    ]


def test_the_card_says_what_the_users_turn_is(bench: Bench) -> None:
    """The column, unchanged; or the template of the recipe that makes it, which the set's turns
    follow.
    """
    bench.write("sums.jsonl", jsonl(rows(12)))
    turns: list[str] = []
    for made_of in (
        "the dataset's `input`, unchanged",
        "what the recipe's template gives for a row (`Solve: {{ question }}`)",
    ):
        if turns:
            bench.edit('input = "question"', 'input = "Solve: {{ question }}"')
        bench.run()
        bench.respsel("apply", "a.toml", "--strategy", "human")
        (made,) = exported(bench, "messages")
        assert f"The user's turn is {made_of}" in (Path(made["folder"]) / "README.md").read_text()
        line = (Path(made["folder"]) / "train.jsonl").read_text().splitlines()[0]
        turns.append(json.loads(line)["messages"][0]["content"])
    assert turns[1] == f"Solve: {turns[0]}"


def test_the_card_tells_where_the_set_comes_from(bench: Bench) -> None:
    """Recipe and data by digest, models, how it was chosen, counts with reasons, and licences to be
    filled in.
    """
    import hashlib

    items = rows(12)
    items[3]["rationale"] = "3 + 3 = 7"
    bench.write("sums.jsonl", jsonl(items))
    bench.edit('column = "rationale"', 'column = "rationale"\nif_wrong = "drop"')
    bench.run()
    bench.respsel("apply", "a.toml", "--strategy", "human")
    (made,) = exported(bench, "messages")
    folder = Path(made["folder"])
    card = (folder / "README.md").read_text()
    assert hashlib.sha256(bench.recipe.read_bytes()).hexdigest() in card
    assert hashlib.sha256((bench.folder / "sums.jsonl").read_bytes()).hexdigest() in card
    assert (folder / "recipe.toml").read_bytes() == bench.recipe.read_bytes()
    for said in (
        "as the user chose",
        "| sums | 12 | 11 | human 11 | 11 of 11 | wrong answer 1 |",
        "undecided** at 95%",
        "license: unknown",
    ):
        assert said in card
    assert "| target | target |" in card
    # Only what the set holds needs a licence.
    assert "| responses of human | |" in card
    assert "responses of teacher" not in card
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, value in manifest["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == value


def test_an_export_that_is_there_is_not_written_again(bench: Bench) -> None:
    """The same set in the same format touches no file, and another folder gets the same bytes."""
    bench.respsel("apply", "a.toml", "--strategy", "human")
    (made,) = exported(bench, "openai")
    before = {path.name: path.stat().st_mtime_ns for path in Path(made["folder"]).iterdir()}
    exported(bench, "openai")
    assert {path.name: path.stat().st_mtime_ns for path in Path(made["folder"]).iterdir()} == before
    assert bench.respsel("export", "a.toml", "--format", "openai", "--out", "elsewhere").code == 0
    for name in before:
        assert (bench.folder / "elsewhere/openai" / name).read_bytes() == (
            Path(made["folder"]) / name
        ).read_bytes()


def test_a_changed_setting_of_the_set_is_seen(bench: Bench) -> None:
    """What is left out is not in what was applied: a change of it alone is seen, and the recipe's
    copy is the present one.
    """
    bench.edit(
        'prompt = "Solve: {{ input }}"',
        'prompt = "Solve: {{ input }}"\nsampling = { max_tokens = 8 }',
    )
    bench.recipe.write_text(bench.recipe.read_text() + '\n[training]\nif_truncated = "keep"\n')
    bench.respsel("apply", "a.toml", "--strategy", "teacher")
    (made,) = exported(bench, "messages")
    assert made["counts"][0]["kept"] == 12
    bench.recipe.write_text("# A remark.\n" + bench.recipe.read_text())
    (made,) = exported(bench, "messages")
    assert (Path(made["folder"]) / "recipe.toml").read_bytes() == bench.recipe.read_bytes()
    bench.edit('if_truncated = "keep"', 'if_truncated = "drop"')
    done = bench.respsel("export", "a.toml", "--format", "messages")
    assert "cut short at max_tokens 12" in done.err


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Path:
    """The quickstart, run, its leader and its mixture applied to the full dataset and exported in
    all formats.
    """
    folder = tmp_path_factory.mktemp("quickstart")
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    shutil.copy(ROOT / "respsel.toml", folder)
    recipe = "recipes/quickstart.toml"
    formats = [part for name in SETS for part in ("--format", name)]
    for command in (
        ["run", recipe],
        ["apply", recipe, "--accept-undecided"],
        ["export", recipe, *formats],
        ["apply", recipe, "--mode", "per-example"],
        ["export", recipe, "--format", "dpo"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "respsel", *command],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr
    return folder / "runs" / "quickstart"


@pytest.mark.real
def test_the_quickstarts_sets_are_whole(quickstart: Path) -> None:
    """Every example of the full dataset, beyond the sample, is kept or counted under a reason."""
    manifest = json.loads((quickstart / "training/messages/manifest.json").read_text())
    (counts,) = manifest["counts"]
    assert counts["examples"] == 40
    assert counts["kept"] + sum(counts["dropped"].values()) == 40
    check_sets(quickstart / "training", counts["kept"])


@pytest.mark.real
@needs("trl", "datasets", "transformers", "torch")
def test_the_quickstarts_sets_train(quickstart: Path, smollm2: Path, tmp_path: Path) -> None:
    """datasets loads what was exported, and TRL's SFT, SDFT and DPO trainers take a step on it;
    completions alone are trained on.
    """
    folders = [str(quickstart / "training"), str(quickstart / "training-per-example"), str(smollm2)]
    printed = trainer_output("trainers", folders, tmp_path, timeout_s=600)
    found = {
        item["set"]: item
        for item in map(
            json.loads, filter(lambda line: line.startswith('{"set'), printed.splitlines())
        )
    }
    chats = lines(quickstart / "training/messages/train.jsonl")
    assert found["messages"]["rows"] == found["prompt-completion"]["rows"] == len(chats)
    responses = [item["messages"][1]["content"] for item in chats]
    # What is trained on is a response and the end of the turn, and no word of a prompt.
    assert any(found["prompt-completion"]["trained"].startswith(text) for text in responses)
    # The teacher's prompt shows the response, and the student's does not.
    assert found["sdft"]["rows"] == len(chats)
    assert found["sdft"]["trained"] in responses
    assert found["dpo"]["rows"] == len(lines(quickstart / "training-per-example/dpo/train.jsonl"))


def test_weights_are_written_where_a_trainer_takes_them(bench: Bench) -> None:
    """By the strategy that a response was taken from, else by its own; other formats say that they
    have none.
    """
    own = [
        {**row, "mine": f"It is {row['answer'] if i < 5 else -1}."}
        for i, row in enumerate(rows(12))
    ]
    bench.write("sums.jsonl", jsonl(own))
    bench.edit(
        "[own_outputs]",
        '[[strategies]]\nname = "own"\nfrom = "column"\ncolumn = "mine"\n\n'
        '[[strategies]]\nname = "mixed"\nfrom = "first"\nof = ["own", "human"]\n\n[own_outputs]',
    )
    bench.edit("[selection]", "[training]\nweights = { own = 2, mixed = 0.5 }\n\n[selection]")
    bench.respsel("apply", "a.toml", "--strategy", "mixed")
    made = {item["format"]: item for item in exported(bench, "fireworks", "messages", "parquet")}
    # Five own answers are right and weigh 2. The human's have no weight of their own, so those that
    # "mixed" took weigh as it says.
    found = lines(Path(made["fireworks"]["data"]))
    assert sorted(item["weight"] for item in found) == [0.5] * 7 + [2.0] * 5
    assert {item["messages"][1]["content"][:5] for item in found if item["weight"] == 2} == {
        "It is"
    }
    told = "The recipe's weights are not in this set: the format messages has none."
    assert told in made["messages"]["cautions"]
    assert [set(item) for item in lines(Path(made["messages"]["data"]))] == [{"messages"}] * 12
    assert not any("weights" in text for text in made["fireworks"]["cautions"])
    table = pl.read_parquet(made["parquet"]["data"])
    assert sum(table["weight"]) == 5 * 2 + 7 * 0.5


def test_a_weight_of_no_strategy_is_told(bench: Bench) -> None:
    """With what may have been meant; and no weight is zero or below."""
    bench.edit("[selection]", "[training]\nweights = { humman = 2 }\n\n[selection]")
    done = bench.respsel("plan", "a.toml")
    told = (
        "training.weights.humman: 'humman' is not a strategy of this recipe. Did you mean 'human'?"
    )
    assert told in done.err
    bench.edit("humman = 2", "human = 0")
    done = bench.respsel("plan", "a.toml")
    assert "training.weights.human" in done.err
