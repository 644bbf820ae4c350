"""What a run's document is to say: pictures of its rows; a write reads only what changed since the last one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tasktrail.engine.items import before_removal, items_of
from tasktrail.engine.ledger import TEXT_COLUMNS, Ledger
from tasktrail.engine.plans import said_of
from tasktrail.engine.values import text_of
from tasktrail.formats.picture import ItemPicture, Listed, Picture, TaskPicture
from tasktrail.model.plan import Move, Note, PlanTask
from tasktrail.model.reference import cell_name
from tasktrail.model.run import Kind, Run, RunStatus
from tasktrail.model.task import REMOVED, Task, Value
from tasktrail.store.documents import Document
from tasktrail.store.places import Look
from tasktrail.store.transaction import Transaction

_LISTING: Final[frozenset[Kind]] = frozenset({"plan"})
"""Kinds of runs whose documents list tasks with titles, needs and notes."""
_EVENTS: Final = 100_000
_KEPT: Final = 8
"""Documents whose last writing is remembered; another one is read whole once more."""
_ONE_BY_ONE: Final = 100
"""Up to so many changed tasks are read one by one; more, with all the others in one query."""


Versions = Sequence[tuple[int, str, int, str]]


@dataclass(frozen=True, slots=True)
class Written:
    """A document as this process last wrote it.

    Args:
        digest: Of its file.
        run_status: Of the run then: another one may show its tasks otherwise.
        said: What the file says, as people typed it.
        kept: Its tasks as `document.written` has them, by key.
        versions: Of the run's tasks, by row id.
        seq: Of the run's last event.
    """

    digest: str
    run_status: RunStatus
    said: Picture
    kept: Mapping[str, str]
    versions: Mapping[int, int]
    seq: int


class Pictures:
    """Pictures of the runs of a ledger's store, and what was last written of them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._written: dict[int, Written] = {}

    # pictures

    def of(self, tx: Transaction, run: Run) -> Picture:
        """Return where a run stands, with all its tasks that documents show."""
        metadata = {row[0]: row[2] for row in tx.rows("details_of_run", run_id=run.id)}
        tasks = [task for task in tx.tasks("steps_of_run", run_id=run.id) if task.reason != REMOVED]
        return Picture.of(run, _task_pictures(tx, run, tasks, metadata), _item_pictures(tx, run))

    def since(self, tx: Transaction, run: Run, last: Written, versions: Versions) -> Picture:
        """Return the same; of tasks that did not change since the last writing, with what that said of them."""
        noted = _touched(tx, run, last.seq) if run.kind in _LISTING else ()
        changed = [one[0] for one in versions if last.versions.get(one[0]) != one[2] or one[1] in noted]
        if run.status != last.run_status or len(changed) > _ONE_BY_ONE:
            return self.of(tx, run)
        found: dict[str, TaskPicture] = {**last.said.by_name()}
        tasks = [task for task in (tx.task("task_by_id", id=id_) for id_ in changed) if task]
        metadata = {task.id: row[2] for task in tasks if (row := tx.row("details_of_task", id=task.id))}
        for task in tasks:
            found.pop(task.name, None)
        shown = _task_pictures(tx, run, [task for task in tasks if task.reason != REMOVED], metadata)
        found.update({task.name: task for task in shown})
        names = (cell_name(item, key) for _, key, _, item in versions)
        return Picture.of(run, [found[name] for name in names if name in found], _item_pictures(tx, run))

    @staticmethod
    def versions(tx: Transaction, run: Run) -> Versions:
        """Return row id, key, version and item of a run's tasks, in order."""
        return tx.rows("versions_of_run", run_id=run.id)  # type: ignore[return-value]  # the query's columns

    # text: what the store keeps of a document is scrubbed, while the file stays as people typed it

    def clean(self, said: Picture) -> Picture:
        """Return what a document says as the store may keep it."""
        return replace(said, error=self._ledger.clean_text(said.error), tasks=tuple(map(self._clean_task, said.tasks)))

    def kept(self, said: Picture, last: Written | None) -> dict[str, str]:
        """Return the tasks as `document.written` has them, by key; what was said before was scrubbed then."""
        before, kept = (last.said.by_name(), last.kept) if last else ({}, {})
        return {
            task.name: kept[task.name] if before.get(task.name) is task else self._clean_task(task).to_json()
            for task in said.tasks
        }

    def _clean_task(self, task: TaskPicture) -> TaskPicture:
        texts = {name: self._ledger.clean_text(str(task.values[name])) for name in TEXT_COLUMNS & task.values.keys()}
        notes = task.listed.notes if task.listed else ()
        if not (texts or notes):
            return task
        listed = replace(task.listed, notes=tuple(map(self._clean_note, notes))) if task.listed else None
        return replace(task, values={**task.values, **texts}, listed=listed)

    def _clean_note(self, note: Note) -> Note:
        text = str(self._ledger.clean_text(note.text))
        return note if text == note.text else replace(note, text=text)

    def as_typed(self, picture: Picture, said: Picture) -> Picture:
        """Return the picture in the words of a document where the store has the same, scrubbed."""
        before = said.by_name()
        pairs = ((task, before.get(task.name)) for task in picture.tasks)
        tasks = (self._task_as_typed(task, was) if was else task for task, was in pairs)
        return replace(picture, error=self._text_as_typed(picture.error, said.error), tasks=tuple(tasks))

    def _task_as_typed(self, task: TaskPicture, said: TaskPicture) -> TaskPicture:
        if task is said:
            return task
        names = TEXT_COLUMNS & task.values.keys() & said.values.keys()
        typed = {name: self._text_as_typed(task.values[name], said.values[name]) for name in names}
        task = replace(task, values={**task.values, **typed}) if typed else task
        if task.listed is None or said.listed is None:
            return task
        notes = self._notes_as_typed(task.listed.notes, said.listed.notes)
        history = _history_as_told(task.listed.history, said.listed.history)
        return replace(task, listed=replace(task.listed, notes=notes, history=history))

    def _notes_as_typed(self, stored: Sequence[Note], said: Sequence[Note]) -> tuple[Note, ...]:
        """The document's own notes where the store has them, too; it may not say when they were written."""
        left = [(self._clean_note(note).text, note) for note in said]
        found = []
        for note in stored:
            fits = (one for one in left if one[0] == note.text and one[1].at in (None, note.at))
            same = next(fits, None)
            if same is not None:
                left.remove(same)
            found.append(same[1] if same else note)
        return tuple(found)

    def new_notes(self, stored: Sequence[Note], said: Sequence[Note]) -> list[Note]:
        """Return the notes that a document says and the store does not have; theirs are scrubbed already."""
        known = Counter((note.text, note.at) for note in self._notes_as_typed(stored, said))
        new = []
        for note in said:
            if known[note.text, note.at]:
                known[note.text, note.at] -= 1
            else:
                new.append(note)
        return new

    def _text_as_typed(self, stored: Value, said: Value) -> str | None:
        same = isinstance(said, str) and said != stored and self._ledger.clean_text(said) == stored
        text = said if same else stored
        return None if text is None else str(text)

    # remembering

    def written(self, document: Document, look: Look | None) -> Written | None:
        """Return how this process last wrote a document; None where row or file are not as that writing left them."""
        found = self._written.get(document.id)
        known = found is not None and look is not None and document.digest == look.digest == found.digest
        return found if known else None

    def remember(self, document_id: int, written: Written) -> None:
        """Keep what was written. A transaction that is rolled back leaves a row with another digest behind."""
        self._written.pop(document_id, None)
        while len(self._written) >= _KEPT:
            self._written.pop(next(iter(self._written)), None)
        self._written[document_id] = written


