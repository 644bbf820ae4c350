"""Groups of several kinds in one store are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasktrail.tracker import Named, StoreTrackerBackend, TrackerAccessError, grid_of


def test_a_group_of_another_kind_in_the_same_store_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    weeks, sprints = StoreTrackerBackend(url), StoreTrackerBackend(url, grid_of("sprints"), Named("sprint"))
    weeks.sync_with_etl("A", ["x"])

    with pytest.raises(TrackerAccessError, match=r"A in .*tasks\.db is one of the weeks, not of the sprints"):
        sprints.sync_with_etl("A", ["y"])

    sprints.sync_with_etl("2026-07", ["y"])
    assert (weeks.weeks(), sprints.weeks()) == (["A"], ["2026-07"])
    assert list(weeks.load_tracker("A").items) == ["x"]
