"""Which tokens of a trained turn a trainer trains on, by their kinds.

Known of TRL, axolotl and LLaMA-Factory, from their code and documentation. Knows no template and no
tokenizer. Invariant: a rule looks at nothing but the kinds.

What the kinds do not say: LLaMA-Factory has templates of its own, and the rule holds where its
template writes what the model's does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from respsel.records import TokenKind

TRL = "TRL"
AXOLOTL = "axolotl"
LLAMA_FACTORY = "LLaMA-Factory"
_CONTENT = frozenset((TokenKind.ANSWER, TokenKind.THINKING))
# What the template writes itself. An empty block for thinking is in no content, which axolotl finds
# by how two contents differ.
_TEMPLATES = frozenset((TokenKind.BEHIND, TokenKind.EMPTY_THINKING))
_TRAINED: Mapping[str, frozenset[int]] = {
    # What is in the generation block, or behind the prompt: the line end behind a turn too.
    TRL: _CONTENT | _TEMPLATES | {TokenKind.END},
    # chat_template with roles_to_train assistant and train_on_eos turn: the content, and then the
    # token that ends the turn.
    AXOLOTL: _CONTENT | {TokenKind.END},
    # sharegpt with mask_history off: the slots of format_assistant, such as
    # `{{content}}<|im_end|>\n`, all of which are the response.
    LLAMA_FACTORY: _CONTENT | _TEMPLATES | {TokenKind.END},
}
TRAINERS = tuple(_TRAINED)


def trained_by(trainer: str, kinds: Sequence[int]) -> tuple[bool, ...]:
    """Whether a trainer trains on each token of a trained turn, by the tokens' kinds.

    Raises KeyError for a trainer that is none of TRAINERS.
    """
    trained = _TRAINED[trainer]
    return tuple(kind in trained for kind in kinds)


def trains_end(trainer: str, kinds: Sequence[int]) -> bool:
    """Whether a trainer trains on a token that ends the turn, so that the target learns to stop.

    TRL asks this of a template (is_chat_template_stop_token_trained).
    """
    trained = trained_by(trainer, kinds)
    return any(kind == TokenKind.END and own for kind, own in zip(kinds, trained, strict=True))
