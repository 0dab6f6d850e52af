"""What find_faults sees in one text, and the innocent look-alikes that it leaves alone."""

from __future__ import annotations

import time

import pytest

from respsel.health.faults import Fault, find_faults

ORDER = "Where is my order? I have been waiting for the parcel for two weeks now."
ENGLISH = "Can you explain to me how the heart works and why it beats faster when we run?"
GERMAN = (
    "Kannst du mir bitte erklären, wie das Herz arbeitet und warum es beim Laufen schneller ist?"
)
FRENCH = (
    "Peux-tu m'expliquer comment le cœur fonctionne et pourquoi il bat plus vite dans la course ?"
)
CHINESE = (
    "心脏是怎么工作的？为什么跑步的时候心跳会变快，请你用简单的话给我解释一下好不好，谢谢你的帮助。"
)
WORD_PROBLEM = (
    "Mia has 12 apples and buys 5 bags with 4 apples in each bag. "
    "How many apples does Mia have now?"
)
ESSAY = (
    "The harbour was built in stages. At first there was only a wooden pier, and fishing boats "
    "tied up to it in rows. Later the town paid for a stone quay, which ships from abroad could "
    "use. The last stage was a lighthouse, whose keeper lived above the lamp room."
)

LOOPS = [
    "The answer is 4.\n\n" * 12,
    ESSAY + " It was white." * 12,
    "It is the capital of the north of the" + " capital of the north of the" * 20,
    "\n".join(f"{i}. Wash the dishes and dry them" for i in range(1, 15)),
    "\n".join(f"Step {i}: Go to the shop and look around there." for i in range(1, 12)),
    "very " * 60,
    "I like the sea and the wind. " * 5,
    "我喜欢在海边散步。" * 12,
    "どこですが" * 30,
    "ha" * 200,
    "!" * 400,
    "! " * 400,
    "<p>We are glad to help you today</p>\n" * 9,
    ESSAY + " " + "The train was late and nobody told the people who were waiting there. " * 3,
    "<think>\n" + "Wait, let me check this again. " * 30 + "\n</think>\nThe answer is 7.",
]
NO_LOOPS = [
    ESSAY,
    "hello hello hello hello hello",
    "Row, row, row your boat\nGently down the stream\nMerrily, merrily, merrily, merrily\n"
    "Life is but a dream",
    "\n".join(f"7 x {i} = {7 * i}" for i in range(1, 21)),
    "\n".join(" ".join("0" for _ in range(10)) for _ in range(10)),
    "| name | age |\n|------|-----|\n| Ann | 12 |\n| Bob | 15 |\n| Cem | 12 |\n| Dan | 15 |",
    "<table>\n" + "<tr><td></td><td></td><td></td></tr>\n" * 6 + "</table>",
    "x = x * 2\nx = x * 2\nx = x * 2\nprint(x)",
    "Title\n" + "=" * 90 + "\n" + ESSAY,
    "1" + "0" * 100,
    "ACGTTAGGACCATTGACAGT" * 1 + "GGATTACAGATTACCAGGATACCAGATTACA" * 2,
    "\n".join(f'{{"id": {i}, "name": "n{i * i}", "size": {i * 3}}}' for i in range(12)),
    "Say no.\nSay no to rain.\nSay no to wind.\nSay no to snow.\nSay yes to spring.",
    "\n".join(f"| {i} | yes | no | yes |" for i in range(12)),
    "\n".join(f"- Day {i}: Rest" for i in range(1, 8)),
    "self.layers.append(nn.Linear(10, 10))\n" * 4,
    "\n".join(f"assert add({i}, {i * i % 7}) == {i + i * i % 7}" for i in range(12)),
    "https://example.com/" + "/".join(f"part{i * 37 % 101}" for i in range(30)),
]


@pytest.mark.parametrize("text", LOOPS)
def test_a_loop_is_found(text: str) -> None:
    """The same passage again and again is a loop, with and without words or counters."""
    assert Fault.LOOP in find_faults(text, "Tell me something.")


