"""Bringing a run to what its document says: what somebody changed there is a fact, recorded with its source."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from tasktrail.engine.drafts import RunEdit, TaskEdit, save_in
from tasktrail.engine.grids import cells_by_type, drafts_of, regrid
from tasktrail.engine.items import add_items, change_items, drop_items, restore_cells, settle_removals
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.needs import write_needs
from tasktrail.engine.pictures import Pictures
from tasktrail.engine.plans import note_in, noted, place_tasks, said_of
from tasktrail.engine.values import NOTHING, encode_text
from tasktrail.formats import codec
from tasktrail.formats.picture import Differences, Picture, TaskChange, TaskPicture
from tasktrail.model.draft import TaskDraft
from tasktrail.model.graph import Need, check_graph
from tasktrail.model.lifecycle import Change
from tasktrail.model.matrix import Grid
from tasktrail.model.plain import storable
from tasktrail.model.plan import PlanTask
from tasktrail.model.run import OVER
from tasktrail.model.task import ITEM_REMOVED, REMOVED, Status, Task, Value
from tasktrail.model.undoing import UNSAID
from tasktrail.store.documents import Document
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Row, Transaction

_DEFINITION: Final = ("priority", "critical", "max_retries")
_DEFAULTS: Final[Mapping[str, Value]] = {"tries": 0, "max_retries": 3, "priority": 3, "critical": 1}
"""What a task has when its document no longer says it, where that cannot be nothing."""
_FRESH: Final[Mapping[str, Value]] = {"tries": 0, "last_outcome": None, "output": None}
"""What a task that comes back into its document has, unless that says otherwise."""
_STANDING: Final = ("not_before", "error_type", "error", "reason", "completed_at", "summary")
"""What `adopt` forgets of how a task stood, unless it is told."""
_TAKEN_OUT: Final = "notes were taken out of the document"
_RUN_TIMES: Final = ("started_at", "finished_at")

_Notes = Counter[tuple[str, int | None]]
"""How often there is a note of this text and time."""


class Adopting:
    """Brings the runs of a ledger's store to what their documents say."""

    def __init__(self, ledger: Ledger, pictures: Pictures) -> None:
        self._ledger = ledger
        self._pictures = pictures

    def apply(self, tx: Transaction, run_id: int, document: Document, found: Differences, picture: Picture) -> None:
        """Adopt what somebody changed in a document.

        Args:
            picture: All that the document says now.
        """
        assert document.look is not None, "a document that was just read"
        changed_at = datetime.fromtimestamp(document.look.signature.mtime_ns // 1_000_000_000, UTC)
        self.take(tx, run_id, found, picture, f"document changed at {changed_at:%Y-%m-%d %H:%M:%S} UTC")
        if found.run.keys() & {"status", "error"}:
            self._declare(tx, run_id, document, picture)
        _keep_times(tx, run_id, {name: found.run[name] for name in _RUN_TIMES if name in found.run})

    def take(self, tx: Transaction, run_id: int, found: Differences, picture: Picture, source: str) -> None:
        """Adopt what something says of a run's tasks and items, and of its name and metadata.

        Args:
            picture: All that it says.
            source: What says so, for the history.
        """
        tasks = self._tasks(tx, run_id, {change.name for change in found.changed})
        edits = [_changed(tasks[change.name], change) for change in found.changed if change.name in tasks]
        edits += [_removed(tasks[task.name]) for task in found.removed if task.name in tasks]
        edits += [_returned(tasks[task.name], task) for task in found.added if task.name in tasks]
        added = [task for task in found.added if task.name not in tasks]
        kinds = cells_by_type(tx, tx.run(run_id)) if added else {}
        edit = RunEdit(
            run_id,
            edits,
            [(_draft(task, kinds.get(task.key)), None) for task in added],
            metadata=str(found.run["metadata"] or "{}") if "metadata" in found.run else None,
            workflow=_text(found.run.get("workflow")),
            source=source,
        )
        save_in(tx, self._ledger, edit, self._ledger.clock.now())
        self._stand(tx, run_id, added)
        for change in found.changed:
            self._unsay(tx, run_id, change.new, _gone(change.old, change.new))
        for returned in (task for task in found.added if task.listed and task.name in tasks):
            stored = said_of(tx, tx.run(run_id), [tasks[returned.name]])[0]
            self._unsay(tx, run_id, returned, _unlisted(stored, returned))
        # What is gone goes first: the same words may stand there anew.
        self._list(tx, run_id, picture, [*found.added, *(change.new for change in found.changed)])
        self._move_items(tx, run_id, found)

    def _tasks(self, tx: Transaction, run_id: int, changing: Collection[str]) -> dict[str, Task]:
        """The run's tasks by name; those that change and are hidden with their item stand where they are shown to."""
        tasks = {task.name: task for task in tx.tasks("steps_of_run", run_id=run_id)}
        hidden = [tasks[name] for name in changing if name in tasks and tasks[name].reason == ITEM_REMOVED]
        if not hidden:
            return tasks
        restore_cells(tx, self._ledger, tx.run(run_id), hidden, "the task of a removed item is changed")
        return {task.name: task for task in tx.tasks("steps_of_run", run_id=run_id)}

    def stand(self, tx: Transaction, run_id: int, document: Document, said: Picture) -> None:
        """Let a new run stand where its document says."""
        self.take_new(tx, run_id, said)
        if said.status or said.error:
            self._declare(tx, run_id, document, said)
        _keep_times(tx, run_id, {name: getattr(said, name) for name in (*_RUN_TIMES, "updated_at")})

    def take_new(self, tx: Transaction, run_id: int, said: Picture) -> None:
        """Let the tasks of a new run stand where something says, and its items be the ones that this names."""
        self._stand(tx, run_id, said.tasks)
        self._list(tx, run_id, said, said.tasks)
        self._move_items(tx, run_id, Differences(items_added=said.items, added=said.tasks))

    def _stand(self, tx: Transaction, run_id: int, added: Sequence[TaskPicture]) -> None:
        """Tasks that came with the file stand where it says."""
        edits = []
        for picture in added:
            if picture.status == "pending" and not picture.values:
                continue  # as it was born
            edit = _edit(_task_of(tx, run_id, picture), picture.status, picture.values)
            if edit.status is not None:
                edits.append(edit)
        if edits:
            save_in(tx, self._ledger, RunEdit(run_id, edits, source="document"), self._ledger.clock.now())

    def _move_items(self, tx: Transaction, run_id: int, found: Differences) -> None:
        """Let the items of a matrix be those of its document, and its cells need what its grid says."""
        run = tx.run(run_id)
        if run.kind != "matrix":
            return
        add_items(tx, self._ledger, run, found.items_added)
        change_items(tx, self._ledger, run, found.items_changed)
        drop_items(tx, self._ledger, run, found.items_dropped)
        names = {item.name for item in (*found.items_added, *(new for _, new in found.items_changed))}
        names.update(change.new.item for change in found.changed)
        settle_removals(tx, self._ledger, run, names)
        if found.moves_cells and not _leaves_needs(found):
            regrid(tx, run_id)

    def _list(self, tx: Transaction, run_id: int, picture: Picture, changed: Sequence[TaskPicture]) -> None:
        """Take over the needs, notes and order of a document that lists them; nothing of another."""
        said = {task.key: task.listed for task in picture.tasks if task.listed}
        if not said:
            return
        tx.settle()
        write_needs(tx, tx.run(run_id), {key: listed.needs for key, listed in said.items()})
        noted = [task for task in changed if task.listed and task.listed.notes]
        tasks = [_task_of(tx, run_id, task) for task in noted]
        known = {task.key: task.notes for task in said_of(tx, tx.run(run_id), tasks)}
        for task, of in zip(tasks, noted, strict=True):
            for note in self._pictures.new_notes(known[task.key], of.listed.notes if of.listed else ()):
                note_in(tx, self._ledger, task, note.text, note.at, note.actor and storable(note.actor))
        place_tasks(tx, tx.run(run_id), said)

    def _unsay(self, tx: Transaction, run_id: int, picture: TaskPicture, gone: _Notes) -> None:
        """Show notes no more that somebody took out of a document; the history keeps them."""
        if not gone:
            return
        task = _task_of(tx, run_id, picture)
        rows = noted(tx.rows("events_of_tasks", run_id=run_id, ids=json.dumps([task.id])))
        numbers = [row[7] for row in rows if _takes(gone, row)]
        if numbers:
            mark = Mark(self._ledger.actor, note=_TAKEN_OUT, also={UNSAID: [None, numbers]})
            tx.apply([(Change(task, task.status, self._ledger.clock.now(), {}), mark)])

    def _declare(self, tx: Transaction, run_id: int, document: Document, said: Picture) -> None:
        """What a file says of its run as a whole holds until a task moves, where the tasks do not explain it."""
        tx.settle()
        run = tx.run(run_id)
        status = said.status or run.status
        shown = codec(document.codec).write(None, self._pictures.of(tx, run), document.path).picture
        if status != run.status or said.error != (shown.error if said.error else run.declared_error):
            self._ledger.declare_in(tx, run_id, status, said.error, self._ledger.clock.now())


def _leaves_needs(found: Differences) -> bool:
    """Whether the cells of a matrix need what they needed: another content hash is all that is new of its items."""
    comes_and_goes = found.added or found.removed or found.items_added or found.items_dropped
    return not comes_and_goes and all(
        (was.removed, was.attributes) == (new.removed, new.attributes) for was, new in found.items_changed
    )


def _gone(old: TaskPicture, new: TaskPicture) -> _Notes:
    """The notes that a document no longer has of a task."""
    if old.listed is None or new.listed is None:
        return Counter()
    gone = Counter((note.text, note.at) for note in old.listed.notes)
    gone.subtract((note.text, note.at) for note in new.listed.notes)
    return +gone


def _unlisted(stored: PlanTask, new: TaskPicture) -> _Notes:
    """The notes that a task still has from before it was taken out, and that its document does not have."""
    left = list(stored.notes)
    for note in new.listed.notes if new.listed else stored.notes:
        same = next((one for one in left if one.text == note.text and note.at in (None, one.at)), None)
        if same is not None:
            left.remove(same)
    return Counter((note.text, note.at) for note in left)


def _takes(gone: _Notes, row: Row) -> bool:
    """Whether an event is one of the notes that are gone; each of those is one event."""
    text, at = str(row[6]), int(str(row[1]))
    found = next((note for note in ((text, at), (text, None)) if gone[note] > 0), None)
    if found is not None:
        gone[found] -= 1
    return found is not None


def drafts(picture: Picture, grid: Grid | None = None) -> tuple[TaskDraft, ...]:
    """Return the tasks of a document as they are created. Needs that cannot be a graph come once all are there.

    Args:
        grid: What a matrix is made of.
    """
    kinds = drafts_of(grid) if grid is not None else {}
    needs = {task.key: [Need(key) for key in task.listed.needs] for task in picture.tasks if task.listed}
    sound = not check_graph([task.key for task in picture.tasks], needs)
    return tuple(
        replace(_draft(task, kinds.get(task.key)), needs=tuple(needs[task.key]) if sound and task.key in needs else ())
        for task in picture.tasks
    )


def _task_of(tx: Transaction, run_id: int, picture: TaskPicture) -> Task:
    task = tx.task("task_by_key", key=picture.key, run_id=run_id, item=picture.item, map_index=-1)
    assert task is not None, "it was there or added just now"
    return task


def _keep_times(tx: Transaction, run_id: int, said: Mapping[str, Value]) -> None:
    """Times that a file says are facts; what we noticed later did not happen later."""
    tx.settle()
    run = tx.run(run_id)
    times = {name: at for name, at in said.items() if isinstance(at, int)}
    if run.status not in OVER:
        times.pop("finished_at", None)
    elif "finished_at" in times and run.started_at is not None:
        times.setdefault("started_at", min(run.started_at, times["finished_at"]))
    if times:
        tx.set_run(run_id, **times)


def _edit(task: Task, status: Status, said: Mapping[str, Value], metadata: str | None = None) -> TaskEdit:
    """Return what brings a task to where its document says it stands; nothing where it stands there already."""
    values = {name: _DEFAULTS.get(name) if value is None else value for name, value in said.items()}
    if (attempts := values.get("attempts")) is None or (isinstance(attempts, int) and attempts <= task.attempts):
        values.pop("attempts", None)  # every start counts, for ever
    payload = NOTHING
    if "output" in values:
        payload = encode_text(_text(values["output"]))
        values["output"] = payload.column
    values = {name: value for name, value in values.items() if value != getattr(task, name)}
    definition: dict[str, Value] = {name: values.pop(name) for name in _DEFINITION if name in values}
    moved = status != task.status or bool(values)
    return TaskEdit(task.id, task.version, status if moved else None, values, definition, metadata, payload)


def _changed(task: Task, change: TaskChange) -> TaskEdit:
    """A column that the document did not change stays, also where a task that moves would lose it."""
    metadata = (change.new.metadata or "{}") if change.metadata_changed else None
    edit = _edit(task, change.new.status if change.moved else task.status, change.values, metadata)
    edit = _relisted(edit, change.old, change.new)
    if edit.status is None:
        return edit
    kept: Mapping[str, Value] = {name: getattr(task, name) for name in _STANDING}
    if change.moved:
        kept = {name: value for name, value in change.new.values.items() if name in _STANDING}
    return replace(edit, values={**kept, **edit.values})


def _relisted(edit: TaskEdit, old: TaskPicture, new: TaskPicture) -> TaskEdit:
    """The edit with another title, and with what the history tells of title and needs."""
    if old.listed is None or new.listed is None:
        return edit
    was, now = (old.listed.title, [*old.listed.needs]), (new.listed.title, [*new.listed.needs])
    also: dict[str, Sequence[object]] = {
        name: [a, b] for name, a, b in zip(("title", "needs"), was, now, strict=True) if a != b
    }
    return replace(edit, title=new.listed.title if "title" in also else None, also=also)


def _returned(task: Task, picture: TaskPicture) -> TaskEdit:
    title = picture.listed.title if picture.listed else None
    return replace(_edit(task, picture.status, {**_FRESH, **picture.values}, picture.metadata or "{}"), title=title)


def _removed(task: Task) -> TaskEdit:
    return TaskEdit(task.id, task.version, "skipped", {"reason": REMOVED})


def _draft(picture: TaskPicture, of_type: TaskDraft | None) -> TaskDraft:
    """Return a task as it is created: what its document does not say, its type does."""
    draft = of_type or TaskDraft("")
    max_retries, priority, critical = (picture.values.get(name) for name in ("max_retries", "priority", "critical"))
    return replace(
        draft,
        key=picture.key,
        item=picture.item,
        title=picture.listed.title if picture.listed else None,
        needs=(),
        priority=priority if isinstance(priority, int) else draft.priority,
        critical=draft.critical if critical is None else critical != 0,
        max_retries=max_retries if isinstance(max_retries, int) else draft.max_retries,
        metadata=picture.metadata,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
