"""A function is told what tasks of a tracker came to: once, since the last time, at least once after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasktrail.tracker import TaskEvent, TaskStatus, YAMLTrackerBackend, get_tracker, tell_events


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
