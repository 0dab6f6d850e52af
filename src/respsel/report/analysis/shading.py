"""A response as pieces of text with what the target made of each: nats of surprise, by token.

Works from stored token scores. They contain how many UTF-8 bytes each token spells, so no tokeniser
is needed. Invariant: the pieces joined are the text; no piece ends inside a character.
"""

from __future__ import annotations

from dataclasses import dataclass

from respsel.records import TokenScores

# The least nats of each level of shading; below the first there is none. 1 nat is a probability of
# 0.37, 7 of 0.001.
LEVELS = (1.0, 2.0, 4.0, 7.0)


@dataclass(frozen=True)
class Piece:
    """A piece of text.

    nats: of its tokens together; None where it was not scored.
    level: how dark its shade is, 0 to 4.
    """

    text: str
    nats: float | None
    level: int


def pieces(text: str, scores: TokenScores | None, most: int) -> tuple[Piece, ...]:
    """Cut a text at its tokens.

    Tokens that share a character stay together, and so do neighbours of no surprise.
    most: so many tokens are looked at; the rest is one piece without nats.
    A text whose tokens' lengths are not known or do not spell it is one piece too.
    """
    data = text.encode("utf-8")
    if scores is None or scores.lengths is None or int(scores.lengths.sum()) != len(data):
        return (Piece(text, None, 0),) if text else ()
    cut: list[Piece] = []
    start = end = 0
    nats = 0.0
    for length, nll in zip(scores.lengths[:most].tolist(), scores.nll[:most].tolist(), strict=True):
        end += length
        nats += nll
        # A continuation byte follows: the token ends inside a character.
        if end < len(data) and data[end] & 0xC0 == 0x80:
            continue
        if end > start:
            _add(
                cut,
                Piece(
                    data[start:end].decode("utf-8"), nats, sum(nats >= least for least in LEVELS)
                ),
            )
            start = end
            nats = 0.0
    if start < len(data):
        cut.append(Piece(data[start:].decode("utf-8"), None, 0))
    return tuple(cut)


def _add(found: list[Piece], piece: Piece) -> None:
    last = found[-1] if found else None
    if (
        last is not None
        and last.level == piece.level == 0
        and last.nats is not None
        and piece.nats is not None
    ):
        found[-1] = Piece(last.text + piece.text, last.nats + piece.nats, 0)
    else:
        found.append(piece)
