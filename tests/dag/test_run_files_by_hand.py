"""What a person changes in a run file is so at the next look, and what was not changed stays, to the character."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasktrail.dag import DAGRunStatus, DAGRunStore, DAGStepStatus
from tasktrail.model.lifecycle import Ask
from tests.dag.executors import Recording
from tests.dag.run_files import (
    Edit,
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


@pytest.mark.parametrize(
    ("edit", "seen"),
    [
        (lambda d: d["steps"]["load"].update(status="success", result=[1]), {"status": "success", "result": [1]}),
        (lambda d: d["steps"]["load"].update(status="failed", error="gone"), {"status": "failed", "error": "gone"}),
        (lambda d: d["steps"]["load"].update(status="running"), {"status": "running"}),
        (lambda d: d["steps"]["load"].update(status="retry", retry_count=2), {"status": "retry", "retry_count": 2}),
        (lambda d: d["steps"]["load"].update(status="cancelled"), {"status": "cancelled"}),
        (lambda d: d["steps"]["load"].update(retry_count=2), {"status": "pending", "retry_count": 2}),
        (lambda d: d["steps"]["load"].pop("retry_count"), {"retry_count": 0}),
        (lambda d: d["steps"]["load"].update(max_retries=9), {"max_retries": 9}),
        (lambda d: d["steps"]["load"].pop("max_retries"), {"max_retries": 3}),
        (lambda d: d["steps"]["load"].update(result={"big": "x" * 5000}), {"result": {"big": "x" * 5000}}),
        (lambda d: d["steps"]["load"].update(metadata={"a": 1}), {"metadata": {"a": 1, "critical": False}}),
        (lambda d: d["steps"]["load"].update(start_time="2025-05-19T10:00:00Z"),
         {"start_time": "2025-05-19T10:00:00+00:00"}),
        (lambda d: d["steps"]["load"].update(status="skipped", metadata={"skip_reason": "no data"}),
         {"status": "skipped", "metadata": {"skip_reason": "no data", "critical": False}}),
        (lambda d: d["steps"]["load"].update(
            status="success", start_time="2025-05-19T10:00:00Z", end_time="2025-05-19T10:00:02.5Z"),
         {"duration_seconds": 2.5}),
        (lambda d: d["steps"].update(load={}), {"status": "pending", "retry_count": 0, "max_retries": 3}),
    ],
    ids=[
        "success and result", "failed and error", "running", "retry", "cancelled", "retry_count", "no retry_count",
        "max_retries", "no max_retries", "large result", "metadata", "start_time", "skip_reason", "times", "emptied",
    ],
)  # fmt: skip
def test_what_is_changed_by_hand_is_so_at_the_next_look(store: DAGRunStore, edit: Edit, seen: dict[str, Any]) -> None:
    run = made(store)
    run.steps["fetch"].start()
    run.steps["fetch"].fail("as it was")
    for step in run.steps.values():
        step.metadata["critical"] = False  # a stopped run would show its other steps as skipped
    store.update(run)
    others = {key: got(store).steps[key].to_dict() for key in ("fetch", "save")}
    by_hand(store, edit)
    mine = path_of(store).read_bytes()

    one = got(store).steps["load"].to_dict()

    assert {key: one[key] for key in seen} == seen
    assert {key: got(store).steps[key].to_dict() for key in ("fetch", "save")} == others
    assert path_of(store).read_bytes() == mine
    assert next(one for one in store.list_runs() if one["run_id"] == "r1")["status"] == got(store).status.value


@pytest.mark.parametrize(
    ("edit", "seen"),
    [
        (lambda d: d.update(status="cancelled", error="called off"), {"status": "cancelled", "error": "called off"}),
        (lambda d: d.update(status="failed"), {"status": "failed", "error": None}),
        (lambda d: d.update(error="look at this"), {"status": "created", "error": "look at this"}),
        (lambda d: d.update(metadata={"owner": "CA"}), {"metadata": {"owner": "CA"}}),
        (lambda d: d.update(metadata={}), {"metadata": {}}),
        (lambda d: d.pop("metadata"), {"metadata": {}}),
    ],
    ids=["status and error", "status", "error", "metadata", "metadata emptied", "metadata removed"],
)
def test_so_is_what_is_changed_of_the_run_itself(store: DAGRunStore, edit: Edit, seen: dict[str, Any]) -> None:
    run = new_run()
    run.metadata["owner"] = "CC"
    store.create(run)
    by_hand(store, edit)

    found = got(store).to_dict()
    assert {key: found[key] for key in seen} == seen

    run = got(store)  # and it stays so when we write the file the next time
    run.metadata["more"] = 1
    store.update(run)
    found = got(store).to_dict()
    if "metadata" in seen:
        seen = {"metadata": {**seen["metadata"], "more": 1}}
    assert {key: found[key] for key in seen} == seen
    assert {key: said(store)[key] for key in seen} == seen


@pytest.mark.parametrize(
    "change",
    [{"retry_count": 1}, {"max_retries": 9}, {"metadata": {"a": 1}}, {"result": 1}],
    ids=lambda change: next(iter(change)),
)
def test_what_is_not_changed_by_hand_stays(store: DAGRunStore, change: dict[str, Any]) -> None:
    """One word of a step that failed is changed; its error and its times are what they were."""
    run = made(store)
    run.steps["fetch"].start()
    run.steps["fetch"].fail("boom")
    store.update(run)
    before = got(store).steps["fetch"].to_dict()
    by_hand(store, lambda data: data["steps"]["fetch"].update(change))

    after = got(store).steps["fetch"].to_dict()

    for key in change:
        before.pop(key)
        after.pop(key)
    assert after == before


def test_metadata_that_are_removed_by_hand_are_gone(store: DAGRunStore) -> None:
    run = new_run()
    run.steps["fetch"].metadata["secret"] = "x"
    store.create(run)
    by_hand(store, lambda data: data["steps"]["fetch"].update(metadata={}))

    run = got(store)
    assert run.steps["fetch"].metadata == {"critical": True}
    run.metadata["team"] = "east"
    store.update(run)
    assert said(store)["steps"]["fetch"]["metadata"] == {}


def test_a_step_that_is_added_by_hand_is_a_step(store: DAGRunStore) -> None:
    made(store)
    by_hand(store, lambda data: data["steps"].update(extra={"status": "failed", "error": "boom", "max_retries": 1}))

    assert list(got(store).steps) == ["fetch", "load", "save", "extra"]
    step = got(store).steps["extra"]
    assert (step.status, step.error, step.max_retries) == (DAGStepStatus.FAILED, "boom", 1)


@pytest.mark.parametrize("again", [{}, {"status": "cancelled", "error": "boom"}, {"status": "skipped"}], ids=str)
def test_a_step_that_is_removed_by_hand_is_out_of_the_file_until_it_comes_back(
    store: DAGRunStore, again: dict[str, Any]
) -> None:
    run = made(store)
    run.steps["load"].start()
    run.steps["load"].complete("old")
    store.update(run)
    by_hand(store, lambda data: data["steps"].pop("load"))
    run = got(store)

    assert run.steps["load"].status is DAGStepStatus.SKIPPED
    assert run.steps["load"].metadata["skip_reason"] == "removed from its document"
    run.steps["save"].start()
    store.update(run)
    assert list(said(store)["steps"]) == ["fetch", "save"]

    by_hand(store, lambda data: data["steps"].update(load=again))
    step = got(store).steps["load"]
    assert (step.status.value, step.error, step.result) == (again.get("status", "pending"), again.get("error"), None)
    run = got(store)
    run.steps["save"].complete()
    store.update(run)
    assert {key: step.get("status") for key, step in said(store)["steps"].items()} == {
        "fetch": "pending", "save": "success", "load": again.get("status"),
    }  # fmt: skip


def test_a_change_by_hand_does_not_unblock_a_step_that_the_file_has_no_word_for(store: DAGRunStore) -> None:
    made(store)
    store.ledger.ask(tasks(store)[0].id, Ask("block", reason="a person must look"))
    assert said(store)["steps"]["fetch"]["status"] == "pending"

    by_hand(store, lambda data: data["steps"]["fetch"].update(max_retries=9, metadata={"seen": True}))

    assert got(store).steps["fetch"].max_retries == 9
    assert (tasks(store)[0].status, tasks(store)[0].reason) == ("blocked", "a person must look")


def test_a_change_by_hand_leaves_pending_what_is_only_shown_as_skipped(store: DAGRunStore) -> None:
    run = made(store)
    run.steps["fetch"].start()
    run.steps["fetch"].fail("boom")
    store.update(run)
    assert [step["status"] for step in said(store)["steps"].values()] == ["failed", "skipped", "skipped"]

    by_hand(store, lambda data: data["steps"]["save"].update(max_retries=9))

    assert got(store).steps["save"].status is DAGStepStatus.SKIPPED
    assert [task.status for task in tasks(store)] == ["failed", "pending", "pending"]


async def test_a_stopped_run_that_is_set_going_by_one_word_still_reaches_what_it_shows_as_skipped(
    store: DAGRunStore,
) -> None:
    """The person who writes `running` at the top has not skipped anything, however often the file is edited then."""
    run = made(store)
    run.steps["fetch"].start()
    run.steps["fetch"].fail("boom")
    store.update(run)
    by_hand(store, lambda data: data.update(status="running"))
    got(store)
    by_hand(store, lambda data: data["steps"]["fetch"].update(status="success"))
    assert [task.status for task in tasks(store)] == ["completed", "pending", "pending"]
    recording = Recording()

    await executed(store, recording)

    assert recording.ran == ["load", "save"]


def test_a_reason_beside_a_step_that_is_only_shown_as_skipped_skips_it(store: DAGRunStore) -> None:
    run = made(store)
    run.steps["fetch"].start()
    run.steps["fetch"].fail("boom")
    store.update(run)

    by_hand(store, lambda data: data["steps"]["save"].update(metadata={"skip_reason": "not needed"}))

    assert [(task.status, task.reason) for task in tasks(store)][1:] == [("pending", None), ("skipped", "not needed")]


@pytest.mark.parametrize("said", [True, False], ids=["false is removed", "true is made false"])
def test_whether_a_step_is_critical_can_be_changed_by_hand(store: DAGRunStore, said: bool) -> None:
    run = new_run()
    run.steps["load"].metadata["critical"] = not said
    store.create(run)

    by_hand(store, lambda data: data["steps"]["load"].update(critical=False) if not said
            else data["steps"]["load"].pop("critical"))  # fmt: skip

    assert got(store).steps["load"].metadata["critical"] is said


async def test_a_step_that_was_set_back_by_hand_is_executed_again(store: DAGRunStore) -> None:
    recording = Recording()
    await executed(store, recording)
    by_hand(store, lambda data: data["steps"]["load"].update(status="pending", result=None))

    await executed(store, recording)

    assert recording.ran == ["fetch", "load", "save", "load"]
    assert (said(store)["status"], said(store)["steps"]["load"]["result"]) == ("success", "load")


@pytest.mark.parametrize("word", ["running", "retry", "failed"])
async def test_whatever_a_hand_wrote_an_execution_goes_on_from_it(store: DAGRunStore, word: str) -> None:
    made(store)
    by_hand(store, lambda data: data["steps"]["fetch"].update(status="success", result="by hand"))
    by_hand(store, lambda data: data["steps"]["load"].update(status=word))
    recording = Recording()

    run = await executed(store, recording)

    assert (run.status, recording.ran) == (DAGRunStatus.SUCCESS, ["load", "save"])
    assert run.steps["fetch"].result == "by hand"


UNTIDY = """{ "x-owner":   ["CC",
      "CA"],
  "steps" : {
\t"fetch": {"note": {"deep": [1,  2]}, "status":   "pending", "z": 1},
\t"load" : { "metadata":{ "ticket" :"T-7","a":{} } },

    "save": {
              "status": "pending"     }
  },\t"run_id": "r1",  "x-last": 1.50,
"dag_id"    :"etl"}
"""


async def test_only_the_changed_characters_move_in_a_whole_execution(store: DAGRunStore) -> None:
    store.storage_path.mkdir()
    path_of(store).write_bytes(UNTIDY.encode())

    run = await executed(store, Recording())

    text = path_of(store).read_text()
    assert run.status is DAGRunStatus.SUCCESS
    for untouched in (
        '{ "x-owner":   ["CC",\n      "CA"],\n  "steps" : {\n',
        '\t"fetch": {"note": {"deep": [1,  2]}, "status":   "success", "z": 1',
        '\n\t"load" : { "metadata":{ "ticket" :"T-7","a":{} }',
        '\n\n    "save": {\n              "status": "success"',
        '},\t"run_id": "r1",  "x-last": 1.50,\n"dag_id"    :"etl"',
    ):  # fmt: skip
        assert untouched in text
    assert [step["status"] for step in said(store)["steps"].values()] == ["success"] * 3
    assert said(store)["steps"]["save"]["result"] == "save"
    assert said(store)["status"] == "success"


async def test_a_finished_run_that_is_executed_again_keeps_every_byte(store: DAGRunStore) -> None:
    await executed(store, Recording())
    before = everything(Path("runs"))
    recording = Recording()

    await executed(store, recording)
    store.get("r1")

    assert (everything(Path("runs")), recording.ran) == (before, [])


async def test_times_that_we_did_not_set_are_left_as_they_were(store: DAGRunStore) -> None:
    times = '"start_time": "2025-05-19T10:00:00Z", "end_time": "2025-05-19 12:00:02.50+02:00"'
    store.storage_path.mkdir()
    path_of(store).write_text(
        f'{{"run_id": "r1", "dag_id": "etl", "created_at": "2025-05-19", "start_time": "2025-05-19T10:00Z", '
        f'"steps": {{"fetch": {{"status": "success", {times}}}, "load": {{}}, "save": {{}}}}}}'
    )

    await executed(store, Recording())

    text = path_of(store).read_text()
    assert times in text
    assert '"created_at": "2025-05-19", "start_time": "2025-05-19T10:00Z"' in text
    assert said(store)["steps"]["load"]["start_time"] > "2026"
    assert got(store).steps["fetch"].duration_seconds == 2.5


def test_a_dag_id_that_is_changed_by_hand_is_adopted(store: DAGRunStore) -> None:
    made(store)
    by_hand(store, lambda data: data.update(dag_id="other"))

    assert got(store).dag_id == "other"
    assert [one["run_id"] for one in store.list_runs("other")] == ["r1"]
    run = got(store)
    run.metadata["team"] = "east"
    store.update(run)
    assert said(store)["dag_id"] == "other"


def test_words_of_the_file_that_the_store_does_not_take_over_stay_in_it(store: DAGRunStore) -> None:
    made(store)
    by_hand(store, lambda data: data.update(run_id="other", created_at="2020-01-01T00:00:00Z"))

    run = got(store)
    run.metadata["team"] = "east"
    store.update(run)

    assert (said(store)["run_id"], said(store)["created_at"]) == ("other", "2020-01-01T00:00:00Z")
    assert got(store).run_id == "r1"


# --------------------------------------------------------------------------------------------------- gone and come back


def test_a_file_that_is_gone_answers_as_a_missing_one_and_its_run_is_kept(store: DAGRunStore) -> None:
    run = made(store)
    path_of(store).rename("away.json")
    run.steps["fetch"].start()

    assert (store.get("r1"), store.list_runs(), store.delete("r1")) == (None, [], False)
    with pytest.raises(ValueError, match="not found"):
        store.update(run)
    assert store.get_statistics()["total_runs"] == 0
    assert index(store) == {}
    assert names(store) == ["r1"]

    Path("away.json").rename(path_of(store))
    assert got(store).steps["fetch"].status is DAGStepStatus.PENDING
    assert names(store) == ["r1"]


def test_a_run_that_is_created_where_a_file_was_removed_is_another_one(store: DAGRunStore) -> None:
    made(store)
    path_of(store).unlink()

    store.create(new_run(steps=("other",)))

    assert list(got(store).steps) == list(said(store)["steps"]) == ["other"]
    assert names(store) == ["r1", "r1-2"]
    assert [one["run_id"] for one in store.list_runs()] == ["r1"]


def test_a_secret_that_a_person_wrote_stays_in_the_file_and_reaches_no_byte_of_the_store(store: DAGRunStore) -> None:
    """Text is scrubbed before it is stored; the file is the person's, and a later write leaves it as it stands."""
    made(store)
    words, stays = "login with password=hunter2 refused", {"critical": False}
    by_hand(store, lambda d: d["steps"]["load"].update(status="failed", error=words, metadata=stays))

    assert got(store).steps["load"].error == "login with password=[secret] refused"
    run = got(store)
    run.metadata["team"] = "east"
    store.update(run)

    assert said(store)["steps"]["load"]["error"] == words
    assert said(store)["metadata"]["team"] == "east"
    assert got(store).steps["load"].error == "login with password=[secret] refused"
    files = [path.read_bytes() for path in Path(".tasktrail").iterdir() if path.is_file()]
    assert any(b"[secret]" in content for content in files)
    assert not any(b"hunter2" in content for content in files)
