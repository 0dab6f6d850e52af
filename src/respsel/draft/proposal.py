"""What a recipe may say of a data file's columns: what is asked, the responses, label and id.

Knows nothing of TOML. Invariant: what the user names is taken as it is, and only the rest is
proposed.
"""

from __future__ import annotations

import keyword
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from respsel.data.prompts import check_template, is_template
from respsel.draft import names
from respsel.draft.answer_kinds import LEAST_RIGHT, kind_by_labels, kind_by_responses
from respsel.draft.columns import (
    CONVERSATION,
    NUMBER,
    PAIRS,
    TEXT,
    TEXTS,
    Column,
    LookedAt,
    single_columns,
)
from respsel.errors import InputError, Problem, suggest
from respsel.recipe.places import plain_place

# Of more candidates, the first ones are compared.
MOST_RESPONSES = 12
_SHORT_WORDS = 4
_SHORT_BYTES = 60
_LONG_WORDS = 5
_JINJA = ("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "loop", "self")


@dataclass(frozen=True)
class Wish:
    """What the user says of the columns. None: to be proposed. Empty: there is none."""

    input: str | None = None
    responses: tuple[str, ...] | None = None
    label: str | None = None
    id: str | None = None
    answer: str | None = None


@dataclass(frozen=True)
class Proposal:
    """What the recipe says of the columns; empty where there is nothing.

    input: what is asked: a column, or a template over several.
    messages: in its place, the column of conversations.
    responses: the columns of candidates.
    answer: the kind of the answer check.
    system, history, tools: the columns that belong to a chat.
    notes: what the user should know of the choice.
    """

    input: str = ""
    messages: str = ""
    responses: tuple[str, ...] = ()
    label: str = ""
    id: str = ""
    answer: str = ""
    system: str = ""
    history: str = ""
    tools: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def asked(self) -> str:
        """What is asked, in the recipe's word."""
        return self.messages or self.input


def propose(looked: LookedAt, wish: Wish, shown: str) -> Proposal:
    """Say what the columns may be. Raises InputError where the user must say it."""
    _check_wish(looked, wish, shown)
    proposal = _asked(looked, wish, shown)
    proposal = replace(proposal, id=_id(looked, wish))
    proposal = replace(proposal, responses=_responses(looked, wish, proposal))
    proposal = _with_label(looked, wish, proposal)
    if wish.answer and not proposal.label:
        what = "says how answers are compared with the label, and there is no label"
        raise InputError(Problem(shown, "--answer", what, "Add --label COLUMN"))
    return proposal


def used_columns(looked: LookedAt, proposal: Proposal) -> set[str]:
    """The columns that a proposal uses."""
    from respsel.data.prompts import template_names

    source = proposal.input
    asked = set(template_names(source)) if is_template(source) else {source}
    chat = {proposal.messages, proposal.system, proposal.history, proposal.tools}
    used = asked | chat | {proposal.label, proposal.id} | {_root(r) for r in proposal.responses}
    return {name for name in looked.columns if name in used or name in proposal.responses}


def _check_wish(looked: LookedAt, wish: Wish, shown: str) -> None:
    given = [("--input", wish.input), ("--label", wish.label), ("--id", wish.id)]
    given += [("--responses", name) for name in wish.responses or ()]
    problems = [
        Problem(shown, option, f"there is no column '{name}'", suggest(name, looked.columns))
        for option, name in given
        if name and not is_template(name) and not _is_there(looked, name)
    ]
    # Before anything reads the names in it.
    if wish.input and is_template(wish.input):
        problems += check_template(wish.input, plain_place(shown, "--input"))
    if problems:
        raise InputError(problems)


def _is_there(looked: LookedAt, path: str) -> bool:
    """Whether a column or a part of one is there."""
    from respsel.data.rows import ABSENT, find_value

    if path in looked.columns:
        return True
    roots = {_root(name) for name in looked.columns}
    root = next((name for name in roots if path.startswith((f"{name}.", f"{name}["))), None)
    if root is None:
        return False
    column = looked.columns.get(root)
    if column is None:
        return any(name.startswith(f"{path}.") or path.startswith(name) for name in looked.columns)
    return any(find_value({root: value}, path) is not ABSENT for value in column.values)


def _id(looked: LookedAt, wish: Wish) -> str:
    if wish.id is not None:
        return wish.id
    unique = [
        column
        for column in single_columns(looked)
        if looked.is_unique(column.path) and column.longest <= 80 and _are_words(column)
    ]
    named = [column.path for column in unique if names.is_id(column.path)]
    exact = [path for path in named if names.plain_name(path) == "id"]
    counted = [column.path for column in unique if looked.is_whole and _counts(column)]
    return next(iter([*exact, *named, *counted]), "")


def _are_words(column: Column) -> bool:
    """Whether each value is one word."""
    return not any(any(char.isspace() for char in text.strip()) for text in column.texts)


def _counts(column: Column) -> bool:
    """Whether the values count the rows: 1, 2, 3, or q-1, q-2, q-3."""
    if column.filled < 3:
        return False
    stems = {text.rstrip("0123456789") for text in column.texts}
    numbers = [text[len(text.rstrip("0123456789")) :] for text in column.texts]
    if len(stems) != 1 or not all(numbers):
        return False
    steps = {int(b) - int(a) for a, b in pairwise(numbers)}
    return steps == {1}


def _asked(looked: LookedAt, wish: Wish, shown: str) -> Proposal:
    """What is asked: a conversation, or texts."""
    columns = looked.columns
    chats = [column.path for column in columns.values() if column.kind == CONVERSATION]
    if wish.input:
        if wish.input in chats:
            return _chat(looked, wish.input)
        return _single(looked, wish.input)
    texts = _inputs(looked, wish)
    named = [path for path in texts if names.says_any(path, names.INPUTS)]
    prompts = [path for path in chats if names.is_one(path, names.INPUTS)]
    of_chats = [path for path in chats if names.is_one(path, names.CHATS)]
    if prompts:
        return _chat(looked, prompts[0])
    if of_chats or (chats and not named):
        return _chat(looked, (of_chats or chats)[0])
    if not texts:
        what = "has no column of texts that a model could be asked"
        known = ", ".join(list(columns)[:10])
        raise InputError(Problem(shown, "", what, f"Name it with --input COLUMN. Known: {known}"))
    return _joined(looked, (named or texts)[0])


def _chat(looked: LookedAt, path: str) -> Proposal:
    columns = looked.columns.values()
    system = [c.path for c in columns if names.is_one(c.path, names.SYSTEMS) and c.kind == TEXT]
    tools = [c.path for c in columns if names.is_one(c.path, names.TOOLS) and not c.is_single]
    tools = [name for name in tools if "." not in name]
    return Proposal(messages=path, system=_first(system), tools=_first(tools))


def _single(looked: LookedAt, source: str) -> Proposal:
    columns = looked.columns.values()
    system = [c.path for c in columns if names.is_one(c.path, names.SYSTEMS) and c.kind == TEXT]
    history = [
        c.path
        for c in columns
        if names.is_one(c.path, names.HISTORIES) and c.kind in (PAIRS, CONVERSATION)
    ]
    return Proposal(input=source, system=_first(system), history=_first(history))


def _inputs(looked: LookedAt, wish: Wish) -> list[str]:
    """The columns of texts that could be asked, the likeliest first."""
    taken = {*(wish.responses or ()), wish.label or "", wish.id or ""}
    texts = [
        column.path
        for column in single_columns(looked)
        if column.kind == TEXT
        and column.path not in taken
        and not names.is_id(column.path)
        and not names.is_about(column.path)
        and not names.is_one(column.path, names.SYSTEMS)
    ]
    usable = [path for path in texts if looked.columns[path].words > 1 or names.is_asked(path)]
    free = [path for path in usable if not _is_response(path)]
    # A text that is the same in all rows asks nothing.
    free = [path for path in free if looked.columns[path].distinct > 1 or looked.rows == 1]
    return sorted(free, key=lambda path: (not looked.is_full(path), _rank(path)))


def _is_response(path: str) -> bool:
    return names.says_any(path, names.RESPONSES) and not names.is_asked(path)


def _rank(path: str) -> int:
    """How far down the list of usual inputs a name is; behind all others if it is not there."""
    words = {*names.words_of(path), names.plain_name(path)}
    places = [i for i, name in enumerate(names.INPUTS) if name in words]
    exact = names.plain_name(path) in names.INPUTS
    return 2 * min(places) + (not exact) if places else 2 * len(names.INPUTS)


def _joined(looked: LookedAt, path: str) -> Proposal:
    """An input with what belongs to it: Alpaca's input, a context, options."""
    beside = [
        column
        for column in looked.columns.values()
        if column.path != path
        and can_be_templated(column.path)
        and (
            (column.kind == TEXT and names.plain_name(column.path) in names.BESIDE_INPUT)
            or (column.kind == TEXTS and names.plain_name(column.path) in names.OPTIONS)
        )
    ]
    before = [
        column.path
        for column in looked.columns.values()
        if _is_instruction(looked, column) and column.path != path
    ]
    if not (before or beside) or not can_be_templated(path):
        return _single(looked, path)
    made = joined_columns([*before, path]) + "".join(_beside(looked, column) for column in beside)
    return _single(looked, made)


def joined_columns(paths: Sequence[str]) -> str:
    """The template that joins columns, with an empty line between."""
    return "\n\n".join(f"{{{{ {path} }}}}" for path in paths)


def _is_instruction(looked: LookedAt, column: Column) -> bool:
    """Whether a column has what all rows are asked."""
    return (
        column.kind == TEXT
        and column.distinct == 1 < looked.rows
        and column.words > 1
        and looked.is_full(column.path)
        and names.plain_name(column.path) in names.INSTRUCTIONS
        and can_be_templated(column.path)
    )


def _beside(looked: LookedAt, column: Column) -> str:
    name = column.path
    there = name if column.seen == looked.rows else f"{name} is defined and {name}"
    if column.kind == TEXTS:
        listed = f"{{% for c in {name} %}}\n{_mark(looked)} {{{{ c }}}}{{% endfor %}}"
        return f"{{% if {there} %}}{listed}{{% endif %}}"
    if looked.is_full(name):
        return f"\n\n{{{{ {name} }}}}"
    return f"{{% if {there} %}}\n\n{{{{ {name} }}}}{{% endif %}}"


def _mark(looked: LookedAt) -> str:
    """What stands before each option: the letters or numbers that the labels are."""
    for column in single_columns(looked):
        if not names.is_one(column.path, names.LABELS):
            continue
        values = {text.strip() for text in column.texts}
        if all(len(value) == 1 and "A" <= value <= "Z" for value in values):
            return '{{ "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[loop.index0] }}.'
        if all(len(value) == 1 and value.isdecimal() for value in values):
            return "{{ loop.index0 }}." if "0" in values else "{{ loop.index }}."
    return "-"


def can_be_templated(path: str) -> bool:
    """Whether a template can name a column."""
    return path.isidentifier() and not keyword.iskeyword(path) and path not in _JINJA


def _responses(looked: LookedAt, wish: Wish, proposal: Proposal) -> tuple[str, ...]:
    if wish.responses is not None:
        return wish.responses
    used = used_columns(looked, proposal)
    taken = {*used, wish.label or "", *(_root(name) for name in used)}
    chats = [
        _chat_response(looked, column, proposal)
        for column in looked.columns.values()
        if column.kind == CONVERSATION and column.path not in {*taken, proposal.history}
    ]
    own = [proposal.messages] if proposal.messages and _ends_answered(looked, proposal) else []
    texts = [
        column
        for column in single_columns(looked)
        if column.path not in taken and _may_be_response(column)
    ]
    long = [column for column in texts if _is_long(column) and not _is_label(looked, column)]
    short = [column for column in texts if column not in long and _is_response(column.path)]
    short = [column for column in short if not _is_label(looked, column)]
    chosen = [*long, *short]
    if len(chosen) + len(own) + len(chats) < 2:
        # Short candidates of any name: translations, headlines, replies of two words.
        chosen = [c for c in texts if c.kind == TEXT and c.words >= 2 and _differs(looked, c)]
        chosen = [c for c in chosen if not _is_label(looked, c)] or [*long, *short]
    order = list(looked.columns)
    paths = sorted({column.path for column in chosen}, key=order.index)
    found = dict.fromkeys([*own, *[c for c in chats if c], *paths])
    return _different(looked, list(found))[:MOST_RESPONSES]


def _different(looked: LookedAt, paths: Sequence[str]) -> tuple[str, ...]:
    """The paths without those whose values are all those of another one."""
    kept: dict[str, str] = {}
    for path in paths:
        column = looked.columns.get(path)
        content = repr(column.values) if column is not None else path
        kept.setdefault(content, path)
    return tuple(kept.values())


def _chat_response(looked: LookedAt, column: Column, proposal: Proposal) -> str:
    """The path of a response in a column of conversations."""
    if proposal.messages:
        return column.path
    last = [value[-1] for value in column.values if isinstance(value, list) and value]
    keys = [key for key in ("content", "value") if all(key in turn for turn in last)]
    return f"{column.path}.-1.{keys[0]}" if keys and len(last) == len(column.values) else ""


def _ends_answered(looked: LookedAt, proposal: Proposal) -> bool:
    """Whether most of the dataset's conversations end with an assistant's turn.

    The check of the draft names those that do not.
    """
    from respsel.data.turn_shapes import read_turns
    from respsel.data.turns import TurnFault
    from respsel.records import ASSISTANT

    try:
        values = looked.columns[proposal.messages].values
        ends = [read_turns(value)[-1].message.role == ASSISTANT for value in values]
        return sum(ends) > len(ends) / 2
    except TurnFault:
        # The check of the draft says what is wrong, and where.
        return True


def _may_be_response(column: Column) -> bool:
    path = column.path
    word = names.plain_name(path) in names.ABOUT_IF_SHORT and column.words <= 2
    scores = column.kind == NUMBER and names.says_any(path, names.ABOUT)
    about = names.is_about(path) or word or scores
    reserved = (*names.SYSTEMS, *names.HISTORIES, *names.TOOLS)
    same = column.distinct < 2 <= column.filled
    return not (about or same or names.is_id(path) or names.is_one(path, reserved))


def _is_long(column: Column) -> bool:
    addresses = sum(text.strip().startswith(("http://", "https://")) for text in column.texts)
    return column.words >= _LONG_WORDS and addresses < len(column.texts)


def _is_label(looked: LookedAt, column: Column) -> bool:
    """Whether a column looks like right answers: its name, and short texts."""
    return names.is_one(column.path, names.LABELS) and is_short(column) and column.distinct > 1


def is_short(column: Column) -> bool:
    """Whether its texts are a few words."""
    return column.words <= _SHORT_WORDS and column.longest <= _SHORT_BYTES


def _differs(looked: LookedAt, column: Column) -> bool:
    """Whether most rows say something else, as responses do and categories do not."""
    return column.distinct > column.filled / 2


def _with_label(looked: LookedAt, wish: Wish, proposal: Proposal) -> Proposal:
    """The proposal with its label and answer check, or with a note why it has none."""
    if wish.label == "":
        return proposal
    responses = [looked.columns[name] for name in proposal.responses if name in looked.columns]
    responses = [column for column in responses if column.is_single]
    if wish.label:
        return replace(proposal, label=wish.label, answer=_kind(looked, wish, responses))
    notes: list[str] = []
    taken = used_columns(looked, proposal)
    for column in _labels(looked, taken):
        if not looked.is_full(column.path):
            empty = looked.rows - column.filled
            notes.append(
                f"'{column.path}' looks like the right answers, but is empty in {empty} rows, so "
                "answers are not checked."
            )
            continue
        named = names.is_one(column.path, names.LABELS)
        if not responses and named:
            marked = "{{ loop.index" in proposal.input and column.kind == NUMBER
            kind = wish.answer or ("choice" if marked else kind_by_labels(column))
            return replace(proposal, label=column.path, answer=kind)
        found, share = kind_by_responses(column, responses)
        if found and share >= (LEAST_RIGHT if named else 0.5):
            return replace(proposal, label=column.path, answer=wish.answer or found)
        if named:
            notes.append(
                f"'{column.path}' looks like the right answers, but no check finds it in the "
                "responses, so answers are not checked. To have them checked, say --label "
                f"{column.path} --answer KIND."
            )
    return replace(proposal, notes=(*proposal.notes, *notes))


def _labels(looked: LookedAt, taken: Collection[str]) -> Sequence[Column]:
    """The columns that may be right answers, those that are called so first."""
    short = [
        column
        for column in single_columns(looked)
        if column.path not in taken
        and is_short(column)
        and column.distinct > 1
        and not names.is_id(column.path)
    ]
    named = [column for column in short if names.is_one(column.path, names.LABELS)]
    # Without a name only numbers are told from other short words, such as categories.
    numbers = [
        column
        for column in short
        if column not in named
        and column.kinds == {NUMBER}
        and column.distinct > 2
        and not names.is_about(column.path)
    ]
    return [*named, *numbers]


def _kind(looked: LookedAt, wish: Wish, responses: Sequence[Column]) -> str:
    if wish.answer is not None:
        return wish.answer
    label = looked.columns.get(wish.label or "")
    if label is None:
        return ""
    found, share = kind_by_responses(label, responses)
    return found if found and share >= LEAST_RIGHT else kind_by_labels(label)


def _root(path: str) -> str:
    return path.replace("[", ".").partition(".")[0]


def _first(found: Sequence[str]) -> str:
    return found[0] if found else ""
