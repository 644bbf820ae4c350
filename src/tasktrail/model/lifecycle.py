"""The state machine, said once: which verb leads where, and what it does to a task.

Two tables and one pure function. The guard, the error texts, the CLI's verbs, each task's list of allowed verbs,
the diagram in the docs and the tests are read from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from tasktrail.model.errors import BadInput, UnmetNeed, WrongState
from tasktrail.model.fingerprint import fingerprint_of_place, fingerprint_of_text
from tasktrail.model.task import FAILED, FINAL, STATUSES, Outcome, Status, Task, Value

Verb = Literal[
    "start", "complete", "fail", "retry", "release", "lapse", "restart",
    "block", "unblock", "skip", "cancel", "reopen", "adopt", "undo",
]  # fmt: skip
VERBS: Final[tuple[Verb, ...]] = get_args(Verb)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: from these statuses the verb leads to that one; to any that is said (target None)."""

    sources: tuple[Status, ...]
    target: Status | None
    says: str


RULES: Final[Mapping[Verb, Rule]] = {
    "start": Rule(("pending",), "in_progress", "begin an attempt"),
    "complete": Rule(("in_progress", "pending", "blocked", "failed"), "completed", "it is done"),
    "fail": Rule(("in_progress", "pending", "blocked"), "failed", "it failed for good"),
    "retry": Rule(("in_progress", "failed"), "pending", "try again, perhaps later"),
    "release": Rule(("in_progress",), "pending", "given back unfinished; costs no try"),
    "lapse": Rule(("in_progress",), "pending", "the worker died or its lease ran out"),
    "restart": Rule(("in_progress",), "in_progress", "a new attempt supersedes the open one"),
    "block": Rule(("pending", "in_progress"), "blocked", "a person must act first"),
    "unblock": Rule(("blocked",), "pending", "the obstacle is gone"),
    "skip": Rule(("pending", "in_progress", "blocked", "failed"), "skipped", "not needed"),
    "cancel": Rule(("pending", "in_progress", "blocked", "failed"), "cancelled", "no longer wanted"),
    "reopen": Rule(("completed", "skipped", "cancelled"), "pending", "do it again; history kept"),
    "adopt": Rule(STATUSES, None, "a fact from an edited document, an import or a saved draft"),
    "undo": Rule(STATUSES, None, "what earlier changes did is taken back"),
}

MOST_LOSSES: Final = 3
"""At the third loss a task fails for good: what kills whoever executes it must not do so for ever."""

LEASED_VERBS: Final[frozenset[Verb]] = frozenset({"complete", "fail", "retry", "block", "release", "restart"})
"""While a lease holds, these need its token (or force)."""

_DIRECT: Final[Mapping[tuple[Status, Status], Verb]] = {
    ("pending", "in_progress"): "start",
    ("in_progress", "in_progress"): "restart",
    ("in_progress", "pending"): "release",
    ("failed", "pending"): "retry",
    ("blocked", "pending"): "unblock",
    ("completed", "pending"): "reopen",
    ("skipped", "pending"): "reopen",
    ("cancelled", "pending"): "reopen",
}
_TOWARDS: Final[Mapping[Status, Verb]] = {
    "completed": "complete", "failed": "fail", "blocked": "block", "skipped": "skip", "cancelled": "cancel",
    "in_progress": "start",
}  # fmt: skip


def allowed(status: Status) -> tuple[Verb, ...]:
    """Return the verbs that a person or a program may ask of a task in `status`, in the order of the table.

    >>> allowed("completed")
    ('reopen',)
    """
    engine_only = ("lapse", "adopt", "undo")
    return tuple(verb for verb, rule in RULES.items() if status in rule.sources and verb not in engine_only)


