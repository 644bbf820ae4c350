"""What every tracker does to the objects that it gives out, and what a list of items does to it, as tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tasktrail.model.errors import Conflict
from tasktrail.testing.fakes import FakeClock, using_clock
from tasktrail.tracker import (
    ItemTasks,
    TaskRecord,
    TaskStatus,
    TrackerBackend,
    WeekTasks,
    WeekTracker,
)

Saves = list[str]
"""The week of every call of `save_tracker`."""


class DraftContract:
    """Tests of loading, changing and saving a whole week. `TrackerContract` has them, too."""

    def make(self, place: Any, **options: Any) -> TrackerBackend:
        """Return a tracker; called again for the same place, another one that finds what the first one saved.

        Args:
            options: `grid` and `groups`, for `TrackerBackend.__init__`.
        """
        raise NotImplementedError("a subclass of TrackerContract says how a tracker is made")

    def check(self, tracker: TrackerBackend) -> None:
        """Fail unless what lies below is sound; called at the end of a test. There may be nothing to look at."""

    @pytest.fixture
    def place(self, tmp_path: Any) -> Any:
        """Where the trackers of one test live: a folder, unless a subclass has something else."""
        return tmp_path

    @pytest.fixture(autouse=True)
    def clock(self) -> Iterator[FakeClock]:
        """A clock that stands still at the beginning of 2026."""
        with using_clock(FakeClock()) as clock:
            yield clock

    @pytest.fixture
    def tracker(self, place: Any) -> Iterator[TrackerBackend]:
        """A tracker with a week A of two items, Alpha and Beta, of which nothing is done."""
        tracker = self.make(place)
        tracker.sync_with_etl("A", ["Alpha", "Beta"])
        yield tracker
        self.check(tracker)

    @pytest.fixture
    def saves(self, tracker: TrackerBackend, monkeypatch: pytest.MonkeyPatch) -> Saves:
        """The weeks that are saved from now on, each time one."""
        saves, save = Saves(), tracker.save_tracker

        def saving(week_letter: str, week: WeekTracker) -> None:
            saves.append(week_letter)
            save(week_letter, week)

        monkeypatch.setattr(tracker, "save_tracker", saving)
        return saves

    def record(self, place: Any, item: str | None, task_type: str) -> TaskRecord:
        """Return a record of week A as another backend finds it."""
        week = self.make(place).load_tracker("A")
        return week.items[item][task_type] if item else week.week_tasks[task_type]

    # loading

    @pytest.mark.requirement("CN-005", "CN-006", "CN-007", "CN-076")
    def test_a_week_is_loaded_as_objects(self, tracker: TrackerBackend) -> None:
        """Their records are asked for as those of a dict are."""
        week = tracker.load_tracker("A")

        assert isinstance(week, WeekTracker)
        assert isinstance(week.items["Alpha"], ItemTasks)
        assert isinstance(week.week_tasks, WeekTasks)
        assert week.items["Alpha"]["research"].status is TaskStatus.PENDING
        assert week.week_tasks["blog_post"].status == "pending"
        assert (week.items["Alpha"].get("blog_post"), week.week_tasks.get("content")) == (None, None)
        with pytest.raises(KeyError):
            week.items["Alpha"]["blog_post"]

    def test_what_is_done_to_a_loaded_week_is_nobodys_before_it_is_saved(self, tracker: TrackerBackend) -> None:
        """It is an object of who loaded it."""
        week = tracker.load_tracker("A")
        week.items["Alpha"]["research"].status = TaskStatus.COMPLETED
        del week.items["Beta"]
        week.metadata.clear()

        again = tracker.load_tracker("A")
        assert again.items["Alpha"]["research"].status == "pending"
        assert [*again.items] == ["Alpha", "Beta"]
        assert again.metadata["week_letter"] == "A"

    # saving

    @pytest.mark.requirement("CN-008", "CN-031", "CN-032")
    def test_everything_that_is_changed_is_saved(self, tracker: TrackerBackend, place: Any) -> None:
        """Fields, records, items, attributes, metadata, and what a record says besides."""
        week = tracker.load_tracker("A")
        said = {
            "status": "failed", "started_at": datetime(2025, 12, 1, 8), "completed_at": datetime(2025, 12, 1, 9),
            "output_file": None, "error_message": "no", "retry_count": 2, "agent": "Ann", "model": "large",
        }  # fmt: skip
        week.items["Alpha"]["research"] = TaskRecord.model_validate(said)
        week.items["Beta"].removed = True
        week.items["Gamma"] = ItemTasks.model_validate({"tasks": {"research": {"status": "skipped"}}, "team": "blue"})
        week.week_tasks["blog_post"].agent = None
        week.metadata["owner"] = {"name": "Bo", "since": datetime(2026, 1, 1)}
        tracker.save_tracker("A", week)

        found = self.make(place).load_tracker("A")
        assert found.items["Alpha"]["research"].model_dump() == said
        assert found.items["Alpha"]["content"].model_dump(exclude_defaults=True) == {"agent": "writer"}
        assert found.items["Beta"].removed
        assert (found.items["Gamma"]["research"].status, found.items["Gamma"].attributes) == (
            "skipped", {"team": "blue"},
        )  # fmt: skip
        assert found.week_tasks["blog_post"].agent is None
        assert found.metadata["owner"] == {"name": "Bo", "since": "2026-01-01T00:00:00"}

    def test_an_object_may_be_saved_again(self, tracker: TrackerBackend, place: Any) -> None:
        """Who saved it knows what is there."""
        week = tracker.load_tracker("A")
        for text in ("a", "b"):
            week.items["Alpha"]["research"].output_file = text
            week.metadata["turn"] = text
            tracker.save_tracker("A", week)

        assert self.record(place, "Alpha", "research").output_file == "b"
        assert self.make(place).load_tracker("A").metadata["turn"] == "b"

    def test_what_was_changed_since_is_not_written_over(self, tracker: TrackerBackend, place: Any) -> None:
        """Who saves the same of an older state is told, and nothing of it is saved."""
        stale = tracker.load_tracker("A")
        tracker.update_task("A", "Alpha", "research", "completed", output_file="theirs")
        stale.items["Alpha"]["research"].output_file = "mine"
        stale.items["Beta"]["research"].output_file = "mine"

        with pytest.raises(Conflict):
            tracker.save_tracker("A", stale)

        assert self.record(place, "Alpha", "research").output_file == "theirs"
        assert self.record(place, "Beta", "research").output_file is None

    def test_a_week_made_by_hand_takes_the_place_of_what_is_there(self, tracker: TrackerBackend, place: Any) -> None:
        """And is a new week where nothing is."""
        record = TaskRecord(status=TaskStatus.COMPLETED, output_file="x")
        for week in "AB":
            made = WeekTracker(
                items={"Alpha": ItemTasks(tasks={"research": record.model_copy()}), "New": ItemTasks()},
                metadata={"by": "hand"},
            )
            tracker.save_tracker(week, made)

            found = self.make(place).load_tracker(week)
            assert [*found.items] == ["Alpha", "New"]
            assert [*found.items["Alpha"].tasks] == ["research"]
            assert found.items["Alpha"]["research"].output_file == "x"
            assert (found.metadata, found.week_tasks.tasks) == ({"by": "hand"}, {})

    # lists of items

    @pytest.mark.requirement("CN-058", "CN-060", "CN-064", "CN-065")
    def test_a_list_makes_a_week(self, tracker: TrackerBackend, place: Any) -> None:
        """Every item with its default tasks, pending; what comes twice is one."""
        tracker.sync_with_etl("b", ["P2", "P1", "P2"])

        week = self.make(place).load_tracker("B")
        assert [*week.items] == ["P2", "P1"]
        assert {name: one.model_dump(exclude_defaults=True) for name, one in week.items["P1"].tasks.items()} == {
            "research": {"agent": "researcher"}, "content": {"agent": "writer"},
        }  # fmt: skip
        assert [*week.week_tasks.tasks] == ["blog_post"]
        assert week.metadata == {
            "created_at": "2026-01-01T00:00:00", "week_letter": "B", "last_synced": "2026-01-01T00:00:00",
            "etl_item_count": 2,
        }  # fmt: skip

    @pytest.mark.requirement("CN-058", "CN-059", "CN-060", "CN-061")
    @pytest.mark.parametrize("status", ["pending", "in_progress", "completed", "failed", "skipped"])
    def test_an_item_goes_and_comes_back_as_it_was(
        self, tracker: TrackerBackend, clock: FakeClock, place: Any, status: str
    ) -> None:
        """With every field of its tasks, also as it is seen meanwhile."""
        tracker.update_task("A", "Beta", "research", "in_progress")
        tracker.update_task("A", "Beta", "research", "failed", error_message="once")
        tracker.update_task("A", "Beta", "research", status, output_file="b", agent="Ann")
        before = self.make(place).load_tracker("A").items["Beta"]
        clock.advance(60)

        tracker.sync_with_etl("A", ["Alpha", "Gamma"])
        away = self.make(place).load_tracker("A")
        clock.advance(60)
        tracker.sync_with_etl("A", ["Alpha", "Beta", "Gamma"])
        back = self.make(place).load_tracker("A")

        assert away.items["Beta"] == before.model_copy(update={"removed": True})
        assert back.items["Beta"] == before
        assert [*back.items] == ["Alpha", "Beta", "Gamma"]
        assert (away.metadata["etl_item_count"], back.metadata["etl_item_count"]) == (2, 3)
        assert away.metadata["last_synced"] == "2026-01-01T00:01:00"
        assert back.metadata["last_synced"] == "2026-01-01T00:02:00"
        assert back.metadata["created_at"] == "2026-01-01T00:00:00"

    @pytest.mark.requirement("CN-062", "CN-063")
    def test_a_list_is_saved_once_and_only_where_it_changes_something(
        self, tracker: TrackerBackend, clock: FakeClock, saves: Saves
    ) -> None:
        """The same list again keeps the time of the first one; a time that is missing is mended by one save."""
        clock.advance(60)
        tracker.sync_with_etl("A", ["Beta", "Alpha", "Alpha"])
        assert saves == []
        assert tracker.load_tracker("A").metadata["last_synced"] == "2026-01-01T00:00:00"

        for items in (["Alpha"], ["Alpha", "Beta"]):
            tracker.sync_with_etl("A", items)
        assert saves == ["A", "A"]

        week = tracker.load_tracker("A")
        del week.metadata["last_synced"]
        tracker.save_tracker("A", week)
        saves.clear()
        for _ in range(2):
            tracker.sync_with_etl("A", ["Alpha", "Beta"])
        assert saves == ["A"]
        assert tracker.load_tracker("A").metadata["last_synced"] == "2026-01-01T00:01:00"

    def test_items_have_attributes_and_a_hash(self, tracker: TrackerBackend, saves: Saves, place: Any) -> None:
        """A list adds to what is known of an item, and says nothing of what it leaves out."""
        tracker.sync_with_etl("A", [{"name": "Alpha", "team": "blue", "content_hash": "1"}, "Beta"])
        tracker.sync_with_etl("A", [{"name": "Alpha", "tags": ["x"], "content_hash": "2"}, "Beta"])
        tracker.sync_with_etl("A", ["Alpha", "Beta"])

        alpha = self.make(place).load_tracker("A").items["Alpha"]
        assert (alpha.attributes, alpha.content_hash) == ({"team": "blue", "tags": ["x"]}, "2")
        assert saves == ["A", "A"]

    # as documented

    @pytest.mark.requirement("CN-077")
    def test_work_is_told_as_it_goes(self, tracker: TrackerBackend, place: Any) -> None:
        """Started, then completed with a result or failed with an error, and tried again."""

        def work(item: str) -> None:
            tracker.update_task("A", item, "research", TaskStatus.IN_PROGRESS)
            try:
                if item == "Beta":
                    raise OSError("no network")
                tracker.update_task("A", item, "research", TaskStatus.COMPLETED, output_file=f"research/{item}.yaml")
            except OSError as error:
                tracker.update_task("A", item, "research", TaskStatus.FAILED, error_message=str(error))

        for item in tracker.get_pending_items("A", "research"):
            work(item)

        assert self.record(place, "Alpha", "research").output_file == "research/Alpha.yaml"
        assert self.record(place, "Beta", "research").error_message == "no network"
        assert tracker.get_pending_items("A", "content") == ["Alpha"]

    @pytest.mark.requirement("CN-010", "CN-066")
    def test_a_week_from_its_list_to_its_post(self, tracker: TrackerBackend) -> None:
        """Twelve steps, as the document's users go through them."""
        tracker.sync_with_etl("B", ["P1", "P2"])
        for item in ("P1", "P2"):
            assert not tracker.can_start_task("B", item, "content")
            tracker.update_task("B", item, "research", "in_progress")
            tracker.update_task("B", item, "research", "completed", output_file=f"research/{item}.yaml")
            assert tracker.can_start_task("B", item, "content")
            tracker.update_task("B", item, "content", "in_progress")
            progress = tracker.get_progress("B")
            assert (progress.completed, progress.in_progress) == ((1, 1) if item == "P1" else (3, 1))
            assert not tracker.can_start_task("B", None, "blog_post")
            tracker.update_task("B", item, "content", "completed", output_file=f"content/{item}.md")
        assert tracker.can_start_task("B", None, "blog_post")
        tracker.update_task("B", None, "blog_post", "in_progress")
        tracker.update_task("B", None, "blog_post", "completed")

        progress = tracker.get_progress("B")
        assert (progress.completed, progress.total, progress.completion_percentage) == (5, 5, 100.0)
