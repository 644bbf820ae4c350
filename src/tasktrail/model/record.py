"""Executions as they are told: what somebody hands in, and what is read back, whoever executed it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from tasktrail.model.reference import format_task
from tasktrail.model.task import Outcome

ExecutionStatus: TypeAlias = Literal["success", "failed", "aborted", "running"]
RecordType: TypeAlias = Literal["task_execution", "observation"]

OUTCOME_BY_STATUS: Final[Mapping[str, Outcome]] = {"success": "ok", "failed": "error", "aborted": "cancelled"}
"""What may be told of an execution that is over, and how its attempt ended."""
STATUSES: Final = (*OUTCOME_BY_STATUS, "running")
_STATUS_BY_OUTCOME: Final[Mapping[Outcome | None, ExecutionStatus]] = {
    "ok": "success", "error": "failed", "timeout": "failed", "lost": "failed", None: "running",
}  # fmt: skip


class Recording(NamedTuple):
    """One row that is handed in; its text is scrubbed. The names are the parameters of the query `add_recording`.

    Times are microseconds UTC; `parents`, `details`, `inputs` and `output` are JSON text.
    """

    type: RecordType
    public_id: str
    trace_id: str
    span_id: str
    started_at: int
    ended_at: int
    duration_us: int
    outcome: Outcome
    n: int = 1
    actor: str | None = None
    task_ref: str | None = None
    task_slug: str | None = None
    error_type: str | None = None
    error: str | None = None
    stack: str | None = None
    fingerprint: str | None = None
    idempotency_key: str | None = None
    backfilled: int | None = None
    response: str | None = None
    parents: str | None = None
    session_id: str | None = None
    details: str | None = None
    inputs: str | None = None
    output: str | None = None


class Record(NamedTuple):
    """An execution or an observation as it is read back.

    Args:
        row_id: Tells ties of a list apart; it never leaves the process.
        id: Of a recording its public id; of an attempt of a task `kind/RUN:KEY@n`.
        type: None: Tasktrail executed it.
        task_id: The task as its reporter names it, or its reference.
        retry_of: Span of the attempt before it.
        details: What else was told of it, by name.
        inputs: JSON text, as is `output`.
    """

    row_id: int
    id: str
    type: RecordType | None
    task_id: str | None
    task_slug: str | None
    task_name: str | None
    task_type: str | None
    attempt: int
    trace_id: str
    span_id: str
    retry_of: str | None
    started_at: int
    ended_at: int | None
    duration_us: int | None
    outcome: Outcome | None
    error_type: str | None
    error: str | None
    stack: str | None
    fingerprint: str | None
    actor: str | None
    idempotency_key: str | None
    backfilled: bool
    response: str | None
    parents: Sequence[str]
    session_id: str | None
    details: Mapping[str, object]
    inputs: str | None
    output: str | None

    @property
    def status(self) -> ExecutionStatus:
        """How it stands, in document 001's words."""
        return _STATUS_BY_OUTCOME.get(self.outcome, "aborted")

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds; None while it runs."""
        return None if self.duration_us is None else self.duration_us // 1000

    @property
    def parent_span_id(self) -> str | None:
        """The span that began it."""
        told = self.details.get("parent_span_id")
        return told if isinstance(told, str) else None


def recorded(row: Sequence[object]) -> Record:
    """Return a record from a row of the query fragment `record_columns`."""
    (row_id, public_id, kind, task, slug, n, trace_id, span_id, started_at, ended_at, duration_us, outcome, error_type,
     error, stack, fingerprint, actor, key, backfilled, response, parents, session_id, details, inputs,
     output) = row  # fmt: skip
    told = json.loads(str(details)) if details is not None else {}
    return Record._make((
        row_id, public_id, kind, task, slug, told.get("task_name"), told.get("task_type"), n, trace_id, span_id,
        told.get("retry_of"), started_at, ended_at, duration_us, outcome, error_type, error, stack, fingerprint, actor,
        key, bool(backfilled), response, json.loads(str(parents)) if parents is not None else [], session_id, told,
        inputs, output,
    ))  # fmt: skip


def executed(row: Sequence[object]) -> Record:
    """Return a record from a row of the query fragment `executed_columns`."""
    (row_id, n, trace_id, span_id, started_at, ended_at, duration_us, outcome, error_type, error, stack, fingerprint,
     actor, inputs, output, kind, run, key, item, index, title, before) = row  # fmt: skip
    reference = format_task(str(run), str(key), str(item), int(str(index)))
    return Record._make((
        row_id, f"{kind}/{reference}@{n}", None, reference, key, title or key, kind, n, trace_id, span_id, before,
        started_at, ended_at, duration_us, outcome, error_type, error, stack, fingerprint, actor, None, False, None, [],
        None, {}, inputs, output,
    ))  # fmt: skip
