"""A process that forks while it uses a store: `python forks.py STORE KIND`; it prints `fine`, or fails.

`idle`: the store is open. `worker`: it executes runs as well. `children`: eight children write at the same time.
`opening` and `registering`: another thread is just then opening a store, or making this process known as a worker.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

from tasktrail.dag import StatefulDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.engine import ownership
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.ownership import owner_of
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.store import opening as store_opening
from tasktrail.store.forking import ForkLock
from tasktrail.store.opening import open_store


def execute(ledger: Ledger, name: str) -> None:
    """Execute a run."""
    with bound(Binding(ledger)):
        runner = StatefulDAGRunner(dag_run_id=name)
    runner.register_step("a", lambda: os.getpid())
    run = asyncio.run(runner.execute())
    assert (run.status.value, run.steps["a"].result) == ("success", os.getpid())


def in_child(work: object, *arguments: object) -> int:
    """Fork, do some work in the child, and return its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work(*arguments)  # type: ignore[operator]  # one of the functions here
        code = 0
    finally:
        os._exit(code)


def create(ledger: Ledger, name: str, count: int = 1) -> None:
    """Create runs."""
    for number in range(count):
        ledger.create_run(RunDraft("dag", f"{name}-{number}", "etl", (TaskDraft("a"),)))


def idle(ledger: Ledger) -> None:
    """Parent and child write in turns."""
    create(ledger, "before")
    assert os.waitstatus_to_exitcode(os.waitpid(in_child(create, ledger, "child"), 0)[1]) == 0
    create(ledger, "after")
    names = {run.name for run in ledger.store.read(lambda tx: tx.runs("runs_of_workflow", workflow="etl", limit=9))}
    assert names == {"before-0", "child-0", "after-0"}


def worker(ledger: Ledger) -> None:
    """A child of a worker is a worker of its own, and its end does not free its parent's lock."""
    execute(ledger, "parent")
    assert os.waitstatus_to_exitcode(os.waitpid(in_child(execute, ledger, "child"), 0)[1]) == 0

    async def look() -> None:
        look_in_children(ledger)

    with bound(Binding(ledger)):
        runner = StatefulDAGRunner(dag_run_id="looked-at")
    runner.register_step("a", look, max_retries=0)
    assert asyncio.run(runner.execute()).status.value == "success"


def look_in_children(ledger: Ledger) -> None:
    """The end of the first child must not change what the second one sees."""
    for _ in range(2):
        assert os.waitstatus_to_exitcode(os.waitpid(in_child(see_owner, ledger), 0)[1]) == 0


def see_owner(ledger: Ledger) -> None:
    """In a child: the run is executed by the parent, which lives, and which the child is not."""
    run = ledger.store.read(lambda tx: tx.runs("runs_by_name", name="looked-at", kind="dag"))[0]
    assert f"process {os.getppid()}" in str(owner_of(ledger.store, run))


def children(ledger: Ledger) -> None:
    """Eight children and their parent at the same time."""
    create(ledger, "before")
    pids = [in_child(create, ledger, f"child-{number}", 20) for number in range(8)]
    create(ledger, "parent", 20)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 8
    found = ledger.store.read(lambda tx: tx.runs("runs_of_workflow", workflow="etl", limit=999))
    assert len(found) == 1 + 9 * 20


def opening(ledger: Ledger) -> None:
    """The thread is not in the child, so the child must not wait for it."""
    fork_while_held(ledger, store_opening._lock)


def registering(ledger: Ledger) -> None:
    """Likewise."""
    fork_while_held(ledger, ownership._registering)


def fork_while_held(ledger: Ledger, lock: ForkLock) -> None:
    """Fork while a thread holds a lock; parent and child both go on."""
    held, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with lock.held():
            held.set()
            enough.wait()

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    held.wait()
    pid = in_child(open_and_execute, str(ledger.store.path))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    enough.set()
    thread.join()
    open_and_execute(str(ledger.store.path), "parent")


def open_and_execute(path: str, name: str = "child") -> None:
    """In a child: one that waits for ever ends by the alarm."""
    signal.alarm(10)
    execute(Ledger(open_store(path), actor="forks"), name)
    signal.alarm(0)


if __name__ == "__main__":
    kinds = (idle, worker, children, opening, registering)
    {kind.__name__: kind for kind in kinds}[sys.argv[2]](Ledger(open_store(sys.argv[1]), actor="forks"))
    print("fine")
