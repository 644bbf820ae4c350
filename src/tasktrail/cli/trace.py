"""`trace`: what belongs together, as a tree of spans with their durations."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from tasktrail.cli.arguments import TASK, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.executions import execution_record
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import Ink, counted, error_words, local, pad, plain, shorten, width
from tasktrail.cli.text import span as lasted
from tasktrail.formats.moment import iso_utc as utc

if TYPE_CHECKING:
    from tasktrail.engine.traces import Span, Trace

_MARKS: Final = {
    "success": "✓", "completed": "✓", "failed": "✗", "partial": "✗", "aborted": "×", "cancelled": "×", "running": "●",
    "created": "○",
}  # fmt: skip
_COLORS: Final = {
    "success": "green", "completed": "green", "failed": "red", "partial": "yellow", "aborted": "dim",
    "cancelled": "dim", "running": "blue", "created": "dim",
}  # fmt: skip
_DEEPEST: Final = 24
_WIDEST_NAME: Final = 48
_BAR: Final = (10, 60)
"""Columns of the bars: at least, at most."""


@click.command("trace", cls=SessionCommand)
@click.argument("reference", metavar="TRACE|RUN|EXECUTION", type=TASK)
def trace_command(session: Session, reference: str) -> None:
    """Draw a trace: runs, what was executed in them, each attempt, and when. Bars show it where there is a terminal.

    It is found by its id or the beginning of it, by a run, a task (RUN:KEY), or an execution's id.
    """
    from tasktrail.engine.traces import trace_of

    ledger = session.ledger()
    found, now = trace_of(ledger, reference), ledger.clock.now()
    if session.json:
        emit("trace@1", _record(found, now))
        return
    sys.stdout.writelines(f"{line}\n" for line in _lines(found, now, session.width, session.ink()))
    sys.stdout.flush()
    if not found.is_all:
        tell("there is more: of recorded executions, and of executed ones, the first 10,000 are shown")


def _lines(found: Trace, now: int, limit: int | None, ink: Ink) -> Iterator[str]:
    spans = list(found.spans())
    begin, end = _bounds(found, now)
    yield f"trace {plain(found.id)}"
    words = counted(len(found.records), "execution")
    yield f"{words}, {lasted(end - begin)}, since {local(begin)}" if begin else "nothing was executed yet"
    names = [shorten(_name(one, depth), _WIDEST_NAME) for one, depth in spans]
    widest = max((width(name) for name in names), default=0)
    for (one, depth), name in zip(spans, names, strict=True):
        took = lasted(_took(one, now)) if one.started_at is not None else "-"
        line = f"{ink(_COLORS.get(one.status), pad(name, widest))}  {took:>7}"
        room = _BAR[0] if limit is None else min(max(limit - widest - 12, _BAR[0]), _BAR[1])
        yield f"{line}  {_bar(one, begin, end, now, room)}".rstrip() if limit else line
        if one.kind == "attempt" and one.record and one.status == "failed":
            words = error_words(one.record.error_type, one.record.error)
            indent = "  " * (min(depth, _DEEPEST) + 1)
            yield ink("dim", f"{indent}{shorten(words, limit - width(indent)) if limit else words}")


def _name(one: Span, depth: int) -> str:
    named = f"{'  ' * min(depth, _DEEPEST)}{_MARKS.get(one.status, '?')} {plain(one.name)}"
    is_later = one.kind == "attempt" and one.attempt != 1 and not one.name.startswith("attempt ")
    return f"{named} (attempt {one.attempt})" if is_later else named


def _bounds(found: Trace, now: int) -> tuple[int, int]:
    begun = [one for one, _ in found.spans() if one.started_at is not None]
    begin = min((one.started_at for one in begun if one.started_at is not None), default=0)
    return begin, max((begin, *(_end(one, now) for one in begun)))


def _end(one: Span, now: int) -> int:
    return one.ended_at if one.ended_at is not None else now


def _took(one: Span, now: int) -> int:
    """What an attempt took is known by a better clock than that of its two times."""
    known = one.record.duration_us if one.kind == "attempt" and one.record else None
    return max(0, _end(one, now) - (one.started_at or 0)) if known is None else known


def _bar(one: Span, begin: int, end: int, now: int, room: int) -> str:
    """Return when it was, in proportion; what took no time at all is seen, too."""
    if one.started_at is None:
        return ""
    whole = max(end - begin, 1)
    first = min((one.started_at - begin) * room // whole, room - 1)
    last = max(first + 1, -(-(_end(one, now) - begin) * room // whole))
    return " " * first + ("█" if one.kind == "attempt" else "─") * (last - first)


def _record(found: Trace, now: int) -> dict[str, Any]:
    begin, end = _bounds(found, now)
    return {
        "id": found.id,
        "started_at": utc(begin) if begin else None,
        "duration_ms": (end - begin) // 1000,
        "n_executions": len(found.records),
        "retry_count": max((one.attempt for one in found.records), default=1) - 1,
        "final_status": found.records[-1].status if found.records else None,
        "complete": found.is_all,
        "spans": [_span_record(one, depth, now) for one, depth in found.spans()],
    }


def _span_record(one: Span, depth: int, now: int) -> dict[str, Any]:
    return {
        "id": one.id,
        "parent": one.parent,
        "kind": one.kind,
        "depth": depth,
        "name": one.name,
        "status": one.status,
        "attempt": one.attempt,
        "started_at": utc(one.started_at),
        "ended_at": utc(one.ended_at),
        "duration_ms": None if one.started_at is None else _took(one, now) // 1000,
        "execution": execution_record(one.record) if one.record and one.kind == "attempt" else None,
    }
