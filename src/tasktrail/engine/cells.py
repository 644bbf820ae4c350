"""One cell of a matrix: what leads it from where it stands to where it is to stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tasktrail.engine.ledger import Ledger, check_lease
from tasktrail.formats.json_object import encode
from tasktrail.model.errors import Conflict
from tasktrail.model.lifecycle import Ask, Change, Failure, decide, route
from tasktrail.model.task import FINAL, Status, Task, Value
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

__all__ = ["CellMove", "changes_of", "metadata_text", "move_in", "with_details"]


@dataclass(frozen=True, slots=True)
class CellMove:
    """What is asked of a cell.

    Args:
        error: None says nothing of it.
        values: Columns that are to have these values, whatever the move gives them: times, attempts.
        details: What no column has, by name: agent, output file; None takes one away.
    """

    status: Status
    error: str | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)


def changes_of(task: Task, move: CellMove, now: int) -> list[Change]:
    """Return the changes that a move is, one after another; none where the task is there already and says the same.

    Raises:
        UnmetNeed: It would start while a need is not met.
    """
    changes: list[Change] = []
    for verb in route(task.status, move.status):
        failure = Failure("", move.error or "failed") if verb == "fail" else None
        changes.append(decide(task, Ask(verb, failure=failure), now))
        task = changes[-1].after
    said = {**move.values, **({"error": move.error} if move.error is not None else {})}
    if task.status not in FINAL:
        said.pop("completed_at", None)
    values = {name: value for name, value in said.items() if value != getattr(task, name)}
    return [*changes, Change(task, task.status, now, values)] if values else changes


def move_in(tx: Transaction, ledger: Ledger, task: Task, move: CellMove, metadata: str | None) -> bool:
    """Move a cell inside a transaction that does more; return whether anything of it is another.

    Args:
        metadata: What the task has there now.

    Raises:
        Held: A worker or an agent works on it.
        UnmetNeed: As for `changes_of`.
        Conflict: It changed meanwhile.
    """
    now = ledger.clock.now()
    changes = changes_of(task, _clean(ledger, move), now)
    for change in changes:
        if change.ask is not None:
            check_lease(change.task, change.ask, None)
    said = with_details(metadata, move.details)
    if said != metadata and not changes:
        changes = [Change(task, task.status, now, {})]
    for place, change in enumerate(changes):
        also = {"metadata": [metadata, said]} if said != metadata and place == len(changes) - 1 else None
        if not tx.apply([(change, Mark(ledger.actor, span_id=ledger.ids.span_id(), also=also))]):
            raise Conflict(f"task {task.name} is being changed by others", hint="run it again")
    if said != metadata:
        tx.execute("set_metadata", {"id": task.id, "metadata": said})
    return bool(changes)


def _clean(ledger: Ledger, move: CellMove) -> CellMove:
    return replace(move, error=ledger.clean_text(move.error))


def with_details(metadata: str | None, details: Mapping[str, object]) -> str | None:
    """Return what a task has there with some of it said anew; None takes one away."""
    return metadata_text({**(json.loads(metadata) if metadata else {}), **details})


def metadata_text(details: Mapping[str, object]) -> str | None:
    """Return what no column has as it is stored: in one order, so that equal things are equal texts."""
    kept = {name: details[name] for name in sorted(details) if details[name] is not None}
    return encode(kept) if kept else None
