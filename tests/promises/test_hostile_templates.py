"""Promise: no template, a user's or a model's, takes long, takes much memory, or ends as a bug."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from respsel.backends.chat_template import ChatTemplate
from respsel.data.prompts import check_template, render
from respsel.recipe.places import plain_place
from respsel.records import Example, Message
from respsel.sandbox import meter
from tests.conftest import Bench, needs

# What doubles: a list, or a tuple, that holds the last one twice, 60 times.
TWICE = (
    "{% set ns = namespace(x=(1,), y=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, "
    "ns.x) %}{% endfor %}"
)
TWICE_TWO = TWICE + "{% for i in range(60) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}"
MANY = "{% for i in range(99999) %}{% for j in range(99999) %}"
END = "{% endfor %}{% endfor %}x"
KEEP = "{% set ns = namespace(l=[]) %}"
# Numbers that are this far apart share a hash; and pairs of such numbers.
APART = 2**61 - 1
PAIRS = ", ".join(f"(b + {place * APART}, 1)" for place in range(100))
PAIRS = (
    KEEP + f"{{% for i in range(99) %}}{{% set b = i * {100 * APART} %}}{{% set ns.l = ns.l + "
    f"[{PAIRS}] %}}{{% endfor %}}"
)
HOSTILE = {
    # One word of Python that makes a long text, list or number.
    "repeat": ("{{ 'a' * 10**11 }}", "a text of more than"),
    "repeat a list": ("{{ ([0] * 10**10)|length }}", "a text of more than"),
    "power": ("{{ 9**(9**9) }}", "a number of more than"),
    "power, printed": ("{{ 10**5000 }}", "a number of more than"),
    "product": (
        "{% set n = namespace(x=9) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}",
        "a number of",
    ),
    "number from text": ("{{ ('f' * 4000000)|int(0, 16) }}", "a number of more than"),
    "number in the template": ("{{ " + "1" * 5000 + " }}", "integer string conversion"),
    "number without end": ("{{ 1e999999 }}", "a number is too large"),
    "round": ("{{ 5|round(-10**9) }}", "it rounds to more than"),
    "center": ("{{ 'a'|center(5000000000) }}", "a text of more than"),
    "ljust": ("{{ 'a'.ljust(10**10) }}", "a text of more than"),
    "zfill": ("{{ 'a'.zfill(10**10) }}", "a text of more than"),
    "expandtabs": ("{{ ('\\t' * 1000).expandtabs(10**8) }}", "a text of more than"),
    "replace": ("{{ ('a' * 9999)|replace('a', 'b' * 9999) }}", "a text of more than"),
    "replace in a list": ("{{ ['a', 'a']|replace('a', 'b' * 3000000) }}", "a text of more than"),
    "join": ("{{ range(9999)|join('a' * 999999) }}", "a text of more than"),
    "join, the method": ("{{ ('a' * 999999).join('b' * 99999) }}", "a text of more than"),
    "indent": ("{{ 'a\\nb'|indent(2000000000) }}", "a text of more than"),
    "tojson": ("{{ [[1]]|tojson(indent=10**9) }}", "it indents by more than"),
    "batch": ("{{ [1]|batch(10**10, 1)|list }}", "MB of texts and lists"),
    "slice": ("{{ [1]|slice(10**10)|list }}", "MB of texts and lists"),
    "percent": ("{{ '%2000000000d' % 1 }}", "it formats a text more than"),
    "percent, a star": ("{{ '%*d' % (2000000000, 1) }}", "it formats a text more than"),
    "percent, digits": ("{{ '%.2000000000f' % 1 }}", "it formats a text more than"),
    "percent, a name": ("{{ '%(a(b))2000000000d' % {'a(b)': 1} }}", "it formats a text"),
    "percent, often": ("{{ ('%(a)s' * 99999) % {'a': 'b' * 99999} }}", "a text of more than"),
    "percent as a filter": ("{{ '%2000000000d'|format(1) }}", "it formats a text more than"),
    "percent as a test": ("{{ '%2000000000d' is odd }}", "a number is needed"),
    "percent of markup": ("{{ ('%2000000000d'|safe) % 1 }}", "it formats a text more than"),
    "format": ("{{ '{:>2000000000}'.format(1) }}", "it formats a text more than"),
    "format, within": ("{{ '{0:>{1}}'.format(1, 2000000000) }}", "it formats a text more than"),
    "format, often": ("{{ ('{0}' * 99999).format('b' * 99999) }}", "a text of more than"),
    "concat": (
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% "
        "endfor %}",
        "a text of more",
    ),
    "set block": (
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set y %}{{ n.x }}{{ n.x }}{% "
        "endset %}"
        "{% set n.x = y %}{% endfor %}",
        "a text of more than",
    ),
    "words of the template": (
        "{% for i in range(99999) %}" + "x" * 5000 + "{% endfor %}",
        "a text of more than",
    ),
    "bytes": ("{{ 'a'.encode() * 10**10 }}", "cannot call 'encode'"),
    "integer to bytes": ("{{ (5).to_bytes(10**10) }}", "cannot call 'to_bytes'"),
    # What holds itself twice is short in memory and long when it is looked at.
    "written twice": (TWICE + "{{ ns.x }}", "a list of more than"),
    "joined twice": (TWICE + "{{ 'a' ~ ns.x }}", "a list of more than"),
    "compared twice": (TWICE_TWO + "{{ ns.x == ns.y }}", "a list of more than"),
    "looked for twice": (TWICE_TWO + "{{ ns.x in [ns.y] }}", "a list of more than"),
    "hashed twice": (TWICE + "{{ {ns.x: 1} }}", "a list of more than"),
    "a key twice": (TWICE + "{{ {}[ns.x] }}", "a list of more than"),
    "a test twice": (TWICE + "{{ ns.x is filter }}", "a list of more than"),
    "sorted twice": (TWICE_TWO + "{{ [ns.x, ns.y]|sort }}", "a list of more than"),
    "json twice": (TWICE + "{{ ns.x|tojson }}", "a list of more than"),
    "an error twice": (TWICE + "{{ lipsum(ns.x) }}", "a list of more than"),
    # What ends the process, where Python does not look at its own stack.
    "deep hash": (
        "{% set n = namespace(x=1) %}{% for i in range(99999) %}{% set n.x = (n.x,) %}{% endfor "
        "%}{{ {n.x: 1} }}",
        "deep",
    ),
    "deep filters": (
        "{% set n = namespace(x=[1]) %}{% for i in range(99999) %}{% set n.x = n.x|map('string') "
        "%}{% endfor %}{{ 1 // 0 }}",
        "division",
    ),
    # Time.
    "loops": (MANY + END, "more than 1,000,000 steps"),
    "loops that leave all out": (
        "{% for i in range(99999) %}{% for j in range(99999) if false %}{% endfor %}{% endfor %}x",
        "steps",
    ),
    "range": ("{{ range(10**9)|list|length }}", "Range too big"),
    "range of equal hashes": (
        "{{ range(0, 9999 * (2**61 - 1), 2**61 - 1)|unique|list }}",
        "numbers that are too large",
    ),
    "macros": (
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) "
        "}}",
        "steps",
    ),
    "blocks": ("{% block b %}{% endblock %}" + MANY + "{{ self.b() }}" + END, "steps"),
    "attributes": ("{{ (['aa'] * 9999)|map(attribute=('0.' * 99999) ~ '0')|list }}", "steps"),
    "search": ("{% set s = 'a' * 4000000 %}" + MANY + "{{ 'b' in s }}" + END, "steps"),
    "sort": (
        "{{ (['a' * 999999, 'a' * 999998 ~ 'a'] * 49999)|sort|length }}",
        "a list of more than",
    ),
    "many sorts": (MANY + "{% set x = range(9999)|sort %}" + END, "steps"),
    "sums": ("{{ ([[1] * 1000] * 9999)|sum(start=[])|length }}", "MB of texts and lists"),
    "a chain of attributes": (
        "{{ range(9999)|map(attribute='real.' * 999 ~ 'real')|list }}",
        "steps",
    ),
    "many attributes": ("{{ range(9999)|sort(attribute='real,' * 999 ~ 'real') }}", "steps"),
    "strip": ("{{ ('a' * 99999)|trim('b' * 99999 ~ 'a') }}", "steps"),
    "search from the end": ("{{ ('a' * 99999).rfind('ab' ~ 'a' * 49999) }}", "steps"),
    "format without fields": (
        "{% set s = '{{' * 99999 %}{% for i in range(99) %}{{ s.format() }}{% endfor %}",
        "steps",
    ),
    "percent signs": ("{{ ('%%' * 999999) % () }}", "steps"),
    "equal hashes": (PAIRS + "{{ dict(ns.l) }}", "steps"),
    "equal hashes in a namespace": (PAIRS + "{{ namespace(ns.l) }}", "steps"),
    "equal hashes taken once": (PAIRS + "{{ ns.l|unique(attribute=0)|list }}", "steps"),
    "equal hashes in the template": (
        "{{ {" + ", ".join(f"{place * APART}: 1" for place in range(4000)) + "} }}",
        "steps",
    ),
    "striptags": ("{{ ('<!-- -->' * 400000)|striptags }}", "steps"),
    "wordwrap": ("{{ ('a' ~ '-' * 100000)|wordwrap(3) }}", "steps"),
    # Memory.
    "wordwrap with a long end": (
        "{{ ('a ' * 999)|wordwrap(1, wrapstring='b' * 999999) }}",
        "a text of more than",
    ),
    "join what items hold": (
        "{% set c = cycler('a' * 999999) %}{{ ([c] * 99)|join(attribute='current') }}",
        "a list of more",
    ),
    "a name of a macro": (
        "{% macro "
        + "m" * 90000
        + "() %}{% endmacro %}{{ (["
        + "m" * 90000
        + "] * 9999)|string }}",
        "a list of more than",
    ),
    "spread characters": ("{{ dict(*('\u4e2d' * 3999999)) }}", "steps"),
    "keep lists": (KEEP + MANY + "{% set ns.l = [ns.l, {1: 1}] %}" + END, "MB of texts and lists"),
    "keep texts": (
        KEEP + MANY + "{% set ns.l = [ns.l, 'a' * 9999] %}" + END,
        "MB of texts and lists",
    ),
    "keep slices": (
        KEEP + "{% set s = 'a' * 999999 %}" + MANY + "{% set ns.l = [ns.l, s[1:]] %}" + END,
        "MB of texts and lists",
    ),
    "keep namespaces": (
        KEEP + MANY + "{% set ns.l = [ns.l, namespace()] %}" + END,
        "MB of texts and lists",
    ),
    "split": (
        "{% set s = 'ab ' * 1300000 %}{% for i in range(99) %}{{ s.split()|length }}{% endfor %}",
        "MB of texts and lists",
    ),
    # The compiler.
    "ifs": ("{% if 1 %}" * 200 + "x" + "{% endif %}" * 200, "cannot compile it: too many levels"),
    "fors": (
        "{% for i in [1] %}" * 30 + "x" + "{% endfor %}" * 30,
        "cannot compile it: too many statically nested",
    ),
    "brackets": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nests too deep"),
    "lists": ("{{ " + "[" * 300 + "1" + "]" * 300 + " }}", "nests too deep|too many nested"),
    "filters": ("{{ 1" + "|abs" * 90000 + " }}", "nests too deep|too long"),
    "sums of many": ("{{ " + "1+" * 5000 + "1 }}", "nests too deep|too long"),
    "words and signs": ("{{ [" + "1," * 99999 + "] }}", "more than 150,000 words and signs"),
    "calls within calls": (
        "{% macro m() %}{% endmacro %}"
        + "{% call m() %}" * 60
        + "{{ 1 }}" * 9000
        + "{% endcall %}" * 60,
        "too long for its loops and macros within each other",
    ),
    "names and conditions": (
        "".join(f"{{% set a{place} = 1 %}}" for place in range(1500))
        + "{% if 1 %}{% endif %}" * 1500,
        "too many conditions for its many names",
    ),
    "parts": ("{{ 1 }}" * 40000, "the template is too long"),
    "source": ("x{{ input }}" + "y" * 2_000_000, "longer than 1,000,000 characters"),
    "constants": (
        "{% if 0 %}{{ 'a'|center(10**10) }}{{ 10**10**9 }}{% endif %}{{ lipsum() }}",
        "'lipsum' gives another",
    ),
    "a keyword": ("{{ dict(__debug__=1) }}", "cannot compile it: cannot assign"),
    # No text, or another each time.
    "endless macro": (
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "calls itself without end",
    ),
    "endless block": ("{% block b %}{{ self.b() }}{% endblock %}", "calls itself without end"),
    "endless loop": (
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "calls itself without end",
    ),
    "surrogate": ("{{ '\\ud800' }}", "half a surrogate pair"),
    "random": ("{{ [1, 2]|random }}", "'random' gives another text each time"),
    "random for each": (
        "{{ [[1, 2]]|map('random')|list }}",
        "'random' gives another text each time",
    ),
    "lipsum": ("{{ lipsum(n=1000000) }}", "'lipsum' gives another text each time"),
    "an address": ("{{ range }}", "it writes no text"),
    "an address in a list": ("{{ ['a'.upper] }}", "it writes no text"),
    "an address in a text": ("{{ 'a' ~ range }}", "it writes no text"),
    "a generator": ("{{ [1]|map('string') }}", "it writes no text"),
    "html": ("{% autoescape true %}{{ 1 }}{% endautoescape %}", "'autoescape' is for HTML"),
    "include": ("{% include '/etc/passwd' %}", "a template stands alone, without 'include'"),
    "a long error": ("{{ {}['a' * 999999].b }}", r"aaa\.\.\."),
}
# Renders each template in a process whose memory is bounded, and says how each ended and how much
# memory all took. Lower limits than users have keep the test quick.
RENDER_ALL = """
import json, resource, sys
from respsel.backends.chat_template import ChatTemplate
from respsel.errors import RespselError
from respsel.recipe.places import plain_place
from respsel.data.prompts import check_template, render
from respsel.records import Example, Message
from respsel.sandbox import meter
from tests.memory import peak_kib
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
meter.MAX_STEPS, meter.MAX_BYTES, meter.MAX_WRITTEN = 1_000_000, 20_000_000, 1_000_000

