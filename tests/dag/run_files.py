"""Run files for tests: made, read, changed by hand and executed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasktrail.dag import DAGRun, DAGRunStore, StatefulDAGRunner
from tasktrail.dag.store import ProjectRuns
from tasktrail.model.task import Task
from tests.dag.executors import Recording

Edit = Callable[[dict[str, Any]], object]


def new_run(run_id: str = "r1", dag_id: str = "etl", steps: tuple[str, ...] = ("fetch", "load", "save")) -> DAGRun:
    run = DAGRun(dag_id, run_id)
    for step in steps:
        run.add_step(step)
    return run


def made(store: DAGRunStore, run_id: str = "r1", dag_id: str = "etl") -> DAGRun:
    run = new_run(run_id, dag_id)
    store.create(run)
    return run


def path_of(store: DAGRunStore, run_id: str = "r1") -> Path:
    return store.storage_path / f"run_{run_id}.json"


def said(store: DAGRunStore, run_id: str = "r1") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path_of(store, run_id).read_bytes())
    return found


def by_hand(store: DAGRunStore, edit: Edit, run_id: str = "r1") -> None:
    data = said(store, run_id)
    edit(data)
    path_of(store, run_id).write_text(json.dumps(data), encoding="utf-8")


def got(store: DAGRunStore, run_id: str = "r1") -> DAGRun:
    run = store.get(run_id)
    assert run is not None
    return run


def tasks(store: DAGRunStore, run_id: str = "r1") -> list[Task]:
    run = store.find(run_id)
    assert run is not None
    return store.ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))


def names(store: DAGRunStore) -> list[str]:
    """The ids of all runs that the project's store has."""
    return sorted(found.name for found in ProjectRuns(store.ledger).newest_first())


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All files below a folder: bytes and time of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def index(store: DAGRunStore) -> dict[str, Any]:
    """What the index file says."""
    found: dict[str, Any] = json.loads((store.storage_path / "dag_runs_index.json").read_bytes())
    return found


async def executed(store: DAGRunStore, recording: Recording, run_id: str = "r1") -> DAGRun:
    """Execute or go on with fetch, load and save."""
    runner = StatefulDAGRunner("etl", store, dag_run_id=run_id)
    for key in ("fetch", "load", "save"):
        runner.register_step(key, recording.step(key))
    return await runner.execute()
