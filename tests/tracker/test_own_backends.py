"""A backend of somebody's own: what is abstract and nothing else, offered by an installed package or made directly."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest

from tasktrail.model.errors import BadInput
from tasktrail.testing import TrackerContract
from tasktrail.tracker import (
    Conflict,
    TrackerAccessError,
    TrackerBackend,
    WeekNotFoundError,
    WeekTracker,
    YAMLTrackerBackend,
    get_tracker,
    run_tasks,
)


class ShelfBackend(TrackerBackend):
    """Weeks as texts in a dict."""

    def __init__(self, shelf: dict[str, str], **options: Any) -> None:
        super().__init__(**options)
        self.shelf, self.lock = shelf, Lock()

    def tracker_exists(self, week_letter: str) -> bool:
        return self.groups.check(week_letter) in self.shelf

    def weeks(self) -> list[str]:
        return sorted(self.shelf)

    def load_tracker(self, week_letter: str) -> WeekTracker:
        text = self.shelf.get(self.groups.check(week_letter))
        if text is None:
            raise WeekNotFoundError(f"no tracker of {week_letter}")
        tracker = WeekTracker.model_validate_json(text)
        tracker.version = text
        return tracker

    def save_tracker(self, week_letter: str, tracker: WeekTracker) -> None:
        week, text = self.groups.check(week_letter), tracker.model_dump_json()
        with self.lock:
            if tracker.version not in (None, self.shelf.get(week, "")):
                raise Conflict(f"{week} was changed since it was loaded")
            self.shelf[week] = tracker.version = text


class TestShelf(TrackerContract):
    @pytest.fixture
    def place(self) -> dict[str, str]:
        return {}

    def make(self, place: Any, **options: Any) -> TrackerBackend:
        return ShelfBackend(place, **options)


SHELVES: dict[str, dict[str, str]] = {}


class Configured:
    """What `get_tracker` is told."""

    def __init__(self, grid: Any = None, groups: Any = None) -> None:
        self.grid, self.groups = grid, groups


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package is installed that offers the backend."""
    info = tmp_path / "shelves-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shelves\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[tasktrail.trackers]\nshelf = {__name__}:shelf\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def shelf(rest: str, config: Any) -> TrackerBackend:
    """What the package offers."""
    return ShelfBackend(SHELVES.setdefault(rest, {}), grid=config.grid, groups=config.groups)


@pytest.mark.requirement("CN-015")
@pytest.mark.usefixtures("installed")
class TestInstalled(TrackerContract):
    @pytest.fixture
    def place(self, installed: None, tmp_path: Path) -> str:
        return str(tmp_path)

    def make(self, place: Any, **options: Any) -> TrackerBackend:
        return get_tracker(f"shelf:{place}", Configured(**options))


@pytest.mark.requirement("CN-011", "CN-015")
def test_four_methods_are_abstract() -> None:
    assert TrackerBackend.__abstractmethods__ == {"load_tracker", "save_tracker", "tracker_exists", "weeks"}
    with pytest.raises(TypeError, match="abstract"):
        TrackerBackend()  # type: ignore[abstract]  # what is tested


@pytest.mark.requirement("CN-014", "CN-015")
def test_what_is_offered_is_named_where_it_is_missed(installed: None) -> None:
    with pytest.raises(ValueError, match="Unsupported backend type: shelve") as error:
        get_tracker("shelve")
    assert "shelf" in str(getattr(error.value, "hint", ""))


@pytest.mark.requirement("CN-012", "CN-013", "CN-014")
def test_yaml_is_what_is_meant(tmp_path: Path) -> None:
    class Config:
        weeks_dir = tmp_path / "elsewhere"

    assert type(get_tracker()) is type(get_tracker("yaml")) is YAMLTrackerBackend
    get_tracker(config=Config).sync_with_etl("C", ["a"])
    get_tracker().sync_with_etl("C", ["a"])
    assert (tmp_path / "elsewhere/02-C/tracker.yaml").is_file()
    assert (tmp_path / "data/weeks/02-C/tracker.yaml").is_file()
    with pytest.raises(ValueError, match="Unsupported backend type: mongodb"):
        get_tracker("mongodb")


@pytest.mark.requirement("CN-014")
@pytest.mark.parametrize(
    "backend",
    [
        "s3",
        "s3:",
        "s3://",
        "s3:bucket",
        "gs",
        "az:x",
        "sqlite",
        "sqlite:x",
        "postgresql:x",
        "memory:x",
        "yaml:s3://b/c",
    ],
)
def test_half_a_url_is_no_folder_nor_file_of_this_name(tmp_path: Path, backend: str) -> None:
    with pytest.raises(ValueError, match=r"Unsupported backend type|expected weeks_dir to be a folder"):
        get_tracker(backend).sync_with_etl("A", ["Alpha"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "config", ["weeks", Path("weeks"), {"weeks_dir": "weeks"}, SimpleNamespace(weeks_dir="s3://b/c")]
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, config: object) -> None:
    with pytest.raises(BadInput, match="weeks_dir"):
        get_tracker("yaml", config)


def test_what_is_in_no_store_is_not_executed() -> None:
    backend, done = ShelfBackend({}), list[str]()
    backend.sync_with_etl("A", ["x"])

    with pytest.raises(TrackerAccessError, match="week A cannot be executed: the trackers of ShelfBackend are in no"):
        run_tasks(backend, "A", {"research": done.append})
    assert (done, backend.get_progress("A").pending) == ([], 3)
