"""Promise: a label given back as the final answer is right, a different value is wrong, whatever
way they are written.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial

import pytest

from respsel.answers import is_correct, label_problem
from respsel.recipe.schema import AnswerEntry
from tests.conftest import needs

NUMBER, CHOICE, MATH = (
    AnswerEntry.model_validate({"kind": kind}) for kind in ("number", "choice", "math")
)
FRAMES = (
    "Final Answer: {}",
    "The answer is {}.",
    "So it is $\\boxed{{{}}}$, as 2 lines above show.",
    "Some 3 lines of work.\n#### {}",
    "**Answer:** {}",
    "{}",
    "<think>\nMaybe the answer is 4711 or B.\n</think>\n\n**Final Answer: {}**",
    "First the answer is 4711. Wait. The answer is {}",
)
MINUS = ("-", "\N{MINUS SIGN}", "\N{EN DASH}")
UNITS = (
    "",
    "",
    "",
    " cm",
    " cm^2",
    " m/s^2",
    " m²",
    " apples",
    " H2O",
    " °C",
    "^\\circ",
    "\\text{ kg}",
    " square centimetres",
    "\\,\\mathrm{m}^{3}",
)


def grouped(digits: str, separator: str) -> str:
    head = len(digits) % 3 or 3
    return separator.join(
        [digits[:head], *(digits[i : i + 3] for i in range(head, len(digits), 3))]
    )


def indian(digits: str) -> str:
    head = digits[:-3]
    tail = digits[-3:]
    pairs = [head[max(0, i - 2) : i] for i in range(len(head), 0, -2)][::-1]
    return ",".join([*pairs, tail]) if head else tail


def superscript(number: int) -> str:
    return "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(d)] if d.isdigit() else "⁻" for d in str(number))


def whole(rng: random.Random) -> tuple[str, Fraction]:
    digits = str(rng.randrange(1, 10 ** rng.randrange(1, 10)))
    forms: list[Callable[[str], str]] = [
        str,
        str,
        lambda d: d.translate({0x30 + i: 0xFF10 + i for i in range(10)}),
    ]
    forms += [
        partial(grouped, separator=s)
        for s in (",", "'", " ", "\u202f", "\u00a0", "_", "{,}", ",\\!", "\\,", "’")
    ]
    forms += [
        indian,
        lambda d: grouped(d, ".") if len(d) > 6 else d,
        lambda d: f"{d}.0",
        lambda d: f"{d}.",
    ]
    return rng.choice(forms)(digits), Fraction(digits)


def decimal(rng: random.Random) -> tuple[str, Fraction]:
    head = str(rng.randrange(10**6))
    tail = f"{rng.randrange(1, 10**5):05d}"[: rng.choice((1, 2, 4, 5))]
    value = Fraction(f"{head}.{tail}")
    forms = [
        f"{head}.{tail}",
        f"{head},{tail}",
        f"{grouped(head, ',')}.{tail}",
        f"{grouped(head, ' ')},{tail}",
    ]
    forms += (
        [f"{grouped(head, '.')},{tail}"] if len(head) > 3 else [f".{tail}"] if head == "0" else []
    )
    return rng.choice(forms), value


def fraction(rng: random.Random) -> tuple[str, Fraction]:
    above = rng.randrange(1, 200)
    below = rng.randrange(2, 60)
    one = rng.choice(("\\frac", "\\dfrac", "\\tfrac"))
    forms = [
        f"{above}/{below}",
        f"{above} / {below}",
        f"{one}{{{above}}}{{{below}}}",
        f"{one}{{ {above} }}{{{below}}}",
    ]
    if above < 10 and below < 10:
        forms += [f"{one}{above}{below}", f"{one}{above}{{{below}}}", f"{one} {above} {below}"]
    return rng.choice(forms), Fraction(above, below)


def mixed(rng: random.Random) -> tuple[str, Fraction]:
    whole = rng.randrange(1, 300)
    below = rng.randrange(2, 20)
    above = rng.randrange(1, below)
    value = whole + Fraction(above, below)
    if rng.random() < 0.3:
        sign, part = rng.choice(
            (
                ("½", Fraction(1, 2)),
                ("¾", Fraction(3, 4)),
                ("⅓", Fraction(1, 3)),
                ("⅝", Fraction(5, 8)),
            )
        )
        return rng.choice((f"{whole}{sign}", f"{whole} {sign}")), whole + part
    return rng.choice(
        (
            f"{whole} {above}/{below}",
            f"{whole}\\frac{{{above}}}{{{below}}}",
            f"{whole} \\tfrac{{{above}}}{{{below}}}",
        )
    ), value


def scientific(rng: random.Random) -> tuple[str, Fraction]:
    head = rng.choice(("3", "1.5", "6.02", "9.109", "2,5"))
    power = rng.randrange(-20, 21)
    value = Fraction(head.replace(",", ".")) * Fraction(10) ** power
    times = rng.choice((" \\times ", "\\times", " × ", " \\cdot ", " x ", "·"))
    forms = [
        f"{head}{times}10^{{{power}}}",
        f"{head}{times}10{superscript(power)}",
        f"{head}e{power}",
        f"{head}E{power:+d}",
    ]
    forms += [f"{head}{times}10^{power}"] if 0 <= power < 10 or times != "·" else []
    return rng.choice(forms), value


def scaled(rng: random.Random) -> tuple[str, Fraction]:
    head = rng.choice(("2", "1.5", "12"))
    (word, power) = rng.choice((("million", 6), ("billion", 9), ("thousand", 3)))
    return f"{head} {word}", Fraction(head) * 10**power


def money(rng: random.Random) -> tuple[str, Fraction]:
    text, value = rng.choice((whole, decimal))(rng)
    return rng.choice(
        ("${}", "\\${}", "€{}", "{} €", "{} EUR", "USD {}", "₹{}", "{} dollars")
    ).format(text), value


def numbers(count: int) -> Iterator[tuple[str, Fraction, random.Random]]:
    rng = random.Random(15)
    for _ in range(count):
        text, value = rng.choice(
            (whole, whole, decimal, fraction, mixed, scientific, scaled, money)
        )(rng)
        if rng.random() < 0.2:
            text = rng.choice(MINUS) + text
            value = -value
        kind = rng.random()
        if kind < 0.25 and not text.endswith(("€", "EUR", "dollars", ".", "lion", "sand")):
            text += rng.choice(UNITS[:6] if "10" in text else UNITS)
        elif kind < 0.35 and not text.endswith((".", "€")):
            text += rng.choice(("%", "\\%", " %", " percent"))
        elif kind < 0.45:
            text = rng.choice(
                (
                    "x = {}",
                    "x_1 = {}",
                    "$x_{{1}} = {}$",
                    "n={}",
                    "5 + 7 = {}",
                    "log_2(128) = {}",
                    "\\text{{Area}} = {}",
                )
            ).format(text)
        elif kind < 0.55:
            text = rng.choice(
                (
                    "${}$",
                    "\\({}\\)",
                    "**{}**",
                    "\\text{{about }}{}",
                    "approximately {}",
                    "\\boxed{{{}}}",
                )
            ).format(text)
        yield text, value, rng


def test_numbers_given_back_are_right_and_others_wrong() -> None:
    """Of 3000 numbers in all written forms each is right in every frame, and right or wrong against
    others by value.
    """
    before: tuple[str, Fraction] = ("4711", Fraction(4711))
    for label, value, rng in numbers(3000):
        assert label_problem(NUMBER, label) is None, label
        for frame in FRAMES:
            response = frame.format(label)
            assert is_correct(NUMBER, response, label), (response, label)
            other, others = before
            assert is_correct(NUMBER, frame.format(other), label) == (others == value), (
                frame.format(other),
                label,
            )
        changed = value + rng.choice((1, -1, 10, Fraction(1, 2), -2 * value or 3))
        assert not is_correct(NUMBER, f"Final Answer: {changed}", label), (changed, label)
        assert is_correct(NUMBER, f"Final Answer: {value}", label), (value, label)
        before = label, value


EXPRESSIONS = (
    "\\sqrt{{{a}}}",
    "{a}\\sqrt{{{b}}}",
    "\\frac{{\\sqrt{a}}}{{{b}}}",
    "\\frac{{\\pi}}{{{a}}}",
    "{a}\\pi",
    "({a}, {b})",
    "({a},{b})",
    "[{a},{b}]",
    "[{a}, {b})",
    "\\{{{a}, {b}\\}}",
    "{a}, {b}, {c}",
    "x = {a} or x = -{b}",
    "{a} + {b}",
    "{a}x + {b}",
    "x^2 + {a}",
    "{a}-{b}",
    "{a}–{b}",
    "{a} to {b}",
    "{a}; {b}",
    "{a}:{b}",
    "20{a}{b}-05-17",
    "{a}/5/2023",
    "{a} hours and {b} minutes",
    "{a} feet {b} inches",
    "\\begin{{pmatrix}} {a} & {b} \\\\ {c} & 1 \\end{{pmatrix}}",
    "(-\\infty, {a}]",
    "{a} \\pm \\sqrt{{{b}}}",
    "x > {a}",
    "{a}i + {b}",
    "10{a}_2",
    "2x + {a} = {b}",
)


def test_what_is_not_one_number_is_an_error_and_equals_no_part_of_it() -> None:
    """Expressions, intervals, tuples and several numbers are refused as labels; as responses they
    give no number of theirs.
    """
    rng = random.Random(3)
    for _ in range(20):
        for form in EXPRESSIONS:
            a, b, c = rng.sample(range(2, 10), 3)
            label = form.format(a=a, b=b, c=c)
            problem = label_problem(NUMBER, label)
            assert problem is not None, label
            assert "'math'" in problem[1], label
            assert "'exact'" in problem[1], label
            for part in (a, b, c, 10 * a + b, -b, 10 * b + a):
                assert not is_correct(NUMBER, str(part), label), label
                if form != "2x + {a} = {b}":
                    assert not is_correct(NUMBER, f"Final Answer: {label}", str(part)), (
                        label,
                        part,
                    )
                    assert not is_correct(
                        NUMBER, f"So we get $\\boxed{{{label}}}$ in {c} steps.", str(part)
                    ), (label, part)


CHOICE_FRAMES = (
    *FRAMES,
    "The correct answer is {}, since option D mentions a moon.",
    "Answer: {}\n\nWhy not the others: A is too small, B is a gas, D is a star.",
    "The correct option is ({}). (A) and (B) confuse weight with mass, and so does (C).",
    "The best answer would be {}. Vitamin B is not stored in A or C.",
    "**Answer: {}**\n\nIn option C the sign is wrong.",
    "答案是{}。因为选项A不对。",
    "Die richtige Antwort ist ({}), weil (A) zu klein ist.",
    "La bonne réponse est {}, car B est trop petit.",
    "La respuesta correcta es la {}. La opción A es falsa.",
    "A resposta correta é a letra {}.",
    "Het juiste antwoord is {}, omdat A te klein is.",
    "Правильный ответ: {}. Вариант A неверен.",
    "正解は{}です。Aは違います。",
    "정답은 {}입니다.",
    "I choose option {}; type A is no option.",
    "\\boxed{{{}}}. Note that \\text{{(A)}} was close.",
    "It was A at first. The answer is A. Wait, no: the answer is {}.",
)


def test_choices_given_back_are_right_and_others_wrong() -> None:
    """Each letter and number of an option is right in every frame, however it is written, and every
    other one is wrong.
    """
    options = [*"ABCDEFGHIJ", *(str(i) for i in range(1, 11))]
    tried = 0
    for option in options:
        for label in (
            option,
            f"({option})",
            f"{option}.",
            f"{option})",
            f"**{option}**",
            option.lower(),
            f"Option {option}",
        ):
            assert label_problem(CHOICE, label) is None, label
            for frame in CHOICE_FRAMES:
                response = frame.format(option)
                assert is_correct(CHOICE, response, label), (response, label)
                other = options[
                    (options.index(option) + 1 + tried % (len(options) - 1)) % len(options)
                ]
                assert not is_correct(CHOICE, frame.format(other), label), (
                    frame.format(other),
                    label,
                )
                tried += 1
        for frame in FRAMES[:6]:
            for written in (
                f"({option})",
                f"**{option}**",
                f"{option}. iron",
                f"\\text{{{option}}}",
            ):
                assert is_correct(CHOICE, frame.format(written), option), frame.format(written)
    assert tried > 2000


@needs("math_verify")
def test_mathematics_given_back_is_right_and_others_wrong() -> None:
    """Expressions, sets, intervals, tuples and matrices are right in every frame, and wrong with
    another number in them.
    """
    forms = [
        form
        for form in EXPRESSIONS
        if not any(word in form for word in ("hours", "feet", "/5/", "-05-", " to ", "_2"))
    ]
    rng = random.Random(5)
    for form in forms:
        a, b, c = rng.sample(range(2, 10), 3)
        label = form.format(a=a, b=b, c=c)
        assert label_problem(MATH, label) is None, label
        other = form.format(a=a + 10, b=b + 31, c=c)
        for frame in (*FRAMES[:4], FRAMES[5]):
            assert is_correct(MATH, frame.format(label), label), frame.format(label)
            assert not is_correct(MATH, frame.format(other), label), frame.format(other)


@pytest.mark.parametrize(
    "label",
    ["iron", "B or C", "AB", "A, C", "none of these", "B and D", "yes or no", "12.5", "-3", ""],
)
def test_a_label_that_is_no_choice_is_an_error(label: str) -> None:
    """A label that is not one option is refused."""
    assert label_problem(CHOICE, label) is not None
