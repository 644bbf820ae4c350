"""Who is told of events: filters, at least once, three tries, and where the place in the log is kept."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.notices import load_notices
from tasktrail.engine.notifying import WAITS_S, Notice, Notifier
from tasktrail.engine.readers import Logged
from tasktrail.model.errors import BadInput
from tasktrail.store.opening import open_store
from tasktrail.tracker.stores import StoreTrackerBackend


@pytest.fixture
def tracker() -> StoreTrackerBackend:
    tracker = StoreTrackerBackend("sqlite:///told.db")
    tracker.sync_with_etl("A", ["x", "y"])
    return tracker


def told(tracker: StoreTrackerBackend, **filters: object) -> tuple[Notifier, list[Logged]]:
    found: list[Logged] = []
    return Notifier(tracker.ledger, [Notice(found.append, **filters)]), found  # type: ignore[arg-type]  # as given


@pytest.mark.requirement("CN-080")
def test_a_function_is_told_of_what_concerns_it_and_of_nothing_before(tracker: StoreTrackerBackend):
    tracker.update_task("A", "x", "research", "failed")
    notifier, found = told(tracker, on=["failed", "completed"], types=["research"], runs=["A"])

    tracker.sync_with_etl("B", ["z"])
    tracker.update_task("A", "y", "research", "in_progress")
    tracker.update_task("A", "y", "research", "completed")
    tracker.update_task("A", "y", "research", "completed", agent="ann")
    tracker.update_task("A", "y", "content", "completed")
    tracker.update_task("B", "z", "research", "completed")

    assert (notifier.tell(), notifier.tell()) == (True, False)
    assert [(one.run, one.event.item, one.event.key, one.event.to_status) for one in found] == [
        ("A", "y", "research", "completed")
    ]


def test_of_runs_as_a_whole_one_is_told_when_it_says_so(tracker: StoreTrackerBackend):
    notifier, found = told(tracker, of="run", on=["running"])

    tracker.update_task("A", "x", "research", "in_progress")
    notifier.tell()

    assert [(one.run, one.event.key, one.event.to_status) for one in found] == [("A", None, "running")]


def test_what_was_not_told_to_the_end_is_told_again_by_who_comes_next(tracker: StoreTrackerBackend):
    notifier, found = told(tracker, on=["completed"])
    tracker.update_task("A", "x", "research", "completed")
    for one in notifier.reader.page():  # told, and dead before the place was kept
        notifier.tell_of(one)
    notifier.reader.close()

    again = Notifier(Ledger(open_store("sqlite:///told.db"), actor="ann"), [Notice(found.append, on=["completed"])])
    again.tell()
    again.tell()

    assert [one.event.item for one in found] == ["x", "x"]


def test_who_fails_is_tried_three_times_and_then_passed_over(
    tracker: StoreTrackerBackend, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING, "tasktrail")
    waits: list[float] = []
    found: list[Logged] = []

    def fail(one: Logged) -> None:
        raise ConnectionError("password=hunter2secret is wrong")

    both = [Notice(fail, on=["completed"]), Notice(found.append, on=["completed"])]
    notifier = Notifier(tracker.ledger, both, wait=waits.append)
    tracker.update_task("A", "x", "research", "completed")
    notifier.tell()

    assert (waits, [one.event.item for one in found]) == (list(WAITS_S), ["x"])
    assert "passed over after 3 tries" in caplog.text
    assert "hunter2secret" not in caplog.text


@pytest.mark.requirement("CN-080")
def test_a_command_gets_the_event_on_stdin_and_in_variables(tracker: StoreTrackerBackend):
    script = "import json,os,sys; print(json.load(sys.stdin), os.environ['TASKTRAIL_TASK'], file=open('told.txt','a'))"
    run = json.dumps([sys.executable, "-c", script])
    Path("tasktrail.toml").write_text(f'[[notify]]\non = ["failed"]\nrun = {run}\n', encoding="utf-8")
    notifier = Notifier(tracker.ledger, load_notices(lambda one: json.dumps(one.event.to_status)))

    tracker.update_task("A", "x", "research", "failed")
    notifier.tell()

    assert Path("told.txt").read_text() == "failed A:x/research\n"


def test_all_that_is_wrong_in_the_tables_is_named_with_its_line():
    path = Path("tasktrail.toml").resolve()
    path.write_text(
        '[[notify]]\non = ["faild"]\nrun = ["true"]\n\n[[notify]]\nof = "week"\nrunn = ["true"]\n', encoding="utf-8"
    )

    with pytest.raises(BadInput) as refused:
        load_notices(str)

    assert [one.partition("\n")[0].removeprefix(f"{path}:") for one in refused.value.details] == [
        "2:1: expected on to name statuses and verbs, got: faild; did you mean failed?",
        "5:1: expected run to say which command is told",
        '6:1: expected of to be task or run, got: "week"',
        "7:1: unknown key runn; did you mean run?",
    ]
