"""What failed last, of both kinds, and what failures have in common."""

from __future__ import annotations

import pytest

from tasktrail.engine import insight
from tasktrail.engine.insight import LastFailed, last_failed
from tasktrail.testing.fakes import FIRST_MOMENT
from tests.engine.executing import Engine
from tests.recordings import S, executed, told


def ask(engine: Engine, **wanted: object) -> LastFailed:
    return engine.ledger.store.read(lambda tx: last_failed(tx, **wanted))  # type: ignore[arg-type]


@pytest.mark.requirement("AX-084")
def test_the_last_failures_of_both_kinds_come_newest_first(anywhere: Engine):
    told(anywhere.ledger, "sync", 5, failed="fp1:a")
    told(anywhere.ledger, "sync", 6)
    executed(anywhere.ledger, anywhere.clock, "r", "gone", "ok")
    told(anywhere.ledger, "load", 7, failed="fp1:b")

    found = ask(anywhere)

    assert [one.task_id for one in found.failures] == ["load", "sync", "r:step"]
    assert (found.examined, found.is_all) == (3, True)


@pytest.mark.requirement("AX-081", "AX-095")
def test_unique_failures_are_the_newest_of_each_fingerprint_and_counted(anywhere: Engine):
    for at in (1, 3, 9):
        told(anywhere.ledger, "sync", at, failed="fp1:a", trace_id=f"t{at}")
    told(anywhere.ledger, "load", 4, failed="fp1:b", trace_id="t4")
    told(anywhere.ledger, "load", 2, failed="", trace_id="t2")

    found = ask(anywhere, unique=True)

    assert [one.trace_id for one in found.failures] == ["t9", "t4", "t2"]
    told_of = [
        (one.fingerprint, one.count, one.first_at, one.last_at, one.example.task_id, one.example.trace_id)
        for one in found.patterns
    ]
    assert told_of == [
        ("fp1:a", 3, FIRST_MOMENT + 1 * S, FIRST_MOMENT + 9 * S, "sync", "t9"),
        ("fp1:b", 1, FIRST_MOMENT + 4 * S, FIRST_MOMENT + 4 * S, "load", "t4"),
        (None, 1, FIRST_MOMENT + 2 * S, FIRST_MOMENT + 2 * S, "load", "t2"),
    ]


@pytest.mark.requirement("AX-095")
def test_patterns_are_counted_over_more_failures_than_are_returned(anywhere: Engine):
    for at in range(8):
        told(anywhere.ledger, "sync", at, failed="fp1:a")

    found = ask(anywhere, limit=2)

    assert (len(found.failures), found.patterns[0].count, found.examined) == (2, 8, 8)


def test_what_is_behind_the_window_is_not_counted_and_that_is_said(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(insight, "WINDOW", 3)
    for at in range(5):
        told(engine.ledger, "sync", at, failed="fp1:a")

    found = ask(engine)

    assert (found.patterns[0].count, found.examined, found.is_all) == (3, 3, False)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"task_id": "sync"}, ["sync", "sync"]),
        ({"task_id": "r:step"}, ["r:step"]),
        ({"task_id": "nobody"}, []),
        ({"since": FIRST_MOMENT + 5 * S}, ["load", "sync"]),
        ({"task_id": "sync", "since": FIRST_MOMENT + 5 * S}, ["sync"]),
    ],
)
def test_failures_are_those_of_the_task_and_since_the_time_that_is_included(anywhere: Engine, wanted, expected):
    told(anywhere.ledger, "sync", 1, failed="fp1:a")
    told(anywhere.ledger, "sync", 5, failed="fp1:a")
    told(anywhere.ledger, "load", 6, failed="fp1:b")
    executed(anywhere.ledger, anywhere.clock, "r", "gone", "ok")

    found = ask(anywhere, **wanted)

    assert [one.task_id for one in found.failures] == expected
    assert sum(one.count for one in found.patterns) == found.examined == len(expected)


def test_of_what_is_seen_at_one_moment_the_more_frequent_comes_first(engine: Engine):
    for fingerprint in ("fp1:a", "fp1:b", "fp1:b"):
        told(engine.ledger, "sync", 1, failed=fingerprint)

    assert [one.fingerprint for one in ask(engine).patterns] == ["fp1:b", "fp1:a"]


@pytest.mark.parametrize("us", [0, 1, 400, 500, 999])
def test_views_of_both_databases_never_show_a_time_that_is_yet_to_come(anywhere: Engine, us: int):
    told(anywhere.ledger, "sync", (us - 1000) / 1e6, took_s=1e-3, failed="fp1:a")

    def asked(statement: str) -> list[object]:
        (row,) = anywhere.ledger.store.ask(statement, most=10, timeout_s=30).rows
        return list(row)

    times = ["2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00.000Z"]
    assert asked("SELECT started_at, ended_at FROM executions") == times
    assert asked("SELECT first_seen, last_seen FROM errors") == [times[0], times[0]]