def route(status: Status, target: Status) -> tuple[Verb, ...]:
    """Return the verbs that lead from one status to another; empty when it is there already.

    Where no verb leads straight there, the way goes through pending.

    >>> route("failed", "in_progress")
    ('retry', 'start')
    """
    if verb := _DIRECT.get((status, target)):
        return (verb,)
    if status == target:
        return ()
    straight = _TOWARDS[target]
    if status in RULES[straight].sources:
        return (straight,)
    return (_DIRECT[status, "pending"], straight)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. Type, message and stack are text, scrubbed before they get here; an unknown type is empty.

    The fingerprint tells which failures are one error; it was made of the exception itself, and has none of its text.
    """

    type: str
    message: str
    stack: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a task, beside the verb.

    Args:
        outcome: How the attempt ended: `error` or `timeout` for retry and fail; None means error.
        target: Where `adopt` or `undo` leads; undo brings no lease back, so that in progress is pending.
        values: Field values that `adopt` takes over, or `undo` brings back, as they are.
        force: Start although a need is not met, or act on a task that somebody else holds; recorded.
    """

    verb: Verb
    output: str | None = None
    summary: str | None = None
    failure: Failure | None = None
    reason: str | None = None
    outcome: Outcome | None = None
    not_before: int | None = None
    target: Status | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    worker_id: int | None = None
    lease_token: str | None = None
    lease_until: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What a verb does to a task: the same columns for every verb, so that n changes are one statement.

    `opens` and `closes` say what happens to attempts: a new one begins, the open one ends with that outcome.
    An edit (no verb) leaves the status as it is.
    """

    task: Task
    status: Status
    at: int
    values: Mapping[str, Value]
    ask: Ask | None = None
    opens: bool = False
    closes: Outcome | None = None

    @property
    def verb(self) -> Verb | Literal["edit"]:
        """The verb, as the event records it."""
        return self.ask.verb if self.ask else "edit"

    @property
    def is_failure(self) -> bool:
        """Whether an attempt fails, or a task without one."""
        return self.closes in FAILED or (self.closes is None and self.verb == "fail")

    def fingerprint(self, workflow: str) -> str:
        """Return the fingerprint of the failure that it is, in a run of this workflow.

        A time-out and a death are told by the step, as is a failure of which nobody says anything.
        """
        failure = self.ask.failure if self.ask else None
        if failure is None or self.closes in ("timeout", "lost"):
            return fingerprint_of_place(failure.type if failure else "", f"{workflow}:{self.task.key}")
        return failure.fingerprint or fingerprint_of_text(failure.stack or "", failure.type, failure.message)

    @property
    def after(self) -> Task:
        """The task as it stands once the change is applied."""
        return self.task.moved(self.status, self.values)


_CLOSES: Final[Mapping[Verb, Outcome]] = {
    "complete": "ok", "fail": "error", "retry": "error", "release": "released", "block": "released",
    "lapse": "lost", "restart": "superseded", "skip": "cancelled", "cancel": "cancelled", "adopt": "cancelled",
    "undo": "cancelled",
}  # fmt: skip
_NO_LEASE: Final[Mapping[str, Value]] = {
    "open_attempt": None, "worker_id": None, "lease_token": None, "lease_until": None,
}  # fmt: skip
_FRESH_BUDGET: Final[Mapping[str, Value]] = {"tries": 0, "losses": 0, "last_outcome": None}


def decide(task: Task, ask: Ask, now: int) -> Change:
    """Return what `ask` does to `task` at `now` (microseconds UTC), or refuse.

    Raises:
        WrongState: The table has no such move.
        UnmetNeed: A start while a need is not met, without force.
    """
    rule = RULES[ask.verb]
    if task.status not in rule.sources:
        raise refusal(task, ask.verb)
    target = rule.target or ask.target
    if target is None:
        raise BadInput(f"expected {ask.verb} to name a status, got: {ask.target!r}")
    if ask.verb == "undo" and target == "in_progress":
        target = "pending"
    if ask.verb == "start" and task.unmet and not ask.force:
        raise UnmetNeed(
            f"task {task.name} waits for {task.unmet} of its needs", hint="finish what it needs, or use force"
        )
    values = _values(task, ask, target, now)
    opens = ask.verb in ("start", "restart")
    closes = None if task.open_attempt is None or ask.verb == "start" else ask.outcome or _CLOSES[ask.verb]
    return Change(task, target, now, values, ask, opens, closes)


def fresh_budget(task: Task, now: int) -> Change | None:
    """Return the edit that gives an unfinished task a fresh budget of tries and losses; None when it has one."""
    stale = {name: value for name, value in _FRESH_BUDGET.items() if getattr(task, name) != value}
    if task.not_before is not None:
        stale["not_before"] = None
    return Change(task, task.status, now, stale) if stale else None


def refusal(task: Task, verb: Verb) -> WrongState:
    """Return the error for a verb that the task's status does not allow."""
    sources = " or ".join(RULES[verb].sources)
    possible = allowed(task.status)
    hint = f"possible now: {', '.join(possible)}"
    return WrongState(f"task {task.name} is {task.status}; {verb} needs {sources}", hint=hint)


