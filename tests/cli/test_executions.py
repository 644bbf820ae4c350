"""`list-executions`, `last-failed`, `trace`, `stats`: what people and programs see of executions."""

from __future__ import annotations

import doctest
import re

import pytest

from tasktrail.cli import plots, stats
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.project import open_project
from tasktrail.store.seam import Store
from tasktrail.testing.fakes import FIRST_MOMENT, FakeClock
from tests.cli.conftest import Call
from tests.recordings import S, executed, told


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(clock: FakeClock) -> Ledger:
    """The project's store, filled by a clock that stands."""
    store: Store = open_project().store
    return Ledger(store, actor="tester", clock=clock)


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line)


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert [doctest.testmod(module).failed for module in (plots, stats)] == [0, 0]


# list-executions


def test_an_empty_list_is_no_error_and_makes_no_store(call: Call, tmp_path):
    nothing = "no executions here"
    for command, words in (("list-executions", nothing), ("last-failed", "nothing failed here"), ("stats", nothing)):
        answer = call(command)
        assert (answer.code, answer.out, answer.err) == (0, "", f"{words}\n")
    assert call("list-executions", "--json").document == {
        "schema": "tasktrail/execution-list@1", "data": [], "next": None,
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.requirement("AX-054")
def test_executions_of_both_kinds_are_listed_newest_first(ledger: Ledger, clock: FakeClock, call: Call):
    told(ledger, "sync", -5, trace_id="0123456789abcdef", failed="fp1:a", error="no\nanswer\x1b[31m")
    executed(ledger, clock, "r", "ok", took_s=0.25)

    header, newest, oldest = call("list-executions").out.splitlines()

    assert cells(header) == ["TASK", "TRACE", "STATUS", "ATTEMPT", "STARTED", "DURATION", "ERROR"]
    assert (cells(newest)[0], *cells(newest)[2:4], cells(newest)[5].strip()) == ("r:step", "success", "1", "0.2s")
    assert cells(oldest)[:4] == ["sync", "0123456789ab", "failed", "1"]
    assert oldest.endswith("1.0s      OSError: no")


def test_a_page_names_the_next_one_with_its_filters(ledger: Ledger, call: Call):
    for at in range(5):
        told(ledger, "sync it", at, id=f"x{at}", failed="fp1:a")

    page = call("list-executions", "--limit", "3", "--json")
    rest = call("list-executions", "--limit", "3", "--json", "--cursor", page.document["next"])
    words = call("list-executions", "--task", "sync it", "--status", "failed", "--live", "--limit", "2").err

    assert [one["id"] for one in page.data + rest.data] == ["x4", "x3", "x2", "x1", "x0"]
    assert rest.document["next"] is None
    assert call("list-executions", "--limit", "5", "--json").document["next"] is None
    assert words.startswith("more: tasktrail list-executions --task 'sync it' --status failed --live --cursor ")


@pytest.mark.requirement("AX-054", "AX-055", "AX-056", "AX-057", "AX-031")
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--task", "sync"], ["x3", "x2"]),
        (["--task", "r:step"], ["dag/r:step@2", "dag/r:step@1"]),
        (["--task", "nobody"], []),
        (["--status", "failed"], ["x2", "dag/r:step@1"]),
        (["--status", "failed", "--task", "r:step"], ["dag/r:step@1"]),
        (["--status", "running"], []),
        (["--status", "aborted"], ["x1"]),
        (["--since", "2026-01-01T00:00:06+00:00"], ["x3", "x2"]),
        (["--backfilled"], ["x2"]),
        (["--live"], ["x3", "x1", "dag/r:step@2", "dag/r:step@1"]),
    ],
    ids=" ".join,
)
def test_filters_are_understood(ledger: Ledger, clock: FakeClock, call: Call, filters, expected):
    executed(ledger, clock, "r", "gone", "ok")
    told(ledger, "load", 5, id="x1", outcome="cancelled")
    told(ledger, "sync", 6, id="x2", failed="fp1:a", backfilled=1)
    told(ledger, "sync", 7, id="x3", backfilled=0)

    assert [one["id"] for one in call("list-executions", *filters, "--json").data] == expected


