"""Experiences: immutable objects of document 001, and how they become rows and come back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tasktrail.executions.words import Actor, CaptureMethod, ExperienceType
from tasktrail.formats.moment import microseconds, moment
from tasktrail.model.errors import BadInput
from tasktrail.model.plain import plain, shortened, storable
from tasktrail.model.record import OUTCOME_BY_STATUS, Record, Recording
from tasktrail.model.task import Outcome

UNKNOWN: Final = "UnknownError"
"""Type and message of a failure of which nothing else is known."""
SCHEMA_VERSION: Final = 1

METHODS: Final = {"scheduled": CaptureMethod.SCHEDULED_TASK, "manual": CaptureMethod.MANUAL_TASK}
_IN_COLUMNS: Final = frozenset({
    "attempt", "backfilled", "duration_ms", "ended_at_iso", "ended_at_ts", "error", "idempotency_key", "inputs",
    "output", "span_id", "started_at_iso", "started_at_ts", "status", "task_id", "task_slug", "trace_id",
})  # fmt: skip
_BESIDE: Final = ("causes", "evidence_ptrs")
"""Lists of an experience that are kept with the rest of what was told."""

LONGEST_NAME: Final = 500
_LONGEST_JSON: Final = 2_000_000
_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

Scrub = Callable[[Sequence[str]], Sequence[str]]
"""Scrubs the texts of one record together, so that equal values are alike in all of them."""


@dataclass(frozen=True, slots=True)
class Content:
    """What an experience says: words to search, and the same for machines."""

    text: str
    structured: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an experience comes from; `method` is None for what is no execution."""

    actor: Actor = Actor.AGENT
    method: CaptureMethod | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """One record. It is never changed.

    Args:
        id: Public id, unique in the store.
        created_at: When it began; with a time zone.
        parents: Ids of the experiences it stands on.
        causes: Kept, and empty for now.
        session_id: Of an execution its own.
    """

    id: str
    type: ExperienceType
    created_at: datetime
    content: Content
    parents: list[str] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)
    evidence_ptrs: list[str] = field(default_factory=list)
    provenance: Provenance = field(default_factory=Provenance)
    session_id: str | None = None
    clean: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """Texts of it that are known to be scrubbed, by identity; whoever makes it by hand leaves this empty."""


def own_session(task_id: object, started_at_iso: object, public_id: str) -> str:
    """Return the session of an execution, which nothing else belongs to."""
    return f"task:{task_id}:{started_at_iso}:{public_id[-4:]}"


def list_of_ids(parents: object) -> list[str]:
    """Return the ids of parents as they may be stored.

    Raises:
        BadInput: It is neither a list nor a tuple.
    """
    if not isinstance(parents, list | tuple):
        raise BadInput(f"expected parents to be a list of ids, got: {type(parents).__name__}")
    return [str(plain(one)) for one in parents]


# --- to a row ---------------------------------------------------------------------------------------------------------


def recording_of(experience: Experience, scrub: Scrub, actor: str) -> Recording:
    """Return the row of an experience. Texts that are not known to be scrubbed are scrubbed here.

    Raises:
        BadInput: A member of an execution cannot be used.
    """
    kind = ExperienceType(experience.type)
    if kind is ExperienceType.TASK_EXECUTION:
        return _execution(experience, scrub, actor)
    (text,) = _clean(experience, [_said(experience.content.text, "content_text")], scrub)
    at, public_id = microseconds(experience.created_at), _id(experience)
    return Recording(
        kind.value, public_id, public_id, public_id, at, at, 0, "ok", actor=actor, response=text,
        parents=_listed(experience.parents), session_id=_session(experience),
        details=_details(experience, experience.content.structured),
    )  # fmt: skip


