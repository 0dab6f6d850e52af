"""`respsel init`: from a data file to a recipe that runs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import tomli
from typer.testing import CliRunner, Result

from respsel.cli import app
from tests.conftest import jsonl

FAKE = '[models.target]\nbackend = "fake"\n'
ENDPOINT = ("--called", "m", "--tokenizer", f"owner/name@{'0' * 40}")
LONG = "First we look at what is asked, and then we say that it is {}."


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a fake model, which is then the target."""
    (tmp_path / "respsel.toml").write_text(FAKE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def respsel(*args: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, list(args), input=typed)


def init(name: str, *args: str) -> dict[str, Any]:
    """The recipe that init writes for a data file."""
    done = respsel("init", name, *args)
    assert done.exit_code == 0, done.output
    command = done.output.splitlines()[-1].removeprefix("Next: respsel run ").strip("'")
    return tomli.loads(Path(command).read_text(encoding="utf-8"))


def columns(recipe: Mapping[str, Any]) -> list[str]:
    """The columns of the candidates."""
    return [entry["column"] for entry in recipe["strategies"] if entry["from"] == "column"]


def runs(name: str) -> Mapping[str, Any]:
    """What a run of a recipe prints."""
    done = respsel("run", name, "--json")
    assert done.exit_code == 0, done.output
    answer: Mapping[str, Any] = json.loads(done.stdout)
    return answer


def write(name: str, items: Sequence[Mapping[str, Any]]) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(jsonl([dict(item) for item in items]), encoding="utf-8")
    return name


def row(number: int, **more: Any) -> dict[str, Any]:
    """A row with an input and two candidates."""
    asked = f"What is {number} plus {number}, and why is that so?"
    made = {"question": asked, "human": LONG.format(2 * number), "gpt": f"I say {2 * number}, yes."}
    return {**made, **more}


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [row(i, **more) for i in range(1, count + 1)]


def test_a_table_of_questions_and_candidates_runs_at_once() -> None:
    """Input, candidates, label with its check and id are found; the rest is named and not used."""
    items = [
        {**item, "qid": f"q-{i}", "answer": 2 * i, "topic": "sums"}
        for i, item in enumerate(rows(14), 1)
    ]
    recipe = init(write("sums.jsonl", items))
    (dataset,) = recipe["datasets"]
    assert dataset == {
        "name": "sums",
        "path": "sums.jsonl",
        "id": "qid",
        "input": "question",
        "label": "answer",
        "answer": "number",
    }
    assert columns(recipe) == ["human", "gpt"]
    assert recipe["target"] == {"model": "target"}
    assert runs("sums.toml")["verdicts"][0]["examples"] == 14


def test_what_it_prints_leads_to_the_run() -> None:
    """Each column with what it is taken for, the files that were written, and the next command."""
    done = respsel("init", write("a.jsonl", rows(3, topic="sums")))
    lines = done.output.splitlines()
    assert lines[0] == "a.jsonl: 3 rows"
    words = [line.split() for line in lines]
    assert ["question", "input", "What"] in [line[:3] for line in words]
    assert ["topic", "not", "used", "sums"] in words
    assert "It uses respsel.toml, which was there." in lines
    assert "Fewer than 12 examples decide nothing, and there are 3." in done.output
    assert lines[-1] == "Next: respsel run a.toml"


def test_without_a_workspace_it_makes_one(tmp_path: Path) -> None:
    """The bundled model is declared as this repository's respsel.toml declares it; results are
    ignored by git, and editors find the schemas.
    """
    folder = tmp_path / "new/deep"
    Path("respsel.toml").unlink()
    write("a.jsonl", rows(12))
    assert respsel("init", "a.jsonl", str(folder)).exit_code == 0
    made = tomli.loads((folder / "respsel.toml").read_text())
    ours = tomli.loads((Path(__file__).parents[2] / "respsel.toml").read_text())
    assert made == {"store": "cache", "runs": "runs", "models": ours["models"]}
    assert (folder / ".gitignore").read_text().splitlines()[1:] == ["/cache/", "/runs/"]
    recipe = (folder / "a.toml").read_text()
    assert tomli.loads(recipe)["datasets"][0]["path"] == "../../a.jsonl"
    for name in ("a.toml", "respsel.toml"):
        line = (folder / name).read_text().splitlines()[0]
        assert (folder / line.removeprefix("#:schema ")).is_file()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (["prompt", "chosen", "rejected"], ("prompt", ["chosen", "rejected"])),
        (["Question Text", "Answer A", "Answer B"], ("Question Text", ["Answer A", "Answer B"])),
        (["Frage", "Lösung (Mensch)", "Lösung 'KI'"], None),
        (["質問", "回答1", "回答B"], None),
        (["a", "b", "c"], ("a", ["b", "c"])),
        (['we"ird', "an,swer\\n", "{{ output }}"], None),
        (
            ["gpt4_answer", "claude_answer", "problem"],
            ("problem", ["gpt4_answer", "claude_answer"]),
        ),
        (["source_text", "formal", "casual"], ("source_text", ["formal", "casual"])),
    ],
)
def test_odd_headers_are_read(header: list[str], expected: tuple[str, list[str]] | None) -> None:
    """Blanks, quotes, other scripts and other languages; names that say nothing go by order."""
    wanted = expected or (header[0], header[1:])
    items = []
    for item in rows(12):
        values = [item["human"], item["gpt"]]
        named = dict(zip(wanted[1], values, strict=True)) | {wanted[0]: item["question"]}
        items.append({name: named[name] for name in header})
    recipe = init(write("odd.jsonl", items))
    assert recipe["datasets"][0]["input"] == wanted[0]
    assert columns(recipe) == wanted[1]
    names = [entry["name"] for entry in recipe["strategies"]]
    assert len(set(names)) == 2
    assert respsel("validate", "odd.toml").exit_code == 0


