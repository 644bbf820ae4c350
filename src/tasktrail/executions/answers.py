"""Executions, and ways in which they fail, as documents tell of them. Source: document 001, its answers."""

from __future__ import annotations

from typing import Any, Final

from tasktrail.engine.errors import KnownError
from tasktrail.engine.insight import LastFailed, Pattern
from tasktrail.formats.moment import iso_utc
from tasktrail.model.record import Record

UNKNOWN: Final = "<unknown>"
"""The fingerprint of failures of which nobody knows one."""


def execution_words(one: Record) -> dict[str, Any]:
    """Return an execution with the documented members."""
    failed = one.status == "failed" or one.error is not None
    told = one.details
    return {
        "id": one.id,
        "task_id": one.task_id,
        "task_slug": one.task_slug,
        "task_name": one.task_name,
        "task_type": one.task_type,
        "scheduled_vs_manual": told.get("scheduled_vs_manual"),
        "status": one.status,
        "attempt": one.attempt,
        "trace_id": one.trace_id,
        "span_id": one.span_id,
        "started_at": iso_utc(one.started_at),
        "ended_at": iso_utc(one.ended_at),
        "duration_ms": one.duration_ms,
        "error": {"type": one.error_type, "message": one.error, "stack_hash": one.fingerprint} if failed else None,
        "retrieval": told.get("retrieval") or {"memory_count": len(one.parents), "source": []},
        "io": told.get("io") or {"files_written": []},
        "backfilled": one.backfilled,
    }


def pattern_words(one: Pattern) -> dict[str, Any]:
    """Return what failures have in common."""
    return {
        "stack_hash": one.fingerprint or UNKNOWN,
        "count": one.count,
        "first_seen": iso_utc(one.first_at),
        "last_seen": iso_utc(one.last_at),
        "example_task_id": one.example.task_id,
        "example_trace_id": one.example.trace_id,
    }


def last_failed_words(found: LastFailed) -> dict[str, Any]:
    """Return failures and their patterns, and among how many failures these were looked for."""
    return {
        "failures": [execution_words(one) for one in found.failures],
        "error_patterns": [pattern_words(one) for one in found.patterns],
        "examined": found.examined,
    }


def error_words(one: KnownError) -> dict[str, Any]:
    """Return an error, how often it was seen, and what people say of it."""
    words: dict[str, Any] = {
        "fingerprint": one.fingerprint,
        "type": one.type,
        "message": one.example,
        "count": one.occurrences,
        "status": one.status,
        "first_seen": iso_utc(one.first_at),
        "last_seen": iso_utc(one.last_at),
    }
    return {**words, "note": one.note} if one.note else words
