"""The documented factory: what is known of an execution becomes an experience, scrubbed and with its key."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

from tasktrail.config import load
from tasktrail.engine.failures import LONGEST, failure_of, held_failure, trimmed_words
from tasktrail.engine.scrubbing import Scrubber, scrubber_of
from tasktrail.executions.records import (
    LONGEST_NAME,
    METHODS,
    SCHEMA_VERSION,
    UNKNOWN,
    Content,
    Experience,
    Provenance,
    check_attempt,
    name_of,
    outcome_of,
    own_session,
)
from tasktrail.executions.words import ExperienceType
from tasktrail.model.errors import BadInput
from tasktrail.model.fingerprint import fingerprint_of_text
from tasktrail.model.lifecycle import Failure
from tasktrail.model.plain import held, plain, storable, trimmed

LONGEST_ID: Final = 128
_LONGEST_SLUG: Final = 80
_LONGEST_RESPONSE: Final = 100_000
_LONGEST_SUMMARY: Final = LONGEST_NAME + LONGEST[1]
_NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MILLISECOND: Final = timedelta(milliseconds=1)
_counted = itertools.count(int.from_bytes(os.urandom(2), "big"))
"""Ends of ids: two of one process differ for 65,536 records."""


def _count_anew() -> None:
    """A forked child would draw what its brothers draw."""
    global _counted
    _counted = itertools.count(int.from_bytes(os.urandom(2), "big"))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_anew)


def strict(texts: Sequence[str]) -> Sequence[str]:
    """Return the texts of one record scrubbed with the profile `strict`, as the project's settings say."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed: no project's settings are known
        here = Path(os.sep)
    return _scrubber(here).together(texts)


@lru_cache(maxsize=16)
def _scrubber(folder: Path) -> Scrubber:
    return scrubber_of(load(folder), "strict")


def create_task_execution_experience(
    task_id: str,
    task_slug: str,
    task_name: str,
    task_type: str,
    scheduled_vs_manual: Literal["scheduled", "manual"],
    started_at: datetime,
    ended_at: datetime,
    status: Literal["success", "failed", "aborted"],
    response_text: str | None = None,
    error: BaseException | Mapping[str, Any] | None = None,
    parent_experience_ids: Sequence[str] | None = None,
    retrieval_metadata: Mapping[str, Any] | None = None,
    files_written: Sequence[Any] | None = None,
    tool_calls: Sequence[Any] | None = None,
    script_runs: Sequence[Any] | None = None,
    task_config: Mapping[str, Any] | None = None,
    trace_id: str | None = None,
    span_id: str | None = None,
    attempt: int = 1,
    retry_of: str | None = None,
    *,
    more: Mapping[str, Any] | None = None,
) -> Experience:
    """Return the experience of one attempt to execute a task, its text scrubbed with the profile `strict`.

    Values that JSON cannot hold are named (`[3 bytes]`, `[nan]`), what is too much is cut; nothing of it raises.

    Args:
        scheduled_vs_manual: What began it.
        started_at: Without a time zone it is UTC, as is `ended_at`. An end before it counts as 0 ms and is flagged.
        response_text: What it answered; None writes a summary.
        error: What was raised, or a dict of `type`, `message` and `stack_trace`; `stack_hash` is computed,
            but not of what was aborted.
        parent_experience_ids: What it stands on; their number is the `memory_count`.
        retrieval_metadata: `source`, a list of where memories came from, and what else is to be kept of the retrieval.
        task_config: Only its digest is kept.
        trace_id: Of all attempts of the task together, up to 128 characters; None draws a new one.
        span_id: Of this attempt.
        attempt: Counts from 1.
        retry_of: Span of the attempt before; a later attempt without it is flagged.
        more: Further members of the structured content, such as `usage` or `inputs`.

    Raises:
        BadInput: A status, a number or an id cannot be.

    Source: seed document 001, Features Delivered.
    """
    _check(scheduled_vs_manual, status, attempt)
    started, ended = _utc(started_at, "started_at"), _utc(ended_at, "ended_at")
    parents = [str(plain(one)) for one in parent_experience_ids or ()]
    failure = _failure(error, status)
    if failure and status == "aborted":
        failure = replace(failure, fingerprint=None)  # that somebody stopped it is no error to know again
    text, *words = _clean(task_name, status, response_text, failure)
    task_id, task_slug = name_of(task_id), name_of(task_slug)
    structured: dict[str, Any] = {
        **_always(),
        **_times(started, ended),
        "attempt": attempt,
        "error": _error(words, failure) if failure else None,
        "idempotency_key": idempotency_key(task_id, started, attempt),
        "io": _io(files_written, tool_calls, script_runs),
        "retrieval": _retrieval(retrieval_metadata, len(parents)),
        "retry_of": None if retry_of is None else name_of(retry_of),
        "scheduled_vs_manual": scheduled_vs_manual,
        "span_id": _id(span_id, "span_id"),
        "status": status,
        "task_config_digest": digest(task_config),
        "task_id": task_id,
        "task_name": name_of(task_name),
        "task_slug": task_slug,
        "task_type": name_of(task_type),
        "trace_id": _id(trace_id, "trace_id"),
        **_flags(ended < started, attempt > 1 and not retry_of),
        **{name: plain(value) for name, value in (more or {}).items()},
    }
    public_id = new_id(task_slug, started)
    return Experience(
        id=public_id, type=ExperienceType.TASK_EXECUTION, created_at=started, content=Content(text, structured),
        parents=parents, provenance=Provenance(method=METHODS[scheduled_vs_manual]),
        session_id=own_session(task_id, structured["started_at_iso"], public_id), clean=(text, *words),
    )  # fmt: skip


