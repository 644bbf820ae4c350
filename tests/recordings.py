"""Executions of both kinds for tests: told of, and executed."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.recording import record
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.model.record import Recording
from tasktrail.testing.fakes import FIRST_MOMENT, FakeClock

_numbers = count(1)
S = 1_000_000


def told(
    ledger: Ledger, task: str, at_s: float = 0, *, took_s: float = 1, failed: str | None = None, **more: Any
) -> str:
    """Record an execution that began so many seconds after the clock's first moment; return its id.

    Args:
        failed: The fingerprint of its failure; an empty one is not known.
        more: Of the recording; `details` as a dict.
    """
    started, number = FIRST_MOMENT + round(at_s * S), next(_numbers)
    details = more.pop("details", None)
    row = Recording(
        "task_execution", more.pop("id", f"x{number}"), more.pop("trace_id", f"trace-{number}"),
        more.pop("span_id", f"span-{number}"), started, started + round(took_s * S), round(took_s * S),
        "ok" if failed is None else "error", task_ref=task, task_slug=task,
        error_type=None if failed is None else "OSError", error=None if failed is None else "gone",
        fingerprint=failed or None, details=None if details is None else json.dumps(details),
    )._replace(**more)  # fmt: skip
    return record(ledger, [row])[0].id


def executed(ledger: Ledger, clock: FakeClock, run: str, *outcomes: str, key: str = "step", took_s: float = 1) -> str:
    """Execute a task, once for each outcome: `ok`, or the text of a failure; return its run's trace."""
    made = ledger.create_run(RunDraft("dag", run, "etl", (TaskDraft(key, max_retries=9),)))
    task = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=made.id))[0]
    for place, outcome in enumerate(outcomes, 1):
        ledger.ask(task.id, Ask("start"))
        clock.advance(took_s)
        if outcome == "ok":
            ledger.ask(task.id, Ask("complete"))
        else:
            ledger.ask(task.id, Ask("fail", failure=Failure("OSError", outcome)))
            if place < len(outcomes):
                ledger.ask(task.id, Ask("retry"))
    return made.trace_id
