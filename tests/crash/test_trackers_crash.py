"""Trackers under fire: SIGKILL before every step of every write, and many processes at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tasktrail.engine.verification import verify
from tasktrail.testing.document_contract import assert_agree
from tasktrail.testing.dying import Arm, die_everywhere
from tasktrail.tracker import (
    JSONTrackerBackend,
    StoreTrackerBackend,
    TrackerBackend,
    YAMLTrackerBackend,
    get_tracker,
)
from tests import processes
from tests.tracker.weeks import SAMPLE, edit, file_of

pytestmark = [
    pytest.mark.crash,
    pytest.mark.platform_only("SIGKILL at a chosen step needs fork"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
]

# ------------------------------------------------------------------------------------------------- killed at every step


def opened(folder: Path) -> YAMLTrackerBackend:
    os.chdir(folder)
    return YAMLTrackerBackend("data/weeks")


def begun(folder: Path) -> YAMLTrackerBackend:
    """The store knows the sample, and somebody has changed it by hand since."""
    tracker = opened(folder)
    file_of().write_text(SAMPLE)
    tracker.sync_with_etl("Z", [])
    tracker.load_tracker("A")
    edit("status: in_progress", "status: failed\n        error_message: typed")
    return tracker


def update(folder: Path, arm: Arm) -> None:
    """One task is moved."""
    tracker = begun(folder)
    arm(tracker.opened("Z").ledger.store)
    tracker.update_task("A", "ProjectA", "content", "completed", output_file="x" * 2000)


def synchronise(folder: Path, arm: Arm) -> None:
    """One item goes, one comes."""
    tracker = begun(folder)
    arm(tracker.opened("Z").ledger.store)
    tracker.sync_with_etl("A", ["ProjectA", "New"])


def save(folder: Path, arm: Arm) -> None:
    """Several things of a loaded week are others at once."""
    tracker = begun(folder)
    week = tracker.load_tracker("A")
    week.items["ProjectA"]["content"].output_file = "x"
    week.items["ProjectB"].removed = True
    week.metadata["owner"] = "Bo"
    arm(tracker.opened("Z").ledger.store)
    tracker.save_tracker("A", week)


def migrate(folder: Path, arm: Arm) -> None:
    """The older list becomes a tracker."""
    tracker = opened(folder)
    tracker.sync_with_etl("Z", [])
    file_of(name="tasks.yaml").write_text("- Alpha\n")
    arm(tracker.opened("Z").ledger.store)
    tracker.load_tracker("A")


def said(tracker: TrackerBackend) -> tuple[bool, ...]:
    """What of the changes of all scenes is there."""
    week = tracker.load_tracker("A")
    content = week.items["ProjectA"]["content"]
    return (
        content.status == "completed", content.output_file is not None, "New" in week.items,
        week.items["ProjectB"].removed, week.metadata["etl_item_count"] == 2 and "owner" in week.metadata,
    )  # fmt: skip


NOTHING = (False,) * 5


@pytest.mark.requirement("CN-028")
@pytest.mark.parametrize(
    ("scene", "whole"),
    [
        (update, (True, True, False, False, False)),
        (synchronise, (False, False, True, True, False)),
        (save, (False, True, False, True, True)),
    ],
)
def test_a_change_is_there_whole_or_not_at_all(tmp_path: Path, scene: Callable[..., None], whole: object) -> None:
    """And what somebody typed is there in any case; history, rows and file agree."""
    killed = die_everywhere(__name__, scene.__name__, tmp_path)
    assert {"rename", "fsync", "COMMIT"} <= set(killed)
    for n, when in enumerate([*killed, "it lived"], 1):
        tracker = opened(tmp_path / str(n))
        found = said(tracker)
        assert found in (NOTHING, whole), when
        assert found == whole or when != "it lived"
        typed = tracker.load_tracker("A").items["ProjectB"]["research"]
        assert (typed.status, typed.error_message) == ("failed", "typed"), when
        ledger = tracker.opened("A").ledger
        assert verify(ledger.store) == [], when
        assert_agree(ledger, file_of(), when)
        tracker.update_task("A", "ProjectA", "content", "skipped")
        ledger.store.close()


@pytest.mark.requirement("CN-026", "CN-028")
def test_an_older_list_is_migrated_by_who_comes_next(tmp_path: Path) -> None:
    killed = die_everywhere(__name__, "migrate", tmp_path)
    assert len(killed) > 10
    for n, when in enumerate([*killed, "it lived"], 1):
        tracker = opened(tmp_path / str(n))
        assert tracker.get_pending_items("A", "research") == ["Alpha"], when
        assert file_of(name="tasks.yaml").read_text() == "- Alpha\n"
        ledger = tracker.opened("A").ledger
        assert verify(ledger.store) == [], when
        assert_agree(ledger, file_of(), when)
        ledger.store.close()


# ----------------------------------------------------------------------------------------------- many processes at once

UPDATES = """
import json, sys
from tasktrail.tracker import get_tracker
url, own, shared = sys.argv[1:4]
tracker = get_tracker(url)
print("ready")
sys.stdin.readline()
for n, item in enumerate(json.loads(own)):
    tracker.update_task("A", item, "research", "completed", output_file=item)
    if n % 5 == 0:
        tracker.update_task("A", shared, "research", "in_progress")
print("done")
"""


@pytest.mark.requirement("CN-029")
@pytest.mark.parametrize("url", ["yaml:weeks", "json:weeks", "sqlite:///tasks.db"])
def test_eight_processes_update_one_week(url: str) -> None:
    """Twenty tasks each, and one that all of them start: all is there, nobody gets an error."""
    items = [[f"item {p}-{n}" for n in range(20)] for p in range(8)]
    names = [name for of_one in items for name in of_one]
    get_tracker(url).sync_with_etl("A", [*names, "shared"])
    with ExitStack() as stack:
        started = [
            stack.enter_context(processes.started(UPDATES, url, json.dumps(of_one), "shared")) for of_one in items
        ]
        assert [processes.hear(one) for one in started] == ["ready"] * 8
        for one in started:
            processes.say(one)
        assert [processes.hear(one) for one in started] == ["done"] * 8

    tracker = get_tracker(url)
    week = tracker.load_tracker("A")
    assert [week.items[name]["research"].output_file for name in names] == names
    assert week.items["shared"]["research"].retry_count == 31
    assert isinstance(tracker, YAMLTrackerBackend | JSONTrackerBackend | StoreTrackerBackend)
    assert verify(tracker.opened("A").ledger.store) == []