@pytest.mark.parametrize("text", NO_LOOPS)
def test_what_merely_repeats_is_no_loop(text: str) -> None:
    """Refrains, tables, code and numbers repeat a little."""
    assert find_faults(text, "Tell me something.") == ()


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (ORDER, ORDER),
        (ORDER.upper().replace("?", "!"), ORDER),
        (f"You asked: {ORDER}", ORDER),
        (f"{ORDER} Thank you for asking, we will look into it.", ORDER),
        (f"**Question:** {WORD_PROBLEM}\n\n**Answer:** 32", WORD_PROBLEM),
        (WORD_PROBLEM, WORD_PROBLEM + "\n\nGive only the number."),
        ("Hello, how are you?", "Hello, how are you?"),
        ("北海道的冬天非常冷，雪下得很大。", "北海道的冬天非常冷，雪下得很大。"),
        (f"<think>\nHm.\n</think>\n{ORDER}", ORDER),
    ],
)
def test_a_copy_of_the_input_is_found(text: str, asked: str) -> None:
    """The input again, alone or before something else, is a copy."""
    assert find_faults(text, asked) == (Fault.COPY,)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Mia has 12 apples and buys 5 x 4 = 20 more. She has 12 + 20 = 32 apples.", WORD_PROBLEM),
        ("yes", "yes"),
        ("Paris", "Paris"),
        ("The pier came first.", ESSAY + "\n\nSummarise this."),
        (ESSAY, "Correct the spelling and write the whole text again: " + ESSAY),
        ("At first there was only a wooden pier.", "Quote the second sentence. " + ESSAY),
        ("2 + 2 = 4", "2 + 2"),
        (
            'def double(x):\n    """Twice the number x, as a number."""\n    return 2 * x\n'
            "def half(x):\n    return x / 2\nprint(double(half(3)))",
            'def double(x):\n    """Twice the number x, as a number."""\n    return 2 * x\n',
        ),
        ("Your parcel is on its way, and it has been for two weeks. Sorry for that.", ORDER),
    ],
)
def test_a_quotation_is_no_copy(text: str, asked: str) -> None:
    """Restated numbers, summaries, corrections and completed code are answers."""
    assert find_faults(text, asked) == ()


