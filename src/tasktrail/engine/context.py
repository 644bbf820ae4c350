"""What a step is told about its own execution, and what it may say while it runs."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Final

from tasktrail.engine.calls import PlainContext
from tasktrail.engine.execution import Claim
from tasktrail.engine.ledger import Ledger
from tasktrail.model.attempt import traceparent
from tasktrail.model.reference import format_task
from tasktrail.model.run import Run
from tasktrail.model.task import Task

_PROGRESS_EVERY_S: Final = 1.0


class StepContext:
    """Handed to a step whose function has a parameter named `ctx`.

    Attributes:
        run_id: Public id of the run.
        step_id: Key of the step.
        attempt: Number of this start, from 1, over all executions.
        trace_id: 32 hexadecimal digits, the same for the whole run.
        span_id: 16 hexadecimal digits, of this attempt.
        timeout_s: How long this attempt may take; None means no limit.
        cancelled: True once the step should stop: the run was cancelled, or the step's time is up.
    """

    def __init__(self, ledger: Ledger, run: Run, claim: Claim, load: Callable[[Task], Mapping[str, object]]) -> None:
        self._ledger = ledger
        self._claim = claim
        self._progress_at = 0.0
        self.run_id = run.name
        self.step_id = claim.task.key
        self.attempt = claim.task.attempts
        self._load = load
        self._results: Mapping[str, object] | None = None
        self.trace_id = run.trace_id
        self._born_at = run.created_at
        self.span_id = claim.span_id
        self.timeout_s = None if claim.task.timeout_ms is None else claim.task.timeout_ms / 1000
        self.cancelled = False

    @property
    def token(self) -> str:
        """The same for every attempt of this step: give it to services that take an idempotency key."""
        born = f"{self.trace_id}:{self._born_at}"  # runs of one trace may have been called alike, one after the other
        return hashlib.sha256(f"{born}:{self.reference}".encode()).hexdigest()[:32]

    @property
    def reference(self) -> str:
        """How this task is written: its run, its step, and its item or index where it has one."""
        task = self._claim.task
        return format_task(self.run_id, task.key, task.item, task.map_index)

    @property
    def traceparent(self) -> str:
        """W3C Trace Context of this attempt, for calls to other systems."""
        return traceparent(self.trace_id, self.span_id)

    @property
    def results(self) -> Mapping[str, object]:
        """Results of the steps it needs, by step id; where steps go one after another, of all that are completed."""
        if self._results is None:
            self._results = self._load(self._claim.task)
        return self._results

    def note(self, text: str) -> None:
        """Append a note to the step's history; durable when this returns."""
        self._ledger.note(self._claim.task, text)

    def progress(self, done: int, total: int | None = None) -> None:
        """Say how far the step is. Stored at most once a second, and at the end (done = total)."""
        now_s = time.monotonic()
        if done != total and now_s - self._progress_at < _PROGRESS_EVERY_S:
            return
        self._progress_at = now_s
        self._ledger.progress(self._claim.task, done, total)


def plain(context: StepContext, results: Mapping[str, object]) -> PlainContext:
    """Return a context as plain data, for another process."""
    one = context
    return PlainContext(
        one.run_id, one.step_id, one.reference, one.attempt, one.trace_id, one.span_id, one.token, one.traceparent,
        one.timeout_s, results,
    )  # fmt: skip
