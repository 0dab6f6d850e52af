"""What a card says of the conversations of a set: how its trainer has to be set, and what to mind.

Knows the trainers' rules, and no files. Invariant: without conversations there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from respsel.text.transcript import REASONING_KEYS
from respsel.training.conversations import Conversations
from respsel.training.turn_formats import OPENAI_FIELDS

_TEMPLATE = (
    "`assistant_only_loss` asks for `{% generation %}` in the chat template. TRL puts a training "
    "template of its own in the place of one that has none, for the models that it knows. That "
    "can write another text than the model's own, which is what was scored: TRL's for Qwen3 keeps "
    "the thinking of earlier turns. To be sure, give TRL the model's own template with "
    "`{% generation %}` before and `{% endgeneration %}` behind what the assistant writes, the "
    "end of its turn too."
)


def _loaded(columns: Sequence[str], found: Conversations) -> str:
    """How `datasets` reads the turns as they were written."""
    features = [f"'{name}': List(Json())" for name in columns]
    features += ["'tools': Value('string')"] if found.with_tools else []
    return (
        "Load it with `from datasets import Features, Json, List, Value, load_dataset` and "
        "`load_dataset('json', data_files='train.jsonl', split='train', features=Features({"
        f"{', '.join(features)}}}))`. Without `features`, `datasets` guesses from the beginning of "
        "the file, and may fill in nulls or make dates of texts; the chat template would then "
        "write another text than was scored."
    )


def _numbers(found: Conversations) -> list[str]:
    """What `datasets` does to numbers, and how to go round it."""
    if not found.with_numbers:
        return []
    return [
        f"{_some(found.with_numbers, found)} a number in a tool call that `datasets` changes as it "
        "reads it (0.3 becomes 0.30000000000000004; of digits behind the point it keeps ten). To "
        "train on what was scored, read the rows yourself: `IterableDataset.from_generator(lambda: "
        "map(json.loads, Path('train.jsonl').read_text('utf-8').splitlines()))`, with `max_steps`."
    ]


def _some(count: int, found: Conversations) -> str:
    return f"{count} of {found.rows} conversations {'has' if count == 1 else 'have'}"


def of_messages(found: Conversations) -> Sequence[str]:
    """TRL's language modeling, with assistant_only_loss."""
    return [
        "All turns of the assistant are trained, and no other: set `assistant_only_loss=True`. "
        "Without it TRL trains on the whole text.",
        _TEMPLATE,
        _loaded(["messages"], found),
    ]


def of_prompt_completion(found: Conversations) -> Sequence[str]:
    """TRL's prompt-completion, with completion_only_loss as by default."""
    rule = "TRL trains on all that comes behind the prompt"
    if not found.beside:
        return [
            f"{rule}: the trained turns, and what the chat template writes behind them. Where it "
            "warns that the prompt is no prefix, it trains on the end of the prompt too.",
            "If the chat template has `{% generation %}`, set `assistant_only_loss=True` too. Then "
            "what stands in these blocks was scored, and TRL trains on nothing else.",
            _loaded(["prompt", "completion"], found),
        ]
    return [
        f"{rule}, and in {found.beside} of {found.rows} conversations there are turns among it "
        "that are not the assistant's (tool results, say). Set `assistant_only_loss=True` too: TRL "
        "then trains on the assistant's turns of the completion alone.",
        _TEMPLATE,
        _loaded(["prompt", "completion"], found),
    ]


def of_dpo(found: Conversations) -> Sequence[str]:
    """TRL's preference."""
    return [
        "The prompt is what both conversations begin with; `chosen` and `rejected` begin at the "
        "first turn that differs.",
        _loaded(["prompt", "chosen", "rejected"], found),
    ]


def of_sdft(found: Conversations) -> Sequence[str]:
    """TRL's SDFTTrainer."""
    return ["The prompt is the conversation before the response.", _loaded(["prompt"], found)]


def of_axolotl(found: Conversations) -> Sequence[str]:
    """Axolotl's chat_template datasets."""
    notes = [
        "`train` says of each turn whether it is trained (`message_field_training`). The end of a "
        "trained turn is trained too (`train_on_eos: turn`); where the chat template ends turns "
        "with another token than the tokenizer's `eos_token`, name it in `eot_tokens` of your "
        "config.",
        "axolotl finds a turn by writing the conversation as far as the turn. Where a template "
        "writes a last turn otherwise than an earlier one (Qwen3's thinking), look at its "
        "`--debug` output once.",
    ]
    if found.with_calls or found.with_tools:
        notes.append(
            "Arguments of calls and parameters of tools are JSON text, which axolotl parses: "
            "`datasets` would fill nulls into objects."
        )
    return notes


def of_llama_factory(found: Conversations) -> Sequence[str]:
    """LLaMA-Factory's sharegpt datasets."""
    setting = "" if found.every == found.rows else "Set `mask_history: true`. "
    trained = "the last turn" if setting else "all of the assistant's turns"
    return [
        f"{setting}It trains on {trained}. Leave `train_on_prompt` off.",
        "LLaMA-Factory writes the text with its own `template`, and not with the model's chat "
        "template: the text can differ from what was scored, above all where there are tools or "
        "thinking. Choose the template of the target's family.",
    ]


def of_weights(_found: Conversations) -> Sequence[str]:
    """OpenAI's and Fireworks' messages."""
    return ["`weight` is 1 for an assistant's turn that is trained and 0 for one that is not."]


def of_table(_found: Conversations) -> Sequence[str]:
    """The table."""
    return [
        "Conversations are in `messages` and `tools`, as JSON text; `trained` has the places of "
        "the trained turns in `messages`, from 0."
    ]


def no_caution(_found: Conversations) -> list[str]:
    """A format that says all, and reads it as it is."""
    return []


def cautions_of_trl(found: Conversations) -> list[str]:
    """What `datasets` changes."""
    return _numbers(found)


def cautions_of_dpo(found: Conversations) -> list[str]:
    """What `datasets` changes, and what is trained beside the responses."""
    cautions = _numbers(found)
    if found.beside:
        cautions.append(
            "DPO counts every token behind the prompt: in "
            f"{found.beside} of {found.rows} pairs there are turns that are not trained (tool "
            "results, say), and they count too."
        )
    return cautions


def cautions_of_llama_factory(found: Conversations) -> list[str]:
    """What its templates write otherwise."""
    if not found.with_tools and not found.with_calls and not found.with_thinking:
        return []
    return [
        "Tools, calls and thinking are written by LLaMA-Factory's own template, and that was not "
        "what was scored."
    ]


def cautions_of_openai(found: Conversations) -> list[str]:
    """Fields that the format does not have."""
    lost = sorted(found.fields - OPENAI_FIELDS - {"content", "weight", *REASONING_KEYS})
    if not lost:
        return []
    return [f"Fields of turns that OpenAI's format does not have are left out: {', '.join(lost)}."]
