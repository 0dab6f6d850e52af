"""A first recipe, and the respsel.toml beside it, as commented TOML.

Knows nothing of files. Invariant: any text of a data file is quoted as TOML wants it, so that what
is read back is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from respsel.draft import names
from respsel.draft.proposal import Proposal
from respsel.draft.target import Target
from respsel.recipe.schema_line import WORKSPACE_SCHEMA, schema_line
from respsel.selection.verdict import FEWEST_EXAMPLES

# Where the schemas lie, seen from the recipe.
SCHEMAS = ".respsel"
_COMMENT_COLUMN = 28
# A first look: what scoring takes a minute or two for, on a laptop.
_FIRST_LOOK_TOKENS = 40_000
_MOST_SAMPLED = 48
_FEWEST_SAMPLED = 2 * FEWEST_EXAMPLES
_BYTES_PER_TOKEN = 4


@dataclass(frozen=True)
class Facts:
    """What a recipe is written from besides the proposal.

    command: how the user runs it.
    dataset: the dataset's name.
    path: the data file, as the recipe names it.
    rows: how many rows it has; None if they were not all looked at.
    empty: by column of responses, how many rows say nothing there.
    row_bytes: the length of what a row has scored, at the median.
    longest_bytes: the length of the longest response with what is asked.
    declares: whether the recipe declares the target itself.
    """

    command: str
    dataset: str
    path: str
    rows: int | None
    empty: Mapping[str, int]
    row_bytes: int
    longest_bytes: int
    declares: bool


def recipe_text(proposal: Proposal, target: Target, facts: Facts) -> str:
    """The recipe's text."""
    parts = [
        _head(target, facts),
        _target(target, facts),
        _dataset(proposal, facts),
        *_strategies(proposal, target, facts),
        _METRICS,
        _more(target),
    ]
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def workspace_text(target: Target) -> str:
    """The text of a respsel.toml that declares a target."""
    lines = [
        schema_line(WORKSPACE_SCHEMA, SCHEMAS),
        "# Where respsel keeps its results, and the models that all recipes in this folder share.",
        _line('store = "cache"', "what models were asked; a run makes only what it lacks"),
        _line('runs = "runs"', "the reports and training sets"),
        "",
        model_text(target),
    ]
    return "\n".join(lines)


def quoted(text: str) -> str:
    """Text as a TOML string."""
    # JSON's escapes are TOML's; DEL is the only character that TOML wants escaped besides.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _line(code: str, comment: str = "") -> str:
    return f"{code.ljust(_COMMENT_COLUMN - 1)} # {comment}" if comment else code


def _head(target: Target, facts: Facts) -> str:
    lines = [
        schema_line(folder=SCHEMAS),
        f"# On which of these responses should {target.name} be fine-tuned?",
        f"# Run it:  {facts.command}",
        "format = 1",
    ]
    return "\n".join(lines)


def _target(target: Target, facts: Facts) -> str:
    where = "declared below" if facts.declares else "declared in respsel.toml"
    lines = ["[target]", _line(f"model = {quoted(target.name)}", f"to be fine-tuned; {where}")]
    limit = target.context_tokens
    if limit and 2 * limit < facts.longest_bytes:
        lines.append(_line('if_too_long = "drop"', "longer texts than its context are left out"))
    if facts.declares:
        lines += ["", model_text(target).rstrip()]
    return "\n".join(lines)


def model_text(target: Target) -> str:
    """What declares a target."""
    comments = {
        "backend": "or transformers, or openai for an endpoint",
        "package": "an installed package; for a file of your own: path",
        "prepare": "converted once to what processors read fast",
    }
    lines = [f"[models.{target.name}]"]
    for key, value in (target.entry or {}).items():
        shown = str(value) if isinstance(value, int) else quoted(value)
        lines.append(_line(f"{key} = {shown}", comments.get(key, "")))
    return "\n".join(lines) + "\n"


