"""Promise: nothing in a text, an id or a label is obeyed by a browser that shows an example, and no
mark in it turns the text around.
"""

from __future__ import annotations

import re

import respsel
from respsel.text.characters import visible
from tests.conftest import Bench, jsonl, rows
from tests.report.test_write import Tags

EVIL = (
    '</p></section><script>alert(1)</script><img src=x onerror="y"><a href="http://evil">z</a> & '
    "\"q\" '{{ 7 * 7 }}' {% raw %} \u202e\x1b[31m\u2028\x00 <!-- ]]> javascript:"
)


def shown(bench: Bench) -> list[str]:
    with respsel.open_study(bench.recipe) as study:
        study.run()
    return [path.read_text("utf-8") for path in (bench.folder / "runs/a/examples").glob("*.html")]


def test_texts_are_shown_and_not_obeyed(bench: Bench) -> None:
    """Ids, inputs, labels and responses are text on every page, with control characters to see."""
    evil = [
        {
            "id": f"{EVIL[:90]}{i}",
            "question": f"{i} {EVIL}",
            "rationale": EVIL,
            "answer": f"{EVIL}{i}",
        }
        for i, _ in enumerate(rows(6))
    ]
    bench.write("sums.jsonl", jsonl(evil))
    bench.edit('answer = "number"', 'answer = "exact"')
    bench.edit("samples = 2", 'samples = 2\nkeep = "all"')
    pages = shown(bench)
    assert len(pages) == 2
    for page in pages:
        tags = Tags()
        tags.feed(page)
        assert not {"script", "img", "iframe", "link", "object"} & set(tags.opened)
        assert all(
            re.fullmatch(r"(\d+|index|\.\./report)\.html(#[\w.~%-]+)?", link)
            for link in tags.refers
        )
        assert not set("\u202e\x1b\u2028\x00") & set(page)
    (page,) = (page for page in pages if 'id="id-' in page)
    tags = Tags()
    tags.feed(page)
    assert tags.text.count(visible(EVIL)) >= 12
    assert page.count("<section") == page.count("</section>") == 6


def test_conversations_are_shown_and_not_obeyed(bench: Bench) -> None:
    """The same for turns, whose names and contents come from data too."""
    chats = [
        {
            "id": f"c{i}",
            "messages": [
                {"role": "user", "content": f"{i} {EVIL}"},
                {"role": "assistant", "content": f"{i} {EVIL}"},
            ],
        }
        for i in range(6)
    ]
    bench.write("chats.jsonl", jsonl(chats))
    recipe = bench.recipe.read_text()
    start = recipe.index("[[datasets]]")
    end = recipe.index("[own_outputs]")
    data = '[[datasets]]\nname = "chats"\npath = "chats.jsonl"\nmessages = "messages"\n\n'
    data += '[[strategies]]\nname = "own"\nfrom = "column"\ncolumn = "messages"\n\n'
    bench.write("a.toml", recipe[:start] + data + recipe[end:])
    bench.edit("samples = 2", 'samples = 2\nkeep = "all"')
    pages = shown(bench)
    tags = Tags()
    tags.feed("".join(pages))
    assert not {"script", "img", "iframe"} & set(tags.opened)
    assert tags.text.count(visible(EVIL)) >= 12
    assert not set("\u202e\x1b\u2028\x00") & set("".join(pages))