def as_prompt(source):
    problems = [str(problem) for problem in check_template(source, plain_place("a.toml", "p"))]
    return problems or render(source, Example("e1", "hi"), plain_place("a.toml", "p"))

def as_chat(source):
    return ChatTemplate(source, "<s>", "</s>", "model").render([Message("user", "hi")])

def end_of(fill, source):
    try:
        return str(fill(source))[:200]
    except RespselError as error:
        return f"{error.exit_code} {error}"

fill = {"prompt": as_prompt, "chat": as_chat}[sys.argv[1]]
ends = {name: end_of(fill, source) for name, source in json.load(sys.stdin).items()}
print(json.dumps([peak_kib(), ends]))
"""


@pytest.fixture(scope="module", params=["prompt", "chat"])
def ended(request: pytest.FixtureRequest) -> tuple[str, int, dict[str, str]]:
    """How each hostile template ends as a prompt, or as a model's chat template; and the most
    memory, in KiB.
    """
    sources = json.dumps({name: source for name, (source, _) in HOSTILE.items()})
    command = [sys.executable, "-c", RENDER_ALL, request.param]
    done = subprocess.run(
        command, input=sources, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    memory, ends = json.loads(done.stdout)
    return request.param, memory, ends


def test_a_hostile_template_ends_in_one_clear_error(ended: tuple[str, int, dict[str, str]]) -> None:
    """Whatever a template does, it is refused with its place and the reason, in bounded time and
    memory.
    """
    import re

    kind, memory_kib, ends = ended
    start = (
        r"(\[['\"]|2 )a\.toml: p: "
        if kind == "prompt"
        else "3 model: chat template: the template failed: "
    )
    wrong = [
        f"{name}: {ends[name]}"
        for name, (_, why) in HOSTILE.items()
        if not re.match(f"{start}.*({why})", ends[name])
    ]
    assert not wrong, "\n".join(wrong)
    assert max(map(len, ends.values())) < 600
    assert memory_kib < 500 * 1024


@pytest.mark.parametrize(
    "source",
    [MANY + "{{ input|upper }}" + END, "{% macro m() %}{% endmacro %}" + MANY + "{{ m() }}" + END],
)
def test_a_deadline_holds_where_steps_are_few(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rendering ends with its processor time, in any thread and without a signal."""
    from respsel.errors import InputError

    monkeypatch.setattr(meter, "MAX_SECONDS", 0.05)
    with pytest.raises(InputError, match=r"it takes longer than 0\.05 seconds"):
        render(source, Example("e1", "hi"), plain_place("a.toml", "p"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% for c in input %}{{ c }}{% endfor %}", lambda text: text),
        (
            "{% for c in input %}{% if c == 'a' %}{{ c|upper }}{% else %}{{ c }}{% endif %}{% "
            "endfor %}",
            lambda t: t.replace("a", "A"),
        ),
        ("{{ input.split(' ')|map('trim')|join('_') }}", lambda text: text.replace(" ", "_")),
        ("{{ input|list|join }}", lambda text: text),
        (
            "{% for c in input %}{% if loop.last %}{{ loop.index }}{% endif %}{% endfor %}",
            lambda text: str(len(text)),
        ),
    ],
)
def test_a_long_input_is_no_fault(source: str, expected: Callable[[str], str]) -> None:
    """A long text can be looped over, character by character; a MB would take a slow machine to the
    deadline.
    """
    text = "abcde fghij\u00e9" * 25_000
    assert render(source, Example("e1", text), plain_place("a.toml", "p")) == expected(text)