@pytest.mark.requirement("AX-002", "AX-004", "AX-020", "AX-022")
def test_a_record_has_what_was_told_and_its_times_in_utc(ledger: Ledger, clock: FakeClock, call: Call):
    details = {
        "retrieval": {"memory_count": 1, "source": ["recent"]}, "io": {"files_written": ["a.md"]}, "retry_of": "s0",
        "task_type": "custom", "task_name": "Sync", "scheduled_vs_manual": "manual",
    }  # fmt: skip
    told(ledger, "sync", 9, id="x1", trace_id="t", span_id="s", n=2, failed="fp1:a", parents='["p"]', details=details)
    executed(ledger, clock, "r", "ok")

    recorded, ran = call("list-executions", "--json").data

    assert recorded == {
        "id": "x1", "run": None, "task_id": "sync", "task_slug": "sync", "task_name": "Sync", "task_type": "custom",
        "scheduled_vs_manual": "manual", "status": "failed", "attempt": 2, "retry_of": "s0", "trace_id": "t",
        "span_id": "s", "started_at": "2026-01-01T00:00:09.000000Z", "ended_at": "2026-01-01T00:00:10.000000Z",
        "duration_ms": 1000, "error": {"type": "OSError", "message": "gone", "stack_hash": "fp1:a"},
        "retrieval": {"memory_count": 1, "source": ["recent"]}, "io": {"files_written": ["a.md"]},
        "backfilled": False, "recorded": True, "actor": None,
    }  # fmt: skip
    assert (ran["id"], ran["run"], ran["error"], ran["recorded"]) == ("dag/r:step@1", "r", None, False)


def test_a_cursor_or_a_time_that_cannot_be_is_refused(call: Call):
    assert call("list-executions", "--cursor", "x").code == 2
    assert call("list-executions", "--since", "yesterday").code == 2
    assert call("list-executions", "--status", "great").code == 2


# last-failed


@pytest.mark.requirement("AX-095")
def test_last_failures_and_what_they_have_in_common(ledger: Ledger, call: Call):
    for at in (1, 2, 4):
        told(ledger, "sync", at, trace_id=f"trace-of-{at}", failed="fp1:a")
    told(ledger, "load", 3, trace_id="trace-of-3", failed="")

    every, unique = call("last-failed"), call("last-failed", "--unique")

    assert [cells(line)[0] for line in every.out.splitlines()[1:]] == ["sync", "load", "sync", "sync"]
    assert every.err == "4 failures; what they have in common: --unique; to see one: tasktrail trace trace-of-4\n"
    _, first, second = unique.out.splitlines()
    assert (cells(first)[:2], cells(first)[4:]) == (["fp1:a", "3"], ["sync", "trace-of-4", "OSError: gone"])
    assert (cells(second)[:2], cells(second)[4:]) == (["<unknown>", "1"], ["load", "trace-of-3", "OSError: gone"])


def test_last_failures_as_a_record(ledger: Ledger, call: Call):
    for at in (1, 2):
        told(ledger, "sync", at, id=f"x{at}", trace_id=f"t{at}", failed="fp1:a")

    data = call("last-failed", "--unique", "--json").data

    assert [one["id"] for one in data["failures"]] == ["x2"]
    assert data["error_patterns"] == [
        {
            "stack_hash": "fp1:a", "count": 2, "first_seen": "2026-01-01T00:00:01.000000Z",
            "last_seen": "2026-01-01T00:00:02.000000Z", "example_task_id": "sync", "example_trace_id": "t2",
            "example": "x2",
        }
    ]  # fmt: skip
    assert (data["examined"], data["complete"]) == (2, True)


# trace


