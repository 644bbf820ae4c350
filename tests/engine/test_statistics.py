"""Statistics of executions of both kinds: counts to be checked by eye, percentiles against a plain computation."""

from __future__ import annotations

import doctest
from math import ceil
from random import Random

import pytest

from tasktrail.engine import statistics as module
from tasktrail.engine.statistics import Statistics, statistics
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.lifecycle import Ask
from tasktrail.testing.fakes import FIRST_MOMENT
from tests.engine.executing import Engine
from tests.recordings import S, executed, told


def ask(engine: Engine, **wanted: object) -> Statistics:
    return engine.ledger.store.read(lambda tx: statistics(tx, **wanted))  # type: ignore[arg-type]


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(module).failed == 0


def test_nothing_was_executed(anywhere: Engine):
    found = ask(anywhere)

    assert (found.all.executions, found.all.success_rate, found.all.mean_us, found.timeline) == (0, None, None, None)
    assert (found.tasks, found.n_tasks, found.patterns, found.retried.traces) == ([], 0, [], 0)


@pytest.mark.requirement("AX-079", "AX-080", "AX-083", "AX-085")
def test_both_kinds_are_counted_together_and_by_task(anywhere: Engine):
    told(anywhere.ledger, "sync", 0, took_s=2, parents='["a","b","c"]', backfilled=1)
    told(anywhere.ledger, "sync", 9, took_s=4, failed="fp1:a", backfilled=0)
    told(anywhere.ledger, "sync", 9, took_s=3, outcome="cancelled")
    executed(anywhere.ledger, anywhere.clock, "monday", "gone", "ok")
    executed(anywhere.ledger, anywhere.clock, "tuesday", "ok")

    found = ask(anywhere)

    assert [one.task for one in found.tasks] == ["sync", "etl:step"]
    told_of, ran = found.tasks
    assert (told_of.executions, told_of.successes, told_of.failures, told_of.success_rate) == (3, 1, 1, 0.5)
    assert (told_of.least_us, told_of.mean_us, told_of.most_us) == (2 * S, 3 * S, 4 * S)
    assert (told_of.mean_memories, told_of.most_memories) == (1.0, 3)
    assert (told_of.backfilled, told_of.live, told_of.recorded) == (1, 2, 3)
    assert (ran.executions, ran.successes, ran.failures, ran.retries) == (3, 2, 1, 1)
    assert (ran.backfilled, ran.live, ran.recorded) == (0, 3, 0)
    every = found.all
    assert (every.executions, every.successes, every.failures, every.live, every.recorded) == (6, 3, 2, 5, 3)
    assert (every.first_at, every.last_at) == (FIRST_MOMENT, FIRST_MOMENT + 9 * S)
    assert (every.least_us, every.most_us, every.most_memories) == (1 * S, 4 * S, 3)


def test_what_is_being_executed_has_no_duration_yet(anywhere: Engine):
    run = anywhere.ledger.create_run(RunDraft("dag", "r", "etl", (TaskDraft("step"),)))
    anywhere.ledger.ask(anywhere.task(run.id, "step").id, Ask("start"))

    assert [(one.timed, one.total_us, one.mean_us, one.least_us) for one in ask(anywhere).tasks] == [(0, 0, None, None)]

    told(anywhere.ledger, "sync", 0, took_s=2)
    every = ask(anywhere).all
    assert (every.executions, every.timed, every.mean_us, every.success_rate) == (2, 1, 2 * S, 1.0)


@pytest.mark.requirement("AX-080")
def test_percentiles_are_those_of_a_plain_computation(anywhere: Engine):
    random = Random(7)
    durations: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    for place in range(150):
        task, took = random.choice("aabc"), random.choice([1, 2_500, random.randrange(20_000_000)])
        told(anywhere.ledger, task, place, took_s=took / S)
        durations[task].append(took)

    found = ask(anywhere)

    def plain(values: list[int]) -> dict[int, int]:
        return {percent: sorted(values)[max(1, ceil(percent * len(values) / 100)) - 1] for percent in (50, 95, 99)}

    assert found.percentiles == {task: plain(values) for task, values in durations.items()}
    assert found.durations.by_percent == plain([one for values in durations.values() for one in values])
    assert sum(found.durations.by_bound.values()) == 150


@pytest.mark.requirement("AX-082")
def test_a_retry_helped_where_the_last_attempt_succeeded(anywhere: Engine):
    for n, failed in ((1, "fp1:a"), (2, "fp1:a"), (3, None)):
        told(anywhere.ledger, "sync", n, n=n, failed=failed, trace_id="helped")
    for n in (1, 2):
        told(anywhere.ledger, "sync", n, n=n, failed="fp1:a", trace_id="hopeless")
    told(anywhere.ledger, "load", 1, trace_id="helped")
    executed(anywhere.ledger, anywhere.clock, "r", "gone", "ok")

    found = ask(anywhere)

    assert (found.retried.traces, found.retried.helped) == (3, 2)


@pytest.mark.requirement("AX-081")
def test_patterns_tell_how_often_when_and_in_how_many_tasks(anywhere: Engine):
    told(anywhere.ledger, "sync", 1, failed="fp1:a")
    told(anywhere.ledger, "load", 5, failed="fp1:a")
    told(anywhere.ledger, "load", 9, failed="", error_type="KeyError", error="the newest")
    told(anywhere.ledger, "load", 8, failed="", error="an older one")

    unknown, first = ask(anywhere).patterns

    assert first == ("fp1:a", 2, FIRST_MOMENT + 1 * S, FIRST_MOMENT + 5 * S, 2, "OSError", "gone")
    assert unknown == (None, 2, FIRST_MOMENT + 8 * S, FIRST_MOMENT + 9 * S, 1, "KeyError", "the newest")
    assert [(one.fingerprint, one.example) for one in ask(anywhere, task="sync").patterns] == [("fp1:a", "gone")]


def test_a_timeline_has_no_gap_and_not_too_many_points(anywhere: Engine):
    told(anywhere.ledger, "sync", 0)
    told(anywhere.ledger, "sync", 3 * 60, failed="fp1:a")

    timeline = ask(anywhere).timeline

    assert timeline is not None
    assert timeline.span_s == 60
    assert [point[1:] for point in timeline.points] == [(1, 0), (0, 0), (0, 0), (1, 1)]
    assert timeline.points[0][0] == FIRST_MOMENT

    told(anywhere.ledger, "sync", -60 * 365 * 86_400)  # a wrong clock long ago
    timeline = ask(anywhere).timeline
    assert timeline is not None
    assert len(timeline.points) <= 100
    assert timeline.points[-1][1] == 2


def test_a_report_is_of_one_task_or_since_a_time_or_of_the_most_frequent(anywhere: Engine):
    told(anywhere.ledger, "sync", 1)
    told(anywhere.ledger, "sync", 5)
    told(anywhere.ledger, "load", 6)
    executed(anywhere.ledger, anywhere.clock, "monday", "ok")
    executed(anywhere.ledger, anywhere.clock, "tuesday", "ok")

    assert ask(anywhere, task="sync").all.executions == 2
    assert [one.task for one in ask(anywhere, task="monday:step").tasks] == ["etl:step"]
    assert ask(anywhere, task="monday:step").all.executions == 2
    assert ask(anywhere, since=FIRST_MOMENT + 5 * S).all.executions == 2
    assert [(one.task, one.executions) for one in ask(anywhere, top=1).tasks] in ([("sync", 2)], [("etl:step", 2)])
    assert ask(anywhere, top=1).n_tasks == 3
