"""Run files that are created, read, changed and removed: what they cost, and what they refuse."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from pathlib import Path

import pytest

from tasktrail.dag import DAGRun, DAGRunStatus, DAGRunStore, DAGStepStatus
from tasktrail.formats.picture import MAX_TASKS
from tasktrail.model.errors import BadInput, Conflict
from tasktrail.store.sqlite import SqliteStore
from tests.dag.run_files import (
    everything,
    got,
    made,
    names,
    new_run,
    path_of,
    said,
)

ODD_RUN_IDS = ["../etc", "a/b", "a\0b", "x" * 10_000, "🚀", ".hidden", "-rf", "a\nb", "\ud800", " a", "a:b", "CON\\x"]


@pytest.mark.requirement("BL-053", "BL-065")
def test_a_run_is_a_file_that_people_can_read(store: DAGRunStore) -> None:
    run = new_run("my-dag-123", steps=("fetch",))
    run.metadata["owner"] = "CÄ"
    run.steps["fetch"].start()
    run.steps["fetch"].complete({"rows": 7})

    assert store.create(run) == "my-dag-123"

    text = path_of(store, "my-dag-123").read_text(encoding="utf-8")
    assert text.startswith(
        '{\n  "run_id": "my-dag-123",\n  "dag_id": "etl",\n  "status": "success",\n  "created_at": "2'
    )
    assert '"owner": "CÄ"' in text
    step = said(store, "my-dag-123")["steps"]["fetch"]
    assert list(step) == [
        "step_id", "status", "start_time", "end_time", "duration_seconds", "retry_count", "max_retries", "error",
        "result", "metadata",
    ]  # fmt: skip
    assert (step["status"], step["result"], step["retry_count"]) == ("success", {"rows": 7}, 0)
    assert stat.S_IMODE(path_of(store, "my-dag-123").stat().st_mode) == 0o600


@pytest.mark.requirement("BL-054", "BL-055")
def test_a_run_is_created_read_changed_listed_and_deleted(store: DAGRunStore) -> None:
    made(store)
    run = got(store)
    run.steps["fetch"].start()

    assert store.update(run) is True
    assert got(store).steps["fetch"].status is DAGStepStatus.RUNNING
    assert said(store)["steps"]["fetch"]["status"] == "running"
    assert [one["run_id"] for one in store.list_runs()] == ["r1"]
    assert (store.delete("r1"), store.delete("r1")) == (True, False)
    assert (store.get("r1"), store.list_runs(), names(store)) == (None, [], [])
    assert [path.name for path in store.storage_path.glob("*r1*")] == []


@pytest.mark.requirement("BL-055")
def test_what_does_not_exist_is_none_false_or_not_found(store: DAGRunStore) -> None:
    with pytest.raises(ValueError, match="DAGRun r1 not found"):
        store.update(new_run())

    assert (store.get("r1"), store.delete("r1")) == (None, False)
    assert list(Path().iterdir()) == []


@pytest.mark.requirement("BL-051")
@pytest.mark.parametrize("at_once", [True, False], ids=["created so", "created, then updated"])
def test_every_state_comes_back_as_it_was_assigned(store: DAGRunStore, at_once: bool) -> None:
    run = new_run(steps=("done", "failed", "again", "left", "off", "busy", "new"))
    if not at_once:
        store.create(run)
    steps = run.steps
    for key in ("done", "failed", "again", "busy"):
        steps[key].start()
    steps["done"].complete({"rows": [1, 2.5, None, "ü"], "big": "x" * 5000})
    steps["failed"].fail("boom")
    steps["again"].fail("try it again")
    assert steps["again"].retry()
    steps["left"].skip("not today")
    steps["off"].cancel()
    steps["failed"].metadata["note"] = {"by": "CC"}
    steps["failed"].metadata["critical"] = False
    expected = {key: step.to_dict() for key, step in steps.items()}
    assert store.update(run) if not at_once else store.create(run)

    found = {key: step.to_dict() for key, step in got(store).steps.items()}

    for step in expected.values():
        step["metadata"] = {"critical": True, **step["metadata"]}
    assert found == expected


@pytest.mark.requirement("BL-051")
def test_a_run_that_is_created_when_it_is_over_keeps_its_times_and_its_words(store: DAGRunStore) -> None:
    run = new_run(steps=("a", "b", "c"))
    run.metadata["ticket"] = 7
    run.start()
    for key in "ab":
        run.steps[key].start()
    run.steps["a"].complete(1)
    run.steps["b"].fail("boom")
    run.steps["c"].skip("why not")
    run.complete()
    expected = run.to_dict()
    store.create(run)

    found = got(store).to_dict()

    for key in ("status", "error", "created_at", "start_time", "end_time", "duration_seconds"):
        assert found[key] == expected[key], key
    assert found["status"] == "partial_success"
    assert found["metadata"]["ticket"] == 7


def test_the_object_that_was_created_goes_on_standing_for_the_run(store: DAGRunStore) -> None:
    run = made(store)
    step = run.steps["fetch"]
    step.start()
    store.update(run)
    step.complete("seven")
    store.update(run)

    assert got(store).steps["fetch"].result == "seven"
    assert run.updated_at > run.created_at


def test_a_step_that_was_added_is_stored_by_update(store: DAGRunStore) -> None:
    run = made(store)
    run.add_step("extra", max_retries=7).skip("later")
    store.update(run)

    assert list(said(store)["steps"]) == ["fetch", "load", "save", "extra"]
    assert (got(store).steps["extra"].status, got(store).steps["extra"].max_retries) == (DAGStepStatus.SKIPPED, 7)


@pytest.mark.requirement("BL-063")
def test_an_id_that_is_taken_is_a_conflict_and_changes_nothing(store: DAGRunStore) -> None:
    made(store)
    before = everything(Path("runs"))

    with pytest.raises(Conflict, match=r"run_r1\.json exists already"):
        store.create(new_run(steps=("other",)))

    assert everything(Path("runs")) == before
    assert names(store) == ["r1"]


def test_what_is_no_json_is_refused_and_leaves_no_trace(store: DAGRunStore) -> None:
    run = new_run()
    run.steps["load"].result = {1, 2}

    with pytest.raises(BadInput, match="result of step 'load' is not JSON"):
        store.create(run)

    run.steps["load"].result = None
    assert store.list_runs() == []
    store.create(run)
    run.steps["save"].start()
    run.steps["save"].complete(object())
    before = everything(Path("runs"))
    with pytest.raises(BadInput, match="result of step 'save' is not JSON"):
        store.update(run)
    assert everything(Path("runs")) == before


@pytest.mark.requirement("BL-061")
def test_the_second_of_two_who_change_the_same_step_is_told(store: DAGRunStore) -> None:
    made(store)
    mine, yours = got(store), got(store)
    mine.steps["fetch"].start()
    yours.steps["fetch"].skip("mine is better")
    store.update(mine)
    before = everything(Path("runs"))

    with pytest.raises(Conflict, match="fetch was changed by somebody else"):
        store.update(yours)

    assert everything(Path("runs")) == before
    assert got(store).steps["fetch"].status is DAGStepStatus.RUNNING


@pytest.mark.requirement("BL-061")
def test_two_who_change_different_steps_both_succeed(store: DAGRunStore) -> None:
    made(store)
    mine, yours = got(store), got(store)
    mine.steps["fetch"].start()
    yours.steps["load"].skip("no need")
    store.update(mine)
    store.update(yours)

    assert [step["status"] for step in said(store)["steps"].values()] == ["running", "skipped", "pending"]


def test_two_who_change_the_same_word_of_the_run_are_a_conflict(store: DAGRunStore) -> None:
    made(store)
    mine, yours = got(store), got(store)
    mine.metadata["mine"] = 1
    store.update(mine)
    yours.metadata["yours"] = 2

    with pytest.raises(Conflict):
        store.update(yours)


def test_a_conflict_stores_nothing_of_the_draft(store: DAGRunStore) -> None:
    made(store)
    mine, yours = got(store), got(store)
    mine.steps["fetch"].start()
    yours.add_step("extra")
    yours.steps["fetch"].skip("mine is better")
    store.update(mine)

    with pytest.raises(Conflict):
        store.update(yours)

    assert list(got(store).steps) == ["fetch", "load", "save"]


def test_an_object_that_is_not_the_stored_run_is_refused(store: DAGRunStore) -> None:
    made(store)
    elsewhere = DAGRunStore("elsewhere")
    other = made(elsewhere)

    for stranger in (new_run(), DAGRun.from_dict(got(store).to_dict()), other):
        with pytest.raises(Conflict, match="not the stored DAGRun r1"):
            store.update(stranger)


def test_a_run_declares_what_its_steps_do_not_explain(store: DAGRunStore) -> None:
    run = made(store)
    run.fail("the disk is full")
    store.update(run)

    assert (said(store)["status"], said(store)["error"]) == ("failed", "the disk is full")
    assert (got(store).status, got(store).error) == (DAGRunStatus.FAILED, "the disk is full")


def test_a_run_may_declare_in_the_same_breath_in_which_a_step_moves(store: DAGRunStore) -> None:
    run = made(store)
    run.steps["fetch"].start()
    run.fail("the disk is full")
    store.update(run)

    assert (got(store).status, got(store).error) == (DAGRunStatus.FAILED, "the disk is full")


@pytest.mark.parametrize("what", ["metadata", "max_retries"])
def test_what_a_step_is_stands_in_the_file_when_update_returns(store: DAGRunStore, what: str) -> None:
    run = made(store)
    if what == "metadata":
        run.steps["fetch"].metadata["note"] = "kept"
    else:
        run.steps["fetch"].max_retries = 9
    store.update(run)

    assert said(store)["steps"]["fetch"][what] == ({"note": "kept"} if what == "metadata" else 9)


@pytest.mark.parametrize("run_id", ODD_RUN_IDS, ids=ascii)
def test_an_id_that_could_be_a_path_is_refused_everywhere(store: DAGRunStore, run_id: str) -> None:
    with pytest.raises(BadInput):
        store.create(new_run(run_id))
    with pytest.raises(ValueError, match="not found"):
        store.update(new_run(run_id))

    assert (store.get(run_id), store.delete(run_id)) == (None, False)
    assert store.list_runs() == []
    assert [path.name for path in Path().rglob("*.json")] == []


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="null byte"):
        DAGRunStore("a\0b")


def test_a_document_refuses_more_than_20000_steps(store: DAGRunStore) -> None:
    run = DAGRun("etl", "large")
    for number in range(MAX_TASKS + 1):
        run.add_step(f"s{number}")

    with pytest.raises(BadInput, match="at most 20,000 steps, got: 20,001"):
        store.create(run)

    assert (names(store), store.list_runs(), path_of(store, "large").exists()) == ([], [], False)
    path_of(store, "large").write_text(json.dumps({"run_id": "large", "steps": {key: {} for key in run.steps}}))
    with pytest.raises(BadInput, match=r"run_large\.json:1:\d+: expected steps to be at most 20,000"):
        store.get("large")


def test_a_large_run_takes_no_step_more_than_it_may(store: DAGRunStore) -> None:
    run = DAGRun("etl", "large")
    for number in range(MAX_TASKS):
        run.add_step(f"s{number}")
    store.create(run)
    run.add_step("one too many")

    with pytest.raises(BadInput, match="at most 20,000 steps, got: 20,001"):
        store.update(run)

    assert len(said(store, "large")["steps"]) == MAX_TASKS
    assert len(got(store, "large").steps) == MAX_TASKS


# --------------------------------------------------------------------------------------------------- what a write costs


def test_a_write_costs_one_commit_and_makes_file_folder_and_index_durable(
    store: DAGRunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long that takes is measured by the benchmarks."""
    run = made(store)
    run.steps["fetch"].start()
    store.update(run)
    synced: list[str] = []
    sync = os.fsync

    def fsync(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        sync(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    statements: list[str] = []

    def trace(_cursor: object, sql: str, _bindings: object) -> bool:
        statements.append(sql)
        return True

    database = store.ledger.store
    assert isinstance(database, SqliteStore)
    database._connection().exec_trace = trace
    run.steps["fetch"].complete()
    store.update(run)
    database._connection().exec_trace = None

    assert synced == [".run_r1.json.part", "runs", ".dag_runs_index.json.part", "runs"]
    assert statements.count("COMMIT") == 1


def test_what_a_run_comes_to_changes_how_steps_are_shown_that_nobody_touched(store: DAGRunStore) -> None:
    """A write reads only the steps that changed since the last one, unless the run does not stand where it stood."""
    run = made(store)
    seen = []
    for move in (
        lambda step: step.start(),
        lambda step: step.complete(1),
        lambda step: setattr(step, "status", "running"),
        lambda step: step.fail("boom"),
        lambda step: step.retry(),
    ):
        move(run.steps["fetch"])
        store.update(run)
        seen.append([step["status"] for step in said(store)["steps"].values()])

    assert seen == [
        ["running", "pending", "pending"],
        ["success", "pending", "pending"],
        ["running", "pending", "pending"],
        ["failed", "skipped", "skipped"],
        ["retry", "pending", "pending"],
    ]


@pytest.mark.requirement("BL-064")
def test_a_large_dag_is_kept_whole_and_a_change_touches_its_own_lines(store: DAGRunStore) -> None:
    """How long a write takes is measured by the benchmarks."""
    run = new_run(steps=tuple(f"step-{n}" for n in range(2_000)))
    store.create(run)
    before = path_of(store).read_text("utf-8").splitlines()

    run.steps["step-1234"].start()
    run.steps["step-1234"].complete({"rows": 7})
    store.update(run)

    after = path_of(store).read_text("utf-8").splitlines()
    assert (Counter(after) - Counter(before)).total() <= 12  # of the run and of the step
    assert len(got(store).steps) == 2_000
    assert got(store).steps["step-1234"].result == {"rows": 7}
    assert {key for key, step in said(store)["steps"].items() if step["status"] != "pending"} == {"step-1234"}
