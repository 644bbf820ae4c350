"""Run files under fire: SIGKILL before every step of every write, many processes at once, and what is left then."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tasktrail.dag import DAGRun, DAGRunStore, StatefulDAGRunner
from tasktrail.dag.store import ProjectRuns
from tasktrail.engine.verification import verify
from tasktrail.formats.run_json import RUN_JSON, STEP_WORDS
from tasktrail.store.opening import open_store
from tasktrail.testing.document_contract import assert_agree
from tasktrail.testing.dying import Arm, die_everywhere
from tests import processes

STEPS = ("fetch", "load", "save")
FILES = "rename,fsync,unlink,COMMIT,BEGIN IMMEDIATE"

pytestmark = [
    pytest.mark.crash,
    pytest.mark.platform_only("SIGKILL at a chosen step needs fork"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
]


def new_run(run_id: str = "r1") -> DAGRun:
    run = DAGRun("etl", run_id)
    for key in STEPS:
        run.add_step(key)
    return run


def opened(folder: Path) -> DAGRunStore:
    """The run files of a scene; its store is made where it is looked for from there."""
    os.chdir(folder)
    return DAGRunStore("runs")


def said(store: DAGRunStore) -> dict[str, str]:
    """What the file says of the steps, in the words of the model."""
    data = json.loads((store.storage_path / "run_r1.json").read_bytes())
    return {key: STEP_WORDS[step.get("status", "pending")] for key, step in data["steps"].items()}


def survivors(tmp_path: Path, scene: str, only: str = "") -> list[tuple[str, DAGRunStore]]:
    """Play a scene; return when it was killed, and the run files as the next process finds them. The last one lived."""
    killed = die_everywhere(__name__, scene, tmp_path, only=only)
    told = [f"killed before step {n}: {step}" for n, step in enumerate(killed, 1)] + ["it lived"]
    return [(when, opened(tmp_path / str(n))) for n, when in enumerate(told, 1)]


def check(store: DAGRunStore, when: str) -> dict[str, str] | None:
    """Look as the next process does: file, store, list and history agree. Return where the steps stand."""
    run = store.get("r1")
    listed = [one["run_id"] for one in store.list_runs()]
    path = store.storage_path / "dag_runs_index.json"
    index = json.loads(path.read_bytes()) if listed or path.exists() else {}
    assert verify(store.ledger.store) == [], when
    assert listed == list(index) == (["r1"] if run else []), when
    if run is None:
        return None
    assert_agree(store.ledger, store.storage_path / "run_r1.json", when)
    found = store.find("r1")
    assert found is not None
    tasks = store.ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=found.id))
    assert {task.key: task.status for task in tasks} == said(store), when
    return {task.key: task.status for task in tasks}


def names(store: DAGRunStore) -> list[str]:
    return [found.name for found in ProjectRuns(store.ledger).newest_first()]


# ------------------------------------------------------------------------------------------------- killed at every step


def create(folder: Path, arm: Arm) -> None:
    """A run is created that has done something already."""
    store = opened(folder)
    run = new_run()
    run.steps["fetch"].start()
    run.steps["fetch"].complete({"rows": "x" * 2000})
    arm(store.ledger.store)
    store.create(run)


@pytest.mark.requirement("BL-062")
def test_a_run_is_created_whole_or_not_at_all(tmp_path: Path) -> None:
    """And the id of what was not created can be used: no half of it is left in the store."""
    found = survivors(tmp_path, "create")
    assert len(found) > 20
    for when, store in found:
        store.storage_path.mkdir(exist_ok=True)
        if check(store, when) is None:
            assert when != "it lived"
            assert names(store) == [], when
            store.create(new_run())
        else:
            run = store.get("r1")
            assert run is not None
            assert run.steps["fetch"].result == {"rows": "x" * 2000}, when
        assert names(store) == ["r1"], when
        check(store, when)
        store.ledger.store.close()


def update(folder: Path, arm: Arm) -> None:
    """Two steps are changed at once, while a third was changed by hand and is not adopted yet."""
    store = opened(folder)
    run = new_run()
    store.create(run)
    path = store.storage_path / "run_r1.json"
    data = json.loads(path.read_bytes())
    data["steps"]["save"]["status"] = "cancelled"
    path.write_text(json.dumps(data, indent=1))
    run.steps["fetch"].start()
    run.steps["load"].skip("no need")
    arm(store.ledger.store)
    store.update(run)


@pytest.mark.requirement("BL-062")
def test_an_update_is_there_whole_or_not_at_all_and_a_change_by_hand_always(tmp_path: Path) -> None:
    for when, store in survivors(tmp_path, "update"):
        found = check(store, when)
        assert found is not None
        ours = (found["fetch"], found["load"])
        assert ours in (("pending", "pending"), ("in_progress", "skipped")), when
        assert ours[0] == "in_progress" or when != "it lived"
        assert found["save"] == "cancelled", when
        store.ledger.store.close()


def delete(folder: Path, arm: Arm) -> None:
    """A run with a history of its own is deleted."""
    store = opened(folder)
    run = new_run()
    store.create(run)
    run.steps["fetch"].start()
    store.update(run)
    arm(store.ledger.store)
    store.delete("r1")


@pytest.mark.requirement("BL-062")
def test_a_deleted_run_is_there_with_its_history_or_gone(tmp_path: Path) -> None:
    for when, store in survivors(tmp_path, "delete"):
        found = check(store, when)
        assert found is None or when != "it lived"
        assert len(names(store)) <= 1, when
        if found is not None:
            run = store.find("r1")
            assert run is not None
            events = store.ledger.store.read(lambda tx: tx.rows("events_of_run", run_id=run.id, after=0, limit=9))  # noqa: B023
            assert events[1][8] == "adopted from a draft", when  # it is the run that was, none made again from its file
            assert store.delete("r1"), when
        assert check(store, when) is None
        store.ledger.store.close()


def take_in(folder: Path, arm: Arm) -> None:
    """A file that nobody knows is looked at."""
    store = opened(folder)
    assert store.ledger.store.path is not None
    store.storage_path.mkdir()
    (store.storage_path / "run_r1.json").write_text(
        '{"run_id": "r1", "steps": {"fetch": {"status": "success"}, "load": {}, "save": {"status": "skipped"}}}'
    )
    arm(store.ledger.store)
    store.get("r1")


@pytest.mark.requirement("BL-062")
def test_a_file_is_taken_in_once(tmp_path: Path) -> None:
    for when, store in survivors(tmp_path, "take_in"):
        assert check(store, when) == {"fetch": "completed", "load": "pending", "save": "skipped"}, when
        assert names(store) == ["r1"], when
        store.ledger.store.close()


def execute(folder: Path, arm: Arm) -> None:
    """Three steps that leave a line in a journal, made durable, each time they run."""
    store = opened(folder)
    runner = StatefulDAGRunner("etl", store, dag_run_id="r1")
    register(runner, folder)
    arm(store.ledger.store)
    asyncio.run(runner.execute())


def register(runner: StatefulDAGRunner, folder: Path) -> None:
    for key in STEPS:
        runner.register_step(key, journaling(folder / "journal", key))


def journaling(journal: Path, key: str) -> Callable[[], Any]:
    async def step() -> str:
        with journal.open("a") as file:
            file.write(f"{key}\n")
            file.flush()
        return key

    return step


@pytest.mark.requirement("BL-062", "BL-078", "BL-079")
async def test_an_execution_that_is_killed_anywhere_goes_on_without_repeating_what_its_file_says_is_done(
    tmp_path: Path,
) -> None:
    found = survivors(tmp_path, "execute", FILES)
    assert len(found) > 30
    for when, store in found:
        folder = store.storage_path.parent
        done = check(store, when)
        assert done is not None
        journal = (folder / "journal").read_text().split() if (folder / "journal").exists() else []

        runner = StatefulDAGRunner(store=store, run_id="r1")
        register(runner, folder)
        run = await runner.execute()

        assert run.status.value == "success", when
        again = (folder / "journal").read_text().split()[len(journal) :] if (folder / "journal").exists() else []
        assert again == [key for key in STEPS if done.get(key) != "completed"], when
        assert check(store, when) == dict.fromkeys(STEPS, "completed"), when
        assert [step.result for step in run.steps.values()] == list(STEPS), when
        store.ledger.store.close()


def stop(folder: Path, arm: Arm) -> None:
    """The first of three steps fails for good: the others never start, and are only shown as skipped."""
    store = opened(folder)
    runner = StatefulDAGRunner("etl", store, dag_run_id="r1")
    runner.register_step("fetch", failing, max_retries=0)
    for key in STEPS[1:]:
        runner.register_step(key, journaling(folder / "journal", key))
    arm(store.ledger.store)
    asyncio.run(runner.execute())


async def failing() -> None:
    raise ConnectionError("host not reachable")


async def test_a_run_that_was_killed_when_it_stopped_still_reaches_the_steps_that_never_started(tmp_path: Path) -> None:
    wrong = []
    for when, store in survivors(tmp_path, "stop", FILES):
        store.get("r1")
        assert verify(store.ledger.store) == []
        runner = StatefulDAGRunner(store=store, run_id="r1")
        register(runner, store.storage_path.parent)
        run = await runner.execute()
        statuses = [step.status.value for step in run.steps.values()]
        store.ledger.store.close()
        if statuses != ["success"] * 3:
            wrong.append((when, statuses))
    assert wrong == []


# --------------------------------------------------------------------------------------------------------- many at once

UPDATING = """
import sys, threading
from tasktrail.dag import DAGRunStore
store = DAGRunStore("runs")
print("ready", flush=True)
sys.stdin.readline()
faults = []
def work(key):
    try:
        for number in range(25):
            run = store.get("r1")
            run.steps[key].result = number
            store.update(run)
    except BaseException as error:
        faults.append(f"{key}: {type(error).__name__}: {error}")