def _execution(experience: Experience, scrub: Scrub, actor: str) -> Recording:
    told = experience.content.structured
    error = told.get("error")
    texts = [_said(experience.content.text, "content_text"), *(_words_of(error) if error else ())]
    text, *words = _clean(experience, texts, scrub)
    started_at = microseconds(experience.created_at)
    ended_at = _ended_at(told, started_at)
    public_id, session = _id(experience), _session(experience)
    own = own_session(told.get("task_id"), told.get("started_at_iso"), public_id)
    return Recording(
        "task_execution", public_id,
        storable(str(told.get("trace_id") or public_id)), storable(str(told.get("span_id") or public_id)),
        started_at, ended_at, max(0, ended_at - started_at), outcome_of(told.get("status")),
        check_attempt(told.get("attempt", 1)), actor,
        _text(told.get("task_id")), _text(told.get("task_slug")),
        words[0] if words else None, words[1] if words else None, (words[2] or None) if words else None,
        _text(error.get("stack_hash")) if error else None, _text(told.get("idempotency_key")),
        int(bool(told["backfilled"])) if "backfilled" in told else None, text, _listed(experience.parents),
        None if session == own else session,
        _details(experience, {name: value for name, value in told.items() if name not in _IN_COLUMNS}),
        _value(told.get("inputs")), _value(told.get("output")),
    )  # fmt: skip


def _clean(experience: Experience, texts: Sequence[str], scrub: Scrub) -> Sequence[str]:
    """Return the texts scrubbed. Texts never change, so those that were made clean are known by identity."""
    known = experience.clean
    if len(known) == len(texts) and all(one is text for one, text in zip(known, texts, strict=True)):
        return texts
    return scrub([storable(text) for text in texts])


def _said(text: object, name: str) -> str:
    if not isinstance(text, str):
        raise BadInput(f"expected {name} to be a text, got: {type(text).__name__}")
    return text


def _id(experience: Experience) -> str:
    return storable(_said(experience.id, "id"))


def _session(experience: Experience) -> str | None:
    return None if experience.session_id is None else storable(str(experience.session_id))


def _words_of(error: object) -> tuple[str, str, str]:
    if not isinstance(error, Mapping):
        raise BadInput(f"expected error to be a dict of type, message and stack_trace, got: {type(error).__name__}")
    return str(error.get("type") or UNKNOWN), str(error.get("message") or UNKNOWN), str(error.get("stack_trace") or "")


def outcome_of(status: object) -> Outcome:
    """Return how the attempt of an execution ended.

    Raises:
        BadInput: The status is none that can be told.
    """
    if status not in OUTCOME_BY_STATUS:
        raise BadInput(f"expected status to be {', '.join(OUTCOME_BY_STATUS)}, got: {plain(status)!r}")
    return OUTCOME_BY_STATUS[str(status)]


def check_attempt(attempt: object) -> int:
    """Return the number of an attempt.

    Raises:
        BadInput: It is none that counts from 1.
    """
    if type(attempt) is not int or not 1 <= attempt < 2**31:
        raise BadInput(f"expected attempt to be a number from 1, got: {plain(attempt)!r}")
    return attempt


def _ended_at(told: Mapping[str, Any], started_at: int) -> int:
    ended = told.get("ended_at_iso")
    try:
        return started_at if ended is None else microseconds(datetime.fromisoformat(str(ended)))
    except ValueError:
        raise BadInput(f"expected ended_at_iso to be an ISO 8601 time, got: {plain(ended)}") from None


def name_of(value: object) -> str:
    """Return a name as it is kept: a text that is not too long."""
    return storable(shortened(value if type(value) is str else str(plain(value)), LONGEST_NAME))


def _text(value: object) -> str | None:
    return None if value is None else name_of(value)


def _value(value: object) -> str | None:
    return None if value is None else _json(value)


def _listed(ids: Sequence[str]) -> str | None:
    return _json(list_of_ids(ids)) if ids else None


def _json(value: object) -> str:
    """Return a value as JSON text; what an experience made by hand has and JSON has not is named."""
    try:
        text = _to_json(value)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        return _to_json(plain(value))
    return text if len(text) <= _LONGEST_JSON else _to_json(plain(value))