def test_filters_give_what_jinja2_gives() -> None:
    """A template without excess gives the text that it gives in Jinja2's own sandbox."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    source = (
        "{{ [3, 1, 2]|sort }}{{ [1, 2, 3]|batch(2)|list }}{{ [1, 2]|slice(2)|list }}{{ [1, "
        "2.5]|sum }}"
        "{{ [[1], [2]]|sum(start=[]) }}{{ [{'a': 1}, {'a': 2}]|sum(attribute='a') }}{{ ['a', "
        "'b']|join(d='-') }}"
        "{{ '%s-%05.1f-%%' % ('x', 2) }}{{ '%(a)s'|format(a=1) }}{{ '{0!r:>6}{x}'.format('a', "
        "x=1) }}{{ 7 // 2 }}"
        "{{ 7 % 3 }}{{ 2 ** 3 }}{{ 'ab' * 2 }}{{ 1 < 2 <= 2 }}{{ 'a' in {'a': 1} }}{{ {'b': 1, "
        "'a': 2}|dictsort }}"
        "{{ {'a': [1, {'b': none}]}|tojson }}{{ 'a b'|title }}{{ 'aXb'|replace('X', 'y') }}"
        "{% for k, v in {'a': 1}|items %}{{ k }}{{ v }}{{ loop.length }}{% else %}none{% endfor "
        "%}{{ 'abc'[::-1] }}"
        "{{ [1, 2][:1] }}{% if [1]|select('equalto', 2) %}lazy{% endif %}{{ 'a' ~ 1 ~ none }}{{ "
        "'x,y'.split(',') }}"
        "{{ {'a': 1}.get('b', 2) }}{% set c = cycler('o', 'e') %}{{ c.next() }}{{ c.next() }}{% "
        "set j = joiner('|') %}"
        "{{ j() }}{{ j() }}{{ dict(a=1) }}{% macro m(x, y=2) %}{{ x }}{{ y }}{{ varargs }}"
        "{{ caller() if caller is defined else '' }}{% endmacro %}{{ m(1) }}{{ m(*[1, 3, 4]) }}{% "
        "call m(5) %}in"
        "{% endcall %}{% for i in range(3) if i %}{{ i }}{{ loop.index }}{{ loop.changed(i) }}{% "
        "endfor %}"
        "{% block b scoped %}[{{ input }}]{% endblock %}{{ self.b() }}{% set t %}a{{ 1 }}{% "
        "endset %}{{ t|length }}"
        "{{ 2 is even }}{% filter upper %}abc{% endfilter %}{{ '<b>x</b>'|striptags }}{{ 'a b "
        "c'|wordwrap(3) }}"
        "{{ 'a\nb'|indent }}{{ 42.55|round(1) }}{% for i in [[1, [2]]] recursive %}{{ loop.depth }}"
        "{% if i is iterable %}{{ loop(i) }}{% endif %}{% endfor %}{{ [{'a': 'x'}, {'a': "
        "'x'}]|groupby('a')|list }}"
        "{{ [1, 1]|unique|list }}{{ [{'a': 1}, {'a': 1}]|unique(attribute='a')|list }}{{ {2 ** "
        "70: 1, -1: 2, -2: 3} }}"
        "{{ [{'a': 1}, {'a': 2}]|join('-', attribute='a') }}{{ dict([('a', 1)], b=2) }}{{ "
        "1180591620717411303424 }}"
        "{{ {1180591620717411303424: 1} }}{{ dict(*[{'c': 1}], **{'d': 2}) }}{{ 'xax'|trim('x') "
        "}}{{ 'a.b.c'.rsplit('.', 1) }}"
        "{{ 'a b c'.rsplit(sep=' ', maxsplit=1) }}{{ ' a '.strip() }}{{ 'abc'|batch(2)|list }}{{ "
        "'cab'|sort }}"
        "{{ 'abc'|first }}{{ [1, 2]|last }}{{ input.a is undefined }}"
    )
    expected = (
        ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        .from_string(source)
        .render(input="hi")
    )
    assert render(source, Example("e1", "hi"), plain_place("a.toml", "p")) == expected


def test_a_hostile_prompt_is_an_error_of_the_recipe(bench: Bench) -> None:
    """Each command ends with exit code 2, one error and the recipe's place."""
    bench.edit("Solve: {{ input }}", "{{ input|center(5000000000) }}")
    for command in ("plan", "run"):
        done = bench.respsel(command, "a.toml")
        assert (done.code, done.err.count("error: "), "Traceback" in done.err) == (2, 1, False)
        assert "strategy 'teacher', prompt: the template failed on example 'e" in done.err
        assert "it makes a text of more than 4,000,000 characters. Fix the template." in done.err
    bench.edit(
        "{{ input|center(5000000000) }}", "{% if 1 %}" * 200 + "{{ input }}" + "{% endif %}" * 200
    )
    for command in ("plan", "run", "doctor"):
        done = bench.respsel(command, "a.toml")
        assert (done.code, "Traceback" in done.err) == (2, False), done.err
        assert (
            "strategy 'teacher', prompt: the template cannot be used: Python cannot compile it: "
            "too many" in done.err
        )


