"""Every database call of a run fails once: whatever it was, the history folds to the rows and the run can go on."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pytest

from tasktrail.dag import DAGRunStatus, ParallelStatefulDAGRunner, StatefulDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import StoreError, TasktrailError
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store
from tasktrail.store.sqlite import SqliteStore
from tasktrail.store.transaction import Transaction
from tests.crash import faults
from tests.crash.faults import Faults
from tests.crash.processes import LONGEST_S

pytestmark = pytest.mark.crash

Fails = Callable[[int, str], bool]


@dataclass
class Small:
    """A small run of every kind of step, executed as often as one likes; it counts what its steps did."""

    store: Store
    parallel: bool
    begun: list[str] = field(default_factory=list)

    def execute(self) -> DAGRunStatus:
        """Execute the run, or go on with it, as a new program would."""
        with bound(Binding(Ledger(self.store, actor="tester"))):
            runner = (ParallelStatefulDAGRunner if self.parallel else StatefulDAGRunner)(dag_run_id="small")
        for name, function in (("a", self._inline), ("b", self._thread), ("c", self._flaky), ("d", self._join)):
            options: dict[str, Any] = {"max_retries": 50, "retry_delay": 0.0}
            if self.parallel:
                options["dependencies"] = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}[name]
            runner.register_step(name, function, **options)

        async def within() -> DAGRunStatus:
            async with asyncio.timeout(LONGEST_S / 4):
                return (await runner.execute()).status

        return asyncio.run(within())

    async def _inline(self) -> str:
        self.begun.append("a")
        return "x" * 2000

    def _thread(self, a: str, ctx: Any) -> int:
        self.begun.append("b")
        ctx.note("here")
        return len(a)

    async def _flaky(self, ctx: Any) -> None:
        self.begun.append("c")
        if self.begun.count("c") == 1:
            raise ConnectionError("not at the first time")

    async def _join(self, b: int) -> int:
        self.begun.append("d")
        return b


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store: to copy it is quicker than to make one for each fault."""
    path = tmp_path_factory.mktemp("template") / "tasks.db"
    open_store(str(path)).close()
    return path


@pytest.fixture
def watched() -> Iterator[Faults]:
    """Counts the statements of all connections that the test opens."""
    with faults.watching() as watched:
        yield watched


def count_of(template: Path, folder: Path, parallel: bool, watched: Faults) -> list[str]:
    """Return the statements of an execution in which nothing fails."""
    small = Small(open_store(str(shutil.copy(template, folder / "whole.db")), synchronous="normal"), parallel)
    with watched.armed(faults.never):
        assert small.execute() is DAGRunStatus.SUCCESS
    small.store.close()
    return watched.seen


def check_after(small: Small, watched: Faults, fails: Fails) -> str | None:
    """Execute with a fault, look, execute again; return what is wrong, None when nothing is."""
    with watched.armed(fails):
        found = complaints("raised", small.execute, allowed=TasktrailError)
    found += complaints("afterwards", lambda: expect([], verify(small.store)))
    finished, before = completed(small), len(small.begun)
    found += complaints("cannot go on", lambda: expect(DAGRunStatus.SUCCESS, small.execute()))
    if again := finished & set(small.begun[before:]):
        found.append(f"executed again although completed: {sorted(again)}")
    found += complaints("at the end", lambda: expect([], verify(small.store)))
    return "; ".join(found) or None


def complaints(what: str, work: Callable[[], object], allowed: type[BaseException] = ZeroDivisionError) -> list[str]:
    """Return what some work raises, in words; nothing for an allowed error."""
    try:
        work()
    except allowed:
        return []
    except BaseException as error:
        return [f"{what}: {type(error).__name__}: {error}"]
    return []


def expect(wanted: object, got: object) -> None:
    """Refuse anything but what is wanted."""
    if got != wanted:
        raise AssertionError(f"expected {wanted}, got {got}")


def completed(small: Small) -> set[str]:
    """Return the steps that are completed, asked of a connection that no fault has touched."""
    connection = apsw.Connection(str(small.store.path), apsw.SQLITE_OPEN_READONLY)
    found = {str(row[0]) for row in connection.execute("SELECT key FROM task WHERE status = 'completed'")}
    connection.close()
    return found


@pytest.mark.parametrize("parallel", [False, True], ids=["sequential", "parallel"])
@pytest.mark.parametrize("kind", [faults.only, faults.from_then_on, faults.everything_from])
def test_a_fault_at_the_nth_statement_for_every_n(
    template: Path, tmp_path: Path, watched: Faults, kind: Callable[[int], Fails], parallel: bool
) -> None:
    statements = count_of(template, tmp_path, parallel, watched)
    broken: list[str] = []
    for n in range(1, len(statements) + 1):
        path = shutil.copy(template, tmp_path / f"{n}.db")
        small = Small(open_store(str(path), synchronous="normal"), parallel)
        if wrong := check_after(small, watched, kind(n)):
            broken.append(
                f"{n} of {len(statements)} ({watched.seen[n - 1] if n <= len(watched.seen) else '-'}): {wrong}"
            )
        small.store.close()
        Path(path).unlink()

    assert len(statements) > 50
    assert broken == [], "\n".join([f"{len(broken)} of {len(statements)} faults harm", *broken[:5]])


