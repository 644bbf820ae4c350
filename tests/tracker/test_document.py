"""What the document shows, as it shows it: only the import path is ours. Source: document 002."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

import tasktrail.tracker
from tasktrail.model.matrix import sanitized
from tasktrail.tracker import (
    DEFAULT_ITEM_TASKS,
    DEFAULT_WEEK_TASKS,
    TASK_TYPES,
    InvalidTaskTypeError,
    ItemTasks,
    TaskProgress,
    TaskRecord,
    TaskStatus,
    TaskTypeConfig,
    WeekTasks,
    WeekTracker,
    get_task_config,
    get_tracker,
    is_valid_task_type,
)
from tasktrail.tracker.exceptions import DependencyNotMetError, ItemNotFoundError, WeekNotFoundError


@pytest.fixture
def tracker() -> Any:
    """A week with the item that the document speaks of."""
    tracker = get_tracker()
    tracker.sync_with_etl("A", ["MyProject"])
    return tracker


# usage


@pytest.mark.requirement("CN-012", "CN-033", "CN-034", "CN-037", "CN-038")
def test_basic_usage(tracker: Any, capsys: pytest.CaptureFixture[str]) -> None:
    if tracker.tracker_exists("A"):
        print("Week A tracker exists")

    pending_items = tracker.get_pending_items("A", "research")
    print(f"Items needing research: {pending_items}")

    tracker.update_task("A", "MyProject", "research", TaskStatus.IN_PROGRESS)
    tracker.update_task("A", "MyProject", "research", TaskStatus.COMPLETED, output_file="research/myproject.yaml")

    progress = tracker.get_progress("A")
    print(f"Completed {progress.completed}/{progress.total} tasks")

    assert capsys.readouterr().out.splitlines() == [
        "Week A tracker exists", "Items needing research: ['MyProject']", "Completed 1/3 tasks",
    ]  # fmt: skip


@pytest.mark.requirement("CN-051", "CN-052")
def test_dependency_checking(tracker: Any) -> None:
    assert tracker.can_start_task("A", "MyProject", "content") is False
    tracker.update_task("A", "MyProject", "research", TaskStatus.COMPLETED)
    assert tracker.can_start_task("A", "MyProject", "content") is True
    assert tracker.can_start_task("A", None, "blog_post") is False
    tracker.update_task("A", "MyProject", "content", TaskStatus.COMPLETED)
    assert tracker.can_start_task("A", None, "blog_post") is True


@pytest.mark.requirement("CN-058", "CN-059", "CN-060")
def test_synchronization(tracker: Any) -> None:
    tracker.sync_with_etl("A", ["ProjectA", "ProjectB", "ProjectC"])

    week = tracker.load_tracker("A")
    assert {name: item.removed for name, item in week.items.items()} == {
        "MyProject": True, "ProjectA": False, "ProjectB": False, "ProjectC": False,
    }  # fmt: skip
    assert week.metadata["etl_item_count"] == 3


@pytest.mark.requirement("CN-066", "CN-067")
def test_progress_tracking(tracker: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tracker.update_task("A", "MyProject", "research", TaskStatus.COMPLETED)
    progress = tracker.get_progress("A")
    print(f"Total: {progress.total}")
    print(f"Completed: {progress.completed}")
    print(f"Pending: {progress.pending}")
    print(f"In Progress: {progress.in_progress}")
    print(f"Failed: {progress.failed}")
    print(f"Completion: {progress.completion_percentage:.1f}%")

    assert capsys.readouterr().out.splitlines() == [
        "Total: 3", "Completed: 1", "Pending: 2", "In Progress: 0", "Failed: 0", "Completion: 33.3%",
    ]  # fmt: skip
    assert tracker.get_progress("A", "research").completion_percentage == 100.0


@pytest.mark.requirement("CN-054", "CN-071", "CN-072", "CN-073", "CN-074")
def test_error_handling(tracker: Any) -> None:
    told = []
    for item, task_type in (("NonExistentItem", "research"), ("MyProject", "invalid_task"), ("MyProject", "content")):
        try:
            tracker.update_task("A", item, task_type, TaskStatus.IN_PROGRESS)
        except ItemNotFoundError:
            told.append("Item not found in tracker")
        except InvalidTaskTypeError:
            told.append("Invalid task type")
        except DependencyNotMetError:
            told.append("Dependencies not met - research must complete first")
    assert told == [
        "Item not found in tracker", "Invalid task type", "Dependencies not met - research must complete first",
    ]  # fmt: skip
    with pytest.raises(WeekNotFoundError):
        tracker.load_tracker("Q")


@pytest.mark.requirement("CN-076")
def test_debugging(tracker: Any, capsys: pytest.CaptureFixture[str]) -> None:
    week_tracker = tracker.load_tracker("A")
    item_tasks = week_tracker.items["MyProject"]
    print(f"Research status: {item_tasks['research'].status.value}")
    print(f"Content status: {item_tasks['content'].status == 'pending'}")
    print(f"Blog post status: {week_tracker.week_tasks['blog_post'].status is TaskStatus.PENDING}")

    assert capsys.readouterr().out.splitlines() == [
        "Research status: pending", "Content status: True", "Blog post status: True",
    ]  # fmt: skip


# models


@pytest.mark.requirement("CN-002", "CN-003")
def test_five_statuses_are_texts() -> None:
    assert [status.value for status in TaskStatus] == ["pending", "in_progress", "completed", "failed", "skipped"]
    assert issubclass(TaskStatus, str)
    assert all(status == status.value for status in TaskStatus)
    assert TaskStatus("skipped") is TaskStatus.SKIPPED


@pytest.mark.requirement("CN-004", "CN-005", "CN-006", "CN-007", "CN-008")
def test_models_are_empty_at_first() -> None:
    assert TaskRecord().model_dump() == {
        "status": "pending", "started_at": None, "completed_at": None, "output_file": None, "error_message": None,
        "retry_count": 0, "agent": None,
    }  # fmt: skip
    assert (ItemTasks().tasks, ItemTasks().removed, WeekTasks().tasks) == ({}, False, {})
    assert WeekTracker() == WeekTracker(items={}, week_tasks=WeekTasks(), metadata={})
    assert WeekTracker().items is not WeekTracker().items


@pytest.mark.requirement("CN-005", "CN-006")
@pytest.mark.parametrize("kind", [ItemTasks, WeekTasks])
def test_records_are_asked_for_as_those_of_a_dict(kind: Any) -> None:
    tasks, record = kind(), TaskRecord(agent="Ann")
    tasks["research"] = record
    tasks["content"] = {"status": "failed"}

    assert tasks["research"] == record
    assert tasks["content"].status is TaskStatus.FAILED
    assert (tasks.get("blog_post"), "research" in tasks, "blog_post" in tasks) == (None, True, False)
    with pytest.raises(KeyError):
        tasks["blog_post"]


@pytest.mark.requirement("CN-009")
def test_models_refuse_what_cannot_be() -> None:
    record, week = TaskRecord(), WeekTracker()
    with pytest.raises(ValidationError):
        TaskRecord(status="done")  # type: ignore[arg-type]  # what is tested
    for name, value in (("status", "done"), ("retry_count", -1), ("started_at", "soon"), ("output_file", 3)):
        with pytest.raises(ValidationError):
            setattr(record, name, value)
    with pytest.raises(ValidationError):
        week.items = {"P": 3}  # type: ignore[dict-item]  # what is tested
    with pytest.raises(ValidationError):
        ItemTasks()["research"] = {"status": "done"}
    assert record == TaskRecord()
    record.status = "failed"  # type: ignore[assignment]  # what is tested
    assert record.status is TaskStatus.FAILED
    assert TaskRecord.model_validate({"started_at": "2026-02-01T10:00:00"}).started_at == datetime(2026, 2, 1, 10)


@pytest.mark.requirement("CN-010")
def test_completion_is_a_percentage() -> None:
    assert TaskProgress().completion_percentage == 0.0
    assert TaskProgress(total=10, completed=4).completion_percentage == 40.0
    assert TaskProgress(total=3, completed=3).completion_percentage == 100.0


# configuration


@pytest.mark.requirement("CN-001", "CN-020")
def test_the_three_types_are_the_documents() -> None:
    assert {name: (one.is_week_level, one.depends_on, one.agent) for name, one in TASK_TYPES.items()} == {
        "research": (False, [], "researcher"), "content": (False, ["research"], "writer"),
        "blog_post": (True, ["content"], "writer"),
    }  # fmt: skip
    assert [one.description for one in TASK_TYPES.values()] == [
        "Research project details, features, and use cases", "Write detailed content for the project",
        "Write weekly blog post announcing all projects",
    ]  # fmt: skip
    assert [one.output_pattern for one in TASK_TYPES.values()] == [
        "research/{sanitized_name}.yaml", "content/{sanitized_name}.md",
        "website/content/letters/{year}-{letter}.md",
    ]  # fmt: skip
    assert (DEFAULT_ITEM_TASKS, DEFAULT_WEEK_TASKS) == (["research", "content"], ["blog_post"])
    assert is_valid_task_type("research")
    assert not is_valid_task_type("reserch")
    assert get_task_config("content").depends_on == ["research"]
    with pytest.raises(InvalidTaskTypeError, match=r"'reserch'.*research"):
        get_task_config("reserch")


@pytest.mark.requirement("CN-020", "CN-021")
@pytest.mark.parametrize(
    ("name", "path"),
    [("My Project", "my_project"), ("a/b.c", "a_b_c"), ("R&D", "randd"), ("""Foo, "Bar" Inc.'s""", "foo_bar_inc_s")],
)
def test_names_are_sanitised_for_paths(name: str, path: str) -> None:
    assert sanitized(name) == path


