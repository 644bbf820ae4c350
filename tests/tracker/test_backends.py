"""Every backend passes the contract of trackers: files, stores, and two of somebody's own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tasktrail.engine.verification import verify
from tasktrail.testing import TrackerContract
from tasktrail.tracker import (
    InvalidTaskTypeError,
    ItemTasks,
    JSONTrackerBackend,
    StoreTrackerBackend,
    TaskRecord,
    TrackerBackend,
    UnknownFieldError,
    YAMLTrackerBackend,
)
from tests.postgres import Server


class SoundStore(TrackerContract):
    def check(self, tracker: TrackerBackend) -> None:
        """Whatever a test did, the store's history must fold to its rows."""
        assert isinstance(tracker, YAMLTrackerBackend | JSONTrackerBackend | StoreTrackerBackend)
        assert verify(tracker.opened(tracker.weeks()[0]).ledger.store) == []

    @pytest.mark.parametrize("wrong", ["metadata", "item", "attribute", "type"])
    def test_what_cannot_be_said_is_refused_and_nothing_saved(
        self, tracker: TrackerBackend, place: Any, wrong: str
    ) -> None:
        """By the error for values that cannot be."""
        week = tracker.load_tracker("A")
        week.items["Alpha"]["research"].output_file = "x"
        if wrong == "metadata":
            week.metadata["x"] = object()
        elif wrong == "item":
            week.items[""] = ItemTasks()
        elif wrong == "attribute":
            week.items["Alpha"] = ItemTasks.model_validate({"size": float("inf")})
        else:
            week.items["Alpha"].tasks["a/b"] = TaskRecord()

        with pytest.raises(UnknownFieldError):
            tracker.save_tracker("A", week)

        assert self.record(place, "Alpha", "research").output_file is None

    @pytest.mark.requirement("CN-044", "CN-053", "CN-072", "CN-073")
    @pytest.mark.parametrize("item", ["", 5, ["Alpha"], {}, None])
    def test_what_names_no_item_is_refused(self, tracker: TrackerBackend, place: Any, item: Any) -> None:
        """Nor does it become a task of the week itself."""
        with pytest.raises(InvalidTaskTypeError, match="no item was named"):
            tracker.update_task("A", item, "research", "completed")

        assert not tracker.can_start_task("A", item, "research")
        assert "research" not in self.make(place).load_tracker("A").week_tasks

    @pytest.mark.requirement("CN-053", "CN-073")
    @pytest.mark.parametrize("task_type", [["research"], {}, None, 5])
    def test_what_names_no_type_is_refused(self, tracker: TrackerBackend, task_type: Any) -> None:
        """By the error for task types, whatever it is."""
        with pytest.raises(InvalidTaskTypeError):
            tracker.update_task("A", "Alpha", task_type, "completed")
        with pytest.raises(InvalidTaskTypeError):
            tracker.get_pending_items("A", task_type)
        assert not tracker.can_start_task("A", "Alpha", task_type)

    @pytest.mark.requirement("CN-050", "CN-055")
    def test_an_item_may_be_called_like_a_wildcard(self, tracker: TrackerBackend) -> None:
        """What it did counts for a week without items as little as what any other removed item did."""
        tracker.sync_with_etl("A", ["*"])
        for task_type in ("research", "content"):
            tracker.update_task("A", "*", task_type, "completed")
        assert tracker.can_start_task("A", None, "blog_post")

        tracker.sync_with_etl("A", [])

        assert not tracker.can_start_task("A", None, "blog_post")
        assert tracker.get_ready_tasks() == []

    @pytest.mark.requirement("CN-009", "CN-043")
    @pytest.mark.parametrize(
        "said",
        [
            {"retry_count": 2**31}, {"output_file": "\ud800"}, {"agent": "\ud800"},
            {"started_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))},
        ],
    )  # fmt: skip
    def test_what_no_record_can_say_is_refused(self, tracker: TrackerBackend, place: Any, said: dict[str, Any]) -> None:
        """By the error for it, and nothing is written."""
        with pytest.raises(UnknownFieldError):
            tracker.update_task("A", "Alpha", "research", "failed", **said)

        assert self.record(place, "Alpha", "research").status == "pending"

    def test_what_a_list_cannot_say_of_an_item_is_refused(self, tracker: TrackerBackend) -> None:
        """Half a character is none."""
        for said in ({"size": "\ud800"}, {"content_hash": "\ud800"}):
            with pytest.raises(UnknownFieldError, match="Gamma"):
                tracker.sync_with_etl("A", [{"name": "Gamma", **said}])
        assert "Gamma" not in tracker.load_tracker("A").items

    def test_a_start_behind_the_last_that_can_be_counted_is_one(self, tracker: TrackerBackend, place: Any) -> None:
        """What a record cannot say is not written."""
        tracker.update_task("A", "Alpha", "research", "failed", retry_count=2**31 - 1)
        tracker.update_task("A", "Alpha", "research", "in_progress")

        assert self.record(place, "Alpha", "research").retry_count == 2**31 - 1
        tracker.update_task("A", "Alpha", "research", "completed")

    def test_a_limit_may_be_any_number(self, tracker: TrackerBackend) -> None:
        """Also one that no store could count to."""
        assert tracker.get_ready_tasks(limit=10**30) == tracker.get_ready_tasks()

    def test_dictionaries_in_place_of_objects_are_taken_as_such(self, tracker: TrackerBackend, place: Any) -> None:
        """A dictionary looks at nothing that is put into it; saving does."""
        week: Any = tracker.load_tracker("A")
        week.items["Alpha"].tasks["research"] = {"status": "completed"}
        week.items["Delta"] = {"tasks": {"research": {"status": "failed"}}}
        tracker.save_tracker("A", week)

        assert self.record(place, "Alpha", "research").status == "completed"
        assert self.record(place, "Delta", "research").status == "failed"

    @pytest.mark.parametrize("wrong", [{"status": "done"}, "completed", None])
    def test_what_is_no_record_is_refused_where_it_is(self, tracker: TrackerBackend, place: Any, wrong: Any) -> None:
        """By the error for values that cannot be, which names the task."""
        week = tracker.load_tracker("A")
        week.items["Alpha"].tasks["research"] = wrong

        with pytest.raises(UnknownFieldError, match="Alpha/research says is no TaskRecord"):
            tracker.save_tracker("A", week)

        assert self.record(place, "Alpha", "research").status == "pending"


class TestYaml(SoundStore):
    def make(self, place: Any, **options: Any) -> TrackerBackend:
        return YAMLTrackerBackend(place / "weeks", **options)


class TestJson(SoundStore):
    def make(self, place: Any, **options: Any) -> TrackerBackend:
        return JSONTrackerBackend(place / "weeks", **options)


@pytest.mark.requirement("CN-018")
class TestObjects(SoundStore):
    @pytest.fixture
    def place(self, bucket: str) -> str:
        return bucket

    def make(self, place: Any, **options: Any) -> TrackerBackend:
        return YAMLTrackerBackend(f"{place}/weeks", **options)


class StoreAlone(SoundStore):
    def test_an_update_that_changes_something_is_saved_once(self, tracker: TrackerBackend, saves: list[str]) -> None:
        """No whole tracker is loaded and saved for it: there may be thousands of items."""
        assert isinstance(tracker, StoreTrackerBackend)
        store, events = tracker.ledger.store, [0]
        for _ in range(2):
            tracker.update_task("A", "Alpha", "research", "completed", output_file="a")
            events.append(int(str(store.read(lambda tx: tx.rows("last_event"))[0][0])))

        assert events[0] < events[1] == events[2]
        assert saves == []


@pytest.mark.requirement("CN-016")
class TestMemory(StoreAlone):
    """Nobody else sees it, so the same one is asked again; it may be told of other types."""

    @pytest.fixture
    def place(self) -> list[StoreTrackerBackend]:
        return []

    def make(self, place: Any, **options: Any) -> TrackerBackend:
        made = StoreTrackerBackend("memory:", **options)
        place.append(made)
        made._made = place[0].ledger if place[1:] else None
        return made


@pytest.mark.requirement("CN-017")
class TestSqlite(StoreAlone):
    def make(self, place: Any, **options: Any) -> TrackerBackend:
        return StoreTrackerBackend(f"sqlite:///{place}/tasks.db", **options)


@pytest.mark.requirement("CN-017")
class TestPostgres(StoreAlone):
    @pytest.fixture
    def place(self, server: Server) -> Iterator[str]:
        with server.schema() as url:
            yield url

    def make(self, place: Any, **options: Any) -> TrackerBackend:
        return StoreTrackerBackend(place, **options)


def test_a_store_may_have_the_weeks_of_two_folders(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'both.db'}"
    for folder, item in (("one", "x"), ("two", "y")):
        YAMLTrackerBackend(tmp_path / folder, flags={"store.url": url}).sync_with_etl("A", [item])

    tracker = StoreTrackerBackend(url)

    assert tracker.weeks() == ["A"]
    assert [one.item_name for one in tracker.get_ready_tasks()] == ["x"]