def _values(task: Task, ask: Ask, target: Status, now: int) -> dict[str, Value]:
    if ask.verb in ("start", "restart"):
        return _opening(task, ask, now)
    if ask.verb == "undo":
        return _bringing_back(task, ask, target, now)
    values: dict[str, Value] = dict(_NO_LEASE)
    values["completed_at"] = now if target in FINAL else None
    values["not_before"] = ask.not_before
    values["reason"] = ask.reason
    values["error_type"] = (ask.failure.type or None) if ask.failure else None
    values["error"] = ask.failure.message if ask.failure else None
    _tally(task, ask, values)
    if ask.verb in ("cancel", "skip", "adopt") and task.status == "in_progress":
        values["fence"] = task.fence + 1
    if target == "pending":
        values["summary"] = None
    if ask.verb == "complete":
        values["output"], values["summary"] = ask.output, ask.summary
    elif ask.verb == "fail" and ask.summary is not None:
        values["summary"] = ask.summary
    elif ask.verb == "adopt":
        values.update(ask.values)
        values["completed_at"] = (values["completed_at"] or now) if target in FINAL else None
    return values


def _opening(task: Task, ask: Ask, now: int) -> dict[str, Value]:
    """A start is counted, and the fence moves, before any code of the user runs."""
    return {
        "attempts": task.attempts + 1,
        "fence": task.fence + 1,
        "open_attempt": task.attempts + 1,
        "not_before": None,
        "started_at": task.started_at or now,
        "worker_id": ask.worker_id,
        "lease_token": ask.lease_token,
        "lease_until": ask.lease_until,
        "error_type": None,
        "error": None,
        "reason": ask.reason,
    }


def _bringing_back(task: Task, ask: Ask, target: Status, now: int) -> dict[str, Value]:
    """What was taken back stands as it was; starts stay counted, and whoever held the task holds it no more."""
    values: dict[str, Value] = {**_NO_LEASE, **ask.values}
    values["completed_at"] = (values.get("completed_at") or task.completed_at or now) if target in FINAL else None
    if task.status == "in_progress":
        values["fence"] = task.fence + 1
    return values


def _tally(task: Task, ask: Ask, values: dict[str, Value]) -> None:
    """Count tries and losses: errors and time-outs, and deaths of the worker, since the last fresh budget."""
    if ask.verb == "reopen" or (ask.verb == "retry" and task.status == "failed"):
        values.update(_FRESH_BUDGET)
    elif ask.verb == "lapse" or ask.outcome == "lost":
        values["losses"], values["last_outcome"] = task.losses + 1, "lost"
    elif ask.verb in ("retry", "fail") and task.open_attempt is not None:
        values["tries"], values["last_outcome"] = task.tries + 1, ask.outcome or "error"
    elif ask.verb == "complete" and task.open_attempt is not None:
        values["last_outcome"] = "ok"
    elif ask.verb == "release":
        values["last_outcome"] = "released"
