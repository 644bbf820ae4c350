"""Bringing a plan to a list of tasks: what is new, what is another now, and what is no longer in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tasktrail.engine.additions import check_tasks
from tasktrail.engine.drafts import TaskEdit, define
from tasktrail.engine.leases import renew_in
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.needs import set_needs
from tasktrail.engine.pictures import REMOVED
from tasktrail.engine.plans import find_plan, move_in, note_in, plan_in, said_of, shown_tasks, task_in
from tasktrail.engine.values import json_text
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need, check_graph
from tasktrail.model.lifecycle import Ask
from tasktrail.model.plan import Note, PlanTask
from tasktrail.model.run import Run
from tasktrail.model.task import FINAL, Task, Value
from tasktrail.store.transaction import Transaction

_FROM: Final = "adopted from a task list"


@dataclass(frozen=True, slots=True)
class ListWritten:
    """What became of a list: keys of tasks that are new, that are another now, and that are no longer in the plan."""

    run: Run
    added: Sequence[str] = ()
    changed: Sequence[str] = ()
    removed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PlanTaskEdit:
    """What is to be another about a task; None leaves it.

    Args:
        extra: Values by name, put beside those that the task has.
    """

    title: str | None = None
    priority: int | None = None
    needs: tuple[str, ...] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


def check_list(tasks: Sequence[PlanTask], faults: Sequence[str] = ()) -> list[TaskDraft]:
    """Return the tasks of a list as they would be added.

    Args:
        faults: What is known to be wrong with it already.

    Raises:
        BadInput: The list cannot be a plan; the details name all that is wrong.
    """
    drafts, found = [_draft(task) for task in tasks], list(faults)
    try:
        check_tasks(drafts)
    except BadInput as error:
        found += error.details or [error.message]
    if found:
        raise BadInput("the task list cannot be written", details=found)
    return drafts


def write_list(ledger: Ledger, name: str, tasks: Sequence[PlanTask], standing: Collection[str] = ()) -> ListWritten:
    """Create a plan, or bring the one that exists to a new list; all or nothing.

    What tasks of the same key have reached is kept. Those no longer in the list are skipped, and shown no more.

    Args:
        standing: Keys of which the list also says where they stand; those are brought there.

    Raises:
        BadInput: The list cannot be a plan; the details name all that is wrong.
    """
    drafts = check_list(tasks)

    def work(tx: Transaction) -> ListWritten:
        run = find_plan(tx, name)
        writing = _Writing(tx, ledger, tasks, drafts, standing)
        written = writing.create(name) if run is None else writing.update(tx.run(run.id))
        tx.settle()
        return written

    return ledger.commit(work)


def take_over(ledger: Ledger, name: str, tasks: Sequence[PlanTask]) -> ListWritten:
    """Write a list that a file says: what is not pending there stands so here; what is keeps what it has reached.

    Raises:
        BadInput: As for `write_list`.
    """
    return write_list(ledger, name, tasks, {task.key for task in tasks if task.status != "pending"})


def _draft(task: PlanTask) -> TaskDraft:
    metadata = json_text(dict(task.extra), f"what is said of task {task.key!r}") if task.extra else None
    needs = tuple(Need(key) for key in task.needs)
    return TaskDraft(task.key, title=task.title, needs=needs, priority=task.priority, metadata=metadata)


class _Writing:
    """What writing one list does to a plan."""

    def __init__(
        self,
        tx: Transaction,
        ledger: Ledger,
        tasks: Sequence[PlanTask],
        drafts: Sequence[TaskDraft],
        standing: Collection[str],
    ) -> None:
        self._tx, self._ledger, self._drafts, self._standing = tx, ledger, drafts, standing
        self._wanted = {task.key: task for task in tasks}
        self._now = ledger.clock.now()

    def create(self, name: str) -> ListWritten:
        """Create the plan."""
        draft = RunDraft("plan", name, name, tuple(self._drafts))
        run = self._ledger.create_in(self._tx, draft, self._now)
        self._stand(run, {})
        return ListWritten(run, added=list(self._wanted))

    def update(self, run: Run) -> ListWritten:
        """Bring the plan to the list. Counters move by the needs that change, so that their order does not matter."""
        tasks = self._tx.tasks("tasks_of_run", run_id=run.id)
        old = {one.key: one for one in said_of(self._tx, run, tasks)}
        added = [draft for draft in self._drafts if draft.key not in old]
        if added:
            self._ledger.add_in(self._tx, run.id, added, self._now)
        stay = [task for task in tasks if task.key in self._wanted]
        for task in tasks:
            self._exchange(run, task, old[task.key].needs)
        changed = [task.key for task in stay if self._redefine(task, old[task.key])]
        returned = [task.key for task in stay if self._bring_back(task)]
        removed = [task.key for task in tasks if task.key not in self._wanted and self._remove(task)]
        stood = {key for key in self._stand(run, old) if key in old}
        self._place(run)
        changed = [key for key in self._wanted if key in stood.union(changed).difference(returned)]
        return ListWritten(run, [*(draft.key for draft in added), *returned], changed, removed)

    # what they are, and where in the list

    def _exchange(self, run: Run, task: Task, was: Sequence[str]) -> None:
        now = self._wanted[task.key].needs if task.key in self._wanted else ()
        if list(was) != list(dict.fromkeys(now)):
            set_needs(self._tx, run, _current(self._tx, task), [Need(key) for key in now])

    def _redefine(self, task: Task, old: PlanTask) -> bool:
        return _define(self._tx, self._ledger, task, old, self._wanted[task.key], self._now)

    def _place(self, run: Run) -> None:
        """Ties of priority go by the order of the list."""
        places = {key: place for place, key in enumerate(self._wanted, 1)}
        tasks = shown_tasks(self._tx, run)
        moved = [task for task in tasks if task.position != places[task.key]]
        self._tx.execute_many("place_task", [{"id": task.id, "position": places[task.key]} for task in moved])

    # where they stand

    def _bring_back(self, task: Task) -> bool:
        if task.reason != REMOVED:
            return False
        move_in(self._tx, self._ledger, _current(self._tx, task), Ask("reopen"))
        return True

    def _remove(self, task: Task) -> bool:
        if task.reason == REMOVED:
            return False
        ask = Ask("adopt", target="skipped", values={"reason": REMOVED, "completed_at": self._now})
        move_in(self._tx, self._ledger, _current(self._tx, task), ask, note=_FROM)
        return True

    def _stand(self, run: Run, old: Mapping[str, PlanTask]) -> list[str]:
        """Bring tasks to where the list says they stand, and add its notes; return the keys of those that moved."""
        moved = []
        for key in (key for key, task in self._wanted.items() if key in self._standing or task.notes):
            task, said = task_in(self._tx, run, key), self._wanted[key]
            if key in self._standing and self._adopt(task, said):
                moved.append(key)
            self._add_notes(task, said, old[key].notes if key in old else ())
        return moved

    def _adopt(self, task: Task, said: PlanTask) -> bool:
        values: dict[str, Value] = {
            "started_at": said.started_at or task.started_at,
            "summary": said.result or (task.summary if said.status in FINAL else None),
            "error": said.error or task.error,
            "reason": said.reason or task.reason,
        }
        if said.status in FINAL:
            values["completed_at"] = said.completed_at or task.completed_at or self._now
        ask = self._ledger.clean(Ask("adopt", target=said.status, values=values))
        if said.status == task.status and all(getattr(task, name) == value for name, value in ask.values.items()):
            return False
        if said.status == task.status == "in_progress":
            return False  # whoever works on it goes on
        move_in(self._tx, self._ledger, task, ask, note=_FROM)
        return True

    def _add_notes(self, task: Task, said: PlanTask, known: Sequence[Note]) -> None:
        times = {(note.text, note.at) for note in known}
        texts = {note.text for note in known}
        for note in said.notes:
            text = str(self._ledger.clean_text(note.text))
            if text not in texts or (note.at is not None and (text, note.at) not in times):
                note_in(self._tx, self._ledger, task, text, note.at)


def edit_task(ledger: Ledger, name: str, key: str, edit: PlanTaskEdit, token: str | None = None) -> PlanTask:
    """Change what a task of a plan is, not where it stands; return it as it then is.

    Args:
        token: Of a claim on it, which is renewed.

    Raises:
        NoPlan, NoTask: There is none.
        BadInput: The needs cannot be; the details name all that is wrong.
    """

    def work(tx: Transaction) -> PlanTask:
        run = plan_in(tx, name)
        task = task_in(tx, run, key)
        renew_in(tx, ledger, task, token)
        old = said_of(tx, run, [task])[0]
        if edit.needs is not None:
            _check_needs(tx, run, key, edit.needs)
            set_needs(tx, run, task, [Need(one) for one in edit.needs])
        _define(tx, ledger, task, old, _edited(old, edit), ledger.clock.now())
        return said_of(tx, run, [_current(tx, task)])[0]

    return ledger.commit(work)


def _edited(task: PlanTask, edit: PlanTaskEdit) -> PlanTask:
    return replace(
        task,
        title=task.title if edit.title is None else edit.title,
        priority=task.priority if edit.priority is None else edit.priority,
        needs=task.needs if edit.needs is None else edit.needs,
        extra={**task.extra, **edit.extra},
    )


def _check_needs(tx: Transaction, run: Run, key: str, needs: Sequence[str]) -> None:
    """Refuse needs that the plan's tasks cannot have; what is wrong elsewhere in it is not looked at."""
    keys = {task.id: task.key for task in shown_tasks(tx, run)}
    graph: dict[str, list[Need]] = {}
    for task_id, needed, needed_id, _ in tx.rows("needs_of_run", run_id=run.id):
        if needed_id in keys and task_id in keys:
            graph.setdefault(keys[int(str(task_id))], []).append(Need(str(needed)))
    graph[key] = [Need(one) for one in needs]
    if faults := check_graph(list(keys.values()), graph):
        raise BadInput(f"task {key} cannot need these", details=faults)


def _define(tx: Transaction, ledger: Ledger, task: Task, old: PlanTask, new: PlanTask, now: int) -> bool:
    """Write what is another about a task, with its event; its needs were exchanged before. False: nothing is."""
    also: dict[str, Sequence[object]] = {}
    if (was := list(old.needs)) != (needs := list(dict.fromkeys(new.needs))):
        also["needs"] = [was, needs]
    if old.title != new.title:
        also["title"] = [old.title, new.title]
    definition: dict[str, Value] = {"priority": new.priority} if old.priority != new.priority else {}
    metadata = None
    if dict(old.extra) != dict(new.extra):
        metadata = json_text(dict(new.extra), f"what is said of task {new.key!r}")
    if not (also or definition or metadata):
        return False
    current = _current(tx, task)
    edit = TaskEdit(task.id, current.version, definition=definition, metadata=metadata, title=new.title)
    define(tx, ledger, current, edit, now, also)
    return True


def _current(tx: Transaction, task: Task) -> Task:
    found = tx.task("task_by_id", id=task.id)
    assert found is not None
    return found
