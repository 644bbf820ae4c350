"""`stats`: a report on executions in tables and small plots, or as one record."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from tasktrail.cli.arguments import TASK, SessionCommand, since_of
from tasktrail.cli.documents import emit
from tasktrail.cli.executions import FAILED_HEADER, SINCE, failed_row, last_failed_data
from tasktrail.cli.fitting import execution_table, narrowed
from tasktrail.cli.plots import bars, merged, spark
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import Ink, columns, counted, error_words, local, plain, span
from tasktrail.executions.answers import UNKNOWN
from tasktrail.formats.moment import iso_utc as utc

if TYPE_CHECKING:
    from tasktrail.engine.statistics import ErrorPattern, Statistics, TaskFacts

_PLOT: Final = 80
"""Columns of a plot where there is no terminal."""
_LABEL: Final = 8
_UNITS: Final = {60: "minute", 600: "10 minutes", 3_600: "hour", 21_600: "6 hours", 86_400: "day", 604_800: "week"}
_TASKS: Final = (
    "TASK", "COUNT", "SUCCESS", "FAILED", "RETRIES", "AVG", "MIN", "P50", "P95", "P99", "MAX", "MEMORIES",
)  # fmt: skip
_DISPENSABLE: Final = ("MEMORIES", "MIN", "RETRIES", "AVG", "MAX", "P95", "FAILED")
_ERRORS: Final = ("FINGERPRINT", "TIMES", "TASK", "FIRST SEEN", "LAST SEEN", "ERROR")


@click.command("stats", cls=SessionCommand)
@SINCE
@click.option(
    "--task", metavar="REF", type=TASK, help="Of this task alone; RUN:KEY means it in all runs of its workflow."
)
@click.option("--top", type=click.IntRange(1, 1_000), default=20, show_default=True, help="Tasks that have a row.")
def stats_command(session: Session, since: str | None, task: str | None, top: int) -> None:
    """Report on executions, recorded or executed here: success, durations, errors, retries, retrieval.

    A success rate is of what succeeded or failed. Percentiles are exact.
    """
    from tasktrail.engine.statistics import statistics

    ledger = session.ledger()
    at = since_of(since, ledger.clock.now()) if since else None
    found = ledger.store.read(lambda tx: statistics(tx, task=task, since=at, top=top))
    if session.json:
        emit("statistics@1", _record(found))
        return
    if not found.all.executions:
        tell("no executions here")
        return
    sys.stdout.writelines(f"{line}\n" for line in _lines(found, session.width, session.ink()))


def _lines(found: Statistics, limit: int | None, ink: Ink) -> Iterator[str]:
    room = min(limit or _PLOT, 120)
    yield from _head(found)
    yield from _timeline(found, room, ink)
    yield from _durations(found, room, ink)
    yield ""
    rows = [_task_row(one, found.percentiles[one.task]) for one in found.tasks]
    yield from columns(*narrowed(_TASKS, rows, limit, _DISPENSABLE), limit=limit, ink=ink, style=_plain)
    if found.n_tasks > len(found.tasks):
        yield f"… and {counted(found.n_tasks - len(found.tasks), 'task')} with fewer executions"
    if found.patterns:
        yield ""
        yield from execution_table(_ERRORS, [_error_row(one) for one in found.patterns], limit, ink, _plain)
        yield ""
        yield ink("bold", "last failures")
        yield from execution_table(FAILED_HEADER, [failed_row(one) for one in found.last.failures], limit, ink, _plain)


def _head(found: Statistics) -> Iterator[str]:
    facts, retried = found.all, found.retried
    yield f"{counted(facts.executions, 'execution')} of {counted(found.n_tasks, 'task')}, from " + (
        f"{local(facts.first_at)} to {local(facts.last_at)}"
    )
    ended = facts.successes + facts.failures
    yield f"success     {_percent(facts.success_rate)}: {facts.successes:,} of {ended:,}, {facts.failures:,} failed"
    helped = f": {retried.helped:,} succeeded in the end ({_percent(_of(retried.helped, retried.traces))})"
    yield f"tried again {retried.traces:,}{helped if retried.traces else ''}"
    yield (
        f"live        {facts.live:,}, of which Tasktrail executed {facts.executions - facts.recorded:,}; "
        f"backfilled {facts.backfilled:,}"
    )
    yield f"retrieval   {_memories(facts)} records on average, at most {facts.most_memories:,}"


def _timeline(found: Statistics, room: int, ink: Ink) -> Iterator[str]:
    timeline = found.timeline
    if timeline is None or len(timeline.points) < 2:
        return
    points = merged(timeline.points, max(8, room - _LABEL - 14))
    together = -(-len(timeline.points) // len(points))
    greatest = max(one[1] for one in points)
    unit = _UNITS.get(timeline.span_s, f"{timeline.span_s // 86_400} days")
    yield ""
    yield ink("bold", f"began per {unit if together == 1 else f'{together} × {unit}'}") + f", most {greatest:,}"
    yield f"{'all':<{_LABEL}}{ink('blue', spark([one[1] for one in points], greatest))}"
    yield f"{'failed':<{_LABEL}}{ink('red', spark([one[2] for one in points], greatest))}"
    first, last = local(points[0][0])[:16], local(points[-1][0])[:16]
    yield f"{'':<{_LABEL}}{first}{' ' * max(2, len(points) - len(first) - len(last))}{last}"


def _durations(found: Statistics, room: int, ink: Ink) -> Iterator[str]:
    if not found.all.timed:
        return
    facts = found.all
    percents = "  ".join(f"p{percent} {span(us)}" for percent, us in sorted(found.durations.by_percent.items()))
    yield ""
    ends = f"min {span(facts.least_us)}  avg {span(facts.mean_us)}  max {span(facts.most_us)}"
    yield f"{ink('bold', 'durations')}   {ends}"
    yield f"            {percents}"
    yield from bars({f"≤ {span(bound)}": count for bound, count in _shown(found.durations.by_bound).items()}, room)


def _shown(by_bound: Mapping[int, int]) -> dict[int, int]:
    """Leave out what is shorter than all."""
    first = next((bound for bound, count in by_bound.items() if count), 0)
    return {bound: count for bound, count in by_bound.items() if bound >= first}


def _task_row(one: TaskFacts, percentiles: Mapping[int, int]) -> Sequence[str]:
    spans = (one.mean_us, one.least_us, *(percentiles.get(percent) for percent in (50, 95, 99)), one.most_us)
    return (
        plain(one.task or "-"), f"{one.executions:,}", _percent(one.success_rate), f"{one.failures:,}",
        f"{one.retries:,}", *map(span, spans), _memories(one),
    )  # fmt: skip


def _error_row(one: ErrorPattern) -> Sequence[str]:
    seen = (local(one.first_at), local(one.last_at))
    words = error_words(one.error_type, one.example)
    return (one.fingerprint or UNKNOWN, f"{one.occurrences:,}", counted(one.tasks, "task"), *seen, words)


def _percent(rate: float | None) -> str:
    """Never 100 % where something failed.

    >>> _percent(0.99999), _percent(1.0), _percent(None)
    ('99.9 %', '100 %', '-')
    """
    if rate is None:
        return "-"
    return "100 %" if rate == 1 else f"{int(rate * 1000) / 10:g} %"


def _of(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _memories(one: TaskFacts) -> str:
    return f"{one.mean_memories or 0:.2g}"


def _plain(_column: int, _cell: str) -> None:
    """Leave cells as they are."""


# records


def _record(found: Statistics) -> dict[str, Any]:
    timeline = found.timeline
    return {
        "all": _task_record(found.all, found.durations.by_percent),
        "tasks": [_task_record(one, found.percentiles[one.task]) for one in found.tasks],
        "n_tasks": found.n_tasks,
        "retried": {
            "traces": found.retried.traces,
            "helped": found.retried.helped,
            "help_rate": _of(found.retried.helped, found.retried.traces),
        },
        "durations": [
            {"at_most_ms": bound // 1000, "executions": count} for bound, count in found.durations.by_bound.items()
        ],
        "timeline": [
            {"at": utc(at), "span_s": timeline.span_s, "executions": n, "failures": failed}
            for at, n, failed in timeline.points
        ]
        if timeline
        else [],
        "error_patterns": [_error_record(one) for one in found.patterns],
        "last_failed": last_failed_data(found.last),
    }


def _task_record(one: TaskFacts, percentiles: Mapping[int, int]) -> dict[str, Any]:
    spans = {"avg_ms": one.mean_us, "min_ms": one.least_us, "max_ms": one.most_us}
    spans.update({f"p{percent}_ms": percentiles.get(percent) for percent in (50, 95, 99)})
    return {
        "id": one.task, "executions": one.executions, "successes": one.successes, "failures": one.failures,
        "success_rate": one.success_rate, "retries": one.retries,
        **{name: None if us is None else us // 1000 for name, us in spans.items()},
        "memory_count_avg": one.mean_memories, "memory_count_max": one.most_memories,
        "backfilled": one.backfilled, "live": one.live, "recorded": one.recorded,
        "first_started_at": utc(one.first_at) if one.executions else None,
        "last_started_at": utc(one.last_at) if one.executions else None,
    }  # fmt: skip


def _error_record(one: ErrorPattern) -> dict[str, Any]:
    return {
        "stack_hash": one.fingerprint or UNKNOWN, "count": one.occurrences, "tasks": one.tasks,
        "first_seen": utc(one.first_at), "last_seen": utc(one.last_at), "error_type": one.error_type,
        "example": one.example,
    }  # fmt: skip
