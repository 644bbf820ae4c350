"""The status of a run, rolled up from those of its tasks."""

from __future__ import annotations

import doctest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model import run as run_module
from tasktrail.model.run import KINDS, OVER, RUN_FIELDS, RUN_STATUSES, Run, roll_up
from tasktrail.model.task import STATUSES, Status

# What the tasks are; what holds of the run; how many are unreachable → the status. First rule that holds.
TABLE: list[tuple[str, str, int, str]] = [
    # nothing moved
    ("pending pending", "new", 0, "created"),
    ("", "new", 0, "created"),
    ("pending", "new cancelled", 0, "cancelled"),
    # something is in progress, or may still be
    ("in_progress pending", "", 0, "running"),
    ("completed pending", "", 0, "running"),
    ("failed pending", "", 0, "running"),
    ("completed blocked", "", 0, "running"),
    ("in_progress failed", "stopped", 0, "running"),
    ("in_progress cancelled", "cancelled", 0, "running"),
    # over
    ("completed completed", "", 0, "completed"),
    ("completed skipped", "", 0, "completed"),
    ("skipped", "", 0, "completed"),
    ("completed skipped", "cancelled", 0, "completed"),
    ("completed cancelled", "cancelled", 0, "cancelled"),
    ("cancelled cancelled", "cancelled", 0, "cancelled"),
    ("", "cancelled", 0, "cancelled"),
    ("failed cancelled", "cancelled", 0, "failed"),
    ("completed failed cancelled", "cancelled", 0, "partial"),
    ("failed failed", "", 0, "failed"),
    ("failed pending", "", 1, "failed"),
    ("failed pending", "stopped", 0, "failed"),
    ("completed failed pending", "stopped", 0, "failed"),
    ("completed failed", "", 0, "partial"),
    ("completed failed pending", "", 1, "partial"),
    ("completed failed skipped", "", 0, "partial"),
    ("completed cancelled", "", 0, "partial"),
    ("cancelled", "", 0, "partial"),
    ("completed cancelled pending", "", 1, "partial"),
]


def count(text: str) -> dict[Status, int]:
    return {status: text.split().count(status) for status in STATUSES}


@pytest.mark.requirement("BL-043")
@pytest.mark.parametrize(("tasks", "facts", "unreachable", "expected"), TABLE)
def test_roll_up(tasks: str, facts: str, unreachable: int, expected: str) -> None:
    told = {"moved": "new" not in facts, "stopped": "stopped" in facts, "cancelled": "cancelled" in facts}

    assert roll_up(count(tasks), unreachable=unreachable, **told) == expected


def test_the_table_reaches_every_status() -> None:
    assert {row[3] for row in TABLE} == set(RUN_STATUSES)


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(run_module).failed == 0


@given(
    counts=st.dictionaries(st.sampled_from(STATUSES), st.integers(0, 3)),
    moved=st.booleans(), stopped=st.booleans(), cancelled=st.booleans(),
)  # fmt: skip
def test_a_status_that_nothing_has_changes_nothing(
    counts: dict[Status, int], moved: bool, stopped: bool, cancelled: bool
) -> None:
    facts = {"moved": moved, "stopped": stopped, "cancelled": cancelled}

    assert roll_up(counts, **facts) == roll_up({status: counts.get(status, 0) for status in STATUSES}, **facts)


@given(counts=st.dictionaries(st.sampled_from(STATUSES), st.integers(0, 3)), cancelled=st.booleans())
def test_a_run_is_over_exactly_when_nothing_can_go_on(counts: dict[Status, int], cancelled: bool) -> None:
    status = roll_up(counts, moved=True, stopped=False, cancelled=cancelled)
    going_on = any(counts.get(word) for word in ("pending", "blocked")) and not cancelled

    assert (status in OVER) == (not going_on and not counts.get("in_progress"))


def a_run(**values: Any) -> Run:
    known: dict[str, Any] = {name: 0 if name.startswith("n_") else None for name in RUN_FIELDS}
    return Run(**{**known, "id": 1, "kind": "dag", "name": "r", "workflow": "r", "paused": 0, **values})


def test_a_critical_failure_stops_dags_and_jobs_alone() -> None:
    assert [kind for kind in KINDS if a_run(kind=kind, n_failed=1, n_stopping=1).stopped] == ["dag", "job"]
    assert not a_run(kind="dag", n_failed=1).stopped


def test_a_run_that_is_paused_stopped_or_cancelled_accepts_no_starts() -> None:
    assert a_run().accepts_starts
    assert not a_run(paused=1).accepts_starts
    assert not a_run(n_stopping=1).accepts_starts
    assert not a_run(cancelled_at=5).accepts_starts


def test_a_run_counts_its_tasks() -> None:
    run = a_run(n_pending=1, n_in_progress=2, n_completed=3, n_failed=4, n_blocked=5, n_skipped=6, n_cancelled=7)

    assert list(run.counts.values()) == [1, 2, 3, 4, 5, 6, 7]
    assert run.n_tasks == 28
