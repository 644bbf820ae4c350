"""What people do to `tracker.yaml` in an editor, between our calls and during them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tasktrail.engine.lookup import find_task, history
from tasktrail.formats.picture import ItemPicture, Picture
from tasktrail.model.errors import Held
from tasktrail.model.lifecycle import Ask
from tasktrail.store.documents import DocumentFile
from tasktrail.testing import FakeClock, using_clock
from tasktrail.tracker import (
    Conflict,
    ItemRemovedError,
    TaskRecord,
    TaskStatus,
    YAMLTrackerBackend,
)
from tests.tracker.weeks import SAMPLE, edit, file_of, known, sound, text_now

CONTENT = "      content:\n        status: pending\n        agent: writer  # Ann, really\n"
PROJECT_B = SAMPLE[SAMPLE.index("  ProjectB:") : SAMPLE.index("\nweek_tasks")]


@pytest.fixture(autouse=True)
def clock() -> Iterator[FakeClock]:
    with using_clock(FakeClock()) as clock:
        yield clock


@pytest.fixture
def tracker() -> Iterator[YAMLTrackerBackend]:
    """A store knows the sample. Whatever a test did, history, rows and file agree."""
    tracker = known()
    yield tracker
    sound(tracker)


def moved(tracker: YAMLTrackerBackend) -> None:
    """Change something else, so that the file is written."""
    tracker.update_task("A", None, "blog_post", "skipped")


def record(tracker: YAMLTrackerBackend, item: str, task_type: str) -> TaskRecord:
    return tracker.load_tracker("A").items[item][task_type]


def test_the_history_says_when_the_file_was_changed(tracker: YAMLTrackerBackend) -> None:
    edit("status: in_progress", "status: completed")
    os.utime(file_of(), (1_770_000_000, 1_770_000_000))
    tracker.load_tracker("A")
    ledger = tracker.opened("A").ledger

    last = history(ledger, find_task(ledger, "A:ProjectB/research")).events[-1]
    assert last.note == "adopted from a document changed at 2026-02-02 02:40:00 UTC"


def test_an_item_that_is_deleted_is_gone_and_may_come_back(tracker: YAMLTrackerBackend) -> None:
    edit(PROJECT_B, "")
    assert [*tracker.load_tracker("A").items] == ["ProjectA"]
    assert tracker.get_progress("A").total == 3
    moved(tracker)
    assert "ProjectB" not in text_now()
    sound(tracker)

    tracker.sync_with_etl("A", ["ProjectA", "ProjectB"])
    assert record(tracker, "ProjectB", "research").status == "pending"
    assert tracker.load_tracker("A").items["ProjectB"].get("content") is not None


def test_an_item_that_is_deleted_and_typed_again_is_as_it_is_typed(tracker: YAMLTrackerBackend) -> None:
    edit(PROJECT_B, "")
    moved(tracker)
    edit("\nweek_tasks", "  ProjectB:\n    tasks:\n      research: {status: failed, retry_count: 2}\n\nweek_tasks")

    assert (record(tracker, "ProjectB", "research").status, record(tracker, "ProjectB", "research").retry_count) == (
        "failed", 2,
    )  # fmt: skip
    tracker.update_task("A", "ProjectB", "research", "in_progress")
    assert record(tracker, "ProjectB", "research").retry_count == 3


def test_a_task_that_is_deleted_and_typed_again_starts_anew(tracker: YAMLTrackerBackend) -> None:
    tracker.update_task("A", "ProjectA", "content", "completed", output_file="x")
    tracker.update_task("A", "ProjectA", "content", "pending")
    text = text_now()
    content = text[text.index("      content:") : text.index("    removed: false\n  ProjectB")]
    edit(content, "")
    assert "content" not in tracker.load_tracker("A").items["ProjectA"]
    assert not tracker.can_start_task("A", None, "blog_post")
    moved(tracker)
    sound(tracker)

    edit("    removed: false\n  ProjectB", "      content: {status: completed}\n    removed: false\n  ProjectB")
    assert record(tracker, "ProjectA", "content").status == "completed"
    assert record(tracker, "ProjectA", "content").output_file is None


def test_a_task_that_is_deleted_comes_back_with_an_update(tracker: YAMLTrackerBackend) -> None:
    edit(CONTENT, "")
    tracker.update_task("A", "ProjectA", "content", "in_progress")

    assert record(tracker, "ProjectA", "content").status == "in_progress"
    assert record(tracker, "ProjectA", "content").agent == "writer"


@pytest.mark.parametrize("status", ["pending", "in_progress", "completed", "failed", "skipped"])
def test_an_item_is_removed_and_brought_back_by_hand(
    tracker: YAMLTrackerBackend, clock: FakeClock, status: str
) -> None:
    tracker.update_task("A", "ProjectB", "research", status, output_file="b")
    before = tracker.load_tracker("A").items["ProjectB"]
    there = text_now()
    clock.advance(60)

    edit("    removed: false\n\nweek_tasks", "    removed: true\n\nweek_tasks")
    assert tracker.load_tracker("A").items["ProjectB"] == before.model_copy(update={"removed": True})
    assert tracker.get_pending_items("A", "research") == []
    with pytest.raises(ItemRemovedError):
        tracker.update_task("A", "ProjectB", "research", "completed")
    assert text_now() == there.replace("removed: false\n\n", "removed: true\n\n")
    sound(tracker)
    edit("    removed: true\n\nweek_tasks", "    removed: false\n\nweek_tasks")

    assert tracker.load_tracker("A").items["ProjectB"] == before
    assert text_now() == there


@pytest.mark.parametrize("status", ["pending", "in_progress", "completed", "failed", "skipped"])
def test_a_removed_item_may_be_edited(tracker: YAMLTrackerBackend, status: str) -> None:
    """What is typed there holds, then and when it is back, and is not written over."""
    tracker.sync_with_etl("A", ["ProjectA"])
    edit("status: in_progress", f"status: {status}")
    assert record(tracker, "ProjectB", "research").status == status
    sound(tracker)
    edit('started_at: "2026-02-01T10:10:00"', 'started_at: "2026-02-01T10:10:00"\n        output_file: typed')
    assert record(tracker, "ProjectB", "research").output_file == "typed"
    edit("output_file: typed", "output_file: typed\n        error_message: typed\n        retry_count: 4")
    mine = text_now()
    found = record(tracker, "ProjectB", "research")
    assert (found.status, found.error_message, found.retry_count) == (status, "typed", 4)
    moved(tracker)
    assert "error_message: typed\n        retry_count: 4\n" in text_now()
    assert text_now().splitlines()[:24] == mine.splitlines()[:24]
    sound(tracker)

    tracker.sync_with_etl("A", ["ProjectA", "ProjectB"])
    back = record(tracker, "ProjectB", "research")
    assert (back.status, back.error_message, back.retry_count, back.output_file) == (status, "typed", 4, "typed")


def test_what_a_removed_item_failed_with_may_be_edited(tracker: YAMLTrackerBackend) -> None:
    tracker.update_task("A", "ProjectB", "research", "failed", error_message="once")
    tracker.sync_with_etl("A", ["ProjectA"])
    edit("error_message: once", "error_message: twice")

    assert record(tracker, "ProjectB", "research").error_message == "twice"
    moved(tracker)
    assert "error_message: twice\n" in text_now()
    tracker.sync_with_etl("A", ["ProjectA", "ProjectB"])
    assert record(tracker, "ProjectB", "research").error_message == "twice"


def test_a_removed_item_that_is_edited_and_brought_back_at_once(tracker: YAMLTrackerBackend) -> None:
    tracker.sync_with_etl("A", ["ProjectA"])
    edit("status: in_progress", "status: failed")
    edit("    removed: true", "    removed: false")

    assert record(tracker, "ProjectB", "research").status == "failed"
    assert not tracker.load_tracker("A").items["ProjectB"].removed


@pytest.mark.parametrize("status", ["pending", "completed", "failed", "skipped"])
def test_a_status_is_typed(tracker: YAMLTrackerBackend, clock: FakeClock, status: str) -> None:
    """What it means follows, and is not written into the file before something else of the task is."""
    edit("status: in_progress", f"status: {status}")
    mine = text_now()

    found = record(tracker, "ProjectB", "research")
    assert (found.status, found.started_at) == (status, datetime(2026, 2, 1, 10, 10))
    assert found.completed_at == (None if status == "pending" else datetime(2026, 1, 1))
    assert text_now() == mine
    moved(tracker)
    assert text_now().splitlines()[:23] == mine.splitlines()[:23]


def test_a_status_that_is_typed_back_leaves_no_completion(tracker: YAMLTrackerBackend) -> None:
    edit("status: completed", "status: pending")

    assert record(tracker, "ProjectA", "research").completed_at is None
    assert not tracker.can_start_task("A", "ProjectA", "content")
    tracker.update_task("A", "ProjectA", "research", "in_progress")
    assert record(tracker, "ProjectA", "research").retry_count == 1


@pytest.mark.parametrize(("typed", "next_one"), [("7", 8), ("0", 1)])
def test_a_number_of_retries_is_typed(tracker: YAMLTrackerBackend, typed: str, next_one: int) -> None:
    edit("status: in_progress", f"status: failed\n        retry_count: {typed}")
    assert record(tracker, "ProjectB", "research").retry_count == int(typed)

    tracker.update_task("A", "ProjectB", "research", "in_progress")

    assert record(tracker, "ProjectB", "research").retry_count == next_one
    assert f"retry_count: {next_one}\n" in text_now()


def test_a_smaller_number_of_retries_does_not_forget_starts(tracker: YAMLTrackerBackend) -> None:
    tracker.update_task("A", "ProjectB", "research", "in_progress", retry_count=5)
    edit("retry_count: 5", "retry_count: 1")

    assert record(tracker, "ProjectB", "research").retry_count == 5
    tracker.update_task("A", "ProjectB", "research", "in_progress")
    assert "retry_count: 6\n" in text_now()


def test_fields_are_typed_and_taken_out(tracker: YAMLTrackerBackend) -> None:
    edit(
        "        agent: researcher\n    removed: false\n\n", "        model: large\n    removed: false\n    team: x\n\n"
    )
    edit("        output_file: research/projecta.yaml\n", "")

    week = tracker.load_tracker("A")
    assert (week.items["ProjectB"]["research"].agent, week.items["ProjectB"].attributes) == (None, {"team": "x"})
    assert week.items["ProjectB"]["research"].model_extra == {"model": "large"}
    assert week.items["ProjectA"]["research"].output_file is None


def test_tasks_of_an_unknown_type_are_kept_and_start_at_will(tracker: YAMLTrackerBackend) -> None:
    edit(CONTENT, CONTENT + "      review: {status: in_progress, by: Bo}\n")

    assert record(tracker, "ProjectA", "review").model_extra == {"by": "Bo"}
    assert tracker.get_progress("A").in_progress == 2
    moved(tracker)
    assert "review: {status: in_progress, by: Bo}\n" in text_now()


def test_a_task_of_the_week_is_deleted_and_metadata_change(tracker: YAMLTrackerBackend) -> None:
    edit("    blog_post:\n      status: pending\n      agent: writer\n", "")
    edit("  etl_item_count: 2\n", "  etl_item_count: 3\n  owner: Bo\n")

    week = tracker.load_tracker("A")
    assert (week.week_tasks.tasks, week.metadata["owner"]) == ({}, "Bo")
    tracker.sync_with_etl("A", ["ProjectA", "ProjectB"])
    assert tracker.load_tracker("A").metadata["etl_item_count"] == 2
    assert "  owner: Bo\n" in text_now()
    tracker.update_task("A", None, "blog_post", "completed")
    assert tracker.load_tracker("A").week_tasks["blog_post"].status == "completed"


def test_a_file_that_is_deleted_is_a_new_week_later(tracker: YAMLTrackerBackend) -> None:
    file_of().unlink()
    assert not tracker.tracker_exists("A")
    tracker.sync_with_etl("A", ["ProjectB", "New"])

    assert [*tracker.load_tracker("A").items] == ["ProjectB", "New"]
    assert tracker.get_progress("A").pending == 5


# during our call


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None], int], None]:
    """Lets somebody act when our successor of the file is written and does not stand in its place yet."""

    def interrupt(act: Callable[[], None], times: int = 1) -> None:
        original, left = DocumentFile._write_part, iter(range(times))

        def write_part(self: DocumentFile, part: Path, raw: bytes) -> None:
            original(self, part, raw)
            if next(left, None) is not None:
                act()

        monkeypatch.setattr(DocumentFile, "_write_part", write_part)

    return interrupt


Interrupt = Callable[[Callable[[], None]], None]


@pytest.mark.requirement("CN-029")
def test_what_an_editor_saves_during_an_update_is_there_too(tracker: YAMLTrackerBackend, during: Interrupt) -> None:
    during(lambda: edit("status: in_progress", "status: completed"))

    tracker.update_task("A", "ProjectA", "content", "in_progress")

    assert record(tracker, "ProjectB", "research").status == "completed"
    assert record(tracker, "ProjectA", "content").status == "in_progress"
    assert "# Ann, really" in text_now()


@pytest.mark.requirement("CN-029")
def test_an_update_is_decided_again_on_what_an_editor_saved(tracker: YAMLTrackerBackend, during: Interrupt) -> None:
    """The same cell: ours comes after theirs, and what theirs says beside stays."""
    during(lambda: edit("status: in_progress", "status: failed\n        error_message: theirs\n        retry_count: 2"))

    tracker.update_task("A", "ProjectB", "research", "in_progress")

    found = record(tracker, "ProjectB", "research")
    assert (found.status, found.error_message, found.retry_count) == ("in_progress", None, 3)


@pytest.mark.requirement("CN-029")
def test_a_list_is_applied_to_what_an_editor_saved(tracker: YAMLTrackerBackend, during: Interrupt) -> None:
    during(lambda: edit("  etl_item_count: 2\n", "  etl_item_count: 2\n  owner: Bo\n"))

    tracker.sync_with_etl("A", ["ProjectA", "New"])

    week = tracker.load_tracker("A")
    assert ([*week.items], week.items["ProjectB"].removed) == (["ProjectA", "ProjectB", "New"], True)
    assert (week.metadata["owner"], week.metadata["etl_item_count"]) == ("Bo", 2)


def test_a_conflict_names_the_cells(tracker: YAMLTrackerBackend, during: Interrupt) -> None:
    """Who saves a loaded week is not asked again; nothing of it is saved."""
    week = tracker.load_tracker("A")
    week.items["ProjectB"]["research"].output_file = "mine"
    week.items["ProjectA"]["content"].output_file = "mine"
    during(lambda: edit("status: in_progress", "status: failed"))

    with pytest.raises(Conflict, match=r"^ProjectB/research: changed by somebody else"):
        tracker.save_tracker("A", week)

    assert text_now() == SAMPLE.replace("status: in_progress", "status: failed")


def test_a_conflict_names_items_and_metadata(tracker: YAMLTrackerBackend) -> None:
    week = tracker.load_tracker("A")
    week.items["ProjectB"].removed = True
    week.metadata["owner"] = "me"
    edit("    removed: false\n\nweek_tasks", "    removed: false\n    team: x\n\nweek_tasks")
    edit("  week_letter: A\n", "  week_letter: A\n  owner: Bo\n")

    with pytest.raises(Conflict, match=r"^ProjectB, metadata: changed by somebody else"):
        tracker.save_tracker("A", week)


def test_what_nobody_else_touched_is_no_conflict(tracker: YAMLTrackerBackend) -> None:
    week = tracker.load_tracker("A")
    week.items["ProjectA"]["content"].output_file = "mine"
    edit("status: in_progress", "status: failed")

    tracker.save_tracker("A", week)

    assert record(tracker, "ProjectB", "research").status == "failed"
    assert record(tracker, "ProjectA", "content").output_file == "mine"


def test_a_week_that_was_read_before_there_was_a_store_is_saved(tmp_path: Path) -> None:
    """What the file leaves out is no change of somebody else's."""
    file_of().write_text(SAMPLE)
    tracker = YAMLTrackerBackend("data/weeks")
    week = tracker.load_tracker("A")
    assert not (tmp_path / ".tasktrail").exists()
    week.items["ProjectB"]["research"].output_file = "mine"
    week.items["ProjectB"].removed = True

    tracker.save_tracker("A", week)

    assert (record(tracker, "ProjectB", "research").output_file, "removed: true" in text_now()) == ("mine", True)
    sound(tracker)


