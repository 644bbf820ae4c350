"""The three documented tools, as a client gets their answers. Source: document 001, Phase 2A."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tasktrail.engine.insight import Pattern
from tasktrail.engine.records import Wanted, list_executions
from tasktrail.executions import RawStore
from tasktrail.executions.answers import pattern_words
from tests.executions.told import START, raised
from tests.executions.told import told as executed
from tests.mcp.clients import call, each_era, inside, project

MEMBERS = {
    "id", "task_id", "task_slug", "task_name", "status", "started_at", "ended_at", "duration_ms", "trace_id", "span_id",
    "attempt", "error", "retrieval", "io", "backfilled", "task_type", "scheduled_vs_manual",
}  # fmt: skip


@pytest.fixture
def store() -> RawStore:
    """The project's store."""
    return RawStore()


def tell(store: RawStore, n: int = 1, **given: object) -> None:
    """Record executions, a minute apart."""
    for at in range(n):
        store.append_experience_idempotent(executed(**{"started_at": START + timedelta(minutes=at), **given}))


@each_era
@pytest.mark.requirement("AX-090", "AX-091", "AX-094")
async def test_tasks_list_answers_with_the_documented_members(store: RawStore, era: str):
    tell(store, files_written=["a.md"], trace_id="trace-1", span_id="span-1")
    tell(store, error=raised(ValueError("no paper")), status="failed", started_at=START + timedelta(hours=1))

    async with inside(project("executions"), era) as client:
        answer = await call(client, "tasks_list")

    assert answer.keys() == {"status", "executions", "total", "has_more", "next_cursor"}
    failed, done = answer["executions"]
    assert (answer["total"], answer["has_more"], answer["next_cursor"]) == (2, False, None)
    assert failed.keys() == done.keys() == MEMBERS
    assert done["id"].startswith("task_exec_daily_reflection_2025-11-05T14:15:00Z_")
    assert {name: done[name] for name in MEMBERS - {"id"}} == {
        "task_id": "daily", "task_slug": "daily_reflection", "task_name": "Daily reflection",
        "task_type": "self_reflection", "scheduled_vs_manual": "scheduled", "status": "success",
        "started_at": "2025-11-05T14:15:00.000000Z", "ended_at": "2025-11-05T14:15:01.000000Z", "duration_ms": 1000,
        "trace_id": "trace-1", "span_id": "span-1", "attempt": 1, "error": None, "backfilled": False,
        "retrieval": {"memory_count": 0, "source": []}, "io": {
            "files_written": ["a.md"], "artifact_ids": [], "tool_calls": [], "script_runs": []},
    }  # fmt: skip
    assert failed["error"].keys() == {"type", "message", "stack_hash"}
    assert (failed["error"]["type"], failed["error"]["message"]) == ("ValueError", "no paper")
    assert failed["error"]["stack_hash"].startswith("fp1:")


@pytest.mark.requirement("AX-098", "AX-102")
@pytest.mark.parametrize(("limit", "pages"), [(5, [5]), (4, [4, 1]), (2, [2, 2, 1])])
async def test_has_more_is_right_at_the_exact_limit(store: RawStore, limit: int, pages: list[int]):
    tell(store, 5)
    seen: list[int] = []
    ids: list[str] = []
    cursor: str | None = ""

    async with inside(project("executions"), "legacy") as client:
        while cursor is not None:
            answer = await call(client, "tasks_list", limit=limit, cursor=cursor)
            cursor = answer["next_cursor"]
            assert answer["has_more"] == (cursor is not None)
            seen.append(answer["total"])
            ids += [one["id"] for one in answer["executions"]]

    assert seen == pages
    assert ids == [one.id for one in store.list_task_executions()]


async def test_tasks_list_filters_as_the_store_does(store: RawStore):
    tell(store, 3)
    tell(store, task_id="other", status="failed", error=raised(ValueError("x")), started_at=START + timedelta(hours=1))

    async with inside(project("executions"), "legacy") as client:
        by_task = await call(client, "tasks_list", task_id="other")
        by_status = await call(client, "tasks_list", status="success")
        by_time = await call(client, "tasks_list", since="2025-11-05T14:17:00")
        lately = await call(client, "tasks_list", since="2h")
        from_files = await call(client, "tasks_list", backfilled=True)

    assert [one["task_id"] for one in by_task["executions"]] == ["other"]
    assert [one["status"] for one in by_status["executions"]] == ["success"] * 3
    assert by_time["total"] == 2  # the bound itself is included
    assert (lately["total"], from_files["total"]) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            {"status": "done"}, "status must be 'success' or 'failed'", marks=pytest.mark.requirement("AX-096")
        ),
        pytest.param(
            {"since": "last week"},
            "expected since to be an ISO 8601 time, got: 'last week'",
            marks=pytest.mark.requirement("AX-097"),
        ),
        ({"limit": 0}, "expected limit to be 1 to 100, got: 0"),
        ({"limit": 101}, "expected limit to be 1 to 100, got: 101"),
        ({"cursor": "mine"}, "expected a cursor that a page named, got: 'mine'"),
    ],
)
async def test_what_cannot_be_is_an_error_and_not_left_out(arguments: dict[str, object], message: str):
    async with inside(project("executions"), "legacy") as client:
        answer = await call(client, "tasks_list", **arguments)

    assert (answer["message"], answer["code"]) == (message, "bad_input")


