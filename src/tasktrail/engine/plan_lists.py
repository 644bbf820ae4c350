"""Bringing a plan to a list of tasks: what is new, what is another now, and what is no longer in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tasktrail.engine.additions import check_tasks
from tasktrail.engine.batches import close_batch, open_batch
from tasktrail.engine.drafts import TaskEdit, define
from tasktrail.engine.leases import renew_in
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.needs import set_needs
from tasktrail.engine.plan_restoring import FROM_LIST, replay
from tasktrail.engine.plans import hold_plan, move_in, note_in, place_tasks, plan_in, said_of, shown_tasks, task_in
from tasktrail.engine.values import json_text
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need, check_graph
from tasktrail.model.lifecycle import Ask
from tasktrail.model.plain import storable
from tasktrail.model.plan import Note, PlanTask
from tasktrail.model.run import Run
from tasktrail.model.task import FINAL, REMOVED, Task, Value
from tasktrail.store.transaction import Transaction


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
        also: Keys that it needs besides.
        no_longer: Keys that it needs no more.
    """

    title: str | None = None
    priority: int | None = None
    needs: tuple[str, ...] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    no_longer: tuple[str, ...] = ()


def check_list(tasks: Sequence[PlanTask], faults: Sequence[str] = ()) -> list[TaskDraft]:
    """Return the tasks of a list as they would be added.

    Args:
        faults: What is known to be wrong with it already.

    Raises:
        BadInput: The list cannot be a plan; the details name all that is wrong.
    """
    drafts, found = [], list(faults)
    try:
        drafts = [draft_of(task) for task in tasks]
        check_tasks(drafts)
    except BadInput as error:
        found += error.details or [error.message]
    if found:
        raise BadInput("the task list cannot be written", details=found)
    return drafts


def check_title(title: str) -> None:
    """Refuse a task that does not say what is to be done."""
    if not title.strip():
        raise BadInput("expected the title to say what is to be done, got nothing")


def write_list(ledger: Ledger, name: str, tasks: Sequence[PlanTask], standing: Collection[str] = ()) -> ListWritten:
    """Create a plan, or bring the one that exists to a new list; all or nothing.

    What tasks of the same key have reached is kept. Those no longer in the list are skipped, and shown no more.

    Args:
        standing: Keys of which the list also says where they stand; those are brought there.

    Raises:
        BadInput: The list cannot be a plan; the details name all that is wrong.
    """
    return _written(ledger, name, tasks, standing, _Writing)


def replace_list(ledger: Ledger, name: str, tasks: Sequence[PlanTask]) -> ListWritten:
    """Let a plan be a list and nothing else: its tasks stand where that says, whatever they had reached.

    What happened stays in their history, with their notes and the number of their attempts.

    Raises:
        BadInput: As for `write_list`.
    """
    return _written(ledger, name, tasks, {task.key for task in tasks}, _Replacing)


def _written(
    ledger: Ledger, name: str, tasks: Sequence[PlanTask], standing: Collection[str], way: type[_Writing]
) -> ListWritten:
    drafts = check_list(tasks)

    def work(tx: Transaction) -> ListWritten:
        run = hold_plan(tx, name)
        writing = way(tx, ledger, tasks, drafts, standing)
        before = open_batch(tx, run) if run is not None else 0
        written = writing.create(name) if run is None else writing.update(run)
        close_batch(tx, ledger, written.run.id, before, "a task list was written")
        tx.settle()
        return written

    return ledger.commit(work)


def take_over(ledger: Ledger, name: str, tasks: Sequence[PlanTask]) -> ListWritten:
    """Write a list that a file says: what is not pending there stands so here; what is keeps what it has reached.

    In a new plan tasks also have the history, the attempts and the times that the file says.

    Raises:
        BadInput: As for `write_list`.
    """
    return write_list(ledger, name, tasks, {task.key for task in tasks if task.status != "pending"})


