"""Run files of one project, copied to another, and read where nothing can be written."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasktrail.dag import DAGRun, DAGRunStatus, DAGRunStore, DAGStepStatus, StatefulDAGRunner
from tasktrail.dag.store import ProjectRuns
from tasktrail.engine.project import open_project
from tasktrail.engine.verification import verify
from tasktrail.model.errors import BadInput, Conflict, NotAStore, StoreError
from tasktrail.model.lifecycle import Ask
from tasktrail.store.sqlite import SqliteStore
from tests import processes
from tests.dag.executors import Recording
from tests.dag.run_files import (
    by_hand,
    everything,
    executed,
    got,
    index,
    made,
    names,
    new_run,
    path_of,
    said,
    tasks,
)


def test_a_folder_below_the_working_directory_uses_its_store(store: DAGRunStore) -> None:
    made(store)
    deep = DAGRunStore("deep/down/runs")
    made(deep, "r2")

    assert Path(".tasktrail/tasktrail.db").exists()
    assert not Path("deep/.tasktrail").exists()
    assert deep.ledger.store is store.ledger.store is open_project().store
    assert names(store) == ["r1", "r2"]
    assert [one["run_id"] for one in deep.list_runs()] == ["r2"]


def test_a_folder_elsewhere_has_a_store_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    made(DAGRunStore(elsewhere / "runs"))

    assert (elsewhere / "runs" / ".tasktrail" / "tasktrail.db").exists()
    assert list(Path().iterdir()) == []


def test_a_folder_elsewhere_uses_the_nearest_store_above_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        made(DAGRunStore("first"))

    made(DAGRunStore(elsewhere / "a" / "b" / "runs"), "r2")

    assert sorted(path.name for path in elsewhere.iterdir()) == [".tasktrail", "a", "first"]
    assert [found.name for found in ProjectRuns(open_project(elsewhere)).newest_first()] == ["r2", "r1"]


def test_the_settings_of_the_folder_say_where_the_store_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "tasktrail.toml").write_text('[store]\nurl = "sqlite:///work.db"\n')

    made(DAGRunStore(elsewhere / "runs"))

    assert (elsewhere / "work.db").exists()


def test_an_id_that_the_project_has_already_gets_a_number_there_and_keeps_its_name_here(store: DAGRunStore) -> None:
    made(store)
    other = DAGRunStore("other")
    run = made(other)
    run.steps["fetch"].start()
    other.update(run)

    assert names(store) == ["r1", "r1-2"]
    assert (said(other)["run_id"], got(other).run_id, index(other)["r1"]["run_id"]) == ("r1", "r1", "r1")
    assert got(store).steps["fetch"].status is DAGStepStatus.PENDING
    assert got(other).steps["fetch"].status is DAGStepStatus.RUNNING


def test_the_number_leaves_an_id_that_can_be_asked_for(store: DAGRunStore) -> None:
    made(store, "x" * 128)
    other = DAGRunStore("other")
    made(other, "x" * 128)

    assert max(len(name) for name in names(store)) == 128
    assert len(names(store)) == 2


async def test_a_file_copied_to_another_project_is_a_run_there(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    here, there = DAGRunStore("runs"), DAGRunStore(tmp_path_factory.mktemp("there"))
    recording = Recording()
    runner = StatefulDAGRunner("etl", here, dag_run_id="r1")
    runner.register_step("fetch", recording.step("fetch", {"rows": 7}))
    runner.register_step("load", recording.failing_step("load"), max_retries=0)
    await runner.execute()
    assert there.ledger.store.path is not None  # made before the first look, which only reads
    shutil.copy(path_of(here), path_of(there))
    copied = path_of(there).read_bytes()

    mine, yours = got(here), got(there)

    for known in mine.steps.values():
        for derived in ("error_history", "stack_trace", "attempts"):
            known.metadata.pop(derived, None)
    assert {key: step.to_dict() for key, step in yours.steps.items()} == {
        key: {**step.to_dict(), "duration_seconds": yours.steps[key].duration_seconds}
        for key, step in mine.steps.items()
    }
    assert (yours.status, yours.start_time, yours.end_time) == (mine.status, mine.start_time, mine.end_time)
    assert path_of(there).read_bytes() == copied
    assert names(there) == ["r1"]
    assert verify(there.ledger.store) == []


async def test_a_copied_run_that_was_stopped_goes_on_to_its_end(tmp_path_factory: pytest.TempPathFactory) -> None:
    here, there, recording = DAGRunStore("runs"), DAGRunStore(tmp_path_factory.mktemp("there")), Recording()
    runner = StatefulDAGRunner("etl", here, dag_run_id="r1")
    runner.register_step("fetch", recording.failing_step("fetch"), max_retries=0)
    runner.register_step("load", recording.step("load"))
    runner.register_step("save", recording.step("save"))
    await runner.execute()
    there.storage_path.mkdir(exist_ok=True)
    shutil.copy(path_of(here), path_of(there))

    run = await executed(there, recording)

    assert recording.ran == ["fetch", "fetch", "load", "save"]
    assert run.status is DAGRunStatus.SUCCESS


async def test_a_copied_run_knows_which_steps_are_not_critical(tmp_path_factory: pytest.TempPathFactory) -> None:
    here, there = DAGRunStore("runs"), DAGRunStore(tmp_path_factory.mktemp("there"))
    runner = StatefulDAGRunner("etl", here, dag_run_id="r1")
    runner.register_step("fetch", Recording().failing_step("fetch"), max_retries=0, critical=False)
    await runner.execute()
    shutil.copy(path_of(here), path_of(there))

    assert got(there).steps["fetch"].metadata["critical"] is False


async def test_a_copied_partial_success_is_one_there_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    here, there = DAGRunStore("runs"), DAGRunStore(tmp_path_factory.mktemp("there"))
    runner = StatefulDAGRunner("etl", here, dag_run_id="r1")
    runner.register_step("fetch", Recording().failing_step("fetch"), max_retries=0, critical=False)
    runner.register_step("load", Recording().step("load"))
    await runner.execute()
    assert there.ledger.store.path is not None
    shutil.copy(path_of(here), path_of(there))

    run = there.find("r1")

    assert run is not None
    assert (run.status, run.declared_status, run.n_stopping) == ("partial", None, 0)
    assert DAGRun.from_dict(said(there)).steps["fetch"].metadata["critical"] is False


def test_a_copied_run_has_the_status_that_its_file_says_and_was_changed_when_it_says(store: DAGRunStore) -> None:
    store.storage_path.mkdir()
    path_of(store).write_text(
        '{"run_id": "r1", "dag_id": "etl", "status": "failed", "error": "disk full", '
        '"updated_at": "2025-05-19T10:00:00Z", "steps": {"a": {"status": "success"}, "b": {}}}'
    )

    assert (got(store).status, got(store).error) == (DAGRunStatus.FAILED, "disk full")
    assert store.list_runs()[0]["updated_at"] == "2025-05-19T10:00:00+00:00"
    assert store.cleanup_old_runs() == 1


# ------------------------------------------------------------------------------------- reading without writing anything


def given_files() -> DAGRunStore:
    """A folder with run files, as from a repository: no store, no index."""
    Path("runs").mkdir()
    for name, word in (("a", "success"), ("b", "failed")):
        Path(f"runs/run_{name}.json").write_text(
            json.dumps(
                {"run_id": name, "dag_id": "etl", "status": word, "steps": {"one": {"status": word, "error": "x"}}}
            )
        )
    return DAGRunStore("runs")


def test_reading_makes_no_store(caplog: pytest.LogCaptureFixture) -> None:
    store = given_files()
    Path("runs/run_broken.json").write_text("{")
    before = everything(Path())

    assert got(store, "b").steps["one"].to_dict()["error"] == "x"
    assert sorted(one["run_id"] for one in store.list_runs()) == ["a", "b"]
    assert store.get_statistics()["success_rate"] == 50.0
    assert (store.get_active_runs(), store.get("none"), store.delete("none")) == ([], None, False)
    with pytest.raises(BadInput, match=r"run_broken\.json:1:2"):
        store.get("broken")
    assert "run_broken.json:1:2" in caplog.text
    assert everything(Path()) == before


def test_a_run_that_was_read_without_a_store_can_be_changed() -> None:
    store = given_files()
    run = got(store, "b")
    run.steps["one"].retry()

    assert store.update(run) is True

    assert said(store, "b")["steps"]["one"]["status"] == "retry"
    assert got(store, "b").steps["one"].status is DAGStepStatus.RETRY
    assert Path(".tasktrail/tasktrail.db").exists()
    assert verify(store.ledger.store) == []
    run.steps["one"].skip("enough")
    store.update(run)
    assert got(store, "b").steps["one"].status is DAGStepStatus.SKIPPED


def test_a_change_to_such_a_run_that_somebody_else_was_faster_with_is_a_conflict() -> None:
    store = given_files()
    run = got(store, "b")
    by_hand(store, lambda data: data["steps"]["one"].update(status="success"), "b")
    run.steps["one"].skip("never mind")

    with pytest.raises(Conflict, match="one was changed by somebody else"):
        store.update(run)

    assert said(store, "b")["steps"]["one"]["status"] == "success"


def locks_denied(store: DAGRunStore) -> None:
    for name in ("run_r1.json", "run_r2.json", "dag_runs_index.json"):
        lock = store.storage_path / f"{name}.lock"
        lock.unlink(missing_ok=True)
        lock.mkdir()


def store_denied(_: DAGRunStore) -> None:
    original = SqliteStore.write

    def write(self: SqliteStore, work: Any, **options: Any) -> Any:
        if self.path is not None:
            raise StoreError("the disk is full")
        return original(self, work, **options)

    SqliteStore.write = write  # type: ignore[method-assign]  # until the test puts it back


@pytest.mark.parametrize("deny", [locks_denied, store_denied], ids=["no lock", "no write"])
@pytest.mark.parametrize("changed", [True, False], ids=["changed", "unchanged"])
def test_where_nothing_can_be_written_reading_answers_from_the_file(
    store: DAGRunStore, deny: Callable[[DAGRunStore], None], changed: bool
) -> None:
    made(store)
    if changed:
        by_hand(store, lambda data: data["steps"]["load"].update(status="success"))
    word = "success" if changed else "pending"
    original = SqliteStore.write
    deny(store)
    try:
        before = {path.name: path.read_bytes() for path in store.storage_path.glob("*.json")}

        run = got(store)
        assert run.steps["load"].status.value == word
        assert [one["run_id"] for one in store.list_runs()] == ["r1"]
        run.steps["fetch"].start()
        with pytest.raises(StoreError):
            store.update(run)
        with pytest.raises(StoreError):
            store.delete("r1")
        with pytest.raises(StoreError):
            store.create(new_run("r2"))
        assert {path.name: path.read_bytes() for path in store.storage_path.glob("*.json")} == before
    finally:
        SqliteStore.write = original  # type: ignore[method-assign]  # as it was
        for path in store.storage_path.glob("*.lock"):
            path.rmdir() if path.is_dir() else path.unlink()
    assert got(store).steps["load"].status.value == word


READ_ONLY = """
import os, sys
from pathlib import Path
from tasktrail.dag import DAGResumeManager, DAGRun, DAGRunStore
warm = DAGRunStore("warm")  # all that is imported late is imported now, as long as we may read it
warm.create(DAGRun("etl", "r1"))
print(DAGResumeManager(warm).can_resume("r1"), warm.list_runs()[0]["status"], warm.update(warm.get("r1")))
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
store = DAGRunStore("runs")
print(sorted((one["run_id"], one["status"]) for one in store.list_runs()), store.get("b").steps["one"].error)
print(DAGResumeManager(store).can_resume("b"))
try:
    store.update(store.get("b"))
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("with_store", [True, False], ids=["a store", "no store"])
@pytest.mark.skipif(sys.platform == "win32", reason="folders have no mode there")
def test_a_folder_that_nobody_may_write_to_can_be_read(with_store: bool) -> None:
    base = Path(tempfile.mkdtemp())
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(base)
            store = given_files()
            if with_store:
                store.list_runs()
                store.ledger.store.close()
                by_hand(store, lambda data: data.update(status="failed", steps={"one": {"status": "failed"}}), "a")
        for path in (*base.rglob("*"), base):
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = everything(base)

        told = processes.run(READ_ONLY, base).splitlines()[1:]

        word = "failed" if with_store else "success"
        assert told[0] == f"[('a', '{word}'), ('b', 'failed')] x"
        assert told[1] == "(True, 'failed: 1 failed and 0 unfinished steps')"
        assert told[2:] == ["StoreError"]
        assert everything(base) == before
    finally:
        for path in (base, *base.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(base)


def test_a_file_that_is_no_store_is_said_so_and_not_read_around(store: DAGRunStore) -> None:
    given_files()
    Path(".tasktrail").mkdir()
    Path(".tasktrail/tasktrail.db").write_text("something else\n" * 20)

    for ask in (lambda: store.get("a"), store.list_runs):
        with pytest.raises(NotAStore):
            ask()
    Path(".tasktrail/tasktrail.db").unlink()
    Path(".tasktrail").rmdir()


# ---------------------------------------------------------------------------------------------- a project that is moved


def a_project(folder: Path) -> None:
    """A project with a run, its file and its store."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        store = DAGRunStore("runs")
        made(store)
        store.ledger.store.close()


def test_a_project_that_is_moved_knows_its_runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("projects")
    a_project(base / "old")
    (base / "old").rename(base / "new")

    moved = DAGRunStore(base / "new" / "runs")

    assert got(moved).run_id == "r1"
    assert names(moved) == ["r1"]
    assert [one["run_id"] for one in moved.list_runs()] == ["r1"]


def test_a_copy_of_a_project_changes_its_own_files_and_never_those_it_was_copied_from(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    base = tmp_path_factory.mktemp("projects")
    a_project(base / "one")
    shutil.copytree(base / "one", base / "two")
    before = everything(base / "one")
    copied = DAGRunStore(base / "two" / "runs")

    run = ProjectRuns(copied.ledger).find("r1")
    assert run is not None
    copied.ledger.ask(tasks(copied)[0].id, Ask("complete"))

    assert said(copied)["steps"]["fetch"]["status"] == "success"
    assert everything(base / "one") == before
    assert names(copied) == ["r1"]