def test_a_hostile_template_of_a_dataset_names_its_row(bench: Bench) -> None:
    """The template of a dataset's input is bounded too."""
    bench.edit('input = "question"', "input = \"{{ question }}{{ '%2000000000d' % 1 }}\"")
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert (
        "sums.jsonl: line 1 and 11 more: the template failed: it formats a text more than 10,000 "
        "wide" in done.err
    )


@needs("llama_cpp", "gguf")
@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ 'a' * 10**10 }}", "it makes a text of more than"),
        ("{% if 1 %}" * 200 + "{% endif %}" * 200, "cannot compile it"),
    ],
)
def test_a_model_with_a_hostile_chat_template_is_refused(
    bench: Bench, make_tiny_gguf: Callable[..., Path], template: str, why: str
) -> None:
    """`run` and `doctor` end with exit code 3, naming the weights and what the template does."""
    path: Any = make_tiny_gguf(template=template)
    bench.edit(
        '[models.target]\nbackend = "fake"',
        f'[models.target]\nbackend = "llama-cpp"\npath = "{path}"',
    )
    for command in ("run", "doctor"):
        done = bench.respsel(command, "a.toml")
        assert (done.code, "Traceback" in done.err) == (3, False), done.err
        assert f"{path}: chat template: the template failed: " in done.err
        assert why in done.err


