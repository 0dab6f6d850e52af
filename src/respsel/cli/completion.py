"""Shell completion: what may stand at the cursor, and the scripts by which shells ask for it.

Knows commands and options from the application itself, and reads recipes only as far as names go.
Invariant: it writes nothing, says nothing of errors, and imports nothing heavy. Whatever a recipe
or a folder looks like, the answer is a list of words, which may be empty.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from typer import Typer

from respsel.cli.terminal import ASKS
from respsel.text.characters import one_line

# bash's line up to the cursor; the other shells give words.
_LINE = "RESPSEL_COMPLETE_LINE"
_MOST = 500
_LONGEST_RECIPE = 1_000_000
_RECIPE = re.compile(rb"^\s*(\[target\]|\[\[strategies\]\]|extends\s*=)", re.MULTILINE)
_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
# Operations of steps, as graph/names.py has them; that module loads too much for a key press.
STEPS = ("examples", "responses", "own-outputs", "token-scores", "scores", "verdict")
# The metrics of metrics/registry.py, for the same reason. Tests hold that they are these.
METRICS = (
    "alignment alignment-perplexity-mix aslec-drop car compression-ratio confident-conflicts "
    "demonstration-gain ica-score ifd-loss-ratio ifd-perplexity-ratio lark local-naturalness "
    "log-probability-plus-entropy mean-brier mean-log-likelihood mean-step-length perplexity "
    "rank-surprisal-ratio response-tokens reward self-aligned-perplexity"
).split()

SCRIPTS = {
    "bash": """\
_respsel() {
  local word
  COMPREPLY=()
  while IFS= read -r word; do
    [ -n "$word" ] && COMPREPLY+=("$word")
  done < <(RESPSEL_COMPLETE=bash RESPSEL_COMPLETE_LINE="${COMP_LINE:0:COMP_POINT}" \\
    "${COMP_WORDS[0]}" 2>/dev/null)
  case "${COMPREPLY[0]-}" in */) compopt -o nospace ;; esac
}
complete -F _respsel respsel
""",
    "zsh": """\
