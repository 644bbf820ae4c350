"""The trace of a run: its history in document 003's words, and what a program adds; saved, loaded, scrubbed."""

from __future__ import annotations

import json
import stat
from datetime import datetime
from pathlib import Path

import pytest

from tasktrail.dag import DAGRunStore, DAGTraceCollector, StatefulDAGRunner, TraceEvent, TraceEventType
from tasktrail.model.errors import BadInput
from tests.dag.executors import Failing, Recording
from tests.dag.run_files import by_hand, made

SECRET = "ghp_" + "a1B2" * 9


@pytest.fixture
def store() -> DAGRunStore:
    return DAGRunStore("runs")


async def traced(store: DAGRunStore | None = None) -> DAGTraceCollector:
    """Of a run in which one step succeeds, one fails once, one for good, and one never starts."""
    runner = StatefulDAGRunner("etl", store, dag_run_id="r1")
    runner.register_step("fetch", Recording().step("fetch"))
    runner.register_step("load", Failing(1), retry_delay=0.001)
    runner.register_step("save", Failing(error=ValueError(f"token {SECRET} refused")), max_retries=0)
    runner.register_step("tell", Failing(0))
    await runner.execute()
    return DAGTraceCollector("r1", store=store)


def test_the_types_are_those_of_the_document() -> None:
    assert [one.value for one in TraceEventType] == [
        "dag_start", "dag_complete", "dag_fail", "step_start", "step_complete", "step_fail", "step_retry", "step_skip",
        "error", "info", "debug",
    ]  # fmt: skip


@pytest.mark.parametrize("in_files", [True, False], ids=["run files", "the project"])
async def test_a_history_is_told_in_the_words_of_the_document(store: DAGRunStore, in_files: bool) -> None:
    trace = await traced(store if in_files else None)

    events = trace.collect()

    assert [(one.event_type, one.step_id) for one in events] == [
        ("step_start", "fetch"), ("dag_start", None), ("step_complete", "fetch"),
        ("step_start", "load"), ("step_retry", "load"), ("step_start", "load"), ("step_complete", "load"),
        ("step_start", "save"), ("step_fail", "save"), ("dag_fail", None),
    ]  # fmt: skip
    assert [one.data["attempt"] for one in events if one.step_id == "load"] == [1, 1, 2, 2]
    assert events[4].message == "host not reachable"
    assert [one.timestamp for one in events] == sorted(one.timestamp for one in events)
    assert all(datetime.fromisoformat(one.timestamp).utcoffset() is not None for one in events)


async def test_collecting_twice_tells_everything_once_and_keeps_what_a_program_added(store: DAGRunStore) -> None:
    trace = await traced(store)
    trace.add_event(TraceEventType.INFO, "all is well", seq=3)
    trace.add_event("debug", "looked at it", step_id="load", rows=7)

    first = list(trace.collect())

    assert trace.collect() == first
    assert len(first) == 12
    own = [one for one in first if one.event_type in ("info", "debug")]
    assert [(one.event_type, one.message, one.step_id, one.data) for one in own] == [
        ("info", "all is well", None, {"seq": 3}), ("debug", "looked at it", "load", {"rows": 7}),
    ]  # fmt: skip


async def test_a_run_that_ends_well_ends_in_dag_complete(store: DAGRunStore) -> None:
    runner = StatefulDAGRunner("etl", store, dag_run_id="r1")
    runner.register_step("fetch", Failing(0))
    await runner.execute()

    assert [one.event_type for one in DAGTraceCollector("r1", store=store).collect()][-1] == "dag_complete"


def test_what_a_draft_or_a_file_says_of_a_step_is_told_too(store: DAGRunStore) -> None:
    run = made(store)
    run.steps["fetch"].start()
    store.update(run)
    run.steps["fetch"].complete()
    store.update(run)
    by_hand(store, lambda data: data["steps"]["load"].update(status="failed", error="gone"))
    by_hand(store, lambda data: data["steps"]["save"].update(status="skipped", metadata={"skip_reason": "no use"}))

    events = DAGTraceCollector("r1", store=store).collect()

    assert [(one.event_type, one.step_id, one.message) for one in events if one.step_id][-2:] == [
        ("step_fail", "load", "gone"), ("step_skip", "save", "no use"),
    ]  # fmt: skip
    assert [one.event_type for one in events if one.step_id == "fetch"] == ["step_start", "step_complete"]


async def test_a_note_is_information(store: DAGRunStore) -> None:
    await traced(store)
    run = store.find("r1")
    assert run is not None
    store.ledger.note(store.ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))[0], "have a look")

    last = DAGTraceCollector("r1", store=store).collect()[-1]

    assert (last.event_type, last.step_id, last.message) == ("info", "fetch", "have a look")


