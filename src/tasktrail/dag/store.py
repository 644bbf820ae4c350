"""Where runs are found: in the project's store, or as readable files in a folder. Source: document 003, TASK-161FB."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final, Protocol

from tasktrail.dag.records import Record, RunNotFound, find_run, run_statuses, when
from tasktrail.dag.states import DAGRun, DAGRunStatus
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.project import open_folder_project
from tasktrail.formats import json_edit
from tasktrail.formats.run_json import RUN_JSON
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput, Conflict, TasktrailError
from tasktrail.model.reference import check_run_id
from tasktrail.model.run import OVER, Run
from tasktrail.store.documents import Document, DocumentFile, documents_below
from tasktrail.store.transaction import Transaction

_INDEX: Final = "dag_runs_index.json"
_DAY_US: Final = 86_400_000_000


class Runs(Protocol):
    """What a door needs of a place where runs are."""

    def find(self, run_id: str) -> Run | None:
        """Return the run of a public id, up to date with its file; None when there is none."""

    def newest_first(self) -> list[Run]:
        """Return all runs, the last changed one first."""


class ProjectRuns:
    """All DAG runs of a project's store."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def find(self, run_id: str) -> Run | None:
        """Return the run of a public id; None when there is none."""
        run = find_run(self._ledger, run_id)
        return self._ledger.attachments.sync(run) if run else None

    def newest_first(self) -> list[Run]:
        """Return all runs, the last changed one first."""
        found = self._ledger.store.read(
            lambda tx: tx.runs("runs_page", kind="dag", workflow=None, status=None, before=None, limit=-1)
        )
        return sorted(found, key=lambda run: run.updated_at, reverse=True)


