"""What a run's document is to say: pictures of its rows; a write reads only what changed since the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tasktrail.engine.ledger import TEXT_COLUMNS, Ledger
from tasktrail.engine.values import text_of
from tasktrail.formats.picture import Picture, TaskPicture
from tasktrail.model.run import Run, RunStatus
from tasktrail.model.task import Task, Value
from tasktrail.store.documents import Document, Look
from tasktrail.store.transaction import Transaction

REMOVED: Final = "removed from its document"
_KEPT: Final = 8
"""Documents whose last writing is remembered; another one is read whole once more."""
_ONE_BY_ONE: Final = 100
"""Up to so many changed tasks are read one by one; more, with all the others in one query."""


Versions = Sequence[tuple[int, str, int]]


@dataclass(frozen=True, slots=True)
class Written:
    """A document as this process last wrote it.

    Args:
        digest: Of its file.
        run_status: Of the run then: another one may show its tasks otherwise.
        said: What the file says, as people typed it.
        kept: Its tasks as `document.written` has them, by key.
        versions: Of the run's tasks, by row id.
    """

    digest: str
    run_status: RunStatus
    said: Picture
    kept: Mapping[str, str]
    versions: Mapping[int, int]


class Pictures:
    """Pictures of the runs of a ledger's store, and what was last written of them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._written: dict[int, Written] = {}

    # pictures

    def of(self, tx: Transaction, run: Run) -> Picture:
        """Return where a run stands, with all its tasks that documents show."""
        metadata = {row[0]: row[2] for row in tx.rows("details_of_run", run_id=run.id)}
        tasks = tx.tasks("steps_of_run", run_id=run.id)
        pictures = (_task_picture(tx, task, metadata.get(task.id)) for task in tasks)
        return Picture.of(run, [shown for shown in pictures if shown])

    def since(self, tx: Transaction, run: Run, last: Written, versions: Versions) -> Picture:
        """Return the same; of tasks that did not change since the last writing, with what that said of them."""
        changed = [id_ for id_, _, version in versions if last.versions.get(id_) != version]
        if run.status != last.run_status or len(changed) > _ONE_BY_ONE:
            return self.of(tx, run)
        found: dict[str, TaskPicture | None] = {**last.said.by_key()}
        for id_ in changed:
            task, details = tx.task("task_by_id", id=id_), tx.row("details_of_task", id=id_)
            assert task is not None, "its version was read just now"
            found[task.key] = _task_picture(tx, task, details[2] if details else None)
        return Picture.of(run, [shown for _, key, _ in versions if (shown := found.get(key))])

    @staticmethod
    def versions(tx: Transaction, run: Run) -> Versions:
        """Return row id, key and version of a run's tasks, in order."""
        return tx.rows("versions_of_run", run_id=run.id)  # type: ignore[return-value]  # the query's columns

    # text: what the store keeps of a document is scrubbed, while the file stays as people typed it

    def clean(self, said: Picture) -> Picture:
        """Return what a document says as the store may keep it."""
        return replace(said, error=self._ledger.clean_text(said.error), tasks=tuple(map(self._clean_task, said.tasks)))

    def kept(self, said: Picture, last: Written | None) -> dict[str, str]:
        """Return the tasks as `document.written` has them, by key; what was said before was scrubbed then."""
        before, kept = (last.said.by_key(), last.kept) if last else ({}, {})
        return {
            task.key: kept[task.key] if before.get(task.key) is task else self._clean_task(task).to_json()
            for task in said.tasks
        }

    def _clean_task(self, task: TaskPicture) -> TaskPicture:
        texts = {name: self._ledger.clean_text(str(task.values[name])) for name in TEXT_COLUMNS & task.values.keys()}
        return replace(task, values={**task.values, **texts}) if texts else task

    def as_typed(self, picture: Picture, said: Picture) -> Picture:
        """Return the picture in the words of a document where the store has the same, scrubbed."""
        before = said.by_key()
        tasks = (self._task_as_typed(task, before[task.key]) if task.key in before else task for task in picture.tasks)
        return replace(picture, error=self._text_as_typed(picture.error, said.error), tasks=tuple(tasks))

    def _task_as_typed(self, task: TaskPicture, said: TaskPicture) -> TaskPicture:
        if task is said:
            return task
        names = TEXT_COLUMNS & task.values.keys() & said.values.keys()
        typed = {name: self._text_as_typed(task.values[name], said.values[name]) for name in names}
        return replace(task, values={**task.values, **typed}) if typed else task

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


def _task_picture(tx: Transaction, task: Task, metadata: object) -> TaskPicture | None:
    """Return a task as documents show it; None for one that was taken out of its document."""
    if task.reason == REMOVED:
        return None
    return TaskPicture.of(task, text_of(task.output, tx), None if metadata is None else str(metadata))