def idempotency_key(task_id: str, started_at: datetime, attempt: int) -> str:
    """Return the documented key: an execution that is told twice has it twice.

    >>> idempotency_key("daily", datetime(2025, 11, 5, tzinfo=UTC), 1)[:16]
    'e672fdf2bf633dde'
    """
    return hashlib.sha256(f"{task_id}:{started_at.isoformat()}:{attempt}".encode()).hexdigest()


def new_id(slug: str, started_at: datetime) -> str:
    """Return a public id: `task_exec_`, the slug, the second of the start, and four hexadecimal digits."""
    name = _NOT_IN_ID.sub("-", slug)[:_LONGEST_SLUG]
    number = next(_counted) & 0xFFFF
    return f"task_exec_{name}_{started_at.astimezone(UTC).isoformat()[:19]}Z_{number:04x}"


def renamed(experience: Experience) -> Experience:
    """Return the same execution under another id, and so in another session of its own."""
    told = experience.content.structured
    public_id = new_id(told["task_slug"], experience.created_at)
    return replace(experience, id=public_id, session_id=own_session(told["task_id"], told["started_at_iso"], public_id))


def new_observation_id(at: datetime) -> str:
    """Return a public id for an observation of a moment."""
    return f"obs_{at:%Y-%m-%dT%H:%M:%SZ}_{os.urandom(4).hex()}"


