"""Text for language models within a number of tokens: what does not fit is left out by rank, and counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import ceil
from typing import Final, NamedTuple

from tasktrail.model.errors import BadInput

_PIECES: Final = re.compile(r"[^\w\s]|[A-Z]?[a-z]+|\d+|[A-Z]+|_|[^\W\d_A-Za-z]+|\s+(?=[^A-Za-z])")
"""What is frequent in JSON comes first: a third of the time."""
_LETTERS_A_TOKEN: Final = 3
"""Vocabularies have most English words as a whole, and take numbers three digits at a time."""


class Section(NamedTuple):
    """A part of a text: its lines, the most important first, and how many there would be."""

    title: str
    lines: Sequence[str]
    total: int


def tokens_at_most(line: str) -> int:
    """Return a number of tokens that a line, with its end, hardly exceeds: an estimate, with no vocabulary at hand.

    Every third letter or digit of a piece is one, each other ASCII character, and each further byte of all others;
    never less than a third of the bytes. A capital begins a piece, since random letters have many tokens.

    >>> tokens_at_most("Draw the schema"), tokens_at_most("2026-11-21"), tokens_at_most("日本語")
    (6, 7, 7)
    """
    pieces = sum(_tokens_of(piece) * n for piece, n in Counter(_PIECES.findall(line)).items())  # JSON repeats itself
    return max(pieces, ceil(len(line.encode()) / _LETTERS_A_TOKEN)) + 1


def _tokens_of(piece: str) -> int:
    if piece.isascii():
        return min(2, len(piece)) if piece.isspace() else ceil(len(piece) / _LETTERS_A_TOKEN)
    return sum(max(1, len(character.encode()) - 1) for character in piece)


def fitted(head: Sequence[str], sections: Sequence[Section], budget: int) -> str:
    """Return the head and of each section as many lines as fit; the first line of each before the second of any.

    Args:
        budget: How many tokens there may be.

    Raises:
        BadInput: Not even the head and the titles fit.
    """
    shown = [section for section in sections if section.total]
    spent = sum(map(tokens_at_most, [*head, *(line for one in shown for line in ("", _title(one, 0)))]))
    if spent > budget:
        raise BadInput(f"expected a budget of {spent} tokens or more, got: {budget}")
    kept = [0] * len(shown)
    for place, number in sorted((at, number) for number, one in enumerate(shown) for at in range(len(one.lines))):
        spent += tokens_at_most(shown[number].lines[place])
        if spent > budget:
            break
        kept[number] += 1
    parts = [line for one, n in zip(shown, kept, strict=True) for line in ("", _title(one, n), *one.lines[:n])]
    return "".join(f"{line}\n" for line in [*head, *parts])


def _title(section: Section, shown: int) -> str:
    left = f"; {section.total - shown:,} left out" if shown < section.total else ""
    return f"## {section.title} ({section.total:,}{left})"