def test_a_trace_is_drawn_with_its_attempts_and_errors(ledger: Ledger, clock: FakeClock, call: Call):
    trace = executed(ledger, clock, "r", "the other side\nis away", "ok", took_s=2)

    lines = call("trace", "r").out.splitlines()

    assert lines[0] == f"trace {trace}"
    assert lines[1].startswith("2 executions, 4.0s, since 20")
    assert [line.rstrip() for line in lines[2:]] == [
        "✓ r                 4.0s",
        "  ✓ step            4.0s",
        "    ✗ attempt 1     2.0s",
        "      OSError: the other side",
        "    ✓ attempt 2     2.0s",
    ]


def test_bars_show_on_a_terminal_when_it_was(ledger: Ledger, clock: FakeClock, call: Call, monkeypatch):
    executed(ledger, clock, "r", "gone", "ok", took_s=2)
    monkeypatch.setattr("tasktrail.cli.session.Session.width", 42)

    lines = call("trace", "r").out.splitlines()

    assert lines[2:] == [
        "✓ r                 4.0s  ───────────────",
        "  ✓ step            4.0s  ───────────────",
        "    ✗ attempt 1     2.0s  ████████",
        "      OSError: gone",
        "    ✓ attempt 2     2.0s         ████████",
    ]


@pytest.mark.requirement("AX-001", "AX-003")
def test_a_trace_as_a_record(ledger: Ledger, call: Call):
    told(ledger, "sync", 1, trace_id="t", span_id="s1", failed="fp1:a")
    told(ledger, "sync", 5, trace_id="t", span_id="s2", n=2, details={"retry_of": "s1"})

    data = call("trace", "t", "--json").data

    assert (data["id"], data["retry_count"], data["final_status"], data["duration_ms"]) == ("t", 1, "success", 5000)
    assert [(one["id"], one["parent"], one["depth"], one["status"]) for one in data["spans"]] == [
        ("t:sync", None, 0, "success"), ("s1", "t:sync", 1, "failed"), ("s2", "t:sync", 1, "success"),
    ]  # fmt: skip
    assert data["spans"][0]["execution"] is None
    assert data["spans"][1]["execution"]["error"]["stack_hash"] == "fp1:a"


def test_what_names_no_trace_is_not_found(call: Call):
    assert call("trace", "nobody").code == 3


# stats


def test_a_report_says_how_it_went(ledger: Ledger, clock: FakeClock, call: Call):
    executed(ledger, clock, "r", "gone", "ok", took_s=2)
    told(ledger, "sync", 60, took_s=0.02, failed="fp1:a", backfilled=1, parents='["a"]')

    out = call("stats").out

    assert out.startswith("3 executions of 2 tasks, from 20")
    for line in (
        "success     33.3 %: 1 of 3, 2 failed",
        "tried again 1: 1 succeeded in the end (100 %)",
        "live        2, of which Tasktrail executed 2; backfilled 1",
        "retrieval   0.33 records on average, at most 1",
        "began per minute, most 2",
        "all     █▄",
        "failed  ▄▄",
        "durations   min 20ms  avg 1.3s  max 2.0s",
        "            p50 2.0s  p95 2.0s  p99 2.0s",
    ):
        assert f"\n{line}\n" in out, line
    assert re.search(r"\n≤ 20ms  █+  1\n(≤ .*  0\n)+≤ 2.0s  █+  2\n", out)
    assert re.search(r"\netl:step +2 +50 % +1 +1 +2.0s +2.0s +2.0s +2.0s +2.0s +2.0s +0\n", out)
    assert re.search(r"\nfp1:a +1 +1 task .* +OSError: gone\n", out)
    assert "\x1b" not in out