# at work


def test_what_waits_for_a_person_is_pending_and_what_is_cancelled_skipped(tracker: YAMLTrackerBackend) -> None:
    ledger, run = tracker.opened("A")
    for task in ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)):
        if task.key == "content":
            ledger.ask(task.id, Ask("block", reason="look at it first"))
        elif task.item == "ProjectB":
            ledger.ask(task.id, Ask("cancel"))
    tracker.update_task("A", "ProjectA", "research", "skipped")

    assert (record(tracker, "ProjectA", "content").status, record(tracker, "ProjectB", "research").status) == (
        "pending", "skipped",
    )  # fmt: skip
    progress = tracker.get_progress("A")
    assert (progress.pending, progress.skipped, progress.total) == (2, 2, 4)
    tracker.update_task("A", "ProjectA", "content", "completed")
    assert record(tracker, "ProjectA", "content").status == "completed"


@pytest.fixture
def at_work(tracker: YAMLTrackerBackend) -> YAMLTrackerBackend:
    """A worker has the content of ProjectA."""
    ledger, run = tracker.opened("A")
    tasks = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    content = next(one for one in tasks if (one.item, one.key) == ("ProjectA", "content"))
    ledger.ask(content.id, Ask("start", lease_token="token", lease_until=ledger.clock.boot_us() + 60_000_000))
    assert record(tracker, "ProjectA", "content").status == "in_progress"
    return tracker


