"""Every backend passes the contract of trackers: files, stores, and two of somebody's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tasktrail.engine.verification import verify
from tasktrail.testing import TrackerContract
from tasktrail.tracker import (
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