def test_a_report_as_a_record(ledger: Ledger, call: Call):
    told(ledger, "sync", 0, took_s=0.5)
    told(ledger, "sync", 60, took_s=1.5, failed="fp1:a")

    data = call("stats", "--json").data

    assert data["tasks"][0] == data["all"] | {"id": "sync"}
    numbers = {"executions": 2, "success_rate": 0.5, "avg_ms": 1000, "p50_ms": 500, "p99_ms": 1500, "max_ms": 1500}
    assert data["all"] == data["all"] | numbers
    assert [(one["at"], one["executions"], one["failures"]) for one in data["timeline"]] == [
        ("2026-01-01T00:00:00.000000Z", 1, 0), ("2026-01-01T00:01:00.000000Z", 1, 1),
    ]  # fmt: skip
    assert data["error_patterns"][0]["stack_hash"] == "fp1:a"
    assert [one["task_id"] for one in data["last_failed"]["failures"]] == ["sync"]


def test_a_report_of_nothing_has_no_times(call: Call):
    data = call("stats", "--json").data

    assert (data["all"]["first_started_at"], data["all"]["last_started_at"], data["timeline"]) == (None, None, [])


@pytest.mark.parametrize("cursor", ["99999999999999999999999999.5", "5.9223372036854775808", "-9223372036854775809.1"])
def test_a_cursor_that_no_page_can_have_named_is_refused(ledger: Ledger, call: Call, cursor: str):
    told(ledger, "sync", 0)

    answer = call("list-executions", f"--cursor={cursor}")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: expected a cursor that a page named, got: '{cursor}'")


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_tables_keep_to_the_width_of_the_terminal(ledger: Ledger, call: Call, monkeypatch, columns: int):
    words = "the other side did not answer in time, and nobody knows whether it ever will"
    for at in range(3):
        told(ledger, "a-task-with-a-long-name" * 3, at * 90_000, failed="fp1:0123456789abcdef", error=words)
        told(ledger, "sync", at * 90_000 + 5)
    monkeypatch.setattr("tasktrail.cli.session.Session.width", columns)

    for command in (["list-executions"], ["last-failed"], ["last-failed", "--unique"], ["stats"], ["trace", "trace"]):
        lines = call(*command).out.splitlines()
        assert max(map(len, lines), default=0) <= columns, command
        assert command == ["trace", "trace"] or "OSError: the other side" in "".join(lines), command


def test_a_day_that_all_share_stands_in_the_head_on_a_terminal(ledger: Ledger, call: Call, monkeypatch):
    told(ledger, "sync", 5)
    monkeypatch.setattr("tasktrail.cli.session.Session.width", 100)

    header, row = call("list-executions").out.splitlines()

    assert re.fullmatch(r"202[56]-\d\d-\d\d", cells(header)[4])
    assert re.fullmatch(r"\d\d:\d\d:05", cells(row)[4])


@pytest.mark.parametrize("columns", [30, 60, 200])
def test_plots_keep_to_the_width_of_the_terminal(ledger: Ledger, call: Call, monkeypatch, columns: int):
    for at in range(90):
        told(ledger, "sync", at * 60, took_s=1 + at)
    monkeypatch.setattr("tasktrail.cli.session.Session.width", columns)

    lines = call("stats").out.splitlines()

    plots = [line for line in lines if set("▁▂▃▄▅▆▇█") & set(line)]
    assert len(plots) >= 5
    assert max(map(len, plots)) <= columns


def test_colours_are_left_out_where_they_are_not_wanted(ledger: Ledger, call: Call):
    told(ledger, "sync", 0, failed="fp1:a")
    told(ledger, "sync", 90)

    for command in (["stats"], ["list-executions"], ["trace", "trace"], ["last-failed"]):
        assert "\x1b" not in call("--color", "never", *command).out
    assert "\x1b[31m" in call("--color", "always", "stats").out
    assert "\x1b[31mfailed" in call("--color", "always", "list-executions").out


def test_since_is_from_now_or_a_date(ledger: Ledger, call: Call):
    told(ledger, "old", 0)
    told(ledger, "new", (open_project().clock.now() - FIRST_MOMENT) / S - 60)

    assert [one["task_id"] for one in call("list-executions", "--since", "1h", "--json").data] == ["new"]
    assert call("stats", "--since", "1h", "--json").data["n_tasks"] == 1