@pytest.mark.parametrize(
    "content",
    [
        "\ufefffrage;kurz;lang\n".encode(),
        b"question\tkurz\tlang\n",
        b"sep=;\nquestion;kurz;lang\n",
    ],
)
def test_tables_of_other_programs_are_read(content: bytes) -> None:
    """A byte order mark, semicolons, tabs and Excel's first line make no difference."""
    mark = "\t" if b"\t" in content else ";"
    for item in rows(12):
        content += mark.join([item["question"], item["gpt"], item["human"]]).encode() + b"\n"
    Path("t.csv").write_bytes(content)
    recipe = init("t.csv")
    assert columns(recipe) == ["kurz", "lang"]


def test_packed_and_columnar_files_are_read() -> None:
    """A packed file and a parquet file give the same recipe, named without its endings."""
    import polars

    Path("a.jsonl.gz").write_bytes(gzip.compress(jsonl(rows(12)).encode()))
    polars.DataFrame(rows(12)).write_parquet("b.parquet")
    assert columns(init("a.jsonl.gz")) == columns(init("b.parquet")) == ["human", "gpt"]
    assert Path("a.toml").is_file()


@pytest.mark.parametrize("place", ['sub dir/it\'s "data".jsonl', "sub/über & co.jsonl"])
def test_paths_are_quoted_in_recipe_and_command(place: str) -> None:
    """A path with blanks and quotes is what the recipe reads, from another folder too."""
    write(place, rows(12))
    done = respsel("init", place, "else where")
    assert done.exit_code == 0, done.output
    (made,) = Path("else where").glob("*.toml")
    assert tomli.loads(made.read_text())["datasets"][0]["path"] == f"../{place}"
    assert done.output.splitlines()[-1] == f"Next: respsel run '{made}'"
    assert respsel("validate", str(made)).exit_code == 0


def test_rows_without_a_candidate_are_left_out() -> None:
    """A column that is empty in some rows is a candidate, and the recipe says how many lack it."""
    items = [{**item, "gpt": None} if i < 3 else item for i, item in enumerate(rows(15))]
    init(write("a.jsonl", items))
    text = Path("a.toml").read_text()
    assert 'if_missing = "drop"' in text
    assert "3 rows are empty" in text
    assert runs("a.toml")["verdicts"][0]["examples"] == 12


def test_one_column_of_responses_is_compared_with_the_targets_own() -> None:
    """The second candidate is what the target writes, and it is said that this is no teacher."""
    done = respsel(
        "init", write("a.jsonl", [{"q": r["question"], "a": r["human"]} for r in rows(12)])
    )
    recipe = tomli.loads(Path("a.toml").read_text())
    assert columns(recipe) == ["a"]
    assert [e["from"] for e in recipe["strategies"]] == ["column", "model"]
    assert "It takes two candidates to choose" in done.output
    assert "It cannot be recommended" in done.output
    assert respsel("validate", "a.toml").exit_code == 0


