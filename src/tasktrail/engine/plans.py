"""Plans in the store: what their tasks say, which comes next, and how one is marked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tasktrail.engine.failures import told_failure
from tasktrail.engine.leases import Holding, holdings, renew_in
from tasktrail.engine.ledger import Documented, Ledger, check_lease
from tasktrail.engine.lookup import Found
from tasktrail.engine.stuck import Blocked, blocked_in
from tasktrail.model.errors import Conflict, NotFound
from tasktrail.model.lifecycle import Ask, Change, Failure, Verb, decide, route
from tasktrail.model.plan import Move, Note, PlanTask
from tasktrail.model.run import Run
from tasktrail.model.task import FINAL, REMOVED, Status, Task, Value
from tasktrail.model.undoing import taken_back, unsaid
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Row, Transaction

MOST_BLOCKED_NAMED: Final = 20
"""More tasks that cannot start are counted, not spelt out."""
CAME: Final = "adopted from a document"
"""What the history notes of a task that came with its document as it stands."""
STARTED_AGAIN: Final = "adopted from a task list: started again"
"""Says of an adopted move that it led from in progress to in progress."""
NO_NOTE: Final = frozenset({"adopt", "edit", "late", "undo"})
"""Events whose note says where they come from, and is nobody's note on the task."""


class NoPlan(NotFound):
    """There is no plan of this name."""


class NoTask(NotFound):
    """The plan has no task of this id, or has it no more."""

    def __init__(self, run: Run, key: str) -> None:
        super().__init__(f"plan {run.name} has no task {key}")
        self.key = key


@dataclass(frozen=True, slots=True)
class PlanNow:
    """A plan as it stands: its run, its tasks in order, and the claims on them."""

    run: Run
    tasks: Sequence[PlanTask]
    claims: Sequence[Holding] = ()


@dataclass(frozen=True, slots=True)
class NextTask:
    """Which task comes next.

    Args:
        task: None when none can start.
        n_tasks: How many tasks the plan has; 0 also when there is no plan.
        blocked: Where none can start, the first of those that wait for what cannot happen.
        n_blocked: How many there are of those.
        ran_out: Claims whose lease ran out; whoever claims next takes them over.
        stopped: Where none can start: `paused` or `cancelled` when that is why; empty when it is not.
    """

    task: PlanTask | None
    n_tasks: int
    blocked: Sequence[Blocked] = ()
    n_blocked: int = 0
    ran_out: Sequence[Holding] = ()
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class Marked:
    """A task as it stands after it was marked; `notes` names what was kept as a note since it has another already."""

    task: Task
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of the tasks of a plan, in order. `cursor` gets the next page; None when this is the last."""

    tasks: Sequence[PlanTask]
    cursor: str | None


# finding


def find_plan(tx: Transaction, name: str) -> Run | None:
    """Return the plan of a name, None when there is none."""
    return next(iter(tx.runs("plan_by_name", name=name)), None)


def fresh_plan(ledger: Ledger, name: str) -> Run | None:
    """Return the plan of a name, up to date with its file where it has one; None when there is none.

    Raises:
        BadInput: The file cannot be read.
    """
    run = ledger.store.read(lambda tx: find_plan(tx, name))
    return ledger.attachments.sync(run) if run is not None and run.document_id is not None else run


def plan_in(tx: Transaction, name: str) -> Run:
    """Return a plan that is about to be changed: it is up to date with its file, and stays so until the commit.

    Raises:
        NoPlan: There is none.
    """
    return _existing(hold_plan(tx, name), name)


def hold_plan(tx: Transaction, name: str) -> Run | None:
    """Return a plan as `plan_in` does, None when there is none."""
    run = tx.held("lock_plan", name=name)
    if run is not None and run.document_id is not None and run.document_id not in tx.adopted:
        raise Documented({run.document_id})
    return run


def existing_plan(tx: Transaction, name: str) -> Run:
    """Return the plan of a name.

    Raises:
        NoPlan: There is none.
    """
    return _existing(find_plan(tx, name), name)


def _existing(run: Run | None, name: str) -> Run:
    if run is None:
        raise NoPlan(f"there is no plan {name}", hint="write a task list first")
    return run


def task_in(tx: Transaction, run: Run, key: str) -> Task:
    """Return a task of a plan.

    Raises:
        NoTask: The plan has none of this id, or has it no more.
    """
    task = tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=-1)
    if task is None or task.reason == REMOVED:
        raise NoTask(run, key)
    return task


# reading


def read_plan(ledger: Ledger, name: str) -> PlanNow | None:
    """Return a plan with all that is said of its tasks, None when there is none."""

    def work(tx: Transaction) -> PlanNow | None:
        run = find_plan(tx, name)
        if run is None:
            return None
        return PlanNow(run, said_of(tx, run, shown_tasks(tx, run)), holdings(tx, ledger, run))

    return ledger.store.read(work)


def shown_tasks(tx: Transaction, run: Run) -> list[Task]:
    """Return the tasks of a plan in order, without those that were taken out of it."""
    return [task for task in tx.tasks("tasks_of_run", run_id=run.id) if task.reason != REMOVED]


def place_tasks(tx: Transaction, run: Run, keys: Iterable[str]) -> bool:
    """Let a plan's tasks stand in this order, since ties of priority go by it; return whether any moved."""
    places = {key: place for place, key in enumerate(keys, 1)}
    moved = [task for task in shown_tasks(tx, run) if places.get(task.key, task.position) != task.position]
    tx.execute_many("place_task", [{"id": task.id, "position": places[task.key]} for task in moved])
    return bool(moved)


