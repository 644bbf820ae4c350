"""What is left when many change the trackers of one backend at once, as tests."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tasktrail.testing.draft_contract import DraftContract
from tasktrail.tracker import TrackerBackend, WeekTracker


class RaceContract(DraftContract):
    """Tests of many at once: nothing is lost, and nobody gets an error. `TrackerContract` has them, too."""

    @pytest.mark.requirement("CN-029")
    def test_forty_threads_update_forty_tasks(self, tracker: TrackerBackend, place: Any) -> None:
        """Each through a backend of its own, all at once: nothing is lost, nobody gets an error."""
        names = [f"item {n:02}" for n in range(40)]
        tracker.sync_with_etl("A", names)
        gate = threading.Barrier(40)

        def update(name: str) -> None:
            mine = self.make(place)
            gate.wait(60)
            mine.update_task("A", name, "research", "completed", output_file=name)

        with ThreadPoolExecutor(40) as pool:
            assert [*pool.map(update, names)] == [None] * 40
        done = self.make(place).load_tracker("A").items
        assert [done[name]["research"].output_file for name in names] == names
        assert tracker.get_progress("A", "research").completed == 40

    @pytest.mark.requirement("CN-029")
    def test_two_threads_start_one_task_again_and_again(self, tracker: TrackerBackend, place: Any) -> None:
        """Each start counts, whoever was first; and the list is applied meanwhile."""
        gate = threading.Barrier(3)

        def start(_: int) -> None:
            gate.wait(60)
            for _ in range(10):
                tracker.update_task("A", "Alpha", "research", "in_progress")

        def synchronise(_: int) -> None:
            gate.wait(60)
            for n in range(10):
                tracker.sync_with_etl("A", ["Alpha", "Beta", f"item {n}"])

        with ThreadPoolExecutor(3) as pool:
            done = [pool.submit(one, n) for n, one in enumerate((start, start, synchronise))]
            assert [one.result() for one in done] == [None] * 3
        assert self.record(place, "Alpha", "research").retry_count == 19
        items = self.make(place).load_tracker("A").items
        assert [name for name, item in items.items() if not item.removed] == ["Alpha", "Beta", "item 9"]

    @pytest.mark.requirement("CN-029")
    def test_threads_that_come_first_make_one_tracker(self, place: Any) -> None:
        """Whoever loses the race for a new week takes what the other one made; nothing of that is lost."""
        shared, gate = self.make(place), threading.Barrier(8)

        def begin(n: int) -> None:
            mine = self.make(place) if n % 2 else shared
            gate.wait(60)
            mine.sync_with_etl("D", ["Alpha", *(f"item {one}" for one in range(8))])
            mine.update_task("D", f"item {n}", "research", "completed")

        with ThreadPoolExecutor(8) as pool:
            assert [*pool.map(begin, range(8))] == [None] * 8
        assert self.make(place).get_progress("D", "research").completed == 8
        self.check(shared)

    @pytest.mark.requirement("CN-029")
    def test_a_week_that_somebody_else_made_meanwhile_is_not_replaced(
        self, place: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The list is applied to that one, and what was done in it stays."""
        mine, other = self.make(place), self.make(place)
        new_tracker = mine.new_tracker

        def overtaken(week_letter: str) -> WeekTracker:
            made = new_tracker(week_letter)
            other.sync_with_etl("D", ["Alpha"])
            other.update_task("D", "Alpha", "research", "completed")
            return made

        monkeypatch.setattr(mine, "new_tracker", overtaken)
        mine.sync_with_etl("D", ["Alpha", "Beta"])

        items = self.make(place).load_tracker("D").items
        assert [(name, item["research"].status.value) for name, item in items.items()] == [
            ("Alpha", "completed"), ("Beta", "pending"),
        ]  # fmt: skip
