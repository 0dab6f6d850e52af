"""Pictures of the report: 2 and 16 strategies, 1 and 4 datasets; light, dark, phone and print.

Run `python tools/gallery.py [FOLDER]`, or `nox -s gallery`. It makes four recipes with texts of
ours, runs them on the fake backend, and has a Chromium that it finds on PATH take the pictures.
For each page it says whether the page can be scrolled sideways, which it should not. The folder is
`gallery`, which git ignores. Without a browser it says so and exits with 0.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SILENT = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--allow-file-access-from-files",
)
# Chromium takes no taller picture.
TALLEST = 16_000
# Of the pages of examples: the ids, and one page of each dataset.
_EXAMPLES = ("index", "1", "3", "5")
LONG = "a-strategy-whose-name-has-sixty-characters-and-no-blank-1234"
NAMES = [
    "gpt-style-short",
    LONG,
    "textbook",
    "step-by-step",
    "first-principles",
    "Socratic",
    "rewritten-by-target",
    "terse",
    "MMMMWWWW-WIDE-LETTERS-WWWW",
    "kind-teacher",
    "exam-key",
    "proof-first",
    "numbers-only",
    "two-ways-and-check",
    "loops",
    "wrong-often",
]
DATASETS = ["sums", "sums-in-chat", "worded-in-many-scripts", "hard"]
HEAD = """\
format = 1

[target]
model = "target"

[models.target]
backend = "fake"

[models.teacher]
backend = "fake"
variant = "teacher"
price = { input = 0.5, output = 1.5 }

[own_outputs]
samples = 2

[[metrics]]
name = "perplexity"

[[metrics]]
name = "self-aligned-perplexity"
k = 2

[[metrics]]
name = "confident-conflicts"

[judge]
model = "teacher"
rubric = "It gives the right sum."

[selection]
metric = "perplexity"
require = { right = 0 }
"""


@dataclass(frozen=True)
class Shot:
    """A look at a page.

    width: of the window, in pixels.
    dark: whether the reader's system is dark.
    print: whether it is the look on paper, without page breaks.
    """

    name: str
    width: int
    dark: bool = False
    print: bool = False


SHOTS = (
    Shot("light", 1280),
    Shot("dark", 1280, dark=True),
    Shot("phone", 390),
    Shot("phone-dark", 390, dark=True),
    Shot("print", 720, print=True),
)


def main() -> None:
    """Make all pictures."""
    options = argparse.ArgumentParser(description="Take pictures of the report.")
    options.add_argument("folder", nargs="?", default="gallery", help="where they go")
    out = Path(options.parse_args().folder).resolve()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"No pictures: none of {', '.join(BROWSERS)} is on PATH.")
        return
    out.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        for strategies in (2, 16):
            for datasets in (1, 4):
                folder = Path(place) / f"{strategies}-strategies-{datasets}-datasets"
                make_workspace(folder, strategies, datasets)
                subprocess.run(
                    [sys.executable, "-m", "respsel", "run", "a.toml"], cwd=folder, check=True
                )
                wrong += take_pictures(browser, folder, out)
    print(f"The pictures are in {out}. {wrong} pages scroll sideways.")


def make_workspace(folder: Path, strategies: int, datasets: int) -> None:
    """Write a recipe with its data."""
    folder.mkdir(parents=True)
    names = NAMES[:strategies]
    parts = [HEAD]
    for number, dataset in enumerate(DATASETS[:datasets]):
        rows = list(rows_of(number, names))
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{dataset}.jsonl").write_text(lines, "utf-8")
        fields = 'messages = "messages"' if number == 1 else 'input = "question"'
        parts.append(
            f'[[datasets]]\nname = "{dataset}"\npath = "{dataset}.jsonl"\n{fields}\n'
            f'reference = "textbook"\nlabel = "answer"\nanswer = "number"\nsample = {60 - number}\n'
        )
    for name in names:
        source = f'from = "column"\ncolumn = "{name}"'
        if name == "Socratic":
            source = 'from = "model"\nmodel = "teacher"\nprompt = "Ask and solve: {{ input }}"'
        if name == "rewritten-by-target":
            source = 'from = "model"\nmodel = "target"\nprompt = "Say again: {{ reference }}"'
        parts.append(f'[[strategies]]\nname = "{name}"\n{source}\n')
    (folder / "a.toml").write_text("\n".join(parts), "utf-8")


def rows_of(dataset: int, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a dataset: the first for sums, then conversations, other scripts, long ones."""
    for i in range(70):
        left = 3 + 7 * i
        right = 5 + 3 * i
        question = f"What is {left} plus {right}?"
        key = f"e{i}"
        if dataset == 2:
            question = (
                f"{left} に {right} を足すといくつですか。長い文でも折り返します。" * 3,
                f"كم يساوي {left} زائد {right}؟ اشرح الخطوات كلها بوضوح." * 3,
                f"Supercalifragilistic{'x' * 200}{left}+{right}?",
            )[i % 3]
            key = (f"日本語の識別子-{i}" * 3, f"معرف-{i}", f"an-id-without-blanks-{'9' * 120}-{i}")[
                i % 3
            ]
        row: dict[str, Any] = {"id": key, "question": question, "answer": left + right}
        if dataset == 1:
            row["messages"] = [
                {"role": "system", "content": "You are a patient teacher of arithmetic."},
                {"role": "user", "content": f"Hello! May I ask about {left}?"},
                {"role": "assistant", "content": "Of course. What about it?"},
                {"role": "user", "content": question},
            ]
        for place, name in enumerate(["textbook", *names]):
            row[name] = text_of(name, place, i, left, right, dataset)
        yield row