def test_inputs_alone_are_answered_by_the_target_in_two_ways() -> None:
    """No candidate at all still gives a recipe that runs."""
    done = respsel("init", write("a.jsonl", [{"text": r["question"]} for r in rows(2)]))
    assert "No column was taken for responses" in done.output
    assert "Neither can be recommended" in done.output
    recipe = tomli.loads(Path("a.toml").read_text())
    assert [e["from"] for e in recipe["strategies"]] == ["model", "model"]
    assert respsel("validate", "a.toml").exit_code == 0


@pytest.mark.parametrize(
    ("labels", "texts", "kind"),
    [
        (["A", "B", "C"], "I think it over. The answer is ({}).", "choice"),
        (["yes", "no", "yes"], "We look at it closely. Answer: {}", "choice"),
        ([3, 4.5, -7], "It all adds up. So the answer is {}.", "number"),
        (["1,000", "2%", "3"], "It all adds up. So the answer is {}.", "number"),
        (["Paris", "Rome", "New York"], "We think of the country. Final Answer: {}", "exact"),
    ],
)
def test_labels_get_the_check_that_finds_them(labels: list[Any], texts: str, kind: str) -> None:
    """The kind is the one that reads the labels and finds them in responses."""
    items = [
        {**row(i), "human": texts.format(label), "label": label}
        for i, label in enumerate(labels * 4, 1)
    ]
    (dataset,) = init(write("a.jsonl", items))["datasets"]
    assert (dataset["label"], dataset["answer"]) == ("label", kind)


def test_no_check_that_would_call_all_answers_wrong() -> None:
    """Labels that no check finds in the responses are told and left out."""
    items = [{**item, "label": f"class {i % 3}"} for i, item in enumerate(rows(12))]
    done = respsel("init", write("a.jsonl", items))
    assert "no check finds it" in done.output
    assert "label" not in tomli.loads(Path("a.toml").read_text())["datasets"][0]
    recipe = init("a.jsonl", "--name", "b", "--label", "label", "--answer", "exact")
    assert recipe["datasets"][0]["answer"] == "exact"


def test_equal_columns_are_one_candidate() -> None:
    """A column that repeats another is not compared with it."""
    items = [{**item, "best_response": item["human"]} for item in rows(12)]
    assert columns(init(write("a.jsonl", items))) == ["human", "gpt"]


def test_what_describes_a_row_is_no_candidate() -> None:
    """Categories, sources, addresses, dates and counts are not used."""
    more = {
        "category": "some words that say what it is about",
        "source_url": "https://example.org/a/b",
        "created_at": "2026-01-01",
        "num_tokens": 12,
        "model": "gpt-4",
        "difficulty": "hard",
    }
    items = [{**more, **item, "uuid": f"{i:08x}-aaaa"} for i, item in enumerate(rows(12))]
    recipe = init(write("a.jsonl", items))
    assert columns(recipe) == ["human", "gpt"]
    assert recipe["datasets"][0]["id"] == "uuid"


def test_parts_of_columns_are_columns() -> None:
    """Objects are looked into, and a list of generations is as many candidates."""
    items = [
        {
            "task": {"prompt": item["question"], "answer": {"text": [str(2 * i)]}},
            "generations": [f"So it is {2 * i}, as we see.", f"Well, I take {2 * i} for it."],
        }
        for i, item in enumerate(rows(12), 1)
    ]
    recipe = init(write("a.jsonl", items))
    (dataset,) = recipe["datasets"]
    assert dataset["input"] == "task.prompt"
    assert dataset["label"] == "task.answer.text"
    assert columns(recipe) == ["generations.0", "generations.1"]
    assert respsel("validate", "a.toml").exit_code == 0


@pytest.mark.parametrize("given", ["", None])
def test_alpacas_rows_ask_in_two_columns(given: str | None) -> None:
    """Instruction and input are one question, also where the second is empty."""
    items = [
        {
            "instruction": item["question"],
            "input": given if i % 2 else "Use figures.",
            "output": item["human"],
        }
        for i, item in enumerate(rows(12))
    ]
    recipe = init(write("a.jsonl", items))
    assert recipe["datasets"][0]["input"] == (
        "{{ instruction }}{% if input %}\n\n{{ input }}{% endif %}"
    )
    assert columns(recipe) == ["output"]


