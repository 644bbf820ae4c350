"""`explain`: why nothing is running, or why a step did not start, and what to type next."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from tasktrail.cli.arguments import TASK, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.status import SCRIPT_WORDS
from tasktrail.cli.text import local, plain, span
from tasktrail.engine.explaining import Reason, explain_run, explain_task
from tasktrail.engine.limits import FullLimit
from tasktrail.engine.lookup import find
from tasktrail.engine.situation import Situation, situation
from tasktrail.formats.moment import iso_utc as utc
from tasktrail.model.graph import path_text


@click.command("explain", cls=SessionCommand)
@click.argument("reference", metavar="RUN | RUN:STEP", type=TASK)
def explain_command(session: Session, reference: str) -> None:
    """Say why a run or a step stands where it stands, the most important first, and what to type next."""
    ledger = session.ledger()
    found = find(ledger, reference)
    seen = situation(ledger, found.run)
    task = seen.by_id.get(found.task.id) if found.task else None
    reasons = explain_task(seen, task) if task else explain_run(seen)
    if session.json:
        emit("explanation@1", _record(seen, reasons, task.status if task else None, seen.refer(task) if task else None))
        return
    sys.stdout.writelines(f"{line}\n" for line in lines(reasons, seen.now))
    if reasons and reasons[0].cause in ("unowned", "not_begun") and reasons[0].command is None:
        tell(f"to go on: {SCRIPT_WORDS}")


def lines(reasons: Sequence[Reason], now: int) -> Iterator[str]:
    """Yield a line for each reason; what to type stands below it, once."""
    told: set[str] = set()
    for reason in reasons:
        yield f"{plain(reason.text)}{_when(reason, now)}"
        if reason.chain:
            yield f"    through: {plain(path_text(reason.chain))}"
        if reason.command and reason.command not in told:
            told.add(reason.command)
            yield f"    to do: {plain(reason.command)}"


def _when(reason: Reason, now: int) -> str:
    if reason.until is not None:
        return f", in {span(max(0, reason.until - now))} ({local(reason.until)})"
    return f", since {local(reason.since)} ({span(max(0, now - reason.since))})" if reason.since is not None else ""


def tell_reasons(reasons: Sequence[Reason], now: int) -> None:
    """Write reasons to stderr."""
    tell(*lines(reasons, now))


def _record(seen: Situation, reasons: Sequence[Reason], status: str | None, task: str | None) -> dict[str, Any]:
    return {
        "id": task or seen.reference,
        "run": seen.reference,
        "status": status or seen.run.status,
        "owner": seen.owner,
        "reasons": [_reason(reason) for reason in reasons],
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "cause": reason.cause,
        "text": reason.text,
        "command": reason.command,
        "tasks": list(reason.tasks),
        "since": utc(reason.since),
        "until": utc(reason.until),
        "limit": _limit(reason.limit) if reason.limit else None,
        "chain": list(reason.chain),
        "unblocking": asdict(reason.unblocking) if reason.unblocking else None,
    }


def _limit(full: FullLimit) -> dict[str, Any]:
    return {"name": full.name, "size": full.size, "held_by": [one.reference for one in full.holders]}