def _dataset(proposal: Proposal, facts: Facts) -> str:
    lines = ["[[datasets]]", f"name = {quoted(facts.dataset)}", f"path = {quoted(facts.path)}"]
    if proposal.id:
        lines.append(f"id = {quoted(proposal.id)}")
    if proposal.messages:
        code = f"messages = {quoted(proposal.messages)}"
        lines.append(_line(code, "the conversation; its last assistant turn is trained"))
    else:
        lines.append(_line(f"input = {quoted(proposal.input)}", "what the target is asked"))
    for key in ("system", "history", "tools"):
        if column := getattr(proposal, key):
            lines.append(f"{key} = {quoted(column)}")
    if proposal.label:
        lines.append(_line(f"label = {quoted(proposal.label)}", "the right answer"))
    if proposal.answer:
        code = f"answer = {quoted(proposal.answer)}"
        lines.append(_line(code, "how it is found in a response; or number, choice, exact"))
    return "\n".join([*lines, *_sample(proposal, facts)])


def _sample(proposal: Proposal, facts: Facts) -> Iterator[str]:
    count = sample_size(len(proposal.responses), facts)
    # A few more are taken too, rather than left out.
    if facts.rows is not None and facts.rows <= count * 3 // 2:
        return
    of = f"of {facts.rows:,}" if facts.rows is not None else "of many"
    yield _line(f"sample = {count}", f"{of}, for a first look; raise it for a surer answer:")
    yield _line("", "what is scored is not scored again")


def sample_size(responses: int, facts: Facts) -> int:
    """How many examples a first look takes."""
    tokens = max(1, max(1, responses) * facts.row_bytes // _BYTES_PER_TOKEN)
    return max(_FEWEST_SAMPLED, min(_MOST_SAMPLED, _FIRST_LOOK_TOKENS // tokens))


def _strategies(proposal: Proposal, target: Target, facts: Facts) -> Iterator[str]:
    taken: list[str] = []
    for column in proposal.responses:
        name = names.slug(column, f"response-{len(taken) + 1}", taken)
        taken.append(name)
        yield _column(name, column, facts)
    written = len(taken) < 2
    if written:
        yield _self_written(target, names.slug("self-written", "", taken), "{{ input }}", _OWN)
    if not taken:
        prompt = "{{ input }}\n\nThink step by step."
        yield _self_written(target, "step-by-step", prompt, "the same with another prompt")


_OWN = "what the target answers itself"


def _column(name: str, column: str, facts: Facts) -> str:
    lines = [
        "[[strategies]]",
        f"name = {quoted(name)}",
        'from = "column"',
        f"column = {quoted(column)}",
    ]
    empty = facts.empty.get(column, 0)
    if empty or facts.rows is None:
        why = (
            f"{empty} rows are empty here and are left out" if empty else "empty rows are left out"
        )
        lines.append(_line('if_missing = "drop"', why))
    lines.append(_line('# written_by = "gpt-4o"', "who wrote them; say it if it was the target"))
    return "\n".join(lines)


def _self_written(target: Target, name: str, prompt: str, what: str) -> str:
    lines = [
        _line("[[strategies]]", f"{what}. It finds that likely, right or wrong,"),
        _line("", "so it is recommended only if its answers are known to be right"),
        f"name = {quoted(name)}",
        _line('from = "model"', "a teacher is better: declare it as the target is"),
        f"model = {quoted(target.name)}",
        f"prompt = {quoted(prompt)}",
        "sampling = { max_tokens = 200 }",
    ]
    return "\n".join(lines)


_METRICS = "\n".join(
    [
        "[[metrics]]",
        _line('name = "perplexity"', "lower: the target would rather write it so itself"),
        "",
        "[[metrics]]",
        _line('name = "response-tokens"', "a control: is the winner just the shortest?"),
        "",
        _line("# [[metrics]]", "a second opinion, for which the target writes answers first"),
        '# name = "self-aligned-perplexity"',
        "# k = 2",
        "",
        "[selection]",
        _line('metric = "perplexity"', "decides"),
    ]
)


def _more(target: Target) -> str:
    lines = [
        "# One more way to write the responses: by a model, from a prompt. Best by a teacher:",
        "# the target finds its own texts likely, so they win only with answer checks or rewards.",
        "# [[strategies]]",
        '# name = "step-by-step"',
        '# from = "model"',
        f"# model = {quoted(target.name)}",
        '# prompt = "{{ input }}\\n\\nSolve it step by step."',
    ]
    return "\n".join(lines)
