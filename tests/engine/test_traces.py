"""Traces as trees: runs, tasks, attempts, and what an attempt began elsewhere."""

from __future__ import annotations

import pytest

from tasktrail.engine.traces import Trace, trace_of
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import Ambiguous, NotFound
from tests.engine.executing import Engine
from tests.recordings import executed, told


def lines(trace: Trace) -> list[str]:
    return [f"{'  ' * depth}{span.name} {span.status}" for span, depth in trace.spans()]


@pytest.mark.requirement("AX-058")
def test_a_run_has_its_tasks_and_a_task_its_attempts(anywhere: Engine):
    executed(anywhere.ledger, anywhere.clock, "r", "gone", "ok")

    found = trace_of(anywhere.ledger, "r")

    assert lines(found) == ["r completed", "  step success", "    attempt 1 failed", "    attempt 2 success"]
    task = found.roots[0].children[0]
    assert (task.id, task.kind, task.attempt, task.parent) == ("dag/r:step", "task", 2, "dag/r")
    assert [one.parent for one in task.children] == ["dag/r:step", "dag/r:step"]


def test_a_single_attempt_is_its_task(engine: Engine):
    executed(engine.ledger, engine.clock, "r", "ok")

    assert lines(trace_of(engine.ledger, "r")) == ["r completed", "  step success"]


def test_recorded_spans_hang_below_those_that_began_them(anywhere: Engine):
    trace = executed(anywhere.ledger, anywhere.clock, "r", "ok")
    span = trace_of(anywhere.ledger, "r").records[0].span_id
    told(anywhere.ledger, "ask", 0.2, trace_id=trace, span_id="s1", details={"parent_span_id": span})
    told(anywhere.ledger, "tool", 0.4, trace_id=trace, span_id="s2", details={"parent_span_id": "s1"})
    told(anywhere.ledger, "search", 0.3, trace_id=trace, span_id="s3", details={"parent_span_id": "s1"})

    assert lines(trace_of(anywhere.ledger, trace)) == [
        "r completed",
        "  step success",
        "    ask success",
        "      search success",
        "      tool success",
    ]


@pytest.mark.requirement("AX-004")
def test_recorded_retries_stand_together_in_their_order(engine: Engine):
    told(engine.ledger, "main", 0, took_s=9, trace_id="t", span_id="m")
    told(engine.ledger, "ask", 1, failed="fp1:a", trace_id="t", span_id="a1", details={"parent_span_id": "m"})
    told(engine.ledger, "ask", 3, n=2, trace_id="t", span_id="a2", details={"retry_of": "a1"})

    assert lines(trace_of(engine.ledger, "t")) == [
        "main success", "  ask success", "    attempt 1 failed", "    attempt 2 success",
    ]  # fmt: skip


def test_parents_in_a_circle_and_parents_that_are_not_here_lose_nothing(engine: Engine):
    told(engine.ledger, "a", 1, trace_id="t", span_id="a", details={"parent_span_id": "b"})
    told(engine.ledger, "b", 2, trace_id="t", span_id="b", details={"parent_span_id": "a"})
    told(engine.ledger, "self", 3, trace_id="t", span_id="c", details={"parent_span_id": "c"})
    told(engine.ledger, "orphan", 4, trace_id="t", span_id="d", details={"parent_span_id": "elsewhere"})
    told(engine.ledger, "odd", 5, trace_id="t", span_id="e", details={"parent_span_id": 7})

    found = trace_of(engine.ledger, "t")

    assert lines(found) == ["a success", "  b success", "self success", "orphan success", "odd success"]


def test_spans_of_one_id_are_all_shown_once(engine: Engine):
    for task in ("a", "b"):
        told(engine.ledger, task, 1, trace_id="t", span_id="same")
    told(engine.ledger, "below", 2, trace_id="t", span_id="x", details={"parent_span_id": "same"})

    assert sorted(line.strip() for line in lines(trace_of(engine.ledger, "t"))) == [
        "a success", "b success", "below success",
    ]  # fmt: skip


def test_a_deep_chain_is_walked_without_recursion(engine: Engine):
    for depth in range(1_500):
        parent = {"parent_span_id": f"s{depth - 1}"}
        told(engine.ledger, f"t{depth}", depth, trace_id="t", span_id=f"s{depth}", details=parent)

    assert max(depth for _, depth in trace_of(engine.ledger, "t").spans()) == 1_499


def test_a_trace_is_found_by_its_id_its_beginning_a_run_a_task_and_an_execution(anywhere: Engine):
    trace = executed(anywhere.ledger, anywhere.clock, "r", "ok")
    told(anywhere.ledger, "sync", 1, trace_id="Trace:with/odd@signs", id="x-1")

    assert {
        trace_of(anywhere.ledger, text).id for text in (trace, trace[:10], "r", "dag/r", "r:step", "dag/r:step@1")
    } == {trace}
    assert {trace_of(anywhere.ledger, text).id for text in ("x-1", "Trace:with/odd@signs", "Trace:wi")} == {
        "Trace:with/odd@signs"
    }


def test_what_no_trace_is_called_is_said_and_what_several_begin_with(anywhere: Engine):
    told(anywhere.ledger, "sync", 1, trace_id="abcd-1")
    told(anywhere.ledger, "sync", 1, trace_id="abcd-2")

    with pytest.raises(Ambiguous, match="several traces begin with abcd") as several:
        trace_of(anywhere.ledger, "abcd")
    assert several.value.details == ("abcd-1", "abcd-2")
    for text in ("abc", "abcd-3", "r:step", "", "x" * 5_000, "a\0b"):
        with pytest.raises(NotFound, match="no trace, run, task or execution is called"):
            trace_of(anywhere.ledger, text)


def test_a_run_of_which_nothing_was_executed_is_shown(engine: Engine):
    engine.ledger.create_run(RunDraft("dag", "r", "r", (TaskDraft("a"),)))

    assert lines(trace_of(engine.ledger, "r")) == ["r created"]
