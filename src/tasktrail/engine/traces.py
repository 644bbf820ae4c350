"""A trace as a tree of spans: runs, what was executed in them, each attempt, and what an attempt began elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import CANDIDATES_SHOWN, find
from tasktrail.engine.records import MOST_OF_TRACE, record_by_id, trace
from tasktrail.model.errors import Ambiguous, BadInput, NotFound
from tasktrail.model.record import Record
from tasktrail.model.run import Run
from tasktrail.store.transaction import Transaction

SpanKind: TypeAlias = Literal["run", "task", "attempt"]
_SHORTEST_PREFIX: Final = 4
_Group: TypeAlias = tuple[str, str, bool]
"""What attempts of one task in one place have in common: the parent, the task, whether they are recorded."""


@dataclass(slots=True)
class Span:
    """One line of a trace.

    Args:
        id: Of an attempt its span id; of a run, or of a task that was tried more than once, its reference.
        parent: The id of the span that it belongs to; None of those that nobody else here began.
        status: Of a run its own words, else those of an execution.
        name: Of an attempt that stands below its task its number, else the task.
        attempt: Its number; of a task that of the last one, of a run None.
        record: What is known of an attempt; of a task of its last one.
    """

    id: str
    parent: str | None
    kind: SpanKind
    name: str
    status: str
    started_at: int | None
    ended_at: int | None
    attempt: int | None = None
    record: Record | None = None
    children: list[Span] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trace:
    """All that is known of a trace.

    Args:
        roots: The spans that nobody else here began, the earliest first.
        records: All attempts, by number, then by start.
        is_all: Whether there are no more; a trace of very many is cut.
    """

    id: str
    roots: Sequence[Span]
    records: Sequence[Record]
    is_all: bool

    def spans(self) -> Iterator[tuple[Span, int]]:
        """Yield all spans with their depth, each before what it began."""
        stack = [(one, 0) for one in reversed(self.roots)]
        while stack:
            span, depth = stack.pop()
            yield span, depth
            stack += [(child, depth + 1) for child in reversed(span.children)]


def trace_of(ledger: Ledger, text: str) -> Trace:
    """Return the trace that is meant: by its id or the beginning of it, a run, a task, or an execution's id.

    Raises:
        NotFound: Nothing is called so.
        Ambiguous: Several traces begin so, or several runs are called so.
    """
    trace_id = ledger.store.read(lambda tx: _known(tx, text))
    if trace_id is None:
        try:
            trace_id = find(ledger, text).run.trace_id
        except (NotFound, BadInput):
            trace_id = ledger.store.read(lambda tx: _beginning(tx, text))
    return ledger.store.read(lambda tx: _trace(tx, trace_id))


def _known(tx: Transaction, text: str) -> str | None:
    if tx.row("traces_named", trace_id=text):
        return text
    record = record_by_id(tx, text)
    return record.trace_id if record else None


def _beginning(tx: Transaction, text: str) -> str:
    rows = tx.rows("traces_like", prefix=text, limit=CANDIDATES_SHOWN + 1) if len(text) >= _SHORTEST_PREFIX else []
    ids = [str(row[0]) for row in rows]
    if len(ids) > 1:
        more = ["… and more"] if len(ids) > CANDIDATES_SHOWN else []
        raise Ambiguous(
            f"several traces begin with {text}", hint=f"say {ids[0]}", details=ids[:CANDIDATES_SHOWN] + more
        )
    if not ids:
        raise NotFound(f"no trace, run, task or execution is called {text[:80]}", hint="tasktrail list-executions")
    return ids[0]


def _trace(tx: Transaction, trace_id: str) -> Trace:
    records = trace(tx, trace_id)
    runs = tx.runs("runs_of_trace", trace_id=trace_id, limit=MOST_OF_TRACE)
    n_recorded = sum(one.type is not None for one in records)
    is_all = max(n_recorded, len(records) - n_recorded) < MOST_OF_TRACE
    return Trace(trace_id, _roots(records, runs), records, is_all)


def _roots(records: Sequence[Record], runs: Sequence[Run]) -> list[Span]:
    spans = {reference: _run_span(reference, run) for run in runs if (reference := f"{run.kind}/{run.name}")}
    groups = _grouped(records, spans)
    roots = list(spans.values())
    by_parent: dict[str, list[list[Record]]] = {}
    for (parent, _, _), ones in groups.items():
        by_parent.setdefault(parent, []).append(ones)
    _hang(roots, by_parent)
    for run in roots:
        _end(run)
    while by_parent:  # what is left names parents in a circle, or such as are not here: the earliest begins it
        parent = min(by_parent, key=lambda one: min(ones[0].started_at for ones in by_parent[one]))
        begun = [_group_span(ones, None) for ones in by_parent.pop(parent)]
        _hang(begun, by_parent)
        roots += begun
    return sorted(roots, key=_begin)


def _hang(spans: Sequence[Span], by_parent: dict[str, list[list[Record]]]) -> None:
    """Hang what spans began below them, and so on; what hangs is no longer there to be hung."""
    todo = list(spans)
    while todo:
        span = todo.pop()
        span.children += [_group_span(ones, span.id) for ones in by_parent.pop(span.id, ())]
        span.children.sort(key=_begin)
        todo += span.children


def _end(run: Span) -> None:
    """A run that waits for people is not shown for months: it ends with what was executed last."""
    ends = [child.ended_at for child in run.children]
    if run.ended_at is None and ends:
        run.ended_at = None if None in ends else max(end for end in ends if end is not None)


def _grouped(records: Sequence[Record], runs: Mapping[str, Span]) -> dict[_Group, list[Record]]:
    """Return the attempts of each task in each place, in their order; a retry is where that is which it repeats."""
    known = {one.span_id for one in records}
    group_by_span: dict[str, _Group] = {}
    groups: dict[_Group, list[Record]] = {}
    for one in records:
        run = one.id.partition(":")[0]
        parent = (run if one.type is None and run in runs else one.parent_span_id) or ""
        group = (parent if parent in known or parent in runs else "", one.task_id or one.id, one.type is not None)
        before = group_by_span.get(one.retry_of or "")
        if before is not None and before[1:] == group[1:]:
            group = before
        group_by_span.setdefault(one.span_id, group)
        groups.setdefault(group, []).append(one)
    return groups


def _run_span(reference: str, run: Run) -> Span:
    return Span(reference, None, "run", run.name, run.status, run.started_at, run.finished_at)


def _group_span(ones: Sequence[Record], parent: str | None) -> Span:
    """One attempt is a span; of several the task is, with an attempt each."""
    if len(ones) == 1:
        return _attempt_span(ones[0], parent, _name(ones[0]))
    last = ones[-1]
    reference = last.id.rpartition("@")[0] if last.type is None else f"{last.trace_id}:{last.task_id}"
    ends = [one.ended_at for one in ones]
    ended = None if None in ends else max(end for end in ends if end is not None)
    began = min(one.started_at for one in ones)
    span = Span(reference, parent, "task", _name(last), last.status, began, ended, last.attempt, last)
    span.children = [_attempt_span(one, reference, f"attempt {one.attempt}") for one in ones]
    return span


def _attempt_span(one: Record, parent: str | None, name: str) -> Span:
    return Span(one.span_id, parent, "attempt", name, one.status, one.started_at, one.ended_at, one.attempt, one)


def _name(one: Record) -> str:
    """Within its run a task is named by what stands behind the colon."""
    if one.type is None:
        return str(one.task_id).partition(":")[2]
    return one.task_id or one.task_name or one.id


def _begin(span: Span) -> tuple[bool, int]:
    return span.started_at is None, span.started_at or 0
