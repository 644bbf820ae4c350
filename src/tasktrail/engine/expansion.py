"""A step that is done once for each item of a list: its parts become tasks, their results one list.

The parts are tasks of the same key with an index. The step itself needs them all: so it becomes ready again when they
are done, and those who need the step need nothing of this.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Final

from tasktrail.engine.drafts import TaskEdit, define
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.values import Encoded, encode_text, json_text, text_of
from tasktrail.model.lifecycle import Ask, decide
from tasktrail.model.task import FINAL, Task
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

Title = Callable[[int, object], str | None]
"""Says what the part for an item at its index is called; None where it has no title."""

SURPLUS: Final = "its item is no longer in the list"
_PARTS: Final = "expanded"


class Expansion:
    """What one step comes to for the items of a list."""

    def __init__(
        self,
        tx: Transaction,
        ledger: Ledger,
        step: Task,
        items: Sequence[object],
        now: int,
        title: Title | None = None,
    ) -> None:
        self._tx, self._ledger, self._step, self._now = tx, ledger, step, now
        self._items, self._title = items, title or _untitled
        self._texts = [json_text(item, f"item {index} of step {step.key!r}") for index, item in enumerate(items)]
        self._digest = hashlib.sha256("\n".join(self._texts).encode()).hexdigest()[:16]

    @property
    def is_done(self) -> bool:
        """Whether the step was expanded to these very items; since it is ready, all of them are done."""
        row = self._tx.row("details_of_task", id=self._step.id)
        known = json.loads(str(row[2])) if row and row[2] is not None else {}
        return isinstance(known, dict) and known.get(_PARTS) == self._digest

    def results(self) -> Encoded:
        """Return the list of the parts' results, in the order of the items."""
        rows = self._tx.rows("mapped_outputs", key=self._step.key, run_id=self._step.run_id)
        texts = (text_of(str(row[0]) if row[0] is not None else None, self._tx) for row in rows)
        return encode_text("[" + ",".join(text or "null" for text in texts) + "]")

    def expand(self) -> None:
        """Make a task of each item. Parts of an earlier list are kept where the item is the same."""
        tx, step = self._tx, self._step
        known = {int(str(row[1])): row for row in tx.rows("mapped_tasks", key=step.key, run_id=step.run_id)}
        for index, row in known.items():
            self._keep(int(str(row[0])), index, str(row[2]))
        new = [index for index in range(len(self._texts)) if index not in known]
        if new:
            self._add(new)
        metadata = json.dumps({_PARTS: self._digest})
        current = tx.task("task_by_id", id=step.id)
        assert current is not None
        define(tx, self._ledger, current, TaskEdit(step.id, current.version, metadata=metadata), self._now)

    def _keep(self, task_id: int, index: int, metadata: str) -> None:
        """A part whose item changed is done again; one whose item is gone is skipped."""
        task = self._tx.task("task_by_id", id=task_id)
        assert task is not None
        if index >= len(self._texts):
            self._ask(task, Ask("skip", reason=SURPLUS))
        elif (item := _metadata(self._texts[index])) != metadata:
            title = self._title(index, self._items[index])
            edit = TaskEdit(task_id, task.version, metadata=item, title=title)
            task = define(self._tx, self._ledger, task, edit, self._now)
            self._ask(task, Ask("reopen"))
        elif task.status == "skipped" and task.reason == SURPLUS:
            self._ask(task, Ask("reopen"))

    def _ask(self, task: Task, ask: Ask) -> None:
        mark = Mark(self._ledger.actor, note=f"{task.key} was expanded again")
        if task.status in FINAL and task.status != "failed" and ask.verb == "skip":
            change = decide(task, Ask("reopen"), self._now)
            self._tx.apply([(change, mark)])
            task = change.after
        if ask.verb != "reopen" or task.status in ("completed", "skipped", "cancelled"):
            self._tx.apply([(decide(task, ask, self._now), mark)])

    def _add(self, indexes: Sequence[int]) -> None:
        tx, step = self._tx, self._step
        last = tx.row("last_ids")
        assert last is not None
        first = int(str(last[1])) + 1
        ids = range(first, first + len(indexes))
        needs = tx.rows("needs_of_task", task_id=step.id)
        own = [row for row in needs if row[0] != step.key]
        run = tx.run(step.run_id)
        tx.count(run.id, n_pending=len(ids), n_needs=len(ids) * (1 + len(own)))
        tx.execute_many("add_task", (self._part(*pair) for pair in zip(ids, indexes, strict=True)))
        tx.execute_many(
            "add_need",
            (_need(task_id, place, row[0], row[2], row[1]) for task_id in ids for place, row in enumerate(own)),
        )
        tx.execute_many(
            "add_need", (_need(step.id, len(needs) + place, step.key, task_id) for place, task_id in enumerate(ids))
        )
        tx.execute("shift_needs", {"id": step.id, "unmet": len(ids), "dead_needs": 0})
        counts = json.dumps({"tasks": [run.n_tasks, run.n_tasks + len(ids)]})
        tx.record_run(run.id, "added", self._now, self._ledger.actor, changes=counts, note=f"items of {step.key}")

    def _part(self, task_id: int, index: int) -> dict[str, object]:
        step = self._step
        return {
            **step._asdict(),
            "id": task_id,
            "map_index": index,
            "unmet": 0,
            "dead_needs": 0,
            "code_version": None,
            "title": self._title(index, self._items[index]),
            "metadata": _metadata(self._texts[index]),
            "at": self._now,
        }


def item_of(metadata: str | None) -> object:
    """Return the item that a part stands for."""
    known = json.loads(metadata) if metadata is not None else None
    return known.get("item") if isinstance(known, dict) else None


def _metadata(item: str) -> str:
    return f'{{"item":{item}}}'


def _untitled(index: int, item: object) -> None:
    """Parts of a step without a title have none."""


def _need(task_id: int, place: int, key: object, needed_id: object, optional: object = False) -> dict[str, object]:
    return {"task_id": task_id, "position": place, "needed_key": key, "needed_id": needed_id, "optional": optional}
