"""Groups of several kinds in one store are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasktrail.model.errors import WrongState
from tasktrail.tracker import Named, StoreTrackerBackend, TrackerAccessError, get_tracker, grid_of


def test_a_group_of_another_kind_in_the_same_store_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    weeks, sprints = StoreTrackerBackend(url), StoreTrackerBackend(url, grid_of("sprints"), Named("sprint"))
    weeks.sync_with_etl("A", ["x"])

    with pytest.raises(TrackerAccessError, match=r"A in .*tasks\.db is one of the weeks, not of the sprints"):
        sprints.sync_with_etl("A", ["y"])

    sprints.sync_with_etl("2026-07", ["y"])
    assert (weeks.weeks(), sprints.weeks()) == (["A"], ["2026-07"])
    assert list(weeks.load_tracker("A").items) == ["x"]


@pytest.mark.parametrize("backend", ["yaml", "sqlite:///tasks.db"])
def test_nothing_new_starts_in_a_week_that_is_paused(backend: str) -> None:
    tracker = get_tracker(backend)
    tracker.sync_with_etl("A", ["x", "y"])
    tracker.update_task("A", "x", "research", "in_progress")
    ledger, run = tracker.opened("A")
    ledger.pause_run(run.id)

    assert tracker.get_ready_tasks() == []
    with pytest.raises(WrongState, match="A is paused, nothing new starts"):
        tracker.update_task("A", "y", "research", "in_progress")
    tracker.update_task("A", "x", "research", "completed")

    ledger.unpause_run(run.id)
    tracker.update_task("A", "y", "research", "in_progress")
