"""What attempts printed, on its way into the store: pieces of whole lines, of too many both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tasktrail.store.transaction import Transaction

KEPT_AT_EACH_END: Final = 512 * 1024
"""Characters of an attempt's output that stay at its beginning, and at its end."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines that an attempt printed, scrubbed, the number of its stream in front of each.

    Args:
        position: Characters that the attempt had printed before, those that are not kept among them.
        length: Characters of the piece before it was scrubbed.
    """

    task_id: int
    attempt: int
    position: int
    length: int
    lines: str


def keep(tx: Transaction, pieces: Sequence[Piece], now: int) -> None:
    """Store pieces; what is then too much goes out of the middle."""
    for piece in pieces:
        name: dict[str, object] = {"task_id": piece.task_id, "attempt": piece.attempt}
        place = {"position": piece.position, "length": piece.length, "at": now, "lines": piece.lines}
        tx.execute("add_output", {**name, **place})
        kept_from = piece.position + piece.length - KEPT_AT_EACH_END
        if kept_from > KEPT_AT_EACH_END:
            tx.execute("drop_output", {**name, "from": KEPT_AT_EACH_END, "to": kept_from})
