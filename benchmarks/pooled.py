"""Pooled runs and the processes that execute them, whatever the store is.

Tasktrail is imported inside the functions, after the store is chosen.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from shapes import BATCH

QUEUE: Final = "default"
RUN_ID: Final = "pooled-1"
MOST_AT_ONCE: Final = 1_000
PATIENCE_S: Final = 300.0
_NAP_S: Final = 0.01


async def numbers(n: int) -> list[int]:
    """What `for_each` gets."""
    return list(range(n))


async def no_op() -> None:
    return None


def long_at_first(folder: str) -> None:
    """Say who executes it; the first is busy until it dies."""
    said = Path(folder, "who")
    if not said.exists():
        Path(folder, "who.new").write_text(str(os.getpid()), "utf-8")
        Path(folder, "who.new").rename(said)
        time.sleep(PATIENCE_S)


def plain(n: int) -> list[str]:
    """Return n steps that do nothing and need nothing."""
    return [f"{{id: s{index}, call: 'pooled:no_op'}}" for index in range(n)]


def for_each(n: int) -> list[str]:
    """Return a step that gives n numbers, and one that is done for each of them."""
    return [
        f"{{id: numbers, call: 'pooled:numbers', with: {{n: {n}}}}}",
        "{id: part, call: 'pooled:no_op', for_each: '{numbers}', depends_on: numbers}",
    ]


def begin(folder: Path, steps: Iterable[str]) -> Any:
    """Begin a run as `run dag FILE --pooled` does; return it."""
    path = folder / "flow.yaml"
    listed = "".join(f"  - {step}\n" for step in steps)
    path.write_text(f"name: flow\nmax_parallel: {MOST_AT_ONCE}\nsteps:\n{listed}", "utf-8")
    from tasktrail.config import find_store
    from tasktrail.engine.workflow_files import WorkflowFile

    ledger = _ledger()
    file = WorkflowFile(path, str(path))
    file.check(ledger, RUN_ID, {})
    return file.open(ledger, RUN_ID, store=find_store(folder), accepts=False, pooled=True).run


class Claimer:
    """What a worker does between steps: one commit hands in what was claimed and claims what comes next."""

    def __init__(self, folder: Path, batch: int) -> None:
        from tasktrail.engine.execution import Joining
        from tasktrail.engine.pooling import FromPool, Share
        from tasktrail.engine.workflow_run import WorkflowRun

        ledger, run = _ledger(), _run()
        plan = WorkflowRun.pooled(ledger, run, folder).plan()
        picker = FromPool(ledger, run, plan, Share([QUEUE], (), batch))
        self._joining = Joining(ledger, run.id)
        self._joining.most = plan.max_parallel
        self._pick: Callable[[Any], Any] = lambda tx: picker.pick(tx, 0)
        self._claims: list[Any] | None = None

    def next(self) -> bool:
        """Go on by one commit; return whether something was claimed."""
        from tasktrail.engine.answers import succeeded

        if self._claims is None:
            turn = self._joining.begin(self._pick)
        else:
            turn = self._joining.advance([succeeded(claim, None, 1) for claim in self._claims], self._pick)
        self._claims = turn.claims
        return bool(self._claims)


def attempts_of_all(n: int) -> list[Any]:
    """Return the attempts of the run, once it is checked that at least n tasks were done, each of them once."""
    run = _run()
    attempts = _ledger().store.read(lambda tx: tx.attempts("attempts_of_run", run_id=run.id))
    assert run.status == "completed", run.status
    assert len(attempts) >= n, f"{len(attempts)} attempts at {n} tasks"
    assert len({one.task_id for one in attempts}) == len(attempts), "a task was done more than once"
    assert all(one.outcome == "ok" for one in attempts)
    return attempts


def executed_by(workers: int, n: int, folder: Path) -> float:
    """Let workers execute n parts; return the seconds from the first part's beginning to the last one's end."""
    with working(workers, folder):
        begin(folder, for_each(n))
        until(lambda: _run().status == "completed", "the run to be over")
    attempts = attempts_of_all(n)
    first_part = sorted(one.started_at for one in attempts)[1]
    return (max(one.ended_at for one in attempts) - first_part) / 1e6


@contextmanager
def working(n: int, folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start workers, all of which serve the queue when the block begins; they end with it."""
    from tasktrail.engine.workers import list_workers

    command = [sys.executable, "-m", "tasktrail", "worker", "--concurrency", str(BATCH)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [_HERE, os.environ.get("PYTHONPATH")]))}
    with (folder / "workers.log").open("wb") as log:
        processes = [subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) for _ in range(n)]
        try:
            until(lambda: len([1 for one in list_workers(_ledger(), n + 9) if one.queues]) >= n, "all workers to serve")
            yield processes
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(PATIENCE_S)


def until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")
        time.sleep(_NAP_S)


def taken_up_after(folder: Path) -> float:
    """Kill the worker that executes a step, and return the seconds until another has taken that step up."""
    with working(2, folder) as processes:
        begin(folder, [f"{{id: long, call: 'pooled:long_at_first', with: {{folder: '{folder}'}}}}"])
        until((folder / "who").exists, "the step to begin")
        victim = next(one for one in processes if one.pid == int((folder / "who").read_text("utf-8")))
        victim.kill()
        killed_at = time.time()
        until(lambda: _run().status == "completed", "the step to be taken up")
    _, second = _ledger().store.read(lambda tx: tx.attempts("attempts_of_run", run_id=_run().id))
    return float(second.started_at / 1e6 - killed_at)


_HERE: Final = str(Path(__file__).parent)
_ledgers: Final[list[Any]] = []


def _ledger() -> Any:
    """Return the one ledger of this process."""
    if not _ledgers:
        from tasktrail.engine.project import open_project

        _ledgers.append(open_project())
    return _ledgers[0]


def _run() -> Any:
    from tasktrail.engine.workflows import find

    return find(_ledger(), RUN_ID)
