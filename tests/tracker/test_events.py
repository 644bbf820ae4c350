"""A function is told what tasks of a tracker came to: once, since the last time, at least once after a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.tracker import TaskEvent, TaskStatus, TrackerError, YAMLTrackerBackend, get_tracker, tell_events


@pytest.mark.requirement("CN-080")
def test_a_function_is_told_what_tasks_came_to_since_the_last_time(tmp_path: Path) -> None:
    tracker, told = YAMLTrackerBackend(tmp_path / "weeks"), list[TaskEvent]()
    tracker.sync_with_etl("A", ["x"])
    tracker.update_task("A", "x", "research", "completed")

    assert tell_events(tracker, told.append) == 0

    tracker.update_task("A", "x", "content", "in_progress")
    tracker.update_task("A", "x", "content", "failed", error_message="no network")
    tracker.update_task("A", None, "blog_post", "completed")
    assert tell_events(tracker, told.append, name="tracker") == 2
    assert [event[:4] for event in told] == [
        ("A", "x", "content", TaskStatus.FAILED), ("A", None, "blog_post", TaskStatus.COMPLETED),
    ]  # fmt: skip
    assert told[0].at == tracker.load_tracker("A").items["x"]["content"].completed_at
    assert tell_events(tracker, told.append) == 0


@pytest.mark.requirement("CN-080")
def test_each_name_has_a_place_of_its_own_and_asks_for_what_it_wants(tmp_path: Path) -> None:
    tracker, told = get_tracker(f"sqlite:///{tmp_path}/tasks.db"), list[TaskEvent]()
    tracker.sync_with_etl("A", ["x", "y"])
    for name in ("one", "two"):
        tell_events(tracker, told.append, name=name)  # type: ignore[arg-type]  # it is a store
    tracker.update_task("A", "x", "research", "in_progress")
    tracker.update_task("A", "y", "research", "completed")

    one = tell_events(tracker, told.append, name="one", on=["in_progress"])  # type: ignore[arg-type]
    two = tell_events(tracker, told.append, name="two", task_types=["content"])  # type: ignore[arg-type]

    assert (one, two) == (1, 0)
    assert [event.item_name for event in told] == ["x"]


@pytest.mark.requirement("CN-080")
def test_a_list_that_is_no_tracker_yet_is_not_told_of(tmp_path: Path) -> None:
    tracker, told = YAMLTrackerBackend(tmp_path / "weeks"), list[TaskEvent]()
    tracker.sync_with_etl("A", ["x"])
    tell_events(tracker, told.append)
    (tmp_path / "weeks" / "01-B").mkdir()
    (tmp_path / "weeks" / "01-B" / "tasks.yaml").write_text("- y\n")
    tracker.update_task("A", "x", "research", "completed")

    assert tell_events(tracker, told.append) == 1
    assert [event[:3] for event in told] == [("A", "x", "research")]


@pytest.mark.requirement("CN-080")
def test_runs_of_other_kinds_that_are_called_like_a_week_are_no_weeks(tmp_path: Path) -> None:
    tracker, told = YAMLTrackerBackend(tmp_path / "weeks"), list[TaskEvent]()
    tracker.sync_with_etl("A", ["x"])
    tell_events(tracker, told.append)
    plan = tracker.ledger.create_run(RunDraft("plan", "A", "a plan", (TaskDraft("research"),)))
    tracker.ledger.cancel_run(plan.id)
    tracker.update_task("A", "x", "research", "completed")

    assert tell_events(tracker, told.append, on=()) == 1
    assert [event[:3] for event in told] == [("A", "x", "research")]


@pytest.mark.requirement("CN-080")
def test_a_week_that_is_made_meanwhile_is_told_of(tmp_path: Path) -> None:
    tracker, told = YAMLTrackerBackend(tmp_path / "weeks"), list[TaskEvent]()
    tracker.sync_with_etl("A", ["x"])
    tell_events(tracker, told.append)
    tracker.update_task("A", "x", "research", "completed")

    def go_on(event: TaskEvent) -> None:
        told.append(event)
        if event.week_letter == "A":
            tracker.sync_with_etl("B", ["y"])
            tracker.update_task("B", "y", "research", "completed")

    assert tell_events(tracker, go_on) == 2
    assert [event[:2] for event in told] == [("A", "x"), ("B", "y")]


@pytest.mark.requirement("CN-080")
def test_what_was_cancelled_is_skipped_here(tmp_path: Path) -> None:
    tracker, told = YAMLTrackerBackend(tmp_path / "weeks"), list[TaskEvent]()
    tracker.sync_with_etl("A", ["x"])
    tell_events(tracker, told.append)
    ledger, run = tracker.opened("A")
    ledger.cancel_run(run.id)

    number = tell_events(tracker, told.append, on={"skipped"})

    assert number == len(told) == 3
    assert {event.status for event in told} == {TaskStatus.SKIPPED}


@pytest.mark.requirement("CN-080")
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"on": ["finished"]},
            "expected on to be of pending, in_progress, completed, .*got: 'finished'",
        ),
        ({"on": "failed"}, "expected on to be of pending, in_progress, completed, .*got: 'f'"),
        ({"task_types": ["reserch"]}, "reserch"),
    ],
)
def test_what_can_never_happen_is_refused(tmp_path: Path, asked: dict[str, Any], words: str) -> None:
    tracker = YAMLTrackerBackend(tmp_path / "weeks")
    tracker.sync_with_etl("A", ["x"])

    with pytest.raises(TrackerError, match=words):
        tell_events(tracker, print, **asked)