def test_an_unknown_run_is_not_found_and_asking_makes_no_store() -> None:
    with pytest.raises(ValueError, match="DAGRun nope not found"):
        DAGTraceCollector("nope").collect()
    with pytest.raises(ValueError, match="DAGRun nope not found"):
        DAGTraceCollector("nope", store=DAGRunStore("runs")).collect()
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("run_id", ["../etc", "a\0b", "x" * 10_000, "🚀", ""], ids=ascii)
def test_an_id_that_could_be_a_path_is_refused(run_id: str) -> None:
    for make in (DAGTraceCollector, DAGTraceCollector.load):
        with pytest.raises(BadInput):
            make(run_id)


# --------------------------------------------------------------------------------------------------- summary and file


async def test_the_summary_counts_and_lists_the_errors(store: DAGRunStore) -> None:
    trace = await traced(store)
    assert trace.get_summary() == {
        "run_id": "r1", "total_events": 0, "by_type": {}, "errors": [], "first": None, "last": None,
    }  # fmt: skip

    trace.collect()
    trace.add_event("error", "the printer is on fire")
    summary = trace.get_summary()

    assert summary["total_events"] == 11
    assert summary["by_type"] == {
        "step_start": 4, "dag_start": 1, "step_complete": 2, "step_retry": 1, "step_fail": 1, "dag_fail": 1, "error": 1,
    }  # fmt: skip
    assert [one["event_type"] for one in summary["errors"]] == ["step_fail", "dag_fail", "error"]
    assert (summary["first"], summary["last"]) == (trace.events[0].timestamp, trace.events[-1].timestamp)


async def test_a_trace_is_saved_as_a_readable_file_and_comes_back(store: DAGRunStore) -> None:
    trace = await traced(store)
    trace.add_event("info", "größer", rows=[1, {"a": None}])
    trace.collect()

    path = trace.save()

    assert path == Path("data/dag_traces/trace_r1.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text(encoding="utf-8")
    assert text.startswith('{\n  "run_id": "r1",\n  "events": [\n    {\n      "event_type": "step_start",\n')
    assert "größer" in text
    loaded = DAGTraceCollector.load("r1", store=store)
    assert loaded is not None
    assert (loaded.run_id, loaded.events) == ("r1", trace.events)
    assert loaded.collect() == trace.events
    assert loaded.save() == path
    assert path.read_text(encoding="utf-8") == text


def test_it_is_written_again_and_deleted_once() -> None:
    trace = DAGTraceCollector("r1", "traces")
    for message in ("first", "second"):
        trace.add_event("info", message)
        trace.save()

    assert [one["message"] for one in json.loads(Path("traces/trace_r1.json").read_text())["events"]] == [
        "first", "second",
    ]  # fmt: skip
    assert (trace.delete(), trace.delete()) == (True, False)
    assert DAGTraceCollector.load("r1", "traces") is None
    assert list(Path("traces").iterdir()) == []


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"events": 5}', '{"events": [5]}', '{"events": [{}]}', '{"events": [{"odd": 1}]}', "null"],
)
def test_a_file_that_is_no_trace_is_refused_by_name(content: str) -> None:
    Path("trace_r1.json").write_text(content)

    with pytest.raises(BadInput, match=r"trace_r1\.json"):
        DAGTraceCollector.load("r1", "")

    assert Path("trace_r1.json").read_text() == content


async def test_nothing_that_is_saved_has_a_secret(store: DAGRunStore) -> None:
    trace = await traced(store)
    trace.collect()
    trace.add_event("error", f"could not log in with {SECRET}", url=f"https://x:{SECRET}@host/", many=[{"k": SECRET}])

    path = trace.save()

    assert SECRET not in path.read_text()
    assert SECRET not in json.dumps(trace.get_summary())
    assert "refused" in path.read_text()
    assert '"step_id": "save"' in path.read_text()


def test_an_event_says_what_it_was_given_or_is_refused() -> None:
    trace = DAGTraceCollector("r1")

    event = trace.add_event(TraceEventType.STEP_SKIP, "no", step_id="a", rows=(1, 2))

    assert event == TraceEvent("step_skip", event.timestamp, "a", "no", {"rows": [1, 2]})
    with pytest.raises(ValueError, match="jump"):
        trace.add_event("jump")
    with pytest.raises(BadInput, match="JSON"):
        trace.add_event("info", data=object())
    assert trace.events == [event]