threads = [threading.Thread(target=work, args=(key,)) for key in sys.argv[1:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("; ".join(faults) or "fine")
"""

CREATING = """
import sys, threading
from tasktrail.dag import DAGRun, DAGRunStore
store = DAGRunStore("runs")
print("ready", flush=True)
sys.stdin.readline()
faults = []
def work(name):
    try:
        for number in range(25):
            run = DAGRun("etl", f"{name}-{number}")
            run.add_step("a")
            store.create(run)
    except BaseException as error:
        faults.append(f"{name}: {type(error).__name__}: {error}")
threads = [threading.Thread(target=work, args=(name,)) for name in sys.argv[1:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("; ".join(faults) or "fine")
"""


def all_at_once(script: str, arguments: list[list[str]]) -> list[str]:
    """Run a script in several processes that begin together; return their last words."""
    with ExitStack() as stack:
        started: list[subprocess.Popen[str]] = [
            stack.enter_context(processes.started(script, *names)) for names in arguments
        ]
        assert [processes.hear(process) for process in started] == ["ready"] * len(started)
        for process in started:
            processes.say(process)
        return [processes.hear(process) for process in started]


@pytest.mark.requirement("BL-061", "BL-063")
def test_eight_threads_and_four_processes_change_one_file_and_nothing_is_lost() -> None:
    """One process with eight threads and three more, 25 updates of each one's own step."""
    writers = [[f"t{n}" for n in range(8)], ["p1"], ["p2"], ["p3"]]
    keys = [key for names in writers for key in names]
    store = DAGRunStore("runs")
    run = DAGRun("etl", "r1")
    for key in keys:
        run.add_step(key)
    store.create(run)

    assert all_at_once(UPDATING, writers) == ["fine"] * 4

    found = store.get("r1")
    assert found is not None
    assert {key: step.result for key, step in found.steps.items()} == dict.fromkeys(keys, 24)
    data = json.loads((store.storage_path / "run_r1.json").read_bytes())
    assert {key: step["result"] for key, step in data["steps"].items()} == dict.fromkeys(keys, 24)
    events = store.ledger.store.read(lambda tx: tx.rows("events_of_run", run_id=1, after=0, limit=10_000))
    assert sum(row[3] == "adopt" for row in events) == 25 * len(keys)
    assert_agree(store.ledger, store.storage_path / "run_r1.json")
    assert verify(store.ledger.store) == []


@pytest.mark.requirement("BL-061", "BL-063")
def test_200_runs_that_are_created_at_once_are_all_in_the_index() -> None:
    """By four processes with two threads each; nobody lists them before we look at the file itself."""
    assert all_at_once(CREATING, [[f"p{p}{t}" for t in "ab"] for p in range(4)]) == ["fine"] * 4

    expected = {f"p{p}{t}-{n}" for p in range(4) for t in "ab" for n in range(25)}
    assert set(json.loads(Path("runs/dag_runs_index.json").read_bytes())) == expected
    assert {path.name for path in Path("runs").glob("run_*.json")} == {f"run_{name}.json" for name in expected}
    store = DAGRunStore("runs")
    assert {one["run_id"] for one in store.list_runs(limit=1000)} == expected
    assert sorted(names(store)) == sorted(expected)
    assert verify(store.ledger.store) == []
    assert open_store(str(Path(".tasktrail/tasktrail.db"))) is store.ledger.store
    assert RUN_JSON.name == "run-json@1"