def test_a_chat_template_and_a_prompt_are_bounded_alike() -> None:
    """Both are compiled by the same sandbox, which a template's own `raise_exception` leaves as it
    is.
    """
    assert not check_template("{{ input }}{% if 1 %}{% endif %}", plain_place("a.toml", "p"))
    template = ChatTemplate(
        "{% for m in messages %}{{ m['content'] | trim }}{% endfor %}", "", "", "model"
    )
    assert [template.render([Message("user", " a ")]) for _ in range(2)] == ["a", "a"]


def test_a_chat_template_that_writes_stand_ins_of_its_own_gives_its_text() -> None:
    """What stands for a control token in a message is no bug where the template itself writes it,
    with any number.
    """
    for number in ("99", "9" * 5000):
        source = f"\ue000{number};{{{{ messages[0].content }}}}"
        found = ChatTemplate(source, "", "", "model").split_text(
            [Message("user", "a<|end|>")], ["<|end|>"]
        )
        assert found == [(f"\ue000{number};", True), ("a", True), ("<|end|>", False)]


@pytest.mark.parametrize(
    "made", ["|sort", "|batch(1)|list", "|select('defined')|list", "|slice(1)|list"]
)
def test_the_characters_of_a_text_are_paid_for_before_they_are_made(
    made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A character that stands alone takes 80 bytes and more; a filter that would make too many is
    refused before.
    """
    import tracemalloc

    from respsel.errors import InputError

    monkeypatch.setattr(meter, "MAX_BYTES", 5_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="MB of texts and lists"):
            render(
                "{{ ('\u4e2d' * 100000)" + made + " }}",
                Example("e1", "hi"),
                plain_place("a.toml", "p"),
            )
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_large_numbers_of_a_template_are_no_constants_of_its_code() -> None:
    """Those that share a hash would take Python minutes to compile."""
    from respsel.sandbox.environment import BoundedEnvironment

    code = compile(
        str(BoundedEnvironment().compile(f"{{{{ [a, {2**70}] }}}}", raw=True)), "t", "exec"
    )
    (root,) = (part for part in code.co_consts if getattr(part, "co_name", "") == "root")
    assert str(2**70) in root.co_consts
    assert 2**70 not in root.co_consts
