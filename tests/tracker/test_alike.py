"""Whatever is done to a week, every backend says the same of it: the pure one, stores, and files.

Tasks are not taken out here: a store remembers when one that comes back began first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktrail.engine.verification import verify
from tasktrail.model.errors import TasktrailError
from tasktrail.testing import FakeClock, using_clock
from tasktrail.testing.document_contract import assert_agree
from tasktrail.tracker import (
    JSONTrackerBackend,
    StoreTrackerBackend,
    TaskRecord,
    TrackerBackend,
    YAMLTrackerBackend,
)
from tests.tracker.test_own_backends import ShelfBackend

ITEMS = ("a", "b", "012")
Move = Callable[[TrackerBackend], None]
STATUSES = st.sampled_from(["pending", "in_progress", "completed", "failed", "skipped"])
CELLS = st.sampled_from([(item, task) for item in ITEMS for task in ("research", "content")] + [(None, "blog_post")])
TIMES = st.sampled_from([None, datetime(2025, 6, 1), datetime(2025, 6, 2, 8, 30)])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "output_file": st.sampled_from([None, "no", "x: y"]), "agent": st.sampled_from([None, "Ann"]),
        "error_message": st.sampled_from([None, "", "1:30"]), "retry_count": st.integers(0, 4),
        "started_at": TIMES, "completed_at": TIMES,
    },
)  # fmt: skip


def update(cell: tuple[str | None, str], status: str, fields: dict[str, Any]) -> Move:
    return lambda tracker: tracker.update_task("A", *cell, status, **fields)


def synchronise(items: list[Any]) -> Move:
    return lambda tracker: tracker.sync_with_etl("A", items)


def assign(cell: tuple[str | None, str], status: str, fields: dict[str, Any]) -> Move:
    def move(tracker: TrackerBackend) -> None:
        week = tracker.load_tracker("A")
        holder = week.items.get(cell[0]) if cell[0] else week.week_tasks
        if holder is not None:
            holder[cell[1]] = told(holder.get(cell[1]) or TaskRecord(), status, fields)
            tracker.save_tracker("A", week)

    return move


def told(known: TaskRecord, status: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A record that says all that a store would add: when it began and ended, and every start."""
    record = {**known.model_dump(), **fields, "status": status}
    is_over, has_begun = status in ("completed", "failed", "skipped"), status not in ("pending", "skipped")
    record["completed_at"] = (fields.get("completed_at") or datetime(2025, 7, 1)) if is_over else None
    record["started_at"] = fields.get("started_at") or known.started_at or (datetime(2025, 5, 1) if has_begun else None)
    return {**record, "retry_count": max(known.retry_count, fields.get("retry_count", 0))}


def flip(item: str) -> Move:
    def move(tracker: TrackerBackend) -> None:
        week = tracker.load_tracker("A")
        if item in week.items:
            week.items[item].removed = not week.items[item].removed
            tracker.save_tracker("A", week)

    return move


HASHED = st.fixed_dictionaries({"name": st.sampled_from(ITEMS), "content_hash": st.sampled_from("xy")})
MOVES = st.one_of(
    st.builds(update, CELLS, STATUSES, FIELDS),
    st.builds(assign, CELLS, STATUSES, FIELDS),
    st.builds(synchronise, st.lists(st.sampled_from(ITEMS) | HASHED, max_size=3)),
    st.builds(flip, st.sampled_from(ITEMS)),
)


def answer(tracker: TrackerBackend, move: Move) -> str | None:
    """What a tracker refuses it with, None where it does not."""
    try:
        move(tracker)
    except TasktrailError as error:
        return error.code
    return None


def check(tracker: TrackerBackend, moves: list[Move]) -> None:
    """Do the same to a tracker and to the pure one, a minute between moves."""
    pure = ShelfBackend({})
    with using_clock(FakeClock()) as clock:
        for one in (tracker, pure):
            one.sync_with_etl("A", ["a", "b"])
        for n, move in enumerate(moves):
            clock.advance(60)
            assert answer(tracker, move) == answer(pure, move), n
            found, expected = tracker.load_tracker("A"), pure.load_tracker("A")
            assert found.model_dump() == expected.model_dump(), n
            assert tracker.get_progress("A") == pure.get_progress("A")
            assert tracker.get_ready_tasks() == pure.get_ready_tasks()


@settings(max_examples=100)
@given(st.lists(MOVES, max_size=12))
def test_a_store_says_the_same(moves: list[Move]) -> None:
    tracker = StoreTrackerBackend("memory:")
    check(tracker, moves)
    assert verify(tracker.ledger.store) == []
    tracker.ledger.store.close()


@settings(max_examples=20)
@pytest.mark.parametrize("kind", [YAMLTrackerBackend, JSONTrackerBackend])
@given(moves=st.lists(MOVES, max_size=12))
def test_a_file_says_the_same(kind: Any, moves: list[Move]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tracker = kind(Path(folder))
        check(tracker, moves)
        ledger = tracker.opened("A").ledger
        assert verify(ledger.store) == []
        assert_agree(ledger, tracker.path("A"))
        ledger.store.close()
