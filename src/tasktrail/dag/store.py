"""Where runs are found: in the project's store, or as readable files in a folder. Source: document 003, TASK-161FB."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from tasktrail.dag.records import Record, RunNotFound, find_run, run_statuses, step_metadata, stored, when
from tasktrail.dag.states import DAGRun, DAGRunStatus, DAGStepState, DAGStepStatus
from tasktrail.dag.words import RUN_STATUSES, STEP_STATUSES
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.project import FolderProject
from tasktrail.engine.values import encode
from tasktrail.formats import json_edit
from tasktrail.formats.picture import Picture, TaskPicture
from tasktrail.formats.run_json import RUN_JSON
from tasktrail.logs import logger
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput, Conflict, StoreError
from tasktrail.model.reference import check_run_id
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import FINAL, Value
from tasktrail.store.documents import Document, DocumentFile
from tasktrail.store.transaction import Transaction

_INDEX: Final = "dag_runs_index.json"
_NO_INDEX: Final = "{}\n"
_ALL: Final = 2**62
_DAY_US: Final = 86_400_000_000

T = TypeVar("T")


class Found(NamedTuple):
    """A run, what its place calls it, and the ledger that answers for it."""

    name: str
    run: Run
    ledger: Ledger


class Runs(Protocol):
    """What a door needs of a place where runs are."""

    def find(self, run_id: str) -> Run | None:
        """Return the run of a public id, up to date with its file; None when there is none."""

    def look(self, run_id: str) -> Found | None:
        """Return it for reading alone."""

    def newest_first(self) -> list[Found]:
        """Return all runs, the last changed one first, for reading alone."""


class ProjectRuns:
    """All DAG runs of a project's store."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def find(self, run_id: str) -> Run | None:
        """Return the run of a public id; None when there is none."""
        run = find_run(self._ledger, run_id)
        return self._ledger.attachments.sync(run) if run else None

    def look(self, run_id: str) -> Found | None:
        """Return it for reading alone."""
        run = self.find(run_id)
        return Found(run_id, run, self._ledger) if run else None

    def newest_first(self) -> list[Found]:
        """Return all runs, the last changed one first."""
        runs = self._ledger.store.read(
            lambda tx: tx.runs("runs_page", kind="dag", workflow=None, status=None, before=None, limit=_ALL)
        )
        return _newest_first(Found(run.name, run, self._ledger) for run in runs)