REFUSALS = [
    "I'm sorry, but I can't.",
    "I’m sorry, but I can’t help with that.",
    "I'm sorry, I can't assist with that request.",
    "Sorry, I cannot provide that information.",
    "I apologize, but I am unable to answer this question.",
    "I cannot fulfill this request.",
    "I won't be able to help with this.",
    "Unfortunately, I'm not able to provide medical advice.",
    "As an AI language model, I don't have personal opinions, but many people like tea.",
    "As a large language model, I cannot browse the internet.",
    "I'm just an AI, I can't see your order.",
    "I cannot in good conscience help with this.",
    "I'm not able to generate explicit material.",
    "It would be inappropriate for me to answer that.",
    "I must decline to answer.",
    "I must respectfully decline.",
    "I'm not comfortable discussing this topic.",
    "I don't have access to real-time information.",
    "**I'm sorry, but I can't help with that.**",
    "Hello! I understand that you are worried, but I can't help with that.",
    "<think>\nThis is risky.\n</think>\n\nI'm sorry, but I can't assist with that.",
    "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
    "Leider kann ich Ihnen bei dieser Anfrage nicht weiterhelfen.",
    "Als KI-Sprachmodell habe ich keine eigene Meinung.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "En tant que modèle de langage, je n'ai pas d'opinion.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "Como modelo de lenguaje, no tengo opiniones.",
    "Mi dispiace, ma non posso aiutarti con questo.",
    "Desculpe, mas não posso ajudar com isso.",
    "Het spijt me, maar ik kan je daar niet mee helpen.",
    "Przykro mi, ale nie mogę pomóc w tej sprawie.",
    "Извините, но я не могу помочь с этим.",
    "很抱歉，我无法提供这方面的帮助。",
    "作为一个人工智能语言模型，我无法回答这个问题。",
    "申し訳ありませんが、その質問にはお答えできません。",
    "죄송하지만 그 요청은 도와드릴 수 없습니다.",
    "Üzgünüm, bu konuda yardımcı olamam.",
]
NO_REFUSALS = [
    ("I'm sorry to hear that your parcel is late. It will come on Monday.", ORDER),
    ("I'm sorry, but I can't find an order under that number. Which one is it?", ORDER),
    ("Sorry, we cannot refund an order after 30 days.", ORDER),
    ("We can't wait to see you! Your order leaves today.", ORDER),
    ("As an AI engineer you will not need a degree, but it helps.", "What do I need for the job?"),
    ("As an AI assistant, I'd be happy to help! Your order is on its way.", ORDER),
    ("\"I'm sorry, but I can't help with that\" is a phrase of chatbots.", "What do bots say?"),
    ("Models often refuse with: I'm sorry, but I can't help with that.", "What do models say?"),
    ("Dear Tom, I'm sorry, but I can't help with that this week.", "Write how I refuse to help."),
    ("I'm sorry, I can't help you.", "Translate: Es tut mir leid, ich kann dir nicht helfen."),
    ("refusal", "Is this a refusal? I'm sorry, but I can't."),
    ("You cannot divide by zero, so there is no answer.", "What is 1 / 0?"),
    ("The lock cannot be opened without help from its owner.", "Why is it shut?"),
    ("The judge can't answer that, since the law says nothing about it.", "What says the law?"),
    ("I cannot but agree: the sea is the better place.", "Is the sea better?"),
    ("We won't answer for the delay, the company said.", "What did they say?"),
    ("As an AI researcher, I don't trust single numbers.", "Write a sentence."),
    ("抱歉，您的订单延迟了，我们会尽快为您发货。", "我的订单在哪里？"),
    ("申し訳ございませんが、在庫がありません。", "在庫はありますか？"),
    ("I can't help but smile when I see the sea.", "Do you like it?"),
    ("I can't answer that without your order number. Could you send it?", ORDER),
    ("I can't say that I have seen it.", "Have you seen it?"),
    ("We cannot give any discount on lamps, but the shade is free.", "Is there a discount?"),
    ("We can't do this without you, so come and join us!", "Write a slogan."),
    ("Ich kann die Bestellung leider nicht finden. Wie lautet die Nummer?", "Wo ist sie nur?"),
    ("Je ne peux pas venir demain, car le train est en retard.", "Que dit-il donc ?"),
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_found(text: str) -> None:
    """The usual phrases of several languages, at the beginning."""
    assert Fault.REFUSAL in find_faults(text, "Tell me.")


@pytest.mark.parametrize(("text", "asked"), NO_REFUSALS)
def test_a_text_about_refusing_is_no_refusal(text: str, asked: str) -> None:
    """Apologies of a shop, quotations, translations and letters that were asked for are answers."""
    assert find_faults(text, asked) == ()


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Das Herz ist ein Muskel, und es pumpt das Blut durch den Körper.", ENGLISH),
        ("The heart is a muscle, and it pumps the blood through the body.", GERMAN),
        ("The heart is a muscle, and it pumps the blood through the body.", FRENCH),
        ("Le cœur est un muscle qui pompe le sang dans le corps, et il bat plus vite.", ENGLISH),
        ("El corazón es un músculo que bombea la sangre por el cuerpo, y late más.", ENGLISH),
        ("Il cuore è un muscolo che pompa il sangue nel corpo, e non si ferma.", GERMAN),
        ("O coração é um músculo que bombeia o sangue para o corpo, e não para.", ENGLISH),
        ("Het hart is een spier die het bloed door het lichaam pompt, en het klopt.", ENGLISH),
        ("Сердце — это мышца, которая качает кровь по телу.", ENGLISH),
        (
            "心脏是一块肌肉，它把血液泵到全身，跑步的时候身体需要更多的氧气，所以心跳会变快。",
            ENGLISH,
        ),
        ("心臓は筋肉でできていて、体じゅうに血液を送っています。", ENGLISH),
        ("심장은 근육이며 온몸으로 피를 보냅니다.", ENGLISH),
        ("القلب عضلة تضخ الدم في الجسم كله.", ENGLISH),
        (
            "The heart is a muscle, and it pumps the blood through the body.",
            CHINESE,
        ),
        (
            "<think>\nThey ask about it.\n</think>\nDas Herz ist ein Muskel, und es pumpt Blut.",
            ENGLISH,
        ),
    ],
)
def test_another_language_is_found(text: str, asked: str) -> None:
    """By script, or by the common words of a language."""
    assert find_faults(text, asked) == (Fault.LANGUAGE,)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("The heart is a muscle, and it pumps the blood through the body.", ENGLISH),
        ("Das Herz ist ein Muskel, und es pumpt das Blut durch den Körper.", GERMAN),
        ("Das Herz ist ein Muskel, und es pumpt das Blut.", "Translate: " + ENGLISH),
        ("Das Herz ist ein Muskel, und es pumpt das Blut.", ENGLISH + " Answer in German."),
        ("The heart is a muscle, and it pumps the blood.", GERMAN + " Antworte auf Englisch."),
        ("42", GERMAN),
        ("Berlin", ENGLISH),
        ("positive", GERMAN),
        ("A", CHINESE),
        ("东京", "日本の首都はどこですか？"),
        ("東京都", "日本の首都はどこですか？その町の名前だけを教えてください。"),
        ("for i in range(10):\n    if i not in done:\n        print(i)\n", GERMAN),
        (
            "```python\n# The sum of all the numbers that are in the list\nprint(sum(x))\n```",
            GERMAN,
        ),
        ("SELECT name FROM users WHERE id IN (1, 2) AND age IS NOT NULL;", GERMAN),
        ('{"title": "The end of the world as we have it", "year": 1999}', GERMAN),
        (
            "Man sagt: der Hund, die Katze. In this phrase the word that is first has the stress.",
            "How do I say these two in German, and which one has the stress?",
        ),
        (
            "The text is about a pier that was built in stages.",
            "Summarise in English: 港口是分阶段建造的。",
        ),
        ("π ≈ 3.14159, and α + β = γ", ENGLISH),
        (
            "Python 的 print 函数会把文字显示在屏幕上，这是最常用的函数之一，用它来看变量的值。",
            CHINESE,
        ),
        ("E = mc^2", FRENCH),
    ],
)
def test_where_a_language_cannot_be_told_nothing_is_said(text: str, asked: str) -> None:
    """Translations that are asked for, code, numbers and labels have no wrong language."""
    assert find_faults(text, asked) == ()


