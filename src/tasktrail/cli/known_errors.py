"""`list-errors`, `show-error`, `resolve` and `ignore`: failures that are one error, and what people say of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Final

import click

from tasktrail.cli.arguments import ERROR, SessionCommand, since_of
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import columns, error_words, local, memory_lines
from tasktrail.engine.errors import ERROR_STATUSES, ErrorStatus, KnownError, error_of, ignore, list_errors, resolve
from tasktrail.engine.failure_memory import Memory, memory_of
from tasktrail.json_records import error_record, memory_record

_HEADER: Final = ("ERROR", "STATUS", "SEEN", "LAST", "WHAT")
_COLORS: Final[Mapping[str, str]] = {"open": "yellow", "regressed": "red", "resolved": "green", "ignored": "dim"}


@click.command("list-errors", cls=SessionCommand)
@click.option("--status", type=click.Choice(ERROR_STATUSES), help="Only those that stand so; else all but ignored.")
@click.option("--since", metavar="WHEN", help="Seen since 2h, 3d or 2026-11-20.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Errors on a page.")
@click.option("--cursor", metavar="CURSOR", help="Go on after the page that named it.")
def list_errors_command(
    session: Session, status: ErrorStatus | None, since: str | None, limit: int, cursor: str | None
) -> None:
    """List errors, what was seen last first. Failures are one error when their fingerprint is the same.

    One that was seen after it was resolved has regressed.
    """
    ledger = session.ledger()
    at = since_of(since, ledger.clock.now()) if since is not None else None
    page = ledger.store.read(lambda tx: list_errors(tx, status=status, since=at, limit=limit, cursor=cursor))
    if session.json:
        emit("error-list@1", [error_record(one) for one in page.errors], page.cursor)
        return
    rows = [_row(one) for one in page.errors]
    if rows:
        style = {"limit": session.width, "ink": session.ink(), "style": _style}
        sys.stdout.writelines(f"{line}\n" for line in columns(_HEADER, rows, **style))  # type: ignore[arg-type]
    else:
        tell("no such errors")
    if page.cursor:
        tell(f"more: tasktrail list-errors --cursor {page.cursor}")


def _row(error: KnownError) -> tuple[str, ...]:
    words = error_words(error.type, error.example)
    return error.fingerprint, error.status, f"{error.occurrences:,}", local(error.last_at), words


def _style(column: int, cell: str) -> str | None:
    return _COLORS.get(cell) if column == 1 else None


@click.command("show-error", cls=SessionCommand)
@click.argument("fingerprint", metavar="ERROR", type=ERROR)
def show_error_command(session: Session, fingerprint: str) -> None:
    """Show an error: where it was seen, which attempt succeeded afterwards, and what that noted.

    ERROR is a fingerprint, or how one begins.
    """
    store = session.ledger().store
    memory = store.read(lambda tx: memory_of(tx, error_of(tx, fingerprint).fingerprint))
    assert memory is not None, "it was just found"
    if session.json:
        emit("known-error@1", memory_record(memory))
        return
    sys.stdout.writelines(f"{line}\n" for line in _lines(memory))


def _lines(memory: Memory) -> Iterator[str]:
    first, *more = memory_lines(memory)
    yield first
    yield f"  first {local(memory.error.first_at)}, last {local(memory.error.last_at)}"
    yield from more


@click.command("resolve", cls=SessionCommand)
@click.argument("fingerprint", metavar="ERROR", type=ERROR)
@click.option("--note", metavar="TEXT", help="Why; it is shown with the error.")
def resolve_command(session: Session, fingerprint: str, note: str | None) -> None:
    """Say that an error is resolved. When it is seen again, it has regressed, and that is told."""
    _show(session, resolve(session.ledger(), fingerprint, note))


@click.command("ignore", cls=SessionCommand)
@click.argument("fingerprint", metavar="ERROR", type=ERROR)
@click.option("--off", is_flag=True, help="Hear of it again.")
@click.option("--note", metavar="TEXT", help="Why; it is shown with the error.")
def ignore_command(session: Session, fingerprint: str, off: bool, note: str | None) -> None:
    """Hear no more of an error: no list names it that does not ask for it. It is counted all the same."""
    _show(session, ignore(session.ledger(), fingerprint, off=off, note=note))


def _show(session: Session, error: KnownError) -> None:
    if session.json:
        emit("judged-error@1", error_record(error))
    else:
        sys.stdout.write(f"{error.fingerprint} is {error.status}\n")
