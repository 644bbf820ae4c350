"""A store with a run in it, and how the contracts look at what became of them."""

from __future__ import annotations

from typing import ClassVar, Final

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.records import Mark
from tasktrail.store.seam import Store
from tasktrail.store.transaction import Transaction
from tasktrail.testing.fakes import FakeClock, FixedIds

MARK: Final = Mark("tester", span_id="00f067aa0ba902b7")


class Stored:
    """The fixtures of the contracts.

    Attributes:
        database: Whose queries the store uses: the name of a file in `store/sql`.
        examples: How many random histories are tried.
        shrinks: Whether a history that fails is made as short as can be, which takes minutes.
    """

    database: ClassVar[str] = "sqlite"
    examples: ClassVar[int] = 60
    shrinks: ClassVar[bool] = False

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store."""
        raise NotImplementedError("a subclass of StoreContract gives the store")

    @pytest.fixture
    def clock(self) -> FakeClock:
        """The clock of `ledger`."""
        return FakeClock()

    @pytest.fixture
    def ledger(self, store: Store, clock: FakeClock) -> Ledger:
        """A ledger on the store."""
        return Ledger(store, actor="tester", clock=clock, ids=FixedIds())

    @pytest.fixture
    def etl(self, ledger: Ledger) -> Run:
        """A run `etl`: transform needs extract, load needs transform, report needs load if it can be had."""
        needs = {
            "extract": (),
            "transform": (Need("extract"),),
            "load": (Need("transform"),),
            "report": (Need("load", True),),
        }
        drafts = tuple(TaskDraft(key, needs=listed) for key, listed in needs.items())
        return ledger.create_run(RunDraft("dag", "etl", "etl", drafts))


def task_of(store: Store, run: Run, key: str) -> Task:
    """Return a task by key."""
    found = store.read(lambda tx: tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=-1))
    assert found is not None
    return found


def counters(store: Store, run: Run) -> dict[str, tuple[int, int]]:
    """Return `unmet` and `dead_needs` of each task."""
    return {
        task.key: (task.unmet, task.dead_needs)
        for task in store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    }


def snapshot(store: Store, run_id: int) -> list[object]:
    """Return all that a run consists of, to compare before and after."""

    def work(tx: Transaction) -> list[object]:
        found: list[object] = [tx.run(run_id)]
        for name in ("tasks_of_run", "needs_of_run", "attempts_of_run", "fold_events"):
            found += tx.rows(name, run_id=run_id)
        return found

    return store.read(work)