LEFTOVERS = [
    "Your order is on its way.<|im_end|>",
    "<|assistant|>Your order is on its way.",
    "Your order is on its way.</s>",
    "<s>Your order is on its way.",
    "Your order is on its way. [/INST]",
    "[INST] Where is it? [/INST] On its way.",
    "<start_of_turn>model\nYour order is on its way.",
    "Your order is on its way.<end_of_turn>",
    "Your order is on its way.<｜end▁of▁sentence｜>",
    "<|start_header_id|>assistant<|end_header_id|>\n\nOn its way.",
    "<think>\nThe user asks for an order. Let me",
    "The user asks for an order.\n</think>\nIt is on its way.",
    "<think>\nThe user asks for an order.\n</think>",
    "[THINK]The user asks for it.",
    "It is on its way.\n<think>\nWait",
    "### Response:\nYour order is on its way.",
    "Your order is on its way.\n\n### Instruction:\nWrite a poem.",
    "Below is an instruction that describes a task.\n\nYour order is on its way.",
    "Thank you for asking about {{ input }}.",
    "Thank you for asking about {{input}}.",
    "Thank you for asking about {input}.",
    "The answer is {{ label | trim }}.",
    "{% if reference %}It is on its way.{% endif %}",
    "Your order {{ order_id }} is on its way.",
    "user\nWhere is it?\nassistant\nOn its way.",
    "It is on its way.assistant\n\nIt is on its way.",
    "Assistant: Your order is on its way.",
    "**Assistant:** Your order is on its way.",
    "Your order is on its way.\n\nUser: Thank you!\nAssistant: You are welcome.",
    "Your order is on its way.\nHuman: And the other one?\nAI: That one too.",
    "YOUR ANSWER HERE\n\nYour order is on its way.",
]
NO_LEFTOVERS = [
    ("<think>\nThe user asks for an order.\n</think>\n\nIt is on its way.", ORDER),
    ("<think></think>It is on its way.", ORDER),
    ("[THINK]The user asks.[/THINK]It is on its way.", ORDER),
    ("<reasoning>They ask.</reasoning>\n<answer>It is on its way.</answer>", ORDER),
    ("The token `<|im_end|>` ends a turn.", "How does a turn end?"),
    ("```\n<|im_start|>user\nHi<|im_end|>\n```\nThis is how it looks.", "Show me the format."),
    ("It ends with <|im_end|>, which the tokenizer knows.", "What does <|im_end|> mean?"),
    ("The tag </think> ends the reasoning.", "What is </think> for?"),
    ("He said <s>no</s> yes.", ORDER),
    ('```python\nprint(f"Hello {input}")\n```', "Write some code."),
    ('name = input()\nprint(f"Hello {input}")\nreturn name', "Write some code."),
    (r"\[ \boxed{answer} = \frac{input}{output} \]", "Write it with words in LaTeX."),
    ("The loss is $L_{input} + L_{output}$.", "What is the loss?"),
    ("{1, 2, 3} is a set, and {x} is one too.", "What is a set?"),
    ("User: Hi\nAssistant: Hello", "Write a short dialogue between a user and an assistant."),
    ("### Summary:\nThe pier came first.", ESSAY),
    ("## Instructions\n\n1. Boil water.", "How do I make tea?"),
    ("Come HERE and look, the order is HERE", ORDER),
    ("Human: 46 chromosomes\nDog: 78 chromosomes", "How many do they have?"),
    ("An assistant: somebody who helps others.", "Define the word."),
    ("User: the person at the keyboard.\nAdmin: the one who has the keys.", "Define both."),
    ("if a < b | c > d then a <|b", "Write it as pseudo code."),
    ("AI: short for artificial intelligence.", "Explain the acronym."),
    ("chef\nassistant\nmanager", "List the jobs."),
    ("See [1] and [inst] for more.", "Where can I read more?"),
]


