"""Several datasets of which each has a winner that another one bars."""

from __future__ import annotations

import json

from tests.conftest import Bench, jsonl


def test_own_winners_are_named_where_none_is_for_all(bench: Bench) -> None:
    """Each strategy is right in one dataset and wrong in the other: give each a recipe."""
    strategies = "".join(
        f'\n[[strategies]]\nname = "{name}"\nfrom = "column"\ncolumn = "{name}"\n' for name in "ab"
    )
    datasets = "".join(
        f'\n[[datasets]]\nname = "{name}"\npath = "{name}.jsonl"\nlabel = "y"\nanswer = "number"\n'
        for name in ("d", "e")
    )
    head = 'format = 1\ntarget = { model = "target" }\nmodels.target = { backend = "fake" }\n'
    bench.write("a.toml", f'{head}metrics = [{{ name = "perplexity" }}]\n{datasets}{strategies}')
    for name, (a, b) in {"d": (0, 1), "e": (1, 0)}.items():
        rows = [
            {"id": f"{name}{i}", "input": f"What is {i} plus {i}?", "y": 2 * i}
            | {"a": f"It is {2 * i + a}", "b": f"That makes {2 * i + b}"}
            for i in range(14)
        ]
        bench.write(f"{name}.jsonl", jsonl(rows))
    bench.run()
    said = json.loads((bench.folder / "runs/a/report.json").read_text())["headline"]
    assert said["which"] == "No strategy can be recommended"
    assert said["next_step"].startswith(
        "On its own, a dataset has one: a for d and b for e. Give each dataset a recipe"
    )
    assert bench.respsel("apply", "a.toml").code == 1
