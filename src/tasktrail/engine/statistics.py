"""How executions went: how many, how well, how long they took, what went wrong, and what trying again mended."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Final, NamedTuple, cast

from tasktrail.engine.insight import LastFailed, last_failed
from tasktrail.engine.records import FOREVER, tasks_of
from tasktrail.store.transaction import Params, Row, Transaction

PERCENTS: Final = (50, 95, 99)
TOP: Final = 20
_PATTERNS: Final = 10
_MOST_POINTS: Final = 100
_US: Final = 1_000_000
_SPANS_S: Final = (60, 600, 3_600, 21_600, 86_400, 604_800, 2_592_000, 31_536_000)
"""How long one point of a timeline may be, the shortest first."""


class TaskFacts(NamedTuple):
    """What is known of the executions of a task, in the order of the columns of the query `facts_by_task`.

    Args:
        timed: Of how many the duration is known; the next three are of these, in microseconds.
        first_at: When the first of them began; `last_at` the last.
    """

    task: str | None
    executions: int
    successes: int
    failures: int
    retries: int
    backfilled: int
    recorded: int
    timed: int
    total_us: int
    least_us: int | None
    most_us: int | None
    memories: int
    most_memories: int
    first_at: int
    last_at: int

    @property
    def success_rate(self) -> float | None:
        """How many of those that succeeded or failed succeeded, from 0 to 1; None where there is none."""
        ended = self.successes + self.failures
        return self.successes / ended if ended else None

    @property
    def mean_us(self) -> int | None:
        """How long they took on average; None where no duration is known."""
        return round(self.total_us / self.timed) if self.timed else None

    @property
    def mean_memories(self) -> float | None:
        """On how many records they stand on average; None where there is no execution."""
        return self.memories / self.executions if self.executions else None

    @property
    def live(self) -> int:
        """How many were not read from files: told when they happened, or executed by Tasktrail."""
        return self.executions - self.backfilled


class ErrorPattern(NamedTuple):
    """Failures that have a fingerprint in common, in the order of the columns of `failures_by_fingerprint`.

    Those of which nobody knows one are together, and the newest of them is the example.
    """

    fingerprint: str | None
    occurrences: int
    first_at: int
    last_at: int
    tasks: int
    error_type: str | None
    example: str | None


@dataclass(frozen=True, slots=True)
class Retried:
    """What was tried more than once, of one trace and task; of how much of it the last attempt succeeded."""

    traces: int
    helped: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """How many executions began, and how many of these failed, in spans of equal length, without a gap.

    Args:
        points: The beginning of a span in microseconds UTC, executions, failures.
    """

    span_s: int
    points: Sequence[tuple[int, int, int]]


@dataclass(slots=True)
class Durations:
    """What a sorted row of durations tells: its percentiles, and how many are at most as long as each bound.

    Args:
        by_percent: Microseconds; the percentile is one of the durations, that which so many of a hundred do not exceed.
        by_bound: Counts, by the bound in microseconds that they do not exceed and the one before does.
    """

    by_percent: dict[int, int] = field(default_factory=dict)
    by_bound: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a report of executions says.

    Args:
        tasks: Those with the most executions first; `n_tasks` is how many there are.
        percentiles: Microseconds by percent, by task.
    """

    all: TaskFacts
    tasks: Sequence[TaskFacts]
    n_tasks: int
    durations: Durations
    percentiles: Mapping[str | None, Mapping[int, int]]
    timeline: Timeline | None
    retried: Retried
    patterns: Sequence[ErrorPattern]
    last: LastFailed


def statistics(tx: Transaction, *, task: str | None = None, since: int | None = None, top: int = TOP) -> Statistics:
    """Return how executions of both kinds went. Memory does not grow with their number: the database sorts.

    Args:
        task: As its reporter names it, or a reference RUN:KEY, which means that step in all runs of its workflow.
        since: The earliest start, microseconds UTC; it is included.
        top: How many tasks are told one by one.
    """
    params = {"since": -FOREVER if since is None else since, "task": None if task is None else _label(tx, task)}
    total = _Total()
    tasks = heapq.nlargest(top, total.adding(_facts(tx, params)), key=lambda one: (one.executions, one.last_at))
    timed = {one.task: one.timed for one in tasks}
    return Statistics(
        all=total.facts,
        tasks=tasks,
        n_tasks=total.n,
        durations=_durations(tx.stream("durations", params), total.facts.timed),
        percentiles=_percentiles(tx.stream("durations_by_task", params), timed),
        timeline=_timeline(tx, params, total.facts),
        retried=Retried(*map(_number, tx.rows("retried", **params)[0])),
        patterns=_patterns(tx, params),
        last=last_failed(tx, task_id=task, since=since, limit=5),
    )


def _label(tx: Transaction, task: str) -> str:
    """Return what executions of a task are counted under."""
    found = next(iter(tasks_of(tx, task)), None)
    row = tx.row("label_of_task", task_id=found) if found is not None else None
    return str(row[0]) if row else task


def _facts(tx: Transaction, params: Params) -> Iterator[TaskFacts]:
    for task, *numbers in tx.stream("facts_by_task", params):
        yield TaskFacts._make((task, *(None if one is None else _number(one) for one in numbers)))