class DAGRunStore:
    """Runs as human-readable files `run_<id>.json`, attached to the project's store, with an index beside them.

    A file may be edited by hand; what it says is adopted at the next look. The index is made from the files.

    Args:
        storage_path: The folder; it is made with the first run.
    """

    def __init__(self, storage_path: str | Path = "data/dag_runs") -> None:
        self.storage_path = Path(storage_path).absolute()
        self.ledger = open_folder_project(self.storage_path)

    # one run

    def create(self, run: DAGRun) -> str:
        """Store a new run with its steps as they stand, and return its id.

        Raises:
            Conflict: There is a run of this id.
            BadInput: The id is none, or a result is not JSON; nothing is stored.
        """
        tasks = tuple(TaskDraft(key, max_retries=step.max_retries) for key, step in run.steps.items())
        self._create(RunDraft("dag", run.run_id, run.dag_id, tasks), run)
        return run.run_id

    def create_row(self, draft: RunDraft) -> Run:
        """Create a run and its file."""
        return self._create(draft, None)

    def _create(self, draft: RunDraft, said: DAGRun | None) -> Run:
        name = check_run_id(draft.name)
        self.storage_path.mkdir(parents=True, exist_ok=True)
        run = self.ledger.create_run(draft, freely=True)
        try:
            if said is not None:
                Record.of_draft(self.ledger, run, said, name)
            run = self.ledger.attachments.attach(run, self._path(name), RUN_JSON.name, name)
        except TasktrailError:
            self.ledger.drop_run(run.id)
            raise
        self._put_in_index(name, run)
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
        if not isinstance(run.record, Record) or run.record.row_id != stored.id:
            raise Conflict(f"this object is not the stored DAGRun {run.run_id}", hint="change what get() returns")
        run.record.save_expected()
        self._put_in_index(run.run_id, self.ledger.store.read(lambda tx: tx.run(stored.id)))
        return True

    def get(self, run_id: str) -> DAGRun | None:
        """Return a run with its steps; None when there is none."""
        run = self.find(run_id)
        return Record(self.ledger, run, run_id).draft if run else None

    def delete(self, run_id: str) -> bool:
        """Remove a run with its file and its history; False when there is none."""
        run = self.find(run_id)
        if run is None:
            return False
        self.ledger.drop_run(run.id)
        for path in (self._path(run_id), Path(f"{self._path(run_id)}.lock")):
            path.unlink(missing_ok=True)
        self._put_in_index(run_id, None)
        return True

    def find(self, run_id: str) -> Run | None:
        """Return the row of a run, up to date with its file; None when there is no file."""
        try:
            check_run_id(run_id)
        except BadInput:
            return None
        return self.ledger.attachments.open(self._path(run_id), RUN_JSON.name, "dag")

    # many

    def newest_first(self) -> list[Run]:
        """Return all runs that have a file, the last changed one first."""
        return [run for _, run in self._all()]

    def _all(self) -> list[tuple[str, Run]]:
        """Runs with their files' words for them. Only files that look changed are opened."""
        known = self.ledger.store.read(self._known)
        found = []
        for path in self._files():
            document, run = known.get(str(path), (None, None))
            if document is None or run is None or not _is_unchanged(document):
                run = self.find(_id_of(path))
            if run is not None:
                found.append((_id_of(path), run))
        return sorted(found, key=lambda one: one[1].updated_at, reverse=True)

    def _known(self, tx: Transaction) -> dict[str, tuple[Document, Run]]:
        below = {document.id: document for document in documents_below(tx, self.storage_path)}
        runs = tx.runs("runs_with_documents")
        return {below[id_].path: (below[id_], run) for run in runs if (id_ := run.document_id or 0) in below}

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
        before = self.ledger.clock.now() - days * _DAY_US
        old = [name for name, run in self._all() if run.status in OVER and run.updated_at < before]
        return sum(self.delete(name) for name in old)

    def get_statistics(self, dag_id: str | None = None) -> dict[str, Any]:
        """Return total_runs, by_status (lower-case words) and success_rate in percent."""
        entries = self.list_runs(dag_id, limit=2**31)
        by_status = Counter(one["status"] for one in entries)
        rate = round(100 * by_status["success"] / len(entries), 2) if entries else 0.0
        return {"total_runs": len(entries), "by_status": dict(by_status), "success_rate": rate}

    # the index

    def index(self) -> list[dict[str, Any]]:
        """Bring `dag_runs_index.json` to what the files say, and return its entries, the last changed one first."""
        if not self.storage_path.is_dir():
            return []
        file = DocumentFile(self.storage_path / _INDEX)
        with file.lock(self.ledger.store.busy_s):
            found = self._all()
            statuses = run_statuses(self.ledger, [run for _, run in found])
            entries = [_entry(name, run, statuses[run.id]) for name, run in found]
            text = json.dumps({one["run_id"]: one for one in entries}, indent=2, ensure_ascii=False) + "\n"
            reading = file.read()
            if text != (reading.text if reading else "{}\n"):
                file.replace(text, reading.look if reading else None)
        return entries

    def _put_in_index(self, name: str, run: Run | None) -> None:
        """Bring one entry up to date; an index that cannot be read is made anew."""
        value = json_edit.REMOVE if run is None else _entry(name, run, run_statuses(self.ledger, [run])[run.id])
        file = DocumentFile(self.storage_path / _INDEX)
        with file.lock(self.ledger.store.busy_s):
            reading = file.read()
            try:
                text = json_edit.edit(reading.text if reading else "{}\n", [((name,), value)], _INDEX)
            except BadInput:
                text = json_edit.edit("{}\n", [((name,), value)], _INDEX)
            file.replace(text, reading.look if reading else None)

    def _path(self, run_id: str) -> Path:
        return self.storage_path / f"run_{run_id}.json"

    def _files(self) -> list[Path]:
        return sorted(self.storage_path.glob("run_*.json")) if self.storage_path.is_dir() else []


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


def _id_of(path: Path) -> str:
    return path.stem.removeprefix("run_")


def runs_of(store: DAGRunStore | None, ledger: Ledger) -> Runs:
    """Return where a door looks for runs."""
    return store if store is not None else ProjectRuns(ledger)
