"""Undo: the inverse of earlier changes as new events, all or nothing, and never over what stands on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, cast

from tasktrail.engine.batches import close_batch, open_batch
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Found
from tasktrail.engine.needs import own_needs, set_needs
from tasktrail.engine.plans import existing_plan, shown_tasks
from tasktrail.model.errors import BadInput, Conflict, Held, NotFound, WrongState
from tasktrail.model.graph import Need, check_graph
from tasktrail.model.lifecycle import Ask, Change, decide
from tasktrail.model.reference import cell_name, format_task
from tasktrail.model.run import Run
from tasktrail.model.task import DEFINITION, FIELDS, ITEM_REMOVED, REMOVED, Task, Value
from tasktrail.model.undoing import UNDOES, Told, found_by, standing_on, taken_back
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Row, Transaction

_WORDS: Final = ("title", "metadata")
_BIRTHS: Final = frozenset({"created", "added"})

Select = Callable[[Transaction], list[Told]]
"""Finds the events that are to be undone, the oldest first."""


@dataclass(frozen=True, slots=True)
class TaskUndone:
    """What undoing did to one task.

    Args:
        task: As it is written inside its run.
        events: Numbers of what was undone.
        fields: What else is again what it was.
        remark: What is not as it was; None when all is.
    """

    run: str
    task: str
    events: Sequence[int]
    from_status: str
    to_status: str
    fields: Sequence[str] = ()
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Undone:
    """What was undone, or would be.

    Args:
        effects: What was done outside by attempts that really ran, one sentence each; that stays.
        batches: Numbers of the events that hold the inverse together, where it is more than one event of a run.
    """

    tasks: Sequence[TaskUndone]
    effects: Sequence[str]
    batches: Sequence[int]


# what is to be undone


def of_event(seq: int) -> Select:
    """Select one change, or a whole batch, by the number of its event."""

    def select(tx: Transaction) -> list[Told]:
        event = _event(tx, seq)
        return _in_batch(tx, event) if event.verb == "batch" else [event]

    return select


def of_batch(seq: int) -> Select:
    """Select a batch by its number, or by that of any event in it."""

    def select(tx: Transaction) -> list[Told]:
        event = _event(tx, seq)
        row = tx.row("batch_from", run_id=event.run_id, seq=seq)
        batch = Told._make(cast(Any, row)) if row else None
        if batch is None or batch.changes["after"][1] >= seq:
            raise NotFound(f"event {seq} is part of no batch", hint=f"tasktrail undo {seq}")
        return _in_batch(tx, batch)

    return select


def of_task(found: Found) -> Select:
    """Select the last change of a task."""
    task = found.task
    assert task is not None

    def select(tx: Transaction) -> list[Told]:
        events = _told(tx.rows("told_of_task", run_id=task.run_id, task_id=task.id, first=0))
        last = next((event for event in reversed(events) if event.verb != "late"), None)
        if last is None:
            raise NotFound(f"nothing was ever changed about task {task.name}", hint=f"tasktrail history {task.name}")
        return [last]

    return select


def of_actor(actor: str, since: int, run: Run | None = None) -> Select:
    """Select all changes of tasks by an actor since a moment, in one run or in all."""

    def select(tx: Transaction) -> list[Told]:
        rows = tx.rows("told_of_actor", actor=actor, since=since, run_id=run.id if run else None)
        events = [event for event in _told(rows) if _can_be_undone(event)]
        events = [event for event in events if event.task_id is not None or tx.run(event.run_id).kind == "plan"]
        if not events:
            raise NotFound(f"{actor} changed nothing since then", hint="tasktrail history RUN names who did")
        return events

    return select


def _in_batch(tx: Transaction, batch: Told) -> list[Told]:
    rows = tx.rows("told_of_run", run_id=batch.run_id, after=batch.changes["after"][1], before=batch.seq)
    return [event for event in _told(rows) if _can_be_undone(event)]


def _event(tx: Transaction, seq: int) -> Told:
    row = tx.row("told", seq=seq) if 0 < seq < 2**63 else None
    if row is None:
        raise NotFound(f"there is no event {seq}", hint="tasktrail history RUN shows their numbers")
    return Told._make(cast(Any, row))


def _told(rows: Sequence[Row]) -> list[Told]:
    return [Told._make(cast(Any, row)) for row in rows]


def _can_be_undone(event: Told) -> bool:
    return event.verb in _BIRTHS if event.task_id is None else event.verb != "late"


# undoing it


def undo(ledger: Ledger, select: Select, *, plan: str | None = None, dry_run: bool = False) -> Undone:
    """Undo changes; all or nothing.

    Args:
        plan: The only plan in which they may be; None: any run.
        dry_run: Change nothing and return, or raise, the same.

    Raises:
        NotFound: There is no such change.
        WrongState: It cannot be undone at all, or nothing of it is left to undo.
        Conflict: Something stands on it; the details name each task and the later event.
        Held: A process executes one of the tasks now.
    """

    def work(tx: Transaction) -> Undone:
        for run_id in sorted({event.run_id for event in select(tx)}):
            tx.run(run_id)  # held from here on, in one order for all
        undone = _Undoing(tx, ledger, select(tx), plan).done()
        if dry_run:
            raise _Rehearsed(undone)
        return undone

    try:
        return ledger.commit(work)
    except _Rehearsed as rehearsed:
        return rehearsed.undone


class _Rehearsed(Exception):  # it is no error: it takes the transaction back
    def __init__(self, undone: Undone) -> None:
        super().__init__(undone)
        self.undone = undone


@dataclass
class _Back:
    """One task that goes back to what it was."""

    task: Task
    run: Run
    events: list[Told] = field(default_factory=list)
    birth: Told | None = None

    @cached_property
    def numbers(self) -> list[int]:
        """Of the events that are undone."""
        return [event.seq for event in ([self.birth] if self.birth else []) + self.events]

    @cached_property
    def status(self) -> str | None:
        """Where it stood; None: it was not moved."""
        return "skipped" if self.birth else found_by(self.events).status

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """What it had, as far as it was changed."""
        values = found_by(self.events).values
        return {**values, "reason": REMOVED, "needs": []} if self.birth else values

    @property
    def name(self) -> str:
        """As it is written inside its run."""
        return format_task("", self.task.key, self.task.item, self.task.map_index)[1:]


class _Undoing:
    """What undoing some events does to the tasks they are about."""

    def __init__(self, tx: Transaction, ledger: Ledger, events: Sequence[Told], plan: str | None) -> None:
        self._tx, self._ledger, self._now = tx, ledger, ledger.clock.now()
        if plan is not None:
            _check_plan(existing_plan(tx, plan), events)
        self._backs: dict[int, _Back] = {}
        for event in events:
            self._take(event)
        self._seqs = {event.seq for event in events}

    def done(self) -> Undone:
        """Refuse all that cannot be, then do the rest."""
        backs = list(self._backs.values())
        if faults := [fault for back in backs for fault in self._faults(back)]:
            raise Conflict("this cannot be undone any more, nothing was changed", details=faults)
        effects = [words for back in backs for words in self._effects(back)]
        before = {back.run.id: open_batch(self._tx, back.run) for back in backs}
        tasks = [one for back in backs if (one := self._bring_back(back))]
        if not backs:
            raise WrongState("there is nothing to take back: no task was added")
        if not tasks:
            raise WrongState("there is nothing to take back: a claim that has ended is not brought back")
        self._check_needs({back.run.id: back.run for back in backs if "needs" in back.values})
        note = _undo_of(sorted(self._seqs))
        ends = [close_batch(self._tx, self._ledger, run_id, after, note) for run_id, after in before.items()]
        return Undone(tasks, effects, [number for number in ends if number is not None])

    # what is undone

    def _take(self, event: Told) -> None:
        if not _can_be_undone(event):
            hint = "bring the list of items to what it was" if event.verb == "items" else None
            raise WrongState(
                f"{event.words} is no change of a task; undo takes moves, edits, notes and added tasks", hint=hint
            )
        if event.task_id is not None:
            self._back(event.task_id).events.append(event)
            return
        run = self._tx.run(event.run_id)
        if run.kind != "plan":
            raise WrongState(f"{event.words}: what steps a {run.kind} run has, its workflow says")
        first, end = event.changes["tasks"]
        for row in self._tx.rows("ids_of_run", run_id=run.id)[first:end]:
            self._back(int(str(row[0]))).birth = event

    def _back(self, task_id: int) -> _Back:
        if task_id not in self._backs:
            task = _current(self._tx, task_id)
            self._backs[task_id] = _Back(task, self._tx.run(task.run_id))
        return self._backs[task_id]

    # what stands on it

    def _faults(self, back: _Back) -> list[str]:
        task, run = back.task, back.run
        if back.status and task.status == "in_progress" and task.worker_id is not None:
            hint = f"tasktrail cancel {run.name}:{back.name}"
            raise Held(f"task {back.name} is being executed by a process now; undo needs that it is not", hint=hint)
        if "needs" in back.values and run.kind != "plan":
            raise WrongState(f"task {back.name} of run {run.name} needs what its workflow says, which undo leaves")
        if removal := next((event for event in back.events if _is_of_item(event)), None):
            raise WrongState(
                f"task {back.name} went with its item, {removal.words}: it comes and goes with that",
                hint="bring the list of items to what it was",
            )
        later = _told(self._tx.rows("told_of_task", run_id=run.id, task_id=task.id, first=min(back.numbers)))
        others = [event for event in later if event.seq not in self._seqs]
        faults = [f"task {back.name}: {other.words} stands on {event.words}" for event, other in self._on(back, others)]
        return faults + self._dependants(back) or _known_notes(back, others)

    def _on(self, back: _Back, others: Sequence[Told]) -> list[tuple[Told, Told]]:
        if back.birth is None:
            return standing_on(back.events, others)
        return [(back.birth, other) for other in others if other.verb not in ("note", "late")]

    def _dependants(self, back: _Back) -> list[str]:
        """Who began since on what is no longer done; who needs what is taken out."""
        if back.birth:
            ids = [int(str(row[0])) for row in self._tx.rows("dependants", id=back.task.id)]
            keys = [_current(self._tx, one).key for one in ids if self._will_need(one, back.task.key)]
            return [f"task {back.name}: task {key} needs it, and was not added with it" for key in keys]
        met = back.run.met_by
        if back.status is None or back.task.status not in met or back.status in met:
            return []
        after = next(event.seq for event in back.events if event.is_move)
        rows = self._tx.rows("starts_of_dependants", id=back.task.id, after=after)
        starts: dict[str, list[Row]] = {}
        for row in rows:
            if row[0] not in self._seqs:
                starts.setdefault(cell_name(str(row[4]), str(row[3])), []).append(row)
        return [
            f"task {back.name}: task {key} needs it and was started since, {_begun(of)}" for key, of in starts.items()
        ]

    def _will_need(self, task_id: int, key: str) -> bool:
        """Whether a task that needs another one now will do so afterwards."""
        back = self._backs.get(task_id)
        return back is None or key in back.values.get("needs", [key])

    def _effects(self, back: _Back) -> list[str]:
        numbers = {event.attempt for event in back.events if event.attempt is not None}
        return [
            f"attempt {attempt.n} of task {back.name}, by {attempt.actor}, really ran: what it did outside stays"
            for attempt in self._tx.attempts("attempts_of_task", task_id=back.task.id)
            if attempt.n in numbers
        ]

    # the inverse

    def _bring_back(self, back: _Back) -> TaskUndone | None:
        task, tx = back.task, self._tx
        also = self._also(back)
        if "needs" in also:
            set_needs(tx, back.run, _current(tx, task.id), [Need(key) for key in also["needs"][1]])
            task = _current(tx, task.id)
        change = self._change(back, task)
        moved = change.status != task.status
        fields = [name for name in (*change.values, *also) if not moved or name in also]
        fields = [name for name in fields if name in also or change.values[name] != getattr(task, name)]
        notes = any(event.verb == "note" for event in back.events)
        if not (moved or fields or notes or any(UNDOES in event.changes for event in back.events)):
            return None
        mark = Mark(self._ledger.actor, note=_undo_of(back.numbers), also={**also, UNDOES: [None, back.numbers]})
        self._write(change, mark, also)
        remark = "it was in progress; no claim is brought back" if back.status == "in_progress" else None
        said = [*fields, *(["notes"] if notes or not (moved or fields) else [])]
        return TaskUndone(back.run.name, back.name, back.numbers, task.status, change.status, said, remark)

    def _also(self, back: _Back) -> dict[str, list[Any]]:
        """What the task is, now and then, where that differs."""
        row = self._tx.row("details_of_task", id=back.task.id)
        assert row is not None
        now: dict[str, Any] = {name: getattr(back.task, name) for name in DEFINITION}
        now.update(title=row[1], metadata=row[2], needs=[need.key for need in own_needs(self._tx, back.task)])
        return {name: [now[name], back.values[name]] for name in now if back.values.get(name, now[name]) != now[name]}

    def _change(self, back: _Back, task: Task) -> Change:
        values: dict[str, Value] = {
            name: value for name, value in back.values.items() if name in FIELDS and name not in DEFINITION
        }
        if back.status is None or (back.status == task.status != "in_progress" and not back.birth):
            return Change(task, task.status, self._now, values)
        return decide(task, Ask("undo", target=cast(Any, back.status), values=values), self._now)

    def _write(self, change: Change, mark: Mark, also: Mapping[str, list[Any]]) -> None:
        if not self._tx.apply([(change, mark)]):
            raise Conflict(f"task {change.task.name} is being changed by others all the time", hint="run it again")
        task = change.after
        if task.status != "cancelled" and change.task.status == "cancelled":
            self._tx.set_run(task.run_id, cancelled_at=None)
        if also.keys() & {*DEFINITION, *_WORDS}:
            self._redefine(task, {name: then for name, (_, then) in also.items()})

    def _redefine(self, task: Task, then: Mapping[str, Any]) -> None:
        row = self._tx.row("details_of_task", id=task.id)
        assert row is not None
        now: dict[str, Any] = {name: getattr(task, name) for name in DEFINITION}
        now.update(title=row[1], metadata=row[2], id=task.id)
        self._tx.execute("redefine_task", now | {name: value for name, value in then.items() if name != "needs"})
        if task.status == "failed" and then.get("critical", task.critical) != task.critical:
            self._tx.count(task.run_id, n_stopping=1 if then["critical"] else -1)

    def _check_needs(self, runs: Mapping[int, Run]) -> None:
        """Refuse where the needs that come back cannot be with what the other tasks need by now."""
        for run in runs.values():
            keys = {task.id: task.key for task in shown_tasks(self._tx, run)}
            graph: dict[str, list[Need]] = {}
            for task_id, needed, _, _ in self._tx.rows("needs_of_run", run_id=run.id):
                if (key := keys.get(int(str(task_id)))) is not None:
                    graph.setdefault(key, []).append(Need(str(needed)))
            if faults := check_graph(list(keys.values()), graph):
                raise Conflict("the needs that would come back cannot be any more", details=faults)


def _is_of_item(event: Told) -> bool:
    """Whether a task was left out because its item was removed, or came back with it."""
    return event.is_move and ITEM_REMOVED in event.changes.get("reason", ())


def _begun(starts: Sequence[Row]) -> str:
    """The first start, and how many more: a step that is done for each item has as many starts as items."""
    more = f", and {len(starts) - 1:,} more" if len(starts) > 1 else ""
    return f"event {starts[0][0]} (start by {starts[0][2]}){more}"


def _known_notes(back: _Back, others: Sequence[Told]) -> list[str]:
    """A note that is shown no more cannot be taken back again."""
    gone = taken_back((event.seq, event.changes_text) for event in others if event.changes_text)
    return [f"task {back.name}: {one.words} was undone before" for one in back.events if one.seq in gone]


def _check_plan(run: Run, events: Sequence[Told]) -> None:
    for event in events:
        if event.run_id != run.id:
            raise NotFound(f"plan {run.name} has no event {event.seq}", hint="task_history shows their numbers")


def _current(tx: Transaction, task_id: int) -> Task:
    found = tx.task("task_by_id", id=task_id)
    if found is None:
        raise BadInput("the task does not exist any more")
    return found


def _undo_of(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return f"undo of {shown}" + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
