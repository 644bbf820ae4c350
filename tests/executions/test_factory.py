"""What the documented factory makes of what it is told. Source: seed document 001."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from tasktrail.executions import Actor, CaptureMethod, Experience, ExperienceType, idempotency_key
from tasktrail.model.errors import BadInput
from tests.executions.told import START, raised, told

KEYS = {
    "attempt", "duration_ms", "embedding_skipped", "ended_at_iso", "ended_at_ts", "error", "grants", "idempotency_key",
    "io", "provenance_runner", "retrieval", "retry_of", "scheduled_vs_manual", "schema_version", "scrubbed", "span_id",
    "started_at_iso", "started_at_ts", "status", "task_config_digest", "task_id", "task_name", "task_slug",
    "task_type", "trace_id",
}  # fmt: skip


def said(experience: Experience) -> dict[str, Any]:
    return experience.content.structured


@pytest.mark.requirement("AX-040", "AX-041", "AX-087")
def test_the_enumerations_have_the_documented_values() -> None:
    assert [ExperienceType.TASK_EXECUTION, ExperienceType.OBSERVATION] == ["task_execution", "observation"]
    assert [CaptureMethod.SCHEDULED_TASK, CaptureMethod.MANUAL_TASK] == ["scheduled_task", "manual_task"]


@pytest.mark.requirement("AX-034", "AX-037", "AX-038", "AX-035", "AX-030", "AX-042", "AX-087")
def test_an_experience_has_the_documented_members() -> None:
    experience = told(response_text="all is well")

    assert experience.type is ExperienceType.TASK_EXECUTION
    assert experience.content.text == "all is well"
    assert set(said(experience)) == KEYS
    assert said(experience)["grants"] == {"scopes": [], "impersonation": False}
    assert said(experience)["schema_version"] == 1
    assert said(experience)["scrubbed"] is True
    assert said(experience)["embedding_skipped"] is True
    assert said(experience)["provenance_runner"].keys() == {"name", "version", "pid", "host"}
    assert (experience.causes, experience.parents) == ([], [])
    assert experience.provenance.actor is Actor.AGENT


@pytest.mark.requirement("AX-065")
@pytest.mark.parametrize(
    ("how", "method"), [("scheduled", CaptureMethod.SCHEDULED_TASK), ("manual", CaptureMethod.MANUAL_TASK)]
)
def test_what_began_it_is_said_twice(how: str, method: CaptureMethod) -> None:
    experience = told(scheduled_vs_manual=how)

    assert experience.provenance.method is method
    assert said(experience)["scheduled_vs_manual"] == how


@pytest.mark.requirement("AX-001", "AX-002", "AX-005")
def test_trace_and_span_are_kept_as_given_and_drawn_where_they_are_not() -> None:
    given = said(told(trace_id="my trace/1", span_id="s"))
    one, two = said(told()), said(told())

    assert (given["trace_id"], given["span_id"]) == ("my trace/1", "s")
    assert UUID(one["trace_id"]).version == UUID(one["span_id"]).version == 4
    assert len({one["trace_id"], one["span_id"], two["trace_id"], two["span_id"]}) == 4


@pytest.mark.requirement("AX-003", "AX-004", "AX-006")
def test_a_later_attempt_points_to_the_one_before_and_is_flagged_where_it_does_not() -> None:
    assert said(told())["attempt"] == 1
    second = said(told(attempt=2, retry_of="span-1"))
    assert (second["attempt"], second["retry_of"]) == (2, "span-1")
    assert "flags" not in second
    assert said(told(attempt=2))["flags"] == ["retry_of_missing"]


@pytest.mark.requirement("AX-006")
@pytest.mark.parametrize("attempt", [0, -1, True, "1", 1.0, 2**31])
def test_an_attempt_counts_from_one(attempt: object) -> None:
    with pytest.raises(BadInput, match="expected attempt to be a number from 1, got"):
        told(attempt=attempt)


@pytest.mark.requirement("AX-007")
def test_the_idempotency_key_has_the_documented_format() -> None:
    expected = hashlib.sha256(b"daily:2025-11-05T14:15:00+00:00:1").hexdigest()

    assert said(told())["idempotency_key"] == expected == idempotency_key("daily", START, 1)
    assert said(told(attempt=2))["idempotency_key"] != expected


@pytest.mark.requirement("AX-017", "AX-018")
def test_times_are_utc_and_durations_are_whole_milliseconds() -> None:
    naive = said(told(started_at=datetime(2025, 11, 5, 14, 15), ended_at=datetime(2025, 11, 5, 14, 15, 1)))
    moved = START.astimezone(timezone(timedelta(hours=2)))
    east = said(told(started_at=moved, ended_at=moved + timedelta(microseconds=1_234_567)))

    assert naive["started_at_iso"] == east["started_at_iso"] == "2025-11-05T14:15:00+00:00"
    assert naive["duration_ms"] == 1000
    assert east["duration_ms"] == 1234
    assert type(east["duration_ms"]) is int
    assert naive["started_at_ts"] == START.timestamp()
    assert naive["idempotency_key"] == east["idempotency_key"]


@pytest.mark.requirement("AX-019")
def test_an_end_before_the_start_counts_as_nothing_and_is_flagged() -> None:
    experience = said(told(ended_at=START - timedelta(seconds=5)))

    assert experience["duration_ms"] == 0
    assert experience["flags"] == ["ended_before_started"]


@pytest.mark.requirement("AX-020", "AX-021", "AX-033")
def test_the_memory_count_is_the_number_of_parents() -> None:
    experience = told(
        parent_experience_ids=["a", "b"], retrieval_metadata={"memory_count": 99, "source": ["raw"], "ms": 3}
    )

    assert experience.parents == ["a", "b"]
    assert said(experience)["retrieval"] == {"memory_count": 2, "source": ["raw"], "ms": 3}


@pytest.mark.requirement("AX-022", "AX-023")
def test_what_went_in_and_out_is_kept() -> None:
    io = said(told(files_written=["a.md"], tool_calls=[{"tool": "search"}], script_runs=["x.sh"]))["io"]

    assert io == {
        "files_written": ["a.md"], "artifact_ids": [], "tool_calls": [{"tool": "search"}], "script_runs": ["x.sh"],
    }  # fmt: skip


@pytest.mark.requirement("AX-036")
def test_of_a_configuration_the_digest_is_kept_whatever_the_order_of_its_keys() -> None:
    one = said(told(task_config={"a": 1, "b": 2}))["task_config_digest"]

    assert re.fullmatch("sha256:[0-9a-f]{16}", one)
    assert one == said(told(task_config={"b": 2, "a": 1}))["task_config_digest"]
    assert one != said(told(task_config={"a": 1, "b": 3}))["task_config_digest"]
    assert said(told())["task_config_digest"] is None


@pytest.mark.requirement("AX-039")
def test_ids_have_the_documented_formats() -> None:
    experience = told()

    assert re.fullmatch(r"task_exec_daily_reflection_2025-11-05T14:15:00Z_[0-9a-f]{4}", experience.id)
    assert re.fullmatch(r"task:daily:2025-11-05T14:15:00\+00:00:[0-9a-f]{4}", str(experience.session_id))
    assert told().id != experience.id


@pytest.mark.requirement("AX-012", "AX-013", "AX-014")
def test_an_exception_is_kept_with_its_type_message_stack_and_fingerprint() -> None:
    error = said(told(status="failed", error=raised(KeyError("shelf"))))["error"]

    assert (error["type"], error["message"]) == ("KeyError", "'shelf'")
    assert "in raised" in error["stack_trace"]
    assert re.fullmatch("fp1:[0-9a-f]{16}", error["stack_hash"])
    again = said(told(status="failed", error=raised(KeyError("another"))))["error"]
    assert again["stack_hash"] == error["stack_hash"]


@pytest.mark.requirement("AX-012", "AX-014")
def test_an_error_may_be_a_dict() -> None:
    given = {"type": "HTTPError", "message": "503 after 12 s", "stack_trace": None}
    error = said(told(status="failed", error=given))["error"]

    assert {name: error[name] for name in given} == given
    later = said(told(status="failed", error={**given, "message": "503 after 99 s"}))["error"]
    assert later["stack_hash"] == error["stack_hash"]


@pytest.mark.parametrize("error", [KeyboardInterrupt("stopped"), {"type": "KeyboardInterrupt", "message": "stopped"}])
def test_what_was_aborted_is_no_known_error(error: object) -> None:
    found = said(told(status="aborted", error=error))["error"]

    assert (found["type"], found["message"], found["stack_hash"]) == ("KeyboardInterrupt", "stopped", None)


@pytest.mark.requirement("AX-015")
@pytest.mark.parametrize("error", [None, {}, {"type": None, "message": ""}])
def test_of_a_failure_at_least_that_is_known(error: object) -> None:
    found = said(told(status="failed", error=error))["error"]

    assert (found["type"], found["message"]) == ("UnknownError", "UnknownError")


@pytest.mark.requirement("AX-024", "AX-025", "AX-016")
def test_answer_message_and_stack_are_scrubbed() -> None:
    experience = told(
        status="failed", response_text="asked ann@example.org at 10.0.0.7",
        error={"type": "E", "message": "ann@example.org", "stack_trace": "in mail('ann@example.org')"},
    )  # fmt: skip

    assert experience.content.text == "asked [email] at [ip]"
    assert said(experience)["error"]["message"] == "[email]"
    assert said(experience)["error"]["stack_trace"] == "in mail('[email]')"


def test_without_an_answer_the_text_is_a_summary() -> None:
    assert told().content.text == "Daily reflection: success"
    assert told(status="failed", error=ValueError("no paper")).content.text == "Daily reflection: failed: no paper"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"status": "done"}, "expected status to be success, failed, aborted, got: 'done'"),
        ({"scheduled_vs_manual": "cron"}, "expected scheduled_vs_manual to be scheduled or manual, got: 'cron'"),
        ({"trace_id": ""}, "expected trace_id to have 1 to 128 printable characters"),
        ({"span_id": "x" * 129}, "expected span_id to have 1 to 128 printable characters"),
        ({"trace_id": "a\nb"}, "expected trace_id to have 1 to 128 printable characters"),
        ({"started_at": "2025-11-05", "ended_at": START}, "expected started_at to be a datetime, got: str"),
        ({"status": "failed", "error": "broken"}, "expected error to be an exception, or a dict of type"),
    ],
)
def test_what_cannot_be_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        told(**given)


@pytest.mark.parametrize("moment", [datetime.min, datetime.max, datetime.min.replace(tzinfo=UTC)])
def test_the_first_and_the_last_moment_are_moments(moment: datetime) -> None:
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))

    for zone in (None, UTC, east, west):
        assert said(told(started_at=moment.replace(tzinfo=zone), ended_at=START))["duration_ms"] >= 0
