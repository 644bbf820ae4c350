"""The six tests of document 001, as somebody writes them who knows that document alone; each in its own store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasktrail.executions import CaptureMethod, ExperienceType, RawStore, create_task_execution_experience

pytestmark = pytest.mark.requirement("AX-087", "AX-088", "AX-089")
NOW = datetime(2025, 11, 5, 14, 15, tzinfo=UTC)


def execution(task_id="daily_reflection", attempt=1, status="success", trace_id=None, started_at=NOW):
    return create_task_execution_experience(
        task_id=task_id,
        task_slug=task_id,
        task_name="Daily Reflection",
        task_type="self_reflection",
        scheduled_vs_manual="scheduled",
        started_at=started_at,
        ended_at=started_at + timedelta(seconds=1),
        status=status,
        response_text="Write to ann@example.org from 10.0.0.7",
        error=ValueError("no paper") if status == "failed" else None,
        parent_experience_ids=["exp_1", "exp_2"],
        retrieval_metadata={"memory_count": 2, "source": ["raw"]},
        files_written=["reflection.md"],
        trace_id=trace_id,
        attempt=attempt,
        retry_of="span-1" if attempt > 1 else None,
    )


def test_enum_definitions():
    assert ExperienceType("task_execution") is ExperienceType.TASK_EXECUTION
    assert CaptureMethod("scheduled_task") is CaptureMethod.SCHEDULED_TASK
    assert CaptureMethod("manual_task") is CaptureMethod.MANUAL_TASK


def test_create_task_execution_experience():
    experience = execution()
    structured = experience.content.structured

    assert experience.type == ExperienceType.TASK_EXECUTION
    assert structured["duration_ms"] == 1000
    assert structured["retrieval"]["memory_count"] == 2
    assert structured["io"]["files_written"] == ["reflection.md"]
    assert experience.content.text == "Write to [email] from [ip]"
    assert structured["scrubbed"] is True


def test_raw_store_methods_exist(tmp_path: Path):
    with RawStore(tmp_path / "raw.db") as store:
        for name in ("append_experience", "append_experience_idempotent", "list_task_executions", "get_by_trace_id",
                     "list_recent", "append_observation", "count_experiences", "get_experience", "close"):  # fmt: skip
            assert callable(getattr(store, name))


def test_idempotent_insertion(tmp_path: Path):
    with RawStore(str(tmp_path / "raw.db")) as store:
        one, again = execution(), execution()
        key = one.content.structured["idempotency_key"]

        assert store.append_experience_idempotent(one, key) == store.append_experience_idempotent(again, key)
        assert store.count_experiences(ExperienceType.TASK_EXECUTION) == 1


def test_list_task_executions(tmp_path: Path):
    with RawStore(tmp_path / "raw.db", enable_wal=True) as store:
        for minute, status in enumerate(("success", "failed", "success")):
            store.append_experience(execution(status=status, started_at=NOW + timedelta(minutes=minute)))
        store.append_experience(execution("idea_generation"))

        assert len(store.list_task_executions(task_id="daily_reflection")) == 3
        (failed,) = store.list_task_executions(status="failed")
        assert failed.content.structured["error"]["type"] == "ValueError"
        assert len(store.list_task_executions(task_id="daily_reflection", limit=2)) == 2


def test_get_by_trace_id(tmp_path: Path):
    with RawStore(tmp_path / "raw.db") as store:
        for attempt in (2, 1):
            started_at = NOW + timedelta(minutes=attempt)
            store.append_experience(execution(attempt=attempt, trace_id="trace-1", started_at=started_at))

        attempts = [one.content.structured["attempt"] for one in store.get_by_trace_id("trace-1")]
        assert attempts == [1, 2]
        assert store.get_by_trace_id("trace-2") == []