def said_of(tx: Transaction, run: Run, tasks: Sequence[Task]) -> list[PlanTask]:
    """Return tasks of a plan with what is said of them."""
    ids = json.dumps([task.id for task in tasks])
    needs = _by_task((row[0], str(row[1])) for row in tx.rows("needs_of_tasks", ids=ids))
    details = {row[0]: row for row in tx.rows("details_of_tasks", ids=ids)}
    events = _by_task((row[0], row) for row in tx.rows("events_of_tasks", run_id=run.id, ids=ids))
    return [_said(task, needs.get(task.id, ()), details[task.id], events.get(task.id, ())) for task in tasks]


def _by_task(pairs: Iterable[tuple[Any, Any]]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for task_id, value in pairs:
        found.setdefault(task_id, []).append(value)
    return found


def _said(task: Task, needs: Sequence[str], details: Row, events: Sequence[Row]) -> PlanTask:
    moves = tuple(Move(_time(row), _status(row[4]), _status(row[5]), str(row[2])) for row in events if _is_move(row))
    edits = [row[1] for row in events if row[3] == "edit"]
    notes = noted(events)
    return PlanTask(
        task.key, str(details[1] or ""), task.status, task.priority, tuple(needs), task.summary, task.error,
        task.reason, task.attempts, task.created_at, _last_time(edits), task.started_at, task.completed_at,
        status_updated_at=moves[-1].at if moves else None,
        notes=tuple(Note(str(row[6]), _time(row), str(row[2])) for row in notes),
        history=moves,
        extra=json.loads(str(details[2])) if details[2] else {},
    )  # fmt: skip


def noted(events: Sequence[Row]) -> list[Row]:
    """Return the rows of a task's events that have a note which still stands."""
    rows = [row for row in events if (row[6] or row[3] == "note") and row[3] not in NO_NOTE]
    changes = [(row[7], row[8]) for row in events if row[8]] if rows else []
    gone = taken_back(changes)
    gone |= unsaid(changes, gone)
    return [row for row in rows if row[7] not in gone]


def _is_move(row: Row) -> bool:
    """Whether somebody moved the task: one that came with a document stood there before."""
    if row[5] is None or (row[3] == "adopt" and row[6] == CAME):
        return False
    return row[4] != row[5] or row[3] == "restart" or row[6] == STARTED_AGAIN


def _time(row: Row) -> int:
    return int(str(row[1]))


def _last_time(times: Sequence[object]) -> int | None:
    return int(str(times[-1])) if times else None


def _status(word: object) -> Status:
    return word  # type: ignore[return-value]  # the column's CHECK allows nothing else


def page_of_tasks(
    ledger: Ledger,
    name: str,
    *,
    status: Status | None = None,
    words: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> TaskPage:
    """Return a page of the tasks that all filters let through.

    Args:
        words: What the id, the title or the result has in it, in lower or upper case.
        cursor: What the page before said; None begins.

    Raises:
        NoPlan: There is none.
        NoTask: The cursor is none of ours.
    """
    pattern = having(words)

    def work(tx: Transaction) -> TaskPage:
        run = existing_plan(tx, name)
        after = task_in(tx, run, cursor).position if cursor is not None else -1
        filters = {"status": status, "pattern": pattern, "removed": REMOVED, "limit": limit + 1}
        tasks = tx.tasks("page_of_plan", run_id=run.id, after=after, **filters)
        page = tasks[:limit]
        return TaskPage(said_of(tx, run, page), page[-1].key if len(tasks) > limit else None)

    return ledger.store.read(work)


def having(words: str | None) -> str | None:
    """Return the pattern of texts that have these words in them, in lower case; None for none."""
    return "%" + re.sub(r"([!%_])", r"!\1", words.lower()) + "%" if words else None


def found_task(ledger: Ledger, name: str, key: str) -> Found:
    """Return a plan and its task, for whoever looks at one.

    Raises:
        NoPlan, NoTask: There is none.
    """

    def work(tx: Transaction) -> Found:
        run = existing_plan(tx, name)
        return Found(run, task_in(tx, run, key))

    return ledger.store.read(work)


def next_task(ledger: Ledger, name: str, *, skip_needs: bool = False) -> NextTask:
    """Return which task comes next: the most urgent one that is pending, ties by place in the list.

    Args:
        skip_needs: Whether one whose needs are not met counts, too.
    """

    def work(tx: Transaction) -> NextTask:
        run = find_plan(tx, name)
        if run is None:
            return NextTask(None, 0)
        task = first_pending(tx, run) if skip_needs else first_ready(tx, run, ledger.clock.now())
        silent = [one for one in holdings(tx, ledger, run) if one.ran_out] if run.n_in_progress else []
        return replace(next_of(tx, run, task), ran_out=silent)

    return ledger.store.read(work)


def first_ready(tx: Transaction, run: Run, now: int) -> Task | None:
    """Return the most urgent task that can start now; an index look-up, however many tasks there are."""
    found = tx.task("ready_tasks", run_id=run.id, without=None, limit=1)
    due = tx.task("due_tasks", run_id=run.id, now=now, without=None, limit=1)
    if found is None or due is None:
        return found or due
    return min(found, due, key=lambda task: (task.priority, task.position))


def first_pending(tx: Transaction, run: Run) -> Task | None:
    """Return the most urgent pending task, whatever it waits for."""
    return tx.task("pending_tasks", run_id=run.id, limit=1)


def next_of(tx: Transaction, run: Run, task: Task | None) -> NextTask:
    """Return a task with what is said of it; of none, what cannot start."""
    if task is not None:
        return NextTask(said_of(tx, run, [task])[0], run.n_tasks)
    stopped = "" if run.accepts_starts else "paused" if run.paused else "cancelled"
    return NextTask(None, run.n_tasks, *blocked_in(tx, run, MOST_BLOCKED_NAMED), stopped=stopped)


# marking


def mark_task(
    ledger: Ledger, name: str, key: str, status: Status, *, note: str = "", result: str = "", error: str = ""
) -> Marked:
    """Let a task of a plan stand at a status, by the verbs that lead there; unmet needs are no obstacle.

    Args:
        note: Appended to its notes, also where it stands there already.
        result: What came of it; kept as a note where the task has another result already.
        error: Why it failed; see `told_failure`. Kept as a note likewise.

    Raises:
        NoPlan, NoTask: There is none.
        Held: Somebody else holds it.
        BadInput: There is an error, and it is not to fail.
    """
    said = cleaned(ledger, note, result, told_failure(error, status))

    def work(tx: Transaction) -> Marked:
        run = plan_in(tx, name)
        return mark_in(tx, ledger, task_in(tx, run, key), status, said)

    return ledger.commit(work)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a task beside where it stands, as it may be stored."""

    note: str | None = None
    result: str | None = None
    failure: Failure | None = None


def cleaned(ledger: Ledger, note: str, result: str = "", failure: Failure | None = None) -> Said:
    """Return texts as they may be stored; empty ones say nothing."""
    told = ledger.clean_failure(failure) if failure else None
    return Said(ledger.clean_text(note) or None, ledger.clean_text(result) or None, told)


def mark_in(tx: Transaction, ledger: Ledger, task: Task, status: Status, said: Said) -> Marked:
    """Mark a task inside a transaction that does more."""
    verbs = route(task.status, status)
    if not verbs:
        return mark_again(tx, ledger, task, said)
    for verb in verbs[:-1]:
        task = move_in(tx, ledger, task, ask_for(task, verb))
    ask = replace(ask_for(task, verbs[-1]), summary=said.result if status in FINAL else None, failure=said.failure)
    return Marked(move_in(tx, ledger, task, ask, note=said.note))


def ask_for(task: Task, verb: Verb) -> Ask:
    """Return what to ask of a task; a start that passes over needs says so."""
    forced = verb == "start" and task.unmet > 0
    reason = f"started although {task.unmet} of its needs were not met" if forced else None
    return Ask(verb, reason=reason, force=forced)


def mark_again(tx: Transaction, ledger: Ledger, task: Task, said: Said) -> Marked:
    """Mark a task that stands there already: an empty field is filled, what cannot be taken is kept as a note."""
    filled: dict[str, Value] = {}
    others: dict[str, str] = {}
    also: Mapping[str, Sequence[object]] | None = None
    if said.result and task.summary is None and task.status in FINAL:
        filled["summary"] = said.result
    elif said.result and said.result != task.summary:
        others["result"] = said.result
    if (failure := said.failure) and task.error is None:
        filled.update(error_type=failure.type, error=failure.message)
        also = {"stack": [None, failure.stack]} if failure.stack else None
    elif failure and failure.message != task.error:
        others["error"] = failure.stack or failure.message
    if filled:
        change = Change(task, task.status, ledger.clock.now(), filled)
        task = _applied(tx, change, Mark(ledger.actor, also=also))
    for text in (said.note, *others.values()):
        if text:
            note_in(tx, ledger, task, text)
    return Marked(task, tuple(others))


def note_in(
    tx: Transaction, ledger: Ledger, task: Task, text: str, at: int | None = None, actor: str | None = None
) -> None:
    """Append a note inside a transaction that does more; the text is clean.

    Args:
        at: When it was written; None is now.
        actor: Who wrote it; None is who asks.
    """
    now = ledger.clock.now()
    tx.record_run(task.run_id, "note", at or now, actor or ledger.actor, task_id=task.id, note=text)
    tx.set_run(task.run_id, updated_at=now)


def move_in(
    tx: Transaction,
    ledger: Ledger,
    task: Task,
    ask: Ask,
    *,
    note: str | None = None,
    token: str | None = None,
    actor: str | None = None,
    span_id: str | None = None,
    also: Mapping[str, Sequence[object]] | None = None,
) -> Task:
    """Ask one thing of a task inside a transaction that does more, and return it as it then stands.

    Args:
        also: What else changed with it, for the history: old and new by name.

    Raises:
        Held: Somebody else holds it.
        WrongState, UnmetNeed: As for `decide`.
    """
    check_lease(task, ask, token)
    mark = Mark(actor or ledger.actor, note=note, span_id=span_id or ledger.ids.span_id(), also=also)
    return _applied(tx, decide(task, ask, ledger.clock.now()), mark)


def _applied(tx: Transaction, change: Change, mark: Mark) -> Task:
    """The plan is held, so that nobody else can have changed the task since it was read."""
    if not tx.apply([(change, mark)]):
        raise Conflict(f"task {change.task.key} is being changed by others all the time", hint="run it again")
    return change.after


def add_note(ledger: Ledger, name: str, key: str, text: str, token: str | None = None) -> None:
    """Append a note to a task of a plan.

    Args:
        token: Of a claim on it, which is renewed.

    Raises:
        NoPlan, NoTask: There is none.
    """
    clean = str(ledger.clean_text(text))

    def work(tx: Transaction) -> None:
        task = task_in(tx, plan_in(tx, name), key)
        renew_in(tx, ledger, task, token)
        note_in(tx, ledger, task, clean)

    ledger.commit(work)


def counts_of(tasks: Iterable[PlanTask]) -> Mapping[Status, int]:
    """Return how many tasks stand at each status that one has."""
    counts: dict[Status, int] = {}
    for task in tasks:
        counts[task.status] = counts.get(task.status, 0) + 1
    return counts
