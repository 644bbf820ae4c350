"""Reads what attempts printed: all of it, what is new since, and until nothing more can come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, cast

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Found, owners
from tasktrail.model.errors import NotFound
from tasktrail.model.reference import format_task
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Row, Transaction

Stream = Literal["stdout", "stderr"]
_STREAMS: Final[dict[str, Stream]] = {"1": "stdout", "2": "stderr"}
_PAGE: Final = 64


@dataclass(frozen=True, slots=True)
class Line:
    """A line that a step printed.

    Args:
        step: The step as it is written inside its run.
        at: About when: the moment in which it was stored.
        stream: None: the line is ours and says how much is missing here.
        title: What the part of a mapped step is called.
    """

    step: str
    attempt: int
    at: int
    stream: Stream | None
    text: str
    title: str | None = None


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
        seq, attempt, position, length, at, lines, key, item, index, title = cast(
            "tuple[int, int, int, int, int, str, str, str, int, str | None]", row
        )
        self._after = seq
        step, called = format_task("", key, item, index)[1:], title if index >= 0 else None
        missing = position - self._ends.get((step, attempt), 0)
        self._ends[step, attempt] = position + length
        if missing > 0:
            yield Line(step, attempt, at, None, f"… {missing} characters left out …", called)
        for line in lines.removesuffix("\n").split("\n") if lines else ():
            yield Line(step, attempt, at, _STREAMS[line[0]], line[1:], called)


def last_attempt(task: Task, n: int | None = None) -> int:
    """Return the number of a task's last attempt, or n if it has such a one; 0 when it never started.

    Raises:
        NotFound: It has fewer attempts.
    """
    if n is not None and n > task.attempts:
        words = f"has {task.attempts} attempt{'s' * (task.attempts != 1)}" if task.attempts else "never started"
        raise NotFound(f"step {task.name} {words}, so there is no attempt {n}", hint="leave --attempt out")
    return n or task.attempts


class Following:
    """Reads output until nothing more can come: the attempt is over, or the run, or nobody executes it any more.

    Args:
        attempt: None is the last attempt of a task, or the first where there is none yet.
    """

    def __init__(self, ledger: Ledger, found: Found, attempt: int | None = None) -> None:
        self._ledger = ledger
        self._found = found
        self._attempt = attempt
        self._reader = None if found.task else OutputReader(ledger, found)
        self.is_over = False
        self.words: str | None = None
        """Why it is over, where that is not plain."""

    def lines(self) -> Iterator[Line]:
        """Yield what is new."""
        # How things stand is read before the output: what ends an attempt stores the last of it.
        over = self._look()
        if self._reader is not None:
            yield from self._reader.lines()
        self.is_over = over

    def _look(self) -> bool:
        """Return whether nothing more comes after what is there now."""
        run, task = self._ledger.store.read(self._stand)
        if task is not None:
            self._attempt = self._attempt or task.attempts or None
            if self._attempt and self._reader is None:
                self._reader = OutputReader(self._ledger, self._found, self._attempt)
            if self._attempt and task.open_attempt != self._attempt:
                return True
        if run.status in OVER:
            return True
        if run.started_at is not None and run.id not in owners(self._ledger, [run]):
            self.words = f"nobody executes run {run.name} now"
        return self.words is not None

    def _stand(self, tx: Transaction) -> tuple[Run, Task | None]:
        task = self._found.task
        return tx.run(self._found.run.id), tx.task("task_by_id", id=task.id) if task else None