def _patterns(tx: Transaction, params: Params) -> list[ErrorPattern]:
    found = [ErrorPattern._make(row) for row in tx.rows("failures_by_fingerprint", limit=_PATTERNS, **params)]
    return [one if one.fingerprint is not None else _with_example(tx, params, one) for one in found]


def _with_example(tx: Transaction, params: Params, pattern: ErrorPattern) -> ErrorPattern:
    ((kind, message),) = cast("list[tuple[str | None, str | None]]", tx.rows("newest_without_fingerprint", **params))
    return pattern._replace(error_type=kind, example=message)


class _Total:
    """Adds up what goes by."""

    def __init__(self) -> None:
        self.facts = TaskFacts(None, 0, 0, 0, 0, 0, 0, 0, 0, None, None, 0, 0, 0, 0)
        self.n = 0

    def adding(self, tasks: Iterable[TaskFacts]) -> Iterator[TaskFacts]:
        """Yield them as they come."""
        for one in tasks:
            self.facts = _sum(self.facts, one) if self.n else one._replace(task=None)
            self.n += 1
            yield one


def _sum(a: TaskFacts, b: TaskFacts) -> TaskFacts:
    added = {name: getattr(a, name) + getattr(b, name) for name in _ADDED}
    return a._replace(
        **added,
        least_us=min((one for one in (a.least_us, b.least_us) if one is not None), default=None),
        most_us=max((one for one in (a.most_us, b.most_us) if one is not None), default=None),
        most_memories=max(a.most_memories, b.most_memories),
        first_at=min(a.first_at, b.first_at),
        last_at=max(a.last_at, b.last_at),
    )


_ADDED: Final = (
    "executions", "successes", "failures", "retries", "backfilled", "recorded", "timed", "total_us", "memories",
)  # fmt: skip


# durations: a million rows go by, so the loops call nothing


def _percentiles(rows: Iterable[Row], timed: Mapping[str | None, int]) -> dict[str | None, dict[int, int]]:
    """Return the percentiles of some tasks, of which the counts are known, from the sorted durations of all.

    >>> _percentiles([("a", 7), ("b", 1), ("b", 2), ("b", 3), ("b", 10)], {"b": 4})
    {'b': {50: 2, 95: 10, 99: 10}}
    """
    found: dict[str | None, dict[int, int]] = {task: {} for task in timed}
    current: object = found
    ranks: list[tuple[int, int]] = []
    place = rank = 0
    for task, duration in rows:
        if task != current:
            current, place = task, 0
            ranks = _ranks(timed.get(cast("str | None", task), 0))
            rank = ranks[-1][0]
        place += 1
        while place == rank:
            found[cast("str | None", task)][ranks.pop()[1]] = cast(int, duration)
            rank = ranks[-1][0]
    return found


def _ranks(count: int) -> list[tuple[int, int]]:
    """Return places, from 1, with the percents whose percentiles stand there, the first at the end; 0 is no place."""
    places = [(max(1, ceil(percent * count / 100)), percent) for percent in reversed(PERCENTS)] if count else []
    return [(0, 0), *places]


def _durations(rows: Iterable[Row], count: int) -> Durations:
    """Return what durations tell that are sorted, and of which there are so many.

    >>> _durations([(300,), (1000,), (1100,), (9000,)], 4)
    Durations(by_percent={50: 1000, 95: 9000, 99: 9000}, by_bound={1000: 2, 2000: 1, 5000: 0, 10000: 1})
    """
    told, ranks, bounds = Durations(), _ranks(count), _bounds()
    rank, bound, before = ranks[-1][0], next(bounds), 0
    for place, (value,) in enumerate(rows, 1):
        duration = cast(int, value)
        while duration > bound:
            told.by_bound[bound] = place - 1 - before
            bound, before = next(bounds), place - 1
        while place == rank:
            told.by_percent[ranks.pop()[1]] = duration
            rank = ranks[-1][0]
    if count:
        told.by_bound[bound] = count - before
    return told


def _bounds() -> Iterator[int]:
    """Yield 1, 2, 5, 10 … milliseconds in microseconds."""
    decade = 1_000
    while True:
        yield from (decade, 2 * decade, 5 * decade)
        decade *= 10


# time


def _timeline(tx: Transaction, params: Params, facts: TaskFacts) -> Timeline | None:
    """Return the timeline in the shortest spans of which there are not too many."""
    if not facts.executions:
        return None
    span_s = next((one for one in _SPANS_S if _between(facts, one) <= _MOST_POINTS), _SPANS_S[-1])
    span_us = span_s * _US
    rows = tx.stream("facts_by_time", {**params, "span_us": span_us})
    by_place = {_number(place): (_number(n), _number(failed)) for place, n, failed in rows}
    first = facts.first_at // span_us if _between(facts, span_s) <= _MOST_POINTS else facts.last_at // span_us - 99
    places = range(first, facts.last_at // span_us + 1)
    return Timeline(span_s, [(place * span_us, *by_place.get(place, (0, 0))) for place in places])


def _between(facts: TaskFacts, span_s: int) -> int:
    span_us = span_s * _US
    return facts.last_at // span_us - facts.first_at // span_us + 1


def _number(value: object) -> int:
    """Databases add up to numbers of their own kinds."""
    return int(cast(int, value or 0))