def _task_pictures(
    tx: Transaction, run: Run, tasks: Sequence[Task], metadata: Mapping[Any, object]
) -> list[TaskPicture]:
    listed = [_listed(said) for said in said_of(tx, run, tasks)] if run.kind in _LISTING else [None] * len(tasks)
    tasks = before_removal(tx, run, tasks) if run.kind == "matrix" else tasks
    return [
        TaskPicture.of(task, text_of(task.output, tx), _text(metadata.get(task.id)), words)
        for task, words in zip(tasks, listed, strict=True)
    ]


def _item_pictures(tx: Transaction, run: Run) -> list[ItemPicture]:
    return [ItemPicture.of(item) for item in items_of(tx, run)] if run.kind == "matrix" else []


def _listed(said: PlanTask) -> Listed:
    return Listed(said.title, said.needs, said.notes, said.history, said.updated_at)


def _touched(tx: Transaction, run: Run, seq: int) -> set[object]:
    """Return the keys of the tasks of which the history says more since an event: a note changes no row."""
    return {row[9] for row in tx.rows("newer_events_of_run", run_id=run.id, after=seq, limit=_EVENTS)}


def _history_as_told(stored: Sequence[Move], said: Sequence[Move]) -> tuple[Move, ...]:
    """The document's own history, and the moves that it does not tell yet."""
    told = {(move.at, move.from_status, move.to_status) for move in said}
    return (*said, *(move for move in stored if (move.at, move.from_status, move.to_status) not in told))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
