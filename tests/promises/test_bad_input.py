"""Promise: bad input gives one clear error with file and place, the right exit code, and no
traceback.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Bench, jsonl, needs, rows


def check(bench: Bench, code: int, message: str) -> None:
    for command in ("plan", "run"):
        done = bench.respsel(command, "a.toml")
        assert done.code == code, done.err
        assert message in done.err
        assert done.err.count("error: ") == 1, done.err
        assert "Traceback" not in done.err


def test_unknown_key(bench: Bench) -> None:
    """A misspelt key names its place and the key that was meant."""
    bench.edit("prompt =", 'prompt = "x"\npromt =')
    check(bench, 2, "strategy 'teacher', promt: unknown key. Did you mean 'prompt'?")


def test_missing_file(bench: Bench) -> None:
    """A data file that is not there."""
    (bench.folder / "sums.jsonl").unlink()
    check(
        bench,
        2,
        "dataset 'sums', path: there is no file sums.jsonl. Paths are relative to the recipe.",
    )


def test_duplicate_id(bench: Bench) -> None:
    """An id that stands twice names both lines."""
    bench.write("sums.jsonl", jsonl([*rows(3), rows(1)[0]]))
    check(bench, 2, "error: sums.jsonl: line 4: id 'e0' is also in line 1. Make the ids unique.")


def test_a_line_that_is_no_json(bench: Bench) -> None:
    """A broken line names line and column."""
    bench.write("sums.jsonl", jsonl(rows(2)) + "{'id': 3}\n")
    check(
        bench,
        2,
        "error: sums.jsonl: line 3, column 2: is not JSON: Expecting property name enclosed in "
        "double quotes. Fix it.",
    )


def test_a_response_file_lacking_an_example(bench: Bench) -> None:
    """A response file without a sampled example names the example."""
    bench.write("r.jsonl", jsonl([{"id": f"e{i}", "response": "x"} for i in range(12) if i != 4]))
    bench.edit('from = "column"\ncolumn = "rationale"', 'from = "file"\npath = "r.jsonl"')
    bench.edit("sample = 6", "sample = 12")
    check(bench, 2, "error: r.jsonl: has no response for example 'e4'. Add a row with this id.")


def test_an_unknown_column(bench: Bench) -> None:
    """A column strategy whose column is not there, and where the recipe names it."""
    bench.edit('column = "rationale"', 'column = "rational"')
    place = "which a.toml: line 25, strategy 'human', column names"
    check(bench, 2, f"has no column 'rational', {place}. Did you mean 'rationale'?")


def test_an_unknown_name_in_a_prompt(bench: Bench) -> None:
    """A prompt with a field that the examples lack."""
    bench.edit("{{ input }}", "{{ inputt }}")
    check(bench, 2, "strategy 'teacher', prompt: 'inputt' is not a field of example")


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_and_crlf_are_no_faults(bench: Bench, mark: bytes, ending: bytes) -> None:
    """Files as Windows editors save them give the same run."""
    first = bench.run()["verdicts"]
    for name in ("sums.jsonl", "a.toml"):
        bench.write(name, mark + (bench.folder / name).read_bytes().replace(b"\n", ending))
    done = bench.run()
    assert (done["calls_made"], done["verdicts"]) == (0, first)


def test_a_prompt_longer_than_the_context(bench: Bench) -> None:
    """It names the example before any model call; nothing is cut."""
    long = [
        {**row, "question": row["question"] + " really" * 100} if row["id"] == "e5" else row
        for row in rows(12)
    ]
    bench.write("sums.jsonl", jsonl(long))
    bench.edit("sample = 6", "sample = 12")
    bench.edit(
        'backend = "fake"\n\n[models.teacher]',
        'backend = "fake"\ncontext_tokens = 700\n\n[models.teacher]',
    )
    bench.edit("samples = 2", "samples = 2\nsampling = { max_tokens = 50 }")
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert "example 'e5': prompt of " in done.err
    assert "exceed the context of 700" in done.err
    assert "Traceback" not in done.err
    assert not (bench.folder / "runs").exists()


def test_a_given_response_longer_than_the_context_stops_before_any_call(bench: Bench) -> None:
    """A response that stands in the data is checked before the first call, of any model."""
    long = [{**row, "rationale": "so " * 300} if row["id"] == "e5" else row for row in rows(12)]
    bench.write("sums.jsonl", jsonl(long))
    bench.edit("sample = 6", "sample = 12")
    bench.edit(
        'backend = "fake"\n\n[models.teacher]',
        'backend = "fake"\ncontext_tokens = 700\n\n[models.teacher]',
    )
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert "error: human, plain, example 'e5': prompt of" in done.err
    assert "calls to" not in done.err


def test_an_input_longer_than_the_context_stops_before_a_teacher_is_asked(bench: Bench) -> None:
    """An input that the target cannot be scored on is found before another model writes responses
    to it.
    """
    long = [{**row, "question": "what " * 300} if row["id"] == "e5" else row for row in rows(12)]
    bench.write("sums.jsonl", jsonl(long))
    bench.edit("sample = 6", "sample = 12")
    bench.edit(
        'backend = "fake"\n\n[models.teacher]',
        'backend = "fake"\ncontext_tokens = 700\n\n[models.teacher]',
    )
    bench.edit('[[strategies]]\nname = "human"\nfrom = "column"\ncolumn = "rationale"\n', "")
    bench.edit(
        '[[metrics]]\nname = "self-aligned-perplexity"\nk = 2\n\n[[metrics]]\nname = "alignment"\n',
        "",
    )
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert "example 'e5': prompt of " in done.err
    assert "calls to" not in done.err


@pytest.mark.parametrize("only_models", [False, True])
def test_a_label_that_an_answer_check_added_later_cannot_use(
    bench: Bench, only_models: bool
) -> None:
    """An answer check that no label fits is refused before any call, also where the examples are in
    the store already.
    """
    bench.write("sums.jsonl", jsonl([{**row, "answer": "yes"} for row in rows(12)]))
    if only_models:
        bench.edit('[[strategies]]\nname = "human"\nfrom = "column"\ncolumn = "rationale"\n', "")
    bench.edit('answer = "number"\n', "")
    bench.run()
    bench.edit('label = "answer"', 'label = "answer"\nanswer = "number"')
    bench.edit(
        'prompt = "Solve: {{ input }}"', 'prompt = "Solve this: {{ input }}"\nif_wrong = "drop"'
    )
    problem = (
        "and 5 more: label 'yes' holds no number to check answers against. Fix the label, "
        "or choose another 'answer'."
    )
    check(bench, 2, problem)
    done = bench.respsel("run", "a.toml")
    assert "error: sums.jsonl: id 'e" in done.err
    assert "calls to" not in done.err
    # Read anew, it is the line that is named.
    shutil.rmtree(bench.folder / "cache")
    check(
        bench,
        2,
        "error: sums.jsonl: line 1 and 11 more: label 'yes' holds no number to check answers "
        "against.",
    )
    bench.edit('answer = "number"', 'answer = "exact"')
    bench.run()


@needs("llama_cpp", "gguf")
def test_a_gguf_without_a_chat_template(bench: Bench, make_tiny_gguf: Callable[..., Path]) -> None:
    """It is refused with a remedy, exit code 3; nothing is asked with a template that
    was guessed.
    """
    path = make_tiny_gguf(template=None)
    bench.edit(
        'backend = "fake"\n\n[models.teacher]',
        f'backend = "llama-cpp"\npath = "{path}"\n\n[models.teacher]',
    )
    done = bench.respsel("run", "a.toml")
    assert done.code == 3
    assert done.err.splitlines()[-1] == (
        f"error: {path}: this GGUF has no chat template. "
        "Set 'chat_template' to a Jinja2 file, or use an instruction-tuned model that carries one."
    )


def test_a_package_that_is_not_installed(bench: Bench) -> None:
    """A model in a package that is not there is exit code 3 with the command to install it."""
    entry = 'backend = "llama-cpp"\npackage = "no_such_model"\nfile = "x.gguf"\n\n[models.teacher]'
    bench.edit('backend = "fake"\n\n[models.teacher]', entry)
    check(
        bench,
        3,
        "model 'target': package 'no_such_model' is not installed. Install it, e.g. "
        "pip install no-such-model.",
    )