def test_an_instruction_that_is_always_the_same_is_asked() -> None:
    """It is part of what the target is trained on."""
    items = [{"instruction": "Answer in full.", **item} for item in rows(12)]
    items = [{("input" if k == "question" else k): v for k, v in row.items()} for row in items]
    recipe = init(write("a.jsonl", items))
    assert recipe["datasets"][0]["input"] == "{{ instruction }}\n\n{{ input }}"
    assert columns(recipe) == ["human", "gpt"]


@pytest.mark.parametrize("typed", ["context, question", "context,question"])
def test_inputs_may_be_named_as_candidates_are(typed: str) -> None:
    """With commas between, they are joined in that order."""
    write("a.jsonl", rows(12, context="Some words."))
    recipe = init("a.jsonl", "--input", typed)
    assert recipe["datasets"][0]["input"] == "{{ context }}\n\n{{ question }}"


@pytest.mark.parametrize("first", [0, 1])
def test_options_have_the_numbers_of_the_labels(first: int) -> None:
    """Labels that count the options from 0 or 1 are checked as choices."""
    items = [
        {"question": f"Which is {i}?", "choices": ["this", "that"], "answer": i % 2 + first}
        for i in range(12)
    ]
    (dataset,) = init(write("a.jsonl", items))["datasets"]
    assert f"{{{{ loop.index{'' if first else '0'} }}}}. {{{{ c }}}}" in dataset["input"]
    assert dataset["answer"] == "choice"


def test_options_are_part_of_the_question() -> None:
    """A list of choices is asked too."""
    items = [
        {
            **row(i),
            "choices": [f"It is {i}", f"It is {2 * i}"],
            "answer": "AB"[i % 2],
            "human": f"It is {'AB'[i % 2]}.",
        }
        for i in range(1, 13)
    ]
    recipe = init(write("a.jsonl", items))
    assert "{% for c in choices %}" in recipe["datasets"][0]["input"]
    assert recipe["datasets"][0]["answer"] == "choice"


def chat(i: int, *answers: str) -> list[dict[str, str]]:
    turns = []
    for answer in answers:
        turns += [
            {"role": "user", "content": f"What is {i}, and how?"},
            {"role": "assistant", "content": answer},
        ]
    return turns


def test_conversations_are_read_as_such() -> None:
    """Their last turn is a candidate; text beside them is another."""
    items = [
        {"messages": chat(i, "It is so.", f"It is {i}."), "short": f"Well, it is {i}, I think."}
        for i in range(12)
    ]
    recipe = init(write("a.jsonl", items))
    assert recipe["datasets"][0]["messages"] == "messages"
    assert columns(recipe) == ["messages", "short"]
    assert respsel("validate", "a.toml").exit_code == 0


def test_conversations_that_end_with_the_question_are_answered() -> None:
    """There is nothing to take from them, so the target writes."""
    items = [{"conversations": [{"from": "human", "value": f"What is {i}?"}]} for i in range(12)]
    recipe = init(write("a.jsonl", items))
    assert columns(recipe) == []
    assert len(recipe["strategies"]) == 2


def test_a_conversation_without_its_reply_is_named() -> None:
    """The replies of the others are not dropped for it."""
    items = [{"messages": chat(i, f"It is {i}.")} for i in range(12)]
    items.append({"messages": chat(12, "")[:-1]})
    write("a.jsonl", items)
    done = respsel("init", "a.jsonl")
    assert done.exit_code == 2
    assert "a.jsonl: line 13, turn " in done.output
    assert "Add the response, or take the row out." in done.output
    assert not Path("a.toml").exists()


def test_preferences_of_conversations_are_two_candidates() -> None:
    """Chosen and rejected may be whole conversations, beside a prompt or with it."""
    both = [
        {
            "prompt": [{"role": "user", "content": f"What is {i}?"}],
            "chosen": [{"role": "assistant", "content": f"It is {i}."}],
            "rejected": [{"role": "assistant", "content": "I do not know."}],
        }
        for i in range(12)
    ]
    recipe = init(write("a.jsonl", both))
    assert recipe["datasets"][0]["messages"] == "prompt"
    assert columns(recipe) == ["chosen", "rejected"]
    assert respsel("validate", "a.toml").exit_code == 0
    text = [
        {"prompt": f"What is {i}?", "chosen": chat(i, f"It is {i}."), "rejected": chat(i, "No.")}
        for i in range(12)
    ]
    recipe = init(write("b.jsonl", text))
    assert columns(recipe) == ["chosen.-1.content", "rejected.-1.content"]
    assert respsel("validate", "b.toml").exit_code == 0