@pytest.mark.parametrize("status", ["in_progress", "completed", "failed", "pending"])
def test_a_task_that_a_worker_has_is_not_updated(at_work: YAMLTrackerBackend, status: str) -> None:
    text = text_now()

    with pytest.raises(Held, match="ProjectA/content"):
        at_work.update_task("A", "ProjectA", "content", status)

    assert text_now() == text


def test_a_fact_ends_what_a_worker_has(at_work: YAMLTrackerBackend) -> None:
    """A saved week, as an edited file, says what is so."""
    week = at_work.load_tracker("A")
    week.items["ProjectA"]["content"].status = TaskStatus.COMPLETED
    at_work.save_tracker("A", week)

    assert record(at_work, "ProjectA", "content").status == "completed"
    at_work.update_task("A", "ProjectA", "content", "in_progress")


def test_a_removed_item_ends_what_a_worker_has(at_work: YAMLTrackerBackend) -> None:
    at_work.sync_with_etl("A", ["ProjectB"])
    assert record(at_work, "ProjectA", "content").status == "in_progress"
    sound(at_work)
    at_work.sync_with_etl("A", ["ProjectA", "ProjectB"])

    at_work.update_task("A", "ProjectA", "content", "completed")
    assert record(at_work, "ProjectA", "content").status == "completed"


def test_an_update_of_many_items_looks_at_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Picture] = []
    item_by_name = Picture.item_by_name

    def counted(picture: Picture) -> dict[str, ItemPicture]:
        looks.append(picture)
        return item_by_name(picture)

    monkeypatch.setattr(Picture, "item_by_name", counted)
    tracker, counts = known(), []
    for week, n_items in (("B", 3), ("C", 30)):
        tracker.sync_with_etl(week, [f"item {place}" for place in range(n_items)])
        looks.clear()
        tracker.update_task(week, "item 1", "research", "completed")
        counts.append(len(looks))
    assert counts[0] == counts[1]
