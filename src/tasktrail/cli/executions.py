"""`list-executions` and `last-failed`: what was executed, whoever executed it, and what went wrong last."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from tasktrail.cli.arguments import TASK, SessionCommand, since_of
from tasktrail.cli.documents import emit
from tasktrail.cli.fitting import execution_table
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import Style, counted, error_words, local, plain, span
from tasktrail.engine.records import Wanted, cursor_of, list_executions
from tasktrail.executions.answers import UNKNOWN, execution_words, pattern_words
from tasktrail.model.record import STATUSES, Record

if TYPE_CHECKING:
    from tasktrail.engine.insight import LastFailed, Pattern

COLORS: Final = {"success": "green", "failed": "red", "aborted": "dim", "running": "blue"}
SINCE: Final = click.option("--since", metavar="WHEN", help="What began since 2h, 3d or 2026-11-20.")
OF_TASK: Final = click.option(
    "--task", "task_id", metavar="REF", type=TASK, help="Of this task: RUN:KEY, or the id under which it was recorded."
)
_HEADER: Final = ("TASK", "TRACE", "STATUS", "ATTEMPT", "STARTED", "DURATION", "ERROR")
FAILED_HEADER: Final = ("TASK", "TRACE", "ATTEMPT", "STARTED", "FINGERPRINT", "ERROR")
_PATTERN_HEADER: Final = ("FINGERPRINT", "TIMES", "FIRST SEEN", "LAST SEEN", "TASK", "TRACE", "ERROR")
_TRACE_SHOWN: Final = 12


@click.command("list-executions", cls=SessionCommand)
@OF_TASK
@click.option("--status", type=click.Choice(STATUSES, case_sensitive=False), help="Only those that ended so, or run.")
@SINCE
@click.option("--backfilled/--live", default=None, help="Only what was read from files; or all else.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Executions on a page.")
@click.option("--cursor", metavar="CURSOR", help="Go on after the page that named it.")
def list_executions_command(
    session: Session,
    task_id: str | None,
    status: str | None,
    since: str | None,
    backfilled: bool | None,
    limit: int,
    cursor: str | None,
) -> None:
    """List executions, the newest first: what was recorded, and what Tasktrail executed."""
    ledger = session.ledger()
    at = since_of(since, ledger.clock.now()) if since else None
    wanted = Wanted(task_id, status, at, backfilled, cursor, limit + 1)
    found = ledger.store.read(lambda tx: list_executions(tx, wanted))
    page, more = found[:limit], cursor_of(found[limit - 1]) if len(found) > limit else None
    if session.json:
        emit("execution-list@1", [execution_record(one) for one in page], more)
        return
    _print(session, _HEADER, [_row(one) for one in page], 2)
    if not page:
        tell("no executions here")
    if more:
        again = _again(task_id, status, since, backfilled)
        tell(f"more: tasktrail list-executions{again} --cursor {more}")


def _again(task_id: str | None, status: str | None, since: str | None, backfilled: bool | None) -> str:
    """Return the filters as they were given, for the next page."""
    given = {"--task": task_id, "--status": status, "--since": since}
    flag = {True: " --backfilled", False: " --live", None: ""}[backfilled]
    return "".join(f" {name} {shlex.quote(value)}" for name, value in given.items() if value) + flag


@click.command("last-failed", cls=SessionCommand)
@OF_TASK
@SINCE
@click.option("--unique", is_flag=True, help="Of failures that are alike the newest alone, and how many there were.")
@click.option("--limit", type=click.IntRange(1, 50), default=10, show_default=True, help="How many.")
def last_failed_command(session: Session, task_id: str | None, since: str | None, unique: bool, limit: int) -> None:
    """Show what failed last, the newest first. Failures with one fingerprint are alike.

    How often there were such is counted among the last 1,000 failures.
    """
    from tasktrail.engine.insight import last_failed

    ledger = session.ledger()
    at = since_of(since, ledger.clock.now()) if since else None
    found = ledger.store.read(lambda tx: last_failed(tx, task_id=task_id, since=at, limit=limit, unique=unique))
    if session.json:
        emit("last-failed@1", last_failed_data(found))
        return
    if unique:
        _print(session, _PATTERN_HEADER, [_pattern_row(one) for one in found.patterns])
    else:
        _print(session, FAILED_HEADER, [failed_row(one) for one in found.failures])
    tell(_said(found, unique=unique))


def _said(found: LastFailed, *, unique: bool) -> str:
    """Return how many there are, in words, and how to look closer."""
    if not found.examined:
        return "nothing failed here"
    among = counted(found.examined, "failure") if found.is_all else f"the last {counted(found.examined, 'failure')}"
    closer = f"to see one: tasktrail trace {found.failures[0].trace_id[:_TRACE_SHOWN]}"
    return f"of {among}; {closer}" if unique else f"{among}; what they have in common: --unique; {closer}"


# rows


def _row(one: Record) -> Sequence[str]:
    words = error_words(one.error_type, one.error) if one.status == "failed" else ""
    return (
        _name(one), one.trace_id[:_TRACE_SHOWN], one.status, str(one.attempt), local(one.started_at),
        span(one.duration_us), words,
    )  # fmt: skip


def failed_row(one: Record) -> Sequence[str]:
    """Return the cells of a failure among others."""
    return (
        _name(one), one.trace_id[:_TRACE_SHOWN], str(one.attempt), local(one.started_at),
        one.fingerprint or UNKNOWN, error_words(one.error_type, one.error),
    )  # fmt: skip


def _pattern_row(one: Pattern) -> Sequence[str]:
    example = one.example
    return (
        one.fingerprint or UNKNOWN, f"{one.count:,}", local(one.first_at), local(one.last_at),
        _name(example), example.trace_id[:_TRACE_SHOWN], error_words(example.error_type, example.error),
    )  # fmt: skip


def _name(one: Record) -> str:
    return plain(one.task_id or "-")


def _print(session: Session, header: Sequence[str], rows: Sequence[Sequence[str]], status: int | None = None) -> None:
    if rows:
        style: Style = lambda at, cell: COLORS.get(cell) if at == status else None  # noqa: E731
        lines = execution_table(header, rows, session.width, session.ink(), style)
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()


# records


def execution_record(one: Record) -> dict[str, Any]:
    """Return an execution as a record."""
    told = execution_words(one)
    more = {"retry_of": one.retry_of, "recorded": one.type is not None, "actor": one.actor}
    return {"id": one.id, "run": None if one.type else str(one.task_id).partition(":")[0], **told, **more}


def last_failed_data(found: LastFailed) -> dict[str, Any]:
    """Return failures and their patterns as a record."""
    return {
        "failures": [execution_record(one) for one in found.failures],
        "error_patterns": [{**pattern_words(one), "example": one.example.id} for one in found.patterns],
        "examined": found.examined,
        "complete": found.is_all,
    }