class DAGRunStore:
    """Runs as human-readable files `run_<id>.json`, attached to the project's store, with an index beside them.

    A file may be edited by hand; what it says is adopted at the next look. The index is made from the files. As long
    as there is no store, or where it cannot be written, reading answers from the files alone and stores nothing.

    Args:
        storage_path: The folder; it is made with the first run.
    """

    def __init__(self, storage_path: str | Path = "data/dag_runs") -> None:
        self.storage_path = Path(storage_path).absolute()
        self._project = FolderProject(self.storage_path)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of the project around the folder; its store is made when it is first asked for."""
        return self._project.ledger

    # one run

    def create(self, run: DAGRun) -> str:
        """Store a new run with its steps as they stand, and return its id.

        Raises:
            Conflict: There is a run of this id.
            BadInput: The id is none, or a result is not JSON; nothing is stored.
        """
        picture = _picture(run, self.ledger.clock.now())
        tasks = tuple(_draft(run.steps[task.key], task) for task in picture.tasks)
        row = self._create(RunDraft("dag", run.run_id, run.dag_id, tasks, metadata=picture.metadata), picture)
        Record(self.ledger, row, run.run_id, run).refresh(row)
        return run.run_id

    def create_row(self, draft: RunDraft) -> Run:
        """Create a run and its file."""
        return self._create(draft, None)

    def _create(self, draft: RunDraft, stands: Picture | None) -> Run:
        path = self._path(check_run_id(draft.name))
        try:
            self.storage_path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make {self.storage_path}: {error.strerror}", hint="choose another path") from None
        run = self.ledger.attachments.create(draft, path, RUN_JSON.name, stands)
        self._put_in_index(draft.name, run)
        return run

    def update(self, run: DAGRun) -> bool:
        """Store what was assigned to a run since it was loaded, and steps that were added.

        Raises:
            ValueError: There is no such run ("not found").
            Conflict: Somebody else changed the same step meanwhile; nothing is stored.
        """
        stored = self.find(run.run_id)
        if stored is None:
            raise RunNotFound(f"DAGRun {run.run_id} not found", hint="create it first")
        if not isinstance(run.record, Record) or not self._stands_for(run.record, stored):
            raise Conflict(f"this object is not the stored DAGRun {run.run_id}", hint="change what get() returns")
        run.record.save_expected()
        self.note_status(run.run_id)
        return True

    def _stands_for(self, record: Record, run: Run) -> bool:
        """Whether a draft is this run; one that was read before there was a store saves itself by the file alone."""
        if record.ledger.store is self.ledger.store:
            return record.row_id == run.id
        path = os.path.realpath(self._path(record.draft.run_id))
        return record.ledger.store.path is None and _path_of(record) == path

    def get(self, run_id: str) -> DAGRun | None:
        """Return a run with its steps; None when there is none."""
        found = self.look(run_id)
        return Record(found.ledger, found.run, run_id).draft if found else None

    def delete(self, run_id: str) -> bool:
        """Remove a run with its file and its history; False when there is none."""
        run = self.find(run_id)
        if run is None:
            return False
        self.ledger.attachments.drop(run)
        self._put_in_index(run_id, None)
        return True

    def find(self, run_id: str) -> Run | None:
        """Return the row of a run, up to date with its file; None when there is no file."""
        if not _is_run_id(run_id):
            return None
        path = self._path(run_id)
        if not self._project.has_store() and not path.exists():  # asking for nothing makes no store
            return None
        return self.ledger.attachments.open(path, RUN_JSON.name, "dag")

    def look(self, run_id: str) -> Found | None:
        """Return it for reading alone."""
        if not _is_run_id(run_id):
            return None
        project = self._project
        return project.reading(lambda: self._stored(run_id), lambda: self._parsed(run_id, project.unsaved()))

    # many

    def newest_first(self) -> list[Found]:
        """Return all runs that have a file, the last changed one first, for reading alone."""
        return self._project.reading(self._all_stored, self._all_parsed)

    def list_runs(
        self, dag_id: str | None = None, status: DAGRunStatus | str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return run_id, dag_id, status, created_at, updated_at of the runs, the last changed one first.

        Args:
            dag_id: Only runs of this DAG.
            status: Only runs of this status.
            limit: At most so many.
        """
        wanted = DAGRunStatus(status).value if status is not None else None
        entries = self.index()
        chosen = [one for one in entries if dag_id in (None, one["dag_id"]) and wanted in (None, one["status"])]
        return chosen[: max(0, limit)]

    def get_active_runs(self) -> list[dict[str, Any]]:
        """Return the runs that are not over, as `list_runs` does."""
        return [one for one in self.index() if one["status"] in ("created", "running", "retry")]

    def cleanup_old_runs(self, days: int = 30) -> int:
        """Delete runs that are over and were not changed for so many days; return how many."""
        found = self.newest_first()
        old = [one.name for one in found if one.run.status in OVER and one.run.updated_at < _before(one.ledger, days)]
        return sum(self.delete(name) for name in old)

    def get_statistics(self, dag_id: str | None = None) -> dict[str, Any]:
        """Return total_runs, by_status (lower-case words) and success_rate in percent."""
        entries = self.list_runs(dag_id, limit=2**31)
        by_status = Counter(one["status"] for one in entries)
        rate = round(100 * by_status["success"] / len(entries), 2) if entries else 0.0
        return {"total_runs": len(entries), "by_status": dict(by_status), "success_rate": rate}

    def note_status(self, run_id: str) -> None:
        """Bring a run's entry in the index to where the run stands now."""
        self._put_in_index(run_id, self.find(run_id))

    # reading: from the store, or from the files alone

    def _stored(self, name: str) -> Found | None:
        run = self.find(name)
        return Found(name, run, self.ledger) if run else None

    def _parsed(self, name: str, unsaved: Ledger) -> Found | None:
        run = unsaved.attachments.parse(self._path(name), RUN_JSON.name, "dag")
        return Found(name, run, unsaved) if run else None

    def _all_stored(self) -> list[Found]:
        """Only files that look changed are opened; of one that is broken, the store goes on saying what it knew."""
        known = self.ledger.store.read(self._known)
        found = []
        for name in self._names():
            document, run = known.get(os.path.realpath(self._path(name)), (None, None))
            was = Found(name, run, self.ledger) if run else None
            fresh = document is not None and run is not None and _is_unchanged(document)
            found.append(was if fresh else _tolerating(partial(self._stored, name), was))
        return _newest_first(one for one in found if one)

    def _all_parsed(self) -> list[Found]:
        unsaved = self._project.unsaved()
        found = [_tolerating(partial(self._parsed, name, unsaved), None) for name in self._names()]
        return _newest_first(one for one in found if one)

    def _known(self, tx: Transaction) -> dict[str, tuple[Document, Run]]:
        below = {document.id: document for document in self.ledger.attachments.documents.below(tx, self.storage_path)}
        runs = tx.runs("runs_with_documents")
        return {below[id_].path: (below[id_], run) for run in runs if (id_ := run.document_id or 0) in below}

    # the index

    def index(self) -> list[dict[str, Any]]:
        """Bring `dag_runs_index.json` to what the files say, and return its entries, the last changed one first."""
        if not self.storage_path.is_dir():
            return []
        return self._project.reading(self._write_index, lambda: _entries(self._all_parsed()))

    def _write_index(self) -> list[dict[str, Any]]:
        file = DocumentFile(self.storage_path / _INDEX)
        with file.lock(self.ledger.store.busy_s):
            entries = _entries(self._all_stored())
            text = json.dumps({one["run_id"]: one for one in entries}, indent=2, ensure_ascii=False) + "\n"
            _put(file, lambda old: text)
        return entries

    def _put_in_index(self, name: str, run: Run | None) -> None:
        """Bring one entry up to date; an index that cannot be read is made anew."""
        value = _entries([Found(name, run, self.ledger)])[0] if run else json_edit.REMOVE
        file = DocumentFile(self.storage_path / _INDEX)
        with file.lock(self.ledger.store.busy_s):
            _put(file, lambda old: json_edit.edit(old, [((name,), value)], _INDEX))

    def _path(self, run_id: str) -> Path:
        return self.storage_path / f"run_{run_id}.json"

    def _names(self) -> list[str]:
        """What the files in the folder are called after; they say so themselves, or are no run files."""
        paths = sorted(self.storage_path.glob("run_*.json")) if self.storage_path.is_dir() else []
        return [name for path in paths if path.is_file() and _is_run_id(name := path.stem.removeprefix("run_"))]