def test_a_large_file_is_sampled() -> None:
    """A first look takes some tens of examples, fewer of long ones, and the recipe says of how
    many.
    """
    recipe = init(write("a.jsonl", rows(2000)))
    assert recipe["datasets"][0]["sample"] == 48
    assert "of 2,000, for a first look" in Path("a.toml").read_text()
    long = [{**item, "human": item["human"] * 200} for item in rows(60)]
    assert "sample" not in init(write("c.jsonl", rows(60)))["datasets"][0]
    assert init(write("b.jsonl", long))["datasets"][0]["sample"] == 24


def test_what_is_named_is_taken() -> None:
    """Options go before proposals; `none` takes nothing."""
    items = [
        {**item, "id": i, "third": LONG.format(i), "answer": i} for i, item in enumerate(rows(12))
    ]
    write("a.jsonl", items)
    recipe = init("a.jsonl", "--responses", "third, gpt", "--label", "none", "--id", "none")
    assert columns(recipe) == ["third", "gpt"]
    assert {"label", "id"}.isdisjoint(recipe["datasets"][0])
    recipe = init("a.jsonl", "--name", "b", "--input", "Say it: {{ question }}\\nNow!")
    assert recipe["datasets"][0]["input"] == "Say it: {{ question }}\nNow!"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--input", "qestion"], "there is no column 'qestion'. Did you mean 'question'?"),
        (["--input", "{{"], "line 1 of the template: "),
        (["--input", "{% x"], "line 1 of the template: "),
        (["--input", "{{ question | absent }}"], "line 1 of the template: "),
        (["--input", "{{ " + "(" * 300], "template"),
        (["--responses", "gpt,humen"], "there is no column 'humen'. Did you mean 'human'?"),
        (["--model", "absent.gguf"], "'absent.gguf' is no file"),
        (["--model", "http://127.0.0.1:9/v1"], "Add --called NAME"),
        (["--model", "http://127.0.0.1:9/v1", "--called", "m"], "Add --tokenizer"),
        (["--model", "owner/name"], "Say --model owner/name@COMMIT"),
        (["--model", "http://me:pw@127.0.0.1:9/v1", *ENDPOINT], "without user, password or query"),
        (["--model", "http://127.0.0.1:9/v1?api_key=pw", *ENDPOINT], "Name the environment"),
        (["--model", "http://", *ENDPOINT], "'base_url' is http:// or https://"),
        (["--model", "a.jsonl"], "--model a.jsonl: is no GGUF file"),
        (
            ["--model", "http://127.0.0.1:9/v1", "--called", "m", "--tokenizer", "a.jsonl"],
            "no GGUF",
        ),
        (["--called", "m"], "is for a model behind an endpoint"),
        (["--name", "a/b"], "is no name of a file"),
        (["--name", "respsel"], "is the name of the workspace's file"),
        (["--answer", "number", "--label", "none"], "--answer"),
    ],
)
def test_what_cannot_be_is_refused(args: list[str], told: str) -> None:
    """An error says what to give, and nothing is written."""
    write("a.jsonl", rows(3))
    before = sorted(Path().rglob("*"))
    done = respsel("init", "a.jsonl", *args)
    assert done.exit_code == 2, done.output
    assert told in done.output
    assert "pw" not in done.output
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("absent.csv", "absent.csv: there is no such file. Give the path of your data from here."),
        ("~/a.csv", "~/a.csv: there is no such file. Give the path of your data from here; ~ does"),
        (".", ".: is a folder, not a file. Name one file in it."),
        ("https://me:pw@example.org/a.csv", "https://…@example.org/a.csv: is an address"),
        ("https://example.org/a.csv?token=pw", "https://example.org/a.csv?…: is an address"),
        ("hf://datasets/me/a@main/a.csv", "hf://datasets/me/a@main/a.csv: is an address"),
        ("s3://me:pw@bucket/a.csv", "s3://…@bucket/a.csv: is an address"),
        ("data/*.csv", "data/*.csv: is a pattern, and init looks at one file. Name one of its"),
        ("nowhere.csv", "nowhere.csv: is a link, and there is no file where it leads."),
    ],
)
def test_data_that_is_no_file_is_told(given: str, told: str) -> None:
    """The path is shown as it was typed, but no password."""
    Path("nowhere.csv").symlink_to("absent.csv")
    done = respsel("init", given)
    assert done.exit_code == 2
    assert "pw" not in done.output
    assert f"error: {told}" in done.output


