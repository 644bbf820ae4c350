"""A person asks a verb of a task: who holds it is asked first, and going over that is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from tasktrail.engine.items import item_in
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Found, owners, task_reference
from tasktrail.engine.ownership import owner_of
from tasktrail.engine.values import NOTHING, Encoded
from tasktrail.model.errors import Conflict, Held, NotFound, UnmetNeed, WrongState
from tasktrail.model.lifecycle import LEASED_VERBS, Ask, Verb, decide
from tasktrail.model.run import STOPPING_KINDS, Run
from tasktrail.model.task import Task
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

STARTS: Final[frozenset[Verb]] = frozenset({"start", "release"})
"""What nobody asks by hand of a step that code executes: it would be in nobody's hands, and none waits for it."""
_TO_DO: Final[frozenset[Verb]] = frozenset({"start", "retry", "reopen"})
TOKEN_VERBS: Final[frozenset[Verb]] = frozenset({"complete", "fail", "release", "block"})
"""What the one who has claimed a task of a plan asks of it."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A task after its move, the run it is in, and who executes that now, in words."""

    task: Task
    run: Run
    owner: str | None


def move(
    ledger: Ledger,
    found: Found,
    ask: Ask,
    *,
    note: str | None = None,
    payload: Encoded = NOTHING,
    token: str | None = None,
) -> Moved:
    """Ask one verb of a task by hand.

    Args:
        found: The task; in progress by a process that lives no more, it is nobody's.
        ask: With `force` it is asked although somebody holds the task, or a need is not met; the history says so.
        payload: The output when it is large; `ask.output` is its column then.
        token: Of the claim on it, where an agent asks.

    Raises:
        WrongState: The task's status has no such verb, or code alone starts it.
        UnmetNeed: A start while a need is not met, and no force was given; the details name them.
        Held: Somebody who lives holds the task, and neither its token nor force was given.
        Conflict: It moved just now.
    """
    seen = found.task
    assert seen is not None, "a run has verbs of its own"
    _check_kind(found.run, ask)
    holder = holder_of(ledger, found.run, seen) if ask.verb in LEASED_VERBS and not _has(seen, token) else None
    if holder and not ask.force:
        name = task_reference(found.run.name, seen)
        raise Held(
            f"task {name} is held by {holder}; {ask.verb} would take it away",
            hint=f"{_way(found.run, seen, ask)}, or: tasktrail {ask.verb} {name} --force",
        )
    ask, said = ledger.clean(ask), ledger.clean_text(_with_holder(note, holder))

    def work(tx: Transaction) -> None:
        task, now = _unmoved(tx, seen), ledger.clock.now()
        payload.keep(tx, now)
        _check_item(tx, task, ask)
        told = _checked_start(tx, task, ask) if ask.verb == "start" else ask
        tx.apply([(decide(task, told, now), Mark(ledger.actor, note=said, span_id=ledger.ids.span_id()))])
        if ask.verb in ("retry", "reopen"):
            tx.set_run(task.run_id, cancelled_at=None)
        tx.settle()

    ledger.commit(work)
    return as_it_stands(ledger, seen)


def as_it_stands(ledger: Ledger, task: Task) -> Moved:
    """Return a task that was moved just now, with its run."""

    def work(tx: Transaction) -> tuple[Task | None, Run]:
        return tx.task("task_by_id", id=task.id), tx.run(task.run_id)

    now, run = ledger.store.read(work)
    assert now is not None
    return Moved(now, run, owners(ledger, [run]).get(run.id))


def holder_of(ledger: Ledger, run: Run, task: Task) -> str | None:
    """Return who holds a task, in words; None for nobody, or a process that lives no more."""
    if task.status != "in_progress":
        return None
    if task.lease_token is not None:
        return "a claim that has not ended"
    if task.worker_id is None:
        return None
    return owner_of(ledger.store, run.having({"worker_id": task.worker_id}))


def _way(run: Run, task: Task, ask: Ask) -> str:
    """Return what one does, without force, about a task that somebody holds."""
    if task.lease_token is None or run.kind != "plan" or ask.verb not in TOKEN_VERBS:
        return "wait for it"
    return f"tasktrail {ask.verb} {task_reference(run.name, task)} --token TOKEN"


def _has(task: Task, token: str | None) -> bool:
    return token is not None and token == task.claim_token


def _check_kind(run: Run, ask: Ask) -> None:
    if ask.verb in STARTS and run.kind in STOPPING_KINDS:
        raise WrongState(f"code executes the steps of run {run.name}", hint=f"tasktrail resume {run.name}")


def _check_item(tx: Transaction, task: Task, ask: Ask) -> None:
    """What belongs to an item that its list has no more is nobody's work."""
    item = item_in(tx, tx.run(task.run_id), task.item) if task.item and ask.verb in _TO_DO else None
    if item is not None and item.removed_at is not None:
        words = f"item {task.item} of matrix {tx.run(task.run_id).name} was removed; {ask.verb} needs one that is there"
        raise WrongState(words, hint="let its list have it again")


def _checked_start(tx: Transaction, task: Task, ask: Ask) -> Ask:
    """Return the ask of a start that may be; one that passes over needs says so."""
    run = tx.run(task.run_id)
    if not tx.accepts_starts(run.id):
        stands, way = ("paused", "resume") if run.paused else ("cancelled", "explain")
        raise WrongState(
            f"{run.kind} {run.name} is {stands}, nothing new starts", hint=f"tasktrail {way} {run.kind}/{run.name}"
        )
    if not task.unmet:
        return ask
    if not ask.force:
        name = task_reference(run.name, task)
        raise UnmetNeed(
            f"task {task.name} waits for {', '.join(_unmet(tx, run, task))}",
            hint=f"tasktrail explain {name}; or: tasktrail start {name} --force",
        )
    return replace(ask, reason=ask.reason or f"started although {task.unmet} of its needs were not met")


def _unmet(tx: Transaction, run: Run, task: Task) -> Iterator[str]:
    for key, _, needed_id, status, *_ in tx.rows("needs_of_task", task_id=task.id):
        if needed_id is None or status not in run.met_by:
            yield f"{key} ({status or 'does not exist'})"


def _with_holder(note: str | None, holder: str | None) -> str | None:
    return "; ".join(part for part in (note, holder and f"by force: {holder} held it") if part) or None


def _unmoved(tx: Transaction, seen: Task) -> Task:
    """Who held it was asked before this transaction: that must still be so."""
    task = tx.task("task_by_id", id=seen.id)
    if task is None:
        raise NotFound("the task does not exist any more", hint="tasktrail list-runs")
    if (task.status, task.fence) != (seen.status, seen.fence):
        raise Conflict(f"task {task.name} moved just now: it is {task.status}", hint="run it again")
    return task
