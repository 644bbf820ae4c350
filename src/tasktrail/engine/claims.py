"""Claims: one agent has one task, until it answers, gives it back, or its lease ran out and another claims it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from tasktrail.engine.failures import told_failure
from tasktrail.engine.leases import Lease, lease, owner_in, ran_out, renew_in, span_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plans import (
    NextTask,
    NoTask,
    Said,
    ask_for,
    cleaned,
    first_pending,
    first_ready,
    hold_plan,
    mark_again,
    move_in,
    next_of,
    plan_in,
    said_of,
    task_in,
)
from tasktrail.model.attempt import Attempt
from tasktrail.model.errors import BadInput, Held, LeaseLost, WrongState
from tasktrail.model.lifecycle import MOST_LOSSES, Ask, Failure
from tasktrail.model.plan import PlanTask
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction

End = Literal["completed", "failed", "pending"]
"""How a claim ends by itself: its task is done, or failed, or given back."""
_VERBS: Final[dict[End, tuple[Literal["complete", "fail", "release"], str]]] = {
    "completed": ("complete", "ok"), "failed": ("fail", "error"), "pending": ("release", "released"),
}  # fmt: skip
"""The verb of each end, and how its attempt ends."""
_SILENT: Final = Failure("LeaseLost", "its lease ran out before an answer came")
_EVENTS_LOOKED_AT: Final = 100


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to one task: who has the token has the task."""

    task: PlanTask
    token: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """What came of looking for a task to claim.

    Args:
        claim: None when nothing can start.
        next: What could be found, or why there is nothing.
        taken_back: Keys of tasks whose lease had run out.
    """

    claim: Claim | None
    next: NextTask
    taken_back: Sequence[str] = ()


def claim_next(ledger: Ledger, name: str, *, owner: str, lease_s: float, skip_needs: bool = False) -> Claimed:
    """Claim the most urgent task that can start, in one commit; what silent claims held is taken back first.

    Args:
        owner: Whom the history names.
        lease_s: How long the claim may be silent.
        skip_needs: Whether a task whose needs are not met counts, too.
    """

    def work(tx: Transaction) -> Claimed:
        run = hold_plan(tx, name)
        if run is None:
            return Claimed(None, NextTask(None, 0))
        taken_back = _take_back(tx, ledger, run)
        task = None
        if tx.accepts_starts(run.id):
            task = first_pending(tx, run) if skip_needs else first_ready(tx, run, ledger.clock.now())
        if task is None:
            return Claimed(None, next_of(tx, tx.run(run.id), None), taken_back)
        claim = _begin(tx, ledger, run, task, ask_for(task, "start"), owner, lease(tx, ledger, lease_s))
        return Claimed(claim, NextTask(claim.task, run.n_tasks), taken_back)

    return ledger.commit(work)


def claim_task(ledger: Ledger, name: str, key: str, *, owner: str, lease_s: float) -> Claim:
    """Claim one task, whose needs must be met.

    Raises:
        NoPlan, NoTask: There is none.
        Held: Somebody has it, be it with a lease that ran out: only `claim_next` takes such a one over.
        WrongState, UnmetNeed: It cannot start.
    """

    def work(tx: Transaction) -> Claim:
        run = plan_in(tx, name)
        task = task_in(tx, run, key)
        if task.lease_token is not None:
            raise Held(f"task {key} is claimed by {owner_in(tx, task)}", hint="claim the next task instead")
        if not tx.accepts_starts(run.id):
            raise WrongState(f"plan {name} is paused or cancelled, nothing new starts")
        return _begin(tx, ledger, run, task, Ask("start"), owner, lease(tx, ledger, lease_s))

    return ledger.commit(work)


def renew_claim(ledger: Ledger, name: str, key: str, token: str, note: str = "") -> Task:
    """Renew the lease of a claim, and return its task.

    Args:
        note: Appended to the task's notes.

    Raises:
        LeaseLost: The claim has ended.
        BadInput: It is no token of a claim on this task.
    """
    said = cleaned(ledger, note)

    def work(tx: Transaction) -> Task:
        task = _task(tx, plan_in(tx, name), key)
        if not renew_in(tx, ledger, task, token):
            raise _lost(task, _attempt_of(tx, task, token))
        return mark_again(tx, ledger, task, said).task

    return ledger.commit(work)


