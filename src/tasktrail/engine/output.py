"""What attempts printed, in the store: pieces of whole lines, both ends of them, kept and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from tasktrail.model.reference import format_task

if TYPE_CHECKING:
    from tasktrail.engine.ledger import Ledger
    from tasktrail.engine.lookup import Found
    from tasktrail.store.transaction import Row, Transaction

KEPT_AT_EACH_END: Final = 512 * 1024
"""Characters of an attempt's output that stay at its beginning, and at its end."""

Stream = Literal["stdout", "stderr"]
_STREAMS: Final[dict[str, Stream]] = {"1": "stdout", "2": "stderr"}
_PAGE: Final = 64


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


@dataclass(frozen=True, slots=True)
class Line:
    """A line that a step printed.

    Args:
        step: The step as it is written inside its run.
        at: About when: the moment in which it was stored.
        stream: None: the line is ours and says how much is missing here.
    """

    step: str
    attempt: int
    at: int
    stream: Stream | None
    text: str


class OutputReader:
    """Reads what was printed, from the beginning; reads on where it stopped.

    Args:
        found: A run, which means all its steps, or a task.
        attempt: Number of the task's attempt; a run has all of all steps.
    """

    def __init__(self, ledger: Ledger, found: Found, attempt: int | None = None) -> None:
        self._ledger = ledger
        if found.task is None:
            self._query, self._name = "output_of_run", {"run_id": found.run.id}
        else:
            self._query, self._name = "output_of_attempt", {"task_id": found.task.id, "attempt": attempt or 0}
        self._after = 0
        self._ends: dict[tuple[str, int], int] = {}

    def page(self, tx: Transaction) -> list[Line]:
        """Return what comes next; empty when there is nothing yet."""
        rows = tx.rows(self._query, after=self._after, limit=_PAGE, **self._name)
        return [line for row in rows for line in self._lines(row)]

    def lines(self) -> Iterator[Line]:
        """Yield all that is there and was not read yet."""
        while page := self._ledger.store.read(self.page):
            yield from page
        if self._query == "output_of_run":
            self._query = "newer_output_of_run"

    def _lines(self, row: Row) -> Iterator[Line]:
        seq, attempt, position, length, at, lines, key, item, index = cast(
            "tuple[int, int, int, int, int, str, str, str, int]", row
        )
        self._after = seq
        step = format_task("", key, item, index)[1:]
        missing = position - self._ends.get((step, attempt), 0)
        self._ends[step, attempt] = position + length
        if missing > 0:
            yield Line(step, attempt, at, None, f"… {missing} characters left out …")
        for line in lines.removesuffix("\n").split("\n") if lines else ():
            yield Line(step, attempt, at, _STREAMS[line[0]], line[1:])
