"""The items of a matrix: added, changed, removed and brought back, and what that does to their cells."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from tasktrail.engine.ledger import Ledger
from tasktrail.formats.picture import ItemPicture
from tasktrail.model.item import Item
from tasktrail.model.lifecycle import Ask, decide
from tasktrail.model.run import Run
from tasktrail.model.task import FIELDS, ITEM_REMOVED, Status, Task
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

_OPEN = ("pending", "in_progress", "blocked", "failed")
_Told = dict[str, dict[str, object]]
"""What is said of items, by name."""


def items_of(tx: Transaction, run: Run) -> list[Item]:
    """Return the items of a matrix in order, the removed ones too."""
    return [_item(row) for row in tx.rows("items_of_run", run_id=run.id)]


def item_in(tx: Transaction, run: Run, name: str) -> Item | None:
    """Return an item by its name, None when there is none."""
    row = tx.row("item_by_name", run_id=run.id, name=name)
    return _item(row) if row else None


def attributes_of(item: Item | ItemPicture) -> dict[str, object]:
    """Return what is said of an item, by name."""
    return json.loads(item.attributes) if item.attributes else {}


def cells_of_items(tx: Transaction, run: Run, names: Collection[str]) -> Sequence[Task]:
    """Return the cells of some items, of whatever types."""
    keys = [row[0] for row in tx.rows("keys_of_cells", run_id=run.id)] if names else []
    return tx.tasks("cells_of", run_id=run.id, names=json.dumps(keys), items=json.dumps(sorted(names)))


def add_items(tx: Transaction, ledger: Ledger, run: Run, added: Sequence[ItemPicture]) -> None:
    """Add items behind the others; their cells are added by who calls."""
    if not added:
        return
    row, now = tx.row("last_item", run_id=run.id), ledger.clock.now()
    assert row is not None
    first = int(str(row[0])) + 1
    tx.execute_many(
        "add_item",
        [
            {
                "run_id": run.id,
                "name": item.name,
                "position": first + place,
                "attributes": item.attributes,
                "content_hash": item.content_hash,
                "removed_at": now if item.removed else None,
            }
            for place, item in enumerate(added)
        ],
    )
    _record(tx, ledger, run, "items added", None, {item.name: _words(item) for item in added})


def drop_items(tx: Transaction, ledger: Ledger, run: Run, dropped: Sequence[ItemPicture]) -> None:
    """Forget items that their document has no more; what their tasks were, the history says."""
    for one in dropped:
        item = item_in(tx, run, one.name)
        if item is not None:
            tx.execute("drop_item", {"id": item.id})
    if dropped:
        _record(tx, ledger, run, "items taken out", {item.name: _words(item) for item in dropped}, None)


def change_items(tx: Transaction, ledger: Ledger, run: Run, changed: Sequence[tuple[ItemPicture, ItemPicture]]) -> None:
    """Let items have other attributes, another content hash, or be removed or there again."""
    now, before, after = ledger.clock.now(), _Told(), _Told()
    for was, new in changed:
        item = item_in(tx, run, new.name)
        if item is None:
            continue
        is_other = None not in (item.content_hash, new.content_hash) and item.content_hash != new.content_hash
        removed_at = (item.removed_at or now) if new.removed else None
        values = {"attributes": new.attributes, "content_hash": new.content_hash, "removed_at": removed_at}
        tx.execute("put_item", {**values, "id": item.id, "changed_at": now if is_other else item.changed_at})
        before[new.name], after[new.name] = _words(was), _words(new)
    if after:
        _record(tx, ledger, run, "items changed", before, after)


def settle_removals(tx: Transaction, ledger: Ledger, run: Run, names: Collection[str]) -> None:
    """Let open cells of removed items be nobody's work, and those of items that are there what they were before."""
    removed = {item.name for item in items_of(tx, run) if item.removed_at is not None}
    cells = cells_of_items(tx, run, names)
    now, mark = ledger.clock.now(), Mark(ledger.actor, note="the item was removed")
    gone = [task for task in cells if task.item in removed and task.status in _OPEN]
    tx.apply([(decide(task, Ask("skip", reason=ITEM_REMOVED), now), mark) for task in gone])
    restore_cells(tx, ledger, run, [task for task in cells if task.item not in removed], "the item is there again")


def restore_cells(tx: Transaction, ledger: Ledger, run: Run, tasks: Sequence[Task], note: str) -> None:
    """Let those of these tasks that are hidden with their item stand where they stood before."""
    hidden = [task for task in tasks if task.reason == ITEM_REMOVED]
    pairs, now = zip(hidden, before_removal(tx, run, hidden), strict=True), ledger.clock.now()
    tx.apply([(decide(task, _restoring(was), now), Mark(ledger.actor, note=note)) for task, was in pairs])
    if hidden:
        tx.settle()


def before_removal(tx: Transaction, run: Run, tasks: Sequence[Task]) -> Sequence[Task]:
    """Return tasks as they are shown: those of a removed item as they were before."""
    hidden = [task.id for task in tasks if task.reason == ITEM_REMOVED and task.status == "skipped"]
    if not hidden:
        return tasks
    rows = tx.rows("removals_of", run_id=run.id, ids=json.dumps(hidden))
    found = {row[0]: (str(row[1]), json.loads(str(row[2])) if row[2] else {}) for row in rows}
    return [_as_it_was(task, *found[task.id]) if task.id in found else task for task in tasks]


def _as_it_was(task: Task, status: str, changes: Mapping[str, Sequence[Any]]) -> Task:
    was = {name: old for name, (old, _) in changes.items() if name in FIELDS}
    return task._replace(status=cast(Status, status), **was)


def _restoring(was: Task) -> Ask:
    names = ("not_before", "error_type", "error", "reason", "completed_at", "summary", "tries", "output")
    return Ask("adopt", target=was.status, values={name: getattr(was, name) for name in names})


def _record(tx: Transaction, ledger: Ledger, run: Run, what: str, before: _Told | None, after: _Told | None) -> None:
    changes = json.dumps({"items": [before, after]}, ensure_ascii=False)
    tx.record_run(run.id, "items", ledger.clock.now(), ledger.actor, note=what, changes=changes)
    tx.set_run(run.id, updated_at=ledger.clock.now())


def _words(item: ItemPicture) -> dict[str, object]:
    said = {"removed": item.removed or None, "content_hash": item.content_hash, "attributes": attributes_of(item)}
    return {name: value for name, value in said.items() if value}


def _item(row: Sequence[object]) -> Item:
    return Item._make(cast(Any, row))
