"""Processes and threads at once: no update is lost, nobody sees a lock error, one run has one owner."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasktrail.dag import StatefulDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.engine import ownership
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.graph import Need
from tasktrail.plan import PlanTools
from tasktrail.store import liveness
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store
from tests.crash import hammer, same_run, sharing
from tests.crash.processes import LONGEST_S, child, environment
from tests.postgres import Server

pytestmark = pytest.mark.crash

PROCESSES, THREADS, ROUNDS = 8, 8, 3


@contextlib.contextmanager
def children(script: str, *arguments: Any, cwd: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Start eight processes, wait until each says that it is ready, and let all go at once."""
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(child(script, *[one(number) for one in arguments], cwd=cwd))
            for number in range(PROCESSES)
        ]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        yield started


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in a file, sound at the end."""
    store = open_store(str(tmp_path / "tasks.db"))
    yield store
    assert verify(store) == []
    store.close()


def test_eight_processes_of_eight_threads_lose_no_update(store: Store, tmp_path: Path) -> None:
    keys = [
        hammer.key_of(process, thread, round_)
        for process in range(PROCESSES) for thread in range(THREADS) for round_ in range(ROUNDS)
    ]  # fmt: skip
    drafts = tuple(TaskDraft(key) for key in [*keys, hammer.CONTENDED])
    shared = Ledger(store, actor="tester").create_run(RunDraft("plan", hammer.SHARED, "shared", drafts))

    done: Counter[str] = Counter()
    errors: list[str] = []
    with children(
        "hammer.py", lambda _: store.path, lambda number: number, lambda _: THREADS, lambda _: ROUNDS, cwd=tmp_path
    ) as processes:
        for process in processes:
            out, complaints = process.communicate(timeout=LONGEST_S)
            said = json.loads(out or f'{{"done": {{}}, "errors": [{json.dumps(complaints)}]}}')
            done.update(said["done"])
            errors += said["errors"]

    run = store.read(lambda tx: tx.run(shared.id))
    tasks = store.read(lambda tx: tx.tasks("tasks_of_run", run_id=shared.id))
    verbs = Counter(str(row[3]) for row in store.read(lambda tx: tx.rows("fold_events", run_id=shared.id)))
    assert errors == []
    assert (done["completed"], run.n_completed) == (len(keys), len(keys))
    assert [task.output for task in tasks[:-1]] == [
        json.dumps([process, thread, round_])
        for process in range(PROCESSES) for thread in range(THREADS) for round_ in range(ROUNDS)
    ]  # fmt: skip
    assert (verbs["block"], verbs["unblock"], verbs["note"]) == (done["block"], done["unblock"], len(keys))
    assert (done["created"], done["won"]) == (len(keys), ROUNDS)
    assert len(store.read(lambda tx: tx.rows("run_ids"))) == 1 + len(keys) + ROUNDS


def test_of_eight_processes_that_want_the_same_run_one_works_and_the_others_are_told(tmp_path: Path) -> None:
    with children("same_run.py", cwd=tmp_path) as processes:
        said: list[str] = []
        threads = [threading.Thread(target=lambda p=process: said.append(p.stdout.readline())) for process in processes]
        for thread in threads:
            thread.start()
        waiting = threads.copy()
        while len(waiting) > 1 and any(thread.is_alive() for thread in waiting):
            for thread in waiting:
                thread.join(0.01)
            waiting = [thread for thread in waiting if thread.is_alive()]
        (tmp_path / same_run.ENOUGH).touch()
        for thread in threads:
            thread.join(LONGEST_S)

    told = sorted(line for line in said if line.startswith("told"))
    assert sorted(said) == ["ran success\n", *told]
    assert len(told) == PROCESSES - 1
    ran = (tmp_path / "ran.txt").read_text().split()
    assert len(ran) == 1
    by_name = [line for line in told if f"is being executed by process {ran[0]} on " in line]
    at_once = [line for line in told if "was taken up by somebody else just now" in line]
    assert len(by_name) + len(at_once) == PROCESSES - 1


@pytest.mark.parametrize("kind", ["idle", "worker", "children", "opening", "registering"])
def test_a_forked_child_opens_anew_and_harms_nobody(store: Store, tmp_path: Path, kind: str) -> None:
    with child("forks.py", tmp_path / "forked.db", kind, cwd=tmp_path) as process:
        out, errors = process.communicate(timeout=LONGEST_S)

    assert (out, process.returncode) == ("fine\n", 0), errors
    forked = open_store(str(tmp_path / "forked.db"))
    assert verify(forked) == []
    forked.close()


def test_eight_processes_that_make_the_same_store_at_once_all_find_it_whole(tmp_path: Path) -> None:
    """The first use in a new project: the folder, the file, its schema."""
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(child("same_run.py", cwd=tmp_path)) for _ in range(PROCESSES)]
        (tmp_path / same_run.ENOUGH).touch()
        outputs = [process.communicate("go\n", timeout=LONGEST_S) for process in started]

    assert [out.partition("\n")[0] for out, _ in outputs] == ["ready"] * PROCESSES, outputs
    assert all(out.splitlines()[1].startswith(("ran success", "told")) for out, _ in outputs), outputs
    store = open_store(str(tmp_path / ".tasktrail" / "tasktrail.db"))
    assert verify(store) == []
    assert len(store.read(lambda tx: tx.rows("run_ids"))) == 1
    store.close()


def test_a_dead_worker_is_never_taken_for_alive_by_those_who_look_at_the_same_time(tmp_path: Path) -> None:
    """After a crash all processes of a machine start again and look at the same dead owners."""
    folder, name = tmp_path / "workers", "dead.lock"
    folder.mkdir()
    (folder / name).touch()
    seen: list[bool] = []
    meeting = threading.Barrier(THREADS)

    def look() -> None:
        meeting.wait(LONGEST_S)
        seen.extend(liveness.is_held(folder, name) for _ in range(2000))

    threads = [threading.Thread(target=look) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST_S)

    assert len(seen) == THREADS * 2000
    assert seen.count(True) == 0


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES], ids=["too many open files", "another user's"])
def test_a_lock_that_cannot_be_looked_at_is_not_taken_for_a_dead_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whoever cannot tell must not take the work away: two would do it."""
    folder, open_file = tmp_path / "workers", os.open
    folder.mkdir()
    (folder / "somebody.lock").touch()

    def refusing(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("somebody.lock"):
            raise OSError(number, os.strerror(number), str(path))
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refusing)
    try:
        seen = liveness.is_held(folder, "somebody.lock")
    except OSError:
        return

    assert seen is True


