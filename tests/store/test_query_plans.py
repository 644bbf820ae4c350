"""Lists of executions walk along an index and sort nothing, on a store that holds both kinds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.records import Wanted, list_executions
from tasktrail.store.queries import queries
from tasktrail.store.sqlite import SqliteStore
from tasktrail.testing.fakes import FakeClock
from tests.recordings import executed, told

INDEX = {
    "recorded": "ix_experiences_type_ts (type=? AND started_at>? AND started_at<?)",
    "recorded_of_task": "ix_experiences_task (task_ref=? AND started_at>? AND started_at<?)",
    "recorded_failed_of_task": "attempt_failed_task (task_ref=? AND started_at>? AND started_at<?)",
    "failed_of_both_kinds": "attempt_failed (started_at>? AND started_at<?)",
    "recorded_backfilled": "attempt_backfilled (started_at>? AND started_at<?)",
    "executed_lately": "attempt_started (started_at>? AND started_at<?)",
    "failures_lately": "attempt_failed (started_at>?)",
    "failures_of_task": "attempt_failed_task (task_ref=? AND started_at>?)",
}
"""The first step of each plan."""
SOUGHT = {
    "recorded_of_trace": "ix_experiences_trace (trace_id=?)",
    "executed_of_trace": "run_trace (trace_id=?)",
    "recording_of_key": "ix_experiences_idempotency (idempotency_key=?)",
    "recording_by_id": "attempt_public_id (public_id=?)",
    "runs_of_trace": "run_trace (trace_id=?)",
    "traces_like": "ix_experiences_trace (trace_id>? AND trace_id<?)",
}
"""What finds few rows may sort these."""


@pytest.fixture(scope="module")
def store() -> Iterator[SqliteStore]:
    store = SqliteStore(None)
    clock = FakeClock()
    ledger = Ledger(store, actor="tester", clock=clock)
    for number in range(40):
        told(ledger, f"task-{number % 5}", number, failed="fp1:a" if number % 3 else None, backfilled=number % 2)
        executed(ledger, clock, f"run-{number}", "gone", "ok")
    yield store
    store.close()


def plan(store: SqliteStore, name: str) -> list[str]:
    """Return the steps with which SQLite executes a named query, whatever its statistics of the tables."""
    text = queries("sqlite")[name]
    params = {"type": "task_execution", "task": "t", "trace_id": "t", "prefix": "t", "key": "k", "id": "x", "limit": 20}
    given = {"before": 2**62, "since": -(2**62), "after_id": -1, "status": None, "backfilled": None, **params}
    return [str(row[3]) for row in store._connection().execute(f"EXPLAIN QUERY PLAN {text}", given)]


@pytest.mark.requirement("AX-060", "AX-061")
@pytest.mark.parametrize("analyzed", [False, True], ids=["new", "analyzed"])
@pytest.mark.parametrize("name", INDEX)
def test_a_list_walks_along_its_index_and_sorts_nothing(store: SqliteStore, name: str, analyzed: bool):
    store._connection().execute("ANALYZE" if analyzed else "SELECT 1")

    steps = plan(store, name)

    assert steps[0].endswith(f"USING INDEX {INDEX[name]}"), steps
    assert not [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN")], steps


@pytest.mark.requirement("AX-061")
@pytest.mark.parametrize("name", SOUGHT)
def test_what_is_sought_is_found_by_its_index(store: SqliteStore, name: str):
    steps = plan(store, name)

    assert [step for step in steps if step.endswith(f"INDEX {SOUGHT[name]}")], steps
    assert not [step for step in steps if step.startswith("SCAN") and "found" not in step], steps


def test_every_list_of_executions_is_looked_at():
    """A query of a list that is added has its plan here, too."""
    pages = {name for name, text in queries("sqlite").items() if "ORDER BY attempt.started_at DESC" in text}

    assert {name for name in pages if queries("sqlite")[name].startswith("SELECT")} - INDEX.keys() == {
        "executed_of_task",  # of one task: few
        "failures_of_error",  # by attempt_fingerprint, which ends with the start
    }


@pytest.mark.requirement("AX-061")
def test_the_last_failures_are_found_without_walking_over_all_of_one_kind():
    """Where one kind has no failures, whoever looks for its last ones walks over all of the other."""
    store, clock = SqliteStore(None), FakeClock()
    ledger = Ledger(store, actor="tester", clock=clock)
    executed(ledger, clock, "run", "gone", "ok")
    for number in range(300):
        told(ledger, f"task-{number % 5}", number, failed="fp1:a")
    hundreds = iter(range(10))
    store._connection().set_progress_handler(lambda: next(hundreds, None) is None, 100)  # the eleventh ends the query

    found = store.read(lambda tx: list_executions(tx, Wanted(status="failed", limit=2)))

    assert [one.task_id for one in found] == ["task-4", "task-3"]
    store.close()