def _put(file: DocumentFile, edit: Callable[[str], str]) -> None:
    """Replace what the index says, under its lock. One that cannot be read says nothing: it is made from the files."""
    try:
        reading = file.read()
        old, look = (reading.text, reading.look) if reading else (_NO_INDEX, None)
        new = edit(old)
    except BadInput:
        file.path.unlink()
        old, look, new = "", None, edit(_NO_INDEX)
    if new != old:
        file.replace(new, look)


def _tolerating(read: Callable[[], Found | None], otherwise: Found | None) -> Found | None:
    """One broken file does not keep the others from being listed; who asks for that run is told."""
    try:
        return read()
    except BadInput as error:
        logger(__name__).warning("%s", error)
        return otherwise


def _newest_first(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=lambda one: one.run.updated_at, reverse=True)


def _before(ledger: Ledger, days: int) -> int:
    return ledger.clock.now() - days * _DAY_US


def _entries(found: Sequence[Found]) -> list[dict[str, Any]]:
    statuses = run_statuses(found[0].ledger, [one.run for one in found]) if found else {}
    return [_entry(one.name, one.run, statuses[one.run.id]) for one in found]


def _entry(name: str, run: Run, status: DAGRunStatus) -> dict[str, Any]:
    created, updated = when(run.created_at), when(run.updated_at)
    return {
        "run_id": name,
        "dag_id": run.workflow,
        "status": status.value,
        "created_at": created.isoformat() if created else None,
        "updated_at": updated.isoformat() if updated else None,
    }


def _is_unchanged(document: Document) -> bool:
    look = document.look
    if look is None or look.was_young or document.detached_at is not None:
        return False
    return document.file.signature() == look.signature


def _is_run_id(text: str) -> bool:
    try:
        check_run_id(text)
    except BadInput:
        return False
    return True


def _path_of(record: Record) -> str | None:
    """The document of the run behind a draft."""

    def path(tx: Transaction) -> str | None:
        document = record.ledger.attachments.documents.by_id(tx, tx.run(record.row_id).document_id or 0)
        return document.path if document else None

    return record.ledger.store.read(path)


def _picture(run: DAGRun, now: int) -> Picture:
    """What a draft says, as a run file of it would."""
    status, error = RUN_STATUSES[DAGRunStatus(run.status)], run.error
    return Picture(
        run.run_id, run.dag_id, status if status != "created" else None, error, _json(run.metadata),
        stored(run.created_at), now, stored(run.start_time), stored(run.end_time),
        tuple(_task_picture(key, step) for key, step in run.steps.items()),
    )  # fmt: skip


def _task_picture(key: str, step: DAGStepState) -> TaskPicture:
    word = DAGStepStatus(step.status)
    status, result = STEP_STATUSES[word], encode(step.result, f"the result of step {key!r}")
    values: dict[str, Value] = {
        "max_retries": step.max_retries,
        "critical": None if step.metadata.get("critical", True) else 0,
        "tries": step.retry_count,
        "last_outcome": "error" if word is DAGStepStatus.RETRY else None,
        "started_at": stored(step.start_time),
        "completed_at": stored(step.end_time) if status in FINAL else None,
        "error": step.error,
        "reason": step.metadata.get("skip_reason") if status == "skipped" else None,
        "output": result.payload or result.column,
    }
    values = {name: value for name, value in values.items() if value is not None}
    return TaskPicture(key, status, values, _json(step_metadata(step)))


def _draft(step: DAGStepState, picture: TaskPicture) -> TaskDraft:
    critical = bool(step.metadata.get("critical", True))
    return TaskDraft(picture.key, critical=critical, max_retries=step.max_retries, metadata=picture.metadata)


def _json(metadata: dict[str, Any]) -> str | None:
    encoded = encode(metadata or None, "the metadata")
    return encoded.payload or encoded.column


def runs_of(store: DAGRunStore | None, ledger: Ledger) -> Runs:
    """Return where a door looks for runs."""
    return store if store is not None else ProjectRuns(ledger)
