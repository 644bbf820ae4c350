"""Ctrl-C once: a clean end, the run can go on. Twice: the program leaves at once, whatever hangs."""

from __future__ import annotations

import itertools
import linecache
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store
from tests.crash.interrupted_run import JOURNAL, RUN_ID
from tests.crash.processes import LONGEST_S, child

pytestmark = pytest.mark.crash

AT_ONCE_S = 3.0
"""Less than the time that steps on threads are given to end."""


def journal(folder: Path) -> list[str]:
    """Return the lines of the journal."""
    path = folder / JOURNAL
    return path.read_text().splitlines() if path.exists() else []


def wait_for(line: str, process: subprocess.Popen[str], folder: Path) -> None:
    """Return once the journal has the line."""
    deadline = time.monotonic() + LONGEST_S
    while line not in journal(folder):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"no line {line!r}"
        time.sleep(0.001)


def interrupt(folder: Path, kind: str, *, line: str = "begin b") -> tuple[int, float]:
    """Start the run, press Ctrl-C when the line is there; return exit code and seconds until the end."""
    with child("interrupted_run.py", kind, cwd=folder) as process:
        wait_for(line, process, folder)
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LONGEST_S)
        return process.returncode, time.monotonic() - pressed


def left_behind(folder: Path) -> tuple[Run, dict[str, Task]]:
    """Return run and tasks as they stand in the store, which must be sound."""
    store = open_store(str(folder / ".tasktrail" / "tasktrail.db"))
    assert verify(store) == []
    run = store.read(lambda tx: tx.runs("runs_by_name", name=RUN_ID, kind="dag"))[0]
    tasks = store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    store.close()
    return run, {task.key: task for task in tasks}


def go_on(folder: Path) -> None:
    """Execute the run again; the first step must not be done twice."""
    with child("interrupted_run.py", "finishes", cwd=folder) as process:
        _, errors = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, errors
    assert journal(folder).count("begin a") == 1
    assert journal(folder)[-2:] == ["begin b", "begin c"]
    assert left_behind(folder)[0].status == "completed"


def test_one_interrupt_cancels_a_coroutine_cleanly_and_the_run_can_go_on(tmp_path: Path) -> None:
    code, seconds = interrupt(tmp_path, "waits")

    run, tasks = left_behind(tmp_path)
    assert (code, journal(tmp_path)[-1]) == (130, "cleaned up b")
    assert seconds < AT_ONCE_S
    assert (run.worker_id, run.status) == (None, "running")
    assert [task.status for task in tasks.values()] == ["completed", "pending", "pending"]
    assert (tasks["b"].tries, tasks["b"].losses, tasks["b"].attempts) == (0, 0, 1)
    go_on(tmp_path)


def test_one_interrupt_lets_a_thread_answer(tmp_path: Path) -> None:
    code, seconds = interrupt(tmp_path, "answers")

    _, tasks = left_behind(tmp_path)
    assert (code, tasks["b"].output, tasks["c"].status) == (130, '"b"', "pending")
    assert seconds < AT_ONCE_S


def test_one_interrupt_during_a_back_off_leaves_at_once(tmp_path: Path) -> None:
    code, seconds = interrupt(tmp_path, "slow-retry")

    run, tasks = left_behind(tmp_path)
    assert (code, run.worker_id, tasks["b"].status) == (130, None, "pending")
    assert seconds < AT_ONCE_S
    go_on(tmp_path)


def test_one_interrupt_does_not_wait_for_ever_for_a_hanging_thread(tmp_path: Path) -> None:
    code, seconds = interrupt(tmp_path, "hangs")

    run, tasks = left_behind(tmp_path)
    assert (code, run.worker_id, tasks["b"].status) == (130, None, "pending")
    assert seconds < 15
    go_on(tmp_path)


def test_a_second_interrupt_leaves_at_once_even_with_a_hanging_thread(tmp_path: Path) -> None:
    with child("interrupted_run.py", "hangs", cwd=tmp_path) as process:
        wait_for("begin b", process, tmp_path)
        process.send_signal(signal.SIGINT)
        wait_for("told b", process, tmp_path)
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LONGEST_S)
        seconds = time.monotonic() - pressed

    _, tasks = left_behind(tmp_path)
    assert seconds < AT_ONCE_S, f"it took {seconds:.1f} s: {errors}"
    assert process.returncode == 130
    assert (tasks["a"].status, tasks["b"].tries) == ("completed", 0)
    go_on(tmp_path)


def test_many_interrupts_harm_nothing(tmp_path: Path) -> None:
    with child("interrupted_run.py", "waits", cwd=tmp_path) as process:
        wait_for("begin b", process, tmp_path)
        deadline = time.monotonic() + LONGEST_S
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        process.communicate()

    assert process.returncode in (130, -signal.SIGINT)
    assert left_behind(tmp_path)[1]["a"].status == "completed"
    go_on(tmp_path)


@pytest.mark.requirement("BL-078", "BL-079")
def test_a_kill_in_the_middle_of_a_step_is_noticed_at_once_and_costs_no_try(tmp_path: Path) -> None:
    with child("interrupted_run.py", "waits", cwd=tmp_path) as process:
        wait_for("begin b", process, tmp_path)
        process.kill()
        process.wait(LONGEST_S)
    run, tasks = left_behind(tmp_path)
    assert (run.worker_id is not None, tasks["b"].status) == (True, "in_progress")

    go_on(tmp_path)

    _, tasks = left_behind(tmp_path)
    assert (tasks["b"].attempts, tasks["b"].tries, tasks["b"].losses) == (2, 0, 0)


def interrupted_at_line(store: Store, n: int) -> str | None:
    """Write, and press Ctrl-C at the n-th line of the store's code; return where, None when there are fewer lines.

    Lines that only begin a `try` or end a `with` are left out: no handler of a signal runs there. Python looks for
    signals when a function begins, after a call and when a loop turns, and all of these are within the block.
    """
    lines, where = itertools.count(1), list[str]()

    def tracer(frame: FrameType, event: str, _: object) -> Any:
        name = Path(frame.f_code.co_filename)
        if name.parent.name != "store" or name.name not in ("group_commit.py", "sqlite.py"):
            return None
        if event != "line" or linecache.getline(str(name), frame.f_lineno).split()[0] in ("try:", "with"):
            return tracer
        if next(lines) == n:
            where.append(f"{name.name}:{frame.f_lineno} in {frame.f_code.co_name}")
            raise KeyboardInterrupt
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        store.write(lambda tx: tx.rows("run_ids"))
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return where[0] if where else None


def test_an_interrupt_at_any_line_of_a_write_leaves_a_store_that_can_be_used(tmp_path: Path) -> None:
    """Otherwise the next write waits for ever: of the program that cleans up, or of a notebook that goes on."""
    hanging: list[str] = []
    for n in itertools.count(1):
        store = open_store(str(tmp_path / f"{n}.db"), synchronous="normal", busy_s=2)
        where, written = interrupted_at_line(store, n), threading.Event()
        draft = RunDraft("dag", "afterwards", "etl")

        def write(store: Store = store, draft: RunDraft = draft, written: threading.Event = written) -> None:
            Ledger(store, actor="tester").create_run(draft)
            written.set()

        threading.Thread(target=write, daemon=True).start()
        if not written.wait(AT_ONCE_S):
            hanging.append(str(where))
        if where is None or len(hanging) == 3:
            break

    assert hanging == []
    assert n > 20
