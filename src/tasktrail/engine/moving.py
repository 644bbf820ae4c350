"""A person asks a verb of a task: who holds it is asked first, and going over that is recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Found, owners, task_reference
from tasktrail.engine.ownership import owner_of
from tasktrail.engine.values import NOTHING, Encoded
from tasktrail.model.errors import Conflict, Held, NotFound
from tasktrail.model.lifecycle import LEASED_VERBS, Ask, decide
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Moved:
    """A task after its move, the run it is in, and who executes that now, in words."""

    task: Task
    run: Run
    owner: str | None


def move(ledger: Ledger, found: Found, ask: Ask, *, note: str | None = None, payload: Encoded = NOTHING) -> Moved:
    """Ask one verb of a task by hand.

    Args:
        found: The task; in progress by a process that lives no more, it is nobody's.
        ask: With `force` it is asked although somebody holds the task; the history says who did.
        payload: The output when it is large; `ask.output` is its column then.

    Raises:
        WrongState: The task's status has no such verb.
        Held: Somebody who lives holds the task, and no force was given.
        Conflict: It moved just now.
    """
    seen = found.task
    assert seen is not None, "a run has verbs of its own"
    holder = holder_of(ledger, found.run, seen) if ask.verb in LEASED_VERBS else None
    if holder and not ask.force:
        name = task_reference(found.run.name, seen)
        raise Held(
            f"task {name} is held by {holder}; {ask.verb} would take it away",
            hint=f"wait for it, or: tasktrail {ask.verb} {name} --force",
        )
    ask = ledger.clean(replace(ask, force=True))
    mark = Mark(ledger.actor, note=ledger.clean_text(_with_holder(note, holder)))

    def work(tx: Transaction) -> Run:
        task, now = _unmoved(tx, seen), ledger.clock.now()
        payload.keep(tx, now)
        tx.apply([(decide(task, ask, now), mark)])
        if ask.verb in ("retry", "reopen"):
            tx.set_run(task.run_id, cancelled_at=None)
        tx.settle()
        return tx.settled(task.run_id)

    run = ledger.commit(work)
    task = ledger.store.read(lambda tx: tx.task("task_by_id", id=seen.id))
    assert task is not None
    return Moved(task, run, owners(ledger, [run]).get(run.id))


def holder_of(ledger: Ledger, run: Run, task: Task) -> str | None:
    """Return who holds a task, in words; None for nobody, or a process that lives no more."""
    if task.status != "in_progress":
        return None
    if task.lease_token is not None:
        return "a claim that has not ended"
    if task.worker_id is None:
        return None
    return owner_of(ledger.store, run.having({"worker_id": task.worker_id}))


def _with_holder(note: str | None, holder: str | None) -> str | None:
    return "; ".join(part for part in (note, holder and f"by force: {holder} held it") if part) or None


def _unmoved(tx: Transaction, seen: Task) -> Task:
    """Who held it was asked before this transaction: that must still be so."""
    task = tx.task("task_by_id", id=seen.id)
    if task is None:
        raise NotFound("the task does not exist any more", hint="tasktrail list-runs")
    if (task.status, task.fence) != (seen.status, seen.fence):
        raise Conflict(f"task {task.key} moved just now: it is {task.status}", hint="run it again")
    return task
