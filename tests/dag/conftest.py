"""A store of its own for each test, and runners on a clock that the test sets: no back-off is ever slept through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tasktrail.dag import DAGRunStore, ParallelStatefulDAGRunner, StatefulDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock

R = TypeVar("R", bound=StatefulDAGRunner)
NewRunner = Callable[..., StatefulDAGRunner]
NewParallelRunner = Callable[..., ParallelStatefulDAGRunner]


@pytest.fixture
def clock() -> FakeClock:
    """Stands still; a back-off moves it."""
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    """A store in a file. Whatever a test did to it, its history must fold to its rows.

    Nobody pulls the plug here, so it does not wait for the disk: the tests would take many times as long.
    """
    store = open_store(str(tmp_path / "tasks.db"), synchronous="normal")
    yield Ledger(store, actor="tester", clock=clock)
    assert verify(store) == []
    store.close()


class Watched(FakeClock):
    """Calls a function before each wait, then lets the time pass at once."""

    def __init__(self, before: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._before = before

    async def sleep(self, seconds: float) -> None:
        """Call the function, then let the time pass."""
        await self._before()
        await super().sleep(seconds)


def make(kind: type[R], ledger: Ledger, *ids: str, **options: object) -> R:
    """Make a runner on this store and its clock."""
    with bound(Binding(ledger)):
        return kind(*ids, **options)  # type: ignore[arg-type]  # whatever the test wants to give


def _ids(given: tuple[str, ...], options: dict[str, object]) -> tuple[str, ...]:
    return given if given or options.keys() & {"dag_id", "run_id", "dag_run_id"} else ("etl",)


@pytest.fixture
def new_runner(ledger: Ledger) -> NewRunner:
    """Makes a sequential runner; without an id it is for a new run of `etl`."""
    return lambda *ids, **options: make(StatefulDAGRunner, ledger, *_ids(ids, options), **options)


@pytest.fixture
def new_parallel_runner(ledger: Ledger) -> NewParallelRunner:
    """Makes a parallel runner; without an id it is for a new run of `etl`."""
    return lambda *ids, **options: make(ParallelStatefulDAGRunner, ledger, *_ids(ids, options), **options)


@pytest.fixture
def runner(new_runner: NewRunner) -> StatefulDAGRunner:
    """A sequential runner for a new run of `etl`."""
    return new_runner()


@pytest.fixture
def parallel(new_parallel_runner: NewParallelRunner) -> ParallelStatefulDAGRunner:
    """A parallel runner for a new run of `etl`."""
    return new_parallel_runner()


@pytest.fixture
def store() -> Iterator[DAGRunStore]:
    """Run files in a folder of the test's own. Whatever a test did, the history must fold to the rows."""
    store = DAGRunStore("runs")
    yield store
    if Path(".tasktrail").exists():
        assert verify(store.ledger.store) == []