_LOOK = """
import sys
from pathlib import Path
from tasktrail.store import liveness
print(liveness.is_held(Path(sys.argv[1]), sys.argv[2]))
"""


def test_a_living_worker_is_seen_as_alive_by_other_processes_and_a_gone_one_is_not(tmp_path: Path) -> None:
    def seen_elsewhere() -> str:
        command = [sys.executable, "-c", _LOOK, str(tmp_path / "workers"), lock.name]
        return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=LONGEST_S).stdout

    lock = liveness.LifeLock(tmp_path / "workers")
    assert seen_elsewhere() == "True\n"
    lock.free()
    assert seen_elsewhere() == "False\n"


def test_threads_that_execute_runs_at_once_are_one_worker(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §5.5: a process has one row and one lock for all its tasks."""
    ledger, meeting, look = Ledger(store, actor="tester"), threading.Barrier(THREADS), ownership.dead_workers
    ended: list[str] = []

    def look_together(*arguments: Any) -> tuple[list[int], int]:
        with contextlib.suppress(threading.BrokenBarrierError):  # they come one after another: just as well
            meeting.wait(0.5)
        return look(*arguments)

    def execute(number: int) -> None:
        with bound(Binding(ledger)):
            runner = StatefulDAGRunner(dag_run_id=f"run-{number}")
        runner.register_step("a", lambda: number)
        ended.append(asyncio.run(runner.execute()).status.value)

    monkeypatch.setattr(ownership, "dead_workers", look_together)
    threads = [threading.Thread(target=execute, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST_S)

    assert ended == ["success"] * THREADS
    assert len(store.read(lambda tx: tx.rows("unstopped_workers"))) == 1


@pytest.mark.parametrize("seed", range(3))
def test_workers_that_share_a_run_lose_no_count(server: Server, tmp_path: Path, seed: int) -> None:
    """In the graph many wait for the same tasks, and some fail: each is done once, and all counters are right."""
    drafts = _graph(random.Random(seed))
    with server.schema() as url:
        store = open_store(url)
        run = Ledger(store, actor="tester").create_run(RunDraft("plan", "shared", "shared", drafts))
        with children("sharing.py", lambda _: url, lambda _: run.id, cwd=tmp_path) as processes:
            said = [process.communicate(timeout=LONGEST_S) for process in processes]

        shared, alone = (sum(int(out.split()[place]) for out, _ in said) for place in (0, 1))
        assert [complaints for _, complaints in said if complaints] == []
        assert verify(store) == []
        done = store.read(lambda tx: (tx.run(run.id), tx.tasks("tasks_of_run", run_id=run.id)))
        assert done[0].status in ("failed", "partial")
        assert {task.attempts for task in done[1] if task.status in ("completed", "failed")} == {1}
        assert done[0].n_in_progress == 0
        assert not [task.key for task in done[1] if task.status == "pending" and not task.dead_needs]
        assert shared > alone, "the run was hardly ever shared"
        store.close()


@pytest.mark.requirement("JB-056")
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_eight_agents_claim_and_finish_each_task_of_a_plan_once(server: Server, tmp_path: Path, database: str) -> None:
    """Each task waits for one twenty places before it, so that the agents wait for each other, too."""
    keys = [f"T{number}" for number in range(400)]
    tasks = [
        {"id": key, "description": key, "dependencies": keys[max(0, place - 20) : max(0, place - 19)]}
        for place, key in enumerate(keys)
    ]
    with server.schema() as schema:
        url = schema if database == "postgres" else f"sqlite:///{tmp_path / 'plan.db'}"
        tools = PlanTools(url)
        assert tools.write_task_list(tasks)["status"] == "success"
        with children("claiming.py", lambda _: url, lambda number: f"agent-{number}", cwd=tmp_path) as processes:
            said = [process.communicate(timeout=LONGEST_S) for process in processes]

        assert [complaints for _, complaints in said if complaints] == []
        finished = [json.loads(out) for out, _ in said]
        assert sorted(key for done in finished for key in done) == sorted(keys)
        assert sum(map(bool, finished)) > 1, "one agent did it all"
        found = tools.read_task_breakdown()["tasks"]
        assert {(task["status"], task["attempts"]) for task in found} == {("completed", 1)}
        assert {task["id"]: task["result"] for task in found} == {
            key: f"by agent-{number}" for number, done in enumerate(finished) for key in done
        }
        store = open_store(url)
        assert verify(store) == []
        store.close()


def _graph(random_: random.Random) -> tuple[TaskDraft, ...]:
    """Three layers; of the first few fail, and everything else waits for several of the layer before."""
    first = [TaskDraft(f"{'x' if number % 25 == 7 else 'a'}{number}", queue=sharing.QUEUE) for number in range(150)]
    layers = [first]
    for name in "bc":
        before = [draft.key for draft in layers[-1]]
        layers.append([
            TaskDraft(
                f"{name}{number}",
                queue=sharing.QUEUE,
                needs=tuple(Need(key, optional=random_.random() < 0.2) for key in random_.sample(before, 3)),
            )
            for number in range(100)
        ])  # fmt: skip
    return tuple(draft for layer in layers for draft in layer)
