"""One cell of a matrix: what leads it from where it stands to where it is to stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tasktrail.engine.ledger import Ledger, check_lease
from tasktrail.formats.picture import TaskPicture, details_of, details_text
from tasktrail.model.errors import Conflict
from tasktrail.model.lifecycle import Ask, Change, Failure, decide, route
from tasktrail.model.task import FIELDS, FINAL, Status, Task, Value
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

__all__ = ["CellMove", "changes_of", "move_in", "moved", "with_details"]


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
        change = decide(task, Ask(verb, failure=failure), now)
        if failure and move.error is None:  # nobody said why
            change = replace(change, values={**change.values, "error": None})
        if verb in ("complete", "fail") and not task.attempts:  # whoever did it began it
            change = replace(change, values={**change.values, "attempts": 1})
        changes.append(change)
        task = change.after
    said = {**move.values, **({"error": move.error} if move.error is not None else {})}
    if task.status not in FINAL:
        said.pop("completed_at", None)
    if said.get("started_at") is not None and not task.attempts:  # what has a beginning began
        said.setdefault("attempts", 1)
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


_BLANK: Final = Task(
    0, 0, "", "", -1, 0, "pending", 1, 0, 0, 3, 1, None, None, None, 0, 0, 0, 0, None, None, None, None, None,
    3, None, None, None, None, None, None, None, 0, None, None,
)  # fmt: skip


def moved(picture: TaskPicture, move: CellMove, now: int) -> TaskPicture:
    """Return what a cell says once it is moved; whether its needs are met is not asked."""
    known: dict[str, Any] = {name: value for name, value in picture.values.items() if name in FIELDS}
    task = _BLANK._replace(key=picture.key, item=picture.item, status=picture.status, **known)
    for change in changes_of(task, move, now):
        task = change.after
    said = {name: getattr(task, name) for name in (*known, "attempts", "error", "started_at", "completed_at")}
    values = {name: value for name, value in said.items() if value is not None and (value != 0 or name in known)}
    metadata = details_text({**details_of(picture), **move.details})
    return replace(picture, status=task.status, values=values, metadata=metadata)


def with_details(metadata: str | None, details: Mapping[str, object]) -> str | None:
    """Return what a task has there with some of it said anew; None takes one away."""
    return details_text({**(json.loads(metadata) if metadata else {}), **details})
