"""Stores for tests of files: made, filled, read, and changed behind their back."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.store.seam import Store
from tasktrail.store.sqlite import SqliteStore


def spin(condition: Callable[[], bool]) -> None:
    """Return once it holds; other threads get the processor meanwhile."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0)


def fill(store: Store, names: tuple[str, ...] = ("r",)) -> Ledger:
    """Make a run of one task for each name."""
    ledger = Ledger(store, actor="tester")
    for name in names:
        ledger.create_run(RunDraft("dag", name, "w", (TaskDraft("a"),)))
    return ledger


def names_in(store: Store) -> list[str]:
    return sorted(run.name for run in store.read(lambda tx: tx.runs("runs_of_workflow", workflow="w", limit=10_000)))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sql(path: Path, *statements: str) -> None:
    """Change a closed file behind our back."""
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def a_closed_store(path: Path) -> Path:
    store = SqliteStore(path)
    fill(store)
    store.close()
    return path