#compdef respsel
_respsel() {
  local -a found files folders
  found=("${(@f)$(RESPSEL_COMPLETE=zsh "${words[1]}" \\
    "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
  folders=("${(@M)found:#*/}")
  files=("${(@)found:#*/}")
  files=("${(@)files:#}")
  (( ${#folders} )) && [[ -n "${folders[1]}" ]] && compadd -S '' -- "${folders[@]}"
  (( ${#files} )) && compadd -- "${files[@]}"
}
if [ "$funcstack[1]" = "_respsel" ]; then
  _respsel "$@"
else
  compdef _respsel respsel
fi
""",
    "fish": """\
function __respsel_complete
  set -l words (commandline -opc)
  RESPSEL_COMPLETE=fish $words[1] $words[2..] (commandline -ct) 2>/dev/null
end
complete -c respsel -f -a '(__respsel_complete)'
""",
}


def answer_shell(application: Typer) -> bool:
    """Print the words for the cursor, if a shell asks; return whether one did."""
    import sys

    shell = os.environ.get(ASKS)
    if shell not in SCRIPTS:
        return False
    try:
        for word in islice(_answer(application, shell, sys.argv[1:]), _MOST):
            print(word)
    except Exception:
        # Hazard: a message would stand in the middle of what is typed.
        pass
    return True


def _answer(application: Typer, shell: str, arguments: Sequence[str]) -> Iterator[str]:
    if shell != "bash":
        *before, typed = arguments or [""]
        yield from (word for word, _ in candidates(application, before, typed))
        return
    words, quote, kept = _split(os.environ.get(_LINE, ""))
    *before, typed = words[1:] or [""]
    for word, _ in candidates(application, before, typed):
        yield (word if quote else _escaped(word))[kept:]


def candidates(application: Typer, before: Sequence[str], typed: str) -> list[tuple[str, str]]:
    """The words that begin as typed, each with a word of help, which may be empty.

    before: the words between the program's name and the cursor.
    """
    from typer.main import get_command

    place = _Place(get_command(application))
    for word in before:
        place.read(word)
    found = {word: about for word, about in place.words(typed) if word.startswith(typed)}
    # A name with a control character could not be typed, and could move the cursor.
    return [(word, about) for word, about in found.items() if one_line(word) == word]


class _Place:
    """Where the cursor is: the command, and how many of its arguments stand before."""

    def __init__(self, command: Any) -> None:
        self._command = command
        self._given: list[str] = []
        self._option: Any = None
        self._are_options = True

    def read(self, word: str) -> None:
        """Go past a word."""
        if self._option is not None:
            self._option = None
        elif self._are_options and word == "--":
            self._are_options = False
        elif self._are_options and word.startswith("-") and len(word) > 1:
            name, _, value = word.partition("=")
            option = self._options().get(name)
            self._option = option if option is not None and not option.is_flag else None
            self._option = None if value else self._option
        elif word in (commands := getattr(self._command, "commands", {})):
            self._command = commands[word]
        else:
            self._given.append(word)

    def words(self, typed: str) -> Iterator[tuple[str, str]]:
        """What may stand here."""
        if self._option is not None:
            yield from self._values(self._option, typed)
        elif self._are_options and typed.startswith("--") and "=" in typed:
            name, _, value = typed.partition("=")
            if (option := self._options().get(name)) is not None:
                yield from ((f"{name}={word}", "") for word, _ in self._values(option, value))
        elif self._are_options and typed.startswith("-"):
            yield from ((name, _help(option)) for name, option in self._options().items())
        elif commands := getattr(self._command, "commands", {}):
            shown = [] if self._given else commands.items()
            yield from ((name, _help(item)) for name, item in shown if not item.hidden)
        else:
            arguments = [p for p in self._command.params if p.param_type_name == "argument"]
            place = min(len(self._given), len(arguments) - 1)
            if arguments and (len(self._given) <= place or arguments[place].nargs == -1):
                yield from self._values(arguments[place], typed)

    def _options(self) -> Mapping[str, Any]:
        found = {
            name: option
            for option in self._command.params
            if option.param_type_name == "option" and not option.hidden
            for name in (*option.opts, *option.secondary_opts)
        }
        return {**found, **dict.fromkeys(("-h", "--help"), _HelpOption)}

    def _values(self, parameter: Any, typed: str) -> Iterator[tuple[str, str]]:
        kinds = _kinds(parameter)
        choices = [item for kind in kinds if issubclass(kind, Enum) for item in kind]
        if choices:
            yield from ((str(item.value), "") for item in choices)
        elif made := self._made(parameter.name):
            recipe = next((word for word in self._given if word.endswith(".toml")), "")
            yield from ((word, "") for word in made(recipe, typed))
        elif "RECIPE" in str(parameter.metavar):
            yield from ((word, "") for word in _recipes("", typed))
        elif Path in kinds:
            yield from ((word, "") for word in _files(typed))

    def _made(self, name: str) -> Callable[[str, str], Iterable[str]] | None:
        return _VALUES.get(name) or _VALUES.get(f"{self._command.name} {name}")


def _kinds(parameter: Any) -> list[type]:
    """The types that a parameter's values may have; a list's are those of its items."""
    described = getattr(parameter, "type_descriptor", None)
    found = [getattr(described, "annotation", None)]
    for kind in found:
        found += get_args(kind)
    # typer before 0.27 says it in the way of click.
    made = getattr(parameter, "type", None)
    found += [type(item) for item in getattr(made, "choices", ())]
    found += [Path] if type(made).__name__ in ("Path", "TyperPath") else []
    kinds = [kind for kind in found if isinstance(kind, type) and not get_args(kind)]
    return list(dict.fromkeys(kinds))


class _HelpOption:
    is_flag = True
    hidden = False
    help = "Show this message and exit."


def _help(item: Any) -> str:
    about = getattr(item, "help", None) or ""
    return one_line(about.strip().split("\n")[0])


def _recipes(_recipe: str, typed: str) -> Iterator[str]:
    """Files that are recipes, and folders; with nothing typed, those in recipes/ too."""
    for word, entry in _entries(typed):
        if entry.is_dir():
            if not typed and entry.name == "recipes":
                yield from _recipes("", f"{entry.name}/")
            else:
                yield f"{word}/"
        elif entry.name.endswith(".toml") and _is_recipe(entry.path):
            yield word


def _files(typed: str) -> Iterator[str]:
    for word, entry in _entries(typed):
        yield f"{word}/" if entry.is_dir() else word


def _entries(typed: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """What lies in the folder that is typed, with the words for it, in order."""
    folder, _, start = typed.rpartition("/")
    folder = f"{folder}/" if "/" in typed else ""
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as found:
            entries = sorted(islice(found, 10 * _MOST), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(start) and (start.startswith(".") or entry.name[0] != "."):
            yield f"{folder}{entry.name}", entry


def _is_recipe(path: str) -> bool:
    content = _content(path)
    return bool(_RECIPE.search(content))


def _content(path: str) -> bytes:
    """A file's beginning; nothing of what is no file, since a pipe would wait for its writer."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with open(path, "rb") as file:
            return file.read(_LONGEST_RECIPE)
    except OSError:
        return b""


def _data(path: str, depth: int = 5) -> list[Mapping[str, Any]]:
    """A recipe's values, and those of the recipes that it extends."""
    import tomli

    from respsel.recipe.toml import text_of

    try:
        data = tomli.loads(text_of(_content(os.path.expanduser(path))))
    except (ValueError, RecursionError):
        return []
    base = data.get("extends")
    bases = [base] if isinstance(base, str) else base if isinstance(base, list) else []
    more = [
        item
        for name in (bases if depth else [])
        if isinstance(name, str)
        for item in _data(os.path.join(os.path.dirname(path), name), depth - 1)
    ]
    return [data, *more]


def _names(recipe: str, table: str) -> list[str]:
    found: dict[str, None] = {}
    for data in _data(recipe) if recipe else ():
        entries = data.get(table)
        for entry in entries if isinstance(entries, list) else ():
            name = entry.get("name") if isinstance(entry, dict) else None
            if isinstance(name, str):
                found[name] = None
    return list(found)


def _strategies(recipe: str, _typed: str) -> list[str]:
    return _names(recipe, "strategies")


def _steps(recipe: str, _typed: str) -> Iterator[str]:
    """Strategies and datasets, and the beginnings of steps' names."""
    strategies = _names(recipe, "strategies")
    datasets = _names(recipe, "datasets")
    yield from (*strategies, *datasets)
    for op in STEPS if datasets else ():
        for dataset in datasets:
            yield f"{op}:{dataset}"
            if op in ("responses", "token-scores", "scores"):
                yield from (f"{op}:{dataset}/{strategy}" for strategy in strategies)


def _metrics(_recipe: str, _typed: str) -> Sequence[str]:
    return METRICS


def _runs(_recipe: str, typed: str) -> Iterator[str]:
    """Recipes, and the folders of recorded runs of the workspace here."""
    yield from _recipes("", typed)
    here = Path.cwd()
    root = next((path for path in (here, *here.parents) if (path / "respsel.toml").exists()), here)
    said = next(iter(_data(str(root / "respsel.toml"))), {}).get("runs")
    runs = root / said if isinstance(said, str) else root / "runs"
    found = [
        os.path.join(folder, name)
        for folder, folders, _ in islice(os.walk(runs), 10 * _MOST)
        for name in folders
        if _RUN.fullmatch(name)
    ]
    yield from (os.path.relpath(path) for path in sorted(found, key=os.path.basename, reverse=True))


# By parameter, what makes its values from the recipe that was typed before it.
_VALUES: Mapping[str, Callable[[str, str], Iterable[str]]] = {
    "strategy": _strategies,
    "step": _steps,
    "metrics name": _metrics,
    "run_a": _runs,
    "run_b": _runs,
    "shell": lambda _recipe, _typed: list(SCRIPTS),
}


def _split(line: str) -> tuple[list[str], str, int]:
    """bash's line up to the cursor, in words; the open quote; what bash keeps of the last word.

    bash breaks words at = and : too, and puts the answer behind the last of them.
    """
    words = [""]
    quote = ""
    is_open = False
    raw = ""
    chars = iter(line)
    for char in chars:
        raw += char
        if quote:
            if char == quote:
                quote = ""
            elif char == "\\" and quote == '"':
                words[-1] += next(chars, "")
            else:
                words[-1] += char
        elif char in "'\"":
            quote = char
            is_open = True
        elif char == "\\":
            escaped = next(chars, "")
            raw += escaped
            words[-1] += escaped
        elif char.isspace():
            if words[-1] or is_open:
                words.append("")
            is_open = False
            raw = ""
        else:
            words[-1] += char
    kept = 0 if quote else max(raw.rfind(":"), raw.rfind("=")) + 1
    return words, quote, kept


def _escaped(word: str) -> str:
    return re.sub(r"([^\w@%+=:,./~-])", r"\\\1", word)