@pytest.fixture
def reviewed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new task type is defined, added, and one of the defaults, in the three steps of the document."""
    review = TaskTypeConfig(name="review", depends_on=["content"], agent="editor")
    monkeypatch.setitem(TASK_TYPES, "review", review)
    with monkeypatch.context() as patch:
        DEFAULT_ITEM_TASKS.append("review")
        patch.setitem(TASK_TYPES, "blog_post", replace(TASK_TYPES["blog_post"], depends_on=["review"]))
        yield
        DEFAULT_ITEM_TASKS.remove("review")


@pytest.mark.requirement("CN-019")
@pytest.mark.parametrize("backend", ["yaml", "memory:"])
def test_a_task_type_is_added(backend: str, request: pytest.FixtureRequest) -> None:
    """Items that were there before get the task with its first update; before that it is in the way."""
    tracker = get_tracker(backend)
    tracker.sync_with_etl("A", ["Old"])
    tracker.update_task("A", "Old", "content", "completed")
    assert tracker.can_start_task("A", None, "blog_post")
    request.getfixturevalue("reviewed")

    tracker.sync_with_etl("A", ["Old", "New"])

    week = tracker.load_tracker("A")
    assert ([*week.items["Old"].tasks], [*week.items["New"].tasks]) == (
        ["research", "content"], ["research", "content", "review"],
    )  # fmt: skip
    assert week.items["New"]["review"].agent == "editor"
    assert not tracker.can_start_task("A", None, "blog_post")
    with pytest.raises(DependencyNotMetError, match="New/content"):
        tracker.update_task("A", "New", "review", "in_progress")
    assert tracker.can_start_task("A", "Old", "review")
    tracker.update_task("A", "Old", "review", "completed")
    tracker.update_task("A", "New", "review", "completed")
    assert tracker.can_start_task("A", None, "blog_post")


def test_the_doors_names_are_sorted_and_there() -> None:
    names = tasktrail.tracker.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))
    assert all(getattr(tasktrail.tracker, name) is not None for name in names)