@pytest.mark.parametrize("parallel", [False, True], ids=["sequential", "parallel"])
@pytest.mark.parametrize("kind", [faults.only_commit, faults.commit_and_rollback])
def test_a_fault_at_the_nth_commit_for_every_n(
    template: Path, tmp_path: Path, watched: Faults, kind: Callable[[int], Fails], parallel: bool
) -> None:
    commits = count_of(template, tmp_path, parallel, watched).count("COMMIT")
    broken: list[str] = []
    for n in range(1, commits + 1):
        small = Small(open_store(str(shutil.copy(template, tmp_path / f"{n}.db")), synchronous="normal"), parallel)
        if wrong := check_after(small, watched, kind(n)):
            broken.append(f"{n} of {commits}: {wrong}")
        small.store.close()

    assert commits > 5  # fewer than steps: answers that come together share one
    assert broken == [], "\n".join([f"{len(broken)} of {commits} faults harm", *broken[:5]])


def test_a_fault_at_the_nth_statement_of_opening_leaves_a_file_that_can_be_opened(
    tmp_path: Path, watched: Faults
) -> None:
    with watched.armed(faults.never):
        open_store(str(tmp_path / "whole.db")).close()
    broken: list[str] = []
    for n in range(1, len(watched.seen) + 1):
        path = tmp_path / f"{n}.db"
        with watched.armed(faults.only(n)):
            try:
                open_store(str(path)).close()
            except StoreError:
                pass
            except BaseException as error:
                broken.append(f"{n} ({watched.seen[-1]}): {type(error).__name__}: {error}")
        try:
            store = open_store(str(path))
            broken += [f"{n}: {finding}" for finding in verify(store)]
            store.close()
        except BaseException as error:
            broken.append(f"{n} ({watched.seen[n - 1]}): cannot be opened afterwards: {type(error).__name__}: {error}")

    assert len(watched.seen) > 8
    assert broken == []


def test_a_commit_that_fails_is_told_to_everybody_who_shares_it(tmp_path: Path, watched: Faults) -> None:
    """Also when the ROLLBACK fails: what returns without an error must be stored."""
    for kind in (faults.only_commit, faults.commit_and_rollback):
        store = open_store(str(tmp_path / f"{kind.__name__}.db"), synchronous="normal")
        ledger, leader_in, followers = Ledger(store, actor="tester"), threading.Event(), []
        answered: dict[str, str] = {}

        def leading(tx: Any, leader_in: threading.Event = leader_in, store: Store = store) -> None:
            leader_in.set()
            deadline = time.monotonic() + LONGEST_S
            while waiting(store) < 4 and time.monotonic() < deadline:
                time.sleep(0.001)

        def create(name: str, ledger: Ledger = ledger, answered: dict[str, str] = answered) -> None:
            try:
                ledger.create_run(RunDraft("dag", name, "etl", (TaskDraft("a"),)))
                answered[name] = "stored"
            except StoreError:
                answered[name] = "error"

        with watched.armed(kind(2)):
            leader = threading.Thread(target=store.write, args=(leading,))
            leader.start()
            assert leader_in.wait(LONGEST_S)
            for name in "abcd":
                followers.append(threading.Thread(target=create, args=(name,)))
                followers[-1].start()
            for thread in (leader, *followers):
                thread.join(LONGEST_S)
        names = {run.name for run in store.read(lambda tx: tx.runs("runs_of_workflow", workflow="etl", limit=9))}

        assert {name for name, word in answered.items() if word == "stored"} == names, kind.__name__
        assert len(answered) == 4
        assert ledger.create_run(RunDraft("dag", "afterwards", "etl", ())).name == "afterwards"
        assert verify(store) == []
        store.close()


def test_work_that_fails_after_it_has_written_leaves_nothing_in_the_commit_it_shares(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "tasks.db"), synchronous="normal")
    ledger, leader_in, answered = Ledger(store, actor="tester"), threading.Event(), dict[str, str]()

    def leading(tx: Transaction) -> None:
        leader_in.set()
        deadline = time.monotonic() + LONGEST_S
        while waiting(store) < 4 and time.monotonic() < deadline:
            time.sleep(0.001)

    def create(name: str) -> None:
        def work(tx: Transaction) -> None:
            params = {"name": name, "host": "here", "pid": 1, "boot_id": "b", "lock_name": "l", "at": 1}
            params |= {"queues": None, "labels": None}
            tx.execute("add_worker", params).fetchall()
            if name in "bd":
                raise ValueError("changed my mind")

        try:
            store.write(work)
            answered[name] = "stored"
        except ValueError:
            answered[name] = "error"

    threads = [threading.Thread(target=store.write, args=(leading,))]
    threads[0].start()
    assert leader_in.wait(LONGEST_S)
    threads += [threading.Thread(target=create, args=(name,)) for name in "abcd"]
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(LONGEST_S)

    assert answered == {"a": "stored", "b": "error", "c": "stored", "d": "error"}
    assert {row[1] for row in store.read(lambda tx: tx.rows("unstopped_workers"))} == {"a", "c"}
    assert ledger.create_run(RunDraft("dag", "afterwards", "etl", ())).name == "afterwards"
    store.close()


def waiting(store: Store) -> int:
    assert isinstance(store, SqliteStore)
    return len(store._group._waiting)


def read_for_ever(store: Store) -> None:
    """Until something fails."""
    while True:
        store.read(lambda tx: tx.rows("run_ids"))


def test_a_read_that_fails_does_not_spoil_the_next_one(tmp_path: Path, watched: Faults) -> None:
    store = open_store(str(tmp_path / "tasks.db"))
    ledger = Ledger(store, actor="tester")
    for n in range(1, 5):
        with watched.armed(faults.only(n)), pytest.raises(StoreError):
            read_for_ever(store)
        ledger.create_run(RunDraft("dag", f"run-{n}", "etl", ()))

        seen = {len(store.read(lambda tx: tx.rows("run_ids"))) for _ in range(8)}

        assert seen == {n}
    store.close()
