"""What every tracker must do, as tests: subclass `TrackerContract`, say how one is made, and run pytest."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from tasktrail.model.errors import BadInput, NotFound
from tasktrail.testing.draft_contract import Saves
from tasktrail.testing.fakes import FakeClock
from tasktrail.testing.race_contract import RaceContract
from tasktrail.tracker import (
    DependencyNotMetError,
    InvalidTaskTypeError,
    InvalidWeekError,
    ItemNotFoundError,
    ItemRemovedError,
    Named,
    TaskStatus,
    TaskTypeConfig,
    TrackerBackend,
    TrackerError,
    UnknownFieldError,
    WeekNotFoundError,
    grid_of,
)

START: Final = datetime(2026, 1, 1)
"""What the clock of the tests shows first."""
LATER: Final = START + timedelta(seconds=90)


class TrackerContract(RaceContract):
    """Tests that a tracker passes wherever it keeps what it knows.

    A subclass overrides `make(place, **options)`, which returns a tracker; called again for the same place, another one
    that finds what the first one saved. The options are `grid` and `groups`, as `TrackerBackend.__init__` takes them.
    Where a folder is no place for its trackers, it overrides the fixture `place`; and `check(tracker)`, which is called
    at the end of a test, where there is something below to look at.
    """

    # weeks

    @pytest.mark.requirement("CN-033")
    def test_a_week_is_there_once_it_has_a_tracker(self, tracker: TrackerBackend, place: Any) -> None:
        """Asking for it makes none."""
        assert not tracker.tracker_exists("C")
        assert tracker.weeks() == ["A"]

        tracker.sync_with_etl("C", [])

        assert tracker.tracker_exists("C")
        assert self.make(place).weeks() == ["A", "C"]

    @pytest.mark.requirement("CN-023")
    def test_letters_are_the_same_in_either_case(self, tracker: TrackerBackend) -> None:
        """A small one and a capital one name one week."""
        tracker.update_task("a", "Alpha", "research", "completed")

        assert tracker.tracker_exists("a")
        assert tracker.load_tracker("A").items["Alpha"]["research"].status == "completed"
        assert tracker.weeks() == ["A"]

    @pytest.mark.requirement("CN-024")
    @pytest.mark.parametrize("week", ["", "AA", "1", "Ä", "ß", "ı", "../A", " A", None, 0])
    def test_what_is_no_letter_names_no_week(self, tracker: TrackerBackend, week: Any) -> None:
        """By whatever it is asked for, or made."""
        for ask in (
            lambda: tracker.tracker_exists(week), lambda: tracker.load_tracker(week),
            lambda: tracker.update_task(week, "Alpha", "research", "completed"),
            lambda: tracker.sync_with_etl(week, ["Alpha"]), lambda: tracker.get_progress(week),
            lambda: tracker.can_start_task(week, "Alpha", "research"),
        ):  # fmt: skip
            with pytest.raises(InvalidWeekError):
                ask()
        assert tracker.weeks() == ["A"]

    @pytest.mark.requirement("CN-071", "CN-074")
    def test_a_week_without_a_tracker_is_not_found(self, tracker: TrackerBackend) -> None:
        """By whatever it is asked for, but for the list that makes one."""
        for ask in (
            lambda: tracker.load_tracker("C"), lambda: tracker.get_pending_items("C", "research"),
            lambda: tracker.can_start_task("C", "Alpha", "research"), lambda: tracker.get_progress("C"),
            lambda: tracker.update_task("C", "Alpha", "research", "completed"),
        ):  # fmt: skip
            with pytest.raises(WeekNotFoundError) as error:
                ask()
            assert isinstance(error.value, TrackerError | NotFound)
        assert not tracker.tracker_exists("C")

    # updates

    @pytest.mark.requirement("CN-037", "CN-038", "CN-041", "CN-047")
    def test_a_task_is_started_and_completed(self, tracker: TrackerBackend, clock: FakeClock, place: Any) -> None:
        """With its times, its result, and who does it."""
        tracker.update_task("A", "Alpha", "research", TaskStatus.IN_PROGRESS)
        started = self.record(place, "Alpha", "research")
        clock.advance(90)
        tracker.update_task("A", "Alpha", "research", TaskStatus.COMPLETED, output_file="research/alpha.yaml")
        done = self.record(place, "Alpha", "research")

        assert (started.status, started.started_at, started.completed_at) == ("in_progress", START, None)
        assert (done.status, done.started_at, done.completed_at) == ("completed", START, LATER)
        assert (done.output_file, done.agent, done.retry_count) == ("research/alpha.yaml", "researcher", 0)

    @pytest.mark.requirement("CN-039", "CN-041", "CN-042")
    def test_a_task_that_failed_is_started_again(self, tracker: TrackerBackend, clock: FakeClock, place: Any) -> None:
        """Which clears what the failure said, counts, and keeps the time of the first start."""
        tracker.update_task("A", "Alpha", "research", "in_progress")
        clock.advance(90)
        tracker.update_task("A", "Alpha", "research", "failed", error_message="no network")
        failed = self.record(place, "Alpha", "research")
        tracker.update_task("A", "Alpha", "research", "in_progress")
        again = self.record(place, "Alpha", "research")

        assert (failed.status, failed.error_message, failed.completed_at) == ("failed", "no network", LATER)
        assert (again.started_at, again.completed_at, again.error_message, again.retry_count) == (START, None, None, 1)

    def test_a_failure_of_which_nobody_says_why_says_nothing(self, tracker: TrackerBackend, place: Any) -> None:
        """No message is made up; and one that was said is taken away by None."""
        tracker.update_task("A", "Alpha", "research", "failed")
        assert self.record(place, "Alpha", "research").error_message is None

        tracker.update_task("A", "Alpha", "research", "failed", error_message="no network")
        tracker.update_task("A", "Alpha", "research", "failed", error_message=None)
        assert self.record(place, "Alpha", "research").error_message is None

    @pytest.mark.requirement("CN-003", "CN-040")
    def test_a_task_is_skipped(self, tracker: TrackerBackend, place: Any) -> None:
        """Which ends it, too."""
        tracker.update_task("A", "Alpha", "research", TaskStatus.SKIPPED)

        skipped = self.record(place, "Alpha", "research")
        assert (skipped.status, skipped.started_at, skipped.completed_at) == ("skipped", None, START)

    @pytest.mark.requirement("CN-046")
    def test_a_task_is_completed_directly(self, tracker: TrackerBackend, place: Any) -> None:
        """Without a start, and whatever it needs; one of the week itself as well, named with an item or without."""
        tracker.update_task("A", "Alpha", "content", "completed")
        tracker.update_task("A", None, "blog_post", "completed", output_file="a.md")

        assert self.record(place, "Alpha", "content").completed_at == START
        assert self.record(place, None, "blog_post").output_file == "a.md"
        tracker.update_task("A", "Alpha", "blog_post", "pending")
        assert self.record(place, None, "blog_post").status == "pending"
        assert self.record(place, None, "blog_post").completed_at is None

    @pytest.mark.requirement("CN-047")
    def test_every_field_of_a_record_can_be_given(self, tracker: TrackerBackend, place: Any) -> None:
        """Instead of what follows from the status."""
        said: dict[str, Any] = {
            "started_at": datetime(2025, 5, 1), "completed_at": datetime(2025, 5, 2), "output_file": "a",
            "error_message": "slow", "retry_count": 3, "agent": "Ann",
        }  # fmt: skip
        tracker.update_task("A", "Alpha", "research", "failed", **said)

        found = self.record(place, "Alpha", "research")
        assert {name: getattr(found, name) for name in said} == said

    def test_a_time_that_is_none_follows_from_the_status(self, tracker: TrackerBackend, place: Any) -> None:
        """A completed task has the time when it was."""
        tracker.update_task("A", "Alpha", "research", "completed", started_at=None, completed_at=None)

        assert self.record(place, "Alpha", "research").completed_at == START

    def test_starts_are_not_forgotten(self, tracker: TrackerBackend, place: Any) -> None:
        """A smaller number of them is refused, not dropped."""
        tracker.update_task("A", "Alpha", "research", "in_progress", retry_count=3)

        with pytest.raises(UnknownFieldError, match="retry_count of Alpha/research to be at least 3, got: 0"):
            tracker.update_task("A", "Alpha", "research", "in_progress", retry_count=0)
        assert self.record(place, "Alpha", "research").retry_count == 3

    @pytest.mark.requirement("CN-043")
    def test_a_field_that_no_record_has_is_refused(self, tracker: TrackerBackend, saves: Saves) -> None:
        """With the nearest one, and without half of the update."""
        with pytest.raises(UnknownFieldError, match=r"'output_fil'.*output_file"):
            tracker.update_task("A", "Alpha", "research", "completed", output_fil="a")
        with pytest.raises(UnknownFieldError, match="status"):
            tracker.update_task("A", "Alpha", "research", "done")
        with pytest.raises(UnknownFieldError, match="retry_count"):
            tracker.update_task("A", "Alpha", "research", "completed", retry_count=-1)
        assert saves == []

    @pytest.mark.requirement("CN-072", "CN-073", "CN-074")
    def test_the_type_is_looked_at_first_then_the_item(self, tracker: TrackerBackend, saves: Saves) -> None:
        """Each error is one of trackers, and says what is near."""
        with pytest.raises(InvalidTaskTypeError, match=r"'reserch'.*research"):
            tracker.update_task("A", "Nobody", "reserch", "in_progress")
        with pytest.raises(ItemNotFoundError, match=r"Alhpa.*Alpha"):
            tracker.update_task("A", "Alhpa", "research", "in_progress")
        for error in (InvalidTaskTypeError, ItemNotFoundError, WeekNotFoundError, DependencyNotMetError):
            assert issubclass(error, TrackerError)
        assert saves == []

    @pytest.mark.requirement("CN-044")
    def test_a_task_of_an_item_is_not_one_of_the_week(self, tracker: TrackerBackend, saves: Saves) -> None:
        """Nor are the pending items of a week's task to be had."""
        with pytest.raises(InvalidTaskTypeError, match="no item was named"):
            tracker.update_task("A", None, "research", "completed")
        with pytest.raises(InvalidTaskTypeError, match="blog_post"):
            tracker.get_pending_items("A", "blog_post")
        assert saves == []

    @pytest.mark.requirement("CN-035", "CN-045", "CN-050", "CN-059")
    def test_nothing_is_done_to_a_removed_item(self, tracker: TrackerBackend, place: Any) -> None:
        """It is not pending, not counted, not waited for, and keeps what it was."""
        tracker.update_task("A", "Beta", "research", "completed", output_file="b")
        tracker.update_task("A", "Alpha", "content", "completed")
        tracker.sync_with_etl("A", ["Alpha"])

        with pytest.raises(ItemRemovedError, match="Beta"):
            tracker.update_task("A", "Beta", "content", "completed")
        assert tracker.get_pending_items("A", "content") == []
        assert tracker.can_start_task("A", None, "blog_post")
        assert not tracker.can_start_task("A", "Beta", "content")
        assert tracker.get_progress("A").total == 3
        beta = self.make(place).load_tracker("A").items["Beta"]
        assert (beta.removed, beta["research"].status, beta["research"].output_file) == (True, "completed", "b")

    def test_a_task_that_an_item_lacks_comes_with_its_first_update(self, tracker: TrackerBackend, place: Any) -> None:
        """As when its type is newer than the item."""
        week = tracker.load_tracker("A")
        del week.items["Alpha"].tasks["content"]
        tracker.save_tracker("A", week)
        assert "content" not in self.make(place).load_tracker("A").items["Alpha"]

        tracker.update_task("A", "Alpha", "content", "completed")

        assert self.record(place, "Alpha", "content").status == "completed"
        assert self.record(place, "Alpha", "content").agent == "writer"

    def test_an_update_that_changes_something_is_saved_once(self, tracker: TrackerBackend, saves: Saves) -> None:
        """And one that changes nothing is not saved."""
        tracker.update_task("A", "Alpha", "research", "completed", output_file="a")
        assert saves == ["A"]

        tracker.update_task("A", "Alpha", "research", "completed", output_file="a")
        tracker.update_task("A", "Alpha", "research", "completed")
        assert saves == ["A"]

    # needs

    @pytest.mark.requirement("CN-048", "CN-051", "CN-054", "CN-075")
    def test_content_needs_research(self, tracker: TrackerBackend, saves: Saves) -> None:
        """To start; the error names what is missing and where it stands."""
        for status in ("pending", "in_progress", "failed", "skipped"):
            tracker.update_task("A", "Alpha", "research", status)
            assert not tracker.can_start_task("A", "Alpha", "content")
        saves.clear()
        with pytest.raises(DependencyNotMetError, match="Alpha/research") as error:
            tracker.update_task("A", "Alpha", "content", "in_progress")
        assert [*error.value.details] == ["Alpha/research is skipped"]
        assert saves == []

        tracker.update_task("A", "Alpha", "research", "completed")
        assert tracker.can_start_task("A", "Alpha", "content")
        tracker.update_task("A", "Alpha", "content", "in_progress")

    @pytest.mark.requirement("CN-049", "CN-052", "CN-056", "CN-057")
    def test_the_blog_post_needs_the_content_of_all_items(self, tracker: TrackerBackend) -> None:
        """Completed, of each: skipped is not enough, and an item without such a task is in the way."""
        tracker.update_task("A", "Alpha", "content", "completed")
        tracker.update_task("A", "Beta", "content", "skipped")
        assert not tracker.can_start_task("A", None, "blog_post")

        week = tracker.load_tracker("A")
        del week.items["Beta"].tasks["content"]
        tracker.save_tracker("A", week)
        assert not tracker.can_start_task("A", None, "blog_post")
        with pytest.raises(DependencyNotMetError, match="Beta/content"):
            tracker.update_task("A", None, "blog_post", "in_progress")

        tracker.update_task("A", "Beta", "content", "completed")
        assert tracker.can_start_task("A", None, "blog_post")

    @pytest.mark.requirement("CN-053")
    def test_what_is_unknown_cannot_start(self, tracker: TrackerBackend) -> None:
        """Which is an answer, no error; where a task itself stands does not matter."""
        assert not tracker.can_start_task("A", "Alpha", "reserch")
        assert not tracker.can_start_task("A", "Nobody", "research")
        assert not tracker.can_start_task("A", None, "research")
        tracker.update_task("A", "Alpha", "research", "completed")
        assert tracker.can_start_task("A", "Alpha", "research")

    @pytest.mark.requirement("CN-055")
    def test_the_blog_post_of_an_empty_week_cannot_start(self, tracker: TrackerBackend) -> None:
        """Nor of one whose items were all removed."""
        tracker.sync_with_etl("B", [])
        tracker.sync_with_etl("A", [])

        assert [tracker.can_start_task(week, None, "blog_post") for week in "AB"] == [False, False]
        with pytest.raises(DependencyNotMetError, match="content"):
            tracker.update_task("A", None, "blog_post", "in_progress")

    @pytest.mark.requirement("CN-057")
    def test_skipped_may_be_enough(self, tracker: TrackerBackend, place: Any) -> None:
        """At both levels, where that is configured."""
        lenient = self.make(place, grid=grid_of("weeks", skipped_meets=True))
        lenient.update_task("A", "Alpha", "research", "skipped")
        assert lenient.can_start_task("A", "Alpha", "content")
        assert not tracker.can_start_task("A", "Alpha", "content")
        for item in ("Alpha", "Beta"):
            lenient.update_task("A", item, "content", "skipped")
        assert lenient.can_start_task("A", None, "blog_post")
        assert not tracker.can_start_task("A", None, "blog_post")

    # questions about all

    @pytest.mark.requirement("CN-034", "CN-036")
    def test_pending_items_may_start_now(self, tracker: TrackerBackend) -> None:
        """Those whose needs are not met, that began, or that have no such task, are none."""
        tracker.sync_with_etl("A", ["Alpha", "Beta", "Gamma"])
        assert tracker.get_pending_items("A", "research") == ["Alpha", "Beta", "Gamma"]
        assert tracker.get_pending_items("A", "content") == []

        tracker.update_task("A", "Beta", "research", "completed")
        tracker.update_task("A", "Gamma", "research", "in_progress")

        assert tracker.get_pending_items("A", "research") == ["Alpha"]
        assert tracker.get_pending_items("A", "content") == ["Beta"]
        with pytest.raises(InvalidTaskTypeError, match="reserch"):
            tracker.get_pending_items("A", "reserch")

    @pytest.mark.requirement("CN-066", "CN-067", "CN-068", "CN-069")
    def test_progress_counts_where_tasks_stand(self, tracker: TrackerBackend) -> None:
        """All of a week, its own too, or those of one type, be it of the week."""
        for item, task, status in (
            ("Alpha", "research", "completed"), ("Alpha", "content", "in_progress"), ("Beta", "research", "failed"),
            ("Beta", "content", "skipped"),
        ):  # fmt: skip
            tracker.update_task("A", item, task, status)
        progress, research = tracker.get_progress("A"), tracker.get_progress("A", "research")
        post = tracker.get_progress("A", "blog_post")

        assert progress.model_dump() == {
            "total": 5, "pending": 1, "in_progress": 1, "completed": 1, "failed": 1, "skipped": 1,
        }  # fmt: skip
        assert progress.completion_percentage == 20.0
        assert (research.total, research.completed, research.completion_percentage) == (2, 1, 50.0)
        assert (post.total, post.pending) == (1, 1)
        with pytest.raises(InvalidTaskTypeError, match="reserch"):
            tracker.get_progress("A", "reserch")

    @pytest.mark.requirement("CN-070")
    def test_ready_tasks_of_all_weeks_are_sorted(self, tracker: TrackerBackend) -> None:
        """By week, type and item, the first ones first."""
        tracker.sync_with_etl("C", ["Zeta", "Eta"])
        tracker.update_task("A", "Beta", "research", "completed")
        tracker.update_task("C", "Zeta", "research", "completed")
        tracker.update_task("C", "Zeta", "content", "completed")
        tracker.sync_with_etl("C", ["Zeta"])

        ready = tracker.get_ready_tasks()
        assert [(*one,) for one in ready] == [
            ("A", "Beta", "content", "writer"), ("A", "Alpha", "research", "researcher"),
            ("C", None, "blog_post", "writer"),
        ]  # fmt: skip
        assert ready[0].week_letter == "A"
        assert tracker.get_ready_tasks(limit=1) == ready[:1]
        assert tracker.get_ready_tasks(limit=0) == []
        with pytest.raises(UnknownFieldError, match="limit"):
            tracker.get_ready_tasks(limit=-1)

    # configuration

    @pytest.mark.requirement("CN-019")
    def test_types_may_be_other_ones_and_groups_too(self, place: Any) -> None:
        """What a type of items needs may be of the group, and what one of the group needs as well; some items lack a
        task."""
        sprints = self.make(place, grid=_release_grid(), groups=Named("sprint"))
        sprints.sync_with_etl("2026.1", [{"name": "api", "risk": 8}, {"name": "docs", "risk": 1}])

        assert sprints.weeks() == ["2026.1"]
        assert sprints.load_tracker("2026.1").metadata["sprint"] == "2026.1"
        assert [*sprints.load_tracker("2026.1").items["docs"].tasks] == ["build"]
        assert [(*one,) for one in sprints.get_ready_tasks()] == [("2026.1", None, "branch", None)]
        for item, task in ((None, "branch"), ("api", "build"), ("docs", "build")):
            assert sprints.can_start_task("2026.1", item, task)
            sprints.update_task("2026.1", item, task, "completed")
        assert not sprints.can_start_task("2026.1", None, "publish")
        sprints.update_task("2026.1", "api", "review", "completed")
        assert sprints.can_start_task("2026.1", None, "publish")
        assert not sprints.can_start_task("2026.1", None, "announce")
        with pytest.raises(InvalidWeekError, match="sprint"):
            sprints.tracker_exists("../2026")

    # errors

    @pytest.mark.parametrize(
        "items", ["Alpha", 7, None, [""], ["x" * 201], ["a\nb"], [3], [{"id": 1}], [{"name": "x", "removed": True}],
                  [{"name": "x", "size": float("nan")}]],
    )  # fmt: skip
    def test_what_is_no_list_of_items_is_refused(self, tracker: TrackerBackend, saves: Saves, items: Any) -> None:
        """Before anything of it is applied."""
        with pytest.raises(UnknownFieldError):
            tracker.sync_with_etl("A", items)
        assert saves == []

    @pytest.mark.requirement("CN-019")
    def test_types_that_need_each_other_are_refused(self) -> None:
        """With everything that is wrong about them."""
        types = {
            "a": TaskTypeConfig(name="a", depends_on=["b"]),
            "b": TaskTypeConfig(name="b", depends_on=["a"], when="week.x"),
        }
        with pytest.raises(BadInput) as error:
            grid_of("weeks", types, ["a", "c"], ["b"])
        assert len(error.value.details) == 4


def _release_grid() -> Any:
    types = (
        TaskTypeConfig(name="branch", is_week_level=True),
        TaskTypeConfig(name="build", depends_on=["branch"]),
        TaskTypeConfig(name="review", depends_on=["build"], when="item.risk > 5"),
        TaskTypeConfig(name="publish", depends_on=["build", "review"], is_week_level=True),
        TaskTypeConfig(name="announce", depends_on=["publish"], is_week_level=True),
    )
    by_name = {one.name: one for one in types}
    return grid_of("sprints", by_name, ["build", "review"], ["branch", "publish", "announce"])