@pytest.mark.parametrize("text", LEFTOVERS)
def test_a_leftover_is_found(text: str) -> None:
    """Special tokens, loose reasoning tags, placeholders, and turns that the model went on with."""
    assert find_faults(text, "Where is it?") == (Fault.LEFTOVER,)


@pytest.mark.parametrize(("text", "asked"), NO_LEFTOVERS)
def test_what_is_talked_about_is_no_leftover(text: str, asked: str) -> None:
    """Whole reasoning, code, quotations, formulas and dialogues that are asked for are answers."""
    assert find_faults(text, asked) == ()


HOSTILE = [
    "! " * 2_500_000,
    "a" * 1_000_000,
    "ab" * 500_000,
    "".join(chr(97 + i * i % 26) for i in range(1_000_000)),
    "<" * 1_000_000,
    "{" * 1_000_000,
    "{{ " * 400_000,
    "<think>" * 200_000,
    "```\n" * 300_000,
    "`" * 1_000_001,
    "\n" * 1_000_000,
    "1. " * 400_000,
    "i can't " * 200_000,
    "as an ai " * 200_000,
    "我" * 1_000_000,
    "\u0301" * 1_000_000,
    "a b " * 400_000,
    "\ufdfa" * 500_000,
    "(" * 1_000_000,
    "f" + "(" * 500_000 + "x\n" * 200_000,
    " " * 1_000_000 + "x",
    "user:\n" * 200_000,
    "the " * 100_000 + "der " * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_takes_little_time(text: str) -> None:
    """Five megabytes of the worst take less than two seconds, as a text and as an input."""
    before = time.process_time()
    find_faults(text, text)
    find_faults(text, ORDER)
    find_faults(ESSAY, text)
    assert time.process_time() - before < 2


@pytest.mark.parametrize("times", [1, 2, 3])
def test_nothing_but_the_input_is_a_copy(times: int) -> None:
    """Once or several times, also of a short input."""
    assert Fault.COPY in find_faults(
        " ".join(["Do you ship to Norway?"] * times), "Do you ship to Norway?"
    )
    assert Fault.COPY not in find_faults("We do ship to Norway.", "Do you ship to Norway?")