def _details(experience: Experience, told: Mapping[str, Any]) -> str | None:
    beside = {name: value for name in _BESIDE if (value := getattr(experience, name))}
    actor = experience.provenance.actor
    if actor is not Actor.AGENT:
        beside["provenance_actor"] = Actor(actor).value
    rest = {**told, **beside}
    return _json(rest) if rest else None


# --- from a row -------------------------------------------------------------------------------------------------------


def experience_of(record: Record) -> Experience:
    """Return the experience that a row tells; of what Tasktrail executed, the same in these words."""
    details = dict(record.details)
    lists: dict[str, Any] = {name: details.pop(name, []) for name in _BESIDE}
    actor = _actor_of(details)
    at = moment(record.started_at)
    session, method = record.session_id, None
    structured: dict[str, Any] = details
    if record.type != "observation":
        structured = _structured(record, details)
        method = METHODS.get(str(structured.get("scheduled_vs_manual")))
        session = session or own_session(record.task_id, at.isoformat(), record.id)
    text = record.response if record.response is not None else _summary(record)
    return Experience(
        id=record.id, type=ExperienceType(record.type or "task_execution"), created_at=at,
        content=Content(text, structured), parents=list(record.parents), provenance=Provenance(actor, method),
        session_id=session, **lists,
    )  # fmt: skip


def _actor_of(details: dict[str, Any]) -> Actor:
    """Take the actor out of the details; one that nobody knows was told by whoever wrote them, and stays there."""
    try:
        actor = Actor(details.get("provenance_actor", Actor.AGENT.value))
    except ValueError:
        return Actor.AGENT
    details.pop("provenance_actor", None)
    return actor


def _structured(record: Record, rest: dict[str, Any]) -> dict[str, Any]:
    started = moment(record.started_at)
    told: dict[str, Any] = {
        **(_defaults(record) if record.type is None else {}),
        **rest,
        "attempt": record.attempt,
        "duration_ms": record.duration_ms,
        "ended_at_iso": None,
        "ended_at_ts": None,
        "error": _error(record),
        "idempotency_key": record.idempotency_key or rest.get("idempotency_key"),
        "span_id": record.span_id,
        "started_at_iso": started.isoformat(),
        "started_at_ts": started.timestamp(),
        "status": record.status,
        "task_id": record.task_id,
        "task_slug": record.task_slug,
        "trace_id": record.trace_id,
    }
    if record.ended_at is not None:
        ended = moment(record.ended_at)
        told.update(ended_at_iso=ended.isoformat(), ended_at_ts=ended.timestamp())
    if record.backfilled:
        told["backfilled"] = True
    if record.inputs is not None:
        told["inputs"] = json.loads(record.inputs)
    if record.output is not None:
        told["output"] = json.loads(record.output)
    return told


def _error(record: Record) -> dict[str, Any] | None:
    if record.status != "failed" and record.error is None:
        return None
    return {
        "type": record.error_type or UNKNOWN,
        "message": record.error or UNKNOWN,
        "stack_trace": record.stack,
        "stack_hash": record.fingerprint,
    }


def _defaults(record: Record) -> dict[str, Any]:
    """What document 001's records have and an attempt of a task has not."""
    return {
        "embedding_skipped": True,
        "grants": {"scopes": [], "impersonation": False},
        "io": {"files_written": [], "artifact_ids": [], "tool_calls": [], "script_runs": []},
        "provenance_runner": {"name": "tasktrail"},
        "retrieval": {"memory_count": 0, "source": []},
        "retry_of": record.retry_of,
        "scheduled_vs_manual": None,
        "schema_version": SCHEMA_VERSION,
        "scrubbed": True,
        "task_config_digest": None,
        "task_name": record.task_name,
        "task_type": record.task_type,
    }


def _summary(record: Record) -> str:
    words = f"{record.task_name or record.task_id}: {record.status}"
    return f"{words}: {record.error}" if record.error else words