@each_era
@pytest.mark.requirement("AX-092")
async def test_a_trace_has_all_attempts_by_number(store: RawStore, era: str):
    for attempt, status in ((2, "success"), (1, "failed")):
        error = raised(ValueError("x")) if status == "failed" else None
        tell(store, attempt=attempt, status=status, error=error, trace_id="trace-1",
             retry_of="span-1" if attempt > 1 else None, started_at=START + timedelta(hours=attempt))  # fmt: skip

    async with inside(project("executions"), era) as client:
        answer = await call(client, "tasks_by_trace", trace_id="trace-1")

    assert [(one["attempt"], one["status"]) for one in answer["executions"]] == [(1, "failed"), (2, "success")]
    assert (answer["retry_count"], answer["final_status"], answer["next_cursor"]) == (1, "success", None)


async def test_the_pages_of_a_long_trace_are_all_of_it(store: RawStore):
    for attempt in range(1, 8):
        tell(store, attempt=attempt, trace_id="trace-1", retry_of="span-1" if attempt > 1 else None,
             started_at=START + timedelta(hours=attempt))  # fmt: skip
    seen: list[int] = []

    async with inside(project("executions"), "legacy") as client:
        cursor: str | None = ""
        while cursor is not None:
            answer = await call(client, "tasks_by_trace", trace_id="trace-1", limit=3, cursor=cursor)
            seen += [one["attempt"] for one in answer["executions"]]
            assert (answer["retry_count"], answer["final_status"]) == (6, "success")
            cursor = answer["next_cursor"]
        wrong = await call(client, "tasks_by_trace", trace_id="trace-1", cursor="1.x")

    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert wrong["message"] == "expected a cursor that a page named, got: '1.x'"


@pytest.mark.requirement("AX-099")
async def test_a_trace_that_nobody_knows_is_empty_and_none_is_refused():
    async with inside(project("executions"), "legacy") as client:
        unknown = await call(client, "tasks_by_trace", trace_id="nobody's")
        empty = await call(client, "tasks_by_trace", trace_id="")
        missing = await call(client, "tasks_by_trace")

    assert (unknown["executions"], unknown["retry_count"], unknown["final_status"]) == ([], 0, None)
    assert empty["message"] == "trace_id is required"
    assert "tasks_by_trace needs trace_id" in missing["message"]


def failures(store: RawStore, n: int, error: Exception, **given: object) -> None:
    """Record failures of one place, a minute apart."""
    tell(store, n, status="failed", error=raised(error), **given)


@each_era
@pytest.mark.requirement("AX-093", "AX-095")
async def test_the_last_failures_and_the_patterns_of_more_than_those(store: RawStore, era: str):
    failures(store, 30, ValueError("no paper"))
    failures(store, 2, KeyError("ink"), task_id="printer")
    tell(store, 3)

    async with inside(project("executions"), era) as client:
        answer = await call(client, "tasks_last_failed", limit=3)
        unique = await call(client, "tasks_last_failed", unique_errors=True)
        one_task = await call(client, "tasks_last_failed", task_id="printer")

    assert [one["status"] for one in answer["failures"]] == ["failed"] * 3
    assert [one["count"] for one in answer["error_patterns"]] == [30, 2]
    assert answer["error_patterns"][0] == {
        "stack_hash": answer["failures"][0]["error"]["stack_hash"], "count": 30,
        "first_seen": "2025-11-05T14:15:00.000000Z", "last_seen": "2025-11-05T14:44:00.000000Z",
        "example_task_id": "daily", "example_trace_id": answer["failures"][0]["trace_id"],
    }  # fmt: skip
    assert answer["examined"] == 32
    assert [one["error"]["type"] for one in unique["failures"]] == ["ValueError", "KeyError"]
    assert [one["task_id"] for one in one_task["failures"]] == ["printer"] * 2


def test_failures_without_a_fingerprint_are_called_unknown(store: RawStore):
    failures(store, 1, ValueError("no paper"))
    (example,) = store._ledger.store.read(lambda tx: list_executions(tx, Wanted()))

    assert pattern_words(Pattern(None, 1, 0, 0, example))["stack_hash"] == "<unknown>"


@pytest.mark.parametrize("limit", [0, 51])
async def test_a_limit_of_failures_is_1_to_50(limit: int):
    async with inside(project("executions"), "legacy") as client:
        answer = await call(client, "tasks_last_failed", limit=limit)

    assert answer["message"] == f"expected limit to be 1 to 50, got: {limit}"


async def test_errors_come_by_how_often_they_were_seen_in_pages(store: RawStore):
    for n, error in enumerate((ValueError("a"), KeyError("b"), OSError("c")), 1):
        failures(store, n, error, task_id=f"task-{n}")

    async with inside(project("executions"), "legacy") as client:
        first = await call(client, "errors_top", limit=2)
        second = await call(client, "errors_top", limit=2, cursor=first["next_cursor"])
        none = await call(client, "errors_top", since="1h")
        wrong = await call(client, "errors_top", cursor="x")

    assert [(one["type"], one["count"]) for one in first["errors"]] == [("OSError", 3), ("KeyError", 2)]
    assert [(one["type"], one["status"]) for one in second["errors"]] == [("ValueError", "open")]
    assert (second["next_cursor"], none["errors"], wrong["code"]) == (None, [], "bad_input")


@pytest.mark.requirement("AX-102")
async def test_asking_makes_no_store(tmp_path):
    async with inside(project("all"), "legacy") as client:
        for name in ("tasks_list", "tasks_last_failed", "errors_top", "read_task_breakdown", "get_next_task"):
            assert (await call(client, name))["status"] == "success"

    assert list(tmp_path.iterdir()) == []