def digest(config: Mapping[str, Any] | None) -> str | None:
    """Return what tells one configuration from another; None has none."""
    if config is None:
        return None
    text = json.dumps(plain(config), sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


# --- what every record has --------------------------------------------------------------------------------------------


def _always() -> dict[str, Any]:
    return {
        "embedding_skipped": True,
        "grants": {"scopes": [], "impersonation": False},
        "provenance_runner": {"name": "scheduler", "version": "1.0.0", "pid": os.getpid(), "host": _host()},
        "schema_version": SCHEMA_VERSION,
        "scrubbed": True,
    }


@cache
def _host() -> str:
    return socket.gethostname()


def _times(started: datetime, ended: datetime) -> dict[str, Any]:
    return {
        "duration_ms": max(0, (ended - started) // _MILLISECOND),
        "ended_at_iso": ended.isoformat(),
        "ended_at_ts": ended.timestamp(),
        "started_at_iso": started.isoformat(),
        "started_at_ts": started.timestamp(),
    }


def _flags(ended_before_started: bool, retry_of_missing: bool) -> dict[str, Any]:
    """Return what is odd about an execution; nothing where nothing is."""
    told = {"ended_before_started": ended_before_started, "retry_of_missing": retry_of_missing}
    found = [name for name, is_so in told.items() if is_so]
    return {"flags": found} if found else {}


# --- what is asked of the arguments -----------------------------------------------------------------------------------


def _check(scheduled_vs_manual: object, status: object, attempt: object) -> None:
    if scheduled_vs_manual not in METHODS:
        raise BadInput(f"expected scheduled_vs_manual to be scheduled or manual, got: {plain(scheduled_vs_manual)!r}")
    outcome_of(status)
    check_attempt(attempt)


def _id(value: str | None, name: str) -> str:
    if value is None:
        return str(uuid4())
    value = str(plain(value))
    if not is_id(value):
        raise BadInput(f"expected {name} to have 1 to {LONGEST_ID} printable characters, got: {plain(value)!r:.80}")
    return value


def is_id(value: str) -> bool:
    """Whether a text can be the id of a trace or a span."""
    return 1 <= len(value) <= LONGEST_ID and value.isprintable()


def _utc(value: datetime, name: str) -> datetime:
    if not isinstance(value, datetime):
        raise BadInput(f"expected {name} to be a datetime, got: {type(value).__name__}")
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:  # the year 1 or 9999, moved by its offset
        return value.replace(tzinfo=UTC)


def _list(values: Sequence[Any] | None) -> list[Any]:
    read = plain(list(values)) if values else []
    assert isinstance(read, list)
    return read


def _io(files: Sequence[Any] | None, calls: Sequence[Any] | None, scripts: Sequence[Any] | None) -> dict[str, Any]:
    return {
        "files_written": _list(files),
        "artifact_ids": [],
        "tool_calls": _list(calls),
        "script_runs": _list(scripts),
    }


def _retrieval(metadata: Mapping[str, Any] | None, n_parents: int) -> dict[str, Any]:
    told = plain(metadata) if metadata else {}
    rest = told if isinstance(told, dict) else {}
    sources = rest.pop("source", None) or rest.pop("sources", None) or []
    return {**rest, "memory_count": n_parents, "source": sources if isinstance(sources, list) else [sources]}


# --- errors -----------------------------------------------------------------------------------------------------------


def _failure(error: object, status: str) -> Failure | None:
    """Return what is known of a failure; of one that failed at least that it did."""
    if isinstance(error, BaseException):
        return failure_of(error)
    if error is None:
        return (
            Failure(UNKNOWN, UNKNOWN, None, fingerprint_of_text("", UNKNOWN, UNKNOWN)) if status == "failed" else None
        )
    if not isinstance(error, Mapping):
        got = type(error).__name__
        raise BadInput(f"expected error to be an exception, or a dict of type, message and stack_trace, got: {got}")
    kind, message, stack = (_said(error.get(name)) for name in ("type", "message", "stack_trace"))
    kind, message = kind or UNKNOWN, message or UNKNOWN
    return held_failure(kind, message, stack, fingerprint_of_text(storable(stack), kind, message))


def _error(words: Sequence[str], failure: Failure) -> dict[str, Any]:
    kind, message, stack = words
    return {"type": kind, "message": message, "stack_trace": stack or None, "stack_hash": failure.fingerprint}


def _said(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(plain(value))


def _clean(name: object, status: str, response: str | None, failure: Failure | None) -> list[str]:
    """Return all text of a record as it is stored; what it says is its answer, else a summary."""
    if response is None:
        longest = _LONGEST_SUMMARY
        said = f"{name_of(name)}: {status}" + (f": {failure.message}" if failure else "")
    else:
        longest = _LONGEST_RESPONSE
        said = storable(held(_said(response), longest))
    words = () if failure is None else (failure.type, failure.message, failure.stack or "")
    said, *scrubbed = strict((said, *words))
    return [trimmed(said, longest), *(trimmed_words(scrubbed) if scrubbed else ())]
