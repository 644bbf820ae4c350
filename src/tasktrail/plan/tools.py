"""`PlanTools`: the documented functions over a plan in a store. Source: document 000, Implementation Components."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tasktrail.config import find_store, find_store_for_folder, load
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan_lists import edit_task, write_list
from tasktrail.engine.plans import NextTask, counts_of, mark_task, next_task, read_plan
from tasktrail.engine.project import ledger_of
from tasktrail.model.errors import BadInput
from tasktrail.model.reference import MAX_RUN_ID_CHARS
from tasktrail.model.task import STATUSES
from tasktrail.plan.answers import NO_PLAN, answering
from tasktrail.plan.words import MARKS, Words, edit_of, tasks_of, words_of

STANDING_PLAN: Final = "main"
"""The plan of a store that no folder names."""
_NONE_LEFT: Final = "No pending tasks (all completed, failed, or blocked by dependencies)"
_answering = answering(f"{NO_PLAN}. Create tasks first.", "Task {} not found in breakdown")


class PlanTools:
    """The plan of a folder or a store. Every function answers with a dictionary, also where something is wrong.

    Args:
        where: A folder, whose project's store is used and whose name the plan has; or a store's URL.
        plan: The name of the plan; None is the folder's, `main` for a URL.
    """

    def __init__(self, where: str | Path, plan: str | None = None) -> None:
        if isinstance(where, str) and ("://" in where or where == "memory:"):
            location, config = find_store(flag=where), load()
        else:
            location, config = find_store_for_folder(Path(where)), load(Path(where))
            plan = plan or _name_of(Path(where))
        self._ledger: Ledger = ledger_of(location, config)
        self._plan = plan or STANDING_PLAN

    @_answering
    def write_task_list(self, tasks: Sequence[Mapping[str, Any]]) -> Words:
        """Create the plan, or bring it to a new list; what tasks of the same id have reached is kept.

        Args:
            tasks: Each has `id` and `description`, and may have `priority` (smaller is more urgent), `dependencies`
                and keys of your own. Where it has `status`, `result` and the like, that is where the task then stands.

        Returns:
            `changes` has the ids that were added, changed and removed.
        """
        read, standing = tasks_of(tasks)
        written = write_list(self._ledger, self._plan, read, standing)
        changes = {"added": written.added, "changed": written.changed, "removed": written.removed}
        message = f"Task breakdown written: {len(read)} tasks"
        return {
            "status": "success", "message": message, "plan": self._plan, "task_count": len(read), "changes": changes,
        }  # fmt: skip

    @_answering
    def read_task_breakdown(self) -> Words:
        """Return all tasks, and how many there are at each status."""
        now = read_plan(self._ledger, self._plan)
        tasks = now.tasks if now else ()
        counts = counts_of(tasks)
        words: Words = {"status": "success", "tasks": [words_of(task) for task in tasks], "total_tasks": len(tasks)}
        words.update({f"{status}_count": counts.get(status, 0) for status in STATUSES})
        words["progress_percent"] = round(100 * counts.get("completed", 0) / len(tasks), 1) if tasks else 0
        if now is None:
            words["message"] = NO_PLAN
        return words

    @_answering
    def get_next_task(self, skip_dependencies: bool = False) -> Words:
        """Return the most urgent pending task whose dependencies are all done; ties go by the order of the list.

        Args:
            skip_dependencies: Whether one that waits for others counts, too.

        Returns:
            `task` is None when there is none; `blocked` then says which tasks cannot start, and why.
        """
        return _next_words(next_task(self._ledger, self._plan, skip_needs=skip_dependencies))

    @_answering
    def mark_task_status(self, task_id: str, status: str, notes: str = "", result: str = "") -> Words:
        """Let a task stand at a status: pending, in_progress, completed or failed.

        Args:
            notes: Appended to the task's notes.
            result: What came of it, when it is completed or failed.
        """
        if status not in MARKS:
            raise BadInput(f"Invalid status: {status}. Must be: {', '.join(MARKS)}")
        marked = mark_task(self._ledger, self._plan, str(task_id), status, note=notes, result=result)
        words = {"status": "success", "message": f"Task {task_id} marked as {status}", "task_id": task_id}
        words["new_status"] = marked.task.status
        if marked.kept_as_note:
            words["message"] += "; it has another result already, this one was kept as a note"
        return words

    @answering(NO_PLAN, "Task {} not found")
    def update_task(self, task_id: str, updates: Mapping[str, Any]) -> Words:
        """Change what a task is: its description, priority, dependencies, or keys of your own.

        Returns:
            `updates` is what was changed; `ignored` has keys that no update changes, such as `status`.
        """
        edit, ignored = edit_of(updates)
        edit_task(self._ledger, self._plan, str(task_id), edit)
        done = {key: value for key, value in updates.items() if key not in ignored}
        words: Words = {"status": "success", "message": f"Task {task_id} updated", "updates": done}
        if ignored:
            words["ignored"] = ignored
            words["message"] += f"; not changed: {', '.join(ignored)}"
        return words


def _next_words(found: NextTask) -> Words:
    words: Words = {"status": "success", "task": None}
    if found.task is not None:
        words["task"] = words_of(found.task)
        words["message"] = f"Next task: {found.task.key} - {found.task.title}"
        return words
    words["message"] = _NONE_LEFT if found.n_tasks else "No tasks in breakdown"
    if found.blocked:
        words["blocked"] = [{"id": one.key, "reason": one.reason} for one in found.blocked]
        words["blocked_count"] = found.n_blocked
    return words


def _name_of(folder: Path) -> str | None:
    """Return the name of a folder's plan, None where no run can have it."""
    name = re.sub(r"[^A-Za-z0-9._]+", "-", folder.absolute().resolve().name)[:MAX_RUN_ID_CHARS].strip("-._")
    return name or None