def draft_of(task: PlanTask) -> TaskDraft:
    """Return a task of a list as it is created."""
    metadata = json_text(dict(task.extra), f"what is said of task {task.key!r}") if task.extra else None
    needs = tuple(Need(key) for key in task.needs)
    return TaskDraft(
        task.key, title=task.title, needs=needs, priority=task.priority, metadata=metadata, created_at=task.created_at
    )


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
        first = min((task.created_at for task in self._wanted.values() if task.created_at is not None), default=None)
        draft = RunDraft("plan", name, name, tuple(self._drafts))
        run = self._ledger.create_in(self._tx, draft, self._now, created_at=first)
        replay(self._tx, self._ledger, run, self._wanted.values())
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
        back = frozenset(task.key for task in stay if task.reason == REMOVED)
        for task in tasks:
            self._exchange(run, task, old[task.key].needs, back)
        changed = [task.key for task in stay if self._redefine(task, old[task.key])]
        returned = [task.key for task in stay if self._bring_back(task)]
        gone = [task for task in tasks if task.key not in self._wanted]
        removed = [task.key for task in gone if self._remove(task, old[task.key].needs)]
        stood = {key for key in self._stand(run, old) if key in old}
        self._place(run)
        changed = [key for key in self._wanted if key in stood.union(changed).difference(returned)]
        return ListWritten(run, [*(draft.key for draft in added), *returned], changed, removed)

    # what they are, and where in the list

    def _exchange(self, run: Run, task: Task, was: Sequence[str], back: frozenset[str]) -> None:
        now = self._wanted[task.key].needs if task.key in self._wanted else ()
        if list(was) != list(dict.fromkeys(now)) or not back.isdisjoint(now):
            set_needs(self._tx, run, _current(self._tx, task), [Need(key) for key in now])

    def _redefine(self, task: Task, old: PlanTask) -> bool:
        """Keys of people's own stay where the list does not name them: who writes it may not be able to."""
        said = self._wanted[task.key]
        merged = replace(said, extra={**old.extra, **said.extra})
        return _define(self._tx, self._ledger, task, old, merged, self._now)

    def _place(self, run: Run) -> None:
        if place_tasks(self._tx, run, self._wanted):
            self._tx.set_run(run.id, updated_at=self._now)

    # where they stand

    def _bring_back(self, task: Task) -> bool:
        if task.reason != REMOVED:
            return False
        move_in(self._tx, self._ledger, _current(self._tx, task), Ask("reopen"))
        return True

    def _remove(self, task: Task, needs: Sequence[str]) -> bool:
        if task.reason == REMOVED:
            return False
        also = {"needs": [list(needs), []]} if needs else None
        ask = Ask("adopt", target="skipped", values={"reason": REMOVED, "completed_at": self._now})
        move_in(self._tx, self._ledger, _current(self._tx, task), ask, note=FROM_LIST, also=also)
        return True

    def _stand(self, run: Run, old: Mapping[str, PlanTask]) -> list[str]:
        """Bring tasks to where the list says they stand, and add its notes; return the keys of those that moved."""
        moved = []
        for key, said in self._wanted.items():
            stands = key in self._standing or (key not in old and _has_stood(said))
            if not (stands or said.notes):
                continue
            task = task_in(self._tx, run, key)
            if stands and self._adopt(task, said):
                moved.append(key)
            self._add_notes(task, said, old[key].notes if key in old else ())
        return moved

    def _facts(self, task: Task, said: PlanTask) -> dict[str, Value]:
        """What is not said stays as it is."""
        return {
            "started_at": said.started_at or task.started_at,
            "summary": said.result or (task.summary if said.status in FINAL else None),
            "error": said.error or task.error,
            "reason": said.reason or task.reason,
            "completed_at": said.completed_at or task.completed_at or self._now,
        }

    def _adopt(self, task: Task, said: PlanTask) -> bool:
        values = self._facts(task, said)
        if said.status not in FINAL:
            del values["completed_at"]
        if said.attempts > task.attempts:
            values["attempts"] = said.attempts
        ask = self._ledger.clean(Ask("adopt", target=said.status, values=values))
        if said.status == task.status and all(getattr(task, name) == value for name, value in ask.values.items()):
            return False
        if said.status == task.status == "in_progress":
            return False  # whoever works on it goes on
        move_in(self._tx, self._ledger, task, ask, note=FROM_LIST)
        return True

    def _add_notes(self, task: Task, said: PlanTask, known: Sequence[Note]) -> None:
        times = {(note.text, note.at) for note in known}
        texts = {note.text for note in known}
        for note in said.notes:
            text = str(self._ledger.clean_text(note.text))
            if text not in texts or (note.at is not None and (text, note.at) not in times):
                note_in(self._tx, self._ledger, task, text, note.at, note.actor and storable(note.actor))


def _has_stood(task: PlanTask) -> bool:
    """Whether a list says more of where a task stands than that it is new."""
    said = (task.attempts, task.result, task.error, task.reason, task.started_at, task.completed_at)
    return task.status != "pending" or any(said)


class _Replacing(_Writing):
    """What a list does that says all there is to say."""

    def _redefine(self, task: Task, old: PlanTask) -> bool:
        return _define(self._tx, self._ledger, task, old, self._wanted[task.key], self._now)

    def _facts(self, task: Task, said: PlanTask) -> dict[str, Value]:
        return {
            **super()._facts(task, said),
            "started_at": said.started_at,
            "summary": said.result,
            "error": said.error,
            "reason": said.reason,
        }


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
        return edit_in(tx, ledger, run, task, edit)

    return ledger.commit(work)


def edit_in(tx: Transaction, ledger: Ledger, run: Run, task: Task, edit: PlanTaskEdit) -> PlanTask:
    """Change what a task is inside a transaction that does more."""
    if edit.title is not None:
        check_title(edit.title)
    old = said_of(tx, run, [task])[0]
    new = _edited(old, edit)
    if new.needs != old.needs:
        _check_needs(tx, run, task.key, new.needs)
        set_needs(tx, run, task, [Need(one) for one in new.needs])
    _define(tx, ledger, task, old, new, ledger.clock.now())
    return said_of(tx, run, [_current(tx, task)])[0]


def _edited(task: PlanTask, edit: PlanTaskEdit) -> PlanTask:
    needs = task.needs if edit.needs is None else edit.needs
    if strangers := [key for key in edit.no_longer if key not in needs]:
        raise BadInput(f"task {task.key} does not need {', '.join(strangers)}")
    return replace(
        task,
        title=task.title if edit.title is None else edit.title,
        priority=task.priority if edit.priority is None else edit.priority,
        needs=tuple(dict.fromkeys(key for key in (*needs, *edit.also) if key not in edit.no_longer)),
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