def end_claim(
    ledger: Ledger, name: str, key: str, token: str, end: End, *, note: str = "", result: str = "", error: str = ""
) -> Task:
    """End a claim: its task is completed, failed, or given back. Saying the same again changes nothing.

    An answer that comes in time for nobody to have taken the task counts, also after its lease ran out. A later one is
    kept in the history, and changes nothing.

    Args:
        note: Appended to the task's notes.
        result: What came of it.
        error: Why it failed; see `told_failure`.

    Raises:
        LeaseLost: The task was taken away before; the answer is kept.
        BadInput: It is no token of a claim on this task; or there is an error, and it is not to fail.
    """
    verb, _ = _VERBS[end]
    said = cleaned(ledger, note, result, told_failure(error, end))
    ask = Ask(verb, summary=said.result, failure=said.failure)

    def work(tx: Transaction) -> Task | LeaseLost:
        task = _task(tx, plan_in(tx, name), key)
        attempt = _attempt_of(tx, task, token)
        if token == task.claim_token:
            return move_in(tx, ledger, task, ask, note=said.note, token=token, actor=attempt.actor)
        if attempt.outcome == _VERBS[end][1]:
            return task
        _keep_late(tx, ledger, task, attempt, end, said)
        return _lost(task, attempt)

    ended = ledger.commit(work)
    if isinstance(ended, LeaseLost):  # raised inside, it would take the late answer with it
        raise ended
    return ended


def _begin(tx: Transaction, ledger: Ledger, run: Run, task: Task, ask: Ask, owner: str, new: Lease) -> Claim:
    held = replace(ask, lease_token=new.stored, lease_until=new.until)
    task = move_in(tx, ledger, task, held, actor=owner, span_id=new.span_id)
    return Claim(said_of(tx, run, [task])[0], new.token)


def _take_back(tx: Transaction, ledger: Ledger, run: Run) -> list[str]:
    """Take back what silent claims hold. A task that was lost again and again fails for good."""
    silent = ran_out(tx, ledger, run)
    for task in silent:
        verb: Literal["fail", "lapse"] = "fail" if task.losses + 1 >= MOST_LOSSES else "lapse"
        move_in(tx, ledger, task, Ask(verb, outcome="lost", failure=_SILENT), token=task.claim_token)
    return [task.key for task in silent]


def _task(tx: Transaction, run: Run, key: str) -> Task:
    """Return the task of a claim, also one that was taken out of the plan meanwhile."""
    task = tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=-1)
    if task is None:
        raise NoTask(run, key)
    return task


def _attempt_of(tx: Transaction, task: Task, token: str) -> Attempt:
    """Return the attempt that a token's claim began."""
    span_id = span_of(token)
    for attempt in reversed(tx.attempts("attempts_of_task", task_id=task.id)):
        if attempt.span_id == span_id:
            return attempt
    raise BadInput(
        f"expected token to be that of a claim on task {task.key}", hint="get_next_task(claim=True) gives one"
    )


def _lost(task: Task, attempt: Attempt) -> LeaseLost:
    return LeaseLost(
        f"this claim on task {task.key} has ended ({attempt.outcome}); the task is {task.status} now",
        hint="get_next_task(claim=True) gives another task",
    )


def _keep_late(tx: Transaction, ledger: Ledger, task: Task, attempt: Attempt, end: End, said: Said) -> None:
    """Keep an answer that comes too late as an event, once."""
    told = {"status": [task.status, end], "summary": [None, said.result]}
    if said.failure:
        told |= {"error": [None, said.failure.message], "stack": [None, said.failure.stack]}
    changes = json.dumps(told, ensure_ascii=False)
    rows = tx.rows("latest_events_of_task", id=task.id, before=None, limit=_EVENTS_LOOKED_AT)
    known = [(json.loads(str(row[7])), row[8]) for row in rows if row[3] == "late" and row[6] == attempt.n]
    new = (end, told["summary"], told.get("error"), said.note)
    if not any((old["status"][1], old["summary"], old.get("error"), text) == new for old, text in known):
        details = {"task_id": task.id, "attempt": attempt.n, "changes": changes, "note": said.note}
        tx.record_run(task.run_id, "late", ledger.clock.now(), str(attempt.actor), **details)