def test_where_it_cannot_decide_it_names_the_option() -> None:
    """Without a terminal nothing is asked."""
    write("a.jsonl", [{"x": i, "y": i * i} for i in range(12)])
    done = respsel("init", "a.jsonl")
    assert done.exit_code == 2
    assert "Name it with --input COLUMN. Known: x, y" in done.output


def test_rows_with_faults_are_told_before_anything_is_written() -> None:
    """A recipe that would not run is not written."""
    items = [{**item, "id": "same"} for item in rows(3)]
    write("a.jsonl", items)
    done = respsel("init", "a.jsonl")
    assert done.exit_code == 2
    assert "id 'same' is also in line 1" in done.output
    assert not Path("a.toml").exists()


def test_a_model_is_declared_where_it_belongs(tmp_path: Path) -> None:
    """In respsel.toml, if that is new, or else in the recipe; a path is relative to that file."""
    write("a.jsonl", rows(3))
    Path("models").mkdir()
    Path("models/My Model.gguf").write_bytes(b"GGUF")
    recipe = init("a.jsonl", "sub", "--model", "models/My Model.gguf")
    assert recipe["target"] == {"model": "My-Model"}
    assert recipe["models"]["My-Model"] == {
        "backend": "llama-cpp",
        "path": "../models/My Model.gguf",
    }
    Path("respsel.toml").unlink()
    commit = "0123456789" * 4
    assert "models" not in init("a.jsonl", "new", "--model", f"owner/name@{commit}")
    made = tomli.loads(Path("new/respsel.toml").read_text())["models"]["name"]
    assert made == {"backend": "transformers", "repo": "owner/name", "revision": commit}
    Path("respsel.toml").write_text(FAKE)
    recipe = init(
        "a.jsonl",
        "--model",
        "http://127.0.0.1:9/v1",
        "--called",
        "m",
        "--tokenizer",
        f"owner/name@{commit}",
    )
    assert recipe["models"]["m"]["base_url"] == "http://127.0.0.1:9/v1"


def test_on_a_terminal_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Return takes what is proposed; what is typed is checked and changes what follows."""
    import respsel.cli.init as command

    monkeypatch.setattr(command, "_is_terminal", lambda: True)
    write("a.jsonl", [{**item, "other": LONG.format(i)} for i, item in enumerate(rows(12))])
    done = respsel("init", "a.jsonl", typed="{{ x\n\nhumen\nhuman, other\n\n\n")
    assert done.exit_code == 0, done.output
    assert "What is the target asked? [question]" in done.output
    assert "line 1 of the template: " in done.output
    assert "Did you mean 'human'?" in done.output
    assert columns(tomli.loads(Path("a.toml").read_text())) == ["human", "other"]
    stopped = respsel("init", "a.jsonl", "--name", "b", typed="\n")
    assert stopped.exit_code == 130
    assert "No recipe was written" in stopped.output
    assert not Path("b.toml").exists()
    assert respsel("init", "a.jsonl", "--name", "c", "--yes").exit_code == 0


def test_without_data_it_writes_the_quickstart(tmp_path: Path) -> None:
    """The demo is the repository's recipe with its data, and it is sound."""
    done = respsel("init")
    assert done.exit_code == 0, done.output
    assert respsel("validate", "quickstart.toml").exit_code == 0
    ours = Path(__file__).parents[2] / "recipes"
    made = tomli.loads(Path("quickstart.toml").read_text())
    # This workspace declares another model, so the recipe declares the bundled one.
    declared = made.pop("models")
    assert list(declared) == ["smollm2"]
    assert made == tomli.loads((ours / "quickstart.toml").read_text())
    data = "quickstart/problems.jsonl"
    assert Path(data).read_bytes() == (ours / data).read_bytes()
    assert respsel("init", "--input", "a").exit_code == 2


def test_the_wheel_has_the_demo() -> None:
    """What it writes is packed beside the code, from the one copy in recipes/."""
    from respsel.draft.demo import DATA, NAME, demo_file

    root = Path(__file__).parents[2]
    build = tomli.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    for name in (f"{NAME}.toml", DATA):
        assert build["wheel"]["force-include"][f"recipes/{name}"] == f"respsel/draft/demo/{name}"
        assert any(f"recipes/{name}".startswith(path) for path in build["sdist"]["include"])
        assert demo_file(name) == (root / "recipes" / name).read_text()
