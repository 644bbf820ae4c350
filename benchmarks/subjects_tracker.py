"""Trackers: an update of a week in YAML, what is ready in 26 weeks of 50 items, views of a large matrix in SQLite."""

from __future__ import annotations

import statistics
import string
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import Reading, peak_rss_mb, timed
from shapes import tracker_text
from subjects_tasktrail import SETTINGS, use_store

UPDATES = 60
OLD_S = 2.5
"""Files that changed within the last 2 s are looked at by their content."""
VIEWS = 20
TYPES = 5


def update(n: int, folder: Path) -> Reading:
    """One update of a week of n items: the median of those that begin and complete some, each of them durable."""
    tracker = _yaml(folder, weeks=1, n=n)
    tracker.update_task("A", "Project0", "research", "in_progress")
    seconds = []
    for index in range(1, min(UPDATES, n) // 2):
        for status in ("in_progress", "completed"):
            with timed() as watch:
                tracker.update_task("A", f"Project{index}", "research", status)
            seconds.append(watch.seconds)
    return Reading(1, statistics.median(seconds), peak_rss_mb(), f"{SETTINGS}, file and folder synced; {n:,} items")


def ready_cold(n: int, folder: Path) -> Reading:
    """What is ready in 26 weeks of n items, read from files of which no store knows."""
    tracker = _yaml(folder, weeks=26, n=n)
    with timed() as watch:
        ready = tracker.get_ready_tasks()
    assert len(ready) == 26 * n
    return Reading(1, watch.seconds, peak_rss_mb(), f"26 files of {n:,} items; nothing was imported before")


def ready_mirrored(n: int, folder: Path) -> Reading:
    """The same once the store knows them."""
    tracker = _yaml(folder, weeks=26, n=n)
    for week in string.ascii_uppercase:
        tracker.update_task(week, "Project0", "research", "in_progress")
    time.sleep(OLD_S)
    tracker.get_ready_tasks()  # notes that they are young no more
    return _median(lambda: tracker.get_ready_tasks(), f"26 files of {n:,} items, changed {OLD_S} s before")


def progress(n: int, folder: Path) -> Reading:
    tracker = _large(n, folder)
    return _median(lambda: tracker.get_progress("all"), f"{n:,} items × {TYPES} types")


def ready_page(n: int, folder: Path) -> Reading:
    tracker = _large(n, folder)
    return _median(lambda: tracker.get_ready_tasks(limit=50), f"{n:,} items × {TYPES} types")


def matrix_page(n: int, folder: Path) -> Reading:
    tracker = _large(n, folder)
    from tasktrail.engine.matrix_views import matrix_page

    ledger, run = tracker.opened("all")
    return _median(
        lambda: ledger.store.read(lambda tx: matrix_page(tx, run, tracker.grid, 50)), f"{n:,} items × {TYPES} types"
    )


def create(n: int, folder: Path) -> Reading:
    with timed() as watch:
        _large(n, folder)
    return Reading(n * TYPES, watch.seconds, peak_rss_mb(), f"{n:,} items × {TYPES} types")


def _median(call: Callable[[], Any], settings: str) -> Reading:
    call()
    seconds = []
    for _ in range(VIEWS):
        with timed() as watch:
            call()
        seconds.append(watch.seconds)
    return Reading(1, statistics.median(seconds), peak_rss_mb(), settings)


def _yaml(folder: Path, *, weeks: int, n: int) -> Any:
    """A tracker on files that somebody wrote."""
    use_store(folder)
    for number, letter in enumerate(string.ascii_uppercase[:weeks]):
        path = folder / "weeks" / f"{number:02}-{letter}" / "tracker.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(tracker_text(n), "utf-8")
    import tasktrail.formats.yaml_edit
    import tasktrail.formats.yaml_events  # noqa: F401 - an import is not timed
    from tasktrail.tracker import YAMLTrackerBackend

    return YAMLTrackerBackend(folder / "weeks")


def _large(n: int, folder: Path) -> Any:
    """A matrix of n items in a store, made once per folder; a part of it has begun."""
    use_store(folder)
    from tasktrail.tracker import Named, StoreTrackerBackend, TaskTypeConfig, grid_of

    names = [f"step{number}" for number in range(TYPES)]
    types = {name: TaskTypeConfig(name=name, depends_on=names[:place][-1:]) for place, name in enumerate(names)}
    types["report"] = TaskTypeConfig(name="report", depends_on=names[-1:], is_week_level=True)
    tracker = StoreTrackerBackend(
        f"sqlite:///{folder.absolute() / 'matrix.db'}", grid_of("partitions", types, names, ["report"]), Named()
    )
    if not tracker.tracker_exists("all"):
        tracker.sync_with_etl("all", [f"part-{number:05}" for number in range(n)])
        tracker.update_task("all", "part-00000", "step0", "completed")
    return tracker


SUBJECTS = {
    "tracker-create": create,
    "tracker-matrix": matrix_page,
    "tracker-progress": progress,
    "tracker-readycold": ready_cold,
    "tracker-readymirrored": ready_mirrored,
    "tracker-readypage": ready_page,
    "tracker-update": update,
}