def text_of(name: str, place: int, i: int, left: int, right: int, dataset: int) -> str:
    """What a strategy says about a sum; a part of them has a fault that the report finds."""
    total = left + right + (i % 3 == 0 if name == "wrong-often" else 0)
    if name == "numbers-only":
        return str(total)
    if name == "loops" and i % 2:
        return f"{left} plus {right} is {total}. " * 20
    steps = [
        f"We add {left} and {right}.",
        f"First the tens: {left // 10 * 10} and {right // 10 * 10}.",
        f"Then the ones: {left % 10} and {right % 10}.",
        "Carry where the ones are more than nine.",
        "Check by taking one of them away again.",
    ]
    if dataset == 2 and place % 3 == 0:
        steps = [f"الجواب هو مجموع {left} و {right}.", f"{left} と {right} を足します。"]
    shown = steps[: 1 + (place + i) % len(steps)] * (8 if dataset == 3 and i % 9 == 0 else 1)
    return " ".join([*shown, f"The answer is {total}."])


def take_pictures(browser: str, folder: Path, out: Path) -> int:
    """All pictures of a report and of its pages of examples; how many pages scroll sideways."""
    pages = {"report": folder / "runs/a/report.html"}
    pages |= {
        f"examples-{page.stem}": page
        for page in sorted((folder / "runs/a/examples").glob("*.html"))
        if page.stem in _EXAMPLES
    }
    wrong = 0
    for name, page in pages.items():
        for shot in SHOTS if name == "report" else SHOTS[1:3]:
            looked = page.with_name(f"shot-{shot.name}-{page.name}")
            looked.write_text(as_seen(page.read_text("utf-8"), shot), "utf-8")
            wide, high = size_of(browser, looked, shot.width)
            if wide > shot.width:
                wrong += 1
                print(f"{folder.name}/{name} at {shot.width}: {wide} pixels wide")
            picture = out / f"{folder.name}-{name}-{shot.name}.png"
            photograph(browser, looked, picture, shot.width, min(high, TALLEST))
    sheet = f"--print-to-pdf={out / folder.name}.pdf"
    subprocess.run(
        [browser, *SILENT, "--no-pdf-header-footer", sheet, pages["report"].as_uri()],
        check=True,
        capture_output=True,
    )
    return wrong


def as_seen(text: str, shot: Shot) -> str:
    """A page with the style that a reader's system would choose."""
    scheme = "all" if shot.dark else "not all"
    text = text.replace("@media (prefers-color-scheme: dark)", f"@media {scheme}")
    medium = "all" if shot.print else "not all"
    text = text.replace("@media print", f"@media {medium}")
    return text.replace("light dark", "dark") if shot.dark else text


def frame_of(page: Path, width: int, height: int) -> Path:
    """A page that shows another one in a frame: a window cannot be as narrow as a phone."""
    frame = page.with_name(f"frame-{page.name}")
    frame.write_text(
        f'<body style="margin:0"><iframe id="f" src="{page.name}" width="{width}" '
        f'height="{height}" style="border:0"></iframe><script>onload = () => {{ const d = '
        "document.getElementById('f').contentDocument.documentElement; document.title = "
        "`${d.scrollWidth} ${d.scrollHeight}`; };</script>",
        "utf-8",
    )
    return frame


def size_of(browser: str, page: Path, width: int) -> tuple[int, int]:
    """How wide and high a page is in a window of a width; wider means that it scrolls sideways."""
    frame = frame_of(page, width, 800)
    command = [browser, *SILENT, "--window-size=1400,900", "--dump-dom", frame.as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"<title>(\d+) (\d+)</title>", done.stdout)
    if found is None:
        raise SystemExit(f"{browser} says nothing about {page}: {done.stderr[-2000:]}")
    return int(found[1]), int(found[2])


def photograph(browser: str, page: Path, picture: Path, width: int, height: int) -> None:
    """Take a picture of a whole page."""
    frame = frame_of(page, width, height)
    size = f"--window-size={width},{height}"
    command = [browser, *SILENT, size, f"--screenshot={picture}", frame.as_uri()]
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
