"""What the calls of an agent cost the database: counted in statements and in steps of its machine, never timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import apsw
import pytest

from tasktrail.engine.claims import claim_next, end_claim
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import find_run
from tasktrail.engine.plan_lists import write_list
from tasktrail.engine.plans import mark_task, next_task
from tasktrail.model.plan import PlanTask
from tasktrail.store.opening import open_store
from tasktrail.store.sqlite import SqliteStore
from tasktrail.testing import FakeClock, FixedIds


class Watched:
    """A plan in a file, each task of which needs two before it, and the connections that work on it."""

    def __init__(self, store: SqliteStore, n: int) -> None:
        self._store = store
        self.ledger = Ledger(store, actor="ann", clock=FakeClock(), ids=FixedIds())
        tasks = [PlanTask(f"T{i}", f"Do {i}", needs=(f"T{i // 2}", f"T{i // 3}") if i > 5 else ()) for i in range(n)]
        write_list(self.ledger, "p", tasks)

    def connections(self) -> Iterator[apsw.Connection]:
        assert self._store._writer is not None
        yield from (self._store._writer, *(idle for idle, _ in self._store._idle))

    def steps(self, call: Callable[[], object]) -> int:
        """Return how many steps SQLite's machine goes for a call."""
        taken = []
        for one in self.connections():
            one.trace_v2(
                apsw.SQLITE_TRACE_PROFILE, lambda seen: taken.append(seen["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])
            )
        call()
        for one in self.connections():
            one.trace_v2(0, None)
        return sum(taken)

    def n_planned(self, call: Callable[[], object]) -> int:
        """Return what SQLite asks while it plans statements, of a call that was made a few times before."""
        planned = Counter[int]()

        def count(*_: object) -> int:
            planned[0] += 1
            return apsw.SQLITE_OK

        for _ in range(3):
            call()
        for one in self.connections():
            one.authorizer = count  # setting it lets all be planned once more
        call()
        planned.clear()
        call()
        return planned.total()

    def mark_one(self) -> None:
        found = next_task(self.ledger, "p").task
        assert found is not None
        mark_task(self.ledger, "p", found.key, "in_progress")
        mark_task(self.ledger, "p", found.key, "completed", result="done")

    def claim_one(self) -> None:
        found = claim_next(self.ledger, "p", owner="ann", lease_s=60).claim
        assert found is not None
        end_claim(self.ledger, "p", found.task.key, found.token, "completed", result="done")

    def wait(self) -> None:
        """Look for work where others have all that could start."""
        assert next_task(self.ledger, "p").task is None
        assert claim_next(self.ledger, "p", owner="ann", lease_s=60).claim is None


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Callable[[int], Watched]]:
    with closing(Closing()) as opened:
        yield lambda n: Watched(opened.open(tmp_path / f"{n}.db"), n)


class Closing:
    """The stores of a test."""

    def __init__(self) -> None:
        self._stores: list[SqliteStore] = []

    def open(self, file: Path) -> SqliteStore:
        store = open_store(str(file))
        assert isinstance(store, SqliteStore)
        self._stores.append(store)
        return store

    def close(self) -> None:
        for store in self._stores:
            store.close()


def test_a_cycle_is_no_more_work_in_a_plan_of_many_tasks(watched: Callable[[int], Watched]) -> None:
    few, many = watched(50), watched(3_000)
    for plan in (few, many):
        plan.mark_one()
    for name in ("mark_one", "claim_one"):
        assert many.steps(getattr(many, name)) < 1.1 * few.steps(getattr(few, name)), name


@pytest.mark.requirement("JB-036")
def test_whoever_waits_for_others_does_not_read_the_plan(watched: Callable[[int], Watched]) -> None:
    few, many = watched(50), watched(3_000)
    for plan in (few, many):
        for key in range(6):
            mark_task(plan.ledger, "p", f"T{key}", "in_progress")
        plan.wait()
    assert many.steps(many.wait) < 1.1 * few.steps(few.wait)


def test_no_statement_of_a_cycle_is_planned_at_every_execution(watched: Callable[[int], Watched]) -> None:
    plan = watched(50)

    assert [plan.n_planned(call) for call in (plan.mark_one, plan.claim_one)] == [0, 0]


def test_to_find_a_run_by_its_name_is_not_planned_at_every_execution(watched: Callable[[int], Watched]) -> None:
    plan = watched(50)

    assert [plan.n_planned(partial(find_run, plan.ledger, name)) for name in ("p", "plan/p")] == [0, 0]
